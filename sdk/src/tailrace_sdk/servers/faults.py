"""What can be wrong with a server, on demand."""

import threading
from enum import StrEnum

import attrs


class Fault(StrEnum):
    """What is wrong with a receiver."""

    SLOW = "slow"
    """It takes the connection and the beginning of what is sent, and then neither reads nor says anything."""
    BUSY = "busy"
    """It refuses for now: 451, or 503 with ``Retry-After`` where that is asked for."""
    REFUSING = "refusing"
    """It refuses for ever, by 550 or 403, and repeats in its words what it was told, secrets included."""
    LYING = "lying"
    """It says that it has it, and forgets it."""
    DOUBLING = "doubling"
    """It has everything twice."""
    DROPPING = "dropping"
    """It breaks the connection off in the middle of what is sent."""
    MUTE = "mute"
    """It takes everything and keeps it, and closes the connection without saying so: whoever repeats, doubles."""
    BABBLING = "babbling"
    """It answers what is no answer of its kind."""
    AWAY = "away"
    """Nobody is there: connections are refused."""


@attrs.define
class Temper:
    """What is wrong with a server now; safe to use from several threads."""

    retry_after: float | None = None
    """Seconds that it asks to wait while it is busy; None for not saying so."""
    stalled: threading.Event = attrs.field(factory=threading.Event, init=False)
    """Set while somebody is kept waiting."""
    released: threading.Event = attrs.field(factory=threading.Event, init=False)
    """Set when those who are kept waiting are let go."""
    contacts: int = attrs.field(default=0, init=False)
    """How many connections there were."""
    _fault: Fault | None = attrs.field(default=None, init=False)
    _times: int | None = attrs.field(default=None, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)

    def change(self, fault: Fault | None, *, times: int | None = None, retry_after: float | None = None) -> None:
        """From now on, this is wrong; None for nothing.

        Args:
            fault: What.
            times: How many deliveries get to feel it, before all is well again; None for all.
            retry_after: See :attr:`retry_after`.
        """
        with self._lock:
            self._fault, self._times, self.retry_after = fault, times, retry_after
        if fault is None:
            self.released.set()
        else:
            self.released.clear()
            self.stalled.clear()

    def met(self) -> None:
        """Count a connection."""
        with self._lock:
            self.contacts += 1

    def stall(self) -> None:
        """Keep this thread waiting until all is well."""
        self.stalled.set()
        self.released.wait()

    def take(self) -> Fault | None:
        """What is wrong for the delivery that begins now."""
        with self._lock:
            fault = self._fault
            if fault is None or self._times is None:
                return fault
            self._times -= 1
            if self._times < 0:
                self._fault = self._times = None
            return self._fault

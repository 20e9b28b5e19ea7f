"""How long one waits for a receiver, and whether somebody still wants to: asked several times a second."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import attrs

from tailrace_sink_webhook.failures import CannotDeliverError

SLICE = 0.25
"""Seconds between two looks at whether somebody cancelled."""


@attrs.frozen
class Patience:
    """The time that a delivery has.

    Args:
        operation: Seconds that a single step may take: connecting, sending a block, waiting for the next bytes.
        until: When everything is over, by the clock.
        check: Raises what is to end the delivery, such as :class:`tailrace.CancelledError`.
        clock: Monotonic clock in seconds.
    """

    operation: float
    until: float
    check: Callable[[], None]
    clock: Callable[[], float] = time.monotonic

    def step(self) -> float:
        """Begin a step; returns when it has to be done, by the clock."""
        return min(self.clock() + self.operation, self.until)

    def wait(self, end: float) -> float:
        """Seconds to wait before asking again.

        Args:
            end: When the step has to be done.

        Raises:
            CannotDeliverError: It is that late.
        """
        self.check()
        left = end - self.clock()
        if left <= 0:
            over = end >= self.until
            raise CannotDeliverError(
                "The delivery took too long." if over else f"The receiver was silent for {self.operation:g} seconds.",
                hint="Allow more in sinks.webhook.total_timeout." if over else "",
                transient=True,
            )
        return min(left, SLICE)


_CURRENT: ContextVar[Patience] = ContextVar("patience")


@contextmanager
def with_patience(patience: Patience) -> Iterator[None]:
    """Let everything that this thread sends and receives in the block have that time.

    Connections are kept between deliveries, so what a connection may take is not its own property.
    """
    before = _CURRENT.set(patience)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def current_patience() -> Patience:
    """The time of the delivery that this thread is at."""
    return _CURRENT.get()

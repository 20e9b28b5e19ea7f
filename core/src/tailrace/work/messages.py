"""Sending what waits to be told by mail or webhook: each message once at a time, again where it failed for now.

Each is sent in a thread of its own, with a time limit. What a plugin does in there is its own affair: one that raises
makes its message fail, and one that hangs is left behind when its time is over. What it may still say then is not heard
any more, and its message is tried again like any that failed for now.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

import attrs
import sqlalchemy as sa

from tailrace.model.audit import AuditEntry
from tailrace.model.context import Context
from tailrace.model.delivery import DeliveryState
from tailrace.model.errors import TailraceError
from tailrace.model.job import Receipt
from tailrace.model.work import RetryPolicy
from tailrace.store import audit, deliveries, messages
from tailrace.store.database import Store
from tailrace.store.messages import ClaimedMessage, MessageChange, MessageState
from tailrace.vault.requests import RequestSealer
from tailrace.work.attempt import patiently
from tailrace.work.ledger import judged
from tailrace.work.messengers import Messengers
from tailrace.work.wishes import target_of

log = logging.getLogger(__name__)

_OPERATION = "notification"
_GRACE = 5.0
"""Seconds that a sink gets to stop by itself when its time is over."""
_TO_RECORD = 30.0
"""Seconds that a message stays with whoever sends it beyond its time, to write down how it went."""
_TO_STOP = 0.5
"""Seconds that what is stopped gets to be written down."""
_LOOK_EVERY = 0.02
_NO_ADMINS = "There is nobody to tell: the setting notifications.admins is empty."
_UNHEARD = "It was never heard how sending it ended."
_STATES = {
    DeliveryState.WAITING: MessageState.WAITING,
    DeliveryState.DELIVERED: MessageState.SENT,
    DeliveryState.FAILED: MessageState.FAILED,
}


@attrs.frozen(eq=False)
class _Flight:
    """A message that is being sent."""

    claimed: ClaimedMessage
    context: Context
    until: float


@attrs.define(eq=False)
class Post:
    """Sends messages; any number of processes may share one store.

    Args:
        store: Where they are.
        messengers: The sinks that carry them.
        sealer: Opens what their targets are sealed in.
        policy: How often one is tried that fails for now.
        admins: Mail addresses of admins.
        parallel: How many are sent at a time.
        limit: Seconds that sending one may take.
        clock: Monotonic clock in seconds.
    """

    store: Store
    messengers: Messengers
    sealer: Callable[[], RequestSealer] = attrs.field(repr=False)
    policy: RetryPolicy
    admins: tuple[str, ...] = ()
    parallel: int = 8
    limit: float = 120.0
    clock: Callable[[], float] = time.monotonic
    _flights: dict[str, _Flight] = attrs.field(factory=dict, init=False, repr=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    _taking: int = attrs.field(default=0, init=False, repr=False)
    """Threads that take messages up at this moment: they are claimed already, and not under way yet."""

    def turn(self) -> int:
        """Begin to send what waits and has room; returns at once, with how many were taken up.

        Raises:
            StoreBusyError: The store is away.
        """
        self._leave_behind()
        room = self.parallel - len(self._flights)
        if room <= 0 or not self._any_due():
            return 0
        return self._take(room)

    def idle(self) -> bool:
        """Whether nothing is being sent, and nothing waits but for a later try."""
        self._leave_behind()
        # In this order: what is due by now is taken up, and then under way.
        return not self._any_due() and not self._busy()

    def send_about(self, job: str) -> None:
        """Try what waits to be told about a job once, and wait for it; never raises: the rest is left to workers."""
        try:
            taken = self._take(self.parallel, job=job)
            while taken:
                self._land()
                taken = self._take(self.parallel, job=job)
        except TailraceError as error:
            log.warning("what is to be told about job %s is left to workers: %s", job, error.message)

    def close(self, seconds: float) -> None:
        """Wait for what is being sent; what does not end in time is stopped, and tried again later. Never raises."""
        try:
            self._land(seconds)
            for flight in self._under_way():
                flight.context.cancel()
            self._land(_TO_STOP)
        except TailraceError as error:
            log.warning("what is being sent is not waited for: %s", error.message)

    def _any_due(self) -> bool:
        with self.store.reading() as connection:
            return messages.any_due(connection, now=self.store.now(connection))

    def _busy(self) -> bool:
        with self._lock:
            return bool(self._taking or self._flights)

    def _take(self, room: int, *, job: str | None = None) -> int:
        with self._lock:
            self._taking += 1
        try:
            return self._taken(room, job)
        finally:
            with self._lock:
                self._taking -= 1

    def _taken(self, room: int, job: str | None) -> int:
        with self.store.writing() as connection:
            now = self.store.now(connection)
            lease = self.limit + _GRACE + _TO_RECORD
            claimed = messages.claim(connection, now=now, lease=lease, limit=room, job=job)
            unwanted = deliveries.unwanted(connection) if claimed else {}
            ready = [one for one in claimed if self._is_ready(connection, one, unwanted, now)]
        for one in ready:
            flight = _Flight(one, Context(timeout=self.limit, clock=self.clock), self.clock() + self.limit + _GRACE)
            with self._lock:
                self._flights[one.id] = flight
            threading.Thread(target=self._fly, args=(flight,), name="tailrace-message", daemon=True).start()
        return len(claimed)

    def _is_ready(
        self,
        connection: sa.Connection,
        one: ClaimedMessage,
        unwanted: Mapping[str, tuple[datetime, str]],
        now: datetime,
    ) -> bool:
        """Whether a message can be sent as it is; otherwise it is dealt with."""
        if one.for_admins and self.admins:
            messages.replace(connection, one, list(self._to_each_admin(one)), now=now)
            return False
        problem = ""
        refused = unwanted.get(_name(one))
        if one.for_admins:
            problem = _NO_ADMINS
        elif one.tries > self.policy.attempts:
            problem = _UNHEARD
        elif refused is not None:
            problem = f"It wants nothing any more since {refused[0]:%Y-%m-%d}: {refused[1]}"
        if problem:
            self._record(connection, one, Receipt(one.channel, delivered=False, error=problem))
        return not problem

    def _to_each_admin(self, one: ClaimedMessage) -> Iterator[messages.NewMessage]:
        for address in dict.fromkeys(self.admins):
            new = messages.NewMessage(
                job=one.job,
                user=one.user,
                channel=one.channel,
                addressee=address,
                sealed=b"",
                kind=messages.OWN,
                number=0,
                announcement=one.announcement,
            )
            sealed = self.sealer().seal(messages.OWN, new.id, [address])
            yield attrs.evolve(new, sealed=sealed)

    def _fly(self, flight: _Flight) -> None:
        try:
            receipt = self._sent(flight)
            patiently(lambda: self._end(flight, receipt), lambda: None)
        except TailraceError as error:
            # It is tried again when its time is over.
            log.warning("how message %s went could not be written down: %s", flight.claimed.id, error.message)
        finally:
            self._forget(flight)

    def _sent(self, flight: _Flight) -> Receipt:
        one = flight.claimed
        try:
            opened = self.sealer().open(one.kind, one.thing, one.sealed)
        except TailraceError as error:
            return Receipt(one.channel, delivered=False, error=error.message)
        target = target_of(one.kind, opened, one.number)
        return self.messengers.send(
            one.channel, target, one.announcement, job=one.job, delivery=one.id, context=flight.context
        )

    def _end(self, flight: _Flight, receipt: Receipt) -> None:
        with self.store.writing() as connection:
            self._record(connection, flight.claimed, receipt)

    def _record(self, connection: sa.Connection, one: ClaimedMessage, receipt: Receipt) -> None:
        """Write down what a try made of a message; what is heard too late is not."""
        now = self.store.now(connection)
        said = judged(receipt, one.tries - 1, self.policy, now)
        state = _STATES[said["state"]]
        change = MessageChange(state, said["tries"], said.get("due"), said.get("error", ""))
        if not messages.record(connection, one, change, now=now):
            log.info("message %s had been left behind when it ended", one.id)
            return
        if receipt.unwanted and not receipt.delivered:
            deliveries.refuse(connection, _name(one), receipt.error, now=now)
        if state is MessageState.WAITING:
            log.warning("%s could not be told about job %s for now: %s", one.addressee, one.job, change.error)
            return
        if state is MessageState.FAILED:
            log.warning("%s was not told about job %s: %s", one.addressee, one.job, change.error)
        entry = AuditEntry(
            user=one.user,
            operation=_OPERATION,
            outcome="ok" if state is MessageState.SENT else "failed",
            job=one.job,
            thing=f"{one.channel} {one.addressee}",
            source=one.announcement.facts.get("source", ""),
            format=one.announcement.facts.get("format", ""),
            error=change.error,
            parameters={"event": one.announcement.event.value, "message": one.id, "failed_tries": change.tries},
        )
        audit.append(connection, entry, now=now)

    def _leave_behind(self) -> None:
        """Give up waiting for what hangs: it is tried again."""
        for flight in self._under_way():
            if self.clock() < flight.until:
                continue
            one = flight.claimed
            log.warning("sink %s does not come back with message %s, and is left behind", one.channel, one.id)
            error = f"It did not come back within {self.limit:g} seconds."
            self._end(flight, Receipt(one.channel, delivered=False, error=error, transient=True))
            self._forget(flight)

    def _forget(self, flight: _Flight) -> None:
        with self._lock:
            # One that was left behind may come back while its message is on its way anew.
            if self._flights.get(flight.claimed.id) is flight:
                del self._flights[flight.claimed.id]

    def _land(self, seconds: float | None = None) -> None:
        """Wait until nothing is being sent any more, or so many seconds."""
        until = None if seconds is None else time.monotonic() + seconds
        while self._under_way() and (until is None or time.monotonic() < until):
            time.sleep(_LOOK_EVERY)
            self._leave_behind()

    def _under_way(self) -> list[_Flight]:
        with self._lock:
            return list(self._flights.values())


def _name(one: ClaimedMessage) -> str:
    """Channel and addressee as the ledger of deliveries writes them: who wants no files wants no messages either."""
    return f"{one.channel}:{one.addressee}"

"""Keeping the leases of what this process carries out, telling how far it is, and hearing when it is to stop."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import attrs

from tailrace.model.context import Progress
from tailrace.model.errors import CancelledError, TailraceError
from tailrace.store import jobs
from tailrace.store.database import Store
from tailrace.work.attempt import Attempt, progressed, uptime
from tailrace.work.outcome import Outcome, settle

log = logging.getLogger(__name__)

_LOOK_EVERY = 0.25
"""Seconds between two looks whether somebody asked to stop: it is to be heard within one."""
_TO_STOP = 0.5
"""Seconds that an attempt gets to stop by itself before its end is recorded for it."""
_TELL_EVERY = 1.0
"""Seconds at least between two notes of progress: each is a transaction."""


@attrs.define(eq=False)
class _Held:
    attempt: Attempt
    renewed: float
    asked: float | None = None
    told: Progress | None = None


class LeaseKeeper:
    """Renews leases in a thread of its own, which lives as long as there is something to keep.

    Args:
        store: Where the jobs are.
        lease: Seconds that a lease lasts; it is renewed after a third of it.
    """

    def __init__(self, store: Store, lease: float) -> None:
        self._store, self._lease = store, lease
        self._held: list[_Held] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(self, attempt: Attempt) -> Iterator[None]:
        """Keep the lease of an attempt, until the block is left."""
        held = _Held(attempt, time.monotonic())
        with self._lock:
            self._held.append(held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tailrace-leases", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._held.remove(held)
            self._released.set()

    def rest(self) -> None:
        """Wait for the thread to end, where there is nothing left to keep: it may have a last look at the store."""
        with self._lock:
            thread = None if self._held else self._thread
        if thread is not None:
            self._released.set()
            thread.join()

    def _run(self) -> None:
        look_every = min(_LOOK_EVERY, self._lease / 8)
        while True:
            self._released.wait(look_every)
            self._released.clear()
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
                current = list(self._held)
            try:
                self._look(current)
                self._renew(current)
            except TailraceError as error:
                # The work goes on: as long as nobody else takes the job, it can still be recorded.
                log.warning("leases cannot be renewed for now: %s", error.message)
            except Exception:
                # Were this thread to end, every lease would run out with nobody knowing why.
                log.exception("leases cannot be renewed for now")

    def _look(self, current: list[_Held]) -> None:
        with self._store.reading() as connection:
            pulses = jobs.pulse(connection, {held.attempt.claim.id: held.attempt.claim.fence for held in current})
        for held in current:
            pulse, attempt = pulses[held.attempt.claim.id], held.attempt
            if attempt.settled:
                continue
            if not pulse.held and not attempt.lost:
                log.warning("job %s was taken from this process", attempt.claim.id)
                attempt.lost = True
            if pulse.cancel_requested or attempt.lost:
                attempt.context.cancel()
                held.asked = held.asked or time.monotonic()
            if pulse.cancel_requested and held.asked and time.monotonic() - held.asked > _TO_STOP:
                # It is in the middle of something that cannot be stopped, such as a sort; nothing of it is published
                # any more, so that it is as good as cancelled for whoever waits.
                settle(attempt, Outcome.of(CancelledError("It was cancelled.")), most_losses=1)

    def _renew(self, current: list[_Held]) -> None:
        now = time.monotonic()
        due = [
            held for held in current if not held.attempt.lost and not held.attempt.settled and self._is_due(held, now)
        ]
        if not due:
            return
        with self._store.writing() as connection:
            until = self._store.now(connection) + timedelta(seconds=self._lease)
            for held in due:
                claim, latest = held.attempt.claim, held.attempt.latest
                progress = None if latest is None else progressed(latest)
                begun = uptime()
                if jobs.renew(connection, claim.id, claim.fence, until=until, progress=progress):
                    held.attempt.renewed = begun
                held.renewed, held.told = now, latest

    def _is_due(self, held: _Held, now: float) -> bool:
        passed = now - held.renewed
        news = held.attempt.latest is not held.told
        return passed >= self._lease / 3 or (news and passed >= _TELL_EVERY)

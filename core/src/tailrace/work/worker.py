"""A worker: claims jobs, has them carried out, keeps their leases, and records how they end."""

import logging
import os
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import attrs

from tailrace.model.errors import TailraceError
from tailrace.model.states import JobState
from tailrace.settings import JobSettings, WorkerSettings
from tailrace.store import deliveries, facts, workers
from tailrace.store import jobs as queue
from tailrace.store.database import Store
from tailrace.store.errors import StoreBusyError
from tailrace.work.attempt import Attempt
from tailrace.work.firing import Firing
from tailrace.work.leases import LeaseKeeper
from tailrace.work.messages import Post
from tailrace.work.outcome import Outcome, settle
from tailrace.work.recovery import clear_folders, recover
from tailrace.work.runner import Runner
from tailrace.work.ticker import Beat, Ticker

log = logging.getLogger(__name__)

_SEEN_EVERY = 5.0
_RECOVER_EVERY = 1.0
_DUE_EVERY = 1.0
"""Seconds after which a worker learns of schedules that were made or changed meanwhile; those it knows of are begun on
the second."""
_LONGEST_PAUSE = 5.0
_FORGOTTEN_AFTER = timedelta(days=7)
_DAY = timedelta(days=1)
_TO_STOP = 2.0
"""Seconds that what is given back gets to stop."""


@attrs.frozen
class Duty:
    """Something that one worker does for all of them, again and again.

    Args:
        name: Its name.
        every: How often.
        do: Does it; what it raises is logged.
    """

    name: str
    every: timedelta
    do: Callable[[], object]


@attrs.define(eq=False)
class Worker:
    """Carries out the jobs of a store; any number of workers may share one.

    Args:
        store: Where the jobs are.
        runner: Carries them out.
        claimed: Makes an attempt of what was claimed.
        jobs: How.
        settings: How often to look for work, and how long to wait at the end.
        scratch: The engine's own folder for files in the making.
        place: Where it is: files that are made already can only be delivered there.
        duties: What is done beside.
        post: Sends what users are told by mail or webhook; None for a worker that leaves that to others.
        firing: Enters the jobs of schedules; None for a worker that leaves that to others.
        id: Its id in the store.
        offers: What the application gave to it that jobs may need; those that need something else are left to others.
    """

    store: Store
    runner: Runner
    claimed: Callable[[queue.Claim], Attempt]
    jobs: JobSettings
    settings: WorkerSettings
    scratch: Path
    place: str
    duties: tuple[Duty, ...] = ()
    post: Post | None = None
    firing: Firing | None = None
    id: str = attrs.field(factory=lambda: str(uuid.uuid4()))
    offers: Callable[[], Collection[str]] = attrs.field(default=tuple, kw_only=True)
    done: int = attrs.field(default=0, init=False)
    """Jobs whose attempts came to an end here."""
    _running: dict[Attempt, ExitStack] = attrs.field(factory=dict, init=False, repr=False)
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False, repr=False)
    _woken: threading.Event = attrs.field(factory=threading.Event, init=False, repr=False)
    _stopping: threading.Event = attrs.field(factory=threading.Event, init=False, repr=False)
    _keeper: LeaseKeeper = attrs.field(init=False, repr=False)
    _performing: list[threading.Thread] = attrs.field(factory=list, init=False, repr=False)
    _ticker: Ticker = attrs.field(init=False, repr=False)
    _began: datetime | None = attrs.field(default=None, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._keeper = LeaseKeeper(self.store, self.jobs.lease)
        beats = [
            Beat("other workers", _SEEN_EVERY, self._greet),
            Beat("lost jobs", min(_RECOVER_EVERY, self.jobs.lease / 2), self._recover),
        ]
        if self.firing is not None:
            beats.append(Beat("schedules that are due", _DUE_EVERY, self._fire))
        if self.post is not None:
            beats.append(Beat("messages", self.settings.poll, self._send))
        self._ticker = Ticker(tuple(beats))

    def stop(self) -> None:
        """Ask it to end: it claims nothing more, and gives back what does not finish in time. From any thread."""
        self._stopping.set()
        self._woken.set()

    def run(self, *, until_idle: bool = False) -> None:
        """Work until it is asked to stop.

        Args:
            until_idle: End also when no job waits any more, not even for a later try, and none is being carried out;
                nor does any message that could be sent now.

        Raises:
            TailraceError: The store cannot be used as it is.
        """
        self._sign_on()
        try:
            with self.store.reading() as connection:
                self._began = self.store.now(connection)
            self._clear()
            # Once before anything else: a worker that ends when it is idle has looked at the clock by then.
            self._ticker.beat()
            self._ticker.start()
            pause = 0.0
            while not self._stopping.is_set():
                self._woken.wait(pause)
                self._woken.clear()
                try:
                    busy = self._turn()
                    pause = 0.0 if busy else self.settings.poll * random.uniform(0.75, 1.0)  # noqa: S311 - no secret
                    if until_idle and not busy and self._idle():
                        return
                except StoreBusyError as error:
                    # Running jobs go on, and nothing is lost: what is not claimed waits.
                    pause = min(_LONGEST_PAUSE, 2 * (pause or self.settings.poll))
                    log.warning("%s Looking again in %.1f seconds.", error.message, pause)
        finally:
            self._drain()
            self._sign_off()

    def _turn(self) -> bool:
        """Claim what there is to do; False where there was nothing."""
        free = self.runner.free
        return free > 0 and self._claim(free) > 0

    # What it does beside: each of these is a beat of its ticker, in another thread than the jobs are claimed in.

    def _fire(self) -> float | None:
        """Enter the jobs of slots that are due; returns in how many seconds the next one is."""
        if self.firing is None:
            return None
        turn = self.firing.turn()
        if turn.entered:
            log.info("%d slot(s) of schedules came", turn.entered)
            self._woken.set()
        return turn.following

    def _send(self) -> None:
        # In threads of their own: nothing waits for a mail server.
        if self.post is not None:
            self.post.turn()

    def _recover(self) -> None:
        recover(self.store, most_losses=self.jobs.most_losses)

    def _claim(self, limit: int) -> int:
        offers = self.offers()
        with self.store.reading() as connection:
            if not queue.any_due(connection, now=self.store.now(connection), place=self.place, offers=offers):
                return 0
        with self.store.writing() as connection:
            now = self.store.now(connection)
            claims = queue.claim(
                connection,
                self.id,
                now=now,
                lease=self.jobs.lease,
                limit=limit,
                place=self.place,
                offers=offers,
            )
        for claim in claims:
            self._begin(claim)
        return len(claims)

    def _begin(self, claim: queue.Claim) -> None:
        log.info("job %s: attempt %d begins", claim.id, claim.fence)
        attempt = self.claimed(claim)
        with self._lock:
            stack = self._running[attempt] = ExitStack()
            stack.enter_context(self._keeper.holding(attempt))
        self.runner.submit(attempt, self._ended)

    def _ended(self, attempt: Attempt, outcome: Outcome) -> None:
        """Record how an attempt came out: for as long as it takes, while its lease is kept."""
        try:
            for pause in (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, None):
                try:
                    ending = settle(attempt, outcome, most_losses=self.jobs.most_losses)
                    break
                except StoreBusyError:
                    # Where it never comes back, the lease runs out, and the job is tried again.
                    if pause is None:
                        raise
                    self._stopping.wait(pause)
            said = self._standing(attempt.claim.id) if outcome.completed else ending or "taken by somebody else"
            why = "" if outcome.error is None or ending == "returned" else f": {outcome.error.message}"
            log.info("job %s: attempt %d ended, %s%s", attempt.claim.id, attempt.claim.fence, said, why)
        finally:
            with self._lock:
                stack = self._running.pop(attempt)
                self.done += 1
            stack.close()
            self._woken.set()

    def _standing(self, job: str) -> str:
        """How a job stands, for the log."""
        try:
            with self.store.reading() as connection:
                found, standing = queue.get(connection, job), deliveries.standing(connection, [job]).get(job)
        except StoreBusyError:
            return "recorded"
        if found is None or standing is None or not standing.waiting or standing.next_due is None:
            return "removed" if found is None else found.state.value
        return f"{standing.delivered} of {standing.total} delivered, next at {standing.next_due:%H:%M:%S} UTC"

    def _idle(self) -> bool:
        if self._running or not (self.post is None or self.post.idle()):
            return False
        # Slots that were due when it began may have waited for the jobs that are done now.
        if self.firing is not None and self.firing.turn(upto=self._began).entered > 0:
            return False
        with self.store.reading() as connection:
            return queue.counts(connection, place=self.place, offers=self.offers())[JobState.PENDING] == 0

    def _drain(self) -> None:
        """Let what runs finish; give back what does not."""
        self._ticker.stop(_TO_STOP)
        with self._lock:
            for attempt in self._running:
                attempt.closing = True
        until = time.monotonic() + self.settings.drain
        while self._running and time.monotonic() < until:
            self._woken.wait(0.05)
            self._woken.clear()
        for thread in self._performing:
            # What it noted as its turn nobody else does today; it goes on where it was cut off all the same.
            thread.join(max(0.1, until - time.monotonic()))
        if self.post is not None:
            self.post.close(max(0.1, until - time.monotonic()))
        with self._lock:
            left = list(self._running)
        for attempt in left:
            attempt.given_back = True
            self.runner.cancel(attempt)
        self.runner.close(_TO_STOP)
        for attempt in list(self._running):
            log.warning("job %s does not stop; it is taken over when its lease ends", attempt.claim.id)

    def _sign_on(self) -> None:
        with self.store.writing() as connection:
            record = workers.WorkerRecord(
                id=self.id,
                host=socket.gethostname()[:255],
                process=os.getpid(),
                concurrency=self.runner.free,
                started=self.store.now(connection),
            )
            workers.sign_on(connection, record)

    def _greet(self) -> None:
        """Tell the others that it is there, and do what is this worker's turn."""
        with self.store.writing() as connection:
            now = self.store.now(connection)
            workers.seen(connection, self.id, now=now)
            turns = [
                duty
                for duty in self.duties
                if facts.take_turn(connection, duty.name, self.id, now=now, not_since=now - duty.every)
            ]
        for duty in turns:
            # In a thread of its own: deleting files may take long, and jobs are not to wait for it.
            thread = threading.Thread(target=_perform, args=(duty,), name=f"tailrace-{duty.name}", daemon=True)
            thread.start()
            self._performing.append(thread)

    def _clear(self) -> None:
        try:
            recover(self.store, most_losses=self.jobs.most_losses)
            removed = clear_folders(self.store, self.scratch)
        except TailraceError as error:
            log.warning("unfinished files of earlier runs cannot be looked for: %s", error.message)
            return
        if removed:
            log.info("removed %d unfinished file(s) of earlier runs", removed)

    def _sign_off(self) -> None:
        try:
            with self.store.writing() as connection:
                long_ago = self.store.now(connection) - _FORGOTTEN_AFTER
                workers.sign_off(connection, self.id, long_ago=long_ago)
        except TailraceError as error:
            log.info("the store was not told that this worker ends: %s", error.message)


def _perform(duty: Duty) -> None:
    log.info("%s begins", duty.name.partition(" ")[0])
    try:
        duty.do()
    except TailraceError as error:
        log.warning("%s could not be done: %s", duty.name, error.message)
    except Exception:
        # A duty that has a fault must not keep the worker from its jobs.
        log.exception("%s could not be done", duty.name)

"""What a worker does again and again beside its jobs: looks for slots, lost leases and messages, greets the others.

The library ``schedule`` keeps the time. It does so in naive local time, and one job of it that raises keeps the others
of its tick from running: here each is wrapped, and when the clock of the machine is changed, by hand or because summer
ends, what is planned is moved along.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.model.errors import TailraceError
from tailrace.store.errors import StoreBusyError

if TYPE_CHECKING:
    from schedule import Scheduler

log = logging.getLogger(__name__)

_A_STEP = timedelta(seconds=0.5)
"""By how much the clock has to be off for it to have been changed."""
_LONGEST_PAUSE = 5.0


@attrs.define(eq=False)
class Beat:
    """Something that is done again and again.

    Args:
        name: What, for the log.
        every: Seconds between two times.
        do: Does it; may return in how many seconds it is to be done again, where that is sooner than usual.
    """

    name: str
    every: float
    do: Callable[[], float | None]
    _job: Any = attrs.field(default=None, init=False)
    _wish: float | None = attrs.field(default=None, init=False)
    _pause: float = attrs.field(default=0.0, init=False)

    def enter(self, scheduler: "Scheduler", now: datetime) -> None:
        """Have the library do it, from now on."""
        # The library counts in whole seconds: when it is due is set anew each time that it was done.
        self._job = scheduler.every(1).seconds.do(self.perform)
        self._job.next_run = now

    def plan(self, now: datetime) -> None:
        """Have it done again when that is wished, where it has just been done."""
        if self._wish is not None:
            self._job.next_run, self._wish = now + timedelta(seconds=self._wish), None

    def perform(self) -> None:
        """Do it; never raises."""
        try:
            wish = self.do()
            self._pause, self._wish = 0.0, self.every if wish is None else max(0.0, min(wish, self.every))
        except StoreBusyError as error:
            # Nothing is lost: what is not done now is done later.
            self._put_off()
            log.warning("%s Looking for %s again in %.1f seconds.", error.message, self.name, self._pause)
        except TailraceError as error:
            self._put_off()
            log.warning("%s could not be looked for: %s", self.name, error.message)
        except (Exception, SystemExit):
            # Whatever is wrong with one must not keep the others from being done, nor end the thread that they share.
            self._put_off()
            log.exception("%s could not be looked for", self.name)

    def _put_off(self) -> None:
        self._pause = self._wish = min(_LONGEST_PAUSE, 2 * (self._pause or self.every))


class Ticker:
    """Does each of some things again and again, in the order in which it is their turn.

    Args:
        beats: The things.
        wall: The clock of the library: naive local time.
        steady: A clock that nobody changes, in seconds.
    """

    def __init__(
        self,
        beats: tuple[Beat, ...],
        *,
        wall: Callable[[], datetime] = datetime.now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        from schedule import Scheduler

        self._beats, self._wall, self._steady = beats, wall, steady
        self._scheduler = Scheduler()
        self._seen = wall(), steady()
        self._stopping, self._woken = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        for beat in beats:
            beat.enter(self._scheduler, wall())

    def beat(self) -> float:
        """Do what is due; returns in how many seconds something is again."""
        self._follow_the_clock()
        self._scheduler.run_pending()
        # Again: what the clock was changed by while something was done would be taken for the next wait otherwise, and
        # what is planned now be moved along with it.
        self._follow_the_clock()
        now = self._seen[0]
        for beat in self._beats:
            beat.plan(now)
        upcoming = self._scheduler.next_run
        # By the same look at the clock, not by another one as the library would.
        return 0.0 if upcoming is None else max(0.0, (upcoming - now).total_seconds())

    def start(self) -> None:
        """Go on in a thread of its own, until it is stopped; nothing where it does already."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tailrace-ticker", daemon=True)
            self._thread.start()

    def stop(self, seconds: float) -> None:
        """End it, and wait for what is being done, but not longer than so many seconds."""
        self._stopping.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(self.beat())

    def _follow_the_clock(self) -> None:
        wall, steady = self._wall(), self._steady()
        before, then = self._seen
        step = (wall - before) - timedelta(seconds=steady - then)
        self._seen = wall, steady
        if abs(step) < _A_STEP:
            return
        log.info("the clock of this machine was changed by %.1f seconds", step.total_seconds())
        for job in self._scheduler.get_jobs():
            if job.next_run is not None:
                job.next_run += step

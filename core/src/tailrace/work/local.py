"""Carrying out jobs on this machine: in threads, and in processes of their own where they may run wild."""

import logging
import threading
from collections.abc import Callable

from tailrace.work.attempt import Attempt
from tailrace.work.outcome import Outcome
from tailrace.work.runner import Ended

log = logging.getLogger(__name__)

CarryOut = Callable[[Attempt], Outcome]


class LocalRunner:
    """Carries out jobs in threads of this process; see :class:`tailrace.work.runner.Runner`.

    Args:
        here: Carries out an attempt in the thread that calls it.
        apart: Does it in a process of its own, and waits for that.
        isolated: Says which of both an attempt takes.
        concurrency: Attempts at a time.
    """

    def __init__(
        self, *, here: CarryOut, apart: CarryOut, isolated: Callable[[Attempt], bool], concurrency: int
    ) -> None:
        self._here, self._apart, self._isolated = here, apart, isolated
        self._concurrency = concurrency
        self._running: dict[Attempt, threading.Thread] = {}
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """How many more jobs it can take now."""
        with self._lock:
            return self._concurrency - len(self._running)

    def submit(self, attempt: Attempt, ended: Ended) -> None:
        """Begin with an attempt, and return at once."""
        # A daemon: a worker that is told to end does, whatever a plugin is doing.
        thread = threading.Thread(
            target=self._run, args=(attempt, ended), name=f"tailrace-job-{attempt.claim.id[:8]}", daemon=True
        )
        with self._lock:
            self._running[attempt] = thread
        thread.start()

    def cancel(self, attempt: Attempt) -> None:
        """Stop an attempt, if it still runs and does not publish already."""
        attempt.context.cancel()

    def close(self, seconds: float) -> None:
        """Wait for what was stopped to end, and leave behind what does not."""
        with self._lock:
            threads = list(self._running.values())
        for thread in threads:
            thread.join(seconds / max(1, len(threads)))

    def _run(self, attempt: Attempt, ended: Ended) -> None:
        try:
            outcome = (self._apart if self._isolated(attempt) else self._here)(attempt)
        except BaseException as error:
            log.debug("job %s failed", attempt.claim.id, exc_info=True)
            outcome = Outcome.of(error)
        try:
            ended(attempt, outcome)
        except Exception:
            # The worker goes on with its other jobs; this one is taken over when its lease is over.
            log.exception("how job %s ended could not be recorded", attempt.claim.id)
        finally:
            with self._lock:
                del self._running[attempt]

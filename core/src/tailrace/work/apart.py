"""Attempts in processes of their own: what kills one, or hangs in it, hurts neither the worker nor other jobs.

The process is a fresh interpreter with the worker's environment: it needs the keys that are named there. It reads its
order from a pipe, so that nothing of it shows in the list of processes.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final, Self

from tailrace._apart import OUT_OF_MEMORY
from tailrace.model.context import Progress
from tailrace.model.convert import structure, unstructure
from tailrace.model.errors import CancelledError, ConfigurationError, TailraceError
from tailrace.model.work import JobError
from tailrace.work.attempt import Attempt
from tailrace.work.outcome import Outcome
from tailrace.work.runner import Order

log = logging.getLogger(__name__)

_START: Final = (
    "import json,sys;sys.path[:]=json.loads(sys.stdin.readline());from tailrace import carrying_out;carrying_out.main()"
)
_LOOK_EVERY: Final = 0.05
_TO_STOP: Final = 0.6
"""Seconds that it gets to stop by itself when it is told to, before it is killed."""
_TO_PUBLISH: Final = 30.0
"""The same while it publishes, which is over in a moment unless a sink hangs."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def run_attempt_apart(attempt: Attempt, order: Order) -> Outcome:
    """Carry out an attempt in a process of its own.

    Args:
        attempt: The attempt; its context says when to stop, and hears of progress.
        order: The same as data.
    """
    attempt.context.check()
    with _Child(attempt, order) as child:
        return child.outcome()


class _Child:
    """The process, from its start until nothing is left of it."""

    def __init__(self, attempt: Attempt, order: Order) -> None:
        self._attempt, self._order = attempt, order
        self._phase = ""
        self._reason: TailraceError | JobError | None = None
        self._ended = threading.Event()
        self._process = self._started()
        self._guard = threading.Thread(target=self._look_after, name="tailrace-child", daemon=True)

    def _started(self) -> "subprocess.Popen[str]":
        try:
            process = subprocess.Popen(  # noqa: S603 - the interpreter itself, with a constant program
                [sys.executable, "-P", "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                # Signals are for the worker, which decides what they mean for its jobs.
                start_new_session=True,
            )
        except OSError as error:
            message = f"The job takes a process of its own, which could not be started: {error.strerror}."
            raise ConfigurationError(message, hint=f"Check that {sys.executable} can be run.") from None
        self._stdin, self._stdout = process.stdin, process.stdout
        return process

    def __enter__(self) -> Self:
        self._say(sys.path)
        self._say(unstructure(self._order))
        self._guard.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._process.kill()
        self._process.wait()
        self._guard.join()
        for pipe in (self._stdin, self._stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def outcome(self) -> Outcome:
        """How it came out."""
        for line in self._stdout or ():
            said = json.loads(line)
            if "outcome" in said:
                return self._judged(structure(said["outcome"], Outcome, what="What the process said"))
            self._observe(Progress(**said["progress"]))
        return self._died()

    def _observe(self, progress: Progress) -> None:
        self._phase = progress.phase
        self._attempt.observe(progress)

    def _judged(self, outcome: Outcome) -> Outcome:
        """Its own word; unless it was told to stop for a reason that only this side knows."""
        if outcome.cancelled and isinstance(self._reason, TailraceError):
            return Outcome.of(self._reason)
        return outcome

    def _died(self) -> Outcome:
        status = self._process.wait()
        self._attempt.died = True
        if isinstance(self._reason, TailraceError):
            return Outcome.of(self._reason)
        if status == OUT_OF_MEMORY:
            self._reason = self._too_large()
        if self._reason is not None:
            return Outcome(error=self._reason)
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"status {status}"
        message = f"The job ended the process that carried it out ({name}); nothing else was hurt."
        hint = "A plugin that takes part is broken, or it needs more memory than there is."
        return Outcome(error=JobError("Crash", message, hint=hint), crashed=True)

    def _look_after(self) -> None:
        """Tell it to stop when it is to, and kill it when it does not, or takes too much memory."""
        while not self._ended.wait(_LOOK_EVERY):
            try:
                self._attempt.context.check()
            except TailraceError as error:
                self._reason = error
                self._stop(at_once=not isinstance(error, CancelledError))
                return
            if self._order.memory is not None and self._resident() > self._order.memory:
                self._reason = self._too_large()
                self._process.kill()
                return

    def _too_large(self) -> JobError:
        """What is said of a job that took too much memory: another try would take as much."""
        message = f"The job took more than {(self._order.memory or 0) // 1_000_000:,} MB of memory, and was stopped."
        return JobError("OutOfMemory", message, hint="Narrow the export, or allow more: the setting jobs.memory.")

    def _stop(self, *, at_once: bool) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._say("cancel")
        patience = _TO_PUBLISH if self._phase == "delivering" and not at_once else _TO_STOP
        until = time.monotonic() + patience
        while time.monotonic() < until:
            if self._ended.wait(_LOOK_EVERY):
                return
        log.warning("job %s did not stop in %g seconds, and is stopped by force", self._order.job, patience)
        self._process.kill()

    def _resident(self) -> int:
        # Not on systems without /proc, where the limit that it has itself must do, nor once it has ended.
        with contextlib.suppress(OSError, IndexError):
            return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE
        return 0

    def _say(self, value: Any) -> None:
        if self._stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._stdin.write(json.dumps(value) + "\n")
                self._stdin.flush()

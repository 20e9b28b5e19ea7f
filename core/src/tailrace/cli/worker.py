"""``tailrace worker``."""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from tailrace.cli.quantities import counted
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.cli.supervision import end_now, handling

if TYPE_CHECKING:
    from tailrace.work.worker import Worker

_FAILED = 1
_LOOK_EVERY = 0.2


def worker(
    *,
    concurrency: Annotated[int | None, Parameter(validator=Number(gte=1, lte=64))] = None,
    until_idle: Annotated[bool, Parameter(negative=())] = False,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Carry out exports that were submitted, until it is stopped.

    SIGTERM, or Ctrl-C, lets running jobs finish for a few seconds, gives back what does not, and ends it. Any number of
    workers may share a store.

    Args:
        concurrency: Jobs at a time; the setting worker.concurrency if not given.
        until_idle: End when no job waits any more.
    """
    from tailrace.engine import Engine

    _take_little(session)
    # Not the session's, which asks for passwords: here is nobody who could answer, and a job that takes a process of
    # its own needs an engine that is all in its settings.
    engine = Engine(session.settings)
    works = engine.worker(concurrency=concurrency)
    terminal = session.terminal
    terminal.message(f"Worker {works.id[:8]}, {_at_a_time(works)}. Ctrl-C ends it. Its store: {engine.store.place}")
    with _log(session):
        _supervised(works, session, until_idle=until_idle)
    if common.json:
        terminal.document({"worker": works.id, "attempts": works.done})
    else:
        terminal.message(f"Ended after {counted(works.done, 'attempt')}.")
    return 0


@contextlib.contextmanager
def _log(session: Session) -> Iterator[None]:
    """Show what happens to jobs, each with its time: the one thing that is left of a worker the morning after."""

    class ToTerminal(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            moment = datetime.fromtimestamp(record.created, UTC)
            session.terminal.message(f"{moment:%Y-%m-%d %H:%M:%SZ} {self.format(record)}")

    logger = logging.getLogger("tailrace.work")
    handler, level = ToTerminal(logging.INFO), logger.level
    # Warnings are shown by the command line itself, and with --debug everything.
    shown_already = logging.DEBUG if session.terminal.debug else logging.WARNING
    handler.addFilter(lambda record: record.levelno < shown_already)
    logger.addHandler(handler)
    logger.setLevel(min(logging.INFO, shown_already))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _at_a_time(works: "Worker") -> str:
    return f"{counted(works.runner.free, 'job')} at a time"


def _take_little(session: Session) -> None:
    """Be as nice to other processes as the settings say; before polars is loaded, which asks once."""
    limits = session.settings.worker
    if limits.threads:
        os.environ["POLARS_MAX_THREADS"] = str(limits.threads)
    if limits.nice:
        os.nice(limits.nice)
        if os.getsid(0) == os.getpid():
            # Where Linux groups processes by session (sched_autogroup), niceness counts inside of a session only, and
            # between sessions that of the group: see sched(7). Not where others share the session, such as a shell.
            with contextlib.suppress(OSError):
                Path("/proc/self/autogroup").write_text(str(limits.nice))


def _supervised(works: "Worker", session: Session, *, until_idle: bool) -> None:
    """Run a worker in a thread of its own, so that the main thread hears signals."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            works.run(until_idle=until_idle)
        except BaseException as error:  # noqa: BLE001 - carried over to the main thread, whatever it is
            failure.append(error)

    heard = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if heard.is_set():
            end_now(_FAILED)
        heard.set()
        works.stop()

    thread = threading.Thread(target=run, name="tailrace-worker", daemon=True)
    told = False
    with handling(on_signal):
        thread.start()
        while thread.is_alive():
            thread.join(_LOOK_EVERY)
            if heard.is_set() and not told:
                told = True
                session.terminal.message("Stopping: running jobs get a few seconds. Once more ends it at once.")
    if failure:
        raise failure[0]

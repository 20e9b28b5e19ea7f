"""Runs a part of an export as a command should: with progress, a deadline, and Ctrl-C that cleans up."""

from collections.abc import Callable
from typing import TypeVar

from tailrace.cli.progress import display_for
from tailrace.cli.session import Session
from tailrace.cli.supervision import end_now, supervise
from tailrace.model.context import Context

T = TypeVar("T")

_FAILED = 1


def run(session: Session, do: Callable[[Context], T], *, timeout: float | None = None) -> T:
    """Do a part of an export, or something like it.

    Args:
        session: The command that asks.
        do: The work; it runs in a thread of its own and heeds the context.
        timeout: Seconds after which to give up.

    Raises:
        CancelledError: Ctrl-C, or another request to stop.
        DeadlineError: The time was up.
        TailraceError: Whatever ``do`` raises.
    """
    terminal = session.terminal
    display = display_for(terminal)
    context = Context(on_progress=display.report, timeout=timeout)

    def abort() -> None:
        display.close()
        end_now(_FAILED)

    try:
        return supervise(
            lambda: do(context),
            cancel=context.cancel,
            tick=display.refresh,
            stopping=lambda: terminal.message("Stopping and cleaning up. Ctrl-C once more ends it at once."),
            abort=abort,
        )
    finally:
        display.close()

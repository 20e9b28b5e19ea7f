"""Work in a thread of its own, so that the main thread hears Ctrl-C and can show progress.

polars computes in Rust, and Python runs signal handlers only between two steps of the main thread: an export that ran
there could not be interrupted.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Generic, TypeVar

import attrs

T = TypeVar("T")

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_HANGUP = getattr(signal, "SIGHUP", None)


@attrs.define
class _Work(Generic[T]):
    do: Callable[[], T]
    result: list[T] = attrs.field(factory=list)
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result.append(self.do())
        except BaseException as error:  # noqa: BLE001 - carried over to the main thread, whatever it is
            self.error = error


def supervise(
    do: Callable[[], T],
    *,
    cancel: Callable[[], None],
    tick: Callable[[], None],
    stopping: Callable[[], None],
    abort: Callable[[], None],
    interval: float = 0.1,
) -> T:
    """Do something in another thread and wait for it.

    Args:
        do: The work.
        cancel: Asks the work to stop; called from the signal handler at the first SIGINT, SIGTERM or SIGHUP.
        tick: Called every ``interval`` seconds, in this thread.
        stopping: Called once after the first signal, in this thread: tells people.
        abort: Called from the signal handler at the second signal; must not return.
        interval: Seconds.

    Returns:
        What ``do`` returned.

    Raises:
        BaseException: What ``do`` raised.
    """
    work = _Work(do)
    # A daemon, because a second signal must end the process whatever the thread is doing.
    thread = threading.Thread(target=work.run, name="tailrace-export", daemon=True)
    heard = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if heard.is_set():
            abort()
        heard.set()
        cancel()

    told = False
    with handling(on_signal):
        thread.start()
        while thread.is_alive():
            thread.join(interval)
            tick()
            if heard.is_set() and not told:
                told = True
                stopping()
    if work.error is not None:
        raise work.error
    return work.result[0]


def end_now(code: int) -> None:
    """End the process at once, without any clean-up."""
    os._exit(code)


@contextlib.contextmanager
def handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle SIGINT, SIGTERM and SIGHUP, until the block is left.

    Args:
        handler: Called at each.
    """
    if threading.current_thread() is not threading.main_thread():
        # Python hears signals in its main thread only; whoever called us from another one handles them.
        yield
        return
    # nohup(1) has the hangup ignored, and so it stays.
    heard = [number for number in _SIGNALS if number != _HANGUP or signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)

"""Between the engine, which works in threads, and an event loop of the application."""

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from tailrace.model.context import Context
from tailrace.model.errors import CancelledError

T = TypeVar("T")

_LOOP: Final = contextvars.ContextVar[asyncio.AbstractEventLoop | None]("tailrace_loop", default=None)
"""The loop in which somebody waits for what this thread does."""
_PATIENCE: Final = 0.05
"""Seconds after which a thread that waits for the application's code looks whether it is to stop."""
_LONGEST_END: Final = 5.0
"""Seconds that is waited for the application's code to end when it was told to."""


async def carried_out(executor: Executor, work: Callable[[], T], context: Context) -> T:
    """Have something done in a thread, and wait for it without keeping the loop from anything.

    The thread sees the context variables of whoever waits. Where the waiting is cancelled, by somebody or because a
    time is up, the work is told to stop, and this returns when it has: nothing goes on behind anybody's back.

    Args:
        executor: Gives the thread.
        work: What is done.
        context: Tells the work to stop.

    Raises:
        asyncio.CancelledError: The waiting was cancelled.
        BaseException: What the work raised.
    """
    seen = contextvars.copy_context()
    seen.run(_LOOP.set, asyncio.get_running_loop())
    future = executor.submit(seen.run, work)
    done = asyncio.wrap_future(future)
    try:
        await asyncio.wait([done])
    except asyncio.CancelledError:
        if not future.cancel():
            context.cancel()
        await _end_of(done)
        raise
    return done.result()


async def _end_of(done: "asyncio.Future[Any]") -> None:
    """Wait until it is done, however often the waiting is cancelled: by then it was told to stop."""
    while not done.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([done])
    if not done.cancelled():
        # Nobody else looks at it any more, which asyncio would complain of.
        done.exception()


def waited_for(given: Awaitable[T], context: Context) -> T:
    """What something comes to that has to be awaited, for a thread that cannot.

    Where somebody waits for this thread in a loop, it is awaited there, so that it may use what belongs to that loop;
    otherwise in a loop of its own.

    Args:
        given: A coroutine, or anything else that can be awaited.
        context: Says when nobody wants it any more.

    Raises:
        CancelledError: Somebody asked to stop.
        DeadlineError: The time is up.
        BaseException: What it raised.
    """
    loop = _LOOP.get()
    if loop is not None and not _is_this_thread(loop):
        return _awaited_in(loop, given, context)
    with _loop_of_its_own() as own:
        return _awaited_in(own, given, context)


def _is_this_thread(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _awaited_in(loop: asyncio.AbstractEventLoop, given: Awaitable[T], context: Context) -> T:
    ended = threading.Event()

    async def awaited() -> T:
        try:
            return await given
        finally:
            ended.set()

    future = asyncio.run_coroutine_threadsafe(awaited(), loop)
    try:
        _wait_for(ended, loop, context)
    except BaseException:
        future.cancel()
        if loop.is_running():
            ended.wait(_LONGEST_END)
        raise
    return future.result()


def _wait_for(ended: threading.Event, loop: asyncio.AbstractEventLoop, context: Context) -> None:
    """Wait for what a loop does, as long as there is a loop that does it.

    Raises:
        CancelledError: Somebody asked to stop; or nobody runs the loop any more, so that this thread would wait for
            ever, and keep the process from ending.
        DeadlineError: The time is up.
    """
    still = 0.0
    while not ended.wait(_PATIENCE):
        context.check()
        still = 0.0 if loop.is_running() else still + _PATIENCE
        if loop.is_closed() or still > _LONGEST_END:
            raise CancelledError(
                "Its event loop does not run any more.", hint="Let the loop run to the end of the export."
            )


@contextmanager
def _loop_of_its_own() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop in another thread: there may be one in this thread already, which waits for it."""
    begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def until_stopped() -> None:
        stopped = asyncio.Event()
        begun.set_result((asyncio.get_running_loop(), stopped))
        await stopped.wait()

    thread = threading.Thread(target=lambda: asyncio.run(until_stopped()), name="tailrace-awaiting", daemon=True)
    thread.start()
    loop, stopped = begun.result()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(_LONGEST_END)

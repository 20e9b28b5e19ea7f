"""Making tries side by side, by as many threads as the other side is slow."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_UNRECORDED = 8
"""How many times the tries of one moment may wait to be written down: one transaction costs as much as some tries."""
_SLOW = 0.005
"""Seconds without a word, after which more are served at the same time."""
_MOMENT = 0.02
"""Seconds that what was said waits to be written down together with what follows."""


class Crew(Generic[T, R]):
    """Makes tries side by side, and hands out what is said about them in portions that are worth a transaction.

    There are as many threads as the receivers are slow: one more each time that nobody says anything for a moment.
    No try begins while eight times as many as there may be threads are under way, or not written down: so many can be
    made twice, and no more, where this process is killed.

    Args:
        make: Makes a try.
        tries: The tries.
        parallel: Threads at most.
    """

    def __init__(self, make: Callable[[T], R], tries: Sequence[T], parallel: int) -> None:
        self._make, self._left = make, len(tries)
        self._todo: queue.SimpleQueue[T] = queue.SimpleQueue()
        for one in tries:
            self._todo.put(one)
        self._done: queue.SimpleQueue[R | BaseException] = queue.SimpleQueue()
        self._most = min(parallel, len(tries))
        self._threads = 0
        self._unrecorded = _UNRECORDED * parallel
        self._window = threading.Semaphore(self._unrecorded)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Nobody begins anything more, and nobody waits for ever.
        while not self._todo.empty():
            with suppress(queue.Empty):
                self._todo.get_nowait()
        self._window.release(self._unrecorded)

    def said(self) -> list[R | BaseException]:
        """What was said since the last time; nothing once all has been."""
        said: list[R | BaseException] = []
        until = time.monotonic() + _MOMENT
        while self._left:
            try:
                said.append(self._done.get(timeout=_SLOW))
                self._left -= 1
            except queue.Empty:
                self._hire()
            # Half of them, so that tries go on while the others are written down.
            if said and (len(said) >= self._unrecorded // 2 or time.monotonic() > until):
                break
        return said

    def recorded(self, count: int) -> None:
        """Take note that so many were written down."""
        self._window.release(count)

    def _hire(self) -> None:
        if self._threads < self._most and not self._todo.empty():
            thread = threading.Thread(target=self._work, name=f"tailrace-delivery-{self._threads}", daemon=True)
            try:
                thread.start()
                self._threads += 1
            except RuntimeError:
                # No more threads can be had: it goes on with those that there are.
                self._most = self._threads
        if not self._most:
            self._make_one()

    def _work(self) -> None:
        while self._make_one():
            pass

    def _make_one(self) -> bool:
        """Make the next try; False where there is none."""
        self._window.acquire()
        try:
            one = self._todo.get_nowait()
        except queue.Empty:
            self._window.release()
            return False
        try:
            self._done.put(self._make(one))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits for it
            self._done.put(error)
        return True

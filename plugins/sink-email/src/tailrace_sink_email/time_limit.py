"""A limit on the time that a connection may take in all, and on how long it outlives the wish to have it."""

import contextlib
import socket
import threading
import time
from types import TracebackType
from typing import Self

from tailrace import Context, InterruptedExportError

_SLICE = 0.2
"""Seconds between two looks at whether somebody cancelled."""


class TimeLimit:
    """Cuts a connection when its time is up, or when somebody cancels; whoever waits for it gets an error then.

    A time-out of a socket begins anew with each byte. A server that sends one now and then could hold a sender for
    ever. And whoever waits for a byte does not hear that nobody wants it any more.

    Args:
        seconds: The time, from entering the context.
        context: Cancellation and deadline; None for neither.
    """

    def __init__(self, seconds: float, context: Context | None = None) -> None:
        self.seconds = seconds
        self._context = None if context is None else context.quiet()
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._up = False
        self._interruption: InterruptedExportError | None = None
        self._over = threading.Event()
        self._until = 0.0
        self._watch = threading.Thread(target=self._wait, name="tailrace-mail-limit", daemon=True)

    def __enter__(self) -> Self:
        self._until = time.monotonic() + self.seconds
        self._watch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._watch.join()

    @property
    def is_up(self) -> bool:
        """Whether the time is up."""
        return self._up

    @property
    def interruption(self) -> InterruptedExportError | None:
        """Why it was cut before its time: somebody cancelled, or the deadline passed; None where it was not."""
        return self._interruption

    def guard(self, connection: socket.socket) -> None:
        """Cut this one; at once if the time is up already."""
        with self._lock:
            self._socket = connection
            if self._up or self._interruption:
                self._shut()

    def _wait(self) -> None:
        while (left := self._until - time.monotonic()) > 0:
            if self._over.wait(left if self._context is None else min(left, _SLICE)):
                return
            try:
                if self._context is not None:
                    self._context.check()
            except InterruptedExportError as interruption:
                self._cut(interruption)
                return
        self._cut(None)

    def _cut(self, interruption: InterruptedExportError | None) -> None:
        with self._lock:
            self._up, self._interruption = interruption is None, interruption
            self._shut()

    def _shut(self) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(OSError):
            # Of the class, not of the object: a TLS socket would forget its keys first, and what another thread is
            # about to send could go out in clear.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

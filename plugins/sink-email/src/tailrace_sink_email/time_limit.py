"""A limit on the time that a connection may take in all, however slowly the other side goes on."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class TimeLimit:
    """Cuts a connection when its time is up; whoever waits for it gets an error then.

    A time-out of a socket begins anew with each byte. A server that sends one now and then could hold a sender for
    ever.

    Args:
        seconds: The time, from entering the context.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._up = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()

    @property
    def is_up(self) -> bool:
        """Whether the time is up."""
        return self._up

    def guard(self, connection: socket.socket) -> None:
        """Cut this one; at once if the time is up already."""
        with self._lock:
            self._socket = connection
            if self._up:
                self._shut()

    def _cut(self) -> None:
        with self._lock:
            self._up = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is None:
            return
        with contextlib.suppress(OSError):
            # Of the class, not of the object: a TLS socket would forget its keys first, and what another thread is
            # about to send could go out in clear.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

"""A listening socket, and a thread for each connection to it; it can be closed, and opened again on the same port."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

THREADS = "tailrace-server"
"""How the names of the threads of all servers here begin, so that what they do can be told from what clients do."""

_PATIENCE = 10.0


class Listener:
    """Takes connections on 127.0.0.1.

    Args:
        serve: What is done with a connection, in a thread of its own; it is closed afterwards.
    """

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self.port = 0
        self._serve = serve
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._workers: set[threading.Thread] = set()

    def open(self) -> None:
        """Listen, on the port that it had before; nothing where it does already."""
        if self._socket is not None:
            return
        self._socket = listening_socket(self.port)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, args=(self._socket,), name=THREADS, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more, and end all connections."""
        if self._socket is None or self._thread is None:
            return
        with contextlib.suppress(OSError):
            # What wakes the thread that waits for the next connection; closing alone does not.
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(_PATIENCE)
        self._socket = self._thread = None
        with self._lock:
            connections, workers = list(self._open), list(self._workers)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for worker in workers:
            worker.join(_PATIENCE)

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _address = listening.accept()
            except OSError:
                return
            worker = threading.Thread(target=self._work, args=(connection,), name=THREADS, daemon=True)
            with self._lock:
                self._open.add(connection)
                self._workers.add(worker)
            worker.start()

    def _work(self, connection: socket.socket) -> None:
        try:
            with connection:
                self._serve(connection)
        finally:
            with self._lock:
                self._open.discard(connection)
                self._workers.discard(threading.current_thread())


def listening_socket(port: int) -> socket.socket:
    """A socket that listens on 127.0.0.1.

    Args:
        port: The port, which may be somebody else's for a moment; 0 for any.
    """
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return socket.create_server(("127.0.0.1", port), backlog=128)
        except OSError:
            if port == 0 or time.monotonic() > end:
                raise
            time.sleep(0.05)

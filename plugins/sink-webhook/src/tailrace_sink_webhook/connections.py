"""Connections kept between deliveries: few, not for long, and each to an address that was checked."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from httpcore import ConnectionPool

IDLE_SECONDS = 4.0
"""How long an idle connection is kept: less than what usual servers keep one, so that it is us who close."""
MOST_IDLE = 8
"""How many idle connections are kept for each set of settings."""


@attrs.frozen
class Route:
    """What makes connections of one kind different from those of another.

    Args:
        plain: Whether they are without TLS.
        allow: What may be reached although it leads inside.
        ca_file: File with further authorities; empty for none.
    """

    plain: bool
    allow: tuple[str, ...] = ()
    ca_file: str = ""


@attrs.define
class _Kept:
    pool: "ConnectionPool"
    users: int = 0
    since: float = 0.0


class KeptConnections:
    """Pools of connections by route, for all threads of a process.

    Args:
        make: Makes a pool.
        idle: Seconds after which what nobody uses is closed.
    """

    def __init__(self, make: "Callable[[Route], ConnectionPool]", *, idle: float = IDLE_SECONDS) -> None:
        self._make = make
        self._idle = idle
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._kept: dict[Route, _Kept] = {}
        self._sweeping = False

    @contextlib.contextmanager
    def using(self, route: Route) -> "Iterator[ConnectionPool]":
        """The pool of a route, for the time of the block.

        Raises:
            ConfigurationError: The file with authorities cannot be used.
        """
        with self._lock:
            self._forget_after_fork()
            kept = self._kept.get(route)
            if kept is None:
                kept = self._kept[route] = _Kept(self._make(route))
            kept.users += 1
        try:
            yield kept.pool
        finally:
            with self._lock:
                kept.users -= 1
                kept.since = time.monotonic()
                if not self._sweeping:
                    self._sweep_after(self._idle)

    def _forget_after_fork(self) -> None:
        # Two processes must not talk over one connection: the parent keeps it, and closing it here is not heard there.
        if self._process != os.getpid():
            for kept in self._kept.values():
                kept.pool.close()
            self._process, self._kept, self._sweeping = os.getpid(), {}, False

    def _sweep_after(self, seconds: float) -> None:
        self._sweeping = True
        timer = threading.Timer(seconds, self._sweep)
        timer.daemon = True
        timer.start()

    def _sweep(self) -> None:
        """Close what has been idle for long enough, and come back for the rest."""
        with self._lock:
            now = time.monotonic()
            waits = {route: kept.since + self._idle - now for route, kept in self._kept.items() if not kept.users}
            closing = [self._kept.pop(route).pool for route, wait in waits.items() if wait <= 0]
            left = [wait for wait in waits.values() if wait > 0]
            self._sweeping = False
            if left:
                self._sweep_after(min(left))
        for pool in closing:
            pool.close()

"""Pools that an application keeps itself, by the names that requests call them by: ``host:NAME``."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import attrs

from tailrace.hosting.names import check_name
from tailrace.model.errors import AlreadyExistsError, RequestError
from tailrace.plugins.pools import (
    HOST_PREFIX,
    OpenPoolCall,
    PoolFile,
    PoolKeeper,
    PoolTarget,
    ReadPoolCall,
    RenderedPool,
    RenderPoolCall,
    named_pool,
)
from tailrace.restore.hosting import HostPool, RecordsTarget

_PATIENCE: Final = 0.05
"""Seconds after which an import that waits for another one looks whether it is to stop."""


@attrs.frozen
class _Kept:
    """A pool, and what keeps two imports from writing to it at once."""

    target: PoolTarget = attrs.field(repr=False)
    writing: threading.Lock = attrs.field(factory=threading.Lock, repr=False)


class HostPools(Mapping[str, PoolTarget]):
    """The pools of an application, by name; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: Mapping[str, _Kept] = {}

    def add(self, name: str, pool: "HostPool | PoolTarget", *, replace: bool = False) -> Callable[[], None]:
        """Let exports and imports name a pool.

        Args:
            name: Its name: ``host:NAME`` is its location.
            pool: The pool: what lists proxies and makes changes, or a target that says more of itself.
            replace: Whether it takes the place of one of that name.

        Returns:
            A function that takes it away again; called again, it does nothing.

        Raises:
            RequestError: A name that cannot be one, or something that is no pool.
            AlreadyExistsError: There is one of that name.
        """
        check_name(name, "pool")
        if isinstance(pool, PoolTarget):
            target: PoolTarget = pool
        elif callable(getattr(pool, "proxies", None)) and callable(getattr(pool, "apply", None)):
            # Plans and undo records say into which pool they went: another one is another kind.
            target = RecordsTarget(pool, kind=f"{HOST_PREFIX}{name}")
        else:
            message = f"{type(pool).__name__} is no pool: it has no methods proxies() and apply(add, update, remove)."
            raise RequestError(message, hint="See tailrace.HostPool.")
        kept = _Kept(target)
        with self._lock:
            if name in self._pools and not replace:
                message = f"There is a pool {name!r} already."
                raise AlreadyExistsError(message, hint="Take another name, or pass replace=True.")
            self._pools = {**self._pools, name: kept}

        def remove() -> None:
            with self._lock:
                self._pools = {other: one for other, one in self._pools.items() if one is not kept}

        return remove

    def __getitem__(self, name: str) -> PoolTarget:
        return self._pools[name].target

    def __iter__(self) -> Iterator[str]:
        return iter(self._pools)

    def __len__(self) -> int:
        return len(self._pools)

    @contextmanager
    def opened(self, call: OpenPoolCall) -> Iterator[PoolTarget]:
        """Open a pool; to be written to by one at a time.

        Raises:
            UnknownNameError: There is none of that name.
            RequestError: Something is asked of it that only a file can be.
            CancelledError: Somebody asked to stop.
            DeadlineError: The time is up.
        """
        pools = self._pools
        named_pool(call.location, {name: kept.target for name, kept in pools.items()})
        kept = pools[call.location.removeprefix(HOST_PREFIX)]
        if call.dialect or call.template:
            message = "A pool of the application has no dialect."
            raise RequestError(message, hint="Leave the dialect and the template of the target out.")
        if not call.write:
            yield kept.target
            return
        while not kept.writing.acquire(timeout=_PATIENCE):
            call.context.check()
        try:
            yield kept.target
        finally:
            kept.writing.release()


@attrs.frozen
class WithHostPools:
    """A keeper of pools that knows those of the application as well; see :class:`~tailrace.plugins.pools.PoolKeeper`.

    Args:
        keeper: Knows the others.
        pools: Those of the application.
    """

    keeper: Callable[[], PoolKeeper] = attrs.field(repr=False)
    pools: HostPools = attrs.field(repr=False)

    def read_pool(self, call: ReadPoolCall) -> PoolFile:
        """Read a file."""
        return self.keeper().read_pool(call)

    def render_pool(self, call: RenderPoolCall) -> RenderedPool:
        """Write proxies as the content of a file."""
        return self.keeper().render_pool(call)

    def open_pool(self, call: OpenPoolCall) -> AbstractContextManager[PoolTarget]:
        """Open a pool: one of the application's where the location says so."""
        return self.pools.opened(call) if call.location.startswith(HOST_PREFIX) else self.keeper().open_pool(call)

"""The sources that an application gives to an engine, by name."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tailrace.hosting.names import check_name
from tailrace.model.errors import AlreadyExistsError
from tailrace.plugins.registry import Registry

if TYPE_CHECKING:
    from tailrace.hosting.frames import HostSource

_INNER: Final = frozenset({"audit", "drill"})
"""Sources that the engine has itself."""


class HostSources:
    """The sources of an application; from any thread.

    Args:
        registry: Where requests find them, among the plugins.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._sources: dict[str, HostSource] = {}

    def __len__(self) -> int:
        return len(self._sources)

    def names(self) -> tuple[str, ...]:
        """Their names."""
        with self._lock:
            return tuple(self._sources)

    def plugins(self) -> "tuple[tuple[str, HostSource], ...]":
        """All of them, as a registry takes them."""
        with self._lock:
            return tuple(self._sources.items())

    def add(self, source: "HostSource", *, replace: bool = False) -> Callable[[], None]:
        """Let requests name a source.

        Args:
            source: The source.
            replace: Whether it takes the place of one of that name that the application gave before; never of a plugin.

        Returns:
            A function that takes it away again; called again, it does nothing.

        Raises:
            RequestError: A name that cannot be one.
            AlreadyExistsError: There is a source of that name.
        """
        name = source.name
        check_name(name, "source")
        with self._lock:
            before = self._sources.get(name)
            taken = name in _INNER or (before is None and self._registry.offers("source", name))
            if taken or (before is not None and not replace):
                which = "a source of the application" if before is not None else "a source"
                hint = "Take another name, or pass replace=True." if before is not None else "Take another name."
                raise AlreadyExistsError(f"There is {which} {name!r} already.", hint=hint)
            self._registry.add(name, source)
            self._sources[name] = source

        def remove() -> None:
            with self._lock:
                if self._sources.get(name) is source:
                    del self._sources[name]
                    self._registry.take_away("source", name)

        return remove

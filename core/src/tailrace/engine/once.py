"""Parts of an object that are made when they are first asked for: once, however many threads ask."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")
_LOCKS = "_once_locks"


class once(Generic[T]):  # noqa: N801 - used like property and functools.cached_property
    """An attribute that is made by the decorated method when it is first asked for, under a lock of its own.

    ``functools.cached_property`` has no lock any more from Python 3.12 on, and two threads get two objects from it:
    two stores, two sets of connections. Here whoever comes second waits for the first. What a part is made of are
    other parts, and never the other way round, so that nobody waits in a circle. A part that could not be made is made
    again when it is asked for again.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.func = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, owner: None, kind: type) -> "once[T]": ...

    @overload
    def __get__(self, owner: object, kind: type) -> T: ...

    def __get__(self, owner: object | None, kind: type) -> "once[T] | T":
        if owner is None:
            return self
        # What is there already is found before this is called: it has no __set__.
        parts = vars(owner)
        locks: dict[str, threading.RLock] = parts.setdefault(_LOCKS, {})
        with locks.setdefault(self._name, threading.RLock()):
            if self._name not in parts:
                parts[self._name] = self.func(owner)
            made: T = parts[self._name]
            return made

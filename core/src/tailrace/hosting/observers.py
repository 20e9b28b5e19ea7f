"""Those whom an application lets watch its exports."""

import inspect
import threading
from collections.abc import Callable, Iterable

from tailrace.model.errors import RequestError
from tailrace.plugins.kinds import ExportEvent
from tailrace.plugins.observing import tell
from tailrace.plugins.registry import Registry

Observer = Callable[[ExportEvent], object]
"""Told what happens to exports, in the thread that carries them out; what it returns says nothing."""


class Observers:
    """The observers of one engine: plugins of kind ``hook``, and functions of the application; from any thread.

    Args:
        registry: The plugins.
        observers: The functions.
    """

    def __init__(self, registry: Registry, observers: Iterable[Observer] = ()) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._observers: tuple[tuple[object, Observer], ...] = ()
        for observer in observers:
            self.add(observer)

    def __len__(self) -> int:
        return len(self._observers)

    def add(self, observer: Observer) -> Callable[[], None]:
        """Let somebody watch from now on.

        Args:
            observer: Called with each event.

        Returns:
            A function that ends it; called again, it does nothing.

        Raises:
            RequestError: It is none: something that cannot be called, or that would have to be awaited.
        """
        if not callable(observer) or _awaits(observer):
            message = "An observer is a plain function that takes an event."
            hint = "For a loop, hand the event over: loop.call_soon_threadsafe(queue.put_nowait, event)"
            raise RequestError(message, hint=hint)
        # The same function may be given twice, and each of them is ended by itself.
        token = object()
        with self._lock:
            self._observers = (*self._observers, (token, observer))

        def remove() -> None:
            with self._lock:
                self._observers = tuple(pair for pair in self._observers if pair[0] is not token)

        return remove

    def tell(self, event: ExportEvent) -> None:
        """Tell everybody what happened, one by one. What one of them raises is logged and changes nothing."""
        self._registry.notify(event)
        for _token, observer in self._observers:
            tell(observer, event, name=getattr(observer, "__qualname__", type(observer).__name__))


def _awaits(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - asks what it is, not whether

"""The one object that a host application needs."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from tailrace.engine.awaiting import Awaiting
from tailrace.engine.hosting import Hosting
from tailrace.engine.sealing import Sealing
from tailrace.engine.working import Working

if TYPE_CHECKING:
    from concurrent.futures import Executor


class Engine(Awaiting, Sealing, Working, Hosting):
    """Exports data: from sources, through polars, into formats, on to sinks.

    An engine has no global state; several live in one process, each with its own plugins, and each may be used from any
    number of threads. It prints nothing and configures no logging.

    Args:
        settings: Settings; by default those of ``tailrace.toml`` in the working folder and ``TAILRACE_…`` variables.
        plugins: Plugins to use, given by the host; see :class:`~tailrace.plugins.registry.Registry`.
        discover: Whether installed plugins are found by their entry points.
        user: Says who asks where a call does not, such as the current user of a web framework. It is asked in the
            thread that the call is made in, or that ``await`` has it carried out in, with the same context variables.
            Where it gives None, the call is refused.
        observers: Functions that are told what happens to exports; see :meth:`add_observer`.
        clock: Says what time it is, with its zone.
        keyring: Finds keys by reference; by default in files, the environment and the system's keyring.
        http_client: Sends what sinks send by HTTP, such as an ``httpx.Client``; connections of their own by default.
    """

    def close(self) -> None:
        """End its threads and close its connections, once what is being awaited has ended. It may be called again.

        An engine that lives as long as its process need not be closed. Workers are stopped by themselves, before. An
        engine that is used again opens its store again. A client that the host gave stays open.
        """
        threads: Executor | None = vars(self).pop("_threads", None)
        if threads is not None:
            threads.shutdown()
        if "_carrier" in vars(self):
            self._carrier.rest()
        if "store" in vars(self):
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

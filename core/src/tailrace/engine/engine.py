"""The one object that a host application needs."""

from tailrace.engine.awaiting import Awaiting
from tailrace.engine.hosting import Hosting
from tailrace.engine.sealing import Sealing
from tailrace.engine.working import Working


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

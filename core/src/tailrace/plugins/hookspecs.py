"""Hook specifications: how a plugin hands over what it offers, and observes exports.

Each hook belongs to a version of the contract (:mod:`tailrace.plugins.contract`). An argument that is going to be taken
away is named in ``warn_on_impl_args`` of its specification for at least as long as the page on contracts says; plugins
that still take it are pointed out by ``tailrace plugins doctor``.
"""

from collections.abc import Sequence

import pluggy

from tailrace.model.metric import Metric
from tailrace.plugins.kinds import ExportEvent, Format, Source
from tailrace.plugins.sinks import Sink

PROJECT = "tailrace"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function as the implementation of a hook of this page."""


@hookspec
def tailrace_source() -> Source:  # type: ignore[empty-body]
    """Return the source that an entry point of group ``tailrace.sources`` names."""


@hookspec
def tailrace_format() -> Format:  # type: ignore[empty-body]
    """Return the format that an entry point of group ``tailrace.formats`` names."""


@hookspec
def tailrace_sink() -> Sink:  # type: ignore[empty-body]
    """Return the sink that an entry point of group ``tailrace.sinks`` names."""


@hookspec
def tailrace_export_event(event: ExportEvent) -> None:
    """Observe an export: called when it starts, goes on, finishes or fails.

    What an observer raises is logged and changes nothing; keep it short, it runs in the export's thread.

    Args:
        event: What happened.
    """


@hookspec
def tailrace_metrics() -> Sequence[Metric]:  # type: ignore[empty-body]
    """Return metrics for dashboards, in addition to those there are.

    Called once for each engine, when a dashboard is first made. What it raises is logged and keeps none of the others
    from being used.
    """

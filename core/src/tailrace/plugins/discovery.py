"""What plugins there are, from the metadata of installed distributions; nothing of a plugin is imported."""

import importlib.metadata
import logging
from collections.abc import Iterator

import attrs

from tailrace.plugins.selection import normalized

GROUPS = {
    "tailrace.sources": "source",
    "tailrace.formats": "format",
    "tailrace.sinks": "sink",
    "tailrace.hooks": "hook",
}
"""Groups of entry points, and the kind of plugin that each holds."""

UNKNOWN = "unknown"
"""Stands where a distribution does not tell its name or version."""

_log = logging.getLogger(__name__)


@attrs.frozen
class Candidate:
    """A plugin that a distribution offers.

    Args:
        kind: ``"source"``, ``"format"``, ``"sink"`` or ``"hook"``.
        name: Its public name.
        target: The module or object that implements its hooks, as ``package.module`` or ``package.module:object``.
        distribution: Name of the distribution it comes from.
        version: Version of that distribution.
        entry_point: Imports the target.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    entry_point: importlib.metadata.EntryPoint = attrs.field(repr=False, eq=False)


def discover() -> tuple[Candidate, ...]:
    """List the plugins of all installed distributions, ordered by kind and name.

    A distribution whose metadata cannot be read is logged and left out; it does not hide the others.
    """
    found: list[Candidate] = []
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        try:
            offered = list(_offered(distribution))
        except Exception as error:  # noqa: BLE001 - one unreadable distribution must not hide the others
            _log.warning("The plugins of a distribution cannot be read: %s: %s", type(error).__name__, error)
            continue
        owners = {normalized(candidate.distribution) for candidate in offered} - {UNKNOWN}
        # The same distribution may lie twice on the path; like imports, the first one wins.
        if not owners & seen:
            found += offered
        seen |= owners
    order = list(GROUPS.values())
    return tuple(sorted(found, key=lambda one: (order.index(one.kind), one.name, one.distribution, one.target)))


def _offered(distribution: importlib.metadata.Distribution) -> Iterator[Candidate]:
    # Reading the name parses a whole mail header: only worth it for the few distributions that have plugins.
    if "[tailrace." not in (distribution.read_text("entry_points.txt") or ""):
        return
    name, version = _identity(distribution)
    for entry_point in dict.fromkeys(distribution.entry_points):
        kind = GROUPS.get(entry_point.group)
        if kind is not None:
            yield Candidate(kind, entry_point.name, entry_point.value, name, version, entry_point)


def _identity(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    try:
        headers = distribution.metadata
        return headers["Name"] or UNKNOWN, headers["Version"] or UNKNOWN
    except Exception:  # noqa: BLE001 - what a missing METADATA raises depends on the version of Python
        return UNKNOWN, UNKNOWN

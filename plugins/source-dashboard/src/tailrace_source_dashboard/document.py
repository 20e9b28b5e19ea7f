"""The shape of a dashboard file."""

from collections.abc import Mapping
from typing import Any

import attrs

Texts = tuple[str, ...]


@attrs.frozen
class RangeSpec:
    """The time that a dashboard is about: ``last``, or ``since`` and ``until``.

    Args:
        last: So much before the newest row that there is: ``"24h"``, ``"7d"``, ``"4w"``.
        since: From then on; as for ``--since``.
        until: Before then.
    """

    last: str | None = None
    since: str | None = None
    until: str | None = None


@attrs.frozen
class PlaceSpec:
    """Where one of the sources reads.

    Args:
        location: As for ``--from``; a path counts from the folder of the file.
        options: Options of that source.
    """

    location: str
    options: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class PanelSpec:
    """One panel, as it is written; what each key means is in ``docs/reference/dashboards.md``."""

    kind: str
    title: str | None = None
    name: str | None = None
    note: str = ""
    metric: str | None = None
    metrics: Texts = ()
    by: str | None = None
    every: str | None = None
    split: str | None = None
    filter: str | None = None
    top: int | None = None
    order: str = "most"
    rank: str | None = None
    at_least: int | None = None
    others: bool | None = None
    table: str | None = None
    columns: Texts = ()
    sort: str | None = None
    of: str | None = None
    bins: int | None = None
    warning: float | None = None
    bad: float | None = None
    optional: bool = False
    width: int | None = None
    height: int | None = None
    column: int | None = None
    row: int | None = None


@attrs.frozen
class PageSpec:
    """A page.

    Args:
        heading: Its heading.
        text: A paragraph below.
        panels: By their place in the file: those that could be read.
    """

    heading: str
    text: str = ""
    panels: Mapping[int, PanelSpec] = attrs.field(factory=dict)


@attrs.frozen
class HeadSpec:
    """What a dashboard says beside its pages."""

    title: str
    subtitle: str = ""
    currency: str = ""
    optional: bool = False
    filters: Texts = ()
    range: RangeSpec = RangeSpec()


@attrs.frozen
class Document:
    """A dashboard, as it is written.

    Args:
        head: Title, range, filters.
        data: Where each source reads.
        pages: By their place in the file: those that could be read.
    """

    head: HeadSpec
    data: Mapping[str, PlaceSpec]
    pages: Mapping[int, PageSpec]

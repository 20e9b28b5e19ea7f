"""The shape of a report: what it says, not how it is drawn.

PDF and HTML formats draw the same :class:`Report`; nothing in here knows about pages, fonts or colours.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import attrs

ChartKind = Literal["line", "bar", "histogram", "heatmap"]
Cell = str | int | float | bool | datetime | None


def _rows(rows: Iterable[Iterable[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(row) for row in rows)


@attrs.frozen
class Figure:
    """A key figure: one number that people look at first."""

    label: str
    value: Cell
    unit: str = ""


@attrs.frozen
class Series:
    """One line or set of bars; ``None`` in ``y`` is a gap and drawn as one, never as zero."""

    label: str
    x: Sequence[Cell] = attrs.field(converter=tuple)
    y: Sequence[float | None] = attrs.field(converter=tuple)


@attrs.frozen
class Chart:
    """A chart by its data: kind, axes and series."""

    title: str
    kind: ChartKind
    x_label: str
    y_label: str
    series: Sequence[Series] = attrs.field(converter=tuple)


@attrs.frozen
class ReportTable:
    """A small table of a report: headings and rows of plain values."""

    title: str
    headings: Sequence[str] = attrs.field(converter=tuple)
    rows: Sequence[Sequence[Cell]] = attrs.field(converter=_rows)


@attrs.frozen
class Section:
    """A part of a report under one heading."""

    heading: str
    text: str = ""
    figures: Sequence[Figure] = attrs.field(default=(), converter=tuple)
    charts: Sequence[Chart] = attrs.field(default=(), converter=tuple)
    tables: Sequence[ReportTable] = attrs.field(default=(), converter=tuple)


@attrs.frozen
class Report:
    """A document as plain data.

    Args:
        title: Title of the whole.
        covers: What the report is about and what is missing from it, in sentences.
        sections: The parts, in order.
    """

    title: str
    covers: Sequence[str] = attrs.field(default=(), converter=tuple)
    sections: Sequence[Section] = attrs.field(default=(), converter=tuple)

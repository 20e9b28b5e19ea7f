"""The shape of a report: what it says, not how it is drawn.

PDF and HTML formats draw the same :class:`Report`; nothing in here knows about pages, fonts or colours. A report has
sections, a section has panels on a grid of twelve columns, and a panel has one content: a :class:`Figure`, a
:class:`Chart`, a :class:`ReportTable` of its own, a :class:`TableView` of a table of the dataset, or :class:`Prose`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal

import attrs

COLUMNS = 12
"""Columns of the grid."""

ChartKind = Literal["line", "bar", "stacked", "pie", "donut", "histogram", "heatmap"]
Mark = Literal["good", "warning", "bad"]
Cell = str | int | float | bool | datetime | None


def _rows(rows: Iterable[Iterable[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    return tuple(tuple(row) for row in rows)


def _texts(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(texts)


def _panels(panels: "Iterable[Panel]") -> "tuple[Panel, ...]":
    return tuple(panels)


def _sections(sections: "Iterable[Section]") -> "tuple[Section, ...]":
    return tuple(sections)


def _series(series: "Iterable[Series]") -> "tuple[Series, ...]":
    return tuple(series)


def _marks(marks: Iterable[Mark | None]) -> tuple[Mark | None, ...]:
    return tuple(marks)


def _places(places: Iterable[Cell]) -> tuple[Cell, ...]:
    return tuple(places)


def _values(values: Iterable[float | None]) -> tuple[float | None, ...]:
    return tuple(values)


def _pairs(pairs: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, heading) for name, heading in pairs)


@attrs.frozen
class Figure:
    """A key figure: one number that people look at first; its panel's title says of what.

    Args:
        value: The number; None where there is none, which is drawn as such and never as zero.
        unit: Unit, such as ``"%"`` or ``"ms"``.
        detail: A line below, such as what it was before.
        mark: Whether it is good or bad.
    """

    value: Cell
    unit: str = ""
    detail: str = ""
    mark: Mark | None = None


@attrs.frozen
class Series:
    """One line or set of bars; ``None`` in ``y`` is a gap and drawn as one, never as zero."""

    label: str
    x: Sequence[Cell] = attrs.field(converter=_places)
    y: Sequence[float | None] = attrs.field(converter=_values)

    def __attrs_post_init__(self) -> None:
        if len(self.x) != len(self.y):
            message = f"Series {self.label!r} has {len(self.x)} places and {len(self.y)} values."
            raise ValueError(message)


@attrs.frozen
class Chart:
    """A chart by its data; its panel's title says what is to be seen.

    What ``x`` holds makes the axis: moments an axis of times, numbers one of numbers, texts categories in the order
    given.

    =========  ========================================================================================================
    line       a line for each series; gaps where ``y`` is None
    bar        bars for each category, side by side for several series
    stacked    bars for each category (or moment), the series on top of each other
    pie        shares of one series: ``x`` are the names of the parts
    donut      the same with a hole, the sum in it
    histogram  one series: ``x`` are the lower bounds of equally wide bins, ``y`` what is in them
    heatmap    a row for each series, a column for each ``x``; the values are the shades
    =========  ========================================================================================================

    Args:
        kind: Of the table above.
        series: The data.
        x_label: What ``x`` is, with its unit.
        y_label: What ``y`` is, with its unit.
        unit: Unit of ``y``, for single values.
        y_range: Least and greatest value of the axis, where they do not follow from the data (0 to 100 for a share).
        x_step: Seconds between two moments, or width of a bin, where the places are equally far from each other.
        horizontal: Whether bars lie, for long names of categories.
    """

    kind: ChartKind
    series: Sequence[Series] = attrs.field(converter=_series)
    x_label: str = ""
    y_label: str = ""
    unit: str = ""
    y_range: tuple[float, float] | None = None
    x_step: float | None = None
    horizontal: bool = False


@attrs.frozen
class ReportTable:
    """A small table of a report: headings and rows of plain values.

    Args:
        headings: One for each column.
        rows: The values.
        marks: One for each row, or none at all: None, or what the row is marked as.
        units: Unit of each column, or none at all.
    """

    headings: Sequence[str] = attrs.field(converter=_texts)
    rows: Sequence[Sequence[Cell]] = attrs.field(converter=_rows)
    marks: Sequence[Mark | None] = attrs.field(default=(), converter=_marks)
    units: Sequence[str] = attrs.field(default=(), converter=_texts)

    def __attrs_post_init__(self) -> None:
        wrong = next((row for row in self.rows if len(row) != len(self.headings)), None)
        if wrong is not None:
            message = f"A row has {len(wrong)} values, and there are {len(self.headings)} headings."
            raise ValueError(message)
        if self.marks and len(self.marks) != len(self.rows):
            message = f"There are {len(self.marks)} marks for {len(self.rows)} rows."
            raise ValueError(message)
        if self.units and len(self.units) != len(self.headings):
            message = f"There are {len(self.units)} units for {len(self.headings)} columns."
            raise ValueError(message)


@attrs.frozen
class TableView:
    """A table of the dataset, shown in the report: rows in their order, as many as the view says or a format can.

    Args:
        table: Name of the table.
        columns: Pairs of a column and its heading; all columns under their names when empty.
        most: How many rows at most; the rest is in the file as data. None: as many as the format shows.
        mark: Name of a text column that marks rows (``good``, ``warning``, ``bad`` or null), if there is one. It is
            not shown unless it is among ``columns``.
    """

    table: str
    columns: Sequence[tuple[str, str]] = attrs.field(default=(), converter=_pairs)
    most: int | None = None
    mark: str | None = None


@attrs.frozen
class Prose:
    """Paragraphs of text."""

    paragraphs: Sequence[str] = attrs.field(converter=_texts)


Content = Figure | Chart | ReportTable | TableView | Prose


@attrs.frozen
class Basis:
    """What a panel is about, told below it: readers must not have to guess.

    Args:
        rows: How many rows it is made of; None where that means nothing.
        since: Where its time range begins; None for no bound.
        until: Where its time range ends, exclusive; None for no bound.
        filters: Filters that apply, as people wrote them.
        note: What else one has to know, such as what is missing.
    """

    rows: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    filters: Sequence[str] = attrs.field(default=(), converter=_texts)
    note: str = ""


@attrs.frozen
class Panel:
    """One thing to look at, on the grid.

    Args:
        title: What is to be seen: "Availability fell to 18 % on 20 August" rather than "Availability".
        content: The thing.
        width: Columns of twelve.
        height: Rows of the grid, each as high as a column is wide; a table that needs more gets more. None: what is
            usual for its content.
        column: First column, 0 to 11; None: behind the panel before, or at the left of the next row.
        row: First row of the section, from 0; given together with ``column``.
        description: What a chart shows, in words, for people who do not see it.
        basis: What it is about.
    """

    title: str
    content: Content
    width: int = COLUMNS
    height: int | None = None
    column: int | None = None
    row: int | None = None
    description: str = ""
    basis: Basis | None = None

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.width <= COLUMNS or (self.height is not None and self.height < 1):
            message = f"Panel {self.title!r} is {self.width} wide and {self.height} high; there are {COLUMNS} columns."
            raise ValueError(message)
        if (self.column is None) != (self.row is None):
            message = f"Panel {self.title!r} has a column without a row, or a row without a column."
            raise ValueError(message)
        if min(self.column or 0, self.row or 0) < 0 or (self.column or 0) + self.width > COLUMNS:
            message = f"Panel {self.title!r} does not lie on the grid of {COLUMNS} columns."
            raise ValueError(message)


@attrs.frozen
class Section:
    """A part of a report under one heading.

    Args:
        heading: Its heading, also in the contents.
        panels: What is in it, in reading order.
        text: A paragraph below the heading.
        new_page: Whether it begins on a page of its own.
    """

    heading: str
    panels: Sequence[Panel] = attrs.field(default=(), converter=_panels)
    text: str = ""
    new_page: bool = False


@attrs.frozen
class Report:
    """A document as plain data.

    Args:
        title: Title of the whole.
        subtitle: A line below it, such as what it is made from.
        covers: What the report is about and what is missing from it, in sentences.
        sections: The parts, in order.
        basis: Range, filters and rows of the whole.
    """

    title: str
    subtitle: str = ""
    covers: Sequence[str] = attrs.field(default=(), converter=_texts)
    sections: Sequence[Section] = attrs.field(default=(), converter=_sections)
    basis: Basis = attrs.field(factory=Basis)

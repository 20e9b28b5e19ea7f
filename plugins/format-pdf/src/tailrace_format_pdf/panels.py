"""The panels of a report: how high each is, and drawing it into its box."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import attrs

from tailrace import Brand, Chart, DocumentFonts, Figure, Panel, Prose, ReportTable, TableView, draw_chart, shown_value
from tailrace_format_pdf import pen as pens
from tailrace_format_pdf.attachments import table_file
from tailrace_format_pdf.columns import Grid, Plan, planned
from tailrace_format_pdf.grids import Collected, grid_of_table, grid_of_view
from tailrace_format_pdf.inside import Book, Mark
from tailrace_format_pdf.pen import Pen, area
from tailrace_format_pdf.rows import Painted, Room, height, painted
from tailrace_format_pdf.sheet import Pages
from tailrace_format_pdf.theme import (
    H2,
    INK,
    KEY,
    LEADING,
    LEAST,
    MARKS,
    MM,
    PLAIN_SIGNS,
    QUIET,
    SMALL,
    TEXT,
    TILE,
    colour,
)
from tailrace_format_pdf.wording import basis_text, rows_drawn

_PAD = 8.0
_SMALLER = 0.5
"""Size of a unit beside its number."""
_LEAST_KEY = 10.0
_BETWEEN = 5.0
_LEAST_CHART = 110.0


@attrs.frozen
class Ink:
    """What everything is drawn with.

    Args:
        book: The document.
        pen: Its fonts.
        brand: Its colours.
        fonts: Files of its fonts.
        zone: IANA zone of moments.
        tables: The tables of the export.
        most_rows: How many rows of a table are drawn at most.
    """

    book: Book
    pen: Pen
    brand: Brand
    fonts: DocumentFonts
    zone: str
    tables: Mapping[str, Collected]
    most_rows: int

    @functools.cached_property
    def accent(self) -> str:
        """Colour of headings and rules."""
        return colour(self.brand.accent)


@attrs.frozen
class Box:
    """Where a panel goes: left side, upper side from below, and size, in points."""

    left: float
    top: float
    width: float
    height: float


class Block(Protocol):
    """A panel that can be drawn."""

    panel: Panel

    def height(self, width: float, most: float) -> float:
        """How high it has to be; anything above ``most`` if that is not enough."""
        ...

    def draw(self, box: Box, page: int) -> None:
        """Draw it on a page."""
        ...


def block_of(panel: Panel, ink: Ink) -> Block:
    """What draws a panel."""
    content = panel.content
    if isinstance(content, Figure):
        return Tile(panel, ink, content)
    if isinstance(content, Chart):
        return ChartBlock(panel, ink, content)
    if isinstance(content, Prose):
        return ProseBlock(panel, ink, content)
    if isinstance(content, ReportTable):
        grid = grid_of_table(content, ink.zone, ink.pen.faces)
        return TableBlock(panel, ink, grid, "")
    return _view(panel, ink, content)


def _view(panel: Panel, ink: Ink, view: TableView) -> "TableBlock":
    grid, rows = grid_of_view(view, ink.tables, ink.pen.faces, most=ink.most_rows)
    return TableBlock(panel, ink, grid, rows_drawn(grid.rows, rows, table_file(view.table)))


@attrs.define(eq=False)
class Tile:
    """A key figure."""

    panel: Panel
    ink: Ink
    figure: Figure

    def height(self, width: float, most: float) -> float:
        """Its texts below each other."""
        room = width - 2 * _PAD
        below = self._below(room)
        return (
            2 * _PAD
            + pens.height(self._title(room), TEXT)
            + KEY * 1.25
            + sum(pens.height(lines, size) for lines, size in below)
        )

    def draw(self, box: Box, page: int) -> None:
        """Draw it on a quiet ground, with its mark as a sign and a colour."""
        ink, pen = self.ink, self.ink.pen
        room, left = box.width - 2 * _PAD, box.left + _PAD
        ground = area(x=box.left, y=box.top - box.height, width=box.width, height=box.height, colour=TILE, radius=4)
        ink.book.write(ink.book.marked(ground, None, page), page)
        title = self._title(room)
        parts = [pen.block(title, x=left, top=box.top - _PAD, size=TEXT, colour=QUIET)]
        y = box.top - _PAD - pens.height(title, TEXT) - KEY * 0.98
        parts.append(self._value(left, y, room))
        top = y - KEY * 0.27
        for lines, size in self._below(room):
            parts.append(pen.block(lines, x=left, top=top, size=size, colour=QUIET))
            top -= pens.height(lines, size)
        ink.book.write(ink.book.marked(b"".join(parts), Mark("P"), page), page)

    def _title(self, room: float) -> Sequence[str]:
        return self.ink.pen.lines(self.panel.title, width=room, size=TEXT)

    def _below(self, room: float) -> Sequence[tuple[Sequence[str], float]]:
        pen = self.ink.pen
        return [
            (pen.lines(self.figure.detail, width=room, size=TEXT - 1), TEXT - 1),
            (pen.lines(basis_text(self.panel.basis, self.ink.zone), width=room, size=LEAST), LEAST),
        ]

    def _value(self, left: float, y: float, room: float) -> bytes:
        pen, figure = self.ink.pen, self.figure
        value = shown_value(figure.value, self.ink.zone, unit=figure.unit)
        unit = f" {figure.unit}" if figure.unit and figure.value is not None else ""
        sign, tone = "", INK
        if figure.mark is not None:
            sign, tone, _ = MARKS[figure.mark]
            sign = sign if pen.faces.primary(bold=True).has(ord(sign)) else PLAIN_SIGNS[figure.mark]
        size = KEY
        while size > _LEAST_KEY and self._wide(value, unit, sign, size) > room:
            size -= 0.5
        value = pen.shortened(value, width=room, size=size, bold=True)
        parts = [pen.text(value, x=left, y=y, size=size, bold=True, colour=tone)]
        left += pen.faces.width(value, size=size, bold=True)
        parts.append(pen.text(unit, x=left, y=y, size=size * _SMALLER, bold=True, colour=tone))
        left += pen.faces.width(unit, size=size * _SMALLER, bold=True)
        if sign:
            parts.append(pen.text(sign, x=left + size * 0.25, y=y, size=size * _SMALLER, bold=True, colour=tone))
        return b"".join(parts)

    def _wide(self, value: str, unit: str, sign: str, size: float) -> float:
        faces = self.ink.pen.faces
        rest = faces.width(unit + sign, size=size * _SMALLER, bold=True) + size * 0.25
        return faces.width(value, size=size, bold=True) + rest


@attrs.define(eq=False)
class ChartBlock:
    """A chart between its title and what it is about."""

    panel: Panel
    ink: Ink
    chart: Chart

    def height(self, width: float, most: float) -> float:
        """Room for its texts and a chart that can be read."""
        return _around(self.panel, self.ink, width) + _LEAST_CHART

    def draw(self, box: Box, page: int) -> None:
        """Draw it, with words for those who do not see it."""
        from tailrace_format_pdf.figures import figure_content

        ink = self.ink
        top = _draw_title(self.panel, ink, box, page)
        room = box.height - _around(self.panel, ink, box.width)
        figure = draw_chart(
            self.chart, width=box.width / MM, height=room / MM, zone=ink.zone, brand=ink.brand, fonts=ink.fonts
        )
        drawn = figure_content(figure, ink.pen.faces, left=box.left, bottom=top - room)
        ink.book.add_alphas(drawn.alphas)
        words = Mark("Figure", self.panel.description or self.panel.title)
        ink.book.write(ink.book.marked(drawn.content, words, page), page)
        _draw_basis(self.panel, ink, box, top - room, page)


@attrs.define(eq=False)
class ProseBlock:
    """Paragraphs."""

    panel: Panel
    ink: Ink
    prose: Prose

    def height(self, width: float, most: float) -> float:
        """Its lines."""
        total = sum(pens.height(lines, TEXT) + _BETWEEN for lines in self._paragraphs(width))
        return total + _around(self.panel, self.ink, width)

    def draw(self, box: Box, page: int) -> None:
        """Draw it."""
        top = _draw_title(self.panel, self.ink, box, page)
        for lines in self._paragraphs(box.width):
            _write(self.ink, self.ink.pen.block(lines, x=box.left, top=top, size=TEXT), page)
            top -= pens.height(lines, TEXT) + _BETWEEN
        _draw_basis(self.panel, self.ink, box, top, page)

    def flow(self, left: float, width: float, pages: Pages) -> None:
        """Draw it over as many pages as it takes."""
        top = _draw_title(self.panel, self.ink, Box(left, pages.y, width, 0.0), pages.page)
        pages.y = top
        for lines in self._paragraphs(width):
            rest = lines
            while rest:
                if pages.left < TEXT * LEADING:
                    pages.begin()
                fits = int(pages.left / (TEXT * LEADING) + 1e-6)
                here, rest = rest[:fits], rest[fits:]
                _write(self.ink, self.ink.pen.block(here, x=left, top=pages.y, size=TEXT), pages.page)
                pages.y -= pens.height(here, TEXT)
            pages.y -= _BETWEEN
        _flow_basis(self.panel, self.ink, left, width, pages, "")

    def _paragraphs(self, width: float) -> Sequence[Sequence[str]]:
        return [self.ink.pen.lines(text, width=width, size=TEXT) for text in self.prose.paragraphs]


@attrs.define(eq=False)
class TableBlock:
    """A table, which may go on over pages."""

    panel: Panel
    ink: Ink
    grid: Grid
    rest: str
    _plans: dict[float, Plan] = attrs.field(factory=dict)

    def height(self, width: float, most: float) -> float:
        """All its rows."""
        around = _around(self.panel, self.ink, width, self.rest)
        return around + height(self.grid, self._plan(width), self.ink.pen.faces, most)

    def draw(self, box: Box, page: int) -> None:
        """Draw it on one page."""
        top = _draw_title(self.panel, self.ink, box, page)
        end = top
        for part in self._parts(box.left, box.width, Room(box.left, top, top, 0.0)):
            _write(self.ink, part.content, page)
            end = part.end
        _draw_basis(self.panel, self.ink, box, end - _BETWEEN, page, self.rest)

    def flow(self, left: float, width: float, pages: Pages) -> None:
        """Draw it over as many pages as it takes."""
        sheet, faces = pages.sheet, self.ink.pen.faces
        top = _draw_title(self.panel, self.ink, Box(left, pages.y, width, 0.0), pages.page)
        room = Room(left, top, sheet.top, sheet.bottom)
        for part in painted(self.grid, self._plan(width), faces, room, self.ink.accent):
            if part.is_on_next:
                pages.begin()
            _write(self.ink, part.content, pages.page)
            pages.y = part.end
        pages.y -= _BETWEEN
        _flow_basis(self.panel, self.ink, left, width, pages, self.rest)

    def _parts(self, left: float, width: float, room: Room) -> Iterator[Painted]:
        return iter(painted(self.grid, self._plan(width), self.ink.pen.faces, room, self.ink.accent))

    def _plan(self, width: float) -> Plan:
        if width not in self._plans:
            self._plans[width] = planned(self.grid, self.ink.pen.faces, width)
        return self._plans[width]


def least(panel: Panel, ink: Ink, width: float) -> float:
    """How much room there is on a page at least for a panel to begin there."""
    return _around(panel, ink, width) + 6 * TEXT * LEADING


def _write(ink: Ink, content: bytes, page: int) -> None:
    if content:
        ink.book.write(ink.book.marked(content, Mark("P"), page), page)


def _title_lines(panel: Panel, ink: Ink, width: float) -> Sequence[str]:
    return ink.pen.lines(panel.title, width=width, size=H2, bold=True)


def _about_lines(panel: Panel, ink: Ink, width: float, rest: str) -> Sequence[str]:
    texts = [rest, basis_text(panel.basis, ink.zone)]
    return [line for text in texts for line in ink.pen.lines(text, width=width, size=SMALL)]


def _around(panel: Panel, ink: Ink, width: float, rest: str = "") -> float:
    """How much of a panel's height is around its content."""
    title = pens.height(_title_lines(panel, ink, width), H2)
    about = pens.height(_about_lines(panel, ink, width, rest), SMALL)
    return (title + _BETWEEN if title else 0.0) + (about + _BETWEEN if about else 0.0)


def _draw_title(panel: Panel, ink: Ink, box: Box, page: int) -> float:
    """Write the title, and give where the content begins."""
    lines = _title_lines(panel, ink, box.width)
    if not lines:
        return box.top
    ink.book.add_bookmark(panel.title, level=1, page=page, top=box.top)
    content = ink.pen.block(lines, x=box.left, top=box.top, size=H2, bold=True)
    ink.book.write(ink.book.marked(content, Mark("H2"), page), page)
    return box.top - pens.height(lines, H2) - _BETWEEN


def _draw_basis(panel: Panel, ink: Ink, box: Box, top: float, page: int, rest: str = "") -> None:
    lines = _about_lines(panel, ink, box.width, rest)
    _write(ink, ink.pen.block(lines, x=box.left, top=top, size=SMALL, colour=QUIET), page)


def _flow_basis(panel: Panel, ink: Ink, left: float, width: float, pages: Pages, rest: str) -> None:
    for line in _about_lines(panel, ink, width, rest):
        if pages.left < SMALL * LEADING:
            pages.begin()
        _write(ink, ink.pen.block([line], x=left, top=pages.y, size=SMALL, colour=QUIET), pages.page)
        pages.y -= SMALL * LEADING

"""The sections of a report on pages: panels on the grid, rows of it as high as what is in them."""

from collections.abc import Sequence

import attrs

from tailrace import Place, Section, places
from tailrace_format_pdf import pen as pens
from tailrace_format_pdf.inside import Mark
from tailrace_format_pdf.panels import Block, Box, Ink, ProseBlock, TableBlock, Tile, least
from tailrace_format_pdf.pen import area
from tailrace_format_pdf.sheet import Pages
from tailrace_format_pdf.theme import GUTTER, H1, LEADING, TEXT

_BETWEEN_BANDS = GUTTER * 1.3
_ABOVE_HEADING = 20.0
_BELOW_HEADING = 8.0
_BAR = 3.0
_SMALL_PART = 0.5
"""A table that is lower than this part of a page is not torn apart."""


@attrs.frozen
class Placed:
    """A panel and its cells."""

    block: Block
    place: Place


def draw_section(
    section: Section, blocks: Sequence[Block], ink: Ink, pages: Pages, *, is_first: bool
) -> tuple[int, float]:
    """Draw a section from where the document has got to, and give where its heading is."""
    bands = _bands(section, blocks)
    heading = ink.pen.lines(section.heading, width=pages.sheet.room - 4 * _BAR, size=H1, bold=True)
    text = ink.pen.lines(section.text, width=pages.sheet.room, size=TEXT)
    above = pens.height(heading, H1) + pens.height(text, TEXT) + 2 * _BELOW_HEADING
    first = _first_height(bands[0], ink, pages) if bands else 0.0
    if not pages.is_fresh and ((section.new_page and not is_first) or pages.left < _ABOVE_HEADING + above + first):
        pages.begin()
    if not pages.is_fresh:
        pages.y -= _ABOVE_HEADING
    at = (pages.page, pages.y)
    ink.book.add_bookmark(section.heading, level=0, page=pages.page, top=pages.y)
    _heading(heading, ink, pages)
    for line in text:
        if pages.left < TEXT * LEADING:
            pages.begin()
        content = ink.pen.block([line], x=pages.sheet.left, top=pages.y, size=TEXT)
        ink.book.write(ink.book.marked(content, Mark("P"), pages.page), pages.page)
        pages.y -= TEXT * LEADING
    if text:
        pages.y -= _BELOW_HEADING
    for number, band in enumerate(bands):
        if number:
            pages.y -= _BETWEEN_BANDS
        _draw_band(band, ink, pages)
    return at


def _heading(lines: Sequence[str], ink: Ink, pages: Pages) -> None:
    if not lines:
        return
    height = pens.height(lines, H1)
    bar = area(x=pages.sheet.left, y=pages.y - height + 2, width=_BAR, height=height - 4, colour=ink.accent)
    ink.book.write(ink.book.marked(bar, None, pages.page), pages.page)
    content = ink.pen.block(lines, x=pages.sheet.left + 3 * _BAR, top=pages.y, size=H1, bold=True)
    ink.book.write(ink.book.marked(content, Mark("H1"), pages.page), pages.page)
    pages.y -= height + _BELOW_HEADING


def _bands(section: Section, blocks: Sequence[Block]) -> Sequence[Sequence[Placed]]:
    """Panels that share rows of the grid belong together, whoever else shares rows with them does too."""
    placed = [Placed(block, place) for block, place in zip(blocks, places(section), strict=True)]
    bands: list[list[Placed]] = []
    below = 0
    for one in sorted(placed, key=lambda one: (one.place.row, one.place.column)):
        if not bands or one.place.row >= below:
            bands.append([])
        bands[-1].append(one)
        below = max(below, one.place.row + one.place.height)
    return bands


def _first_height(band: Sequence[Placed], ink: Ink, pages: Pages) -> float:
    """How much room the beginning of a band takes."""
    page = pages.sheet.top - pages.sheet.bottom
    height = _height(_rows(band, pages, page))
    return _beginning(band, ink, pages) if _goes_on(band, height, page) else height


def _goes_on(band: Sequence[Placed], height: float, page: float) -> bool:
    """Whether a band goes on over pages: one that has to, or a single table that would leave much of a page empty."""
    is_long = len(band) == 1 and isinstance(band[0].block, TableBlock | ProseBlock) and height > page * _SMALL_PART
    return is_long or height > page


def _beginning(band: Sequence[Placed], ink: Ink, pages: Pages) -> float:
    """How much room the beginning of a band takes that goes on over pages."""
    page = pages.sheet.top - pages.sheet.bottom
    long = [one for one in band if isinstance(one.block, TableBlock | ProseBlock)]
    heads = [least(one.block.panel, ink, pages.sheet.span(one.place.width)) for one in long]
    beside = _height(_rows(band, pages, page, stretch_tables=False)) if len(long) < len(band) else 0.0
    return min(page, max([beside, *heads]))


def _rows(band: Sequence[Placed], pages: Pages, most: float, *, stretch_tables: bool = True) -> list[float]:
    """How high the rows of the grid are in a band: as usual, or as what is in them needs."""
    first = min(one.place.row for one in band)
    rows = [pages.sheet.cell] * (max(one.place.row + one.place.height for one in band) - first)
    for one in sorted(band, key=lambda one: one.place.row + one.place.height):
        if not stretch_tables and isinstance(one.block, TableBlock | ProseBlock):
            continue
        start, end = one.place.row - first, one.place.row - first + one.place.height
        missing = one.block.height(pages.sheet.span(one.place.width), most) - _height(rows[start:end])
        if missing > 0:
            rows[end - 1] += missing
        elif isinstance(one.block, TableBlock | ProseBlock | Tile) and len(band) == 1:
            # Nothing stands beside it that needs the height.
            rows[end - 1] += missing
    return rows


def _height(rows: Sequence[float]) -> float:
    return sum(rows) + GUTTER * (len(rows) - 1)


def _draw_band(band: Sequence[Placed], ink: Ink, pages: Pages) -> None:
    sheet = pages.sheet
    page = sheet.top - sheet.bottom
    rows = _rows(band, pages, page)
    height = _height(rows)
    if height > pages.left and not pages.is_fresh:
        goes_on = _goes_on(band, height, page)
        if not goes_on or pages.left < _beginning(band, ink, pages):
            pages.begin()
    if height <= pages.left + 1e-6:
        _draw_boxes(band, rows, pages)
        pages.y -= height
        return
    _draw_long(band, pages, page)


def _draw_boxes(band: Sequence[Placed], rows: Sequence[float], pages: Pages) -> None:
    first = min(one.place.row for one in band)
    for one in band:
        start = one.place.row - first
        one.block.draw(
            Box(
                pages.sheet.left + one.place.column * (pages.sheet.cell + GUTTER),
                pages.y - (_height(rows[:start]) + GUTTER if start else 0.0),
                pages.sheet.span(one.place.width),
                _height(rows[start : start + one.place.height]),
            ),
            pages.page,
        )


def _draw_long(band: Sequence[Placed], pages: Pages, page: float) -> None:
    """Draw a band that is higher than a page: its tables go on over pages in their columns, beside what is there."""
    rows = _rows(band, pages, page, stretch_tables=False)
    if _height(rows) > page:
        for one in band:
            _draw_alone(one, pages, page)
        return
    first = min(one.place.row for one in band)
    ends = [(pages.page, pages.y - _height(rows))]
    for one in band:
        if not isinstance(one.block, TableBlock | ProseBlock):
            _draw_boxes(
                [one], rows[one.place.row - first :], attrs.evolve(pages, y=_top(rows, one.place.row - first, pages.y))
            )
            continue
        own = attrs.evolve(pages, y=_top(rows, one.place.row - first, pages.y))
        left = pages.sheet.left + one.place.column * (pages.sheet.cell + GUTTER)
        one.block.flow(left, pages.sheet.span(one.place.width), own)
        ends.append((own.page, own.y))
    pages.page, pages.y = max(ends, key=lambda end: (end[0], -end[1]))


def _top(rows: Sequence[float], start: int, y: float) -> float:
    return y - (_height(rows[:start]) + GUTTER if start else 0.0)


def _draw_alone(one: Placed, pages: Pages, page: float) -> None:
    """Draw a panel over the whole width, where it does not fit beside others."""
    sheet = pages.sheet
    if isinstance(one.block, TableBlock | ProseBlock):
        if pages.left < page * 0.2:
            pages.begin()
        one.block.flow(sheet.left, sheet.room, pages)
    else:
        height = min(page, max(one.block.height(sheet.room, page), sheet.span(one.place.height)))
        if pages.left < height:
            pages.begin()
        one.block.draw(Box(sheet.left, pages.y, sheet.room, height), pages.page)
        pages.y -= height
    pages.y -= _BETWEEN_BANDS

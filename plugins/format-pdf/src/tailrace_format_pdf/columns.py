"""How wide the columns of a table are, and how large its type is, by what is in them."""

import re
from collections.abc import Sequence

import attrs
import polars as pl

from tailrace_format_pdf.bulk import Texts
from tailrace_format_pdf.faces import Faces
from tailrace_format_pdf.theme import LEAST, PAD, TABLE_SIZES
from tailrace_format_pdf.wrapping import wrapped

_UNITS = 1000
_LEAST_TEXT, _MOST_OF_PAGE = 48.0, 0.5
"""A column of text is not made narrower than this in points, and no column wider than this part of the page."""
_MOST_HEADING_LINES, _LONG_HEADING = 6, 60
_PARTS = re.compile(r"[^ _/.-]+[_/.-]?")
"""Where headings wrap."""
_READABLE = 150.0
"""Width up to which a column of text counts when the orientation of pages is chosen."""
SIGN = 11.0
"""Width of the column of signs beside marked rows."""


@attrs.frozen
class Column:
    """A column as it is drawn.

    Args:
        heading: Its heading, with the unit.
        texts: What is in it.
        is_right: Whether it holds figures, which stand at the right.
    """

    heading: str
    texts: Texts = attrs.field(repr=False)
    is_right: bool


@attrs.frozen
class Grid:
    """A table as it is drawn.

    Args:
        columns: Its columns.
        rows: How many rows are drawn.
        marks: What each row is marked as; None where no row is.
    """

    columns: Sequence[Column] = attrs.field(repr=False)
    rows: int
    marks: pl.Series | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Block:
    """Columns beside each other on a page: their numbers, widths with the room around, and headings in lines."""

    columns: tuple[int, ...]
    widths: tuple[float, ...]
    headings: tuple[Sequence[str], ...]


@attrs.frozen
class Plan:
    """How a table is set: the size of its type, and its columns in blocks that follow each other."""

    size: float
    blocks: Sequence[Block]


def wish(grid: Grid, faces: Faces) -> float:
    """How wide a table would like to be, in points, with texts that wrap only when they are long."""
    size = TABLE_SIZES[-1]
    wishes = [
        natural if column.is_right else min(natural, _READABLE)
        for column, natural in zip(grid.columns, _naturals(grid, faces, size), strict=True)
    ]
    return sum(wishes) + _sign(grid)


def planned(grid: Grid, faces: Faces, width: float) -> Plan:
    """Set a table into a width, in points.

    The type is as large as lets everything stand in one line; else texts wrap; else the columns are split into blocks,
    each of which begins with the first column.
    """
    room = width - _sign(grid)
    for size, whole in ((size, whole) for size in TABLE_SIZES for whole in (True, False)):
        naturals = _naturals(grid, faces, size, whole_headings=whole)
        if sum(naturals) <= room:
            return Plan(size, [_block(range(len(naturals)), _spread(naturals, room), grid, faces, size)])
    for size in (TABLE_SIZES[-1], LEAST):
        naturals = _naturals(grid, faces, size)
        leasts = _leasts(grid, naturals, room)
        if sum(leasts) <= room:
            widths = _filled(naturals, leasts, room)
            return Plan(size, [_block(range(len(widths)), widths, grid, faces, size)])
    naturals = _naturals(grid, faces, LEAST)
    widths = [min(natural, room * _MOST_OF_PAGE) for natural in naturals]
    return Plan(
        LEAST,
        [
            _block(numbers, _spread([widths[number] for number in numbers], room), grid, faces, LEAST)
            for numbers in _split(widths, room)
        ],
    )


def _sign(grid: Grid) -> float:
    return 0.0 if grid.marks is None else SIGN


def _naturals(grid: Grid, faces: Faces, size: float, *, whole_headings: bool = False) -> list[float]:
    """How wide columns are whose texts stand in one line each; headings may wrap between words, if not kept whole."""
    widths = []
    for column in grid.columns:
        heading = column.heading[:_LONG_HEADING]
        parts = [heading] if whole_headings else _PARTS.findall(heading)
        texts = size * float(column.texts.widths.max()) / _UNITS if grid.rows else 0.0
        widths.append(max([texts, *(faces.width(part, size=size, bold=True) for part in parts)]) + 2 * PAD + 0.5)
    return widths


def _leasts(grid: Grid, naturals: Sequence[float], room: float) -> list[float]:
    """How wide columns are at least: figures stay in one line."""
    return [
        min(natural, room * _MOST_OF_PAGE) if column.is_right else min(natural, _LEAST_TEXT)
        for column, natural in zip(grid.columns, naturals, strict=True)
    ]


def _filled(naturals: Sequence[float], leasts: Sequence[float], room: float) -> list[float]:
    """Widths that fill the room: as many columns as can be get what they need, the others share the rest."""
    widths, left = list(leasts), room - sum(leasts)
    short = [number for number, natural in enumerate(naturals) if natural > leasts[number]]
    for number in sorted(short, key=lambda one: naturals[one] - leasts[one]):
        share = left / sum(1 for other in short if widths[other] == leasts[other])
        more = min(naturals[number] - leasts[number], share)
        widths[number] += more
        left -= more
        short = [one for one in short if one != number]
        if not short:
            break
    return _spread(widths, room)


def _spread(widths: Sequence[float], room: float) -> list[float]:
    more = max(0.0, room - sum(widths)) / max(1, len(widths))
    return [width + more for width in widths]


def _split(widths: Sequence[float], room: float) -> list[list[int]]:
    blocks: list[list[int]] = [[0]]
    used = widths[0]
    for number in range(1, len(widths)):
        if used + widths[number] > room and len(blocks[-1]) > 1:
            blocks.append([0])
            used = widths[0]
        blocks[-1].append(number)
        used += widths[number]
    return blocks


def _block(numbers: Sequence[int], widths: Sequence[float], grid: Grid, faces: Faces, size: float) -> Block:
    headings = []
    for number, width in zip(numbers, widths, strict=True):
        lines = wrapped(grid.columns[number].heading, faces, size=size, width=width - 2 * PAD, bold=True)
        if len(lines) > _MOST_HEADING_LINES:
            lines = [*lines[: _MOST_HEADING_LINES - 1], f"{lines[_MOST_HEADING_LINES - 1][:-1]}\N{HORIZONTAL ELLIPSIS}"]
        headings.append(lines)
    return Block(tuple(numbers), tuple(widths), tuple(headings))

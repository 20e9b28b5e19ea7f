"""The pages of a table: content streams made by polars, a page at a time, without a look at any single cell."""

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
import numpy.typing as npt
import polars as pl

from tailrace_format_pdf.bulk import Cells, Setting, drawn
from tailrace_format_pdf.columns import SIGN, Block, Grid, Plan
from tailrace_format_pdf.faces import Faces
from tailrace_format_pdf.theme import INK, LEADING, MARKS, PAD, PLAIN_SIGNS, QUIET, RULE, ZEBRA

_ABOVE = 1.9
"""Room above and below the text of a row."""
_CAPS = 0.365
"""Half of how high figures are, for a size of 1."""
_FEWEST = 3
"""Rows that are not left alone below a heading."""
_PAGES_TOGETHER = 48
_GAP = 14.0
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@attrs.frozen
class Room:
    """Where a table goes.

    Args:
        left: Its left side.
        top: Where it begins, from below, on the page that there is.
        page_top: Where it goes on, on further pages.
        bottom: Where it ends at the latest.
    """

    left: float
    top: float
    page_top: float
    bottom: float


@attrs.frozen
class Painted:
    """A part of a table on a page.

    Args:
        content: Its operators.
        end: Where it ends, from below.
        is_on_next: Whether it is on the next page, and not below what is there.
    """

    content: bytes = attrs.field(repr=False)
    end: float
    is_on_next: bool


@attrs.frozen
class _Rows:
    """Rows of a block, ready to be placed: rows that are higher than a page come in several parts."""

    cells: Sequence[Cells]
    heights: Floats
    marks: pl.Series | None
    numbers: Integers


def height(grid: Grid, plan: Plan, faces: Faces, most: float) -> float:
    """How high a table is, in points; anything above ``most`` where it is higher than that."""
    total = 0.0
    for number, block in enumerate(plan.blocks):
        total += _head_height(block, plan.size) + (_GAP if number else 0.0)
        if grid.rows * (plan.size * LEADING + 2 * _ABOVE) + total > most:
            return most + 1
        total += max(float(_rows(grid, block, plan, faces, most).heights.sum()), _row_height(plan.size, 1))
    return total


def painted(grid: Grid, plan: Plan, faces: Faces, room: Room, accent: str) -> Iterator[Painted]:
    """Draw a table.

    Args:
        grid: The table.
        plan: How it is set.
        faces: Fonts.
        room: Where it goes.
        accent: Colour of the rule below headings.
    """
    top = room.top
    for number, block in enumerate(plan.blocks):
        if number:
            top -= _GAP
        for one in _painted_block(grid, block, plan, faces, attrs.evolve(room, top=top), accent):
            yield one
            top = one.end


def _painted_block(grid: Grid, block: Block, plan: Plan, faces: Faces, room: Room, accent: str) -> Iterator[Painted]:
    head = _head_height(block, plan.size)
    rows = _rows(grid, block, plan, faces, room.page_top - room.bottom - head)
    line = _row_height(plan.size, 1)
    first = room.top - room.bottom - head
    needed = float(rows.heights[: min(len(rows.heights), _FEWEST)].sum()) if len(rows.heights) else line
    begins_on_next = needed > first + 1e-6 and room.top < room.page_top
    starts = _starts(
        rows.heights,
        room.page_top - room.bottom - head if begins_on_next else first,
        room.page_top - room.bottom - head,
    )
    tops = [room.page_top if number or begins_on_next else room.top for number in range(len(starts))]
    if not len(rows.heights):
        content = _head(grid, block, plan, faces, room.left, tops[0], accent) + _nothing(
            faces, plan, room.left, tops[0] - head
        )
        yield Painted(content, tops[0] - head - line, begins_on_next)
        return
    ends = [*starts[1:], len(rows.heights)]
    heads = {top: _head(grid, block, plan, faces, room.left, top, accent) for top in set(tops)}
    for at in range(0, len(starts), _PAGES_TOGETHER):
        together = range(at, min(at + _PAGES_TOGETHER, len(starts)))
        bodies = _bodies(
            grid, block, plan, faces, rows, room.left, [(starts[one], ends[one], tops[one] - head) for one in together]
        )
        for one, (body, end) in zip(together, bodies, strict=True):
            yield Painted(heads[tops[one]] + body, end, one > 0 or begins_on_next)


def _row_height(size: float, lines: int) -> float:
    return size * LEADING * lines + 2 * _ABOVE


def _head_height(block: Block, size: float) -> float:
    return _row_height(size, max(map(len, block.headings))) + 2.0


def _starts(heights: Floats, first: float, page: float) -> list[int]:
    """The number of the first row of each page."""
    ends = np.cumsum(heights)
    starts, room, before = [0], first, 0.0
    while True:
        end = int(np.searchsorted(ends, before + room + 1e-6, side="right"))
        end = max(end, starts[-1] + 1)
        if end >= len(heights):
            return starts
        starts.append(end)
        before, room = float(ends[end - 1]), page


def _rows(grid: Grid, block: Block, plan: Plan, faces: Faces, most: float) -> _Rows:
    lead = plan.size * LEADING
    most_lines = max(1, int((most - 2 * _ABOVE) / lead))
    columns = [grid.columns[number] for number in block.columns]
    settings = [
        Setting(plan.size, width - 2 * PAD, lead, most_lines, column.is_right)
        for column, width in zip(columns, block.widths, strict=True)
    ]
    cells = drawn([column.texts for column in columns], faces, settings)
    lines = np.ones(grid.rows, dtype=np.int64)
    for one in cells:
        if one.lines is not None:
            lines = np.maximum(lines, one.lines)
    numbers = np.arange(grid.rows)
    if any(one.tall for one in cells):
        values = [grid.columns[number].texts.values for number in block.columns]
        cells, lines, numbers = _in_parts(cells, values, lines, most_lines)
    marks = None if grid.marks is None else grid.marks.gather(numbers)
    return _Rows(cells, np.asarray(lines * lead + 2 * _ABOVE, dtype=np.float64), marks, numbers)


def _in_parts(
    cells: Sequence[Cells], values: Sequence[pl.Series], lines: Integers, most_lines: int
) -> tuple[list[Cells], Integers, Integers]:
    """Rows that are higher than a page become several."""
    parts = -(-lines // most_lines)
    numbers = np.repeat(np.arange(len(lines)), parts)
    part = np.arange(len(numbers)) - np.repeat(np.cumsum(parts) - parts, parts)
    where = np.flatnonzero(parts[numbers] > 1)
    own_lines = np.ones(len(numbers), dtype=np.int64)
    result = []
    for one, texts in zip(cells, values, strict=True):
        shows, widths = one.shows.gather(numbers), one.widths[numbers]
        counts = np.ones(len(numbers), dtype=np.int64) if one.lines is None else one.lines[numbers]
        # Rows of which one text is longer than a page are few.
        changed = [
            _part(one, texts[int(numbers[at])], int(part[at]), shows[int(at)], float(widths[at]), int(counts[at]))
            for at in where
        ]
        shows = shows.scatter(where, [show for show, _, _ in changed])
        widths[where] = [width for _, width, _ in changed]
        counts[where] = [count for _, _, count in changed]
        own_lines = np.maximum(own_lines, counts)
        result.append(Cells(shows, widths, None, {}))
    return result, own_lines, numbers


def _part(cells: Cells, text: str, part: int, show: str, width: float, lines: int) -> tuple[str, float, int]:
    pieces = cells.tall.get(text)
    if pieces is None:
        return (show, width, lines) if not part else ("", 0.0, 1)
    return pieces[part] if part < len(pieces) else ("", 0.0, 1)


def _bodies(
    grid: Grid,
    block: Block,
    plan: Plan,
    faces: Faces,
    rows: _Rows,
    left: float,
    pages: Sequence[tuple[int, int, float]],
) -> Iterator[tuple[bytes, float]]:
    """The rows of some pages, and where they end: first row, behind the last, and top of each page."""
    start, stop = pages[0][0], pages[-1][1]
    heights = rows.heights[start:stop]
    ends = np.cumsum(heights)
    page = np.repeat(np.arange(len(pages)), [last - first for first, last, _ in pages])
    before = np.array([ends[first - start - 1] if first > start else 0.0 for first, _, _ in pages])
    tops = np.array([top for _, _, top in pages])
    bottoms = tops[page] - (ends - before[page])
    base = bottoms + heights - _ABOVE - plan.size * (LEADING / 2 + _CAPS)
    width = sum(block.widths) + (SIGN if grid.marks is not None else 0.0)
    frame = pl.DataFrame(
        {
            "page": page,
            "row": _row_operators(grid, block, plan, faces, rows, left, start, base),
            "rectangle": _rectangles(left, width, bottoms, heights),
            "shade": _shades(rows, start, stop),
        }
    )
    texts = frame.group_by("page", maintain_order=True).agg(pl.col("row").str.join("\n"))["row"]
    shades = _shaded(frame, len(pages))
    for number, (text, (_, last, _)) in enumerate(zip(texts, pages, strict=True)):
        end = float(bottoms[last - start - 1])
        rule = f"{RULE} RG 0.5 w {left:.2f} {end:.2f} m {left + width:.2f} {end:.2f} l S"
        font = f"/{faces.primary().name} {plan.size:g} Tf"
        yield f"{shades[number]}\n{rule}\nBT {INK} rg {font}\n{text}\nET\n".encode("ascii"), end


def _row_operators(
    grid: Grid, block: Block, plan: Plan, faces: Faces, rows: _Rows, left: float, start: int, base: Floats
) -> pl.Series:
    """The operators of each row: to its first text, and from there to the next."""
    count = len(base)
    columns: dict[str, pl.Series] = {"y": pl.Series(np.round(base, 2)).cast(pl.String)}
    parts: list[pl.Expr] = []
    at: float | Floats = 0.0
    x = left
    texts: list[tuple[pl.Series, float | Floats]] = []
    if rows.marks is not None:
        texts.append((_signs(rows.marks.slice(start, count), faces, plan.size), round(left + PAD, 2)))
        x += SIGN
    for number, cells, width in zip(block.columns, rows.cells, block.widths, strict=True):
        shows = cells.shows.slice(start, count)
        if grid.columns[number].is_right:
            texts.append((shows, np.round(x + width - PAD - cells.widths[start : start + count], 2)))
        else:
            texts.append((shows, round(x + PAD, 2)))
        x += width
    for number, (shows, place) in enumerate(texts):
        columns[f"s{number}"] = shows
        move = place if not number else place - at
        if isinstance(move, float):
            moved: pl.Expr = pl.lit(f"{move:.2f}")
        else:
            columns[f"x{number}"] = pl.Series(np.round(move, 2)).cast(pl.String)
            moved = pl.col(f"x{number}")
        parts += (
            [pl.lit("1 0 0 1 "), moved, pl.lit(" "), pl.col("y"), pl.lit(" Tm ")]
            if not number
            else [pl.lit(" "), moved, pl.lit(" 0 Td ")]
        )
        parts.append(pl.col(f"s{number}"))
        at = place
    return pl.DataFrame(columns).select(pl.concat_str(parts)).to_series()


def _signs(marks: pl.Series, faces: Faces, size: float) -> pl.Series:
    signs = {}
    for mark, (sign, colour, _) in MARKS.items():
        own = sign if faces.primary().has(ord(sign)) else PLAIN_SIGNS[mark]
        signs[mark] = f"{colour} rg {faces.shown(own, size=size)} {INK} rg"
    return marks.replace_strict(signs, default="", return_dtype=pl.String).fill_null("")


def _rectangles(left: float, width: float, bottoms: Floats, heights: Floats) -> pl.Series:
    frame = pl.DataFrame({"y": np.round(bottoms, 2), "h": np.round(heights, 2)}).cast(pl.String)
    return frame.select(
        pl.concat_str([pl.lit(f"{left:.2f} "), "y", pl.lit(f" {width:.2f} "), "h", pl.lit(" re")])
    ).to_series()


def _shades(rows: _Rows, start: int, stop: int) -> pl.Series:
    """What is behind each row: the colour of its mark, or every other a shade, or nothing."""
    zebra = pl.Series(rows.numbers[start:stop] % 2).replace_strict({0: "", 1: ZEBRA}, return_dtype=pl.String)
    if rows.marks is None:
        return zebra
    colours = {mark: colour for mark, (_, _, colour) in MARKS.items()}
    marked = rows.marks.slice(start, stop - start).replace_strict(colours, default=None, return_dtype=pl.String)
    return marked.fill_null(zebra)


def _shaded(frame: pl.DataFrame, pages: int) -> list[str]:
    shaded = (
        frame.filter(pl.col("shade") != "")
        .group_by("page", "shade", maintain_order=True)
        .agg(pl.col("rectangle").str.join(" "))
        .select("page", content=pl.concat_str(["shade", pl.lit(" rg "), "rectangle", pl.lit(" f")]))
        .group_by("page", maintain_order=True)
        .agg(pl.col("content").str.join("\n"))
    )
    known = dict(zip(shaded["page"], shaded["content"], strict=True))
    return [known.get(number, "") for number in range(pages)]


def _head(grid: Grid, block: Block, plan: Plan, faces: Faces, left: float, top: float, accent: str) -> bytes:
    """The headings, and the rule below them."""
    size, lead = plan.size, plan.size * LEADING
    bottom = top - _head_height(block, size)
    x = left + (SIGN if grid.marks is not None else 0.0)
    most = max(map(len, block.headings))
    operators = [f"BT {QUIET} rg".encode()]
    for number, width, lines in zip(block.columns, block.widths, block.headings, strict=True):
        for at, text in enumerate(lines):
            # Headings stand on the rule.
            y = top - _ABOVE - lead * (most - len(lines) + at + 0.5) - size * _CAPS
            wide = faces.width(text, size=size, bold=True)
            place = x + width - PAD - wide if grid.columns[number].is_right else x + PAD
            operators.append(b"1 0 0 1 %.2f %.2f Tm " % (place, y) + faces.show(text, size=size, bold=True))
        x += width
    rule = f"ET {accent} RG 0.9 w {left:.2f} {bottom + 0.45:.2f} m {x:.2f} {bottom + 0.45:.2f} l S\n"
    return b"\n".join([*operators, rule.encode()])


def _nothing(faces: Faces, plan: Plan, left: float, top: float) -> bytes:
    y = top - _ABOVE - plan.size * (LEADING / 2 + _CAPS)
    return (
        b"BT %s rg 1 0 0 1 %.2f %.2f Tm " % (QUIET.encode(), left + PAD, y)
        + faces.show("No rows", size=plan.size)
        + b" ET\n"
    )

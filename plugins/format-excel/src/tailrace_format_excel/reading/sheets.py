"""Looking through the XML of a sheet before it is read: how many cells it has, and how far they are apart.

What reads a sheet takes memory for the rectangle from its first cell to its last, whether or not there is anything
between them.
"""

import re
from collections.abc import Iterable

import attrs

from tailrace_format_excel.limits import MAX_COLUMNS, MAX_ROWS
from tailrace_format_excel.reading.refusals import DAMAGED, TOO_LARGE, UnsafeWorkbookError
from tailrace_format_excel.reading.workbook import check_text

SPARSE = 1_000_000
"""Places of a sheet up to which it may be as empty as it likes."""
EMPTIEST = 40
"""How many places there may be for each cell, beyond that."""
MOST_PLACES = 64_000_000

_LONGEST_TAG = 64 << 10
_NAME_ENDS = (b" ", b">", b"/")
_PLACES = (b"r=", b"r =")
_CELL = re.compile(rb"<(?:\w+:)?c[\s/>]")
_ROW = re.compile(rb"<(?:\w+:)?row[\s/>]")
_ROW_BEGINS = re.compile(rb"[<:]row")
_QUICK = re.compile(rb'<c r="([A-Z]+)')
_QUICK_NUMBER = re.compile(rb'<c r="[A-Z]+([0-9]+)"')
_QUICK_ROW = re.compile(rb'<row r="([0-9]+)"')
_THOROUGH = re.compile(rb"""<(?:\w+:)?c(?=\s)[^<>]*?\sr\s*=\s*["']\s*([A-Za-z]+)([0-9]+)""")
_THOROUGH_ROW = re.compile(rb"""<(?:\w+:)?row(?=\s)[^<>]*?\sr\s*=\s*["']\s*([0-9]+)""")
_MOST_DIGITS = 9


@attrs.frozen
class Extent:
    """How large a sheet is.

    Args:
        cells: How many cells it has.
        rows: Number of its last row.
        columns: Number of its last column.
    """

    cells: int
    rows: int
    columns: int


def look_through(blocks: Iterable[bytes]) -> Extent:
    """How large a sheet is.

    Args:
        blocks: Its XML.

    Raises:
        UnsafeWorkbookError: It is not built as a sheet is, or would take much more memory than there is in it.
    """
    cells = rows = last_row = last_column = 0
    for number, block in enumerate(_between_tags(blocks)):
        check_text(block, is_first=not number)
        if b"<!" in block:
            raise UnsafeWorkbookError("a sheet has comments or sections that no program writes")
        found = _extent(block)
        cells += found.cells
        rows += _count(block, b"row", _ROW)
        last_row = max(last_row, rows, found.rows)
        last_column = max(last_column, found.columns)
    places = last_row * last_column
    if last_row > MAX_ROWS or last_column > MAX_COLUMNS:
        raise UnsafeWorkbookError("a sheet has cells where Excel has none")
    if places > MOST_PLACES:
        raise UnsafeWorkbookError(f"a sheet reaches over {places:,} places", TOO_LARGE)
    if places > SPARSE and places > EMPTIEST * cells:
        reason = f"a sheet has {cells:,} cells that reach over {places:,} places"
        raise UnsafeWorkbookError(reason, "Delete the cells far away from the table, and save it again.")
    return Extent(cells, last_row, last_column)


def _extent(block: bytes) -> Extent:
    """How many cells there are in a piece of a sheet, and the last row and column that cells and rows in it name."""
    cells = _count(block, b"c", _CELL)
    if not any(name in block for name in _PLACES):
        # Without addresses they stand side by side.
        widest = max(row.count(b"<c") + row.count(b":c") for row in _ROW_BEGINS.split(block))
        return Extent(cells, 0, min(widest, cells))
    # As Excel and most others write them. Twice is quicker than pairs.
    letters, numbers = _QUICK.findall(block), _QUICK_NUMBER.findall(block)
    if not len(letters) == len(numbers) == cells:
        pairs = _THOROUGH.findall(block)
        letters, numbers = [one for one, _ in pairs], [one for _, one in pairs]
    rows = _QUICK_ROW.findall(block)
    if len(rows) < _count(block, b"row", _ROW):
        rows = _THOROUGH_ROW.findall(block)
    last_row = max(map(_row, {*numbers, *rows}), default=0)
    return Extent(cells, last_row, max(map(_column, set(letters)), default=0))


def _count(block: bytes, name: bytes, thorough: re.Pattern[bytes]) -> int:
    """How many elements of a name begin here."""
    if b":" + name in block:
        # Perhaps one with a prefix, perhaps a text.
        return len(thorough.findall(block))
    return sum(block.count(b"<" + name + end) for end in _NAME_ENDS)


def _column(letters: bytes) -> int:
    if len(letters) > 3:  # noqa: PLR2004 - XFD
        return MAX_COLUMNS + 1
    value = 0
    for letter in letters.upper():
        value = value * 26 + letter - 64
    return value


def _row(digits: bytes) -> int:
    return int(digits) if len(digits) <= _MOST_DIGITS else MAX_ROWS + 1


def _between_tags(blocks: Iterable[bytes]) -> Iterable[bytes]:
    """The same bytes, no tag cut in two."""
    rest = b""
    for block in blocks:
        data = rest + block
        opened = data.rfind(b"<")
        # What follows a tag that is closed is text, and may be cut anywhere.
        cut = len(data) if opened <= data.rfind(b">") else opened
        rest = data[cut:]
        if len(rest) > _LONGEST_TAG:
            raise UnsafeWorkbookError("a sheet has a tag without end", DAMAGED)
        if cut:
            yield data[:cut]
    if rest:
        yield rest

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

_LONGEST_COLUMN = len("XFD")
_LONGEST_TAG = 64 << 10
_NAME_ENDS = (b" ", b">", b"/")
_SPACES = (b"\n", b"\t", b"\r")
_ODD = tuple(b"<" + name + space for name in (b"c", b"row") for space in _SPACES)
_PREFIXED = re.compile(rb":(?:c|row)[\s/>]")
_ROW = re.compile(rb"<row[ />]")
_EQUALS = (b"r=", b" =", b"\n=", b"\t=", b"\r=")
_ADDRESSED = re.compile(rb"""[\s"']r\s*=""")
_QUICK = re.compile(rb'<c r="([A-Z]+)')
_QUICK_NUMBER = re.compile(rb'<c r="[A-Z]+([0-9]+)"')
_QUICK_ROW = re.compile(rb'<row r="([0-9]+)"')
_BROKEN_TAG = re.compile(rb"""<[^<>"']*+(?:"[^"<>]*+"[^<>"']*+|'[^'<>]*+'[^<>"']*+)*+(?!>)""")
"""A tag with another one, or what looks like its end, in the value of an attribute."""
_LAST_TAG = b"</sheetData>"
_START = re.compile(rb"""<[^\s<>]*["']|<(?![/?!])(?:[^\s<>:]*:)?(?:c|row)(?=[\s/>])""")
"""Whatever begins a cell or a row for a reader that does not look at names closely."""
_TAG = re.compile(
    rb"""<(?P<end>/?)(?:[\w.\-\x80-\xff]+:)?(?P<name>c|row)"""
    rb"""(?P<attributes>(?:\s+[^\s=<>"'/]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'))*+)\s*/?>"""
)
_ATTRIBUTE = re.compile(rb"""\s([^\s=<>"'/]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_CELL_ADDRESS = re.compile(rb"([A-Za-z]+)([0-9]+)")
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
    walk = _Walk()
    for number, block in enumerate(_between_tags(blocks)):
        check_text(block, is_first=not number)
        if b"<!" in block:
            raise UnsafeWorkbookError("a sheet has comments or sections that no program writes")
        walk.over(block)
    cells, last_row, last_column = walk.cells, walk.last_row, walk.last_column
    places = last_row * last_column
    if last_row > MAX_ROWS or last_column > MAX_COLUMNS:
        raise UnsafeWorkbookError("a sheet has cells where Excel has none")
    if places > MOST_PLACES:
        raise UnsafeWorkbookError(f"a sheet reaches over {places:,} places", TOO_LARGE)
    if places > SPARSE and places > EMPTIEST * cells:
        reason = f"a sheet has {cells:,} cells that reach over {places:,} places"
        raise UnsafeWorkbookError(reason, "Delete the cells far away from the table, and save it again.")
    return Extent(cells, last_row, last_column)


class _Walk:
    """Goes from cell to cell as a reader does: one without an address follows the one before it.

    Pieces of a sheet as Excel, we and most others write them are counted quickly; all others tag by tag.
    """

    def __init__(self) -> None:
        self.cells = self.last_row = self.last_column = 0
        self._row = self._column = 0
        self._begun = self._ended = 0
        self._is_over = False

    def over(self, block: bytes) -> None:
        """Take a piece of a sheet into account, in which no tag is cut in two."""
        if not self._is_over:
            # Behind the cells, where readers stop, some programs do write ">" in prompts.
            cut = block.find(_LAST_TAG) + len(_LAST_TAG)
            self._is_over = cut >= len(_LAST_TAG)
            if _BROKEN_TAG.search(block[:cut] if self._is_over else block):
                raise UnsafeWorkbookError("a sheet has tags that are not written as any program does")
        is_odd = any(begin in block for begin in _ODD) or (
            (b":c" in block or b":row" in block) and _PREFIXED.search(block) is not None
        )
        if is_odd or not (self._side_by_side(block) or self._addressed(block)):
            self._tag_by_tag(block)
        else:
            self._ended += sum(block.count(b"</row" + end) for end in (b">", b" ", *_SPACES))
        if self._ended > self._begun:
            # For some readers each end is one row more.
            raise UnsafeWorkbookError("a sheet has rows that end twice")

    def _side_by_side(self, block: bytes) -> bool:
        """Whether there are no addresses in a piece; then it is taken into account."""
        if any(equals in block for equals in _EQUALS) and _ADDRESSED.search(block):
            return False
        self.cells += _cells(block)
        first, *rows = _ROW.split(block)
        self._go(self._row, self._column + _cells(first))
        if rows:
            self._begun += len(rows)
            for row in rows:
                # What only begins like a cell is told apart where it matters.
                if row.count(b"<c") > self.last_column:
                    self.last_column = max(self.last_column, _cells(row))
            self._go(self._row + len(rows), _cells(rows[-1]))
        return True

    def _addressed(self, block: bytes) -> bool:
        """Whether all in a piece have addresses in front; then it is taken into account."""
        # Twice is quicker than pairs.
        letters, numbers, rows = _QUICK.findall(block), _QUICK_NUMBER.findall(block), _QUICK_ROW.findall(block)
        cells, begun = _cells(block), len(_ROW.findall(block))
        if not (len(letters) == len(numbers) == cells and len(rows) == begun):
            return False
        self.cells += cells
        self._begun += begun
        self.last_row = max(self.last_row, max(map(_number, {*numbers, *rows}), default=0))
        self.last_column = max(self.last_column, max(map(_column, set(letters)), default=0))
        if rows:
            self._row = _number(rows[-1])
        if rows and block.rfind(b'<row r="') > block.rfind(b'<c r="'):
            self._column = 0
        elif letters:
            self._column = _column(letters[-1])
        return True

    def _tag_by_tag(self, block: bytes) -> None:
        found = 0
        for tag in _TAG.finditer(block):
            if tag["end"]:
                self._ended += tag["name"] == b"row"
                continue
            found += 1
            address = _address(tag["attributes"])
            if tag["name"] == b"row":
                self._begun += 1
                self._go(self._row + 1 if address is None else _number(address), 0)
                continue
            self.cells += 1
            if address is None:
                self._go(self._row, self._column + 1)
                continue
            parted = _CELL_ADDRESS.fullmatch(address)
            if parted is None:
                raise UnsafeWorkbookError("a sheet has cells where Excel has none")
            self.last_row = max(self.last_row, _number(parted[2]))
            self._go(self._row, _column(parted[1]))
        if found != len(_START.findall(block)):
            raise UnsafeWorkbookError("a sheet has cells or rows that are not written as any program does")

    def _go(self, row: int, column: int) -> None:
        self._row, self._column = row, column
        self.last_row, self.last_column = max(self.last_row, row), max(self.last_column, column)


def _cells(block: bytes) -> int:
    """How many cells begin here, written as they mostly are."""
    return sum(block.count(b"<c" + end) for end in _NAME_ENDS)


def _address(attributes: bytes) -> bytes | None:
    """The first attribute ``r``."""
    found = (double or single for name, double, single in _ATTRIBUTE.findall(attributes) if name == b"r")
    return next(found, None)


def _column(letters: bytes) -> int:
    if len(letters) > _LONGEST_COLUMN:
        return MAX_COLUMNS + 1
    value = 0
    for letter in letters.upper():
        value = value * 26 + letter - 64
    return value


def _number(digits: bytes) -> int:
    """The number of a row; one too many where it cannot be any."""
    return int(digits) if digits.isdigit() and len(digits) <= _MOST_DIGITS else MAX_ROWS + 1


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

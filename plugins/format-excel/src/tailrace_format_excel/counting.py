"""Counting the rows of a finished workbook: quickly, by their ends, or by looking at every cell."""

import re
from collections.abc import Mapping

import attrs
import polars as pl

from tailrace import RereadCall
from tailrace_format_excel.parts import Block, blocks_of, damaged
from tailrace_format_excel.rows import ROW_END
from tailrace_format_excel.shared_strings import ITEM
from tailrace_format_excel.shared_strings import PART as SHARED_STRINGS
from tailrace_format_excel.shell import LAYOUT_VERSION, PROPERTIES, SHEET_PART

_END = ROW_END.encode()
_START, _STOP = b"<sheetData>", b"</sheetData>"
_PROPERTY = re.compile(rb'name="([^"]*)"><vt:(?:lpwstr|r8)>([^<]*)</vt:')
_SMALL = 1 << 20
_LONGEST_ROW = 128 << 20
_CELL = r"<c(?: [^<>]*)?(?:/>|>(?:<v>[^<]*</v>|<is><t[^<>]*>[^<]*</t></is>)</c>)"
_WELL_FORMED = rf"^<row(?: [^<>]*)?>(?:{_CELL})*$"
_SHARED = r' t="s"><v>(\d+)</v>'


@attrs.define
class SheetCount:
    """What was counted in a sheet.

    Args:
        rows: Rows, the header included.
        cells: Fewest and most cells of a row, where cells were looked at.
    """

    rows: int = 0
    cells: tuple[int, int] | None = None


@attrs.define
class _Found:
    sheets: dict[int, SheetCount] = attrs.field(factory=dict)
    properties: bytes = b""
    texts: int = 0
    last_text: int = -1


def count_rows(call: RereadCall) -> Mapping[str, int]:
    """Count the rows of each table of a workbook of ours.

    Args:
        call: The file; ``thorough`` looks at every cell.

    Raises:
        IntegrityError: The bytes are not what this format writes.
    """
    found = _Found()
    rows: _Rows | None = None
    items = _Ends(ITEM)
    for block in blocks_of(call.blocks):
        sheet = SHEET_PART.fullmatch(block.part)
        if sheet:
            rows = rows or (_LookedAt(found) if call.thorough else _Rows())
            rows.take(block)
            if not block.content:
                found.sheets[int(sheet[1])] = rows.count
                rows = None
        elif block.part == PROPERTIES:
            found.properties = (found.properties + block.content)[:_SMALL]
        elif block.part == SHARED_STRINGS and call.thorough:
            found.texts += items.count(block.content)
    if call.thorough and found.last_text >= found.texts:
        raise damaged(f"A cell names text {found.last_text:,} of {found.texts:,}")
    return _by_table(call, found)


def _by_table(call: RereadCall, found: _Found) -> dict[str, int]:
    told = dict(_PROPERTY.findall(found.properties))
    if told.get(b"Tailrace") != LAYOUT_VERSION.encode():
        raise damaged("It does not say which of its sheets are whose")
    counts, number = {}, 0
    for index, table in enumerate(call.tables, start=1):
        sheets = told.get(b"Table %d sheets" % index, b"")
        if not sheets.isdigit():
            raise damaged(f"It does not say which sheets are those of {table}")
        counts[table] = 0
        for _ in range(int(sheets)):
            number += 1
            sheet = found.sheets.get(number)
            if sheet is None or not sheet.rows:
                raise damaged(f"Sheet {number} of {table} is missing, or has no header")
            columns = call.columns[table]
            if sheet.cells is not None and sheet.cells != (columns, columns):
                raise damaged(f"Sheet {number} has rows that do not have the {columns} cells of {table}")
            counts[table] += sheet.rows - 1
    return counts


class _Ends:
    """Counts a mark, also where it lies across two blocks."""

    def __init__(self, mark: bytes) -> None:
        self._mark = mark
        self._tail = b""

    def count(self, block: bytes) -> int:
        most = len(self._mark) - 1
        across = (self._tail + block[:most]).count(self._mark) if self._tail else 0
        self._tail = (self._tail + block)[-most:] if len(block) < most else block[-most:]
        return across + block.count(self._mark)


class _Rows:
    """Counts the rows of a sheet by their ends, which no text can hold."""

    def __init__(self) -> None:
        self.count = SheetCount()
        self._ends = _Ends(_END)

    def take(self, block: Block) -> None:
        self.count.rows += self._ends.count(block.content)


class _LookedAt(_Rows):
    """Counts the rows of a sheet by looking at each cell."""

    def __init__(self, found: _Found) -> None:
        super().__init__()
        self._found = found
        self._rest = b""
        self._inside = self._over = False

    def take(self, block: Block) -> None:
        if self._over:
            return
        self._rest += block.content
        if not self._inside:
            _before, start, behind = self._rest.partition(_START)
            if start:
                self._inside, self._rest = True, behind
        if self._inside:
            end = self._rest.rfind(_END) + len(_END)
            if end >= len(_END):
                self._look(self._rest[:end])
                self._rest = self._rest[end:]
            self._over = self._rest.startswith(_STOP)
        if not block.content and not self._over:
            raise damaged(f"{block.part} does not end behind a row")
        if len(self._rest) > _LONGEST_ROW:
            raise damaged(f"{block.part} has a row of more than {_LONGEST_ROW >> 20} MiB")

    def _look(self, xml: bytes) -> None:
        try:
            text = xml.decode()
        except UnicodeDecodeError as error:
            number = self.count.rows + xml.count(_END, 0, error.start)
            raise damaged(f"Row {number} is not UTF-8 text") from None
        row = pl.col("row")
        looked = (
            pl.DataFrame({"row": [text.removesuffix(ROW_END)]})
            .lazy()
            .select(row.str.split(ROW_END).explode())
            .select(
                wrong=~row.str.contains(_WELL_FORMED),
                cells=row.str.count_matches("<c[ />]"),
                text=row.str.extract_all(_SHARED)
                .list.eval(pl.element().str.extract(_SHARED).cast(pl.Int64))
                .list.max(),
            )
            .collect()
        )
        if looked["wrong"].any():
            raise damaged(f"Row {self.count.rows + int(looked['wrong'].arg_true()[0])} is not well-formed")
        least, most = _whole(looked["cells"].min()), _whole(looked["cells"].max())
        before = self.count.cells or (least, most)
        self.count.cells = min(before[0], least), max(before[1], most)
        self._found.last_text = max(self._found.last_text, _whole(looked["text"].max(), -1))
        self.count.rows += looked.height


def _whole(value: object, default: int = 0) -> int:
    return value if isinstance(value, int) else default

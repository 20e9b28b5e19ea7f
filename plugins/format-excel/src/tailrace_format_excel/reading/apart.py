"""What runs in the process of its own: the checks that take decompressing, and then the reader of sheets."""

import io
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import fastexcel
import polars as pl

from tailrace_format_excel.naming import MANIFEST, SUMMARY
from tailrace_format_excel.reading.clean_copy import clean_copy
from tailrace_format_excel.reading.directory import Directory, Member, decompressed, read_directory
from tailrace_format_excel.reading.pieces import ROWS, TABLE
from tailrace_format_excel.reading.refusals import DAMAGED, UnsafeWorkbookError
from tailrace_format_excel.reading.sheets import Extent, look_through
from tailrace_format_excel.reading.values import texts, zone_of
from tailrace_format_excel.reading.workbook import Sheet, Table, TimeKind, Workbook, check_text, read_workbook

_ROWS_AT_ONCE = 20_000


def read(blocks: Iterable[bytes], argument: Mapping[str, Any]) -> Iterator[bytes]:
    """Read a workbook.

    Args:
        blocks: The file.
        argument: ``path`` of it, for messages.

    Yields:
        Pieces, as :mod:`~tailrace_format_excel.reading.pieces` has them.

    Raises:
        RefusedError: It is not read.
    """
    try:
        file = io.BytesIO(b"".join(blocks))
        directory = read_directory(file)
        yield from _tables(file, directory)
    except UnsafeWorkbookError as error:
        raise error.to_error(argument["path"]) from None


def _tables(file: IO[bytes], directory: Directory) -> Iterator[bytes]:
    workbook = read_workbook(file, directory)
    wanted = _wanted(workbook)
    sheets = [sheet.part for _table, sheet in wanted]
    extents = _check(file, sheets, workbook.strings)
    reader = _Reader(file, workbook, sheets)
    begun: Table | None = None
    for number, (table, _sheet) in enumerate(wanted):
        frame = reader.frame(number, extents[number], table)
        if frame is None:
            continue
        if table is not begun:
            yield TABLE + json.dumps(table.name).encode()
            begun = table
        for some in frame.iter_slices(_ROWS_AT_ONCE) if frame.height else [frame]:
            piece = io.BytesIO(ROWS)
            piece.seek(len(ROWS))
            some.write_ipc_stream(piece)
            yield piece.getvalue()


def _wanted(workbook: Workbook) -> list[tuple[Table, Sheet]]:
    """The sheets to read, each with the table that it belongs to."""
    by_name = {sheet.name: sheet for sheet in workbook.sheets}
    visible = [sheet for sheet in workbook.sheets if sheet.is_visible]
    # A hidden sheet may be called as it likes, unless sheets are looked for by name.
    named = visible if workbook.tables is None else workbook.sheets
    if len({sheet.name for sheet in named}) < len(named):
        raise UnsafeWorkbookError("two of its sheets have one name", DAMAGED)
    tables = workbook.tables or ()
    ours = [(table, by_name[name]) for table in tables for name in table.sheets]
    known = {sheet.name for _table, sheet in ours}
    if workbook.tables is not None:
        known |= {SUMMARY, MANIFEST}
    taken = {table.name for table in tables}
    # What somebody has added to a workbook of ours is a table, too: nothing is passed over in silence.
    theirs = [sheet for sheet in visible if sheet.name not in known]
    return [*ours, *((_foreign(sheet, taken), sheet) for sheet in theirs)]


def _foreign(sheet: Sheet, taken: Collection[str]) -> Table:
    name = f"{sheet.name} (sheet)" if sheet.name in taken else sheet.name
    return Table(name, (sheet.name,), is_ours=False)


def _check(file: IO[bytes], sheets: Sequence[Member], strings: Member | None) -> list[Extent]:
    if strings is not None:
        end = b""
        for number, block in enumerate(decompressed(file, strings)):
            check_text(end + block, is_first=not number)
            end = block[-16:]
    return [look_through(decompressed(file, sheet)) for sheet in sheets]


class _Reader:
    """Reads sheets by copies in which numbers are shown in different ways."""

    def __init__(self, file: IO[bytes], workbook: Workbook, sheets: Sequence[Member]) -> None:
        self._workbook = workbook
        kinds = dict.fromkeys(kind for kind in workbook.styles if kind is not None)
        self._plain = _opened(clean_copy(file, sheets, workbook.strings, ()))
        self._times: dict[TimeKind, fastexcel.ExcelReader] = {
            kind: _opened(clean_copy(file, sheets, workbook.strings, (one == kind for one in workbook.styles)))
            for kind in kinds
        }

    def frame(self, number: int, extent: Extent, table: Table) -> pl.DataFrame | None:
        """The rows of a sheet, all texts, under the names in its header; None where there is nothing in it.

        Rows of nothing stand for those above the header, so that a row has the place that it has in the sheet.
        """
        numbers = _load(self._plain, number, "float")
        times = {kind: _load(reader, number, "string") for kind, reader in self._times.items()}
        # Where some cells are shown as times, the others are shown as ever: one time less to read it all.
        shown = next(iter(times.values())) if times else _load(self._plain, number, "string")
        first = _header_row(shown)
        if first is None:
            return None
        headers = [shown[name][first] for name in shown.columns]
        columns: dict[str, pl.Series] = {}
        for index, (name, header) in enumerate(zip(shown.columns, headers, strict=True)):
            called, zone = zone_of(header) if index in table.zoned and header else (header, None)
            column = texts(
                numbers[name][first + 1 :],
                shown[name][first + 1 :],
                {kind: frame[name][first + 1 :] for kind, frame in times.items()},
                zone,
                since_1904=self._workbook.since_1904,
            )
            if called or column.null_count() < len(column):
                columns[_unused(called or name, columns)] = column
        frame = pl.DataFrame(columns)
        if table.is_ours:
            return _with_end(frame, extent.rows - first - 1)
        return pl.concat([frame.clear(first), _without_end(frame)])


def _opened(content: bytes) -> fastexcel.ExcelReader:
    try:
        return fastexcel.read_excel(content)
    except fastexcel.FastExcelError:
        # Its text may quote a cell.
        raise UnsafeWorkbookError("its shared texts or styles cannot be read", DAMAGED) from None


def _load(reader: fastexcel.ExcelReader, number: int, dtype: fastexcel.DType) -> pl.DataFrame:
    try:
        return reader.load_sheet(number, header_row=None, skip_rows=0, dtypes=dtype).to_polars()
    except fastexcel.FastExcelError:
        raise UnsafeWorkbookError(f"sheet {number + 1} cannot be read", DAMAGED) from None


def _header_row(frame: pl.DataFrame) -> int | None:
    """Index of the first row with something in it."""
    if not frame.width or not frame.height:
        return None
    found = frame.select(pl.any_horizontal(pl.all().is_not_null()).arg_max()).item()
    return int(found) if any(frame[name][found] is not None for name in frame.columns) else None


def _unused(name: str, taken: Mapping[str, object]) -> str:
    """The name, or another one where it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} ({number})"
    return free


def _with_end(frame: pl.DataFrame, rows: int) -> pl.DataFrame:
    """With the rows at the end in which there is nothing, which the reader of sheets leaves out."""
    return pl.concat([frame, frame.clear(rows - frame.height)]) if rows > frame.height else frame


def _without_end(frame: pl.DataFrame) -> pl.DataFrame:
    """Without the rows at the end in which there is nothing, which foreign sheets may have for their colours."""
    if not frame.height:
        return frame
    filled = frame.select(pl.any_horizontal(pl.all().is_not_null()).arg_true().max()).item()
    return frame.head(0 if filled is None else filled + 1)

"""Writing a sheet for each value of a column.

Rows of all sheets come mixed, and an archive has one part after the other: the rows of each sheet are spooled, and the
archive is made of them at the end. Memory is bounded all the same.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs
import polars as pl

from tailrace import UnknownNameError
from tailrace_format_excel.book import Book, OpenTable
from tailrace_format_excel.rendering import InOrder
from tailrace_format_excel.rows import ROW_END, PreparedRows
from tailrace_format_excel.shell import Frame, Sheet, sheet_part
from tailrace_format_excel.spool import Spool, SpooledSheet

_NULL, _EMPTY = "(none)", "(empty)"
_NAN = "NaN"

_Rows = tuple[str | None, int, str, int]
"""A value, which of its sheets, the XML of rows without the end of the last, and how many rows they are."""


def write_split(book: Book, column: str) -> None:
    """Write all tables, with a sheet for each value of the column in those that have it.

    Raises:
        UnknownNameError: No table has the column.
        RequestError: A value that a workbook cannot hold, or too many sheets.
    """
    having = [table.name for table in book.tables if any(known.name == column for known in table.columns)]
    if not having:
        every = list(dict.fromkeys(known.name for table in book.tables for known in table.columns))
        raise UnknownNameError("column", column, every, where="option sheet_per")
    opened: list[OpenTable] = []
    spooled: list[SpooledSheet] = []
    with Spool() as spool:
        for table in book.tables:
            one = OpenTable.of(table)
            frame = book.bare(one).frames[0]
            splitter = _Splitter(book, one, spool, frame, column if table.name in having else None)
            splitter.spool()
            spooled += splitter.finish(with_table=len(having) > 1)
            opened.append(one)
        shell = book.shell(opened)
        shell.write_first(book.archive)
        for number, sheet in enumerate(spooled, start=1):
            book.archive.begin(sheet_part(number))
            book.archive.adopt(spool.pieces(sheet), crc=sheet.crc, size=sheet.size)
            book.archive.end()
        book.finish(shell)


@attrs.frozen
class _Spread:
    """Rows, and the sheets that they go to.

    Args:
        rows: The rows.
        keys: Columns ``value`` and ``sheet``, for each row.
    """

    rows: PreparedRows
    keys: pl.DataFrame


class _Splitter:
    """Spools the rows of one table.

    Args:
        book: The workbook.
        one: The table.
        spool: Where rows are kept.
        frame: What stands around the rows of each sheet.
        column: The column by whose values they are split; None for a table that is not.
    """

    def __init__(self, book: Book, one: OpenTable, spool: Spool, frame: Frame, column: str | None) -> None:
        self._book = book
        self._one = one
        self._spool = spool
        self._frame = frame
        self._column = column
        self._limit = book.options.rows_per_sheet
        self._writer = book.rows(one.table)
        self._start = frame.start(is_first=False) + self._writer.header()
        self._sheets: dict[tuple[str | None, int], SpooledSheet] = {}
        self._seen: dict[str | None, int] = {}

    def spool(self) -> None:
        """Read the table to its end."""
        done = 0
        with InOrder(self._keep) as work:
            for batch in self._one.batches():
                keys = self._keys(batch)
                rows = keys["at"] % self._limit + 2 if self._book.options.cell_references else None
                work.submit(_rendered, _Spread(self._writer.prepare(batch, done, rows), keys.select("value", "sheet")))
                done += batch.height
            work.settle()
        self._book.tell(self._writer.told.notes(self._one.table.name))

    def finish(self, *, with_table: bool) -> Sequence[SpooledSheet]:
        """End the sheets and name them, in the order of the values.

        Args:
            with_table: Whether their names begin with that of the table.
        """
        if not self._sheets:
            self._sheet(None, 0)
        ordered = sorted(self._sheets, key=self._order())
        for key in ordered:
            sheet = self._sheets[key]
            self._spool.add(sheet, self._frame.end(sheet.rows), 0)
            self._one.sheets.append(
                Sheet(self._book.names.next(self._wanted(key[0], with_table=with_table)), sheet.rows)
            )
        return [self._sheets[key] for key in ordered]

    def _order(self) -> Callable[[tuple[str | None, int]], Any]:
        """By what sheets are ordered: numbers as numbers, all else as text, those without a value last."""
        column = next((known for known in self._one.table.columns if known.name == self._column), None)
        if column is None or column.kind not in {"whole", "float", "decimal"}:
            return lambda key: (key[0] is None, key[0] or "", key[1])
        # NaN, of which Python cannot say whether it is more or less, comes behind the numbers.
        return lambda key: (key[0] is None, key[0] == _NAN, Decimal(0 if key[0] in {None, _NAN} else key[0]), key[1])

    def _wanted(self, value: str | None, *, with_table: bool) -> str:
        table = self._one.table.name
        if self._column is None:
            return table
        shown = _NULL if value is None else value or _EMPTY
        return f"{table} {shown}" if with_table else shown

    def _keys(self, batch: pl.DataFrame) -> pl.DataFrame:
        """For each row the value of the column, the how-manieth of that value it is, and which of its sheets is its."""
        if self._column is None:
            value = pl.repeat(None, len(batch), eager=True, dtype=pl.String)
        else:
            value = self._writer.texts(self._column, batch[self._column])
        keys = value.alias("value").to_frame().with_columns(at=pl.int_range(pl.len()).over("value"))
        seen = pl.DataFrame(
            {"value": list(self._seen), "before": list(self._seen.values())},
            schema={"value": pl.String, "before": pl.Int64},
        )
        keys = keys.join(seen, on="value", how="left", nulls_equal=True, maintain_order="left")
        keys = keys.select("value", at=pl.col("at") + pl.col("before").fill_null(0))
        self._seen.update(keys.group_by("value").agg(pl.col("at").max() + 1).iter_rows())
        return keys.with_columns(sheet=pl.col("at") // self._limit)

    def _keep(self, rows: Sequence[_Rows]) -> None:
        for value, part, xml, count in rows:
            self._spool.add(self._sheet(value, part), f"{xml}{ROW_END}".encode(), count)

    def _sheet(self, value: str | None, part: int) -> SpooledSheet:
        key = (value, part)
        if key not in self._sheets:
            self._book.count_sheet()
            self._sheets[key] = self._spool.sheet()
            self._spool.add(self._sheets[key], self._start, 0)
        return self._sheets[key]


def _rendered(spread: _Spread) -> list[_Rows]:
    """The XML of the rows of each sheet."""
    return (
        spread.keys.with_columns(spread.rows.texts())
        .group_by("value", "sheet", maintain_order=True)
        .agg(pl.col("xml").str.join(ROW_END), rows=pl.len())
        .rows()
    )

"""What all tables of one workbook share: the archive, its texts, styles and names."""

from collections.abc import Iterator, Sequence

import attrs
import polars as pl

from tailrace import RequestError, WriteCall
from tailrace_format_excel.about import About, TableAbout
from tailrace_format_excel.archive import Archive
from tailrace_format_excel.batches import batches, by_size, is_last
from tailrace_format_excel.columns import TEXT, SheetTable
from tailrace_format_excel.figures import Figures
from tailrace_format_excel.limits import MAX_SHEETS
from tailrace_format_excel.naming import MANIFEST, SUMMARY, SheetNames
from tailrace_format_excel.options import ExcelOptions
from tailrace_format_excel.rows import Cells, RowWriter
from tailrace_format_excel.shared_strings import SharedStrings
from tailrace_format_excel.shell import Properties, Sheet, SheetsOf, Shell, styles_of
from tailrace_format_excel.widths import widths


@attrs.define
class OpenTable:
    """A table that is being written.

    Args:
        table: The table.
        first: Its first batch.
        rest: The others.
        figures: Key figures of the rows so far.
        widths: Width of each of its columns.
        sheets: Its sheets so far.
    """

    table: SheetTable
    first: pl.DataFrame
    rest: Iterator[pl.DataFrame]
    figures: Figures
    widths: Sequence[int]
    sheets: list[Sheet] = attrs.field(factory=list)

    @classmethod
    def of(cls, table: SheetTable) -> "OpenTable":
        """Begin to read a table."""
        rest = batches(table.outgoing.frame)
        first = next(rest)
        figures = Figures(table)
        figures.add(first)
        return cls(table, first, rest, figures, widths(table, first))

    def batches(self) -> Iterator[pl.DataFrame]:
        """All of its batches, in pieces of a size that is good to work on."""
        yield from by_size(self.first)
        for batch in self.rest:
            self.figures.add(batch)
            yield from by_size(batch)

    @property
    def is_known(self) -> bool:
        """Whether its first batch is all of it, and not too much to work on at once."""
        return is_last(self.first) and next(by_size(self.first)).height == self.first.height


class Book:
    """One workbook.

    Args:
        call: What is to be written.

    Raises:
        RequestError: A table that a workbook cannot hold.
    """

    def __init__(self, call: WriteCall) -> None:
        self.options: ExcelOptions = call.options
        self.tables = [SheetTable.of(table, self.options) for table in call.tables]
        self.archive = Archive(call.output)
        self.strings = SharedStrings()
        self._call = call
        self.names = SheetNames(*((SUMMARY, MANIFEST) if self.options.about else ()))
        self._formats = list(
            dict.fromkeys([TEXT, *(column.number_format for table in self.tables for column in table.columns)])
        )
        self._properties = Properties(
            source=str(call.embedded.get("source", "data")),
            tables=[table.name for table in self.tables],
            stamp=call.moment if self.options.stamped else None,
        )
        self._notes = [note for table in self.tables for note in table.notes]
        self._sheets = 0
        self._styles = styles_of(tuple(self._formats))
        self._cells = Cells(self._styles[TEXT])

    def sheet_name(self, wanted: str) -> str:
        """The name of a further sheet.

        Raises:
            RequestError: There are too many.
        """
        self.count_sheet()
        return self.names.next(wanted)

    def count_sheet(self) -> None:
        """Count a further sheet.

        Raises:
            RequestError: There are too many.
        """
        self._sheets += 1
        if self._sheets > MAX_SHEETS:
            message = f"The workbook would have more than {MAX_SHEETS:,} sheets."
            column = self.options.sheet_per
            fewer = (
                f"Split by a column with fewer values than {column[:60]!r}" if column else "Let a sheet hold more rows"
            )
            raise RequestError(message, hint=f"{fewer}, or narrow the export (--where, --since).")

    def bare(self, one: OpenTable) -> Shell:
        """A workbook of one table before its sheets are known: for what stands around its rows."""
        sheets = SheetsOf(one.table, one.widths, [Sheet("Rows", one.first.height)])
        return Shell.of([sheets], self._formats, self._properties)

    def shell(self, tables: Sequence[OpenTable]) -> Shell:
        """The workbook around these tables."""
        about = None
        if self.options.about:
            told = [
                TableAbout(one.table, [(sheet.name, sheet.rows) for sheet in one.sheets], one.figures) for one in tables
            ]
            about = About(self._call.embedded, told, self._notes, self._properties.stamp)
        sheets = [SheetsOf(one.table, one.widths, one.sheets) for one in tables]
        return Shell.of(sheets, self._formats, self._properties, about)

    def rows(self, table: SheetTable) -> RowWriter:
        """Makes the rows of a table."""
        return RowWriter(table, self.options, self.strings, self._cells, self._styles)

    def tell(self, notes: Sequence[str]) -> None:
        """Keep notes for the manifest, and for the sheet of that name."""
        self._notes += notes

    def finish(self, shell: Shell) -> None:
        """Write all that is left."""
        for note in self._notes:
            self._call.note(note)
        shell.write_rest(self.archive, self.strings)
        self.archive.finish()

"""The format ``excel``: all tables in one workbook, written, counted, searched and read.

What does it is imported when it is asked for: reading, in a process of its own, needs nothing of writing.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tailrace import FileLayout, ReadTablesCall, RereadCall, SearchCall, WriteCall
from tailrace_format_excel.options import ExcelOptions

if TYPE_CHECKING:
    import polars as pl


class ExcelFormat:
    """Writes all tables as one workbook, and reads workbooks."""

    summary = "Excel workbooks: safe, lossless, at native speed; a sheet per table, with a summary."
    options_type: type = ExcelOptions

    def layout(self, options: Any) -> FileLayout:
        """One file for all tables; it is compressed by nature."""
        return FileLayout(
            extension="xlsx",
            media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            compressible=False,
            many_tables=True,
            dated=options.stamped,
        )

    def write(self, call: WriteCall) -> None:
        """Write the tables of the call.

        Raises:
            RequestError: A table, column or value that a workbook cannot hold.
        """
        from tailrace_format_excel.book import Book
        from tailrace_format_excel.split import write_split
        from tailrace_format_excel.whole import write_whole

        book = Book(call)
        if book.options.sheet_per:
            write_split(book, book.options.sheet_per)
        else:
            write_whole(book)

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        """Count the rows of each table in a finished file.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        from tailrace_format_excel.counting import count_rows

        return count_rows(call)

    def searchable(self, call: SearchCall) -> Iterator[bytes]:
        """What can be read in a finished file: its parts unpacked, texts as they are read.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        from tailrace_format_excel.content import readable

        return readable(call.blocks)

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes may be a workbook."""
        from tailrace_format_excel.reading import recognises

        return recognises(head)

    def read_tables(self, call: ReadTablesCall) -> "Mapping[str, pl.DataFrame]":
        """The tables of a workbook, by whom it may be, read in a process of its own.

        Raises:
            RefusedError: It is no workbook, is damaged, or costs more than one of its size should.
            SourceError: It cannot be read.
        """
        from tailrace_format_excel.reading import read_tables

        return read_tables(call)

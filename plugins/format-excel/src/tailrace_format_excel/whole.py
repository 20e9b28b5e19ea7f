"""Writing tables whole: each into a sheet, or several where it has more rows than one holds.

Where every table ends within its first batch, all is known before anything is written, and the shell is built once.
Otherwise what stands around the rows of a table comes from a bare workbook that is made when the table begins, and all
other parts from the shell at the end.
"""

from collections.abc import Iterator, Sequence

import attrs
import polars as pl

from tailrace_format_excel.archive import deflated
from tailrace_format_excel.book import Book, OpenTable
from tailrace_format_excel.rendering import InOrder, Rendered, render
from tailrace_format_excel.shell import Frame, Sheet, sheet_part

_LARGEST_SHEET = 3 << 30
"""Bytes of XML from which on a table goes on in a further sheet: no part of the archive may have 4 GiB."""


def write_whole(book: Book) -> None:
    """Write all tables.

    Raises:
        RequestError: A value that a workbook cannot hold.
    """
    opened: list[OpenTable] = []
    for table in book.tables:
        opened.append(OpenTable.of(table))
        if not opened[-1].is_known:
            break
    else:
        _write_known(book, opened)
        return
    _write_streamed(book, opened)


def _write_known(book: Book, opened: Sequence[OpenTable]) -> None:
    rendered = [list(_rendered_sheets(book, one)) for one in opened]
    shell = book.shell(opened)
    shell.write_first(book.archive)
    number = 0
    for one, sheets in zip(opened, rendered, strict=True):
        for sheet, (header, rows) in zip(one.sheets, sheets, strict=True):
            book.archive.begin(sheet_part(number + 1))
            _put(book, shell.frames[number].start(is_first=not number) + header)
            book.archive.put((rows.plain,), rows.piece)
            _put(book, shell.frames[number].end(sheet.rows))
            book.archive.end()
            number += 1
    book.finish(shell)


def _rendered_sheets(book: Book, one: OpenTable) -> Iterator[tuple[bytes, Rendered]]:
    """Header and rows of each sheet of a table of which all rows are known."""
    writer = book.rows(one.table)
    header = writer.header()
    limit = book.options.rows_per_sheet
    for start in range(0, max(one.first.height, 1), limit):
        rows = one.first.slice(start, limit)
        one.sheets.append(Sheet(book.sheet_name(one.table.name), rows.height))
        yield header, render(writer.prepare(rows, start, _numbers(book, 0, rows.height)))
    book.tell(writer.told.notes(one.table.name))


def _write_streamed(book: Book, opened: list[OpenTable]) -> None:
    number = 0
    for index, table in enumerate(book.tables):
        if index == len(opened):
            opened.append(OpenTable.of(table))
        one = opened[index]
        bare = book.bare(one)
        if not number:
            bare.write_first(book.archive)
        writer = _SheetWriter(book, one, bare.frames[0], number)
        writer.write()
        number += len(one.sheets)
    book.finish(book.shell(opened))


class _SheetWriter:
    """Writes the sheets of one table.

    Args:
        book: The workbook.
        one: The table.
        frame: What stands around its rows, in each of its sheets.
        number: How many data sheets of the file come before it.
    """

    def __init__(self, book: Book, one: OpenTable, frame: Frame, number: int) -> None:
        self._book = book
        self._one = one
        self._frame = frame
        self._number = number
        self._rows = 0
        self._writer = book.rows(one.table)
        self._header = self._writer.header()

    def write(self) -> None:
        """Write all rows."""
        done = 0
        with InOrder(self._take) as work:
            self._begin()
            for batch in self._one.batches():
                at = 0
                while at < batch.height:
                    if self._is_full():
                        work.settle()
                        self._end()
                        self._begin()
                    rows = batch.slice(at, self._book.options.rows_per_sheet - self._rows)
                    prepared = self._writer.prepare(rows, done, _numbers(self._book, self._rows, rows.height))
                    for piece in prepared.pieces():
                        work.submit(render, piece)
                    at += rows.height
                    done += rows.height
                    self._rows += rows.height
            work.settle()
            self._end()
        self._book.tell(self._writer.told.notes(self._one.table.name))

    def _take(self, rendered: Rendered) -> None:
        self._book.archive.put((rendered.plain,), rendered.piece)

    def _is_full(self) -> bool:
        return self._rows >= self._book.options.rows_per_sheet or self._book.archive.size > _LARGEST_SHEET

    def _begin(self) -> None:
        self._rows = 0
        self._one.sheets.append(Sheet(self._book.sheet_name(self._one.table.name), 0))
        number = self._number + len(self._one.sheets)
        self._book.archive.begin(sheet_part(number))
        _put(self._book, self._frame.start(is_first=number == 1) + self._header)

    def _end(self) -> None:
        _put(self._book, self._frame.end(self._rows))
        self._book.archive.end()
        self._one.sheets[-1] = attrs.evolve(self._one.sheets[-1], rows=self._rows)


def _put(book: Book, xml: bytes) -> None:
    book.archive.put((xml,), deflated(xml))


def _numbers(book: Book, before: int, rows: int) -> pl.Series | None:
    """The number of each row in its sheet, of which the first is the header; None where nobody asks for them."""
    if not book.options.cell_references:
        return None
    return pl.int_range(before + 2, before + 2 + rows, eager=True)

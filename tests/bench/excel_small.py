"""Milliseconds for a workbook of 100 rows, beside plain xlsxwriter: ``python excel_small.py PARQUET``.

All in one process, warm, taking turns; the median of each, as a JSON object. The format alone gets rows that are in
memory already, as xlsxwriter does, and writes to a file, as xlsxwriter does; the engine reads, writes, proves, waits
for the disk and delivers. Files, and those that xlsxwriter makes a workbook of, are in memory where the system has a
folder for it: xlsxwriter removes ten files, and on a busy disk waits longer for that than it writes.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import attrs
import polars as pl
import xlsxwriter
from tailrace_format_excel import ExcelFormat

from tailrace import Engine, ExportRequest, SinkRequest, WriteCall

ROWS, ROUNDS, WARM = 100, 60, 5
IN_MEMORY = Path("/dev/shm")


class Small:
    """The contenders, and a folder for their files."""

    def __init__(self, parquet: str, folder: Path) -> None:
        self.folder = folder
        self.engine = Engine()
        sink = SinkRequest("disk", target=str(folder))
        self.request = ExportRequest("analytics", parquet, "excel", limit=ROWS, sinks=(sink,))
        self.log = pl.read_parquet(parquet, n_rows=ROWS)
        self.rows = self.log.with_columns(pl.col("timestamp").dt.replace_time_zone(None)).rows()
        self.call = self._seen_call()

    def _seen_call(self) -> WriteCall:
        """What the engine asks of the format, manifest and all."""
        calls: list[WriteCall] = []
        write = ExcelFormat.write

        def seen(format_: ExcelFormat, call: WriteCall) -> None:
            calls.append(call)
            write(format_, call)

        with patch.object(ExcelFormat, "write", seen):
            self.engine.export(self.request)
        return calls[0]

    def _format(self, call: WriteCall) -> None:
        (table,) = call.tables
        tables = (attrs.evolve(table, frame=self.log.lazy()),)
        with (self.folder / "format.xlsx").open("wb") as file:
            ExcelFormat().write(attrs.evolve(call, tables=tables, output=file, context=call.context.quiet()))

    def format(self) -> None:
        """The format alone, with its default options."""
        self._format(self.call)

    def format_bare(self) -> None:
        """The format alone, without its sheets about the export, which xlsxwriter's file has not."""
        self._format(attrs.evolve(self.call, options=attrs.evolve(self.call.options, about=False)))

    def export(self) -> None:
        """All of it."""
        self.engine.export(self.request)

    def xlsxwriter(self) -> None:
        """The same cells with xlsxwriter: a bold header that stays, filters, times that look like times."""
        self._xlsxwriter({"tmpdir": str(self.folder)})

    def xlsxwriter_in_memory(self) -> None:
        """The same, without files on the way."""
        self._xlsxwriter({"in_memory": True})

    def _xlsxwriter(self, options: dict[str, str | bool]) -> None:
        options |= {"strings_to_urls": False, "default_date_format": "yyyy-mm-dd hh:mm:ss.000"}
        with xlsxwriter.Workbook(str(self.folder / "xlsxwriter.xlsx"), options) as book:
            sheet = book.add_worksheet("request_logs")
            sheet.write_row(0, 0, self.log.columns, book.add_format({"bold": True}))
            for number, row in enumerate(self.rows, 1):
                sheet.write_row(number, 0, row)
            sheet.freeze_panes(1, 0)
            sheet.autofilter(0, 0, len(self.rows), self.log.width - 1)


def main() -> None:
    """Print the medians."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        small = Small(sys.argv[1], Path(folder))
        contenders: dict[str, Callable[[], None]] = {
            "xlsxwriter": small.xlsxwriter,
            "xlsxwriter in memory": small.xlsxwriter_in_memory,
            "format": small.format,
            "format, without sheets about the export": small.format_bare,
            "Engine.export": small.export,
        }
        times: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(WARM + ROUNDS):
            for name, write in contenders.items():
                begin = time.perf_counter()
                write()
                times[name].append(time.perf_counter() - begin)
    print(json.dumps({name: statistics.median(found[WARM:]) * 1000 for name, found in times.items()}))


if __name__ == "__main__":
    main()

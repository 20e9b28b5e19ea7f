"""One run of one writer of workbooks, in a process of its own: ``python excel_contenders.py NAME PARQUET FOLDER``.

Prints a JSON object as ``contenders.py`` does; with ``--check`` behind the folder another one: what reading the
workbook back with fastexcel shows, column by column.

Each peer is called as its manual says, with the settings that make it fastest or keep it from losing data where it has
such; times are without their zone where a peer refuses zones.
"""

import json
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
from contenders import contender, main, ours

OURS = "xlsx: tailrace"
RUST, SLOW, SMALL_ONLY, ONCE = set[str](), set[str](), set[str](), set[str]()
"""Names of peers: written in Rust; too slow for many rounds; too slow for many rows; measured once with many rows."""
SHEET = "request_logs"
# What a workbook keeps: times in milliseconds, and 15 digits of a number, which some writers round to 16 or 17.
TIME_STEP, NUMBER_STEP = timedelta(milliseconds=1), 1e-15
Write = Callable[[Path, Path], None]

ours(OURS, "parquet", format="excel")
ours("xlsx: tailrace, cell references", "parquet", format="excel", options={"cell_references": True})


def writer(name: str, *groups: set[str]) -> Callable[[Write], Write]:
    """Register a peer: it writes a workbook, the second path, from a Parquet file, the first."""

    def register(write: Write) -> Write:
        def run(parquet: Path, _database: Path, out: Path) -> None:
            workbook = out.with_suffix(".xlsx")
            write(parquet, workbook)
            out.symlink_to(workbook)

        contender(f"xlsx: {name}")(run)
        for group in groups:
            group.add(f"xlsx: {name}")
        return write

    return register


def without_zone(parquet: Path) -> pl.DataFrame:
    """The log with times as they are in UTC, without saying so."""
    return pl.read_parquet(parquet).with_columns(pl.col("timestamp").dt.replace_time_zone(None))


@writer("jetxl", RUST)
def _(parquet: Path, workbook: Path) -> None:
    import jetxl

    jetxl.write_sheet_arrow(pl.read_parquet(parquet).to_arrow(), str(workbook), sheet_name=SHEET)


@writer("rustpy-xlsxwriter", RUST)
def _(parquet: Path, workbook: Path) -> None:
    import rustpy_xlsxwriter

    rustpy_xlsxwriter.write_worksheet(pl.read_parquet(parquet), str(workbook), sheet_name=SHEET)


@writer("xlsxturbo", RUST)
def _(parquet: Path, workbook: Path) -> None:
    import xlsxturbo

    xlsxturbo.df_to_xlsx(pl.read_parquet(parquet), str(workbook), sheet_name=SHEET)


@writer("xlsxturbo, quickest", RUST)
def _(parquet: Path, workbook: Path) -> None:
    import xlsxturbo

    log = pl.read_parquet(parquet)
    xlsxturbo.df_to_xlsx(log, str(workbook), sheet_name=SHEET, constant_memory=True, compression_level=1)


@writer("rapidxlsx", RUST)
def _(parquet: Path, workbook: Path) -> None:
    import rapidxlsx

    rapidxlsx.write(str(workbook), pl.read_parquet(parquet), sheet_name=SHEET)


@writer("py-excel-rs", RUST)
def _(parquet: Path, workbook: Path) -> None:
    from py_excel_rs import WorkBook

    book = WorkBook()
    book.write_csv_to_sheet(SHEET, pl.read_parquet(parquet).write_csv().encode())
    with workbook.open("wb") as file:
        book.finish(file)


@writer("py-excel-rs, with serials", RUST)
def _(parquet: Path, workbook: Path) -> None:
    """With a type for each column: then it copies the CSV's cells as they are, so they are to be what Excel stores."""
    from py_excel_rs import CellType, WorkBook

    kinds = {"time": CellType.Date, "number": CellType.Number, "flag": CellType.Boolean, "text": CellType.String}
    log = pl.read_parquet(parquet)
    days = pl.col("timestamp").dt.epoch("us") / 86_400e6 + 25_569  # since 1899-12-30
    stored = log.with_columns(days.alias("timestamp"), pl.col("success").cast(pl.Int8))
    book = WorkBook()
    book.write_csv_to_sheet(SHEET, stored.write_csv().encode(), [kinds[kind_of(log[name])] for name in log.columns])
    with workbook.open("wb") as file:
        book.finish(file)


def with_xlsxwriter(parquet: Path, workbook: Path, *, constant_memory: bool) -> None:
    """As its manual says, but without making links of addresses: Excel has room for 65,530 of them."""
    import xlsxwriter

    options = {
        "constant_memory": constant_memory,
        "strings_to_urls": False,
        "remove_timezone": True,
        "default_date_format": "yyyy-mm-dd hh:mm:ss.000",
    }
    log = pl.read_parquet(parquet)
    with xlsxwriter.Workbook(str(workbook), options) as book:
        sheet = book.add_worksheet(SHEET)
        sheet.write_row(0, 0, log.columns)
        for number, row in enumerate(log.iter_rows(), 1):
            sheet.write_row(number, 0, row)


@writer("xlsxwriter", SLOW, SMALL_ONLY)
def _(parquet: Path, workbook: Path) -> None:
    with_xlsxwriter(parquet, workbook, constant_memory=False)


@writer("xlsxwriter, constant memory", SLOW, ONCE)
def _(parquet: Path, workbook: Path) -> None:
    with_xlsxwriter(parquet, workbook, constant_memory=True)


@writer("polars write_excel", SLOW, SMALL_ONLY)
def _(parquet: Path, workbook: Path) -> None:
    without_zone(parquet).write_excel(workbook)


@writer("polars write_excel, no links", SLOW, SMALL_ONLY)
def _(parquet: Path, workbook: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(str(workbook), {"strings_to_urls": False}) as book:
        without_zone(parquet).write_excel(book)


@writer("pandas, openpyxl", SLOW, SMALL_ONLY)
def _(parquet: Path, workbook: Path) -> None:
    without_zone(parquet).to_pandas().to_excel(workbook, index=False, engine="openpyxl")


@writer("pandas, xlsxwriter", SLOW, SMALL_ONLY)
def _(parquet: Path, workbook: Path) -> None:
    options = {"options": {"strings_to_urls": False}}
    without_zone(parquet).to_pandas().to_excel(workbook, index=False, engine="xlsxwriter", engine_kwargs=options)


@writer("openpyxl write-only", SLOW, SMALL_ONLY)
def _(parquet: Path, workbook: Path) -> None:
    import openpyxl

    log = without_zone(parquet)
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(SHEET)
    sheet.append(log.columns)
    for row in log.iter_rows():
        sheet.append(row)
    book.save(workbook)


@writer("pyexcelerate", SLOW, SMALL_ONLY)
def _(parquet: Path, workbook: Path) -> None:
    import pyexcelerate

    log = without_zone(parquet)
    book = pyexcelerate.Workbook()
    book.new_sheet(SHEET, data=[log.columns, *log.iter_rows()])
    book.save(str(workbook))


def kind_of(column: pl.Series) -> str:
    """What Excel would call it."""
    if column.dtype.is_temporal():
        return "time"
    if column.dtype.is_numeric():
        return "number"
    return "flag" if column.dtype == pl.Boolean else "text"


def examine(workbook: Path, parquet: Path) -> dict[str, dict[str, str | int]]:
    """Compare the first sheet of a workbook with what it was made from, column by column.

    Returns:
        ``kinds``: columns that came back as another kind, and as which; ``gaps``: in how many rows a column has a value
        where there was none, if only an empty text, or none where there was one; ``values``: in how many another one.
    """
    import fastexcel

    log = without_zone(parquet)
    sheet = fastexcel.read_excel(workbook).load_sheet(0, schema_sample_rows=None).to_polars()
    if sheet.shape != log.shape:
        raise SystemExit(f"{workbook.name} has {sheet.shape} cells in place of {log.shape}")
    found: dict[str, dict[str, str | int]] = {"kinds": {}, "gaps": {}, "values": {}}
    for was, now in zip(log, sheet, strict=True):
        kind = kind_of(was)
        if kind_of(now) != kind:
            found["kinds"][was.name] = kind_of(now)
            continue
        gaps = int((was.is_null() != now.is_null()).sum())
        values = int(differing(kind, was, now).sum())
        found["gaps"] |= {was.name: gaps} if gaps else {}
        found["values"] |= {was.name: values} if values else {}
    return found


def differing(kind: str, was: pl.Series, now: pl.Series) -> pl.Series:
    """Where two columns of a kind have different values, as far as a workbook can hold them."""
    if kind == "time":
        return (was - now).abs() > TIME_STEP
    if kind == "number":
        return (was - now).abs() > was.abs() * NUMBER_STEP
    return was != now


if __name__ == "__main__":
    _script, name, log_path, out_folder, *flags = sys.argv
    os.environ.setdefault("TAILRACE_HOME", out_folder)
    main(name, Path(log_path), Path(), Path(out_folder))
    if "--check" in flags:
        (made,) = Path(out_folder).glob("*.xlsx")
        print(json.dumps(examine(made, Path(log_path))))

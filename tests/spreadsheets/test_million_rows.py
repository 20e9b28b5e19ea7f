"""More real rows than a sheet holds: LibreOffice opens the workbook and has every one of them."""

import os
import resource
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import fastexcel
import polars as pl
import pytest
from tailrace_format_excel import ExcelFormat, ExcelOptions

from tailrace import Column, Context, Meaning, OutgoingTable, WriteCall

from .readers import Office

FULL = 1_048_575
"""Rows of a sheet, without its header."""
ROWS = FULL + 425
SHEETS = {"validations": FULL, "validations (2)": ROWS - FULL}
MOST_MEMORY = 2_000_000
"""Kilobytes; LibreOffice takes about 700,000."""
EVERY_SHEET = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"


@pytest.fixture(scope="module")
def rows() -> pl.LazyFrame:
    """Rows of the week that ``SHARED_WEEK`` names, a Parquet file; made-up ones of the same shape without it."""
    if week := os.environ.get("SHARED_WEEK"):
        return pl.scan_parquet(week).head(ROWS)
    number = pl.int_range(ROWS, dtype=pl.Int64)
    failed = number * 7 % 10 >= 2
    micros = number * 577_350 + number * 7_919 % 1_000_003
    return pl.LazyFrame().select(
        proxy_url=pl.format(
            "http://10.{}.{}.{}:8080", number // 7 % 256, number // 7 // 256 % 256, number // 7 // 65_536
        ),
        validated_at=pl.lit(datetime(2026, 8, 15, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
        + pl.duration(microseconds=micros),
        is_valid=~failed,
        response_time_ms=pl.when(~failed).then((number * 104_729 % 30_000_001 / 1000).cast(pl.Float64)),
        error_type=pl.when(failed).then(pl.lit("unreachable")),
    )


@pytest.fixture(scope="module")
def workbook(rows: pl.LazyFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("million") / "million.xlsx"
    columns = [
        Column(name, Meaning.MEASURE, "ms") if name == "response_time_ms" else Column(name)
        for name in rows.collect_schema()
    ]
    table = OutgoingTable("validations", rows, columns, "UTC", "validated_at")
    with path.open("wb") as output:
        ExcelFormat().write(
            WriteCall((table,), output, ExcelOptions(), {"source": "analytics"}, lambda _note: None, Context())
        )
    return path


def check(got: pl.DataFrame, rows: pl.LazyFrame, first: int, *, off: float = 0.0) -> None:
    """Whether rows that were read are the same, numbers but for a share of them, times but for a millisecond."""
    wanted = rows.slice(first, got.height).collect()
    pairs = pl.DataFrame({name: got[f"{name} (UTC)" if name == "validated_at" else name] for name in wanted.columns})
    both = pl.concat([pairs, wanted.rename(lambda name: f"wanted {name}")], how="horizontal")
    micros = (
        pl.col("validated_at").dt.replace_time_zone("UTC") - pl.col("wanted validated_at")
    ).dt.total_microseconds()
    number, right = pl.col("response_time_ms"), pl.col("wanted response_time_ms")
    same = [
        *(pl.col(name).eq_missing(pl.col(f"wanted {name}")) for name in ("proxy_url", "is_valid", "error_type")),
        (number.is_null() & right.is_null()) | ((number - right).abs() <= right.abs() * off),
        micros.abs() <= 1000,
    ]
    different = both.filter(~pl.all_horizontal(pl.coalesce(one, pl.lit(value=False)) for one in same))
    assert different.is_empty(), different.head(5).rows(named=True)


def test_fastexcel_has_every_row(workbook: Path, rows: pl.LazyFrame) -> None:
    book = fastexcel.read_excel(workbook)
    assert book.sheet_names == [*SHEETS, "Summary", "Manifest"]
    first = 0
    for name, height in SHEETS.items():
        got = book.load_sheet(name).to_polars()
        assert got.height == height
        check(got, rows, first)
        first += height


def test_libreoffice_opens_it_and_has_every_row(
    workbook: Path, rows: pl.LazyFrame, office: Office, tmp_path: Path
) -> None:
    office.convert([workbook], EVERY_SHEET, tmp_path, wait=280)
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    assert most < MOST_MEMORY
    counted: Mapping[str, int] = {
        name: pl.scan_csv(tmp_path / f"million-{name}.csv", infer_schema=False).select(pl.len()).collect().item()
        for name in SHEETS
    }
    assert counted == SHEETS
    first = 0
    for name, height in SHEETS.items():
        got = pl.read_csv(tmp_path / f"million-{name}.csv", infer_schema=False).with_columns(
            pl.col("validated_at (UTC)").str.to_datetime("%Y-%m-%d %H:%M:%S%.3f", time_unit="us"),
            pl.col("is_valid") == "TRUE",
            pl.col("response_time_ms").cast(pl.Float64),
        )
        assert got.height == height
        # It writes 15 digits of a number.
        check(got, rows, first, off=1e-14)
        first += height

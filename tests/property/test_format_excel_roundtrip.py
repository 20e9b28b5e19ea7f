"""Any table comes back from a workbook as the texts that a CSV file has for it."""

import csv
import io
import re
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tailrace_format_csv import CsvFormat, CsvOptions
from tailrace_format_excel import ExcelFormat, ExcelOptions
from tailrace_format_excel.reading import apart
from tailrace_format_excel.reading.tables import gathered

from tailrace import Column, Context, OutgoingTable, RequestError, RereadCall, WriteCall

NULL = "\\N"
SHORT = 10**11
"""Below it, a number with four decimals has fifteen digits."""
UNREADABLE = {*map(chr, range(32)), "\ufffe", "\uffff"} - set("\t\n\r")
TEXTS = st.one_of(
    st.text(max_size=8),
    st.text(alphabet="=+-@'\"{_x0041F5\t\r\n <>&;,\u200b\U0001f600", max_size=12),
    st.sampled_from(["=1+1", "_x0041_", "_x000D_", "<r>x</r>", "http://e.x/", "007", "TRUE", "1e5", "", " ", "NaN"]),
)
KINDS: dict[Any, st.SearchStrategy[Any]] = {
    pl.String(): TEXTS,
    pl.Categorical(): TEXTS,
    pl.Boolean(): st.booleans(),
    pl.Int64(): st.integers(-(2**63), 2**63 - 1),
    pl.UInt8(): st.integers(0, 255),
    pl.UInt64(): st.integers(0, 2**64 - 1),
    pl.Float64(): st.floats(),
    pl.Decimal(20, 4): st.decimals(-(10**15), 10**15, places=4),
    pl.Date(): st.dates(date(1, 1, 1)),
    pl.Datetime("us", "UTC"): st.datetimes(datetime(1, 1, 1)),  # noqa: DTZ001 - polars takes them for UTC
    pl.Datetime("us"): st.datetimes(datetime(1890, 1, 1), datetime(2085, 1, 1)),  # noqa: DTZ001 - without a zone
    pl.Datetime("ms", "Europe/Berlin"): st.datetimes(datetime(2026, 10, 24), datetime(2026, 10, 26)),  # noqa: DTZ001
    pl.Datetime("ns", "UTC"): st.datetimes(datetime(1970, 1, 1), datetime(2085, 1, 1)),  # noqa: DTZ001
    pl.Time(): st.times(),
    pl.Duration("us"): st.timedeltas(timedelta(days=-3), timedelta(days=90_000)),
    pl.Binary(): st.binary(max_size=5),
}


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    height = draw(st.integers(0, 6))
    kinds = draw(st.lists(st.sampled_from(list(KINDS)), min_size=1, max_size=5))
    columns = []
    for number, dtype in enumerate(kinds):
        values = draw(st.lists(st.none() | KINDS[dtype], min_size=height, max_size=height))
        plain = dtype if not isinstance(dtype, pl.Datetime) else pl.Datetime(dtype.time_unit)
        series = pl.Series(f"c{number}", values, dtype=plain)
        if isinstance(dtype, pl.Datetime) and dtype.time_zone:
            series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
        columns.append(series)
    return pl.DataFrame(columns)


def written(format_: Any, frame: pl.DataFrame, options: Any) -> bytes:
    output = io.BytesIO()
    table = OutgoingTable("rows", frame.lazy(), [Column(name) for name in frame.columns])
    format_.write(WriteCall((table,), output, options, {}, lambda _note: None, Context()))
    return output.getvalue()


def fields(frame: pl.DataFrame) -> list[list[str | None]]:
    """What CSV has for each value."""
    content = written(CsvFormat(), frame, CsvOptions(nulls=NULL)).decode()
    return [[None if field == NULL else field for field in row] for row in csv.reader(io.StringIO(content, newline=""))]


def meant(field: str | None, dtype: pl.DataType) -> Any:
    """What a field means: 1.0 and 1, a time in two zones, or with more noughts, are spelt in two ways."""
    if field is None or field in {"NaN", "inf", "-inf"}:
        return field
    # fastexcel shows nine decimals of a number: the same double, and not always in the shortest spelling.
    if dtype.is_float() or (dtype.is_decimal() and abs(Decimal(field)) < SHORT):
        return float(field)
    if isinstance(dtype, pl.Datetime):
        clock, digits, offset = re.fullmatch(r"([^.]+)\.(\d+)(.*)", field).groups()  # type: ignore[union-attr]
        zone = offset.replace("Z", "+00:00")
        # The first and the last day of the calendar have no time in UTC everywhere.
        moment = datetime.fromisoformat(f"{clock}{zone}")
        return (moment.astimezone(UTC) if zone and moment.year > 1 else moment), digits.ljust(9, "0")
    return field


def refused(frame: pl.DataFrame) -> bool:
    texts = [value for column in frame.get_columns() for value in column if isinstance(value, str)]
    return any(UNREADABLE & set(text) or "x005F_" in text for text in texts)


@given(
    frame=frames(),
    options=st.builds(
        ExcelOptions,
        cell_references=st.booleans(),
        rows_per_sheet=st.integers(1, 9),
        about=st.booleans(),
        datetimes=st.sampled_from(["excel", "excel", "iso"]),
    ),
)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_workbook_holds_what_a_csv_file_holds(frame: pl.DataFrame, options: ExcelOptions) -> None:
    if any(NULL in value for column in frame.get_columns() for value in column if isinstance(value, str)):
        return
    if refused(frame):
        event("refused")
        with pytest.raises(RequestError, match=r"^Row \d of column 'c\d' of table rows has control characters"):
            written(ExcelFormat(), frame, options)
        return
    expected = fields(frame)
    content = written(ExcelFormat(), frame, options)
    assert content == written(ExcelFormat(), frame, options)
    tables = gathered(apart.read(iter([content]), {"path": "rows.xlsx"}), Path("rows.xlsx"))
    read = tables["rows"]
    assert read.columns == expected[0]
    for row, wanted in zip(read.rows(), expected[1:], strict=True):
        for value, field, dtype in zip(row, wanted, frame.dtypes, strict=True):
            assert meant(value, dtype) == meant(field, dtype)
    for thorough in (False, True):
        call = RereadCall(iter([content]), options, ["rows"], thorough, {"rows": frame.width})
        assert ExcelFormat().count_rows(call) == {"rows": frame.height}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            ET.fromstring(archive.read(name))
        sheet = archive.read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in sheet
    assert b"<hyperlink" not in sheet


def test_midnight_of_the_first_day_is_no_day_of_1899() -> None:
    frame = pl.DataFrame({"c0": [time(0, 0)], "c1": [timedelta(0)]})
    content = written(ExcelFormat(), frame, ExcelOptions())
    read = gathered(apart.read(iter([content]), {"path": "x"}), Path("x"))["rows"]
    assert read.rows() == [("00:00:00.000000000", "PT0S")]

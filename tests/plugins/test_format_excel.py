# ruff: noqa: DTZ001 - the times of Excel have no zone
"""The format ``excel``: what is written is read back by fastexcel and openpyxl, and by a reader of our own."""

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import fastexcel
import openpyxl
import polars as pl
import pytest
import tailrace_format_excel.rows
from tailrace_format_excel import ExcelFormat, ExcelOptions
from tailrace_format_excel.batches import by_size
from tailrace_format_excel.naming import SheetNames

from tailrace import (
    CancelledError,
    Column,
    Context,
    Meaning,
    OutgoingTable,
    RequestError,
    UnknownNameError,
    WriteCall,
    beyond_iso,
)

FORMAT = ExcelFormat()
EMBEDDED = {
    "schema_version": 2,
    "source": "analytics",
    "credentials": "sanitized",
    "parameters": {"where": ["cost > 1"], "since": "2026-08-15", "columns": ["timestamp", "cost"]},
    "tables": [],
}
NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
TEXTS = [
    "plain", "", " ", " lead", "trail ", "two\nlines", "tab\there", "cr\rhere", "crlf\r\nhere", "\n", "\t",
    "=1+1", "+1", "-1", "@SUM(A1)", "=cmd|' /C calc'!A0", "{=1}", "'=1", '"=1"', "\uff1d1", "\u22121", " =1",
    "http://example.com/", "https://e.x/a?b=c&d=e", "ftp://x", "mailto:a@b.c", "internal:Sheet1!A1",
    "https://e.x/" + "u" * 2068, "<r>rich</r>", "<r><t>x</t></r>", "&amp;", "a&b<c>\"d'", "]]>", "<!-- x -->",
    "</row>", "<c/>", "_x0041_", "_x000D_", "_xFFFF_", "_x0041_x0042_", "__x0041_", "_x00zz_", "_X0041_", "x0041_",
    "_x5_", "_xabc_x0041_", "_x00041_", "_", "_x", "007", "1e5", "1/2", "true", "NaN", "#N/A", "2026-08-15",
    "12345678901234567",
    "\u00e9", "e\u0301", "\u4e2d\u6587", "\u0627\u0644\u0639", "\U0001f600", "\u2028", "\ufeffmark", "\x7f",
    "\x85", "\xa0", "x" * 32_767, "\U0001f600" * 16_383,
]  # fmt: skip


class Output(io.BytesIO):
    """Where a format writes."""


def write(
    frame: pl.DataFrame | pl.LazyFrame | Mapping[str, pl.DataFrame],
    notes: list[str] | None = None,
    *,
    columns: Sequence[Column] = (),
    time_column: str | None = None,
    zone: str = "UTC",
    moment: datetime | None = None,
    context: Context | None = None,
    **options: Any,
) -> bytes:
    frames = frame if isinstance(frame, Mapping) else {"requests": frame}
    tables = tuple(
        OutgoingTable(
            name, one.lazy(), columns or [Column(name) for name in one.lazy().collect_schema()], zone, time_column
        )
        for name, one in frames.items()
    )
    output = Output()
    told = [] if notes is None else notes
    call = WriteCall(
        tables, output, ExcelOptions(**options), EMBEDDED, told.append, context or Context(), moment=moment
    )
    FORMAT.write(call)
    return output.getvalue()


def by_openpyxl(content: bytes, sheet: int = 0, *, quick: bool = False) -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=quick)
    return list(book.worksheets[sheet].iter_rows(values_only=True))


def by_fastexcel(content: bytes, sheet: int = 0, **options: Any) -> pl.DataFrame:
    frame: pl.DataFrame = fastexcel.read_excel(content).load_sheet(sheet, **options).to_polars()
    return frame


def part(content: bytes, name: str) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name).decode()


def parts(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return archive.namelist()


def cells(content: bytes, sheet: int = 1) -> list[list[tuple[str, str]]]:
    """Type and raw value of each cell, by the letter of the specification, the header left out."""
    root = ET.fromstring(part(content, f"xl/worksheets/sheet{sheet}.xml"))
    return [
        [(cell.get("t", "n") if len(cell) else "", "".join(cell.itertext())) for cell in row.iter(f"{NAMESPACE}c")]
        for row in list(root.iter(f"{NAMESPACE}row"))[1:]
    ]


def column(values: Sequence[Any], dtype: Any = None, name: str = "value") -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(values, dtype=dtype, strict=True)})


def raw(values: Sequence[Any], dtype: Any = None, **options: Any) -> list[tuple[str, str]]:
    return [row[0] for row in cells(write(column(values, dtype), **options))]


def test_its_files_are_workbooks_of_all_tables_and_are_not_gzipped() -> None:
    layout = FORMAT.layout(ExcelOptions())
    assert (layout.extension, layout.compressible, layout.many_tables) == ("xlsx", False, True)
    assert layout.media_type == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@pytest.mark.parametrize("references", [False, True])
def test_texts_are_read_back_equal_and_none_is_a_formula_or_a_link(references: bool) -> None:  # noqa: FBT001 - a parameter
    content = write(column(TEXTS), cell_references=references)
    assert by_fastexcel(content)["value"].to_list() == TEXTS
    for quick in (False, True):
        assert [row[0] for row in by_openpyxl(content, quick=quick)[1:]] == TEXTS
    sheet = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows() for cell in row} == {"s"}
    assert "<f" not in part(content, "xl/worksheets/sheet1.xml").replace("<font", "")
    assert "hyperlink" not in part(content, "xl/worksheets/sheet1.xml")
    assert not [name for name in parts(content) if "worksheets/_rels/sheet1" in name]


def test_null_is_an_empty_cell_and_an_empty_text_is_a_text() -> None:
    content = write(pl.DataFrame({"a": ["", None], "b": [None, 1], "c": [None, True], "d": [None, None]}))
    assert [[kind for kind, _value in row] for row in cells(content)] == [["s", "", "", ""], ["", "n", "b", ""]]
    assert by_openpyxl(content)[1:] == [("", None, None, None), (None, 1, True, None)]


def test_a_million_links_would_be_none() -> None:
    urls = [f"https://example.com/{number}" for number in range(65_531)]
    assert by_fastexcel(write(column(urls)))["value"].to_list() == urls


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x" * 32_768, "has more than the 32,767 characters that a cell holds"),
        ("\U0001f600" * 16_384, "has more than the 32,767 characters that a cell holds"),
        *((f"a{character}b", "has control characters") for character in "\x00\x01\x08\x0b\x0c\x0e\x1b\x1f\ufffe\uffff"),
        ("_x005F_", "has control characters, or '_x005F_'"),
        ("fax005F_", "has control characters, or '_x005F_'"),
    ],
)
@pytest.mark.parametrize("row", [1, 20_001])
def test_a_text_that_not_everybody_reads_back_is_refused_with_row_and_column(text: str, reason: str, row: int) -> None:
    with pytest.raises(RequestError) as refused:
        write(column([*["good"] * (row - 1), text, "good", text], name="note"))
    assert refused.value.message.startswith(f"Row {row:,} of column 'note' of table requests {reason}")
    assert "--" in refused.value.hint
    assert text == "_x005F_" or text not in str(refused.value)


def test_control_characters_are_escaped_on_request() -> None:
    texts = ["a\x01b", "\x00", "\x1b[31m", "_x005F_", "_x0041_\x02", "\x0b_x0041_"]
    content = write(column(texts), control_characters="escape")
    assert by_fastexcel(content)["value"].to_list() == texts


def test_polars_has_no_lone_surrogates_to_write() -> None:
    with pytest.raises(UnicodeEncodeError):
        pl.Series(["\ud800"])


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([0, -1, 10**15 - 1, 1 - 10**15], pl.Int64, ["0", "-1", "999999999999999", "-999999999999999"]),
        ([255, 0], pl.UInt8, ["255", "0"]),
        ([0.1, -0.0, 1e300, 5e-324, 1e21, 123456789.123456789], pl.Float64, None),
        ([Decimal("1.10"), Decimal("-0.05"), Decimal("99999999999.9999")], pl.Decimal(20, 4), None),
    ],
)
def test_numbers_are_numbers(values: list[Any], dtype: Any, expected: list[str] | None) -> None:
    written = raw(values, dtype)
    assert {kind for kind, _value in written} == {"n"}
    assert expected is None or [value for _kind, value in written] == expected
    assert [float(value) for _kind, value in written] == [float(value) for value in values]
    assert [row[0] for row in by_openpyxl(write(column(values, dtype)))[1:]] == [float(value) for value in values]


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([10**15, -(10**15), 2**63 - 1, -(2**63)], pl.Int64),
        ([2**64 - 1, 10**15], pl.UInt64()),
        ([10**38, -(10**20)], pl.Int128),
        ([Decimal("123456789012.1234"), Decimal("-100000000000.0001")], pl.Decimal(20, 4)),
    ],
)
def test_numbers_of_more_digits_than_excel_keeps_are_texts_and_told(values: list[Any], dtype: Any) -> None:
    notes: list[str] = []
    content = write(column([*values, Decimal(1) if isinstance(values[0], Decimal) else 1], dtype), notes)
    assert [row[0] for row in by_openpyxl(content)[1:-1]] == [str(value) for value in values]
    assert by_openpyxl(content)[-1] == (1,)
    assert notes == [f"requests.value: {len(values)} values of more than 15 digits, written as text."]


def test_what_is_not_finite_is_text_and_told_or_refused() -> None:
    notes: list[str] = []
    content = write(column([float("nan"), float("inf"), float("-inf"), None, 1.5]), notes)
    assert [row[0] for row in by_openpyxl(content)[1:]] == ["NaN", "inf", "-inf", None, 1.5]
    assert notes == ["requests.value: 3 values not finite, written as text."]
    with pytest.raises(RequestError, match=r"Row 2 of column 'value' of table requests is not finite\.") as refused:
        write(column([1.0, float("nan")]), nonfinite="refuse")
    assert "--option nonfinite=text" in refused.value.hint


def serial_of(moment: datetime) -> timedelta:
    return moment - datetime(1899, 12, 30, tzinfo=moment.tzinfo)


MOMENTS = [
    datetime(2026, 8, 15, 6, 0, 0, 123_456),
    datetime(2026, 8, 15, 23, 59, 59, 999_999),
    datetime(1900, 3, 2),
    datetime(2078, 12, 31, 1, 2, 3, 1),
    datetime(2079, 6, 5, 1, 2, 3, 4_000),
    datetime(9999, 12, 30, 23, 59, 59, 999_000),
]


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_are_dates_of_excel_to_the_microsecond(zone: str | None) -> None:
    frame = column(MOMENTS, pl.Datetime("us")).with_columns(pl.col("value").dt.replace_time_zone(zone))
    content = write(frame)
    for (kind, value), moment in zip((row[0] for row in cells(content)), MOMENTS, strict=True):
        assert kind == "n"
        unit = timedelta(microseconds=1 if moment.year < 2079 else 1_000)
        assert round(Fraction(float(value)) * (timedelta(days=1) // unit)) == serial_of(moment) // unit
    assert by_openpyxl(content)[0] == ("value (UTC)" if zone else "value",)
    for read, moment in zip(by_openpyxl(content)[1:], MOMENTS, strict=True):
        assert abs(read[0] - moment) <= timedelta(milliseconds=1)


def test_whole_milliseconds_are_read_back_exactly() -> None:
    moments = [datetime(2026, 8, 15) + timedelta(milliseconds=number * 86_413) for number in range(2_000)]
    content = write(column(moments, pl.Datetime("ms", "UTC")))
    assert [row[0] for row in by_openpyxl(content)[1:]] == moments
    assert by_fastexcel(content)["value (UTC)"].to_list() == moments


@pytest.mark.parametrize(
    ("values", "dtype", "reason"),
    [
        ([datetime(1899, 12, 31), datetime(1900, 2, 28)], pl.Datetime("us"), "beyond the calendar of Excel"),
        ([date(1, 1, 1), date(1900, 2, 28)], pl.Date, "beyond the calendar of Excel"),
        ([timedelta(milliseconds=-1)], pl.Duration("us"), "beyond the calendar of Excel"),
        ([datetime(2079, 6, 7, 0, 0, 0, 1)], pl.Datetime("us"), "finer than the times of Excel"),
    ],
)
def test_times_that_excel_does_not_have_are_text_and_told(values: list[Any], dtype: Any, reason: str) -> None:
    notes: list[str] = []
    good = timedelta(hours=1) if isinstance(values[0], timedelta) else date(2026, 8, 15)
    content = write(column([*values, good if dtype != pl.Datetime("us") else datetime(2026, 8, 15)], dtype), notes)
    written = [row[0] for row in cells(content)]
    assert [kind for kind, _value in written] == ["s"] * len(values) + ["n"]
    iso = by_openpyxl(write(column(values, dtype), datetimes="iso"))
    assert by_openpyxl(content)[1:-1] == iso[1:]
    assert len(notes) == 1
    assert f"{len(values)} value" in notes[0]
    assert reason in notes[0]


def test_nanoseconds_that_would_be_lost_are_text() -> None:
    frame = pl.DataFrame(
        {"t": pl.Series([1_786_752_000_000_001_000, 1_786_752_000_000_001_001]).cast(pl.Datetime("ns", "UTC"))}
    )
    notes: list[str] = []
    content = write(frame, notes)
    assert [row[0][0] for row in cells(content)] == ["n", "s"]
    assert by_openpyxl(content)[2] == ("2026-08-15T00:00:00.000001001Z",)
    assert "finer than the times of Excel" in notes[0]


@pytest.mark.parametrize("dtype", [pl.Datetime("ns"), pl.Datetime("ns", "UTC"), pl.Datetime("ms"), pl.Duration("ns")])
def test_any_tick_is_written_or_refused(dtype: pl.DataType) -> None:
    for least in (-(2**63) + 1, -(10**18), 0, 10**18, 2**63 - 1):
        frame = pl.DataFrame({"value": pl.Series([least, 0], dtype=pl.Int64).cast(dtype)})
        if beyond_iso(frame["value"]):
            with pytest.raises(RequestError, match=r"is a time outside of the years 1 to 9999\.$"):
                write(frame)
        else:
            assert len(by_openpyxl(write(frame))) == 3


def test_times_far_beyond_the_calendar_are_refused_in_every_zone() -> None:
    frame = pl.DataFrame({"value": pl.Series([2**62], dtype=pl.Int64).cast(pl.Datetime("us", "Europe/Berlin"))})
    with pytest.raises(RequestError, match="Row 1 of column 'value' of table requests is a time outside of the years"):
        write(frame)


def test_another_zone_is_in_the_header_and_the_hour_that_comes_twice_is_text() -> None:
    zone = ZoneInfo("Europe/Berlin")
    instants = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (23, 0, 1, 2)]
    instants[0] -= timedelta(days=1)
    notes: list[str] = []
    frame = column(instants, pl.Datetime("us", "UTC")).with_columns(pl.col("value").dt.convert_time_zone(zone.key))
    content = write(frame, notes, zone=zone.key)
    read = by_openpyxl(content)
    assert read[0] == ("value (Europe/Berlin)",)
    assert read[1][0] == datetime(2026, 10, 25, 1, 30)
    assert read[2:4] == [("2026-10-25T02:30:00.000000+02:00",), ("2026-10-25T02:30:00.000000+01:00",)]
    assert read[4][0] == datetime(2026, 10, 25, 3, 30)
    assert "2 values of an hour that the clocks of the zone showed twice" in notes[0]


def test_dates_times_of_day_and_durations_have_formats_of_their_own() -> None:
    frame = pl.DataFrame(
        {
            "day": [date(2026, 8, 15)],
            "clock": [time(6, 30, 0, 1_000)],
            "span": pl.Series([timedelta(days=2, hours=3, milliseconds=5)], dtype=pl.Duration("us")),
        }
    )
    sheet = openpyxl.load_workbook(io.BytesIO(write(frame))).worksheets[0]
    assert [cell.value for cell in sheet[2]] == [
        datetime(2026, 8, 15), time(6, 30, 0, 1_000), timedelta(days=2, hours=3, milliseconds=5),
    ]  # fmt: skip
    assert [cell.number_format for cell in sheet[2]] == ["yyyy-mm-dd", "hh:mm:ss.000", "[h]:mm:ss.000"]


def test_times_are_iso_text_on_request() -> None:
    frame = column([datetime(2026, 8, 15, 6, tzinfo=UTC)], pl.Datetime("us", "UTC"))
    assert by_openpyxl(write(frame, datetimes="iso")) == [("value",), ("2026-08-15T06:00:00.000000Z",)]
    beyond = column([0, 2**62], pl.Int64).select(pl.col("value").cast(pl.Datetime("us")))
    with pytest.raises(RequestError, match="Row 2 of column 'value' of table requests is a time outside of the years"):
        write(beyond, datetimes="iso")


def test_binary_is_base64_and_told() -> None:
    notes: list[str] = []
    assert by_openpyxl(write(column([b"\x00\xff", None]), notes))[1:] == [("AP8=",), (None,)]
    assert notes == ["requests.value: binary, written as Base64."]


@pytest.mark.parametrize("dtype", [pl.Categorical(), pl.Enum(["a", "b"]), pl.String()])
def test_categories_are_texts(dtype: pl.DataType) -> None:
    values = ["b", None, "a", "b"]
    assert [row[0] for row in by_openpyxl(write(column(values, dtype)))[1:]] == values


def test_what_a_cell_cannot_hold_is_refused_by_name() -> None:
    with pytest.raises(RequestError, match=r"Column 'value' of table requests holds List\(Int64\)"):
        write(column([[1, 2]]))
    with pytest.raises(RequestError, match="has no columns"):
        write(pl.DataFrame())
    with pytest.raises(RequestError, match=r"has 16,385 columns; a sheet has 16,384"):
        write(pl.DataFrame({f"c{number}": [1] for number in range(16_385)}))
    both = pl.DataFrame({"t": [datetime(2026, 8, 15, tzinfo=UTC)], "t (UTC)": [1]})
    with pytest.raises(RequestError, match=r"Two columns of table requests have the header 't \(UTC\)'"):
        write(both)
    with pytest.raises(RequestError, match=r"The name of column 'a\\x01' of table requests has control characters"):
        write(pl.DataFrame({"a\x01": [1]}))


def test_the_widest_table_fits() -> None:
    wide = pl.DataFrame({f"c{number}": [number] for number in range(16_384)})
    read = by_fastexcel(write(wide, cell_references=True))
    assert read.width == 16_384
    assert read.row(0)[-1] == 16_383


@pytest.mark.parametrize("name", ["*", "^a.*$", "", "=1+1", "a,b", "\u00e9"])
def test_names_of_columns_are_texts_whatever_they_are(name: str) -> None:
    assert by_openpyxl(write(pl.DataFrame({name: [1], "other": ["x"]}))) == [(name, "other"), (1, "x")]


def test_the_sheet_is_made_for_people() -> None:
    frame = pl.DataFrame(
        {
            "timestamp": [datetime(2026, 8, 15, 6, tzinfo=UTC)],
            "port": [8080],
            "bytes": [1_234_567],
            "response_time_ms": [12.5],
            "url": ["https://example.com/a/long/path/that/goes/on"],
        }
    )
    columns = [
        Column("timestamp", Meaning.TIMESTAMP), Column("port"), Column("bytes", Meaning.MEASURE, "B"),
        Column("response_time_ms", Meaning.MEASURE, "ms"), Column("url", Meaning.URL),
    ]  # fmt: skip
    sheet = openpyxl.load_workbook(io.BytesIO(write(frame, columns=columns))).worksheets[0]
    assert sheet.title == "requests"
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:E2"
    assert all(cell.font.bold for cell in sheet[1])
    assert [cell.number_format for cell in sheet[2]] == ["yyyy-mm-dd hh:mm:ss.000", "0", "#,##0", "#,##0.0", "@"]
    assert [sheet.column_dimensions[letter].width > 8 for letter in "ABCDE"] == [True] * 5
    assert sheet.column_dimensions["E"].width > sheet.column_dimensions["B"].width


@pytest.mark.parametrize(
    ("rows", "limit", "expected"),
    [(0, 10, [0]), (10, 10, [10]), (11, 10, [10, 1]), (45_000, 20_000, [20_000, 20_000, 5_000])],
)
def test_more_rows_than_a_sheet_holds_go_on_in_further_sheets(rows: int, limit: int, expected: list[int]) -> None:
    content = write(column(list(range(rows)), pl.Int64), rows_per_sheet=limit)
    book = fastexcel.read_excel(content)
    names = ["requests", *(f"requests ({number})" for number in range(2, len(expected) + 1))]
    assert book.sheet_names == [*names, "Summary", "Manifest"]
    read = [by_openpyxl(content, sheet) for sheet in range(len(expected))]
    assert [len(sheet) - 1 for sheet in read] == expected
    assert {sheet[0] for sheet in read} == {("value",)}
    assert [row[0] for sheet in read for row in sheet[1:]] == list(range(rows))
    filters = re.findall(
        r'<autoFilter ref="A1:A(\d+)"',
        "".join(part(content, f"xl/worksheets/sheet{number}.xml") for number in range(1, len(expected) + 1)),
    )
    assert [int(last) - 1 for last in filters] == [max(rows, 1) for rows in expected]


def test_past_the_last_row_of_excel_there_is_another_sheet() -> None:
    content = write(pl.LazyFrame({"value": pl.int_range(1_048_577, eager=True)}))
    heights = [by_fastexcel(content, sheet).height for sheet in (0, 1)]
    assert heights == [1_048_575, 2]
    assert by_fastexcel(content, 1)["value"].to_list() == [1_048_575, 1_048_576]


@pytest.mark.parametrize("limit", [0, 1_048_576])
def test_a_limit_that_no_sheet_can_have_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 1,048,575 rows"):
        ExcelOptions(rows_per_sheet=limit)


def test_a_sheet_for_each_value_of_a_column() -> None:
    values = ["DE", "US", None, "DE", "", "A/B", "A:B"]
    frame = pl.DataFrame({"country": values, "number": range(7)})
    content = write(frame, sheet_per="country", rows_per_sheet=5)
    book = fastexcel.read_excel(content)
    assert book.sheet_names == ["(empty)", "A_B", "A_B (2)", "DE", "US", "(none)", "Summary", "Manifest"]
    read = [by_openpyxl(content, sheet) for sheet in range(6)]
    assert {sheet[0] for sheet in read} == {("country", "number")}
    assert [sheet[1:] for sheet in read] == [
        [("", 4)], [("A/B", 5)], [("A:B", 6)], [("DE", 0), ("DE", 3)], [("US", 1)], [(None, 2)],
    ]  # fmt: skip


def test_sheets_of_values_hold_all_rows_in_order_and_go_on_in_further_ones() -> None:
    frame = pl.DataFrame({"value": [f"v{number % 7}" for number in range(50_000)], "number": range(50_000)})
    content = write(frame, sheet_per="value", rows_per_sheet=5_000, cell_references=True)
    for value in range(7):
        first, second = by_fastexcel(content, 2 * value), by_fastexcel(content, 2 * value + 1)
        numbers = [*first["number"].to_list(), *second["number"].to_list()]
        assert first.height == 5_000
        assert numbers == list(range(value, 50_000, 7))


def test_sheets_of_numbers_are_in_their_order() -> None:
    content = write(column([10, -1, 2, None, 1, -10]), sheet_per="value")
    assert fastexcel.read_excel(content).sheet_names[:6] == ["-10", "-1", "1", "2", "10", "(none)"]
    assert '<autoFilter ref="A1:A2"/>' in part(content, "xl/worksheets/sheet1.xml")
    assert "$A$1:$A$2" in part(content, "xl/workbook.xml")


def test_sheets_of_floats_end_with_what_is_no_number() -> None:
    values = [float("nan"), 1.5, float("inf"), None, float("-inf"), -2.0]
    names = fastexcel.read_excel(write(column(values), sheet_per="value")).sheet_names
    assert names[:6] == ["-inf", "-2.0", "1.5", "inf", "NaN", "(none)"]


def test_sheets_of_values_of_several_tables_are_named_after_both() -> None:
    frames = {"a": pl.DataFrame({"c": ["x"]}), "b": pl.DataFrame({"c": ["x"]}), "z": pl.DataFrame({"d": [1]})}
    output = write_tables(frames, sheet_per="c")
    assert fastexcel.read_excel(output).sheet_names[:3] == ["a x", "b x", "z"]


def write_tables(frames: Mapping[str, pl.DataFrame], **options: Any) -> bytes:
    tables = tuple(
        OutgoingTable(name, one.lazy(), [Column(name) for name in one.columns]) for name, one in frames.items()
    )
    output = Output()
    FORMAT.write(WriteCall(tables, output, ExcelOptions(**options), EMBEDDED, lambda _note: None, Context()))
    return output.getvalue()


def test_splitting_by_a_column_that_is_not_there_or_has_too_many_values_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="country"):
        write(column([1]), sheet_per="country")
    with pytest.raises(RequestError, match="more than 1,000 sheets"):
        write(column(list(range(1_001))), sheet_per="value")


def test_several_tables_are_a_sheet_each_with_clean_and_unique_names() -> None:
    names = [
        "a[b]:c*d?e/f\\g",
        "A_B__C_D_E_F_G",
        "history",
        "Summary",
        "'quoted'",
        "n" * 40,
        "n" * 31 + "x",
        "\U0001f600" * 20,
    ]
    frames = {name: pl.DataFrame({"value": [number]}) for number, name in enumerate(names)}
    content = write_tables(frames)
    sheets = fastexcel.read_excel(content).sheet_names
    assert sheets == [
        "a_b__c_d_e_f_g", "A_B__C_D_E_F_G (2)", "history (2)", "Summary (2)", "quoted", "n" * 31, "n" * 27 + " (2)",
        "\U0001f600" * 15, "Summary", "Manifest",
    ]  # fmt: skip
    assert [by_openpyxl(content, number)[1] for number in range(len(names))] == [
        (number,) for number in range(len(names))
    ]


def test_any_name_makes_a_sheet() -> None:
    frames = {name: pl.DataFrame({"value": [1]}) for name in ("' 'a", "'", "a' '", "\x01", "\t b \n", "[]", "\u2028")}
    assert len(fastexcel.read_excel(write_tables(frames)).sheet_names) == len(frames) + 2


def test_many_sheets_of_one_name_take_no_time() -> None:
    names = SheetNames()
    assert [names.next("a" * 40) for _ in range(2_000)][-1] == "a" * 24 + " (2000)"


def test_same_data_same_bytes_however_it_comes_in_pieces() -> None:
    frame = pl.DataFrame(
        {
            "timestamp": [datetime(2026, 8, 15, tzinfo=UTC) + timedelta(seconds=number) for number in range(50_000)],
            "text": [f"text {number * 7919 % 9_973}" for number in range(50_000)],
            "cost": [number / 7 for number in range(50_000)],
        }
    )
    columns = [Column("timestamp", Meaning.TIMESTAMP), Column("text"), Column("cost", Meaning.MEASURE)]
    pieces = pl.concat([frame[:17], frame[17:30_001], frame[30_001:]], rechunk=False)
    streamed = pieces.lazy().map_batches(lambda batch: batch, streamable=True)
    contents = {write(one, columns=columns, time_column="timestamp") for one in (frame, pieces, streamed)}
    assert len(contents) == 1


def test_texts_of_a_column_with_too_many_different_ones_stay_in_their_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_excel.rows, "_ROOM", 1_000)
    texts = [f"text <{number}>" for number in range(60_000)]
    odd = {0: "_x0041_", 30_000: "_x0041_x0042_", 45_000: "=1+1", 59_999: " cr\r\nlf\n"}
    texts = [odd.get(number, text) for number, text in enumerate(texts)]
    frame = pl.DataFrame(
        {"varied": texts, "few": [f"{number % 3}" for number in range(60_000)], "none": [None] * 60_000}
    )
    content = write(frame)
    assert part(content, "xl/worksheets/sheet1.xml").count('t="inlineStr"') > 30_000
    assert part(content, "xl/sharedStrings.xml").count("<si>") < 30_000
    read = by_fastexcel(content)
    assert read["varied"].to_list() == texts
    assert read["few"].to_list() == frame["few"].to_list()
    assert [row[0] for row in by_openpyxl(content, quick=True)[1:]] == texts
    with pytest.raises(RequestError, match=r"Row 60,001 of column 'varied'"):
        write(pl.DataFrame({"varied": [*texts, "\x01"]}))


def test_so_do_numbers_and_times_that_have_become_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace_format_excel.rows, "_ROOM", 1_000)
    numbers = [10**17 + number if number % 3 else number for number in range(60_000)]
    ticks = pl.Series([1_786_752_000_000_000_001 + number for number in range(60_000)]).cast(pl.Datetime("ns", "UTC"))
    content = write(pl.DataFrame({"id": numbers, "at": ticks}))
    assert part(content, "xl/sharedStrings.xml").count("<si>") < 50_000
    assert by_fastexcel(content, dtypes="string")["id"].to_list() == [str(number) for number in numbers]
    assert by_openpyxl(content, quick=True)[-2][1] == "2026-08-15T00:00:00.000059999Z"


def test_long_texts_are_worked_on_in_small_pieces() -> None:
    texts = [f"{number} " + "x<&" * 3_000 for number in range(3_000)]
    assert len(list(by_size(column(texts)))) > 2
    assert [len(piece) for piece in by_size(column(["short"] * 20_000))] == [20_000]
    assert by_fastexcel(write(column(texts)))["value"].to_list() == texts


def test_a_table_that_streams_is_told_of_like_one_that_does_not() -> None:
    rows = 60_000
    times = [datetime(2026, 8, 15, tzinfo=UTC) + timedelta(seconds=number * 7919 % rows) for number in range(rows)]
    frames = {"one": pl.DataFrame({"at": times}), "two": pl.DataFrame({"at": times[:10]})}
    columns = [Column("at", Meaning.TIMESTAMP)]
    tables = tuple(OutgoingTable(name, frame.lazy(), columns, "UTC", "at") for name, frame in frames.items())
    output = Output()
    FORMAT.write(WriteCall(tables, output, ExcelOptions(), EMBEDDED, lambda _note: None, Context()))
    content = output.getvalue()
    assert "<dc:subject>one, two</dc:subject>" in part(content, "docProps/core.xml")
    summary = list(openpyxl.load_workbook(io.BytesIO(content))["Summary"].iter_rows(values_only=True))
    start = next(number for number, row in enumerate(summary) if row[0] == "From (UTC)")
    assert summary[start - 1][0] == "Rows of one per 5 minutes, by at"
    assert sum(row[1] for row in summary[start + 1 :]) == rows
    properties = part(content, "docProps/custom.xml")
    for name, value in (("Table 1 sheet 1", "one"), ("Table 2 sheet 1", "two"), ("Table 2 zoned", "0")):
        assert f'name="{name}"><vt:lpwstr>{value}<' in properties


@pytest.mark.parametrize("year", [1, 1601, 1899, 9999])
def test_times_beyond_the_calendar_make_no_chart(year: int) -> None:
    times = [datetime(year, 6, 1) + timedelta(hours=number) for number in range(30)]
    content = write(column(times, pl.Datetime("us")), columns=[Column("value", Meaning.TIMESTAMP)], time_column="value")
    assert ("xl/charts/chart1.xml" in parts(content)) == (year == 9999)


def test_a_sum_that_no_double_holds_is_left_out() -> None:
    content = write(column([1e308] * 10), columns=[Column("value", Meaning.MEASURE)])
    rows = openpyxl.load_workbook(io.BytesIO(content))["Summary"].iter_rows(values_only=True)
    assert ("value", "requests", None, 10, 0, 1e308, None, 1e308, None) in [row[:9] for row in rows]


def test_texts_are_texts_on_the_sheets_behind_the_data_too() -> None:
    names = list(dict.fromkeys(text for text in TEXTS if len(text) < 1_000))
    embedded = {**EMBEDDED, "parameters": {"where": ["<r>x</r>", "half \udcff", "=1+1"]}}
    frame = pl.DataFrame({name: [1] for name in names})
    columns = [Column(name, Meaning.MEASURE) for name in names]
    output = Output()
    table = OutgoingTable("<r>&</r>", frame.lazy(), columns)
    FORMAT.write(WriteCall((table,), output, ExcelOptions(), embedded, lambda _note: None, Context()))
    book = openpyxl.load_workbook(io.BytesIO(output.getvalue()))
    rows = list(book["Manifest"].iter_rows(values_only=True))
    start = next(number for number, row in enumerate(rows) if row[:2] == ("Table", "Column")) + 1
    assert [row[1] for row in rows[start : start + len(names)]] == names
    assert {row[0] for row in rows[start : start + len(names)]} == {"<r>&</r>"}
    summary = dict(row[:2] for row in book["Summary"].iter_rows(values_only=True))
    assert summary["Filters"] == "<r>x</r> and half \\udcff and =1+1"
    assert {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row} <= {"s", "n", "d"}


def test_the_sheets_behind_the_data_say_what_it_is() -> None:
    frame = pl.DataFrame(
        {
            "timestamp": [datetime(2026, 8, 15, hour, tzinfo=UTC) for hour in (1, 1, 3)],
            "cost": [1.5, None, 2.0],
            "success": [True, False, True],
        }
    )
    columns = [
        Column("timestamp", Meaning.TIMESTAMP),
        Column("cost", Meaning.MEASURE, "USD"),
        Column("success", Meaning.FLAG),
    ]
    content = write(frame, columns=columns, time_column="timestamp")
    book = openpyxl.load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["requests", "Summary", "Manifest"]
    assert book.active is book.worksheets[0]
    summary = [[value for value in row if value is not None] for row in book["Summary"].iter_rows(values_only=True)]
    assert ["Export of analytics"] in summary
    assert ["Filters", "cost > 1"] in summary
    assert ["Time range", "from 2026-08-15"] in summary
    assert ["requests", "requests", 3, 3] in summary
    assert ["cost", "requests", "USD", 2, 1, 1.5, 1.75, 2, 3.5] in summary
    assert ["success", "requests", "true", 3, 0, 0.666666666667, 2] in summary
    assert [datetime(2026, 8, 15, 1), 2] in summary
    assert any(row[0] == datetime(2026, 8, 15, 2) and len(row) == 1 for row in summary if row)
    assert "xl/charts/chart1.xml" in parts(content)
    manifest = [[value for value in row if value is not None] for row in book["Manifest"].iter_rows(values_only=True)]
    assert ["credentials", "sanitized"] in manifest
    assert ["requests", "cost", "cost", "Float64", "measure", "USD"] in manifest
    assert ["requests", "requests", 3] in manifest


def test_notes_are_in_the_file_too() -> None:
    book = openpyxl.load_workbook(io.BytesIO(write(column([10**15]))))
    texts = [row[0] for row in book["Manifest"].iter_rows(values_only=True)]
    assert "requests.value: 1 value of more than 15 digits, written as text." in texts


def test_without_a_series_there_is_no_chart_and_without_about_there_is_only_data() -> None:
    assert "xl/charts/chart1.xml" not in parts(write(column([1])))
    assert fastexcel.read_excel(write(column([1]), about=False)).sheet_names == ["requests"]


def test_properties_are_filled_and_carry_a_clock_only_on_request() -> None:
    moment = datetime(2026, 11, 24, 18, 0, 1, tzinfo=UTC)
    first, second = (write(column([1]), moment=moment + timedelta(days=days)) for days in (0, 1))
    assert first == second
    core = part(first, "docProps/core.xml")
    assert "Export of analytics" in core
    assert "Tailrace" in core
    assert "<dcterms:" not in core
    stamped = write(column([1]), moment=moment, stamped=True)
    assert openpyxl.load_workbook(io.BytesIO(stamped)).properties.created == moment.replace(tzinfo=None)
    summary = openpyxl.load_workbook(io.BytesIO(stamped))["Summary"]
    assert ("Made", moment.replace(tzinfo=None)) in [row[:2] for row in summary.iter_rows(values_only=True)]


def test_file_type_detectors_see_what_it_is() -> None:
    content = write(column([1]))
    assert parts(content)[:2] == ["_rels/.rels", "docProps/core.xml"]
    assert content.startswith(b"PK\x03\x04")


def test_cancelling_stops_it() -> None:
    context = Context()
    frame = pl.LazyFrame({"value": pl.int_range(500_000, eager=True)})
    seen = 0

    def see(batch: pl.DataFrame) -> pl.DataFrame:
        nonlocal seen
        seen += batch.height
        if seen > 100_000:
            context.cancel()
        context.check()
        return batch

    with pytest.raises(CancelledError):
        write(frame.map_batches(see, streamable=True), context=context)
    assert seen < 500_000


def test_an_output_that_fails_ends_it() -> None:
    class Full(Output):
        def write(self, _data: Any, /) -> int:
            raise OSError(28, "No space left on device")

    table = OutgoingTable("requests", pl.LazyFrame({"value": pl.int_range(500_000, eager=True)}), [Column("value")])
    with pytest.raises(OSError, match="No space left"):
        FORMAT.write(WriteCall((table,), Full(), ExcelOptions(), EMBEDDED, lambda _note: None, Context()))

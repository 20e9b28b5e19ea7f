"""Reading workbooks: ours and those of others, made by other people's writers."""

import re
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
import tailrace_format_excel.reading.tables
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tailrace_format_excel.reading import apart, read_tables, recognises
from tailrace_format_excel.reading.workbook import time_kind

from tailrace import CancelledError, Context, ReadTablesCall, RefusedError, SourceError


@pytest.fixture(params=["apart", "here"], autouse=True)
def _place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything twice: as it is, and in this process, where coverage sees what the other one does."""
    if request.param == "here":

        def here(_target: str, feed: Any, *, argument: Any, context: Context, **_limits: Any) -> Any:
            context.check()
            return apart.read(feed, argument)

        monkeypatch.setattr(tailrace_format_excel.reading.tables, "run_apart", here)


EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def read(path: Path) -> dict[str, pl.DataFrame]:
    return read_tables(ReadTablesCall(path))


def serial(moment: datetime) -> float:
    return ((moment - EPOCH) // MICROSECOND) / 86_400_000_000


def with_exact_numbers(path: Path, numbers: Sequence[float], sheet: int = 1) -> Path:
    """Put numbers into a sheet, in place of 0, 1, 2 …; xlsxwriter writes 16 digits, and it takes 17."""

    def exact(old: bytes) -> bytes:
        return re.sub(rb"<v>([0-9]+)</v>", lambda found: b"<v>%s</v>" % repr(numbers[int(found[1])]).encode(), old)

    change(path, f"xl/worksheets/sheet{sheet}.xml", exact)
    return path


def write(
    path: Path,
    fill: Callable[[Any, Any], None],
    *,
    ours: Sequence[tuple[str, int]] = (),
    zoned: str | None = None,
    **options: Any,
) -> Path:
    """A workbook; with the properties of ours where there are tables."""
    with xlsxwriter.Workbook(path, options) as book:
        fill(book, book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss.000"}))
        if ours:
            book.set_custom_property("Tailrace", "1", "text")
        sheets = iter(book.worksheets())
        for number, (name, count) in enumerate(ours, start=1):
            book.set_custom_property(f"Table {number}", name, "text")
            book.set_custom_property(f"Table {number} sheets", count, "number")
            for place, sheet in enumerate(islice(sheets, count), start=1):
                book.set_custom_property(f"Table {number} sheet {place}", sheet.get_name(), "text")
            if zoned is not None:
                book.set_custom_property(f"Table {number} zoned", zoned, "text")
    return path


def column(path: Path, *cells: Callable[[Any, int], object], header: str = "value", **options: Any) -> list[str | None]:
    """What cells below a header are read as; beside them stands a number, so that no row is empty."""

    def fill(book: Any, _format: Any) -> None:
        sheet = book.add_worksheet("s")
        sheet.write_string(0, 0, header)
        sheet.write_string(0, 1, "n")
        for row, cell in enumerate(cells, start=1):
            cell(sheet, row)
            sheet.write_number(row, 1, row)

    write(path, fill, **options)
    return next(iter(read(path).values())).to_series(0).to_list()


def text(value: str) -> Callable[[Any, int], object]:
    return lambda sheet, row: sheet.write_string(row, 0, value)


def number(value: float) -> Callable[[Any, int], object]:
    return lambda sheet, row: sheet.write_number(row, 0, value)


# --- what it recognises


def test_recognises_archives_by_their_first_bytes() -> None:
    assert recognises(b"PK\x03\x04 and so on")
    assert not recognises(b"url\nhttp://h:1")
    assert not recognises(b"PK")


# --- cells of others


def test_texts_stay_what_they_are(tmp_path: Path) -> None:
    texts = ["007", "1.50", "", " lead", "two\nlines", "=1+1", "true", "2026-08-15 06:00:00", "1e5", "\u4e2d\U0001f600"]
    texts += ["_x0041_", "tab\there", "12345678901234567890", "0.0000001", "0.12345678901234567", "a,b", '"', "NaN"]
    assert column(tmp_path / "a.xlsx", *map(text, texts)) == texts


def test_numbers_are_their_digits(tmp_path: Path) -> None:
    values = [1, 1.5, 0.1, 8080, 123456789012345, -5, 0, 2**53]
    read = column(tmp_path / "a.xlsx", *map(number, values))
    assert read == ["1", "1.5", "0.1", "8080", "123456789012345", "-5", "0", "9007199254740992"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_number_comes_back_as_itself(tmp_path: Path, values: list[float]) -> None:
    def fill(book: Any, _when: Any) -> None:
        sheet = book.add_worksheet("s")
        sheet.write_row(0, 0, ["value"], None)
        for row in range(len(values)):
            sheet.write_number(row + 1, 0, row)

    frame = read(with_exact_numbers(write(tmp_path / "a.xlsx", fill, constant_memory=True), values))["s"]
    assert [float(value) for value in frame["value"]] == values


def test_flags_formulas_errors_and_nothing(tmp_path: Path) -> None:
    read = column(
        tmp_path / "a.xlsx",
        lambda sheet, row: sheet.write_boolean(row, 0, 1),
        lambda sheet, row: sheet.write_boolean(row, 0, 0),
        lambda sheet, row: sheet.write_formula(row, 0, "=1+1", None, 2),
        lambda sheet, row: sheet.write_formula(row, 0, '="x"', None, "x"),
        lambda sheet, row: sheet.write_formula(row, 0, "=1/0", None, "#DIV/0!"),
        lambda _sheet, _row: None,
    )
    assert read == ["true", "false", "2", "x", None, None]


def test_times_of_others_by_the_format_of_their_cells(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["at", "day", "clock", "took", "mixed"])
    sheet.append(
        [
            datetime(2026, 8, 15, 6, 0, 0, 250000),  # noqa: DTZ001 - Excel knows no zones
            date(2026, 8, 15),
            time(6, 30),
            timedelta(days=1, hours=2, milliseconds=500),
            datetime(2026, 8, 15),  # noqa: DTZ001
        ]
    )
    sheet.append([None, date(1999, 12, 31), None, timedelta(0), "never"])
    sheet.append([None, None, None, None, 5])
    book.save(path)
    frame = read(path)["Sheet"]
    assert frame["at"].to_list() == ["2026-08-15T06:00:00.250000", None, None]
    assert frame["day"].to_list() == ["2026-08-15", "1999-12-31", None]
    assert frame["clock"].to_list() == ["06:30:00.000000000", None, None]
    assert frame["took"].to_list() == ["P1DT2H0.5S", "PT0S", None]
    assert frame["mixed"].to_list() == ["2026-08-15T00:00:00.000000", "never", "5"]


def test_days_counted_from_1904(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    sheet = book.active
    assert sheet is not None
    sheet.append(["at"])
    sheet.append([datetime(2026, 8, 15, 6)])  # noqa: DTZ001
    book.save(path)
    assert read(path)["Sheet"]["at"].to_list() == ["2026-08-15T06:00:00.000000"]


def test_a_time_beyond_the_calendar_stays_a_number(tmp_path: Path) -> None:
    def fill(book: Any, when: Any) -> None:
        sheet = book.add_worksheet("s")
        sheet.write_string(0, 0, "at")
        for row, value in enumerate((4_600_000_000, -5, 59.5, 61), start=1):
            sheet.write_number(row, 0, value, when)

    values = read(write(tmp_path / "a.xlsx", fill))["s"]["at"].to_list()
    assert values == ["4600000000", "-5", "1900-02-28T12:00:00.000000", "1900-03-01T00:00:00.000000"]


@pytest.mark.parametrize(
    ("number", "code", "kind"),
    [
        ("0", None, None),
        ("14", None, "date"),
        ("22", None, "datetime"),
        ("21", None, "time"),
        ("46", None, "duration"),
        ("164", "yyyy-mm-dd", "date"),
        ("164", "mmm", "date"),
        ("164", "yyyy-mm-dd hh:mm:ss.000", "datetime"),
        ("164", "[$-409]d/m/yyyy h:mm AM/PM;@", "datetime"),
        ("164", "hh:mm:ss.000", "time"),
        ("164", "mm:ss.0", "time"),
        ("164", "[h]:mm:ss", "duration"),
        ("164", "#,##0", None),
        ("164", '0.0 "days"', None),
        ("164", "[Red]0", None),
        ("164", "General", None),
        ("164", "@", None),
        ("junk", None, None),
        (None, None, None),
    ],
)
def test_formats_of_times(number: str | None, code: str | None, kind: str | None) -> None:
    assert time_kind(number, code) == kind


# --- sheets of others


def test_each_visible_sheet_with_something_in_it_is_a_table(tmp_path: Path) -> None:
    def fill(book: Any, _when: Any) -> None:
        book.add_worksheet("Empty")
        for name in ("First", "Hidden", "Zweite & <3>"):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ["ip", "port"])
            sheet.write_row(1, 0, ["192.0.2.1", 80])
            if name == "Hidden":
                sheet.hide()

    tables = read(write(tmp_path / "a.xlsx", fill))
    assert list(tables) == ["First", "Zweite & <3>"]
    assert tables["First"].rows() == [("192.0.2.1", "80")]


@pytest.mark.parametrize("names", [("one", "two"), ("one", "other", "two")])
def test_two_sheets_of_one_name(tmp_path: Path, names: Sequence[str]) -> None:
    def fill(book: Any, _when: Any) -> None:
        for name in names:
            book.add_worksheet(name).write_row(0, 0, ["ip", "port"])

    path = write(tmp_path / "a.xlsx", fill)
    change(path, "xl/workbook.xml", lambda old: old.replace(b'name="two"', b'name="one"'))
    with pytest.raises(RefusedError, match="two of its sheets have one name"):
        read(path)


def test_a_hidden_sheet_may_have_the_name_of_another(tmp_path: Path) -> None:
    def fill(book: Any, _when: Any) -> None:
        for name in ("one", "two"):
            book.add_worksheet(name).write_row(0, 0, ["ip", name])
        book.worksheets()[1].hide()

    path = write(tmp_path / "a.xlsx", fill)
    change(path, "xl/workbook.xml", lambda old: old.replace(b'name="two"', b'name="one"'))
    assert read(path)["one"].columns == ["ip", "one"]


@pytest.mark.parametrize("space", [b"\n", b"\t", b"\r", b"  ", b" \n "])
def test_any_space_in_the_tags_of_cells(tmp_path: Path, space: bytes) -> None:
    def fill(book: Any, _when: Any) -> None:
        sheet = book.add_worksheet("s")
        sheet.write_row(0, 0, ["ip", "port"])
        sheet.write_row(1, 0, ["192.0.2.1", 80])

    path = write(tmp_path / "a.xlsx", fill)
    change(
        path,
        "xl/worksheets/sheet1.xml",
        lambda old: old.replace(b"<c r=", b"<c" + space + b"r=").replace(b"<row r=", b"<row" + space + b"r="),
    )
    assert read(path)["s"].rows() == [("192.0.2.1", "80")]


def test_a_table_may_begin_anywhere(tmp_path: Path) -> None:
    def fill(book: Any, when: Any) -> None:
        sheet = book.add_worksheet("s")
        sheet.write_row(3, 2, ["ip", "port", "", "port", "ip"])
        sheet.write_row(4, 2, ["192.0.2.1", 80, "x", 81])
        sheet.write_row(6, 2, ["192.0.2.2", 80])
        for row in range(7, 200):
            sheet.write_blank(row, 2, None, when)

    frame = read(write(tmp_path / "a.xlsx", fill))["s"]
    assert frame.rows() == [
        # The rows above the header, so that each one has the place that it has in the sheet.
        *[(None,) * 5] * 3,
        ("192.0.2.1", "80", "x", "81", None),
        (None, None, None, None, None),
        ("192.0.2.2", "80", None, None, None),
    ]
    assert [frame.columns[index] for index in (0, 1, 3, 4)] == ["ip", "port", "port (2)", "ip (2)"]


def test_cells_without_addresses(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", lambda book, _when: book.add_worksheet("s").write_row(0, 0, ["ip", "port"]))
    rows = b'<row><c t="str"><v>ip</v></c><c t="str"><v>port</v></c></row><row><c/><c><v>80</v></c></row>'
    change(
        path, "xl/worksheets/sheet1.xml", lambda _old: b"<worksheet><sheetData>" + rows + b"</sheetData></worksheet>"
    )
    assert read(path)["s"].rows() == [(None, "80")]


def test_prefixed_names(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", lambda book, _when: book.add_worksheet("s").write_row(0, 0, ["ip", "port"]))
    rows = b'<x:row r="1"><x:c r="A1" t="str"><x:v>ip</x:v></x:c></x:row>'
    rows += b'<x:row r="2"><x:c r="A2"><x:v>80</x:v></x:c></x:row>'
    content = b'<x:worksheet xmlns:x="urn:x"><x:sheetData>' + rows + b"</x:sheetData></x:worksheet>"
    change(path, "xl/worksheets/sheet1.xml", lambda _old: content)
    assert read(path)["s"].to_dict(as_series=False) == {"ip": ["80"]}


def test_macros_and_drawings_are_ignored(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsm", lambda book, _when: book.add_worksheet("s").write_row(0, 0, ["ip", "port"]))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\xd0\xcf\x11\xe0 anything")
        archive.writestr("xl/media/image1.png", b"\x89PNG")
    assert list(read(path)) == ["s"]


def change(path: Path, name: str, new: Callable[[bytes], bytes]) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for one, content in members.items():
            archive.writestr(one, new(content) if one == name else content)


# --- ours


def test_times_come_back_to_the_microsecond(tmp_path: Path) -> None:
    moments = [
        datetime(2026, 8, 15, 6, 0, 0, 123457, UTC),
        datetime(1900, 3, 1, tzinfo=UTC),
        datetime(2078, 12, 31, 23, 59, 59, 999999, UTC),
        datetime(1970, 1, 1, 0, 0, 0, 1, UTC),
    ]

    def fill(book: Any, when: Any) -> None:
        sheet = book.add_worksheet("proxies")
        sheet.write_row(0, 0, ["created_at (UTC)", "naive"])
        for row in range(len(moments)):
            sheet.write_number(row + 1, 0, row, when)
            sheet.write_number(row + 1, 1, row, when)
        sheet.write_string(len(moments) + 1, 0, "1899-01-01T00:00:00.000000Z")

    path = write(tmp_path / "a.xlsx", fill, ours=[("proxies", 1)], zoned="0", constant_memory=True)
    frame = read(with_exact_numbers(path, [serial(moment) for moment in moments]))["proxies"]
    spelt = [moment.strftime("%Y-%m-%dT%H:%M:%S.%f") for moment in moments]
    assert frame.columns == ["created_at", "naive"]
    assert frame["created_at"].to_list() == [*(one + "Z" for one in spelt), "1899-01-01T00:00:00.000000Z"]
    assert frame["naive"].to_list() == [*spelt, None]


@given(st.lists(st.datetimes(datetime(1900, 3, 1), datetime(2078, 12, 31)), min_size=1, max_size=200))  # noqa: DTZ001
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_moment_comes_back(tmp_path: Path, moments: list[datetime]) -> None:
    def fill(book: Any, when: Any) -> None:
        sheet = book.add_worksheet("proxies")
        sheet.write_string(0, 0, "at (UTC)")
        for row in range(len(moments)):
            sheet.write_number(row + 1, 0, row, when)

    path = write(tmp_path / "a.xlsx", fill, ours=[("proxies", 1)], zoned="0", constant_memory=True)
    frame = read(with_exact_numbers(path, [serial(moment.replace(tzinfo=UTC)) for moment in moments]))["proxies"]
    assert frame["at"].to_list() == [moment.isoformat(timespec="microseconds") + "Z" for moment in moments]


def test_times_in_another_zone(tmp_path: Path) -> None:
    def fill(book: Any, when: Any) -> None:
        sheet = book.add_worksheet("proxies")
        sheet.write_row(0, 0, ["at (Europe/Berlin)", "kept (no zone)", "size (MB)"])
        for row in range(3):
            sheet.write_number(row + 1, 0, row, when)
        sheet.write_string(4, 0, "2026-10-25T02:30:00.000000+01:00")

    clocks = [datetime(2026, 8, 15, 8), datetime(2026, 1, 15, 8), datetime(2026, 3, 29, 2, 30)]  # noqa: DTZ001
    path = write(tmp_path / "a.xlsx", fill, ours=[("proxies", 1)], zoned="0", constant_memory=True)
    frame = read(with_exact_numbers(path, [serial(clock.replace(tzinfo=UTC)) for clock in clocks]))["proxies"]
    assert frame.columns == ["at", "kept (no zone)", "size (MB)"]
    assert frame["at"].to_list() == [
        "2026-08-15T06:00:00.000000Z",
        "2026-01-15T07:00:00.000000Z",
        "2026-03-29T02:30:00.000000",
        "2026-10-25T02:30:00.000000+01:00",
    ]


@pytest.mark.parametrize("zoned", [None, "", "1", "1,3,", "0,1,2,3"])
def test_only_columns_that_are_said_to_have_a_zone_lose_it(tmp_path: Path, zoned: str | None) -> None:
    def fill(book: Any, when: Any) -> None:
        sheet = book.add_worksheet("t")
        sheet.write_row(0, 0, ["note (UTC)", "empty (UTC)", "size (MB)", "far (UTC)"])
        sheet.write_number(1, 0, 45_000, when)
        sheet.write_string(1, 3, "1899-01-01T00:00:00.000000Z")

    frame = read(write(tmp_path / "a.xlsx", fill, ours=[("t", 1)], zoned=zoned))["t"]
    stripped = [index in map(int, filter(None, (zoned or "").split(","))) for index in range(4)]
    names = ["note", "empty", "size (MB)", "far"]
    kept = ["note (UTC)", "empty (UTC)", "size (MB)", "far (UTC)"]
    assert frame.columns == [
        name if is_stripped else header for name, header, is_stripped in zip(names, kept, stripped, strict=True)
    ]
    spelt = "2023-03-15T00:00:00.000000"
    assert frame.row(0) == (spelt + "Z" * stripped[0], None, None, "1899-01-01T00:00:00.000000Z")


@pytest.mark.parametrize("zoned", ["a", "1;2", "-1", "999999", ",,"])
def test_zones_of_columns_that_cannot_be(tmp_path: Path, zoned: str) -> None:
    path = write(tmp_path / "a.xlsx", lambda book, _when: book.add_worksheet("t"), ours=[("t", 1)], zoned=zoned)
    with pytest.raises(RefusedError, match="what it says of its tables cannot be"):
        read(path)


@pytest.mark.parametrize("name", [" t ", "two\nlines", "\u4e2d <&>", "  "])
def test_the_name_of_a_table_stays_as_it_is(tmp_path: Path, name: str) -> None:
    def fill(book: Any, _when: Any) -> None:
        book.add_worksheet("t").write_row(0, 0, ["a"])

    assert list(read(write(tmp_path / "a.xlsx", fill, ours=[(name, 1)]))) == [name]


@pytest.mark.parametrize("count", [999, 1_000])
def test_as_many_sheets_as_an_export_may_have(tmp_path: Path, count: int) -> None:
    """And the two about them."""

    def fill(book: Any, _when: Any) -> None:
        for number in range(count):
            book.add_worksheet(str(number)).write_row(0, 0, ["n"])
            book.worksheets()[-1].write_number(1, 0, number)
        book.add_worksheet("Summary").write_row(0, 0, ["other"])
        book.add_worksheet("Manifest").write_row(0, 0, ["other"])

    tables = read(write(tmp_path / "a.xlsx", fill, ours=[("t", count)]))
    assert tables["t"]["n"].to_list() == [str(number) for number in range(count)]


def test_more_sheets_than_that(tmp_path: Path) -> None:
    def fill(book: Any, _when: Any) -> None:
        for _ in range(1_003):
            book.add_worksheet()

    path = write(tmp_path / "a.xlsx", fill)
    with pytest.raises(RefusedError, match="more than 1,002 sheets"):
        read(path)


def test_a_table_of_several_sheets_is_one(tmp_path: Path) -> None:
    def fill(book: Any, _when: Any) -> None:
        for number in range(3):
            sheet = book.add_worksheet(f"requests ({number})")
            sheet.write_row(0, 0, ["n"])
            sheet.write_row(1, 0, [number])
        book.add_worksheet("log").write_row(0, 0, ["n"])
        book.add_worksheet("Summary").write_row(0, 0, ["other", "things"])

    tables = read(write(tmp_path / "a.xlsx", fill, ours=[("requests", 3), ("log", 1)]))
    assert tables["requests"]["n"].to_list() == ["0", "1", "2"]
    assert tables["log"].height == 0
    assert tables["log"].columns == ["n"]
    assert list(tables) == ["requests", "log"]


def test_sheets_of_a_table_with_different_headers_are_refused(tmp_path: Path) -> None:
    def fill(book: Any, _when: Any) -> None:
        book.add_worksheet("a").write_row(0, 0, ["n"])
        book.add_worksheet("b").write_row(0, 0, ["m"])

    with pytest.raises(RefusedError, match="different headers"):
        read(write(tmp_path / "a.xlsx", fill, ours=[("t", 2)]))


def test_rows_of_nothing_are_kept_in_ours(tmp_path: Path) -> None:
    def fill(book: Any, when: Any) -> None:
        sheet = book.add_worksheet("t")
        sheet.write_row(0, 0, ["a", "b"])
        sheet.write_row(2, 0, ["x"])
        sheet.write_blank(3, 0, None, when)

    assert read(write(tmp_path / "a.xlsx", fill, ours=[("t", 1)]))["t"]["a"].to_list() == [None, "x", None]


@pytest.mark.parametrize(
    ("tables", "reason"),
    [
        ([("t", 5)], "sheet number 2 of its table t is missing"),
        ([("t", 0), ("t", 1)], "what it says of its tables cannot be"),
    ],
)
def test_properties_that_cannot_be(tmp_path: Path, tables: list[tuple[str, int]], reason: str) -> None:
    def fill(book: Any, _when: Any) -> None:
        book.add_worksheet("t").write_row(0, 0, ["a"])

    with pytest.raises(RefusedError, match=reason):
        read(write(tmp_path / "a.xlsx", fill, ours=tables))


def test_a_newer_layout_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", lambda book, _when: book.add_worksheet("t"), ours=[("t", 1)])
    change(path, "docProps/custom.xml", lambda old: old.replace(b"<vt:lpwstr>1<", b"<vt:lpwstr>2<"))
    with pytest.raises(RefusedError, match="version 2"):
        read(path)


# --- large ones, and the file system


def test_a_sheet_of_many_cells(tmp_path: Path) -> None:
    def fill(book: Any, when: Any) -> None:
        sheet = book.add_worksheet("s")
        sheet.write_row(0, 0, [f"c{index}" for index in range(20)])
        for row in range(1, 10_001):
            for index in range(0, 20, 2):
                sheet.write_string(row, index, f"text-{row}-{index}")
                sheet.write_number(row, index + 1, 46_000 + row / 86_400, when)

    path = write(tmp_path / "a.xlsx", fill, constant_memory=True)
    frame = read(path)["s"]
    assert frame.shape == (10_000, 20)
    assert frame.row(-1)[:2] == ("text-10000-0", "2025-12-09T02:46:40.000000")


def test_a_workbook_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        read(tmp_path / "none.xlsx")
    with pytest.raises(SourceError, match="not a regular file"):
        read(tmp_path)


def test_reading_can_be_cancelled(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xlsx", lambda book, _when: book.add_worksheet("t").write_row(0, 0, ["a"]))
    context = Context()
    context.cancel()
    with pytest.raises(CancelledError):
        read_tables(ReadTablesCall(path, context))


def test_sheets_of_ours_are_found_by_name_wherever_they_are_and_others_are_tables_too(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"

    def fill(book: Any, _format: Any) -> None:
        for name in ("t", "t (2)", "Summary"):
            sheet = book.add_worksheet(name)
            sheet.write_row(0, 0, ["a"])
            sheet.write_row(1, 0, [name])

    write(path, fill, ours=[("t", 2)])
    book = openpyxl.load_workbook(path)
    copy = book.copy_worksheet(book["t"])
    copy.title = "mine"
    copy["A2"] = "not it"
    book.move_sheet("mine", -3)
    book.move_sheet("t", 2)
    book.save(path)
    assert book.sheetnames == ["mine", "t (2)", "Summary", "t"]
    tables = read(path)
    assert {name: table["a"].to_list() for name, table in tables.items()} == {"t": ["t", "t (2)"], "mine": ["not it"]}
    book["mine"].title = "t (3)"
    del book["t (2)"]
    book.save(path)
    with pytest.raises(RefusedError, match=r"sheet 't \(2\)' of its table t is missing"):
        read(path)

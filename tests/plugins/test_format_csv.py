import csv
import io
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from tailrace_format_csv import CsvFormat, CsvOptions, tailrace_format
from tailrace_format_csv.guard import restored
from tailrace_format_csv.refusals import inspected, refuse_beyond_iso, refuse_null_text

from tailrace import Context, FileLayout, Format, OptionError, OutgoingTable, RequestError, WriteCall
from tailrace.model.options import build_options, describe_options, public_options

FORMAT = CsvFormat()


def write(frame: pl.DataFrame, notes: list[str] | None = None, **options: Any) -> bytes:
    output = io.BytesIO()
    noted: list[str] = [] if notes is None else notes
    table = OutgoingTable("requests", frame.lazy(), ())
    FORMAT.write(WriteCall((table,), output, CsvOptions(**options), {}, noted.append, Context()))
    return output.getvalue()


def column(values: Sequence[Any] | pl.Series, dtype: Any = None) -> pl.DataFrame:
    """The values, beside a column that keeps null and empty apart."""
    return pl.DataFrame({"a": pl.Series(values, dtype=dtype), "z": ["."] * len(values)})


def fields(frame: pl.DataFrame, **options: Any) -> list[str]:
    """What is written for the first column, unquoted."""
    text = write(frame, **options).decode("utf-8-sig")
    return [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:]


def test_the_plugin_offers_a_format_of_one_table_per_file() -> None:
    offered = tailrace_format()
    assert isinstance(offered, Format)
    assert offered.layout(CsvOptions()) == FileLayout("csv", "text/csv", compressible=True, many_tables=False)


def test_machine_profile_writes_plain_rfc_4180() -> None:
    frame = pl.DataFrame(
        {
            "text": ["plain", None, "", 'say "hi"', "a,b", "two\nlines", "=1+1"],
            "count": [1, None, -3, 2**63 - 1, -(2**63), 0, 7],
            "ok": [True, False, None, True, True, True, True],
        }
    )
    assert write(frame) == (
        b"text,count,ok\n"
        b"plain,1,true\n"
        b",,false\n"
        b'"",-3,\n'
        b'"say ""hi""",9223372036854775807,true\n'
        b'"a,b",-9223372036854775808,true\n'
        b'"two\nlines",0,true\n'
        b"=1+1,7,true\n"
    )


def test_excel_profile_marks_ends_and_guards() -> None:
    notes: list[str] = []
    frame = pl.DataFrame({"=name": ["=1+1", "plain", "'quoted", "-5"], "n": [-5, 1, None, 2]})
    assert write(frame, notes, profile="excel") == (
        b"\xef\xbb\xbf'=name,n\r\n'=1+1,-5\r\nplain,1\r\n''quoted,\r\n'-5,2\r\n"
    )
    assert len(notes) == 1
    assert "apostrophe" in notes[0]


def test_options_can_overrule_the_profile() -> None:
    frame = pl.DataFrame({"a": ["=x"], "b": [1]})
    assert write(frame, profile="excel", bom=False, line_ending="lf") == b"a,b\n'=x,1\n"
    assert write(frame, bom=True, line_ending="crlf") == b"\xef\xbb\xbfa,b\r\n=x,1\r\n"


def test_options_say_what_is_in_force() -> None:
    assert public_options(CsvOptions(profile="excel")) == {
        "profile": "excel",
        "delimiter": ",",
        "nulls": "",
        "header": True,
        "bom": True,
        "line_ending": "crlf",
    }
    machine = CsvOptions()
    assert (machine.bom, machine.line_ending, machine.line_end) == (False, "lf", "\n")
    recorded = public_options(CsvOptions(profile="excel", delimiter="tab", bom=False))
    assert build_options(CsvOptions, recorded, owner="format csv") == CsvOptions(
        profile="excel", delimiter="\t", bom=False
    )


def test_options_describe_themselves() -> None:
    described = {
        option.name: (option.type, option.default, bool(option.help)) for option in describe_options(CsvOptions)
    }
    assert described["delimiter"] == ("text", ",", True)
    assert described["bom"][1:] == (None, True)
    assert described["profile"] == ("one of machine, excel", "machine", True)


@pytest.mark.parametrize("given", ["tab", "\\t", "\t"])
def test_tab_can_be_written_as_a_word(given: str) -> None:
    assert write(pl.DataFrame({"a": ["x\ty"], "b": [1]}), delimiter=given) == b'a\tb\n"x\ty"\t1\n'


@pytest.mark.parametrize("delimiter", [";", "|", "\t", " ", "~", "^", "\\", "]", "[", "*", "$", "#", "_"])
def test_any_delimiter_that_no_value_holds(delimiter: str) -> None:
    frame = pl.DataFrame(
        {
            "t": pl.Series([datetime(2026, 8, 15, tzinfo=UTC)]),
            "s": [f"x{delimiter}y"],
            "f": [-1.5e300],
            "d": [timedelta(days=-1)],
        }
    )
    text = write(frame, delimiter=delimiter).decode()
    assert list(csv.reader(io.StringIO(text), delimiter=delimiter))[1:] == [
        ["2026-08-15T00:00:00.000000Z", f"x{delimiter}y", "-1.5e+300", "-P1D"]
    ]


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "'", "\r", "\n", "\0", "a", "5", "+", "-", ".", ":", "é"])
def test_delimiters_that_values_hold_are_refused(delimiter: str) -> None:
    with pytest.raises(OptionError, match="expected one ASCII character") as error:
        build_options(CsvOptions, {"delimiter": delimiter}, owner="format csv")
    assert error.value.option == "delimiter"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nulls": 'N"'}, "without quotes"),
        ({"nulls": "a;b", "delimiter": ";"}, "without quotes"),
        ({"nulls": "a\nb"}, "without quotes"),
        ({"nulls": "0"}, "taken for a number"),
        ({"nulls": "-1"}, "taken for a number"),
        ({"nulls": "NaN"}, "taken for a number"),
        ({"nulls": "-inf"}, "taken for a number"),
        ({"nulls": "true"}, "taken for a number"),
        ({"nulls": "-", "profile": "excel"}, "formula"),
        ({"nulls": "'", "profile": "excel"}, "formula"),
    ],
)
def test_texts_for_null_that_could_be_values_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message) as error:
        build_options(CsvOptions, options, owner="format csv")
    assert error.value.option == "nulls"


def test_null_and_empty_can_be_told_apart_by_any_reader() -> None:
    frame = pl.DataFrame({"a": ["x", None, ""], "b": [None, 1, 2]})
    assert write(frame, nulls="\\N") == b'a,b\nx,\\N\n\\N,1\n"",2\n'
    assert write(frame, nulls="-") == b'a,b\nx,-\n-,1\n"",2\n'
    assert pl.read_csv(write(frame)).equals(frame)
    assert pl.read_csv(write(frame, nulls="N"), null_values="N").equals(frame)


@pytest.mark.parametrize("dtype", [pl.String, pl.Categorical, pl.Enum(["x", "NULL"])])
def test_a_text_that_looks_like_null_is_refused(dtype: Any) -> None:
    with pytest.raises(RequestError, match=r"Column 'a' of table requests has a text 'NULL'") as error:
        write(column(["x", "NULL"], dtype), nulls="NULL")
    assert "--option nulls=" in error.value.hint
    assert fields(column(["x", None], dtype), nulls="\\N") == ["x", "\\N"]


def test_rows_of_a_single_column_are_never_empty_lines() -> None:
    assert write(pl.DataFrame({"a": [1, None, 3]})) == b'a\n1\n""\n3\n'
    assert write(pl.DataFrame({"a": ["x", None]})) == b'a\nx\n""\n'
    assert write(pl.DataFrame({"a": pl.Series([None, None])})) == b'a\n""\n""\n'
    assert write(pl.DataFrame({"a": ["", None]}), nulls="NULL") == b'a\n""\nNULL\n'


def test_an_empty_text_in_a_single_column_is_refused() -> None:
    with pytest.raises(RequestError, match="'a' of table requests has an empty text and is the only column"):
        write(pl.DataFrame({"a": ["x", ""]}))


def test_a_table_without_rows_is_its_header() -> None:
    frame = pl.DataFrame(schema={"a": pl.Int8, "b": pl.Datetime("us", "UTC")})
    assert write(frame) == b"a,b\n"
    assert write(frame, header=False) == b""
    assert write(frame, header=False, bom=True) == b"\xef\xbb\xbf"


def test_a_table_without_columns_is_refused() -> None:
    with pytest.raises(RequestError, match="has no columns"):
        write(pl.DataFrame())


def test_without_header() -> None:
    assert write(pl.DataFrame({"a": [1], "b": ["x"]}), header=False) == b"1,x\n"


def test_headers_are_quoted_like_any_text() -> None:
    assert write(pl.DataFrame({'a"b': [1], "c,d": [2], "e\nf": [3], "": [4]})) == b'"a""b","c,d","e\nf",""\n1,2,3,4\n'


def test_names_that_look_like_patterns_are_names() -> None:
    frame = pl.DataFrame({"*": [datetime(2026, 8, 15, tzinfo=UTC)], "^.*$": ["=x"]})
    assert write(frame) == b"*,^.*$\n2026-08-15T00:00:00.000000Z,=x\n"
    assert write(frame, profile="excel", bom=False).startswith(b"*,^.*$\r\n2026-08-15T00:00:00.000000Z,'=x\r\n")


def test_a_header_that_readers_would_cut_is_refused() -> None:
    frame = pl.DataFrame({"\ufeffa": [1]})
    with pytest.raises(RequestError, match="byte order mark"):
        write(frame)
    assert write(frame, bom=True) == b"\xef\xbb\xbf\xef\xbb\xbfa\n1\n"


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([2**64 - 1], pl.UInt64, ["18446744073709551615"]),
        ([-(2**127)], pl.Int128, [str(-(2**127))]),
        (
            [1.0, 0.1, -0.0, 5e-324, 1.7976931348623157e308],
            None,
            ["1.0", "0.1", "-0.0", "5e-324", "1.7976931348623157e+308"],
        ),
        ([float("nan"), float("inf"), float("-inf"), None], None, ["NaN", "inf", "-inf", ""]),
        ([0.1], pl.Float32, ["0.1"]),
        ([Decimal("1.10"), Decimal("-12345.00")], pl.Decimal(20, 2), ["1.10", "-12345.00"]),
        ([date(1, 1, 1), date(9999, 12, 31)], None, ["0001-01-01", "9999-12-31"]),
        ([time(1, 2, 3), time(23, 59, 59, 999999)], None, ["01:02:03.000000000", "23:59:59.999999000"]),
        ([timedelta(days=1, microseconds=5), timedelta(-1), timedelta()], None, ["P1DT0.000005S", "-P1D", "PT0S"]),
        ([b"\xff\xfb", b""], None, ["//s=", ""]),
        (["b", "a,", None], pl.Categorical, ["b", "a,", ""]),
        (["b"], pl.Enum(["a", "b"]), ["b"]),
        ([None], pl.Null, [""]),
    ],
)
def test_each_type_is_written_without_loss(values: list[Any], dtype: Any, expected: list[str]) -> None:
    assert fields(column(values, dtype)) == expected


@pytest.mark.parametrize(("unit", "digits"), [("ms", "123"), ("us", "123000"), ("ns", "123000000")])
def test_times_have_the_digits_of_their_unit(unit: Any, digits: str) -> None:
    moment = datetime(2026, 8, 15, 6, 7, 8, 123000, tzinfo=UTC)
    utc = pl.Series([moment], dtype=pl.Datetime(unit, "UTC"))
    naive = utc.dt.replace_time_zone(None)
    assert fields(column(naive)) == [f"2026-08-15T06:07:08.{digits}"]
    assert fields(column(utc)) == [f"2026-08-15T06:07:08.{digits}Z"]
    assert fields(column(utc.dt.convert_time_zone("Etc/UTC"))) == [f"2026-08-15T06:07:08.{digits}Z"]
    assert fields(column(utc.dt.convert_time_zone("Europe/Warsaw"))) == [f"2026-08-15T08:07:08.{digits}+02:00"]


def test_offsets_keep_their_seconds() -> None:
    old = pl.Series([datetime(1930, 1, 1, tzinfo=UTC)]).dt.convert_time_zone("Africa/Monrovia")
    assert fields(column(old)) == ["1929-12-31T23:15:30.000000-00:44:30"]


def _moments(unit: Any, *values: int, zone: str | None = None) -> pl.Series:
    return pl.Series(values, dtype=pl.Int64).cast(pl.Datetime(unit, zone))


END_OF_9999 = 253_402_300_799_999_999
"""Microseconds."""


@pytest.mark.parametrize(
    "values",
    [
        _moments("us", END_OF_9999 + 1),
        _moments("us", -62_135_596_800_000_001),
        _moments("ms", 2**63 - 1),
        _moments("ms", -(2**63) + 1, zone="UTC"),
        _moments("us", 2**63 - 1, zone="Europe/Warsaw"),
        _moments("us", END_OF_9999, zone="Europe/Warsaw"),
        pl.Series([2_932_897], dtype=pl.Int32).cast(pl.Date),
        pl.Series([-719_163], dtype=pl.Int32).cast(pl.Date),
        pl.Series([-(2**63)], dtype=pl.Int64).cast(pl.Duration("us")),
    ],
)
def test_times_that_iso_8601_does_not_have_are_refused(values: pl.Series) -> None:
    with pytest.raises(RequestError, match="Column 'a' of table requests has times outside of the years 1 to 9999"):
        write(column(values))


def test_the_last_moments_of_iso_8601_are_written() -> None:
    assert fields(column(_moments("us", END_OF_9999, zone="UTC"))) == ["9999-12-31T23:59:59.999999Z"]
    assert fields(column(_moments("us", END_OF_9999 - 3_600_000_000, zone="Europe/Warsaw"))) == [
        "9999-12-31T23:59:59.999999+01:00"
    ]
    assert fields(column(_moments("us", END_OF_9999, zone="America/New_York"))) == ["9999-12-31T18:59:59.999999-05:00"]
    assert fields(column(pl.Series([None], dtype=pl.Datetime("ms", "Europe/Warsaw")))) == [""]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series([[1, 2]]),
        pl.Series([[1, 2]], dtype=pl.Array(pl.Int8, 2)),
        pl.Series([{"x": 1}]),
        pl.Series([object()], dtype=pl.Object),
    ],
)
def test_nested_columns_are_refused_by_name(values: pl.Series) -> None:
    with pytest.raises(RequestError, match=r"Column 'a' of table requests holds .*, which CSV cannot hold") as error:
        write(column(values))
    assert "--format json" in error.value.hint


def test_binary_columns_are_noted() -> None:
    notes: list[str] = []
    write(column([b"x"]), notes)
    assert notes == ["requests.a: binary, written as Base64."]


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "-",
    "@SUM(A1)",
    "\t=1",
    "\tharmless",
    "\rx",
    "\nx",
    " =1",
    "\u00a0=1",
    "\u3000=1",
    "\u200b=1",
    "\ufeff=1",
    "\0=1",
    '"=1"',
    '" =1',
    "{=1}",
    "{=SUM(A1:A9)}",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
    "\ufe661",
    "\u22121",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://192.0.2.1/","x")',
    "'",
    "'=1",
    "''",
    "'plain",
]
HARMLESS = ["plain", "", "a=1", "5", "5-3", "a@b", '{"a": 1}', "#N/A", "http://192.0.2.1/?a=b", "\uff21\uff22", None]


def test_formulas_are_guarded_and_restored_exactly() -> None:
    written = fields(column(FORMULAS), profile="excel")
    assert written == ["'" + text for text in FORMULAS]
    assert pl.Series(written).to_frame("a").select(restored(pl.col("a")))["a"].to_list() == FORMULAS


def test_harmless_text_is_left_alone() -> None:
    assert fields(column(HARMLESS), profile="excel") == [text or "" for text in HARMLESS]


def test_names_that_are_guarded_stay_different() -> None:
    frame = pl.DataFrame({"=a": [1], "'=a": [2], "''=a": [3], "a": [4]})
    assert write(frame, profile="excel", bom=False, line_ending="lf") == b"'=a,''=a,'''=a,a\n1,2,3,4\n"


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([-5, 5], None, ["-5", "5"]),
        (
            [-5.5, float("-inf"), float("inf"), float("nan"), -0.0, None],
            None,
            ["-5.5", "'-inf", "inf", "NaN", "-0.0", ""],
        ),
        ([Decimal("-1.50")], pl.Decimal(9, 2), ["-1.50"]),
        ([timedelta(-1), timedelta(1)], None, ["'-P1D", "P1D"]),
        ([b"\xfb", b"a"], None, ["'+w==", "YQ=="]),
        (["=a", "b"], pl.Categorical, ["'=a", "b"]),
        (["=a", None], pl.Enum(["=a"]), ["'=a", ""]),
        ([date(2026, 8, 15)], None, ["2026-08-15"]),
        ([True], None, ["true"]),
    ],
)
def test_numbers_are_untouched_for_spreadsheets(values: list[Any], dtype: Any, expected: list[str]) -> None:
    assert fields(column(values, dtype), profile="excel") == expected


def test_a_guarded_text_may_not_look_like_null() -> None:
    assert fields(column(["=", None]), profile="excel", nulls="\\N") == ["'=", "\\N"]


def test_the_same_rows_give_the_same_bytes() -> None:
    frame = pl.DataFrame({"a": range(200_000), "b": [f"text {n % 977}" for n in range(200_000)]})
    assert write(frame) == write(frame)
    assert write(frame).splitlines()[100_001] == b"100000,text 346"


class _Full:
    """A disk that is full after so many bytes."""

    def write(self, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    def flush(self) -> None:
        pass


def test_what_the_output_raises_stops_the_export() -> None:
    table = OutgoingTable("requests", pl.LazyFrame({"a": [1]}), ())
    with pytest.raises(OSError, match="No space left"):
        FORMAT.write(WriteCall((table,), _Full(), CsvOptions(), {}, lambda _note: None, Context()))


def test_refusals_look_at_each_batch() -> None:
    # Called here as polars calls them, but in this thread.
    seen: list[int] = []
    rows = inspected(pl.LazyFrame({"a": range(5)}), lambda batch: seen.append(batch.height))
    assert rows.collect(engine="streaming")["a"].to_list() == [0, 1, 2, 3, 4]
    assert sum(seen) == 5

    late = refuse_beyond_iso("requests", ["a"])
    late(pl.DataFrame({"a": _moments("us", END_OF_9999)}))
    with pytest.raises(RequestError, match="outside of the years 1 to 9999"):
        late(pl.DataFrame({"a": _moments("us", END_OF_9999 + 1)}))

    null = refuse_null_text("requests", ["a", "^b$"], "NULL")
    null(pl.DataFrame({"a": ["", None], "^b$": ["null", " NULL"]}))
    with pytest.raises(RequestError, match=r"Column '\^b\$' of table requests has a text 'NULL'"):
        null(pl.DataFrame({"a": ["", None], "^b$": ["null", "NULL"]}))

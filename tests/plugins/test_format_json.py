import io
import json
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from tailrace_format_json import JsonFormat, JsonOptions, tailrace_format
from tailrace_format_json.document import SeparatedRows
from tailrace_format_json.inspection import Inspection

from tailrace import Context, FileLayout, Format, OptionError, OutgoingTable, RequestError, WriteCall
from tailrace.model.options import build_options

FORMAT = JsonFormat()
NAN, INF = float("nan"), float("inf")


def write(tables: dict[str, pl.DataFrame], notes: list[str] | None = None, **options: Any) -> bytes:
    output = io.BytesIO()
    noted: list[str] = [] if notes is None else notes
    outgoing = [OutgoingTable(name, frame.lazy(), ()) for name, frame in tables.items()]
    manifest = {"schema_version": 1, "source": {"name": "pool"}, "notes": ["Wrocław"]}
    FORMAT.write(WriteCall(outgoing, output, JsonOptions(**options), manifest, noted.append, Context()))
    return output.getvalue()


def lines(frame: pl.DataFrame, notes: list[str] | None = None, **options: Any) -> bytes:
    return write({"t": frame}, notes, layout="lines", **options)


def test_the_plugin_offers_a_format() -> None:
    offered = tailrace_format()
    assert isinstance(offered, Format)
    assert offered.layout(JsonOptions()) == FileLayout("json", "application/json", compressible=True, many_tables=True)
    assert offered.layout(JsonOptions(layout="lines")) == FileLayout(
        "ndjson", "application/x-ndjson", compressible=True, many_tables=False
    )


def test_a_document_holds_manifest_and_all_tables_row_by_row() -> None:
    tables = {
        "proxies": pl.DataFrame({"host": ["192.0.2.1", 'a"b\n'], "port": [8080, None]}),
        "statuses": pl.DataFrame(schema={"x": pl.Int8}),
        'odd "name"\n': pl.DataFrame({"y": [1.5]}),
    }
    data = write(tables)
    assert data.decode() == (
        "{\n"
        '"manifest": {\n'
        '  "schema_version": 1,\n'
        '  "source": {\n'
        '    "name": "pool"\n'
        "  },\n"
        '  "notes": [\n'
        '    "Wrocław"\n'
        "  ]\n"
        "},\n"
        '"proxies": [\n'
        '{"host":"192.0.2.1","port":8080},\n'
        '{"host":"a\\"b\\n","port":null}\n'
        "],\n"
        '"statuses": [\n'
        "],\n"
        '"odd \\"name\\"\\n": [\n'
        '{"y":1.5}\n'
        "]\n"
        "}\n"
    )
    assert json.loads(data) == {
        "manifest": {"schema_version": 1, "source": {"name": "pool"}, "notes": ["Wrocław"]},
        "proxies": [{"host": "192.0.2.1", "port": 8080}, {"host": 'a"b\n', "port": None}],
        "statuses": [],
        'odd "name"\n': [{"y": 1.5}],
    }


def test_names_that_look_like_patterns_are_names() -> None:
    frame = pl.DataFrame({"*": [b"a"], "^.*$": [{"*": b"b", "^.*$": NAN}], "x": [[{"*": b"c"}]], "y": [NAN]})
    assert lines(frame) == b'{"*":"YQ==","^.*$":{"*":"Yg==","^.*$":null},"x":[{"*":"Yw=="}],"y":null}\n'


def test_a_document_without_tables() -> None:
    assert json.loads(write({}))["manifest"]["schema_version"] == 1


def test_lines_are_ndjson() -> None:
    frame = pl.DataFrame({"a": ["x", None], "b": [True, None]})
    assert lines(frame) == b'{"a":"x","b":true}\n{"a":null,"b":null}\n'
    assert lines(frame.head(0)) == b""
    assert pl.read_ndjson(lines(frame)).equals(frame)


def test_a_table_cannot_take_the_place_of_the_manifest() -> None:
    frame = pl.DataFrame({"a": [1]})
    with pytest.raises(RequestError, match="cannot be named 'manifest'") as error:
        write({"manifest": frame})
    assert "layout=lines" in error.value.hint
    assert write({"manifest": frame}, layout="lines") == b'{"a":1}\n'


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        (['tab\t "q" \\ \0 \x1f \x7f é \u2028 😀'], None, r'"tab\t \"q\" \\ \u0000 \u001f ' + '\x7f é \u2028 😀"'),
        ([2**63 - 1], None, "9223372036854775807"),
        ([2**64 - 1], pl.UInt64, "18446744073709551615"),
        ([-(2**127)], pl.Int128, str(-(2**127))),
        ([0.1], None, "0.1"),
        ([1e300], None, "1e+300"),
        ([5e-324], None, "5e-324"),
        ([-0.0], None, "-0.0"),
        ([0.1], pl.Float32, "0.1"),
        ([Decimal("1.10")], pl.Decimal(20, 2), '"1.10"'),
        ([True], None, "true"),
        ([None], pl.Null, "null"),
        ([date(2026, 8, 15)], None, '"2026-08-15"'),
        ([time(1, 2, 3, 4)], None, '"01:02:03.000004000"'),
        ([timedelta(days=-1, microseconds=1)], None, '"-PT23H59M59.999999S"'),
        ([timedelta(days=1)], pl.Duration("ms"), '"P1D"'),
        (
            [datetime(2026, 8, 15, 6, tzinfo=UTC).replace(tzinfo=None)],
            pl.Datetime("us"),
            '"2026-08-15T06:00:00.000000"',
        ),
        ([datetime(2026, 8, 15, 6, tzinfo=UTC)], pl.Datetime("ms", "UTC"), '"2026-08-15T06:00:00.000Z"'),
        (
            [datetime(2026, 8, 15, 6, tzinfo=UTC)],
            pl.Datetime("ns", "Europe/Warsaw"),
            '"2026-08-15T08:00:00.000000000+02:00"',
        ),
        ([b"\xff\xfb"], None, '"//s="'),
        (["a"], pl.Categorical, '"a"'),
        (["a"], pl.Enum(["a"]), '"a"'),
        ([[1, None], None][:1], None, "[1,null]"),
        ([[]], pl.List(pl.Date), "[]"),
        ([[b"a", None]], None, '["YQ==",null]'),
        ([[b"a", b"b"]], pl.Array(pl.Binary, 2), '["YQ==","Yg=="]'),
        ([[[date(2026, 8, 15)], [None]]], pl.Array(pl.Date, (2, 1)), '[["2026-08-15"],[null]]'),
        ([[1, 2]], pl.Array(pl.Int8, 2), "[1,2]"),
        ([{"x": 1, "y": None}], None, '{"x":1,"y":null}'),
        (
            [{"t": datetime(2026, 8, 15, tzinfo=UTC).replace(tzinfo=None), "l": [{"b": b"a"}, None], "n": 1}],
            None,
            '{"t":"2026-08-15T00:00:00.000000","l":[{"b":"YQ=="},null],"n":1}',
        ),
    ],
)
def test_each_type(values: list[Any], dtype: Any, expected: str) -> None:
    frame = pl.DataFrame({"a": pl.Series(values, dtype=dtype)})
    assert lines(frame).decode() == f'{{"a":{expected}}}\n'
    assert lines(frame.clear()) == b""
    if dtype != pl.Null:
        nothing = pl.DataFrame({"a": pl.Series([None], dtype=frame["a"].dtype)})
        assert lines(nothing) == b'{"a":null}\n'


@pytest.mark.parametrize(
    "values", [pl.Series([object()], dtype=pl.Object), pl.Series([{"a": object()}], dtype=pl.Object)]
)
def test_what_json_cannot_hold_is_refused_by_name(values: pl.Series) -> None:
    with pytest.raises(RequestError, match="Column 'a' of table t holds Object, which JSON cannot hold"):
        lines(pl.DataFrame({"a": values}))


def test_big_integers_can_be_text() -> None:
    frame = pl.DataFrame(
        {
            "i64": pl.Series([2**53 + 1, None], dtype=pl.Int64),
            "u64": pl.Series([1, 2], dtype=pl.UInt64),
            "i128": pl.Series([1, 2], dtype=pl.Int128),
            "i32": pl.Series([1, 2], dtype=pl.Int32),
            "list": pl.Series([[2**60], []], dtype=pl.List(pl.Int64)),
        }
    )
    assert lines(frame, big_integers="text") == (
        b'{"i64":"9007199254740993","u64":"1","i128":"1","i32":1,"list":["1152921504606846976"]}\n'
        b'{"i64":null,"u64":"2","i128":"2","i32":2,"list":[]}\n'
    )
    assert json.loads(lines(frame).splitlines()[0])["i64"] == 2**53 + 1


def test_numbers_that_are_not_finite_become_null_and_are_counted() -> None:
    notes: list[str] = []
    frame = pl.DataFrame(
        {
            "cost": [NAN, INF, -INF, None, 1.0],
            "fine": [1.0, 2.0, None, 3.0, 4.0],
            "f32": pl.Series([1.0, 1.0, INF, 1.0, 1.0], dtype=pl.Float32),
            "list": [[NAN, 1.0], [], None, [INF], [None]],
            "struct": [{"x": [{"y": NAN}]}, None, {"x": []}, {"x": None}, {"x": [{"y": 1.0}, {"y": INF}]}],
        }
    )
    written = [json.loads(line, parse_constant=pytest.fail) for line in lines(frame, notes).splitlines()]
    assert [row["cost"] for row in written] == [None, None, None, None, 1.0]
    assert [row["list"] for row in written] == [[None, 1.0], [], None, [None], [None]]
    assert written[4]["struct"] == {"x": [{"y": 1.0}, {"y": None}]}
    assert notes == [
        "t.cost: 3 values that are not finite were written as null.",
        "t.f32: 1 value that is not finite was written as null.",
        "t.list: 2 values that are not finite were written as null.",
        "t.struct: 2 values that are not finite were written as null.",
    ]


def test_the_count_is_of_the_whole_table() -> None:
    notes: list[str] = []
    frame = pl.DataFrame({"x": [NAN if n % 3 == 0 else 1.0 for n in range(300_000)]})
    write({"t": frame, "u": frame.head(3)}, notes)
    assert notes == [
        "t.x: 100000 values that are not finite were written as null.",
        "u.x: 1 value that is not finite was written as null.",
    ]


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_numbers_that_are_not_finite_can_be_refused(value: float) -> None:
    with pytest.raises(RequestError, match="Column 'cost' of table t has a number that is not finite"):
        lines(pl.DataFrame({"cost": [1.0, value]}), nonfinite="refuse")
    with pytest.raises(RequestError, match="Column 'cost'"):
        lines(pl.DataFrame({"cost": [[{"x": value}]]}), nonfinite="refuse")
    assert lines(pl.DataFrame({"cost": [1.0, None]}), nonfinite="refuse") == b'{"cost":1.0}\n{"cost":null}\n'


@pytest.mark.parametrize("nested", [False, True])
def test_times_that_iso_8601_does_not_have_are_refused(*, nested: bool) -> None:
    values = pl.Series([253_402_300_800_000], dtype=pl.Int64).cast(pl.Datetime("ms", "UTC"))
    frame = pl.DataFrame({"a": values})
    frame = frame.select(pl.struct(pl.concat_list("a")).alias("a")) if nested else frame
    with pytest.raises(RequestError, match="Column 'a' of table t has times outside of the years 1 to 9999"):
        lines(frame)


def test_binary_columns_are_noted() -> None:
    notes: list[str] = []
    lines(pl.DataFrame({"a": [b"x"], "b": [{"c": [b"x"]}], "d": ["x"]}), notes)
    assert notes == ["t.a: binary, written as Base64.", "t.b: binary, written as Base64."]


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(OptionError, match="expected one of"):
        build_options(JsonOptions, {"layout": "table"}, owner="format json")


def test_the_same_rows_give_the_same_bytes() -> None:
    frame = pl.DataFrame({"a": range(200_000), "b": [f"text {n % 977}" for n in range(200_000)]})
    data = write({"t": frame})
    assert write({"t": frame}) == data
    assert pl.DataFrame(json.loads(data)["t"]).equals(frame)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
def test_rows_are_separated_wherever_a_write_ends(size: int) -> None:
    rows = b"{}\n{1}\n{22}\n"
    output = io.BytesIO()
    separated = SeparatedRows(output)
    assert separated.write(b"") == 0
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        assert separated.write(part) == len(part)
        separated.flush()
    separated.finish()
    assert output.getvalue() == b"{},\n{1},\n{22}\n"


def test_a_manifest_must_be_json() -> None:
    table = OutgoingTable("t", pl.LazyFrame({"a": [1]}), ())
    with pytest.raises(ValueError, match="not JSON compliant"):
        FORMAT.write(WriteCall((table,), io.BytesIO(), JsonOptions(), {"x": NAN}, lambda _note: None, Context()))


def test_inspection_counts_and_refuses() -> None:
    # Called here as polars calls it, but in this thread.
    batch = pl.DataFrame(
        {
            "a": [NAN, 1.0, None],
            "b": [[{"x": INF}, {"x": 1.0}], None, []],
            "c": ["x", "y", "z"],
            "d": [date(2026, 8, 15)] * 3,
        }
    )
    inspection = Inspection("t", batch.schema, JsonOptions())
    assert inspection.look(batch) is batch
    inspection.look(batch)
    assert inspection.notes() == [
        "t.a: 2 values that are not finite were written as null.",
        "t.b: 2 values that are not finite were written as null.",
    ]
    with pytest.raises(RequestError, match="Column 'a' of table t has a number that is not finite"):
        Inspection("t", batch.schema, JsonOptions(nonfinite="refuse")).look(batch)
    late = pl.Series([2_932_897], dtype=pl.Int32).cast(pl.Date)
    with pytest.raises(RequestError, match="Column 'd' of table t has times outside"):
        inspection.look(batch.head(1).with_columns(late.alias("d")))

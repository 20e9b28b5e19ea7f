"""Any table, however nested, comes back exactly from the JSON that was written of it."""

import base64
import io
import json
import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tailrace_format_json import JsonFormat, JsonOptions

from tailrace import Context, OutgoingTable, RereadCall, WriteCall

FORMAT = JsonFormat()
BIG = (pl.Int64, pl.UInt64)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SCALARS: list[tuple[pl.DataType, st.SearchStrategy[Any]]] = [
    (pl.String(), st.text(max_size=6) | st.text(alphabet='\n\r]},"\\{[\0\x1f\x7f\u2028', max_size=6)),
    (pl.Int64(), st.integers(-(2**63), 2**63 - 1)),
    (pl.UInt64(), st.integers(0, 2**64 - 1)),
    (pl.Int8(), st.integers(-128, 127)),
    (pl.Float64(), st.floats()),
    (pl.Boolean(), st.booleans()),
    (pl.Binary(), st.binary(max_size=5)),
    (pl.Decimal(20, 3), st.integers(-(10**12), 10**12).map(lambda number: Decimal(number).scaleb(-3))),
    (pl.Date(), st.dates()),
    (pl.Datetime("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
    (pl.Datetime("us"), st.datetimes()),
]


def nested(
    inner: st.SearchStrategy[tuple[pl.DataType, st.SearchStrategy[Any]]],
) -> st.SearchStrategy[tuple[pl.DataType, st.SearchStrategy[Any]]]:
    def lists(kind: tuple[pl.DataType, st.SearchStrategy[Any]]) -> tuple[pl.DataType, st.SearchStrategy[Any]]:
        dtype, values = kind
        return pl.List(dtype), st.lists(st.none() | values, max_size=3)

    def structs(
        kinds: dict[str, tuple[pl.DataType, st.SearchStrategy[Any]]],
    ) -> tuple[pl.DataType, st.SearchStrategy[Any]]:
        values = st.fixed_dictionaries({name: st.none() | values for name, (_dtype, values) in kinds.items()})
        return pl.Struct({name: dtype for name, (dtype, _values) in kinds.items()}), values

    names = st.text(max_size=3) | st.sampled_from(["*", "^.*$", "^$", "0"])
    return inner.map(lists) | st.dictionaries(names, inner, min_size=1, max_size=3).map(structs)


KINDS = st.recursive(st.sampled_from(SCALARS), nested, max_leaves=4)


@st.composite
def tables(draw: st.DrawFn) -> pl.DataFrame:
    names = draw(
        st.lists(st.text(max_size=4) | st.sampled_from(["*", "^.*$", "^$"]), min_size=1, max_size=3, unique=True)
    )
    height = draw(st.integers(0, 4))
    columns = []
    for name in names:
        dtype, values = draw(KINDS)
        cells = draw(st.lists(st.none() | values, min_size=height, max_size=height))
        columns.append(pl.Series(cells, dtype=dtype, strict=True).alias(name))
    return pl.DataFrame(columns)


def expected(value: Any, dtype: pl.DataType, options: JsonOptions) -> Any:
    """What a value must be in JSON, worked out value by value."""
    if value is None:
        return None
    if isinstance(dtype, pl.List):
        return [expected(element, dtype.inner, options) for element in value]  # type: ignore[arg-type]  # an instance
    if isinstance(dtype, pl.Struct):
        kinds = {field.name: field.dtype for field in dtype.fields}
        return {name: expected(part, kinds[name], options) for name, part in value.items()}  # type: ignore[arg-type]
    return scalar(value, dtype, options)


def scalar(value: Any, dtype: pl.DataType, options: JsonOptions) -> Any:
    if isinstance(dtype, pl.Datetime):
        text = str(value.replace(tzinfo=None).isoformat(timespec="microseconds"))
        return f"{text}Z" if dtype.time_zone else text
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(dtype, pl.Date | pl.Decimal):
        return str(value)
    return str(value) if options.big_integers == "text" and isinstance(dtype, BIG) else value


def nonfinite(value: Any) -> int:
    if isinstance(value, dict):
        return sum(map(nonfinite, value.values()))
    if isinstance(value, list):
        return sum(map(nonfinite, value))
    return int(isinstance(value, float) and not math.isfinite(value))


def no_constants(constant: str) -> NoReturn:
    raise AssertionError(constant)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    first=tables(),
    second=tables(),
    options=st.builds(JsonOptions, layout=st.just("document"), big_integers=st.sampled_from(["number", "text"])),
    size=st.sampled_from([1, 5, 1 << 20]),
)
def test_any_tables_come_back_from_a_document(
    first: pl.DataFrame, second: pl.DataFrame, options: JsonOptions, size: int
) -> None:
    frames = {"first": first, "second": second}
    output = io.BytesIO()
    notes: list[str] = []
    outgoing = [OutgoingTable(name, frame.lazy(), ()) for name, frame in frames.items()]
    FORMAT.write(WriteCall(outgoing, output, options, {"a": [{}, {"b": {}}]}, notes.append, Context()))
    data = output.getvalue()

    document = json.loads(data, parse_constant=no_constants)
    assert list(document) == ["manifest", "first", "second"]
    for name, frame in frames.items():
        rows = [
            {column: expected(value, frame.schema[column], options) for column, value in row.items()}
            for row in frame.to_dicts()
        ]
        assert document[name] == rows
        assert [list(row) for row in document[name]] == [frame.columns] * frame.height
        for column in frame.columns:
            count = nonfinite(frame[column].to_list())
            found = [note for note in notes if note.startswith(f"{name}.{column}: {count} value") and "finite" in note]
            assert len(found) >= (count > 0)

    for thorough in (False, True):
        blocks = (data[start : start + size] for start in range(0, len(data), size))
        widths = {name: frame.width for name, frame in frames.items()}
        counted = FORMAT.count_rows(RereadCall(blocks, options, list(frames), thorough, widths))
        assert counted == {name: frame.height for name, frame in frames.items()}


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(frame=tables(), size=st.sampled_from([1, 5, 1 << 20]))
def test_any_table_comes_back_from_lines(frame: pl.DataFrame, size: int) -> None:
    options = JsonOptions(layout="lines")
    output = io.BytesIO()
    table = OutgoingTable("t", frame.lazy(), ())
    FORMAT.write(WriteCall((table,), output, options, {}, lambda _note: None, Context()))
    data = output.getvalue()
    assert [json.loads(line, parse_constant=no_constants) for line in data.split(b"\n")[:-1]] == [
        {column: expected(value, frame.schema[column], options) for column, value in row.items()}
        for row in frame.to_dicts()
    ]
    for thorough in (False, True):
        blocks = (data[start : start + size] for start in range(0, len(data), size))
        counted = FORMAT.count_rows(RereadCall(blocks, options, ["t"], thorough, {"t": frame.width}))
        assert counted == {"t": frame.height}


@settings(max_examples=100, deadline=None)
@given(
    ticks=st.lists(st.integers(-62_135_596_800_000, 253_402_300_799_999), min_size=1, max_size=5),
    unit=st.sampled_from(["ms", "us", "ns"]),
)
def test_moments_are_told_to_the_last_digit(ticks: list[int], unit: Any) -> None:
    # Of milliseconds the years 1 to 9999; as microseconds and nanoseconds the same numbers are moments around 1970.
    series = pl.Series("t", ticks, dtype=pl.Int64).cast(pl.Datetime(unit, "UTC"))
    output = io.BytesIO()
    table = OutgoingTable("t", series.to_frame().lazy(), ())
    options = JsonOptions(layout="lines")
    FORMAT.write(WriteCall((table,), output, options, {}, lambda _note: None, Context()))
    per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    texts = [json.loads(line)["t"] for line in output.getvalue().splitlines()]
    for text, tick in zip(texts, ticks, strict=True):
        clock, _, digits = text.removesuffix("Z").partition(".")
        seconds = (datetime.fromisoformat(f"{clock}+00:00") - EPOCH) // timedelta(seconds=1)
        assert seconds * per_second + int(digits) == tick
        assert len(digits) == len(str(per_second)) - 1

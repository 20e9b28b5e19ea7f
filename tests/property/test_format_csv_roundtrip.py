"""Any table comes back exactly from the CSV that was written of it, whatever the options."""

import base64
import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import attrs
import polars as pl
import pytest
import tailrace_format_csv.reread
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tailrace_format_csv import CsvFormat, CsvOptions

from tailrace import Context, OutgoingTable, RequestError, RereadCall, WriteCall

FORMAT = CsvFormat()
FIRST = datetime(1, 1, 1)  # noqa: DTZ001 - counted from, without a zone
DAY = 86_400
TICKS = {"ms": 10**3, "us": 10**6, "ns": 10**9}
EPOCH = 719_162 * DAY
"""1970 in seconds since the year 1."""


WRITTEN_TIME = re.compile(r"(?P<clock>[^.]+)\.(?P<digits>\d+)(?:(?P<z>Z)|(?P<sign>[+-])(?P<offset>[\d:]+))?")


def ticks_of(text: str, unit: str, *, zoned: bool) -> int:
    """Ticks since 1970 of a written time: arithmetic of our own, because Python has no nanoseconds."""
    match = WRITTEN_TIME.fullmatch(text)
    assert match is not None
    assert (match["z"] is not None or match["sign"] is not None) == zoned
    assert len(match["digits"]) == {"ms": 3, "us": 6, "ns": 9}[unit]
    parts = zip((match["offset"] or "0").split(":"), (3600, 60, 1), strict=False)
    offset = sum(int(part) * scale for part, scale in parts) * (-1 if match["sign"] == "-" else 1)
    seconds = (datetime.fromisoformat(match["clock"]) - FIRST) // timedelta(seconds=1) - EPOCH - offset
    return seconds * TICKS[unit] + int(match["digits"])


def duration_of(text: str, unit: str) -> int:
    """Ticks of a written duration."""
    sign = -1 if text.startswith("-") else 1
    days, _, clock = text.removeprefix("-").removeprefix("P").partition("T")
    total = Decimal(days.removesuffix("D") or 0) * DAY
    for letter, scale in (("H", 3600), ("M", 60), ("S", 1)):
        if letter in clock:
            number, _, clock = clock.partition(letter)
            total += Decimal(number) * scale
    assert not clock
    return sign * int(total * TICKS[unit])


@attrs.frozen
class Kind:
    """A type of column: how to make values of it, and how to read what was written."""

    dtype: pl.DataType
    values: st.SearchStrategy[Any]
    read: Any
    physical: bool = False

    def series(self, values: list[Any]) -> pl.Series:
        return (
            pl.Series(values, dtype=pl.Int64).cast(self.dtype) if self.physical else pl.Series(values, dtype=self.dtype)
        )

    def plain(self, series: pl.Series) -> list[Any]:
        return series.alias("").to_physical().to_list() if self.physical else series.to_list()


STARTERS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b\u2212"
TEXTS = st.one_of(
    st.text(max_size=8),
    st.text(alphabet="ab,;|\t\"\r\n\0 \x1f\u2028\ufeff=+-@'\uff1d{\u200b", max_size=6),
    st.sampled_from(["", "NULL", "N/A", "NaN", "true", "007", "-5", "=1+1", "'", "''", '"', '""', "\r\n", "#x"]),
)
NAMES = st.one_of(TEXTS, st.sampled_from(["*", "^.*$", "^$", "literal"]))


def whole(dtype: pl.DataType, bits: int, *, signed: bool) -> Kind:
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return Kind(dtype, st.one_of(st.integers(least, most), st.sampled_from([least, most])), int)


def moments(unit: Any, zone: str | None) -> Kind:
    # With a zone, the local time has to stay within the years 1 to 9999.
    margin = 0 if zone in {None, "UTC"} else DAY
    first, last = (-EPOCH + margin) * TICKS[unit], (2_932_897 * DAY - margin) * TICKS[unit] - 1
    bound = 2**63 - 1 - margin * TICKS[unit]
    return Kind(
        pl.Datetime(unit, zone),
        st.integers(max(first, -bound), min(last, bound)),
        lambda text: ticks_of(text, unit, zoned=zone is not None),
        physical=True,
    )


def durations(unit: Any) -> Kind:
    values = st.integers(-(2**63) + 1, 2**63 - 1)
    return Kind(pl.Duration(unit), values, lambda text: duration_of(text, unit), physical=True)


def floats(dtype: pl.DataType, width: Any) -> Kind:
    return Kind(dtype, st.floats(width=width), lambda text: float(text.removeprefix("'")))


KINDS = st.one_of(
    st.just(Kind(pl.String(), TEXTS, str)),
    st.just(Kind(pl.String(), TEXTS, str)),
    st.just(Kind(pl.Categorical(), TEXTS, str)),
    st.just(whole(pl.Int64(), 64, signed=True)),
    st.just(whole(pl.UInt64(), 64, signed=False)),
    st.just(whole(pl.Int128(), 127, signed=True)),
    st.just(floats(pl.Float64(), 64)),
    st.just(floats(pl.Float32(), 32)),
    st.just(Kind(pl.Boolean(), st.booleans(), {"true": True, "false": False}.__getitem__)),
    st.just(Kind(pl.Binary(), st.binary(max_size=6), lambda text: base64.b64decode(text, validate=True))),
    st.just(Kind(pl.Decimal(20, 4), st.decimals(-(10**15), 10**15, places=4), Decimal)),
    st.just(Kind(pl.Date(), st.dates(), date.fromisoformat)),
    st.builds(
        moments,
        st.sampled_from(["ms", "us", "ns"]),
        st.sampled_from([None, "UTC", "UTC", "Europe/Warsaw", "America/St_Johns", "Africa/Monrovia"]),
    ),
    st.builds(durations, st.sampled_from(["ms", "us", "ns"])),
)


@attrs.frozen
class Case:
    kinds: list[Kind]
    frame: pl.DataFrame


@st.composite
def tables(draw: st.DrawFn) -> Case:
    kinds = draw(st.lists(KINDS, min_size=1, max_size=4))
    names = draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds), unique=True))
    height = draw(st.integers(0, 5))
    columns = [
        draw(st.lists(st.one_of(st.none(), kind.values, kind.values), min_size=height, max_size=height))
        for kind in kinds
    ]
    series = [kind.series(values).alias(name) for kind, name, values in zip(kinds, names, columns, strict=True)]
    return Case(kinds, pl.DataFrame(series))


OPTIONS = st.builds(
    CsvOptions,
    profile=st.sampled_from(["machine", "excel"]),
    delimiter=st.sampled_from([",", ";", "|", "\t", " ", "\\", "^", "="]),
    nulls=st.sampled_from(["", "", "NULL", "N/A"]),
    header=st.booleans(),
    bom=st.sampled_from([None, True, False]),
    line_ending=st.sampled_from([None, "lf", "crlf"]),
)


def records(text: str, delimiter: str, end: str) -> Iterator[list[tuple[str, bool]]]:
    """RFC 4180 by the letter: the fields of each record, and whether they were quoted."""
    at = 0
    while at < len(text):
        record: list[tuple[str, bool]] = []
        while True:
            if text[at : at + 1] == '"':
                value = ""
                while True:
                    close = text.index('"', at + 1)
                    value += text[at + 1 : close]
                    at = close + 1
                    if text[at : at + 1] != '"':
                        break
                    value += '"'
                record.append((value, True))
            else:
                start = at
                while not text.startswith((delimiter, end), at):
                    assert text[at] not in '"\r\n'
                    at += 1
                record.append((text[start:at], False))
            if text.startswith(delimiter, at):
                at += 1
                continue
            assert text.startswith(end, at)
            at += len(end)
            break
        yield record


def refused(case: Case, options: CsvOptions) -> bool:
    """Whether there is something that cannot be written without loss."""
    frame = case.frame
    if options.header and not options.bom and frame.columns[0].startswith("\ufeff"):
        return True
    if not options.nulls and frame.width > 1:
        return False
    texts = [name for name, kind in zip(frame.columns, case.kinds, strict=True) if kind.read is str]
    binary = [
        frame[name].alias("").bin.encode("base64")
        for name, kind in zip(frame.columns, case.kinds, strict=True)
        if kind.dtype == pl.Binary
    ]
    values = [frame[name].alias("").cast(pl.String) for name in texts] + binary
    return any(options.nulls in series.to_list() for series in values)


def starts_formula(text: str) -> bool:
    if text[:1] in {"\t", "\r", "\n"}:
        return True
    rest = text
    while rest and (rest[0] in '"{' or unicodedata.category(rest[0]) in {"Zs", "Zl", "Zp", "Cc", "Cf"}):
        rest = rest[1:]
    return rest[:1] != "" and rest[0] in STARTERS


def same(written: Any, value: Any) -> bool:
    if isinstance(value, float) and isinstance(written, float):
        return (math.isnan(written) and math.isnan(value)) or (
            written == value and math.copysign(1, written) == math.copysign(1, value)
        )
    return type(written) is type(value) and bool(written == value)


def check_header(header: list[str], case: Case, options: CsvOptions) -> None:
    if options.profile == "excel":
        assert not any(map(starts_formula, header))
        header = [name.removeprefix("'") for name in header]
    assert header == case.frame.columns


def check_null(field: str, case: Case, options: CsvOptions, *, quoted: bool) -> None:
    alone = case.frame.width == 1
    assert (field, quoted) == ((options.nulls, False) if options.nulls else ("", alone))


def check_value(field: str, value: Any, kind: Kind, options: CsvOptions, *, quoted: bool) -> None:
    assert quoted or field != options.nulls or kind.dtype == pl.Binary
    if options.profile == "excel":
        number = kind.read is int or kind.dtype.is_float() or kind.dtype.is_decimal()
        assert not starts_formula(field) or (number and math.isfinite(float(field)))
        field = field.removeprefix("'")
    written = kind.read(field)
    if kind.dtype == pl.Float32:
        written = pl.Series([written], dtype=pl.Float32).item()
    assert same(written, value)


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(case=tables(), options=OPTIONS, size=st.sampled_from([1, 5, 1 << 20]))
def test_any_table_comes_back_exactly(case: Case, options: CsvOptions, size: int) -> None:
    output = io.BytesIO()
    call = WriteCall((OutgoingTable("t", case.frame.lazy(), ()),), output, options, {}, lambda _note: None, Context())
    if refused(case, options):
        event("refused")
        with pytest.raises(RequestError):
            FORMAT.write(call)
        return
    FORMAT.write(call)
    data = output.getvalue()

    for thorough in (False, True):
        blocks = (data[start : start + size] for start in range(0, len(data), size))
        reread = RereadCall(blocks, options, ["t"], thorough, {"t": case.frame.width})
        assert FORMAT.count_rows(reread) == {"t": case.frame.height}

    text = data.decode()
    assert text.startswith("\ufeff") or not options.bom
    text = text[1:] if options.bom else text
    found = list(records(text, options.delimiter, options.line_end))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=options.delimiter, strict=True)
    assert list(reader) == [[value for value, _quoted in record] for record in found]

    if options.header:
        check_header([value for value, _quoted in found.pop(0)], case, options)
    assert len(found) == case.frame.height
    for kind, series, column in zip(case.kinds, case.frame.get_columns(), zip(*found, strict=True), strict=False):
        for value, (field, quoted) in zip(kind.plain(series), column, strict=True):
            if value is None:
                check_null(field, case, options, quoted=quoted)
            else:
                check_value(field, value, kind, options, quoted=quoted)


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    pieces=st.lists(
        st.sampled_from([b'"', b"\n", b"\r\n", b",", b"x", b"^", b"\0", b"\xff", b'""', b'"\n"']), max_size=40
    ),
    size=st.integers(1, 12),
    batch=st.integers(1, 30),
)
def test_line_ends_outside_of_quotes_are_counted_exactly(
    pieces: list[bytes], size: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tailrace_format_csv.reread, "_BATCH", batch)
    data = b"".join(pieces)
    data += b'"\n' if data.count(b'"') % 2 else b"\n"
    blocks = (data[start : start + size] for start in range(0, len(data), size))
    call = RereadCall(blocks, CsvOptions(header=False), ["t"], thorough=False, columns={"t": 1})
    assert FORMAT.count_rows(call) == {"t": sum(part.count(b"\n") for part in data.split(b'"')[::2])}

"""Values of every type that polars has, with the extremes of each."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOMENTS = (
    datetime(1, 1, 2, tzinfo=UTC),
    datetime(1899, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(1900, 2, 28, 12, tzinfo=UTC),
    _EPOCH,
    datetime(2026, 3, 29, 0, 59, 59, 1_000, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 0, 0, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
    datetime(9999, 12, 30, 23, 59, 59, 999_000, tzinfo=UTC),
)
"""In Berlin, clocks go forward between the fifth and sixth, and show the same at the seventh and eighth."""

_YEARS_OF_NANOSECONDS = range(1678, 2262)
"""The whole years that 64 bits of nanoseconds reach to, from 1970."""


def _integers(dtype: str, least: int, most: int) -> Callable[[], "pl.Series"]:
    return _series([least, 0, 1, 7, most - 1, most, None], dtype)


def _series(values: list[Any], dtype: str, **parameters: Any) -> Callable[[], "pl.Series"]:
    def make() -> "pl.Series":
        import polars as pl

        kind = getattr(pl, dtype)
        return pl.Series("value", values, dtype=kind(**parameters) if parameters else kind, strict=True)

    return make


def _moments(unit: str, zone: str | None) -> Callable[[], "pl.Series"]:
    def make() -> "pl.Series":
        import polars as pl

        kept = [moment for moment in _MOMENTS if unit != "ns" or moment.year in _YEARS_OF_NANOSECONDS]
        per_second = {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
        ticks = [(moment - _EPOCH) // timedelta(milliseconds=1) * per_second // 1000 for moment in kept]
        if unit == "ns":
            ticks.append(ticks[-1] + 1)
        values = pl.Series("value", [*ticks, None], dtype=pl.Int64)
        return values.cast(pl.Datetime(unit, zone))  # type: ignore[arg-type]  # one of the units, from above

    return make


def _lists() -> "pl.Series":
    import polars as pl

    return pl.Series("value", [[1, None], [], None, [2**62]], dtype=pl.List(pl.Int64))


def _arrays() -> "pl.Series":
    import polars as pl

    return pl.Series("value", [["a", "b"], [None, ""], None], dtype=pl.Array(pl.String, 2))


def _structs() -> "pl.Series":
    import polars as pl

    rows = [{"text": 'a"b', "more": [{"at": 1}]}, {"text": None, "more": []}, None]
    return pl.Series("value", rows, dtype=pl.Struct({"text": pl.String, "more": pl.List(pl.Struct({"at": pl.Int8}))}))


def _enum() -> "pl.Series":
    import polars as pl

    return pl.Series("value", ["b", "a", "", "null", None], dtype=pl.Enum(["a", "b", "", "null"]))


def _beyond() -> "pl.Series":
    import polars as pl

    return pl.Series("value", [4_000_000, -800_000, None], dtype=pl.Int32).cast(pl.Date)


VALUES: Mapping[str, Callable[[], "pl.Series"]] = MappingProxyType(
    {
        "Boolean": _series([True, False, None], "Boolean"),
        **{f"Int{bits}": _integers(f"Int{bits}", -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
        "Int128": _integers("Int128", -(2**127), 2**127 - 1),
        **{f"UInt{bits}": _integers(f"UInt{bits}", 0, 2**bits - 1) for bits in (8, 16, 32, 64, 128)},
        "whole numbers at the limit of floats": _series(
            [2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 999_999_999_999_999, 10**15, None], "Int64"
        ),
        "Float32": _series([0.0, 1.5, 16_777_216.0, -math.inf, math.inf, math.nan, None], "Float32"),
        "Float64": _series(
            [
                0.0,
                -0.0,
                0.1,
                0.1 + 2**-56,
                5e-324,
                1.7976931348623157e308,
                1e15,
                1e21,
                -math.inf,
                math.inf,
                math.nan,
                None,
            ],
            "Float64",
        ),
        "Decimal": _series(
            [Decimal("1.10"), Decimal("-0.01"), Decimal("0.00"), Decimal("123456789012345678901234.56"), None],
            "Decimal",
            precision=30,
            scale=2,
        ),
        "Date": _series(
            [date(1, 1, 1), date(1899, 12, 31), date(1900, 2, 28), date(1970, 1, 1), date(9999, 12, 31), None], "Date"
        ),
        "Datetime of milliseconds": _moments("ms", None),
        "Datetime of microseconds": _moments("us", None),
        "Datetime of nanoseconds": _moments("ns", None),
        "Datetime in UTC": _moments("us", "UTC"),
        "Datetime in Berlin": _moments("us", "Europe/Berlin"),
        "Datetime of nanoseconds in Kathmandu": _moments("ns", "Asia/Kathmandu"),
        "Time": _series([time(0), time(12, 30, 0, 1), time(23, 59, 59, 999_999), None], "Time"),
        "Duration": _series(
            [timedelta(0), timedelta(microseconds=-1), timedelta(days=400, hours=25), timedelta(milliseconds=1), None],
            "Duration",
        ),
        "Binary": _series([b"", b"\x00", b"\xff\xfe", b"plain", None], "Binary"),
        "Categorical": _series(["b", "a", "", "null", 'a"b,c', None], "Categorical"),
        "Enum": _enum,
        "Null": _series([None, None], "Null"),
        "String of nulls": _series([None, None], "String"),
        "times beyond the calendar": _beyond,
    }
)
"""A series of each type of polars that holds no others, by what it is; null is the last value of each."""

NESTED: Mapping[str, Callable[[], "pl.Series"]] = MappingProxyType(
    {"List": _lists, "Array": _arrays, "Struct": _structs}
)
"""Series of the types that hold others."""


def values_of(kind: str) -> "pl.Series":
    """The values of one kind, by its name in :data:`VALUES` or :data:`NESTED`."""
    return {**VALUES, **NESTED}[kind]()

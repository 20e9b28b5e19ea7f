"""Whether values read back as they were: which of them a note may excuse, and how others may be spelt."""

import math
import re
import sys
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

_SINGLE = 1e-6
_DIGITS = 15
"""Significant digits that every program keeps."""
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


def hard_ones(values: "pl.Series") -> list[bool]:
    """Which values a format may change where a note names their column; null is none of them.

    Numbers that are not finite, have more than 15 digits, are minus zero or too small for all digits; fractions of
    seconds and negative durations; times before March 1900, beyond the year 9999, or in an hour that a zone shows
    twice; bytes that are no text; and the empty text.
    """
    import polars as pl

    dtype = values.dtype
    if isinstance(dtype, pl.Date | pl.Datetime):
        return _hard_moments(values)
    if isinstance(dtype, pl.Duration):
        of_second = values.dt.total_nanoseconds(fractional=False) % 10**9 != 0
        return [bool(one) for one in (of_second | (values.dt.total_nanoseconds(fractional=False) < 0))]
    if isinstance(dtype, pl.Time):
        return [bool(one) for one in values.dt.nanosecond() != 0]
    if isinstance(dtype, pl.Boolean):
        return [False] * len(values)
    return [value is not None and _is_hard(value) for value in values.to_list()]


def _is_hard(value: Any) -> bool:
    if isinstance(value, Decimal):
        return len(value.as_tuple().digits) > _DIGITS
    if isinstance(value, int):
        return len(str(abs(value))) > _DIGITS
    if isinstance(value, float):
        return (
            not math.isfinite(value)
            or float(f"{value:.{_DIGITS}g}") != value
            or (value == 0 and math.copysign(1, value) < 0)
            or 0 < abs(value) < sys.float_info.min
        )
    if isinstance(value, bytes):
        return not value or not value.isascii() or not value.decode("ascii").isprintable()
    return bool(value == "")


def _hard_moments(values: "pl.Series") -> list[bool]:
    import polars as pl

    years, months = values.dt.year(), values.dt.month()
    hard = (years < 1900) | ((years == 1900) & (months < 3)) | (years > 9999)
    if isinstance(values.dtype, pl.Datetime):
        hard |= values.dt.nanosecond() != 0
        if values.dtype.time_zone is not None:
            hard |= values.dt.replace_time_zone(None).is_duplicated()
    return [bool(one) for one in hard]


def assert_reads_back(values: "pl.Series", read: "pl.Series", *, excused: bool) -> None:
    """See that values of a column read back as they were, however they are spelt.

    Args:
        values: As they were.
        read: As another reads them, of any type.
        excused: Whether a note names their column: it excuses those that are hard, and no other.

    Raises:
        AssertionError: A value is another, or is told from another no more.
    """
    import polars as pl

    if excused:
        kept = pl.Series([not hard for hard in hard_ones(values)], dtype=pl.Boolean)
        values, read = values.filter(kept), read.filter(kept)
    back = _plain(read)
    told = f"{values.dtype}: {back}"
    if read.dtype == values.dtype:
        assert read.equals(values.alias(read.name), null_equal=True), told
        return
    missing = read.is_null()
    lost = [place for place in range(len(values)) if missing[place] != values.is_null()[place]]
    assert not lost, f"null is not null, or something else is, at {lost} of {told}"
    _same_numbers(values, back)
    _same_moments(values, back)
    _same_truths(values, back)
    originals = set(map(repr, values.to_physical().to_list()))
    assert len(set(map(repr, back))) == len(originals), told


def _plain(read: "pl.Series") -> list[Any]:
    """Values as Python has them; times as texts and durations as numbers, as some are beyond Python's."""
    import polars as pl

    if isinstance(read.dtype, pl.Duration):
        return read.to_physical().to_list()
    return (read.cast(pl.String) if read.dtype.is_temporal() else read).to_list()


def _same_numbers(values: "pl.Series", read: list[Any]) -> None:
    """See that numbers are the numbers that they were."""
    if not values.dtype.is_numeric():
        return
    for value, back in zip(values.to_list(), read, strict=True):
        if value is None:
            continue
        if values.dtype.is_integer() or isinstance(value, Decimal):
            assert Decimal(str(back)) == value
        else:
            # What is single is spelt with the digits of a single.
            exact = _SINGLE if str(values.dtype) == "Float32" else 0.0
            assert math.isnan(value) or math.isclose(float(back), value, rel_tol=exact, abs_tol=0.0)


def _same_moments(values: "pl.Series", read: list[Any]) -> None:
    """See that texts of moments have the digits of their day and minute, there or in UTC."""
    import polars as pl

    if not isinstance(values.dtype, pl.Date | pl.Datetime):
        return
    zoned = isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone is not None
    ways = [_fields(values), *([_fields(values.dt.convert_time_zone("UTC"))] if zoned else [])]
    for back, *spellings in zip(read, *ways, strict=True):
        if isinstance(back, str):
            assert any(_has(back, fields) for fields in spellings), f"{back!r} is none of {spellings}"


def _fields(values: "pl.Series") -> Iterable[tuple[int | None, ...]]:
    """Year, month, day, and of moments hour and minute."""
    import polars as pl

    whole = [values.dt.year(), values.dt.month(), values.dt.day()]
    if isinstance(values.dtype, pl.Datetime):
        whole += [values.dt.hour(), values.dt.minute()]
    return zip(*(one.to_list() for one in whole), strict=True)


def _has(text: str, fields: tuple[int | None, ...]) -> bool:
    """Whether a text has all of these numbers, in any order; or without separators, as ISO 8601 has it."""
    year, month, day, *clock = (abs(field or 0) for field in fields)
    clocks = [clock, [clock[0] % 12 or 12, clock[1]]] if clock else [clock]
    runs = re.findall(r"\d+", text)
    if any(Counter([year, month, day, *shown]) <= Counter(map(int, runs)) for shown in clocks):
        return True
    compact = f"{year:04}{month:02}{day:02}" + "".join(f"{part:02}" for part in clock)
    return compact in "".join(runs)


def _same_truths(values: "pl.Series", read: list[Any]) -> None:
    """See that no word for true is what was false, nor the other way."""
    import polars as pl

    if not isinstance(values.dtype, pl.Boolean):
        return
    for value, back in zip(values.to_list(), read, strict=True):
        if value is not None:
            assert str(back).strip().lower() not in (_FALSE if value else _TRUE), f"{value} came back as {back!r}"

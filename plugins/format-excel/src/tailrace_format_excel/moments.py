"""Dates and times as Excel has them: days since 1899-12-30, the time of day as a fraction (ECMA-376, part 1, 18.17.4).

A serial is a double. From 1900 to the middle of 2079 it tells microseconds apart, afterwards milliseconds; before
1900-03-01 Excel and its readers disagree, because Excel has a 1900-02-29.
"""

import functools
import operator

import polars as pl

_EPOCH = 25_569
"""1970-01-01 in days since 1899-12-30."""
_FIRST, _LAST = 61, 2_958_466
"""1900-03-01 and 10000-01-01, in days since 1899-12-30."""
_FINE_UNTIL = 65_536
"""Serials below it tell microseconds apart: half a unit in the last place is 0.31 of them."""
_DAY = 86_400
_UNIFORM = frozenset({None, "UTC", "Etc/UTC"})
"""Zones in which no hour comes twice."""
_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}


def serial(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Serials of dates, times and durations for which none of the conditions below holds.

    Args:
        values: Expression of type ``dtype``.
        dtype: A temporal type.
    """
    if isinstance(dtype, pl.Date):
        return values.to_physical().cast(pl.Int64) + _EPOCH
    per_day = _DAY * (10**9 if isinstance(dtype, pl.Time) else _per_second(dtype))
    ticks = _wall_clock(values, dtype).to_physical()
    days = ticks // per_day + (_EPOCH if isinstance(dtype, pl.Datetime) else 0)
    # Whole days apart: polars divides by a number by multiplying with its reciprocal, and what is wrong in the last
    # place of a fraction of a day is nothing, while in that of days since 1899 it would be a microsecond.
    return days.cast(pl.Float64) + (ticks % per_day).cast(pl.Float64) / per_day


def plain_range(dtype: pl.DataType) -> tuple[int, int] | None:
    """The least and the most physical value between which there is nothing special; None where any value may be."""
    if isinstance(dtype, pl.Time):
        return 0, _DAY * 10**9
    if isinstance(dtype, pl.Date):
        return _FIRST - _EPOCH, _LAST - _EPOCH - 1
    if _per_second(dtype) == 10**9 or (isinstance(dtype, pl.Datetime) and dtype.time_zone not in _UNIFORM):
        return None
    per_day = _DAY * _per_second(dtype)
    if isinstance(dtype, pl.Duration):
        return 0, _FINE_UNTIL * per_day - 1
    return (_FIRST - _EPOCH + 1) * per_day, (_FINE_UNTIL - _EPOCH - 1) * per_day - 1


def out_of_range(values: pl.Series) -> pl.Series | None:
    """Whether a value is beyond the calendar of Excel; None where no value is."""
    dtype = values.dtype
    if isinstance(dtype, pl.Time):
        return None
    if isinstance(dtype, pl.Duration):
        return _outside(values.to_physical(), 0, _LAST * _DAY * _per_second(dtype))
    if isinstance(dtype, pl.Date):
        return _outside(values.to_physical().cast(pl.Int64), _FIRST - _EPOCH, _LAST - _EPOCH)
    per_day = _DAY * _per_second(dtype)
    least, most = (_FIRST - _EPOCH) * per_day, (_LAST - _EPOCH) * per_day
    ticks = values.to_physical()
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        # By a day more than enough: what is that near is written as text in every zone.
        least, most = least + per_day, most - per_day
    return _outside(ticks, least, most)


def too_fine(values: pl.Series) -> pl.Series | None:
    """Whether a value has digits that its serial would lose; None where no value has."""
    dtype = values.dtype
    if not isinstance(dtype, pl.Datetime | pl.Duration):
        return None
    per_second = _per_second(dtype)
    ticks = values.to_physical()
    lost = None
    if per_second == 10**9:
        lost = ticks % 1000 != 0
    fine_until = (_FINE_UNTIL - (0 if isinstance(dtype, pl.Duration) else _EPOCH + 1)) * _DAY * per_second
    most = ticks.max()
    if per_second > 10**3 and isinstance(most, int) and most >= fine_until:
        late = (ticks >= fine_until) & (ticks % (per_second // 1000) != 0)
        lost = late if lost is None else lost | late
    return lost if lost is not None and lost.any() else None


def ambiguous(values: pl.Series) -> pl.Series | None:
    """Whether the clocks of the zone showed this time twice; None where no value is such a time.

    Args:
        values: Of which none is out of range.
    """
    dtype = values.dtype
    if not isinstance(dtype, pl.Datetime) or dtype.time_zone in _UNIFORM:
        return None
    local = values.dt.replace_time_zone(None)
    twice = local.dt.replace_time_zone(dtype.time_zone, ambiguous="null", non_existent="null").is_null()
    twice &= values.is_not_null()
    return twice if twice.any() else None


def _wall_clock(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    return values.dt.replace_time_zone(None) if isinstance(dtype, pl.Datetime) and dtype.time_zone else values


def _per_second(dtype: pl.DataType) -> int:
    unit = dtype.time_unit if isinstance(dtype, pl.Datetime | pl.Duration) else "us"
    return _PER_SECOND[unit]


def _outside(numbers: pl.Series, first: int, end: int) -> pl.Series | None:
    """Whether a number is not within ``first <= number < end``; None where all are."""
    least, most = numbers.min(), numbers.max()
    if not isinstance(least, int) or not isinstance(most, int) or (least >= first and most < end):
        return None
    # A limit may be more than the type of the numbers holds: only one that is passed is compared with.
    passed = [numbers < first] if least < first else []
    if most >= end:
        passed.append(numbers >= end)
    return functools.reduce(operator.or_, passed)

"""How long successful checks took."""

import math
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import attrs
import polars as pl

from tailrace_source_health.columns import AT, MS, PROTOCOL
from tailrace_source_health.ordering import NUMBER

LONGEST = 1e11
"""A response time in milliseconds that no check has: three years."""
_BINS = 30
_PER_MS = 1000
_CODES = 1 << 16
_FAR = 3.0
"""A greatest value so many times the 99th percentile gets a bin of its own, or one bin would hold all others."""
_NICE = (1, 2, 2.5, 5, 10)
_SCHEMA = {"lower_ms": pl.Float64, "upper_ms": pl.Float64, "checks": pl.Int64, "share_percent": pl.Float64}


@attrs.frozen
class Times:
    """Response times in order, to the microsecond.

    Args:
        values: Milliseconds.
        codes: Twice the code of the protocol of each, and one more in the second half of the range.
    """

    values: pl.Series
    codes: pl.Series

    @classmethod
    def of(cls, succeeded: pl.DataFrame, protocols: pl.Series, middle: datetime) -> "Times":
        """Sort response times together with what they are told apart by.

        One whole number holds both: sorting numbers takes a third of the time of sorting rows.

        Args:
            succeeded: The checks that succeeded.
            protocols: Code of the protocol of each proxy, by its number.
            middle: Where the second half of the range begins.
        """
        timed = succeeded.filter(pl.col(MS).is_not_null()).select(NUMBER, MS, pl.col(AT) >= middle)
        code = protocols.gather(timed[NUMBER]).cast(pl.Int64) * 2 + timed[AT]
        packed = ((timed[MS] * _PER_MS).round().cast(pl.Int64) * _CODES + code).sort()
        return cls((packed // _CODES) / _PER_MS, (packed % _CODES).cast(pl.UInt16))

    def half(self, *, second: bool) -> pl.Series:
        """The values of one half of the range."""
        return self.values.filter(self.codes % 2 == int(second))


@attrs.frozen
class Percentiles:
    """What response times are like.

    Args:
        count: How many there are.
        median: The value that half of them do not exceed.
        p95: The value that 95 % of them do not exceed.
        p99: The value that 99 % of them do not exceed.
        greatest: The greatest.
    """

    count: int
    median: float | None
    p95: float | None
    p99: float | None
    greatest: float | None

    @classmethod
    def of(cls, ordered: pl.Series) -> "Percentiles":
        """Percentiles of sorted values, with linear interpolation (type 7 of Hyndman and Fan, as in spreadsheets)."""
        return cls(len(ordered), *(_at(ordered, share) for share in (0.5, 0.95, 0.99, 1.0)))


def _at(ordered: pl.Series, share: float) -> float | None:
    if not len(ordered):
        return None
    place = (len(ordered) - 1) * share
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return round(float(low + (high - low) * (place - math.floor(place))), 3)


def distribution(times: pl.Series, percentiles: Percentiles) -> tuple[pl.DataFrame, float]:
    """How many response times lie in each of about 30 equally wide bins, and how wide they are.

    Where some are far beyond all others, the last row has no upper end, and counts them.

    Args:
        times: The response times, sorted.
        percentiles: Of the same.
    """
    if percentiles.greatest is None or percentiles.p99 is None:
        return pl.DataFrame(schema=_SCHEMA), 1.0
    far = percentiles.greatest > _FAR * percentiles.p99 > 0
    top = 1.5 * percentiles.p99 if far else percentiles.greatest
    width = _nice(top / _BINS)
    bins = max(1, math.ceil(top / width)) if far else math.floor(top / width) + 1
    first = math.floor(times[0] / width) if times[0] < top else bins - 1
    edges = pl.Series([number * width for number in range(first + 1, bins + far)], dtype=pl.Float64)
    below = [0, *times.search_sorted(edges, side="left").to_list(), len(times)]
    rows = pl.DataFrame(
        {"bin": range(first, bins + far), "checks": [high - low for low, high in pairwise(below)]},
        schema={"bin": pl.Int64, "checks": pl.Int64},
    )
    return rows.select(
        (pl.col("bin") * width).alias("lower_ms"),
        pl.when(pl.col("bin") < bins).then((pl.col("bin") + 1) * width).alias("upper_ms"),
        pl.col("checks"),
        (100 * pl.col("checks") / len(times)).round(3).alias("share_percent"),
    ), width


def by_protocol(times: Times, names: pl.Series) -> pl.DataFrame:
    """Median and 95th percentile of each protocol: ``protocol``, ``median``, ``p95``.

    Args:
        times: The response times.
        names: The protocols, in the order of their codes.
    """
    found = [Percentiles.of(times.values.filter(times.codes // 2 == code)) for code in range(len(names))]
    return pl.DataFrame(
        {PROTOCOL: names, "median": [one.median for one in found], "p95": [one.p95 for one in found]},
        schema={PROTOCOL: pl.String, "median": pl.Float64, "p95": pl.Float64},
    )


def _nice(width: float) -> float:
    """The least width not below that is 1, 2, 2.5 or 5 times a power of ten."""
    if width <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(width))
    steps: Sequence[float] = [step * power for step in _NICE]
    return next((step for step in steps if step >= width), steps[-1])

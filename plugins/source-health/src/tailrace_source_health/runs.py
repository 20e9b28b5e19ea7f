"""Runs of checks: how often they come, which were seen, and where some are missing.

A run is a burst of checks of many proxies. How far runs are from each other is told by the proxies: the usual time from
one check of a proxy to its next, the lower median over all of them, times of less than a minute left out (a check that
is repeated at once belongs to the same run). A run ends where nothing is checked for half of that time. A burst that
lasts longer, as where checks are spread over the day, is cut into runs of about that length.
"""

import attrs
import polars as pl

from tailrace_source_health.columns import AT, MS, TIME
from tailrace_source_health.ordering import NUMBER

MINUTE = "minute"
_TICKS = 60_000_000
_LOOKED_AT, _PLACES = 160_000, 16
_MISSED_FROM = 1.5
"""So many intervals from one run to the next are one too many."""


@attrs.frozen
class Coverage:
    """Which runs there are, and which are missing.

    Args:
        interval: Usual minutes from one run to the next; None where that cannot be told.
        runs: ``begins``, ``ends``, ``checks`` of each run, to the minute.
        gaps: ``begins``, ``ends``, ``missed_runs`` of each gap.
    """

    interval: int | None
    runs: pl.DataFrame = attrs.field(repr=False)
    gaps: pl.DataFrame = attrs.field(repr=False)

    @property
    def seen(self) -> int:
        """How many runs there are."""
        return self.runs.height

    @property
    def missed(self) -> int:
        """How many are missing."""
        return int(self.gaps["missed_runs"].sum())

    @property
    def expected(self) -> int:
        """How many there should be."""
        return self.seen + self.missed


def minutes_of(frame: pl.DataFrame) -> pl.Series:
    """The minute of each check since 1970."""
    return frame[AT].to_physical() // _TICKS


def by_minute(minutes: pl.Series, succeeded: pl.DataFrame) -> pl.DataFrame:
    """All checks of each minute: ``checks``, ``successes``, ``timed`` and ``total_ms`` of those that have a time.

    Args:
        minutes: The minute of each check.
        succeeded: The checks that succeeded, with their ``minute``.
    """
    successes = succeeded.group_by(MINUTE).agg(
        pl.len().alias("successes"), pl.col(MS).count().alias("timed"), pl.col(MS).sum().alias("total_ms")
    )
    every = minutes.alias(MINUTE).to_frame().group_by(MINUTE).agg(pl.len().alias("checks"))
    return (
        every.join(successes, on=MINUTE, how="left")
        .with_columns(pl.col("successes", "timed", "total_ms").fill_null(0))
        .sort(MINUTE)
    )


def usual_interval(frame: pl.DataFrame, minutes: pl.Series) -> int | None:
    """Usual minutes from one check of a proxy to its next; None where no proxy was checked twice.

    Of many checks, it looks at some that are spread evenly over all proxies.
    """
    rows = frame.select(pl.col(NUMBER), minutes.alias(MINUTE))
    if rows.height > _LOOKED_AT:
        every = rows.height // _PLACES
        rows = pl.concat([rows.slice(place * every, _LOOKED_AT // _PLACES) for place in range(_PLACES)])
    between = pl.when(pl.col(NUMBER) == pl.col(NUMBER).shift(1)).then(pl.col(MINUTE) - pl.col(MINUTE).shift(1))
    usual = rows.select(between.alias(MINUTE)).filter(pl.col(MINUTE) >= 1)[MINUTE].quantile(0.5, "lower")
    return None if usual is None else int(usual)


def coverage(per_minute: pl.DataFrame, interval: int | None, since: int | None, until: int | None) -> Coverage:
    """Find the runs, and the gaps between them.

    Args:
        per_minute: What :func:`by_minute` gives.
        interval: What :func:`usual_interval` gives.
        since: First minute of the range that was asked for; None: there is no bound.
        until: First minute behind it; None: there is no bound.
    """
    quiet = max(1.0, (interval or 0) / 2)
    minute = pl.col(MINUTE)
    burst = (minute - minute.shift(1) > quiet).fill_null(value=False).cum_sum() if interval else pl.lit(0)
    bursts = per_minute.with_columns(burst.alias("burst")).with_columns(
        (minute - minute.min().over("burst")).alias("behind"),
        (minute.max() - minute.min() + 1).over("burst").alias("length"),
    )
    parts = (pl.col("length") / (interval or 1)).round().clip(lower_bound=1) if interval else pl.lit(1.0)
    runs = (
        bursts.with_columns((pl.col("behind") * parts / pl.col("length")).floor().alias("part"))
        .group_by("burst", "part", maintain_order=True)
        .agg(minute.min().alias("begins"), minute.max().alias("ends"), pl.col("checks").sum())
        .select("begins", "ends", "checks")
    )
    gaps = _gaps(runs, interval, since, until)
    moments = [_moment("begins"), _moment("ends")]
    return Coverage(interval, runs.with_columns(moments), gaps.with_columns(moments))


def _gaps(runs: pl.DataFrame, interval: int | None, since: int | None, until: int | None) -> pl.DataFrame:
    found = []
    if interval and runs.height:
        span = pl.col("begins").shift(-1) - pl.col("begins")
        between = runs.select(
            pl.col("ends").alias("begins"),
            pl.col("begins").shift(-1).alias("ends"),
            pl.when(span > _MISSED_FROM * interval).then((span / interval).round() - 1).alias("missed_runs"),
        )
        found.append(between.filter(pl.col("missed_runs") >= 1).with_columns(pl.col("missed_runs").cast(pl.Int64)))
        first, last = runs["begins"].min(), runs["begins"].max()
        assert isinstance(first, int)  # noqa: S101 - for the type checker: there are runs
        assert isinstance(last, int)  # noqa: S101 - likewise
        if since is not None and (missed := _missed(first - since, interval)):
            found.insert(0, _gap(since, first, missed))
        if until is not None and (missed := _missed(until - last, interval)):
            found.append(_gap(int(runs["ends"][-1]), until, missed))
    return pl.concat([_gap(0, 0, 0).clear(), *found])


def _missed(span: int, interval: int) -> int:
    """How many runs are missing at an end of the range for certain: nobody knows when the first one was due."""
    return int(span / interval - 0.5) if span > _MISSED_FROM * interval else 0


def _gap(begins: int, ends: int, missed: int) -> pl.DataFrame:
    schema = {"begins": pl.Int64, "ends": pl.Int64, "missed_runs": pl.Int64}
    return pl.DataFrame({"begins": [begins], "ends": [ends], "missed_runs": [missed]}, schema=schema)


def moments_of(minutes: pl.Expr) -> pl.Expr:
    """Minutes since 1970 as moments."""
    return (minutes * _TICKS).cast(TIME)


def _moment(name: str) -> pl.Expr:
    return moments_of(pl.col(name)).alias(name)

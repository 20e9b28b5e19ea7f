"""Availability over time."""

import polars as pl

from tailrace_source_health.clock import STEPS, buckets, every_bucket
from tailrace_source_health.columns import TIME
from tailrace_source_health.runs import MINUTE, Coverage, moments_of

MOST = 400
"""Buckets at most; a longer range has longer ones."""
_SCHEMA: dict[str, pl.DataType] = {
    "begins": TIME,
    "checks": pl.Int64(),
    "failures": pl.Int64(),
    "availability_percent": pl.Float64(),
    "mean_response_time_ms": pl.Float64(),
}


def over_time(per_minute: pl.DataFrame, coverage: Coverage, zone: str) -> tuple[pl.DataFrame, int]:
    """The share of successful checks, for the shortest buckets of time in which runs leave no holes.

    Hours, 3, 6 or 12 hours, days or weeks: the first for which every bucket has checks that is not in a gap, and of
    which there are not too many.

    Args:
        per_minute: What :func:`.runs.by_minute` gives.
        coverage: Runs and gaps.
        zone: IANA time zone of hours and days.

    Returns:
        ``begins``, ``checks``, ``failures``, ``availability_percent``, ``mean_response_time_ms`` of each bucket, and
        its length in seconds. What was not checked has no availability, rather than one of zero.
    """
    if not per_minute.height:
        return pl.DataFrame(schema=_SCHEMA), STEPS[0]
    moments = per_minute.select(moments_of(pl.col(MINUTE))).to_series()
    for step in STEPS:
        length = (moments[-1] - moments[0]).total_seconds()
        if step != STEPS[-1] and (length > MOST * step or step < 60 * 0.9 * (coverage.interval or 0)):
            continue
        found = _by_bucket(per_minute, moments, step, zone)
        if step == STEPS[-1] or not _has_holes(found, coverage, step):
            break
    return found.drop("ends", strict=False), step


def _by_bucket(per_minute: pl.DataFrame, moments: pl.Series, step: int, zone: str) -> pl.DataFrame:
    begins = buckets(moments, step, zone)
    every = every_bucket(moments[:1], moments[-1:], step, zone)
    summed = (
        per_minute.with_columns(begins.alias("begins"))
        .group_by("begins")
        .agg(pl.col("checks", "successes", "timed", "total_ms").sum())
    )
    checks = pl.col("checks").fill_null(0).cast(pl.Int64)
    return (
        every.alias("begins")
        .to_frame()
        .join(summed, on="begins", how="full", coalesce=True)
        .sort("begins")
        .select(
            "begins",
            checks.alias("checks"),
            (checks - pl.col("successes").fill_null(0).cast(pl.Int64)).alias("failures"),
            pl.when(checks > 0).then((100 * pl.col("successes") / checks).round(3)).alias("availability_percent"),
            pl.when(pl.col("timed") > 0)
            .then((pl.col("total_ms") / pl.col("timed")).round(3))
            .alias("mean_response_time_ms"),
        )
    )


def _has_holes(found: pl.DataFrame, coverage: Coverage, step: int) -> bool:
    """Whether there is a bucket without checks that does not lie in a gap."""
    empty = found.filter(pl.col("checks") == 0).select("begins", pl.duration(seconds=step).alias("step"))
    explained = empty.join_where(
        coverage.gaps.rename({"begins": "from", "ends": "until"}),
        pl.col("from") < pl.col("begins") + pl.col("step"),
        pl.col("until") >= pl.col("begins"),
    )
    return bool(explained["begins"].n_unique() < empty.height)

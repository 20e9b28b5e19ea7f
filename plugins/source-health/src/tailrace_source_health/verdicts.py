"""What is thought of a proxy: its trend, its status, and why it is a problem."""

from datetime import timedelta

import polars as pl

from tailrace_source_health.intervals import Z_95, Z_99, newcombe, wilson
from tailrace_source_health.proxies import AFTER, BEFORE

LEAST_CHECKS = 3
"""With fewer checks nothing is said of a proxy."""
LEAST_IN_HALF = 5
"""With fewer checks in one half of the range nothing is said of a trend."""
LEAST_CHANGE = 0.1
"""A share that changed by less is steady, however sure that is."""
HEALTHY_FROM = 90.0
"""Least percentage of successful checks of a healthy proxy."""
DEAD_AFTER, FAILING_AFTER = 10, 3
"""So many failures since the last success."""
SLOW_FROM, SLOW_CHECKS = 2.0, 5
"""So many times the median of all response times, over so many checks, is slow."""
LONG_OUTAGE = 0.25
"""An outage of that part of the range is worth telling."""

STATUSES = ("dead", "failing", "degraded", "unknown", "healthy")
"""The worst first."""
TRENDS = ("improving", "steady", "worsening", "unknown")
_MARKS = {"dead": "bad", "failing": "bad", "degraded": "warning", "healthy": "good"}


def judged(rows: pl.DataFrame, median: float | None, length: timedelta) -> pl.DataFrame:
    """Add ``trend_points``, ``trend``, ``status``, ``reasons`` and ``mark`` to what was measured.

    The **trend** compares the shares of successful checks in the second and the first half of the range. It is
    improving or worsening if Newcombe's 99 % interval of their difference (:mod:`.intervals`) leaves out zero and the
    difference is of at least 10 percentage points; steady otherwise; unknown with fewer than 5 checks in a half.

    The **status** is the first of these that holds:

    ========  ==========================================================================================================
    unknown   fewer than 3 checks
    dead      no check succeeded, or the last 10 or more failed
    failing   the last 3 or more checks failed, or the upper end of Wilson's 95 % interval of the share of successful
              checks is below one half: more checks fail than succeed, beyond reasonable doubt
    degraded  fewer than 90 % of the checks succeeded, or the trend is worsening, or the median response time (of 5 or
              more) is more than twice that of all checks
    healthy   all others
    ========  ==========================================================================================================

    Args:
        rows: What :func:`tailrace_source_health.proxies.measured` gives.
        median: Median of all response times; None where there are none.
        length: From the first to the last check.
    """
    difference, low, high = newcombe(_half(BEFORE), _half(AFTER), Z_99)
    enough = (pl.col(f"{BEFORE}_checks") >= LEAST_IN_HALF) & (pl.col(f"{AFTER}_checks") >= LEAST_IN_HALF)
    compared = (pl.col(f"{BEFORE}_checks") > 0) & (pl.col(f"{AFTER}_checks") > 0)
    # 0.3 - 0.2 is a little less than 0.1.
    change = difference.round(9)
    rows = rows.with_columns(
        pl.when(compared).then((100 * difference).round(3)).alias("trend_points"),
        pl.when(~enough)
        .then(pl.lit("unknown"))
        .when((low > 0) & (change >= LEAST_CHANGE))
        .then(pl.lit("improving"))
        .when((high < 0) & (change <= -LEAST_CHANGE))
        .then(pl.lit("worsening"))
        .otherwise(pl.lit("steady"))
        .alias("trend"),
    )
    slow = pl.lit(value=False)
    if median:
        slow = (pl.col("timed") >= SLOW_CHECKS) & (pl.col("median_response_time_ms") > SLOW_FROM * median)
        slow = slow.fill_null(value=False)
    _low, at_most = wilson(pl.col("successes"), pl.col("checks"), Z_95)
    unsure = pl.col("checks") < LEAST_CHECKS
    none, dead = pl.col("successes") == 0, pl.col("last_failures") >= DEAD_AFTER
    mostly = at_most < 0.5  # noqa: PLR2004 - one half
    worsening = pl.col("trend") == "worsening"
    status = (
        pl.when(unsure)
        .then(pl.lit("unknown"))
        .when(none | dead)
        .then(pl.lit("dead"))
        .when((pl.col("last_failures") >= FAILING_AFTER) | mostly)
        .then(pl.lit("failing"))
        .when((pl.col("uptime_percent") < HEALTHY_FROM) | worsening | slow)
        .then(pl.lit("degraded"))
        .otherwise(pl.lit("healthy"))
    )
    rows = rows.with_columns(status.alias("status"))
    problem = pl.col("status").is_in(["dead", "failing", "degraded"])
    return rows.with_columns(
        pl.when(problem).then(_reasons(slow, median, length)).alias("reasons"),
        pl.col("status").replace_strict(_MARKS, default=None, return_dtype=pl.String).alias("mark"),
    )


def _half(name: str) -> tuple[pl.Expr, pl.Expr]:
    return pl.col(f"{name}_successes"), pl.col(f"{name}_checks")


def _reasons(slow: pl.Expr, median: float | None, length: timedelta) -> pl.Expr:
    """Why a proxy is a problem, in words."""
    checks, failures, last = pl.col("checks"), pl.col("failures"), pl.col("last_failures")
    none = pl.col("successes") == 0
    share = (100 * failures / checks).round(1)
    hours = (pl.col("longest_outage").dt.total_minutes() / 60).round(1)
    lasting = (pl.col("longest_outage") >= LONG_OUTAGE * length) & (pl.col("longest_outage") > timedelta(0))
    return pl.concat_str(
        pl.when(none).then(pl.format("none of {} checks succeeded", checks)),
        pl.when(~none & (last >= FAILING_AFTER)).then(pl.format("the last {} checks failed", last)),
        pl.when(~none & (pl.col("uptime_percent") < HEALTHY_FROM)).then(
            pl.format("{} % of {} checks failed", share, checks)
        ),
        pl.when(pl.col("trend") == "worsening").then(
            pl.format("uptime fell by {} points", pl.col("trend_points").abs().round(1))
        ),
        pl.when(slow).then(pl.format("its median response time is {} times that of all", _times(median))),
        pl.when(~none & lasting & (failures >= FAILING_AFTER)).then(pl.format("out for {} hours at a stretch", hours)),
        separator="; ",
        ignore_nulls=True,
    )


def _times(median: float | None) -> pl.Expr:
    return (pl.col("median_response_time_ms") / (median or 1)).round(1)

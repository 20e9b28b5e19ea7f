"""What the checks say of each proxy."""

from datetime import datetime

import polars as pl

from tailrace_source_health.columns import AT, COUNTRY, COUNTRY_CODE, MS, PROTOCOL
from tailrace_source_health.ordering import NUMBER
from tailrace_source_health.reading import URL
from tailrace_source_health.streaks import outages

BEFORE, AFTER = "before", "after"
"""Names of the two halves of the range, in front of ``_checks`` and ``_successes``."""


def measured(frame: pl.DataFrame, succeeded: pl.DataFrame, proxies: pl.DataFrame, middle: datetime) -> pl.DataFrame:
    """Counts, times and outages of each proxy that was checked.

    Args:
        frame: Checks by proxy and time.
        succeeded: Those that succeeded.
        proxies: What is known of the proxies.
        middle: Where the second half of the range begins.

    Returns:
        A row for each proxy, by number: what is known of it; ``checks``, ``failures``, ``uptime_percent``; mean, median
        and 95th percentile of its response times; when it was last seen and checked; its longest outage; checks and
        successes of both halves.
    """
    counted = _counted(frame, middle)
    of_successes = (
        succeeded.lazy()
        .with_columns((pl.col(AT) < middle).alias("early"))
        .group_by(NUMBER, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("successes"),
            pl.col("early").sum().cast(pl.Int64).alias(f"{BEFORE}_successes"),
            pl.col(AT).last().alias("last_seen"),
            pl.col(MS).mean().round(1).alias("mean_response_time_ms"),
            pl.col(MS).median().round(1).alias("median_response_time_ms"),
            pl.col(MS).quantile(0.95, "linear").round(1).alias("p95_response_time_ms"),
            pl.col(MS).count().cast(pl.Int64).alias("timed"),
        )
        .collect()
    )
    rows = (
        counted.join(of_successes, on=NUMBER, how="left", maintain_order="left")
        .join(outages(frame), on=NUMBER, how="left", maintain_order="left")
        .with_columns(pl.col("successes", f"{BEFORE}_successes", "last_failures", "timed").fill_null(0).cast(pl.Int64))
    )
    known = proxies.select(URL, PROTOCOL, COUNTRY_CODE, COUNTRY)[rows[NUMBER]]
    return pl.concat([known, rows], how="horizontal").with_columns(
        (pl.col("checks") - pl.col("successes")).alias("failures"),
        (100 * pl.col("successes") / pl.col("checks")).round(3).alias("uptime_percent"),
        (pl.col("checks") - pl.col(f"{BEFORE}_checks")).alias(f"{AFTER}_checks"),
        (pl.col("successes") - pl.col(f"{BEFORE}_successes")).alias(f"{AFTER}_successes"),
    )


def _counted(frame: pl.DataFrame, middle: datetime) -> pl.DataFrame:
    """``number``, ``checks``, ``last_checked``, and the checks of the first half."""
    return (
        frame.lazy()
        .group_by(NUMBER, maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("checks"),
            pl.col(AT).last().alias("last_checked"),
            (pl.col(AT) < middle).sum().cast(pl.Int64).alias(f"{BEFORE}_checks"),
        )
        .collect()
    )

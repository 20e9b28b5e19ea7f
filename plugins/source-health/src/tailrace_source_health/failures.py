"""Where and when checks fail: by kind of error, hour, weekday, country and protocol."""

import polars as pl

from tailrace_source_health.clock import local_part
from tailrace_source_health.columns import COUNTRY, ERROR, OK, PROTOCOL
from tailrace_source_health.reading import Checks
from tailrace_source_health.runs import MINUTE, moments_of

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
BY = ("error", "hour", "weekday_hour", "country", "protocol")


def kinds_of_errors(checks: Checks) -> pl.DataFrame:
    """How many checks failed with each error, those of most checks first: ``value``, ``checks``, ``failures``."""
    # Errors of one kind come in a row, most of all where there is but one: that leaves few rows to group.
    rows = checks.frame[ERROR].filter(~checks.frame[OK]).rle().struct.unnest()
    return (
        rows.group_by(pl.col("value").alias(ERROR))
        .agg(pl.col("len").sum().cast(pl.Int64).alias("failures"))
        .with_columns(checks.clean(pl.col(ERROR)))
        .group_by(ERROR)
        .agg(pl.col("failures").sum())
        .sort("failures", ERROR, descending=[True, False], nulls_last=True)
        .select(pl.col(ERROR).alias("value"), pl.lit(None, pl.Int64).alias("checks"), "failures")
    )


def failures(errors: pl.DataFrame, per_minute: pl.DataFrame, rows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Failures in one long table.

    Args:
        errors: What :func:`kinds_of_errors` gives.
        per_minute: What :func:`.runs.by_minute` gives.
        rows: What :func:`.proxies.measured` gives.
        zone: IANA time zone of hours and weekdays.

    Returns:
        ``by`` (what is told apart: ``error``, ``hour``, ``weekday_hour``, ``country``, ``protocol``), ``value`` (null
        where it is not known), ``checks`` (null for errors, which only failed checks have), ``failures``,
        ``failure_percent`` of these checks, ``share_percent`` of all failures.
    """
    moments = per_minute.select(moments_of(pl.col(MINUTE))).to_series()
    clock = pl.concat([local_part(moments, zone), per_minute], how="horizontal")
    hour = pl.col("hour").cast(pl.String).str.zfill(2)
    day = pl.col("weekday").cast(pl.Int64).replace_strict(dict(enumerate(DAYS, 1)), return_dtype=pl.String)
    counted = [pl.col("checks").sum().cast(pl.Int64), (pl.col("checks") - pl.col("successes")).sum().alias("failures")]
    per_hour = clock.group_by("hour").agg(counted).sort("hour").with_columns(hour.alias("value"))
    per_cell = clock.group_by("weekday", "hour").agg(counted).sort("weekday", "hour")
    parts = {
        "error": errors,
        "hour": per_hour,
        "weekday_hour": per_cell.with_columns(pl.concat_str(day, pl.lit(" "), hour).alias("value")),
        "country": _of_proxies(rows, COUNTRY),
        "protocol": _of_proxies(rows, PROTOCOL),
    }
    total = errors["failures"].sum()
    return pl.concat(
        part.select(
            pl.lit(name).alias("by"),
            pl.col("value"),
            pl.col("checks").cast(pl.Int64),
            pl.col("failures").cast(pl.Int64),
        )
        for name, part in parts.items()
    ).with_columns(
        pl.when(pl.col("checks") > 0)
        .then((100 * pl.col("failures") / pl.col("checks")).round(3))
        .alias("failure_percent"),
        pl.when(pl.lit(total) > 0).then((100 * pl.col("failures") / total).round(3)).alias("share_percent"),
    )


def _of_proxies(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    return (
        rows.group_by(pl.col(column).alias("value"))
        .agg(pl.col("checks", "failures").sum())
        .sort("failures", "value", descending=[True, False], nulls_last=True)
    )

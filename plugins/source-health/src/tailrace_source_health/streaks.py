"""Checks in a row that ended alike: how long a proxy was out, and how many of its last checks failed."""

import polars as pl

from tailrace_source_health.columns import AT, OK
from tailrace_source_health.ordering import NUMBER

_MICROSECONDS = 1_000_000


def outages(frame: pl.DataFrame) -> pl.DataFrame:
    """The longest outage of each proxy that had one, and how many checks have failed since its last success.

    An outage lasts from the first failed check in a row to the next successful one; where none follows, to the last
    failed one. Of outages equally long, the first counts.

    Args:
        frame: Checks by proxy and time.

    Returns:
        ``number``, ``longest_outage``, ``longest_outage_from``, ``longest_outage_until``, ``last_failures``.
    """
    number, failed, row = pl.col(NUMBER), ~pl.col(OK), pl.int_range(pl.len(), dtype=pl.UInt32)
    same_before, same_after = number == number.shift(1), number == number.shift(-1)
    begins = (failed & ~(same_before & failed.shift(1))).fill_null(failed)
    ends = (failed & ~(same_after & failed.shift(-1))).fill_null(failed)
    # Each streak has one first and one last row: both filters give as many, in the same order.
    first = frame.select(NUMBER, pl.col(AT).alias("from"), row.alias("first")).filter(frame.select(begins).to_series())
    last = frame.select(
        pl.col(AT).alias("last"),
        pl.col(AT).shift(-1).alias("next"),
        same_after.fill_null(value=False).alias("recovers"),
        row.alias("row"),
    ).filter(frame.select(ends).to_series())
    streaks = pl.concat([first, last], how="horizontal").select(
        pl.col(NUMBER).set_sorted(),
        "from",
        pl.when("recovers").then("next").otherwise("last").alias("until"),
        pl.when(~pl.col("recovers")).then(pl.col("row") - pl.col("first") + 1).alias("last_failures"),
    )
    by_proxy = (
        streaks.select(NUMBER, (pl.col("until") - pl.col("from")).alias("length"), "last_failures")
        .with_row_index("streak")
        .group_by(NUMBER, maintain_order=True)
        .agg(pl.col("streak").get(pl.col("length").arg_max()), pl.col("last_failures").last())
    )
    longest = streaks.select("from", "until")[by_proxy["streak"]]
    return by_proxy.select(
        NUMBER,
        # Checks come by the minute, at best: what is finer only takes room.
        ((longest["until"] - longest["from"]).dt.total_seconds() * _MICROSECONDS)
        .cast(pl.Duration("us"))
        .alias("longest_outage"),
        longest["from"].alias("longest_outage_from"),
        longest["until"].alias("longest_outage_until"),
        "last_failures",
    )

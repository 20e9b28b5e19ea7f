"""Times as databases without a type for them store them, read strictly."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_QUICK = "%Y-%m-%d %H:%M:%S%.6f"
_QUICK_LENGTH = len("2026-08-15 00:24:09.297504")
_PATTERN = (
    r"^(?P<date>\d{4}-\d\d-\d\d)[ T](?P<time>[0-2]\d:[0-5]\d:[0-5]\d)(?:\.(?P<fraction>\d{1,6}))?"
    r"(?P<zone>Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?$"
)


def read_times(texts: "pl.Series") -> "pl.Series":
    """Read ISO 8601 times; one without an offset is UTC, as ProxyWhirl means it.

    Args:
        texts: ``2026-08-15 00:24:09.297504``, ``2026-08-15T00:24:09.297504Z`` and the like; null stays null.

    Returns:
        Moments in UTC with microseconds; null where the text is not a time.
    """
    import polars as pl

    texts = texts.cast(pl.String)
    # ProxyWhirl's database writes exactly one form: a tenth of the general way's time.
    quick = texts.str.to_datetime(_QUICK, strict=False, time_unit="us", time_zone="UTC")
    # It takes a 60th second for the next minute, and digits for less than they stand for.
    as_expected = (texts.str.len_bytes() == _QUICK_LENGTH) & (texts.str.slice(17, 2) != "60")
    if quick.null_count() == texts.null_count() and as_expected.all():
        return quick
    parts = texts.str.extract_groups(_PATTERN).struct.unnest()
    sign = pl.when(pl.col("zone").str.starts_with("-")).then(-1).otherwise(1)
    minutes = (
        pl.col("zone").str.slice(1, 2).cast(pl.Int64, strict=False) * 60
        + pl.col("zone").str.slice(4, 2).cast(pl.Int64, strict=False)
    ).fill_null(0)
    moment = pl.concat_str("date", pl.lit(" "), "time").str.to_datetime(
        "%Y-%m-%d %H:%M:%S", strict=False, time_unit="us"
    )
    micros = pl.col("fraction").str.pad_end(6, "0").cast(pl.Int64).fill_null(0)
    return parts.select(
        (moment + pl.duration(microseconds=micros) - pl.duration(minutes=sign * minutes))
        .dt.replace_time_zone("UTC")
        .cast(pl.Datetime("us", "UTC"))
        .alias(texts.name)
    ).to_series()

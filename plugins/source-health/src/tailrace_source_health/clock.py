"""Hours and days on the clock of a time zone, over changes of daylight saving time."""

import polars as pl

HOUR, DAY = 3_600, 86_400
STEPS = (HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 7 * DAY)
"""Lengths of buckets, in seconds."""
_NAMES = {HOUR: "1h", 3 * HOUR: "3h", 6 * HOUR: "6h", 12 * HOUR: "12h", DAY: "1d", 7 * DAY: "1w"}
_SHIFTS = (0, 30, 60, 120)
"""Minutes by which a clock that is put forward may leave out the beginning of a bucket."""


def buckets(moments: pl.Series, step: int, zone: str) -> pl.Series:
    """When the bucket of each moment begins.

    Hours are as long as an hour. Longer buckets begin by the clock: on the days when it is changed, one of them is
    shorter or longer than the others.

    Args:
        moments: Moments in UTC.
        step: Length of a bucket in seconds, one of :data:`STEPS`.
        zone: IANA time zone.

    Returns:
        Moments in UTC.
    """
    local = moments.dt.convert_time_zone(zone).dt.replace_time_zone(None)
    begins = local.dt.truncate(_NAMES[step])
    if step == HOUR:
        return moments - (local - begins)
    return _in_utc(begins, zone)


def every_bucket(first: pl.Series, last: pl.Series, step: int, zone: str) -> pl.Series:
    """When each bucket begins, from that of one moment to that of another.

    Args:
        first: The one, as a series of one value.
        last: The other.
        step: Length of a bucket in seconds, one of :data:`STEPS`.
        zone: IANA time zone.
    """
    ends = [buckets(moment, step, zone) for moment in (first, last)]
    if step != HOUR:
        ends = [moment.dt.convert_time_zone(zone).dt.replace_time_zone(None) for moment in ends]
        ends = [moment.dt.truncate(_NAMES[step]) for moment in ends]
    every = pl.datetime_range(ends[0].item(), ends[1].item(), _NAMES[step], time_unit="us", eager=True)
    if step != HOUR:
        every = _in_utc(every, zone)
    return every.unique(maintain_order=True)


def local_part(moments: pl.Series, zone: str) -> pl.DataFrame:
    """``weekday`` (1 is Monday) and ``hour`` of moments on the clock of a zone."""
    local = moments.dt.convert_time_zone(zone)
    return pl.DataFrame({"weekday": local.dt.weekday(), "hour": local.dt.hour()})


def _in_utc(local: pl.Series, zone: str) -> pl.Series:
    """Times of a clock as moments: the earlier one where they are twice, the next one where they are not at all."""
    candidates = [
        (pl.col("local") + pl.duration(minutes=shift))
        .dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
        for shift in _SHIFTS
    ]
    return local.to_frame("local").select(pl.coalesce(candidates)).to_series()

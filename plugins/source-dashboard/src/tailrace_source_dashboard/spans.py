"""The time that a dashboard is about, the time before it to compare with, and the steps that it is cut into."""

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs
import polars as pl

from tailrace import RequestError, SourceCall, range_of
from tailrace_source_dashboard.asked import STEPS
from tailrace_source_dashboard.document import RangeSpec

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_MOST_STEPS = {"line": 200}
_MOST_BARS = 40
_MOST_GAPS = 0.1
_LONGEST = 100_000


@attrs.frozen
class Span:
    """A half-open range of time; None for no bound."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, column: str) -> pl.Expr:
        """Whether a time of that column is in it."""
        inside = pl.col(column).is_not_null()
        if self.since is not None:
            inside &= pl.col(column) >= self.since
        return inside if self.until is None else inside & (pl.col(column) < self.until)

    def before(self, newest: datetime | None) -> "Span | None":
        """The range before: only as much of it as there is of this one so far; None without a start."""
        if self.since is None or newest is None or newest < self.since:
            return None
        seen = newest + timedelta(microseconds=1)
        until = seen if self.until is None else min(self.until, seen)
        length = (self.until or until) - self.since
        return Span(earlier(self.since, length), earlier(until, length))


def earlier(moment: datetime, length: timedelta) -> datetime:
    """A moment so much earlier; the first there is where a range of millennia begins before it."""
    try:
        return moment - length
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def asked_span(wanted: RangeSpec, call: SourceCall) -> Span | None:
    """The range as far as it can be told before the data is read; None where it depends on the newest row.

    Raises:
        RequestError: A text that is no time.
    """
    if call.window is not None:
        return Span(call.window.since, call.window.until)
    if wanted.last is not None:
        return None
    window = range_of(wanted.since, wanted.until, now=call.moment, local=ZoneInfo(call.time_zone))
    return Span() if window is None else Span(window.since, window.until)


def last_span(last: str, newest: datetime | None, zone: str) -> Span:
    """So much before the newest row, in whole days of the zone, or whole hours: the day of the newest row included."""
    if newest is None:
        return Span()
    local = newest.astimezone(ZoneInfo(zone))
    count, unit = int(last[:-1]), last[-1]
    if unit == "h":
        end = (newest + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0)
        return Span(end - count * _UNITS[unit], end)
    midnight = (local + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    # In local time: a day may have 23 hours.
    start = midnight - count * _UNITS[unit]
    return Span(start.astimezone(UTC), midnight.astimezone(UTC))


def usual_step(kind: str, hours: Sequence[datetime], zone: str) -> str:
    """The finest step of which nearly each has rows, so that what is drawn is the data and not its rhythm.

    Args:
        kind: Kind of the panel.
        hours: The hours that have rows, in the zone, in order.
        zone: IANA zone.
    """
    if not hours:
        return "1d"
    most = _MOST_STEPS.get(kind, _MOST_BARS)
    seconds = (hours[-1] - hours[0]).total_seconds() + STEPS["1h"]
    for step, length in STEPS.items():
        if seconds / length > most:
            continue
        there = len(truncated(hours, step, zone))
        if there >= (1 - _MOST_GAPS) * max(1, int(seconds / length)):
            return step
    return "1d" if seconds / STEPS["1d"] <= most else "1w"


def truncated(moments: Collection[datetime], step: str, zone: str) -> set[datetime]:
    """The steps that moments are in."""
    series = pl.Series("t", list(moments), dtype=pl.Datetime("us", zone))
    return set(series.dt.truncate(step).to_list())


def steps_of(span: Span, first: datetime, last: datetime, step: str, zone: str) -> pl.Series:
    """Every step of a range; where it has no bound, from the first to the last row.

    Args:
        span: The range.
        first: Time of the first row.
        last: Time of the last row.
        step: Length of a step.
        zone: IANA zone.

    Raises:
        RequestError: More than anybody could look at, or any memory hold.
    """
    start, end = span.since or first, span.until or last + timedelta(microseconds=1)
    number = (end - start) // timedelta(seconds=STEPS[step])
    if number > _LONGEST:
        message = f"From {start:%Y-%m-%d} to {end:%Y-%m-%d} there are {number:,} steps of {step}: at most {_LONGEST:,}."
        raise RequestError(message, hint="Take a shorter range (--since, --until), or longer steps (every = 'week').")
    begin = pl.Series([start], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone).dt.truncate(step)
    stop = pl.Series([end], dtype=pl.Datetime("us", "UTC")).dt.convert_time_zone(zone)
    # Hours are counted in UTC: in local time one is missing in spring. Days are of the zone.
    steps = pl.select(
        pl.datetime_range(begin.item(), stop.item(), _interval(step), closed="left", time_zone=zone, time_unit="us")
    ).to_series()
    return steps.dt.truncate(step).unique().sort()


def _interval(step: str) -> str:
    # Steps of several hours begin at midnight of each day, also of those that have 23 or 25 hours.
    return "1h" if re.fullmatch(r"\d+h", step) else step

"""Times as people write them: ISO 8601, or so much before now."""

import re
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tailrace.model.errors import RequestError
from tailrace.model.request import TimeRange

if TYPE_CHECKING:
    import polars as pl

_AGO = re.compile(r"(\d+)\s*([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LOCAL_ZONES = ("localtime", "posix", "right/", "Factory")
_NANOSECONDS = (datetime(1678, 1, 1, tzinfo=UTC), datetime(2262, 1, 1, tzinfo=UTC))
"""The time that fits into 64 bits of nanoseconds, in whole years."""
_HINT = "Write a date (2026-08-15), a time (2026-08-15T06:00Z), a duration before now (7d, 24h, 30m), now or today."


def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name.

    Raises:
        RequestError: There is none.
    """
    try:
        found = ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        found = None
    # Names that only this machine's database has, such as "localtime", mean nothing to polars and to other machines.
    if found is None or name.startswith(_LOCAL_ZONES):
        message = f"There is no time zone {name!r}."
        raise RequestError(message, hint="Use an IANA name such as Europe/Warsaw or UTC.")
    return found


def moment_of(text: str, *, now: datetime, local: ZoneInfo) -> datetime:
    """The moment that ``text`` names, in UTC.

    Args:
        text: ISO 8601 date or time; ``7d``, ``24h``, ``30m``, ``90s`` or ``2w`` before now; ``now``, ``today``,
            ``yesterday``.
        now: The moment that is now, UTC.
        local: Zone of dates and of times without an offset.

    Raises:
        RequestError: It names none.
    """
    words = text.strip()
    lowered = words.lower()
    if lowered == "now":
        return now
    if lowered in {"today", "yesterday"}:
        day = now.astimezone(local).date() - timedelta(days=lowered == "yesterday")
        return datetime.combine(day, time(), local).astimezone(UTC)
    try:
        if ago := _AGO.fullmatch(lowered):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(words)
        return (moment if moment.tzinfo else moment.replace(tzinfo=local)).astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"{text!r} is not a time."
        raise RequestError(message, hint=_HINT) from None


def range_of(since: str | None, until: str | None, *, now: datetime, local: ZoneInfo) -> TimeRange | None:
    """The time range asked for, its upper bound fixed: rows that arrive later are not in it.

    Returns:
        None when neither end was asked for.

    Raises:
        RequestError: A text that is no time, or a range that ends before it begins.
    """
    if since is None and until is None:
        return None
    start = None if since is None else moment_of(since, now=now, local=local)
    end = now if until is None else moment_of(until, now=now, local=local)
    if start is not None and start >= end:
        message = f"The time range ends before it begins: {start.isoformat()} to {end.isoformat()}."
        raise RequestError(message, hint="The start is inclusive, the end is not; the end is now when not given.")
    return TimeRange(start, end)


def beside(column: "pl.Expr", dtype: "pl.Datetime", moment: datetime) -> tuple["pl.Expr", "pl.Expr"]:
    """A column of times and a moment, of one type: polars compares no others, and rounds to the coarser unit.

    Args:
        column: The column.
        dtype: Its type; times without a zone are UTC.
        moment: With its zone.
    """
    import polars as pl

    unit, name = dtype.time_unit, dtype.time_zone
    fits = {"ms": not moment.microsecond % 1000, "ns": _NANOSECONDS[0] <= moment < _NANOSECONDS[1]}
    if not fits.get(unit, True):
        unit, column = "us", column.dt.cast_time_unit("us")
    local = moment.astimezone(UTC).replace(tzinfo=None) if name is None else moment.astimezone(ZoneInfo(name))
    return column, pl.lit(local, dtype=pl.Datetime(unit, name))

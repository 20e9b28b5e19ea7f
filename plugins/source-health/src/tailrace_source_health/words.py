"""Numbers, moments and lists as sentences say them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_DAYS_BY_NAME = timedelta(days=7)
_DAY = timedelta(days=1)
_SURE = 99.95
"""What rounds to 100.0 % and is not all, is said otherwise."""


def percent(share: float) -> str:
    """A percentage with one digit behind the point; never 100 or 0 unless it is."""
    if _SURE <= share < 100:  # noqa: PLR2004 - all
        return "almost 100 %"
    if 0 < share < 100 - _SURE:
        return "almost 0 %"
    return f"{share:.1f} %"


def milliseconds(value: float) -> str:
    """A response time, whole from 10 ms on."""
    return f"{value:,.0f} ms" if value >= 10 else f"{value:.1f} ms"  # noqa: PLR2004 - as documents show them


def counted(number: int, one: str, many: str = "") -> str:
    """``1 check``, ``1,200 checks``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = parts
    return f"{', '.join(first)} and {last}" if first else last


def minute(moment: datetime, zone: str) -> str:
    """A moment to the minute."""
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def when(moment: datetime, zone: str, *, step: timedelta, length: timedelta) -> str:
    """A moment as a title says it: by the day of the week within a week, with the hour where that is told apart.

    Args:
        moment: The moment.
        zone: IANA time zone.
        step: How far moments are from each other that are told apart.
        length: How long the range is.
    """
    local = moment.astimezone(ZoneInfo(zone))
    day = f"{local:%A}" if length < _DAYS_BY_NAME else f"{local.day} {local:%B %Y}"
    return f"{day} {local:%H:%M}" if step < _DAY else day


def duration(seconds: float) -> str:
    """``3 hours``, ``20 minutes``, ``2 days``."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        number = seconds / size
        if number >= 1:
            text = f"{number:.1f}".removesuffix(".0")
            return f"{text} {name}{'' if text == '1' else 's'}"
    return "less than a minute"


def every(seconds: int) -> str:
    """``hour``, ``3 hours``, ``day``: what comes behind *per* and *every*."""
    return duration(seconds).removeprefix("1 ")

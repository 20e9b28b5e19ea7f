"""Axes: where they begin and end, which places have a label, and what it says."""

import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import attrs

from tailrace.model.report import Cell
from tailrace.reports.showing import shown_value

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LONG_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_MINUTE, _HOUR, _DAY, _MONTH, _YEAR = 60, 3600, 86400, 2629746, 31556952
_STEPS = (
    *((unit * count, "hour") for unit, counts in (
        (1, (1, 5, 15, 30)), (_MINUTE, (1, 2, 5, 10, 15, 30)), (_HOUR, (1, 2, 3, 6, 12)),
    ) for count in counts),
    *((_DAY * count, "day") for count in (1, 2, 7, 14)),
    *((_MONTH * count, "month") for count in (1, 2, 3, 6)),
    *((_YEAR * count, "year") for count in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)),
)  # fmt: skip
"""Seconds between labels, and what they name."""
_ROOM = {"hour": 13.0, "day": 15.0, "month": 19.0, "year": 12.0}
"""Millimetres that a label needs, with what keeps it from the next one."""
_THOUSANDS = ((1e12, "T"), (1e9, "bn"), (1e6, "M"))
_LARGEST, _SMALLEST = 1e15, 1e-4
_SAME = 1e-12
"""A span of that share of its ends is what adding up leaves behind, and no difference."""
_LEAST_SPAN = 1e-290
"""Steps within a smaller one are no numbers any more."""
_FIRST = datetime(1, 2, 1, tzinfo=UTC).timestamp()
_LAST = datetime(9999, 12, 1, tzinfo=UTC).timestamp()
"""Within these, every zone and every label near by is a date that there is."""


@attrs.frozen
class Axis:
    """One axis.

    Args:
        low: Where it begins.
        high: Where it ends.
        breaks: The places that have a label.
        labels: What they say.
        title: What it is an axis of.
        rotated: Whether its labels stand upright.
    """

    low: float
    high: float
    breaks: Sequence[float] = ()
    labels: Sequence[str] = ()
    title: str = ""
    rotated: bool = False


def seconds(moment: datetime) -> float:
    """A moment as a place on an axis."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def round_step(span: float, most: int) -> float:
    """The least of 1, 2, 5, 10 … that goes into a span at most so many times."""
    rough = span / max(1, most)
    unit = 10.0 ** math.floor(math.log10(rough))
    return next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough * (1 - 1e-9))


def number_axis(
    low: float, high: float, *, room: float, per_label: float = 11.0, unit: str = "", title: str = ""
) -> Axis:
    """An axis of numbers.

    Args:
        low: Least value.
        high: Greatest value.
        room: Length in millimetres.
        per_label: Millimetres from label to label, at least.
        unit: Unit of the values; ``%`` stands with the labels, all others in the title.
        title: What they are.
    """
    if high - low <= max(_SAME * max(abs(low), abs(high)), _LEAST_SPAN):
        margin = abs(high) / 2 or 1.0
        low, high = low - margin, high + margin
    step = round_step(high - low, max(1, int(room / per_label)))
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    breaks = [step * number for number in range(first, last + 1)]
    labels = [_number_label(place, step, breaks) + ("%" if unit == "%" else "") for place in breaks]
    told = unit and unit != "%" and unit not in title
    return Axis(low, high, breaks, labels, f"{title} ({unit})" if told and title else title or (unit if told else ""))


def time_axis(low: float, high: float, zone: str, *, room: float, title: str = "") -> Axis:
    """An axis of moments, with round hours, days, months or years of a zone.

    Args:
        low: First moment, in seconds of the epoch.
        high: Last moment.
        zone: IANA zone.
        room: Length in millimetres.
        title: What the moments are.
    """
    if high <= low:
        low, high = low - 1800, high + 1800
    span = high - low
    step, unit = next((one for one in _STEPS if span / one[0] * _ROOM[one[1]] <= room), _STEPS[-1])
    there = ZoneInfo(zone)
    places: list[tuple[float, datetime]] = []
    first, last = (min(max(place, _FIRST), _LAST) for place in (low, high))
    begin, end = _local(first, there), _local(last, there)
    # Where clocks are turned back in between, there were later times than that of the end.
    latest = end + abs(end - begin - timedelta(seconds=last - first))
    for local in _round_moments(begin, latest, step, unit):
        place = local.replace(tzinfo=there).timestamp()
        if low - 1e-6 <= place <= high + 1e-6 and (not places or place > places[-1][0]):
            places.append((place, local))
    labels = [_time_label(local, unit, first=not n) for n, (_place, local) in enumerate(places)]
    context = _context(begin, end, unit, [local for _place, local in places])
    parts = [title, context, zone if unit == "hour" and zone not in title else ""]
    return Axis(low, high, [place for place, _local in places], labels, ", ".join(filter(None, parts)))


def thinned(count: int, room: float, per_label: float) -> range:
    """Which of so many equally distant places have a label, where all of them are too many."""
    step = max(1, math.ceil(count * per_label / max(room, per_label)))
    return range(0, count, step)


def place_label(place: Cell, zone: str) -> str:
    """A place of an axis as a text; whole numbers are codes or years, which have no commas."""
    return str(place) if isinstance(place, int) and not isinstance(place, bool) else shown_value(place, zone)


def _local(place: float, zone: ZoneInfo) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=place)).astimezone(zone).replace(tzinfo=None)


def _round_moments(low: datetime, high: datetime, step: int, unit: str) -> Iterator[datetime]:
    """Local moments that are round, from a little before a range to its end."""
    if unit in {"month", "year"}:
        months = round(step / _MONTH)
        first = (low.year * 12 + low.month - 1) // months * months
        for number in itertools.count(first, months):
            if number >= 9999 * 12 or number > high.year * 12 + high.month:
                return
            if number >= 12:  # noqa: PLR2004 - there is no year 0
                yield datetime(number // 12, number % 12 + 1, 1)  # noqa: DTZ001 - local on purpose
    origin = datetime(2000, 1, 3)  # noqa: DTZ001 - a Monday, local on purpose
    first = math.floor((low - origin) / timedelta(seconds=step))
    for number in itertools.count(first):
        moment = origin + timedelta(seconds=step * number)
        if moment > high:
            return
        yield moment


def _time_label(local: datetime, unit: str, *, first: bool) -> str:
    if unit == "year":
        return f"{local.year}"
    if unit == "month":
        return f"{_MONTHS[local.month - 1]} {local.year}" if first or local.month == 1 else _MONTHS[local.month - 1]
    if unit == "day" or (local.hour, local.minute, local.second) == (0, 0, 0):
        return f"{local.day} {_MONTHS[local.month - 1]}"
    return f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"


def _context(low: datetime, high: datetime, unit: str, labelled: Sequence[datetime]) -> str:
    """What the labels leave out."""
    if unit in {"month", "year"}:
        return "" if labelled else _day(low)
    if unit == "hour" and not any((one.hour, one.minute, one.second) == (0, 0, 0) for one in labelled):
        return _day(low) if low.date() == high.date() else f"{_day(low)} to {_day(high)}"
    if not labelled:
        return _day(low)
    return f"{low.year}" if low.year == high.year else f"{low.year}–{high.year}"  # noqa: RUF001 - a range


def _day(local: datetime) -> str:
    return f"{local.day} {_LONG_MONTHS[local.month - 1]} {local.year}"


def _number_label(place: float, step: float, breaks: Sequence[float]) -> str:
    largest = max(map(abs, breaks), default=0.0)
    if not place:
        return "0"
    if largest >= _LARGEST or step < _SMALLEST:
        # As many digits as tell one label from the next.
        return f"{place:.{max(3, math.floor(math.log10(largest)) - math.floor(math.log10(step)) + 1)}g}"
    scale, name = next(((size, name) for size, name in _THOUSANDS if step >= size / 1000 and largest >= size), (1, ""))
    digits = max(0, -math.floor(math.log10(step / scale) + 1e-9))
    return f"{place / scale:,.{digits}f}{name}".replace("-", "\N{MINUS SIGN}", 1)

"""When a schedule is due: its timing read from what people write, and the slots of it.

Three things are behind a slot. Intervals (``6 hours``) are elapsed time: they are arithmetic, and no clock that is
changed matters. Cron expressions and phrases with a time (``monday at 09:00``) are calendars: they name times of a wall
clock, and the clocks of most zones are changed twice a year. What becomes of such times is by the rules of Debian's
``cron(8)``, which Debian itself follows by a virtual clock:

- A rule with a fixed time, or with more than an hour between two times, follows that clock: a time that is left out
  where clocks go forward runs as soon as they did, and a time that comes twice runs the first time only.
- A rule whose minute or hour begins with ``*`` follows the wall clock: it does not run at what is left out, and
  runs twice at what comes twice.
- Changes of three hours or more are corrections, not summer time: every rule follows the wall clock then.

``cronsim`` says which days and which times of day an expression means. Which moments these are is found out here rather
than by its own mode for zones. That one (of 2.8) is right about nearly all, but asked from within an hour that comes
twice, it answers with a moment of the first; where clocks change by half an hour (Australia/Lord_Howe) it leaves out
times of expressions with ``*``; what falls into a day that a zone left out (Pacific/Apia) it moves to the next; and a
year of minutes takes it seconds.
"""

import difflib
import unicodedata
import zoneinfo
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import count
from typing import TypeAlias
from zoneinfo import ZoneInfo

import attrs

from tailrace.model.errors import RequestError
from tailrace.model.timing import Due, Slot, Timing
from tailrace.pipeline import moments
from tailrace.work.phrases import Phrase, clock, read_phrase

_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)
_SECOND = timedelta(seconds=1)
_LISTED = 3
"""Times that a note lists one by one."""
_NOTHING = timedelta()
_TICK = timedelta(microseconds=1)
_CORRECTION = timedelta(hours=3)
"""Clocks that are changed by so much or more are corrected, as Debian's cron sees it."""
_STRETCH = timedelta(days=8)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_HORIZON = datetime(9900, 1, 1, tzinfo=UTC)
_LONGEST_TEXT = 500
_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_CRON_HINT = (
    'Five fields: minute, hour, day of the month, month, day of the week. "0 2 * * *" is every night at 02:00, '
    '"*/15 8-18 * * MON-FRI" every quarter of an hour in working time.'
)
_TIME_HINT = "Write a date (2026-12-01) or a time (2026-12-01T06:00, 2026-12-01T06:00+01:00)."


@attrs.frozen
class _Interval:
    """Moments with the same time between them."""

    first: datetime
    step: timedelta


@attrs.frozen
class _Calendar:
    """Times of a wall clock.

    Args:
        days_from: The days on which there are some, from a day on, in order.
        times_on: The times of such a day, as what has passed since midnight, in order.
        fixed: Whether a time that is left out, or comes twice, is to run once.
    """

    days_from: Callable[[date], Iterator[date]]
    times_on: Callable[[date], tuple[timedelta, ...]]
    fixed: bool


@attrs.frozen
class _Part:
    """Some moments of a calendar.

    Args:
        base: What the times count from: the midnight before them, or for missed times the moment of the change.
        times: What lies between it and each moment, in order.
        missed: The times of the wall clock that are left out, for which the only moment of this part stands.
    """

    base: datetime
    times: tuple[timedelta, ...]
    missed: tuple[datetime, ...] = ()


@attrs.frozen
class _Change:
    """The clocks of a zone are changed.

    Args:
        moment: When, UTC.
        before: What local time was ahead of UTC.
        after: What it is ahead of UTC from then on.
    """

    moment: datetime
    before: timedelta
    after: timedelta

    @property
    def affected(self) -> tuple[datetime, datetime]:
        """The local times that are left out, or come twice: from one, up to and without the other."""
        local = self.moment.replace(tzinfo=None)
        earlier, later = sorted((local + self.before, local + self.after))
        return earlier, later


_Rhythm: TypeAlias = _Interval | _Calendar


def read_timing(
    *,
    cron: str | None,
    every: str | None,
    zone: str,
    now: datetime,
    start: str | None = None,
    until: str | None = None,
) -> Timing:
    """The timing that somebody writes, checked.

    Args:
        cron: A cron expression of five fields, or ``@daily`` and its like.
        every: A phrase: ``6h``, ``monday at 09:00``.
        zone: IANA name of the time zone.
        now: The moment that is now.
        start: From when on, a date or time in that zone. An interval begins there with its first slot. Without it there
            is none yet now: as with the ``schedule`` library, the first slot of an interval is one interval from now,
            and that of ``2 days at 09:00`` at 09:00 in two days.
        until: Up to when, exclusive, a date or time in that zone.

    Raises:
        RequestError: Something of it cannot be, or it would never be due.
    """
    for name, text in (("--cron", cron), ("--every", every), ("--tz", zone), ("--start", start), ("--until", until)):
        _check_text(name, text)
    if (cron is None) == (every is None):
        message = "A schedule needs a time." if cron is None else "A schedule has one time: --cron and --every are two."
        raise RequestError(message, hint='Write --cron "0 2 * * *", or --every 6h, or --every "monday 09:00".')
    local = _known_zone(zone)
    begin = None if start is None else _moment("start", start, now=now, local=local)
    end = None if until is None else _moment("end", until, now=now, local=local)
    if end is not None and end <= now:
        hint = "Write a date or time to come for --until, or leave it out."
        raise RequestError(f"The end lies in the past: {until!r}.", hint=hint)
    if begin is not None and end is not None and end <= begin:
        raise RequestError(f"The end {until!r} is not after the start {start!r}.", hint="It is exclusive.")
    this = now.astimezone(UTC).replace(microsecond=0)
    if cron is not None:
        timing = Timing(cron=_read_cron(cron), zone=zone, start=begin or this, until=end)
    else:
        timing = _with_phrase(read_phrase(every or ""), local, begin, this)
        timing = attrs.evolve(timing, zone=zone, until=end)
    if next(slots_after(timing, max(this, timing.start - _SECOND)), None) is None:
        if end is not None and next(slots_after(attrs.evolve(timing, until=None), this), None) is not None:
            words = words_of(attrs.evolve(timing, until=None))
            message = f"It would never be due: {words} has no time before {until!r}."
            raise RequestError(message, hint="Let it end later, or leave --until out.")
        raise _never(timing.cron)
    return timing


def slots_after(timing: Timing, after: datetime) -> Iterator[Slot]:
    """The slots after a moment, one after another.

    Args:
        timing: The timing.
        after: The moment; a slot at it is not given.

    Returns:
        An iterator that may never end.

    Raises:
        RequestError: The timing cannot be: this machine does not know its zone, for one.
    """
    zone = _known_zone(timing.zone)
    rhythm = _rhythm(timing)
    if isinstance(rhythm, _Interval):
        last = _last(timing)
        for number in count(_number_after(rhythm, _lower(timing, after))):
            if number * rhythm.step > last - rhythm.first:
                return
            yield _slot(rhythm.first + number * rhythm.step, zone, rhythm)
    else:
        for part in _parts(rhythm, zone, _lower(timing, after), _last(timing)):
            for passed in part.times:
                yield _slot(part.base + passed, zone, rhythm, part.missed)


def due_between(timing: Timing, after: datetime, to: datetime, *, keep: int = 1) -> Due:
    """The slots after a moment, up to and with another.

    It takes microseconds for intervals, and a millisecond for each month of a calendar.

    Args:
        timing: The timing.
        after: A slot at this moment does not count.
        to: A slot at this moment does.
        keep: How many of the newest to give, at least one.

    Raises:
        RequestError: The timing cannot be.
    """
    zone = _known_zone(timing.zone)
    rhythm = _rhythm(timing)
    lower, last = _lower(timing, after), min(_last(timing), to.astimezone(UTC))
    keep = max(keep, 1)
    if isinstance(rhythm, _Interval):
        begin, end = _number_after(rhythm, lower), _number_after(rhythm, last)
        if begin >= end:
            return Due()
        newest = range(max(begin, end - keep), end)
        return Due(
            count=end - begin,
            first=_slot(rhythm.first + begin * rhythm.step, zone, rhythm),
            latest=tuple(_slot(rhythm.first + number * rhythm.step, zone, rhythm) for number in newest),
        )
    total, held, first, parts = 0, 0, None, deque[_Part]()
    for part in _parts(rhythm, zone, lower, last):
        first = first or _slot(part.base + part.times[0], zone, rhythm, part.missed)
        parts.append(part)
        total += len(part.times)
        held += len(part.times)
        while held - len(parts[0].times) >= keep:
            held -= len(parts.popleft().times)
    latest = [(part.base + passed, part.missed) for part in parts for passed in part.times][-keep:]
    return Due(total, first, tuple(_slot(moment, zone, rhythm, missed) for moment, missed in latest))


def words_of(timing: Timing) -> str:
    """The timing for people: ``'cron "0 2 * * *" in Europe/Berlin'``, ``"every monday at 09:00 in Europe/Berlin"``.

    Raises:
        RequestError: The timing cannot be.
    """
    zone = _known_zone(timing.zone)
    if timing.cron:
        words = f'cron "{timing.cron}" in {timing.zone}'
    else:
        phrase = read_phrase(timing.every)
        words = f"every {timing.every}"
        if phrase.at is None or phrase.count > 1:
            words += f" from {_written(timing.start.astimezone(zone))}"
        words += " UTC" if timing.zone == "UTC" else f" in {timing.zone}"
    return words if timing.until is None else f"{words}, until {_written(timing.until.astimezone(zone))}"


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d} {clock(moment.time())}"


# --- reading ----------------------------------------------------------------------------------------------------------


def _check_text(name: str, text: str | None) -> None:
    # A text that a terminal or a log would act on is not kept, whatever the library would make of it.
    if any(unicodedata.category(letter) in {"Cc", "Cs"} and letter != "\t" for letter in text or ""):
        raise RequestError(
            f"{name} has a control character in it: {text!r}.", hint="Write it in one line of plain text."
        )
    if len(text or "") > _LONGEST_TEXT:
        raise RequestError(f"{name} is longer than {_LONGEST_TEXT} characters.", hint="Make two schedules of it.")


@lru_cache(maxsize=64)
def _known_zone(name: str) -> ZoneInfo:
    try:
        return moments.zone(name)
    except RequestError as error:
        # People know their city, and rarely the continent that it is filed under.
        known = sorted(zoneinfo.available_timezones() - {name})
        names = {place.rpartition("/")[2].lower(): place for place in known} | {place.lower(): place for place in known}
        wanted = name.strip().lower().replace(" ", "_")
        close = [wanted] if wanted in names else difflib.get_close_matches(wanted, names, n=3, cutoff=0.75)
        guess = f"Did you mean {' or '.join(dict.fromkeys(names[match] for match in close))}? " if close else ""
        raise RequestError(error.message, hint=guess + error.hint) from None


def _moment(what: str, text: str, *, now: datetime, local: ZoneInfo) -> datetime:
    try:
        moment = moments.moment_of(text, now=now.astimezone(UTC), local=local).replace(microsecond=0)
    except RequestError:
        raise RequestError(f"The {what} is not a time: {text!r}.", hint=_TIME_HINT) from None
    if not _EARLIEST <= moment < _HORIZON:
        years = f"{_EARLIEST.year} to {_HORIZON.year - 1}"
        raise RequestError(f"The {what} is too far away: {text!r}.", hint=f"A schedule lies in the years {years}.")
    return moment


def _read_cron(text: str) -> str:
    """The expression in five fields.

    Raises:
        RequestError: It is none, or never fires.
    """
    from cronsim import CronSim, CronSimError

    fields = text.split()
    if text.strip().startswith("@"):
        if text.strip().lower() not in _SHORTHANDS:
            known = ", ".join(_SHORTHANDS)
            message = f"There is no {text.strip()!r} for a schedule."
            raise RequestError(
                message, hint=f"There is {known}; a schedule goes by the clock, not by when a machine starts."
            )
        fields = _SHORTHANDS[text.strip().lower()].split()
    if len(fields) != len(_FIELDS):
        message = f"The cron expression {text!r} has {len(fields)} fields, not five."
        raise RequestError(message, hint=_CRON_HINT)
    # By itself first: cronsim names the field in the same way when it is fine but never comes.
    for place, field in enumerate(fields):
        alone = ["*"] * len(_FIELDS)
        alone[place] = field
        try:
            CronSim(" ".join(alone), datetime(2000, 1, 1))  # noqa: DTZ001 - times of a wall clock
        except CronSimError:
            message = f"The {_FIELDS[place]} of the cron expression cannot be read: {field!r}."
            raise RequestError(message, hint=_CRON_HINT) from None
    expression = " ".join(fields)
    try:
        CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 - times of a wall clock
    except CronSimError:
        raise _never(expression) from None
    return expression


def _never(expression: str) -> RequestError:
    hint = "No such day comes: look at the day of the month and the month. The last day of a month is L: 0 0 L * *."
    return RequestError(f"The cron expression {expression!r} never fires.", hint=hint)


def _with_phrase(phrase: Phrase, local: ZoneInfo, begin: datetime | None, now: datetime) -> Timing:
    """A timing with that phrase, which begins as the ``schedule`` library would."""
    here = (begin or now).astimezone(local)
    if phrase.weekdays and phrase.at is None:
        # The library runs it at the time of day at which it was made: better to say so.
        phrase = attrs.evolve(phrase, at=here.time())
    if begin is not None:
        return Timing(every=phrase.text, start=begin)
    if phrase.at is None:
        return Timing(every=phrase.text, start=now + timedelta(seconds=phrase.seconds))
    if phrase.count == 1:
        return Timing(every=phrase.text, start=now)
    if phrase.unit == "minutes":
        return Timing(every=phrase.text, start=now.replace(second=phrase.at.second) + timedelta(seconds=phrase.seconds))
    # So many days or hours on by the wall clock, from when on the time itself lies.
    unit = {"days": {"hour": 0, "minute": 0, "second": 0}, "hours": {"minute": 0, "second": 0}}[phrase.unit]
    wall = here.replace(tzinfo=None, **unit) + timedelta(seconds=phrase.seconds)
    return Timing(every=phrase.text, start=wall.replace(tzinfo=local, fold=0).astimezone(UTC))


# --- rhythms ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _rhythm(timing: Timing) -> _Rhythm:
    """What is behind a timing."""
    if timing.cron:
        minute, hour, *day = _read_cron(timing.cron).split()
        fixed = not minute.startswith("*") and not hour.startswith("*")
        return _Calendar(_days_of(" ".join(day)), _same(_times_of(minute, hour)), fixed)
    phrase = read_phrase(timing.every)
    if phrase.at is None and not phrase.weekdays:
        return _Interval(timing.start, timedelta(seconds=phrase.seconds))
    start = timing.start.astimezone(_known_zone(timing.zone))
    at = phrase.at or start.time()
    if phrase.unit == "minutes":
        # Zones differ by whole minutes: seconds of the wall clock are those of UTC.
        wait = timedelta(seconds=(at.second - timing.start.second) % 60)
        return _Interval(timing.start + wait, timedelta(seconds=phrase.seconds))
    passed = timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)
    if phrase.weekdays:
        return _Calendar(
            _days_of("* * " + ",".join(str(day + 1) for day in phrase.weekdays)), _same((passed,)), fixed=True
        )
    if phrase.unit == "hours":
        return _hours(phrase.count, passed, start)
    return _Calendar(_every(phrase.count, "days", start), _same((passed,)), fixed=True)


def _same(times: tuple[timedelta, ...]) -> Callable[[date], tuple[timedelta, ...]]:
    return lambda _day: times


def _hours(step: int, passed: timedelta, start: datetime) -> _Calendar:
    """Every so many hours of the wall clock, counted from the local hour of the start."""
    if step == 1:
        return _Calendar(_days_of("* * *"), _same(tuple(hour * _HOUR + passed for hour in range(24))), fixed=False)

    def times_on(day: date) -> tuple[timedelta, ...]:
        before = (day - start.date()).days * 24 - start.hour
        return tuple(hour * _HOUR + passed for hour in range(24) if (before + hour) % step == 0)

    return _Calendar(_every(step, "hours", start), times_on, fixed=True)


def _every(step: int, unit: str, start: datetime) -> Callable[[date], Iterator[date]]:
    """Every so many days, or the days with every so many hours, counted from the start."""
    in_day = 24 if unit == "hours" else 1
    offset = start.hour if unit == "hours" else 0

    def days_from(day: date) -> Iterator[date]:
        while True:
            number = (day - start.date()).days * in_day - offset
            number += -number % step
            day = start.date() + timedelta(days=(number + offset) // in_day)
            yield day
            day += _DAY

    return days_from


def _days_of(fields: str) -> Callable[[date], Iterator[date]]:
    """The days that three fields of a cron expression mean."""
    from cronsim import CronSim

    def days_from(day: date) -> Iterator[date]:
        # A new one for each day: one that goes on walks through all hours in between, which takes three times as long.
        while midnight := next(CronSim(f"0 0 {fields}", datetime.combine(day, time()) - _SECOND), None):
            yield midnight.date()
            day = midnight.date() + _DAY

    return days_from


def _times_of(minute: str, hour: str) -> tuple[timedelta, ...]:
    """The times of day that two fields of a cron expression mean."""
    from cronsim import CronSim

    midnight = datetime(2000, 1, 1)  # noqa: DTZ001 - times of a wall clock
    times: list[timedelta] = []
    for moment in CronSim(f"{minute} {hour} * * *", midnight - _SECOND):
        if moment - midnight >= _DAY:
            break
        times.append(moment - midnight)
    return tuple(times)


# --- moments ----------------------------------------------------------------------------------------------------------


def _lower(timing: Timing, after: datetime) -> datetime:
    """What slots lie after: the moment asked for, or one right before the start."""
    return max(after.astimezone(UTC), timing.start - _TICK)


def _last(timing: Timing) -> datetime:
    """No slot lies after this."""
    return _HORIZON if timing.until is None else min(timing.until - _TICK, _HORIZON)


def _number_after(interval: _Interval, moment: datetime) -> int:
    """The number of the first slot after a moment; the first of all has 0."""
    return max((moment - interval.first) // interval.step + 1, 0)


def _parts(calendar: _Calendar, zone: ZoneInfo, after: datetime, last: datetime) -> Iterator[_Part]:
    """The moments of a calendar after one, up to and with another; no part is empty."""
    for part in _all_parts(calendar, zone, after, last):
        times = part.times
        if part.base + times[-1] <= after:
            continue
        if part.base + times[0] <= after:
            times = times[bisect_right(times, after - part.base) :]
        if part.base + times[0] > last:
            return
        if part.base + times[-1] > last:
            times = times[: bisect_right(times, last - part.base)]
        yield part if times is part.times else attrs.evolve(part, times=times)


def _all_parts(calendar: _Calendar, zone: ZoneInfo, after: datetime, last: datetime) -> Iterator[_Part]:
    """The moments of a calendar from a day before one on, and some after the last.

    It goes from one change of the clocks to the next: in between, local time is UTC and a constant.
    """
    # A day before, because what Debian's virtual clock shows depends on changes of the last hours.
    begin = (after - _DAY).replace(microsecond=0)
    before = _ahead(zone, begin)
    while begin <= last:
        ahead = _ahead(zone, begin)
        low = begin.replace(tzinfo=None) + ahead
        day = next(calendar.days_from((low - _CORRECTION).date()), None)
        if day is None:
            return
        coming = datetime.combine(day, time())
        if coming - low > 3 * _DAY:
            # Nothing happens for long; go there at once, early enough to meet a change shortly before it.
            begin = (coming - ahead - 2 * _DAY).replace(tzinfo=UTC)
            before = _ahead(zone, begin)
            continue
        change = _next_change(zone, begin, begin + _STRETCH)
        end = begin + _STRETCH if change is None else change.moment
        shift = ahead - before
        if calendar.fixed and _NOTHING < shift < _CORRECTION:
            if missed := tuple(_wall_times(calendar, low - shift, low)):
                yield _Part(begin, (_NOTHING,), missed)
                # The time at which the clocks arrive is that same moment.
                low += _SECOND
        elif calendar.fixed and -_CORRECTION < shift < _NOTHING:
            low -= shift
        yield from _stretch(calendar, low, end.replace(tzinfo=None) + ahead, ahead)
        begin, before = end, ahead


def _stretch(calendar: _Calendar, low: datetime, high: datetime, ahead: timedelta) -> Iterator[_Part]:
    """The moments with a local time from one, up to and without another, while the clocks are not changed."""
    for day in calendar.days_from(low.date()):
        midnight = datetime.combine(day, time())
        if midnight >= high:
            return
        times = calendar.times_on(day)
        if midnight < low or high - midnight < _DAY:
            times = times[bisect_left(times, low - midnight) : bisect_left(times, high - midnight)]
        if times:
            yield _Part((midnight - ahead).replace(tzinfo=UTC), times)


def _wall_times(calendar: _Calendar, low: datetime, high: datetime) -> Iterable[datetime]:
    for part in _stretch(calendar, low, high, _NOTHING):
        for passed in part.times:
            yield part.base.replace(tzinfo=None) + passed


def _ahead(zone: ZoneInfo, moment: datetime) -> timedelta:
    """What local time is ahead of UTC at a moment."""
    return moment.astimezone(zone).utcoffset() or _NOTHING


def _next_change(zone: ZoneInfo, begin: datetime, end: datetime) -> _Change | None:
    """The first change of the clocks after a moment, up to and with another, both of whole seconds.

    It looks once a day: no zone changes its clocks and back within one.
    """
    before = _ahead(zone, begin)
    while begin < end:
        later = min(begin + _DAY, end)
        after = _ahead(zone, later)
        if after != before:
            while later - begin > _SECOND:
                middle = begin + (later - begin) // _SECOND // 2 * _SECOND
                if _ahead(zone, middle) == before:
                    begin = middle
                else:
                    later, after = middle, _ahead(zone, middle)
            return _Change(later, before, after)
        begin = later
    return None


# --- names ------------------------------------------------------------------------------------------------------------


def slot_name(moment: datetime, zone: ZoneInfo) -> str:
    """The name of a slot: its moment as the clock of a zone shows it, with the offset."""
    local = moment.astimezone(zone)
    return local.isoformat(timespec="seconds" if local.second else "minutes")


def _slot(moment: datetime, zone: ZoneInfo, rhythm: _Rhythm, missed: tuple[datetime, ...] = ()) -> Slot:
    local = moment.astimezone(zone)
    name = slot_name(moment, zone)
    day = missed[0].date() if missed else local.date()
    change = _change_on(zone, day)
    if change is None:
        return Slot(moment, name)
    way = "forward" if change.after > change.before else "back"
    note = f"clocks go {way} {'this day' if day == local.date() else 'the day before'}"
    if missed:
        are, run = ("does not exist", "it runs") if len(missed) == 1 else ("do not exist", "they run")
        return Slot(moment, name, f"{note}: {_listed(missed)} {are}, {run} at {clock(local.time())}")
    earlier, later = change.affected
    if way == "back" and isinstance(rhythm, _Calendar) and earlier <= local.replace(tzinfo=None) < later:
        times = "the first time" if rhythm.fixed and later - earlier < _CORRECTION else "both times"
        return Slot(moment, name, f"{note}: {clock(local.time())} comes twice, it runs {times}")
    return Slot(moment, name, note)


def _listed(times: tuple[datetime, ...]) -> str:
    words = [clock(moment.time()) for moment in times]
    if len(words) > _LISTED:
        return f"{words[0]} to {words[-1]}"
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


@lru_cache(maxsize=1024)
def _change_on(zone: ZoneInfo, day: date) -> _Change | None:
    """The change of the clocks that leaves out or repeats a time of that local day."""
    noon = datetime.combine(day, time(12), UTC)
    change = _next_change(zone, noon - 2 * _DAY, noon + 2 * _DAY)
    if change is None:
        return None
    earlier, later = change.affected
    return change if earlier.date() <= day <= (later - _TICK).date() else None

"""What may stand after ``--every``: the friendly phrases of the ``schedule`` library, and durations.

Whether a phrase makes sense is for the library to say: each is built as a job of it, which is never run. Lists of
weekdays, ``weekday`` for Monday to Friday, durations such as ``1h30m`` and leaving out ``at`` are ours.
"""

import difflib
import re
from collections.abc import Sequence
from datetime import time
from functools import lru_cache
from typing import TYPE_CHECKING

import attrs

from tailrace.model.errors import RequestError

if TYPE_CHECKING:
    import schedule

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WORKING = WEEKDAYS[:5]
_SECONDS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800}
_LETTERS = {unit[0]: unit for unit in _SECONDS}
_WORDS = (*_SECONDS, *(unit.removesuffix("s") for unit in _SECONDS), *WEEKDAYS, "weekday")
_PART = re.compile(r"(\d{1,9}) ?([smhdw])", re.ASCII)
_DURATION = re.compile(r"\d{1,9} ?[smhdw](?: ?\d{1,9} ?[smhdw])*", re.ASCII)
_COUNTED = re.compile(r"(?:(\d{1,9}) )?(\D+)", re.ASCII)
_LONGEST = 3660 * 86_400
_SHOWN = 60
_HINT = (
    "Write a duration (6h, 1h30m, 2d), a unit (hour, 6 hours, day at 02:30, 2 days at 09:00, hour at :15) "
    "or weekdays (monday at 09:00, weekday at 09:00, monday, thursday at 09:00)."
)
_TIMES = {
    "minutes": "With minutes, write the second after a colon: minute at :30.",
    "hours": "With hours, write the minute after a colon, or minute and second: hour at :15, hour at 15:30.",
    "days": "Write hours and minutes with two digits each, 00:00 to 23:59, seconds where needed: 09:00, 09:00:30.",
}


@attrs.frozen
class Phrase:
    """What a phrase means.

    Args:
        count: So many units lie between two slots; 1 for weekdays.
        unit: ``"seconds"``, ``"minutes"``, ``"hours"``, ``"days"`` or ``"weeks"``.
        weekdays: The days of the week, 0 is Monday; empty for all.
        at: The time of day, or the minute and second in the hour, or the second in the minute; None for none.
    """

    count: int
    unit: str
    weekdays: tuple[int, ...] = ()
    at: time | None = None

    @property
    def seconds(self) -> int:
        """What lies between two slots where it counts elapsed time."""
        return self.count * _SECONDS[self.unit]

    @property
    def text(self) -> str:
        """The phrase as it is kept and shown: ``"6 hours"``, ``"monday at 09:00"``."""
        if self.weekdays:
            names = [WEEKDAYS[day] for day in self.weekdays]
            words = "weekday" if tuple(names) == _WORKING else ", ".join(names)
        else:
            words = self.unit.removesuffix("s") if self.count == 1 else f"{self.count} {self.unit}"
        return words if self.at is None else f"{words} at {self._at(self.at)}"

    def _at(self, at: time) -> str:
        if self.unit == "minutes":
            return f":{at:%S}"
        if self.unit == "hours":
            return f"{at:%M:%S}" if at.second else f":{at:%M}"
        return clock(at)


def clock(at: time) -> str:
    """A time of day with its seconds only where they are not zero: ``"09:00"``."""
    return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"


_DAYS_OF_HOURS = {(24 * days, "hours") for days in range(1, 32)}


@lru_cache(maxsize=256)
def read_phrase(text: str) -> Phrase:
    """What a phrase means.

    Args:
        text: ``"6h"``, ``"every 2 days at 09:00"``, ``"monday, thursday 09:00"``; upper case is the same.

    Raises:
        RequestError: It means nothing, or nothing that the ``schedule`` library would take.
    """
    words = " ".join(text.lower().split())
    what, at = _parted(words.removeprefix("every ").replace(" ,", ","))
    if not what or what == "every":
        raise RequestError(f"{_quoted(text)} does not say what to count.", hint=_HINT)
    if _DURATION.fullmatch(what):
        count, unit = _duration(what)
        if at is not None and (count, unit) in _DAYS_OF_HOURS:
            # The library takes 09:00 for a minute and second of the hour, which nobody means who writes so.
            hint = 'Write "day at 09:00", or a span of time alone: 24h.'
            raise RequestError(f"{_quoted(text)} does not say which hour is meant.", hint=hint)
        phrase = _checked(text, count, (unit,), at)
    elif counted := _COUNTED.fullmatch(what):
        names = [name for name in re.split(r", ?| and ", counted[2]) if name]
        phrase = _checked(text, int(counted[1] or 1), names, at)
    else:
        raise RequestError(f"{_quoted(text)} is not a phrase for times.", hint=_HINT)
    if not 1 <= phrase.seconds <= _LONGEST:
        wrong = "too long" if phrase.seconds else "no time at all"
        hint = f"The shortest is 1s, the longest {_LONGEST // 86_400}d."
        raise RequestError(f"{_quoted(text)} is not an interval: it is {wrong}.", hint=hint)
    return phrase


def _parted(words: str) -> tuple[str, str | None]:
    """What is counted, and at what time."""
    what, separator, at = f"{words} ".partition(" at ")
    if separator:
        return what.strip(), at.strip()
    # A time stands last, and is known by its colon.
    what, separator, at = words.rpartition(" ")
    return (what, at) if ":" in at else (words, None)


def _duration(what: str) -> tuple[int, str]:
    """So many of the smallest unit in it: an hour and a half is ninety minutes."""
    parts = _PART.findall(what)
    smallest = min((_LETTERS[letter] for _number, letter in parts), key=_SECONDS.__getitem__)
    return sum(int(number) * _SECONDS[_LETTERS[letter]] for number, letter in parts) // _SECONDS[smallest], smallest


def _checked(text: str, count: int, names: Sequence[str], at: str | None) -> Phrase:
    """Let the library check each name with the time, and take from it what it makes of them."""
    if unknown := [name for name in names if name not in _WORDS]:
        close = difflib.get_close_matches(unknown[0], _WORDS, n=1, cutoff=0.6)
        guess = f"Did you mean {close[0]}? " if close else ""
        raise RequestError(f"{_quoted(text)} is not a phrase for times: {_quoted(unknown[0])}.", hint=guess + _HINT)
    days = [day for name in names for day in (_WORKING if name == "weekday" else (name,))]
    jobs = [_job(text, count, name, at) for name in days]
    if not jobs or (len(jobs) > 1 and not all(job.start_day for job in jobs)):
        raise RequestError(f"{_quoted(text)} is not a phrase for times: only weekdays can be listed.", hint=_HINT)
    weekdays = sorted({WEEKDAYS.index(job.start_day) for job in jobs if job.start_day})
    return Phrase(jobs[0].interval, str(jobs[0].unit), tuple(weekdays), jobs[0].at_time)


def _job(text: str, count: int, name: str, at: str | None) -> "schedule.Job":
    import schedule

    try:
        job: schedule.Job = getattr(schedule.Scheduler().every(count), name)
    except schedule.IntervalError:
        hint = f'Write "{count} {name}s".'
        if name in WEEKDAYS:
            hint = 'A weekday comes once a week. For every second, let --start be one: "14 days at 09:00".'
        raise RequestError(f"{_quoted(text)} is not a phrase for times: {count} {name}.", hint=hint) from None
    try:
        if at is not None:
            job.at(at)
    except schedule.ScheduleValueError:
        unit = "days" if job.start_day else str(job.unit)
        message = f"{_quoted(text)} is not a phrase for times: {_quoted(at or '')} is no time for {unit}."
        hint = f'Write "{Phrase(count, unit).text}" alone, or "7 days at 09:00", or "monday at 09:00".'
        raise RequestError(message, hint=_TIMES.get(unit, hint)) from None
    return job


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")

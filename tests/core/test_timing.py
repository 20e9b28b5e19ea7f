"""When schedules are due: what may be written, what it means, and the days on which clocks change."""

import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise, takewhile
from typing import Any

import attrs
import pytest
import schedule
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace.model.convert import structure, unstructure
from tailrace.model.errors import RequestError
from tailrace.model.timing import Due, Slot, Timing
from tailrace.work.phrases import WEEKDAYS, read_phrase
from tailrace.work.slots import due_between, read_timing, slots_after, words_of

NOW = datetime(2026, 11, 30, 10, 20, 30, 500_000, tzinfo=UTC)
"""A Monday."""
BERLIN = "Europe/Berlin"
WHOLE = {"hour": 0, "minute": 0, "second": 0, "microsecond": 0}


def timing_of(text: str, zone: str = "UTC", now: datetime = NOW, **more: str | None) -> Timing:
    """A timing by a cron expression where it looks like one."""
    is_cron = text.startswith("@") or (len(text.split()) == 5 and not text[0].isalpha())
    return read_timing(cron=text if is_cron else None, every=None if is_cron else text, zone=zone, now=now, **more)


def names(text: str, zone: str = "UTC", after: datetime | str = NOW, count: int = 3, **more: str | None) -> list[str]:
    after = datetime.fromisoformat(after) if isinstance(after, str) else after
    return [slot.name for slot in islice(slots_after(timing_of(text, zone, after, **more), after), count)]


def notes(text: str, zone: str, after: str, count: int = 3) -> list[tuple[str, str]]:
    moment = datetime.fromisoformat(after)
    return [(slot.name, slot.note) for slot in islice(slots_after(timing_of(text, zone, moment), moment), count)]


def refused(text: str, zone: str = "UTC", start: str | None = None, until: str | None = None) -> RequestError:
    with pytest.raises(RequestError) as caught:
        timing_of(text, zone, start=start, until=until)
    assert type(caught.value) is RequestError
    assert caught.value.hint
    return caught.value


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["0 2 * * *", "6 hours", "monday at 09:00", "2 days at 09:00"])
@pytest.mark.parametrize("until", [None, "2027-01-01"])
def test_a_timing_goes_through_json_unchanged(text: str, until: str | None) -> None:
    timing = timing_of(text, BERLIN, until=until)
    assert structure(unstructure(timing), Timing) == timing
    assert attrs.evolve(timing, zone="UTC") != timing


@pytest.mark.parametrize("fields", [{}, {"cron": "0 2 * * *", "every": "6 hours"}])
def test_a_timing_has_one_rule(fields: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="either cron or every"):
        Timing(**fields, start=NOW)


def test_due_without_slots_has_no_newest() -> None:
    slot = Slot(NOW, "now")
    assert Due().newest is None
    assert Due(1, slot, (slot,)).newest is slot


# --- what may be written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("6h", "6 hours"),
        ("every 6 hours", "6 hours"),
        ("6 H", "6 hours"),
        ("1h", "hour"),
        ("90s", "90 seconds"),
        ("15m", "15 minutes"),
        ("1h30m", "90 minutes"),
        ("1h 30m", "90 minutes"),
        ("1d12h", "36 hours"),
        ("2d", "2 days"),
        ("1w", "week"),
        ("1 week", "week"),
        ("1 weeks", "week"),
        ("hours", "hour"),
        ("second", "second"),
        ("2d at 09:00", "2 days at 09:00"),
        ("Day At 02:30", "day at 02:30"),
        ("day 02:30", "day at 02:30"),
        ("days at 02:30:00", "day at 02:30"),
        ("hour at :15", "hour at :15"),
        ("hour :15", "hour at :15"),
        ("hour at 15:30", "hour at 15:30"),
        ("hour at 15:00", "hour at :15"),
        ("minute at :30", "minute at :30"),
        ("  monday   09:00 ", "monday at 09:00"),
        ("1 monday at 09:00", "monday at 09:00"),
        ("monday at 09:00:30", "monday at 09:00:30"),
        ("weekday 09:00", "weekday at 09:00"),
        ("thursday , monday at 09:00", "monday, thursday at 09:00"),
        ("monday and thursday at 09:00", "monday, thursday at 09:00"),
        ("friday,monday,tuesday,wednesday,thursday,monday 09:00", "weekday at 09:00"),
        ("weekday, saturday at 09:00", "monday, tuesday, wednesday, thursday, friday, saturday at 09:00"),
        ("3660d", "3660 days"),
    ],
)
def test_phrases_are_kept_in_one_form(text: str, kept: str) -> None:
    timing = timing_of(text)
    assert (timing.every, timing.cron) == (kept, "")
    assert timing_of(kept) == timing


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "'' does not say what to count.", "Write a duration (6h,"),
        ("every", "'every' does not say what to count.", "Write a duration (6h,"),
        ("fortnight", "'fortnight' is not a phrase for times: 'fortnight'.", "Write a duration (6h,"),
        ("mondy 09:00", "'mondy 09:00' is not a phrase for times: 'mondy'.", "Did you mean monday? Write"),
        ("2 mondays", "'2 mondays' is not a phrase for times: 'mondays'.", "Did you mean monday? Write"),
        ("2 monday", "'2 monday' is not a phrase for times: 2 monday.", "A weekday comes once a week. "),
        ("2 weekday at 09:00", "'2 weekday at 09:00' is not a phrase for times: 2 monday.", "A weekday comes once"),
        ("6 hour", "'6 hour' is not a phrase for times: 6 hour.", 'Write "6 hours".'),
        ("0 monday", "'0 monday' is not a phrase for times: 0 monday.", "A weekday comes once a week. "),
        ("day at 25:00", "'25:00' is no time for days.", "Write hours and minutes with two digits each"),
        ("day at 24:00", "'24:00' is no time for days.", "Write hours and minutes with two digits each"),
        ("day at 9:00", "'9:00' is no time for days.", "Write hours and minutes with two digits each"),
        ("monday at 9", "'9' is no time for days.", "Write hours and minutes with two digits each"),
        ("day at", "'' is no time for days.", "Write hours and minutes with two digits each"),
        ("day at 09:00, 17:00", "'09:00, 17:00' is no time for days.", "Write hours and minutes"),
        ("hour at 02:60", "'02:60' is no time for hours.", "With hours, write the minute after a colon"),
        ("hour at 02:03:04", "'02:03:04' is no time for hours.", "With hours, write the minute after a colon"),
        ("minute at 00:30", "'00:30' is no time for minutes.", "With minutes, write the second after a colon"),
        ("second at :30", "':30' is no time for seconds.", 'Write "second" alone, or '),
        ("2 weeks at 09:00", "'09:00' is no time for weeks.", 'Write "2 weeks" alone, or "7 days at 09:00"'),
        ("day, hour", "only weekdays can be listed.", "Write a duration"),
        ("monday, day at 09:00", "only weekdays can be listed.", "Write a duration"),
        (",", "is not a phrase for times", "Write a duration"),
        ("1.5h", "'1.5h' is not a phrase for times.", "Write a duration"),
        ("-6h", "'-6h' is not a phrase for times.", "Write a duration"),
        ("٦h", "'٦h' is not a phrase for times: '٦h'.", "Write a duration"),
        ("9999999999h", "'9999999999h' is not a phrase for times.", "Write a duration"),
        ("0h", "'0h' is not an interval: it is no time at all.", "The shortest is 1s, the longest 3660d."),
        ("3661d", "'3661d' is not an interval: it is too long.", "The shortest is 1s, the longest 3660d."),
        ("999999999w", "is not an interval: it is too long.", "The shortest is 1s, the longest 3660d."),
        ("x" * 90, "x…' is not a phrase for times", "Write a duration"),
    ],
)
def test_a_phrase_that_means_nothing_is_refused(text: str, message: str, hint: str) -> None:
    error = refused(text)
    assert message in error.message
    assert error.hint.startswith(hint)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("0 2 * * *", "0 2 * * *"),
        ("  0\t2  * *   mon-FRI ", "0 2 * * mon-FRI"),
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
        (" @midnight ", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
        ("0 0 29 2 *", "0 0 29 2 *"),
        ("0 0 29 2 */7", "0 0 29 2 */7"),
        ("0 0 30 2 MON", "0 0 30 2 MON"),
        ("0 0 * 2 MON#5", "0 0 * 2 MON#5"),
        ("0 0 31 1,4 *", "0 0 31 1,4 *"),
    ],
)
def test_cron_expressions_are_kept_with_single_spaces(text: str, kept: str) -> None:
    timing = read_timing(cron=text, every=None, zone=BERLIN, now=NOW)
    assert (timing.cron, timing.every, timing.zone) == (kept, "", BERLIN)
    assert timing.start == NOW.replace(microsecond=0)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "The cron expression '' has 0 fields, not five.", "Five fields: minute, hour,"),
        ("0 2 * *", "The cron expression '0 2 * *' has 4 fields, not five.", "Five fields: minute, hour,"),
        ("0 0 2 * * *", "The cron expression '0 0 2 * * *' has 6 fields, not five.", "Five fields: minute, hour,"),
        ("60 2 * * *", "The minute of the cron expression cannot be read: '60'.", "Five fields: minute, hour,"),
        ("0 2-1 * * *", "The hour of the cron expression cannot be read: '2-1'.", "Five fields: minute, hour,"),
        ("0 2 32 * *", "The day of the month of the cron expression cannot be read: '32'.", "Five fields"),
        ("0 2 * MAI *", "The month of the cron expression cannot be read: 'MAI'.", "Five fields"),
        ("0 2 * * 8", "The day of the week of the cron expression cannot be read: '8'.", "Five fields"),
        ("0 2 * * 1#6", "The day of the week of the cron expression cannot be read: '1#6'.", "Five fields"),
        ("*/0 2 * * *", "The minute of the cron expression cannot be read: '*/0'.", "Five fields"),
        ("٣ 2 * * *", "The minute of the cron expression cannot be read: '٣'.", "Five fields"),
        ("@reboot", "There is no '@reboot' for a schedule.", "There is @hourly, @daily,"),
        ("@daily 2", "There is no '@daily 2' for a schedule.", "There is @hourly, @daily,"),
        ("0 0 30 2 *", "The cron expression '0 0 30 2 *' never fires.", "No such day comes"),
        ("0 0 31 4 *", "The cron expression '0 0 31 4 *' never fires.", "No such day comes"),
        ("0 0 31 4,6,9,11 *", "The cron expression '0 0 31 4,6,9,11 *' never fires.", "No such day comes"),
        ("0 0 LW * */7", "The cron expression '0 0 LW * */7' never fires.", "No such day comes"),
        ("0 0 1\0 * *", r"--cron has a control character in it: '0 0 1\x00 * *'.", "Write it in one line"),
        ("0 0 1\n* *", "--cron has a control character in it", "Write it in one line"),
        ("0 0 1\udc80 * *", "--cron has a control character in it", "Write it in one line"),
        ("0,1 " * 200, "--cron is longer than 500 characters.", "Make two schedules of it."),
        ("1/" + "9" * 480 + " 0 * * *", "", ""),
    ],
)
def test_a_cron_expression_that_means_nothing_is_refused(text: str, message: str, hint: str) -> None:
    if not message:
        # A step beyond the hour is the first minute alone.
        assert names(text.replace("9" * 480, "99")) == names("1 0 * * *")
        return
    with pytest.raises(RequestError) as caught:
        read_timing(cron=text, every=None, zone="UTC", now=NOW)
    assert message in caught.value.message
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize(
    ("zone", "guess"),
    [
        ("europe/berlin", "Did you mean Europe/Berlin? "),
        ("Berlin", "Did you mean Europe/Berlin? "),
        ("new york", "Did you mean America/New_York? "),
        ("Europe/Berln", "Did you mean Europe/Berlin"),
        ("utc", "Did you mean UTC? "),
        ("Middle-earth/Hobbiton", "Use an IANA name"),
        ("localtime", "Use an IANA name"),
        ("../../etc/passwd", "Use an IANA name"),
        ("", "Use an IANA name"),
    ],
)
def test_an_unknown_zone_is_refused_with_what_it_may_mean(zone: str, guess: str) -> None:
    error = refused("0 2 * * *", zone)
    assert error.message == f"There is no time zone {zone!r}."
    assert error.hint.startswith(guess)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"until": "2026-11-30T10:20:30Z"}, "The end lies in the past: '2026-11-30T10:20:30Z'."),
        ({"until": "7d"}, "The end lies in the past: '7d'."),
        ({"until": "soon"}, "The end is not a time: 'soon'."),
        ({"start": "tomorrow"}, "The start is not a time: 'tomorrow'."),
        ({"start": "1969-12-31T23:59:59Z"}, "The start is too far away: '1969-12-31T23:59:59Z'."),
        ({"until": "9999-12-31"}, "The end is too far away: '9999-12-31'."),
        ({"start": "2027-02-01", "until": "2027-02-01"}, "The end '2027-02-01' is not after the start '2027-02-01'."),
        ({"until": "2026-12-01"}, "It would never be due: cron \"0 2 * * *\" in UTC has no time before '2026-12-01'."),
        ({"start": "2027-02-01\0"}, r"--start has a control character in it: '2027-02-01\x00'."),
    ],
)
def test_a_start_and_an_end_that_cannot_be_are_refused(more: dict[str, str], message: str) -> None:
    assert refused("0 2 * * *", **more).message == message


def test_there_is_one_rule() -> None:
    with pytest.raises(RequestError, match=r"^A schedule needs a time\.$"):
        read_timing(cron=None, every=None, zone="UTC", now=NOW)
    with pytest.raises(RequestError, match=r"^A schedule has one time: --cron and --every are two\.$"):
        read_timing(cron="0 2 * * *", every="6h", zone="UTC", now=NOW)


def test_a_timing_that_was_kept_elsewhere_is_checked_when_used() -> None:
    for broken in (Timing(cron="0 0 30 2 *", start=NOW), Timing(every="2 mondays", start=NOW)):
        with pytest.raises(RequestError):
            next(slots_after(broken, NOW))
    with pytest.raises(RequestError, match="There is no time zone 'Moon/Crater'"):
        due_between(Timing(cron="0 2 * * *", zone="Moon/Crater", start=NOW), NOW, NOW)


# --- the schedule library ---------------------------------------------------------------------------------------------


def library_job(count: int, word: str, at: str | None) -> schedule.Job:
    job: schedule.Job = getattr(schedule.Scheduler().every(count), word)
    if at is not None:
        job.at(at)
    return job


COUNTS = [1, 2, 3, 7, 36]
UNIT_WORDS = ["second", "minute", "hour", "day", "week", "seconds", "minutes", "hours", "days", "weeks", *WEEKDAYS[::3]]
TIMES = [None, "09:00", "23:59:59", "24:00", "9:00", ":15", ":60", "15:30", "00:00", "1:30", "soon", ":5"]


@pytest.mark.parametrize("word", UNIT_WORDS)
def test_phrases_are_accepted_and_mean_as_in_the_schedule_library(word: str) -> None:
    for count in COUNTS:
        for at in TIMES:
            text = f"{count} {word}" + (f" at {at}" if at else "")
            try:
                job = library_job(count, word, at)
            except (schedule.IntervalError, schedule.ScheduleValueError):
                refused(text)
                continue
            phrase = read_phrase(text)
            days = [job.start_day] if job.start_day else []
            assert (phrase.count, phrase.unit, phrase.at) == (job.interval, job.unit, job.at_time)
            assert [WEEKDAYS[day] for day in phrase.weekdays] == days
            _compare_first(text, lambda count=count, at=at: library_job(count, word, at))  # type: ignore[misc]  # no inference of defaults


def _compare_first(text: str, make: Callable[[], schedule.Job]) -> None:
    """The first run by the library, which asks the clock, is our first slot."""
    for _attempt in range(5):
        # The library takes the clock of this machine without a zone; ours is told that it is that of UTC.
        before = datetime.now(UTC).astimezone().replace(tzinfo=UTC)
        job = make().do(print)
        after = datetime.now(UTC).astimezone().replace(tzinfo=UTC)
        first, again = (next(slots_after(timing_of(text, now=now), now)).moment for now in (before, after))
        # Once more where the second changed in between.
        if first == again:
            assert job.next_run is not None
            assert job.next_run.replace(microsecond=0, tzinfo=UTC) == first
            return
    pytest.fail("The clock never stood still.")


# --- when it is due ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6h", ["2026-11-30T16:20:30+00:00", "2026-11-30T22:20:30+00:00", "2026-12-01T04:20:30+00:00"]),
        ("90s", ["2026-11-30T10:22+00:00", "2026-11-30T10:23:30+00:00", "2026-11-30T10:25+00:00"]),
        ("hour at :15", ["2026-11-30T11:15+00:00", "2026-11-30T12:15+00:00", "2026-11-30T13:15+00:00"]),
        ("5 hours at :15", ["2026-11-30T15:15+00:00", "2026-11-30T20:15+00:00", "2026-12-01T01:15+00:00"]),
        ("36 hours at :15", ["2026-12-01T22:15+00:00", "2026-12-03T10:15+00:00", "2026-12-04T22:15+00:00"]),
        ("minute at :30", ["2026-11-30T10:21:30+00:00", "2026-11-30T10:22:30+00:00", "2026-11-30T10:23:30+00:00"]),
        ("minute at :45", ["2026-11-30T10:20:45+00:00", "2026-11-30T10:21:45+00:00", "2026-11-30T10:22:45+00:00"]),
        ("7 minutes at :45", ["2026-11-30T10:27:45+00:00", "2026-11-30T10:34:45+00:00", "2026-11-30T10:41:45+00:00"]),
        ("day at 09:00", ["2026-12-01T09:00+00:00", "2026-12-02T09:00+00:00", "2026-12-03T09:00+00:00"]),
        ("day at 11:00", ["2026-11-30T11:00+00:00", "2026-12-01T11:00+00:00", "2026-12-02T11:00+00:00"]),
        ("2 days at 11:00", ["2026-12-02T11:00+00:00", "2026-12-04T11:00+00:00", "2026-12-06T11:00+00:00"]),
        ("monday", ["2026-12-07T10:20:30+00:00", "2026-12-14T10:20:30+00:00", "2026-12-21T10:20:30+00:00"]),
        ("monday at 11:00", ["2026-11-30T11:00+00:00", "2026-12-07T11:00+00:00", "2026-12-14T11:00+00:00"]),
        ("friday, tuesday 08:00", ["2026-12-01T08:00+00:00", "2026-12-04T08:00+00:00", "2026-12-08T08:00+00:00"]),
        ("sunday 08:00", ["2026-12-06T08:00+00:00", "2026-12-13T08:00+00:00", "2026-12-20T08:00+00:00"]),
        ("0 2 * * *", ["2026-12-01T02:00+00:00", "2026-12-02T02:00+00:00", "2026-12-03T02:00+00:00"]),
        ("*/20 * * * *", ["2026-11-30T10:40+00:00", "2026-11-30T11:00+00:00", "2026-11-30T11:20+00:00"]),
        ("0 0 29 2 *", ["2028-02-29T00:00+00:00", "2032-02-29T00:00+00:00", "2036-02-29T00:00+00:00"]),
        ("0 0 29 2 */7", ["2032-02-29T00:00+00:00", "2060-02-29T00:00+00:00", "2088-02-29T00:00+00:00"]),
    ],
)
def test_the_next_times(text: str, expected: list[str]) -> None:
    assert names(text) == expected


def test_intervals_with_a_start_begin_there() -> None:
    expected = ["2026-12-01T00:00+01:00", "2026-12-01T06:00+01:00", "2026-12-01T12:00+01:00"]
    assert names("6h", BERLIN, start="2026-12-01") == expected
    # One in the past is what they are counted from.
    assert names("6h", BERLIN, start="2026-11-29T03:00") == [
        "2026-11-30T15:00+01:00",
        "2026-11-30T21:00+01:00",
        "2026-12-01T03:00+01:00",
    ]
    assert names("2 days at 09:00", BERLIN, start="2026-12-02")[0] == "2026-12-02T09:00+01:00"
    assert names("2 days at 09:00", BERLIN, start="2026-12-02T09:01")[0] == "2026-12-04T09:00+01:00"
    assert names("monday", BERLIN, start="2026-12-02T09:00")[0] == "2026-12-07T09:00+01:00"
    assert names("0 9 * * *", BERLIN, start="2027-01-02T09:00")[0] == "2027-01-02T09:00+01:00"


def test_a_slot_at_the_end_is_none() -> None:
    assert names("0 9 * * *", BERLIN, until="2026-12-02T09:00") == ["2026-12-01T09:00+01:00"]
    assert names("0 9 * * *", BERLIN, until="2026-12-02T09:00:01")[-1] == "2026-12-02T09:00+01:00"
    assert names("6h", start="2026-12-01", until="2026-12-01T12:00") == [
        "2026-12-01T00:00+00:00",
        "2026-12-01T06:00+00:00",
    ]


def test_time_ends() -> None:
    far = datetime(9899, 12, 31, 23, 30, tzinfo=UTC)
    for text in ("0 * * * *", "hour at :00", "1h"):
        timing = timing_of(text, BERLIN, start="2026-12-01")
        assert len(list(slots_after(timing, far))) == 1
        assert list(slots_after(timing, datetime.max.replace(tzinfo=UTC))) == []
        assert due_between(timing, far, datetime.max.replace(tzinfo=UTC)).count == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 2  * * *", 'cron "0 2 * * *" in Europe/Berlin'),
        ("6h", "every 6 hours from 2026-11-30 17:20:30 in Europe/Berlin"),
        ("day", "every day from 2026-12-01 11:20:30 in Europe/Berlin"),
        ("monday 09:00", "every monday at 09:00 in Europe/Berlin"),
        ("monday", "every monday at 11:20:30 in Europe/Berlin"),
        ("hour at :15", "every hour at :15 in Europe/Berlin"),
        ("minute at :15", "every minute at :15 in Europe/Berlin"),
        ("2 days at 09:00", "every 2 days at 09:00 from 2026-12-02 00:00 in Europe/Berlin"),
    ],
)
def test_a_timing_in_words(text: str, words: str) -> None:
    assert words_of(timing_of(text, BERLIN)) == words
    assert words_of(timing_of(text, BERLIN, until="2027-01-01")) == f"{words}, until 2027-01-01 00:00"


def test_a_timing_of_utc_in_words() -> None:
    assert words_of(timing_of("6h", start="2026-11-30")) == "every 6 hours from 2026-11-30 00:00 UTC"
    assert words_of(timing_of("0 2 * * *")) == 'cron "0 2 * * *" in UTC'


# --- clocks that are changed ------------------------------------------------------------------------------------------

FORWARD = "clocks go forward this day"
BACK = "clocks go back this day"


def test_a_time_that_does_not_exist_runs_when_the_clocks_arrive() -> None:
    assert notes("30 2 * * *", BERLIN, "2026-03-28T00:00Z") == [
        ("2026-03-28T02:30+01:00", ""),
        ("2026-03-29T03:00+02:00", f"{FORWARD}: 02:30 does not exist, it runs at 03:00"),
        ("2026-03-30T02:30+02:00", ""),
    ]
    assert notes("day at 02:30:30", BERLIN, "2026-03-28T12:00Z", 1) == [
        ("2026-03-29T03:00+02:00", f"{FORWARD}: 02:30:30 does not exist, it runs at 03:00"),
    ]


def test_times_that_do_not_exist_run_together() -> None:
    assert notes("0,30 2-3 * * *", BERLIN, "2026-03-28T12:00Z") == [
        ("2026-03-29T03:00+02:00", f"{FORWARD}: 02:00 and 02:30 do not exist, they run at 03:00"),
        ("2026-03-29T03:30+02:00", FORWARD),
        ("2026-03-30T02:00+02:00", ""),
    ]
    late = notes("0,15,30,45 2 * * *", BERLIN, "2026-03-28T12:00Z", 1)
    assert late[0][1] == f"{FORWARD}: 02:00 to 02:45 do not exist, they run at 03:00"


def test_rules_with_a_star_follow_the_wall_clock() -> None:
    assert notes("*/30 2 * * *", BERLIN, "2026-03-28T12:00Z", 1) == [("2026-03-30T02:00+02:00", "")]
    assert notes("hour at :30", BERLIN, "2026-03-29T00:00Z", 2) == [
        ("2026-03-29T01:30+01:00", FORWARD),
        ("2026-03-29T03:30+02:00", FORWARD),
    ]
    twice = f"{BACK}: 02:30 comes twice, it runs both times"
    assert notes("30 * * * *", BERLIN, "2026-10-25T00:00Z") == [
        ("2026-10-25T02:30+02:00", twice),
        ("2026-10-25T02:30+01:00", twice),
        ("2026-10-25T03:30+01:00", BACK),
    ]


@pytest.mark.parametrize("text", ["30 2 * * *", "day at 02:30", "2 days at 02:30", "sunday at 02:30"])
def test_a_time_that_comes_twice_runs_the_first_time(text: str) -> None:
    start = None if text != "2 days at 02:30" else "2026-10-25"
    after = datetime(2026, 10, 24, 12, tzinfo=UTC)
    timing = timing_of(text, BERLIN, after, start=start)
    slot = next(slots_after(timing, after))
    assert (slot.name, slot.note) == ("2026-10-25T02:30+02:00", f"{BACK}: 02:30 comes twice, it runs the first time")
    # Asked from within the hour, the first or the second.
    for minute in (30, 45, 60, 75, 90, 105, 120):
        asked = datetime(2026, 10, 25, tzinfo=UTC) + timedelta(minutes=minute)
        assert next(slots_after(timing, asked)).moment > datetime(2026, 10, 26, tzinfo=UTC)


def test_intervals_are_elapsed_time() -> None:
    assert notes("6h", BERLIN, "2026-03-28T17:00Z", 3) == [
        ("2026-03-29T00:00+01:00", FORWARD),
        ("2026-03-29T07:00+02:00", FORWARD),
        ("2026-03-29T13:00+02:00", FORWARD),
    ]
    assert names("day", BERLIN, "2026-10-24T00:00Z", 2) == [
        "2026-10-25T02:00+02:00",
        "2026-10-26T01:00+01:00",
    ]


def test_hours_with_a_minute_go_by_the_wall_clock() -> None:
    assert names("2 hours at :15", BERLIN, "2026-03-28T22:30Z", 4) == [
        "2026-03-29T01:15+01:00",
        "2026-03-29T03:15+02:00",
        "2026-03-29T05:15+02:00",
        "2026-03-29T07:15+02:00",
    ]
    assert names("2 hours at :15", BERLIN, "2026-03-28T21:30Z", 3)[1:] == [
        "2026-03-29T03:00+02:00",
        "2026-03-29T04:15+02:00",
    ]


def test_a_zone_that_changes_by_half_an_hour() -> None:
    zone = "Australia/Lord_Howe"
    assert notes("15 2 * * *", zone, "2026-10-03T12:00Z", 1) == [
        ("2026-10-04T02:30+11:00", f"{FORWARD}: 02:15 does not exist, it runs at 02:30"),
    ]
    assert notes("45 1 * * *", zone, "2026-04-04T12:00Z", 1) == [
        ("2026-04-05T01:45+11:00", f"{BACK}: 01:45 comes twice, it runs the first time"),
    ]
    assert names("45 * * * *", zone, "2026-04-04T14:40Z", 3) == [
        "2026-04-05T01:45+11:00",
        "2026-04-05T01:45+10:30",
        "2026-04-05T02:45+10:30",
    ]
    assert names("15 * * * *", zone, "2026-10-03T15:00Z", 2) == ["2026-10-04T03:15+11:00", "2026-10-04T04:15+11:00"]


@pytest.mark.parametrize(
    ("zone", "after", "late"),
    [
        ("Africa/Cairo", "2026-04-23T12:00Z", "2026-04-24T01:00+03:00"),
        ("America/Havana", "2026-03-07T12:00Z", "2026-03-08T01:00-04:00"),
        ("America/Santiago", "2026-09-05T12:00Z", "2026-09-06T01:00-03:00"),
        ("Asia/Beirut", "2026-03-28T12:00Z", "2026-03-29T01:00+03:00"),
    ],
)
def test_a_zone_without_midnight_on_some_day(zone: str, after: str, late: str) -> None:
    times = notes("0 0 * * *", zone, after, 2)
    assert times[0] == (late, f"{FORWARD}: 00:00 does not exist, it runs at 01:00")
    assert times[1][0][11:16] == "00:00"
    assert names("@hourly", zone, after, 30).count(late) == 1
    assert names("day at 00:30", zone, after, 1) == [late]


def test_a_day_whose_last_hour_is_left_out() -> None:
    assert notes("30 23 * * *", "America/Nuuk", "2026-03-28T12:00Z", 2) == [
        ("2026-03-29T00:00-01:00", "clocks go forward the day before: 23:30 does not exist, it runs at 00:00"),
        ("2026-03-29T23:30-01:00", ""),
    ]


def test_a_midnight_that_comes_twice() -> None:
    assert notes("0 0 * * *", "Atlantic/Azores", "2026-10-24T12:00Z", 2) == [
        ("2026-10-25T00:00+00:00", f"{BACK}: 00:00 comes twice, it runs the first time"),
        ("2026-10-26T00:00-01:00", ""),
    ]


def test_a_day_that_a_zone_left_out_is_a_correction() -> None:
    # Samoa went to the other side of the date line, without 30 December 2011.
    after = datetime(2011, 12, 29, tzinfo=UTC)
    assert names("30 2 * * *", "Pacific/Apia", after, 2) == ["2011-12-29T02:30-10:00", "2011-12-31T02:30+14:00"]
    # And in Antarctica clocks went back by three hours: as Debian sees it, both are the time.
    zone = "Antarctica/Casey"
    assert names("30 23 * * *", zone, datetime(2018, 3, 10, 12, tzinfo=UTC), 3) == [
        "2018-03-10T23:30+11:00",
        "2018-03-11T23:30+08:00",
        "2018-03-12T23:30+08:00",
    ]
    assert notes("30 2 * * *", zone, "2018-03-10T12:00Z", 2) == [
        ("2018-03-11T02:30+11:00", f"{BACK}: 02:30 comes twice, it runs both times"),
        ("2018-03-11T02:30+08:00", f"{BACK}: 02:30 comes twice, it runs both times"),
    ]


# --- what holds of all ------------------------------------------------------------------------------------------------

RULES = st.sampled_from(
    [
        "* * * * *",
        "*/10 * * * *",
        "0,30 2 * * *",
        "30 0-3 * * *",
        "15 */2 * * *",
        "0 0 * * *",
        "0 0 L * *",
        "45 1 * * SUN",
        "7h",
        "25m",
        "90s",
        "day",
        "3 days at 02:15",
        "hour at :45",
        "5 hours at :45",
        "7 minutes at :10",
        "sunday, saturday at 00:30",
        "weekday 01:30",
    ]
)
CHANGING = st.sampled_from(
    ["UTC", BERLIN, "Australia/Lord_Howe", "Africa/Cairo", "America/Havana", "Antarctica/Troll", "America/Nuuk"]
)
MOMENTS = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - bounds are naive
    # About the days of change.
    st.builds(
        lambda day, minutes: datetime.combine(day, time(), UTC) + timedelta(minutes=minutes),
        st.sampled_from([date(2026, 3, 8), date(2026, 3, 29), date(2026, 4, 5), date(2026, 4, 24), date(2026, 10, 25)]),
        st.integers(-2880, 2880),
    ),
)


@settings(max_examples=300, deadline=None)
@given(text=RULES, zone=CHANGING, now=MOMENTS, hours=st.integers(1, 100), more=st.booleans())
def test_slots_follow_one_another_and_are_counted(
    text: str,
    zone: str,
    now: datetime,
    hours: int,
    more: bool,  # noqa: FBT001 - a parameter
) -> None:
    to = now + timedelta(hours=hours)
    timing = timing_of(text, zone, now, start="2025-12-31T23:10" if more else None)
    slots = list(takewhile(lambda slot: slot.moment <= to, slots_after(timing, now)))
    moments = [now, *(slot.moment for slot in slots)]
    assert all(one < other for one, other in pairwise(moments))
    assert len({slot.name for slot in slots}) == len(slots)
    assert all(datetime.fromisoformat(slot.name) == slot.moment for slot in slots)
    assert all(slot.moment >= timing.start and not slot.moment.microsecond for slot in slots)
    for keep in (0, 1, 5, 10**6):
        due = due_between(timing, now, to, keep=keep)
        assert due == Due(len(slots), slots[0] if slots else None, tuple(slots[-max(keep, 1) :]))
        assert due.newest == (slots[-1] if slots else None)


@settings(max_examples=200, deadline=None)
@given(text=RULES, zone=CHANGING, now=MOMENTS, seed=st.integers(0, 10**6))
def test_the_next_slot_is_the_same_from_wherever_one_asks(text: str, zone: str, now: datetime, seed: int) -> None:
    timing = timing_of(text, zone, now)
    slots = list(islice(slots_after(timing, now), 40))
    chance = random.Random(seed)
    for earlier, later in chance.sample(list(pairwise(slots)), 10):
        between = earlier.moment + (later.moment - earlier.moment) * chance.random()
        assert next(slots_after(timing, earlier.moment)) == later
        assert next(slots_after(timing, min(between, later.moment - timedelta(seconds=1)))) == later


def test_ranges_without_slots() -> None:
    timing = timing_of("6h", start="2026-12-01", until="2026-12-02")
    assert due_between(timing, NOW, NOW) == Due()
    assert due_between(timing, NOW, NOW - timedelta(days=3)) == Due()
    assert due_between(timing, NOW + timedelta(days=30), NOW + timedelta(days=60)) == Due()
    assert due_between(timing, NOW, NOW + timedelta(days=30)).count == 4
    assert due_between(timing_of("0 2 * * *"), NOW, NOW - timedelta(days=3)) == Due()


def test_ranges_may_be_told_in_any_zone() -> None:
    timing = timing_of("0 9 * * *", BERLIN)
    after = datetime.fromisoformat("2026-12-01T09:00+01:00")
    due = due_between(timing, after, datetime.fromisoformat("2026-12-03T17:00+09:00"))
    assert (due.count, due.newest) == (2, Slot(datetime(2026, 12, 3, 8, tzinfo=UTC), "2026-12-03T09:00+01:00"))
    assert due.first is not None
    assert due.first.moment.tzinfo is UTC
    assert next(slots_after(timing, after)) == due.first


def test_a_year_of_seconds_is_counted_without_looking_at_each() -> None:
    timing = timing_of("1s", BERLIN)
    due = due_between(timing, NOW, NOW + timedelta(days=365), keep=2)
    assert due.count == 365 * 86_400
    assert [slot.name for slot in due.latest] == ["2027-11-30T11:20:29+01:00", "2027-11-30T11:20:30+01:00"]


def test_a_year_of_minutes_is_counted_by_days() -> None:
    due = due_between(timing_of("* * * * *", BERLIN), NOW, NOW + timedelta(days=365), keep=1000)
    assert (due.count, len(due.latest)) == (365 * 1440, 1000)


def test_the_command_line_starts_without_the_libraries() -> None:
    code = "import sys, tailrace.work.slots; print({'cronsim', 'schedule', 'polars'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_hours_that_are_a_day_have_no_time_of_day() -> None:
    with pytest.raises(RequestError, match="does not say which hour") as caught:
        read_phrase("24h at 09:00")
    assert "day at 09:00" in caught.value.hint

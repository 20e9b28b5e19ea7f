"""Cron against a scan of every minute of two years, by rules written down a second time, without cronsim.

What Debian's cron does is simulated as it does it: a virtual clock that is the furthest that the wall clock ever came.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from tailrace.work.slots import due_between, read_timing, slots_after

BEGIN = datetime(2027, 1, 1, tzinfo=UTC)
END = datetime(2029, 1, 1, tzinfo=UTC)
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "Antarctica/Troll",  # two hours
    "Africa/Cairo",  # at midnight
    "America/Havana",  # at midnight
    "America/Santiago",  # at midnight, in the south
    "Atlantic/Azores",  # midnight comes twice
    "America/Nuuk",  # the last hour of a day
    "Pacific/Chatham",  # 12:45 ahead, at 02:45
    "Asia/Kathmandu",  # 5:45 ahead, never
]
EXPRESSIONS = [
    "* * * * *",
    "*/5 * * * *",
    "*/7 */5 * * *",
    "*/15 2 * * *",
    "0-59/20 2-3 * * *",
    "0 * * * *",
    "30 * * * *",
    "0 0 * * *",
    "30 0 * * *",
    "0 1 * * *",
    "30 1 * * *",
    "0 2 * * *",
    "0,30 2 * * *",
    "15,45 1-3 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "10 0,2,23 * * *",
    "5 */3 * * *",
    "59 23 * * *",
    "0 9 * * MON-FRI",
    "0 2 * * SUN",
    "0 2 * * 7",
    "30 2 1-7 * 6",
    "0 0 13 * FRI",
    "0 0 */2 * MON",
    "0 6 1,15 JAN,jul,OCT *",
    "0 12 L * *",
    "45 2 LW * *",
    "0 0 * * 5L",
    "30 1 * 3,11 SUN#2,sun#1",
    "0 2 * MAR,OCT 0L",
    "*/30 0 29 2 *",
    "20-40/10,50 4/6 10-20/5 2-12/2 *",
]
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}
CORRECTION = timedelta(hours=3)
MANY = 20_000


@lru_cache(maxsize=1)
def clock_of(zone: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every minute with what the wall clock shows, and the minutes that it left out with when it did."""
    # It begins earlier, so that the virtual clock is right.
    moments = pl.datetime_range(BEGIN - timedelta(days=2), END, "1m", time_zone="UTC", eager=True)
    scan = pl.DataFrame({"moment": moments}).with_columns(
        wall=pl.col("moment").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    )
    jump = pl.col("wall") - pl.col("wall").shift(1)
    scan = scan.with_columns(jump=jump, furthest=pl.col("wall").cum_max().shift(1))
    # A change of three hours or more would be none; no zone here has such.
    # For polars it could be of any type.
    assert scan["jump"].drop_nulls().abs().max() < CORRECTION  # type: ignore[operator]
    skipped = [
        {"moment": moment, "wall": wall - timedelta(minutes=back)}
        for moment, wall, jump in scan.filter(pl.col("jump") > timedelta(minutes=1))["moment", "wall", "jump"].rows()
        for back in range(1, jump // timedelta(minutes=1))
    ]
    return scan, pl.DataFrame(skipped, schema={name: scan[name].dtype for name in ("moment", "wall")})


@lru_cache(maxsize=1)
def minutes_of(zone: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same with what the fields of an expression speak of."""
    scan, skipped = clock_of(zone)
    return _with_fields(scan), _with_fields(skipped)


def _with_fields(frame: pl.DataFrame) -> pl.DataFrame:
    wall = pl.col("wall")
    last = wall.dt.month_end().dt.day()
    last_weekday = wall.dt.month_end().dt.weekday()
    return frame.with_columns(
        minute=wall.dt.minute(),
        hour=wall.dt.hour(),
        day=wall.dt.day(),
        month=wall.dt.month(),
        weekday=wall.dt.weekday() % 7,
        last=last,
        working=last - (last_weekday - 5).clip(lower_bound=0),
    )


def field(name: str, text: str) -> pl.Expr:
    """Whether a field of an expression says yes to a minute."""
    return pl.any_horizontal(_term(name, term) for term in text.upper().split(","))


def _term(name: str, term: str) -> pl.Expr:
    column, day = pl.col(name), pl.col("day")
    if term == "L":
        return day == pl.col("last")
    if term == "LW":
        return day == pl.col("working")
    if "#" in term:
        which, _sign, number = term.partition("#")
        return (column == _number(name, which) % 7) & ((day - 1) // 7 + 1 == int(number))
    if name == "weekday" and term.endswith("L"):
        return (column == _number(name, term[:-1]) % 7) & (day > pl.col("last") - 7)
    span, _slash, step = term.partition("/")
    low, high = RANGES[name]
    if span != "*":
        first, _dash, second = span.partition("-")
        low = _number(name, first)
        high = _number(name, second) if second else high if step else low
    values = list(range(low, high + 1, int(step or 1)))
    return column.is_in([value % 7 for value in values] if name == "weekday" else values)


def _number(name: str, text: str) -> int:
    if text.isdigit():
        return int(text)
    return MONTHS.index(text) + 1 if name == "month" else WEEKDAYS.index(text)


def scanned(zone: str, expression: str) -> pl.Series:
    """The moments at which an expression fires."""
    minute, hour, day, month, weekday = expression.split()
    days, weekdays = field("day", day), field("weekday", weekday)
    either = days & weekdays if day.startswith("*") or weekday.startswith("*") else days | weekdays
    fires = field("minute", minute) & field("hour", hour) & field("month", month) & either
    scan, skipped = minutes_of(zone)
    found = scan.lazy().filter(fires)
    if not minute.startswith("*") and not hour.startswith("*"):
        found = found.filter(pl.col("wall") > pl.col("furthest"))
        late = skipped.lazy().filter(fires)
        found = pl.concat([found.select("moment"), late.select("moment")])
    moments = found.select("moment").collect()["moment"].unique().sort()
    return moments.filter((moments > BEGIN) & (moments <= END))


@pytest.mark.parametrize("zone", ZONES)
def test_cron_fires_at_the_minutes_that_a_scan_of_two_years_finds(zone: str) -> None:
    for expression in EXPRESSIONS:
        timing = read_timing(cron=expression, every=None, zone=zone, now=BEGIN)
        expected = scanned(zone, expression)
        if len(expected) >= MANY:
            assert due_between(timing, BEGIN, END).count == len(expected)
        for after, to in ranges_of(zone, len(expected)):
            wanted = expected.filter((expected > after) & (expected <= to))
            # Of defaults, mypy infers nothing.
            slots = list(takewhile(lambda slot, to=to: slot.moment <= to, slots_after(timing, after)))  # type: ignore[misc]
            found = pl.Series("moment", [slot.moment for slot in slots], dtype=expected.dtype)
            assert found.equals(wanted), f"{expression} in {zone}: {_difference(found, wanted)}"
            assert len({slot.name for slot in slots}) == len(slots)
            due = due_between(timing, after, to, keep=3)
            assert (due.count, due.first, due.latest) == (len(slots), next(iter(slots), None), tuple(slots[-3:]))


def ranges_of(zone: str, count: int) -> list[tuple[datetime, datetime]]:
    """What is compared slot by slot: all, or the days about each change where there are very many."""
    if count < MANY:
        return [(BEGIN, END)]
    middles = [datetime.combine(day, time(12), UTC) for day in days_of_change(zone)]
    return [
        (middle - timedelta(days=2), middle + timedelta(days=2)) for middle in middles or [BEGIN + timedelta(days=9)]
    ]


def _difference(found: pl.Series, expected: pl.Series) -> str:
    surplus, missing = set(found) - set(expected), set(expected) - set(found)
    return f"too many {sorted(surplus)[:5]}, missing {sorted(missing)[:5]}, of {len(expected)}"


def days_of_change(zone: str) -> list[date]:
    """The local days with a minute that is left out or repeated."""
    scan, skipped = clock_of(zone)
    repeated = scan.filter(pl.col("wall") <= pl.col("furthest"))
    return sorted(set(pl.concat([skipped["wall"], repeated["wall"]]).dt.date()))


@pytest.mark.parametrize("zone", ZONES)
def test_a_fixed_time_fires_once_on_every_day_on_which_the_clocks_change(zone: str) -> None:
    days = days_of_change(zone)
    assert len(days) == (0 if zone == "Asia/Kathmandu" else 4)
    for day in days:
        after = datetime.combine(day, time(), UTC) - timedelta(days=2)
        for minute in range(0, 1440, 15):
            cron = f"{minute % 60} {minute // 60} * * *"
            timing = read_timing(cron=cron, every=None, zone=zone, now=after)
            slots = list(islice(slots_after(timing, after), 6))
            # Six slots are six days, one after another; one that was left out runs where the clocks arrive.
            walls = [slot.moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for slot in slots]
            meant = [_nearest(wall, minute) for wall in walls]
            assert [later - earlier for earlier, later in pairwise(meant)] == [timedelta(days=1)] * 5
            late = [wall for wall, wanted in zip(walls, meant, strict=True) if wall != wanted]
            assert len(late) <= 1
            assert all(wanted.date() == day for wall, wanted in zip(walls, meant, strict=True) if wall != wanted)


def _nearest(wall: datetime, minute: int) -> datetime:
    """The time that was meant by a slot that came within three hours of it."""
    meant = datetime.combine(wall.date(), time()) + timedelta(minutes=minute)
    return meant if meant <= wall else meant - timedelta(days=1)


def test_the_scan_knows_the_rules_of_debian() -> None:
    """The oracle itself, on days that anyone can check by hand."""

    def on(expression: str, day: str) -> list[str]:
        zone = "Europe/Berlin"
        local = [
            moment.astimezone(ZoneInfo(zone)).isoformat(timespec="minutes") for moment in scanned(zone, expression)
        ]
        return [text.partition("T")[2] for text in local if text.startswith(day)]

    assert on("30 2 * * *", "2027-03-28") == ["03:00+02:00"]
    assert on("0,30 2-3 * * *", "2027-03-28") == ["03:00+02:00", "03:30+02:00"]
    assert on("*/30 2 * * *", "2027-03-28") == []
    assert on("30 * * * *", "2027-03-28")[1:3] == ["01:30+01:00", "03:30+02:00"]
    assert on("30 2 * * *", "2027-10-31") == ["02:30+02:00"]
    assert on("*/30 2 * * *", "2027-10-31") == ["02:00+02:00", "02:30+02:00", "02:00+01:00", "02:30+01:00"]

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tailrace import TimeRange
from tailrace.model.errors import RequestError
from tailrace.pipeline.moments import moment_of, range_of, zone

NOW = datetime(2026, 8, 20, 12, 34, 56, 789, tzinfo=UTC)
HINT = "Write a date (2026-08-15), a time (2026-08-15T06:00Z), a duration before now (7d, 24h, 30m), now or today."


def at(text: str, local: str = "UTC", now: datetime = NOW) -> str:
    moment = moment_of(text, now=now, local=ZoneInfo(local))
    assert moment.tzinfo is UTC
    return moment.isoformat()


@pytest.mark.parametrize(
    ("text", "local", "expected"),
    [
        ("now", "Europe/Warsaw", "2026-08-20T12:34:56.000789+00:00"),
        (" NOW ", "UTC", "2026-08-20T12:34:56.000789+00:00"),
        ("today", "UTC", "2026-08-20T00:00:00+00:00"),
        ("today", "Europe/Warsaw", "2026-08-19T22:00:00+00:00"),
        ("yesterday", "Europe/Warsaw", "2026-08-18T22:00:00+00:00"),
        ("today", "Pacific/Auckland", "2026-08-20T12:00:00+00:00"),
        ("today", "America/Los_Angeles", "2026-08-20T07:00:00+00:00"),
        ("90s", "UTC", "2026-08-20T12:33:26.000789+00:00"),
        ("30m", "UTC", "2026-08-20T12:04:56.000789+00:00"),
        ("24 H", "UTC", "2026-08-19T12:34:56.000789+00:00"),
        ("7d", "Europe/Warsaw", "2026-08-13T12:34:56.000789+00:00"),
        ("2w", "UTC", "2026-08-06T12:34:56.000789+00:00"),
        ("0d", "UTC", "2026-08-20T12:34:56.000789+00:00"),
        ("2026-08-15", "UTC", "2026-08-15T00:00:00+00:00"),
        ("2026-08-15", "Europe/Warsaw", "2026-08-14T22:00:00+00:00"),
        ("2026-08-15", "Asia/Kathmandu", "2026-08-14T18:15:00+00:00"),
        ("2026-08-15T06:00Z", "Europe/Warsaw", "2026-08-15T06:00:00+00:00"),
        ("2026-08-15T06:00:00.5+05:30", "UTC", "2026-08-15T00:30:00.500000+00:00"),
        ("2026-08-15 06:00", "Europe/Warsaw", "2026-08-15T04:00:00+00:00"),
        ("20260815", "UTC", "2026-08-15T00:00:00+00:00"),
        # Autumn, the hour that comes twice: the first; spring, the hour that is not there: as if it were before it.
        ("2026-10-25T02:30", "Europe/Warsaw", "2026-10-25T00:30:00+00:00"),
        ("2026-03-29T02:30", "Europe/Warsaw", "2026-03-29T01:30:00+00:00"),
        ("2026-10-25", "Europe/Warsaw", "2026-10-24T22:00:00+00:00"),
        ("2026-10-26", "Europe/Warsaw", "2026-10-25T23:00:00+00:00"),
        # Half an hour of daylight saving time, and midnight that does not exist.
        ("2026-04-05T01:45", "Australia/Lord_Howe", "2026-04-04T14:45:00+00:00"),
        ("2026-09-06", "America/Santiago", "2026-09-06T04:00:00+00:00"),
    ],
)
def test_moments(text: str, local: str, expected: str) -> None:
    assert at(text, local) == expected


def test_days_are_counted_in_the_local_zone_and_hours_are_not() -> None:
    morning = datetime(2026, 10, 25, 7, tzinfo=UTC)
    assert at("yesterday", "Europe/Warsaw", morning) == "2026-10-23T22:00:00+00:00"
    assert at("today", "Europe/Warsaw", morning) == "2026-10-24T22:00:00+00:00"
    assert at("1d", "Europe/Warsaw", morning) == "2026-10-24T07:00:00+00:00"
    after_midnight = datetime(2026, 8, 19, 22, 30, tzinfo=UTC)
    assert at("today", "Europe/Warsaw", after_midnight) == "2026-08-19T22:00:00+00:00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "7",
        "7y",
        "-7d",
        "1.5d",
        "d7",
        "2026-13-01",
        "2026-08-32",
        "15.08.2026",
        "2026-08-15T25:00",
        "99999999999999d",
        "9" * 5000 + "d",
        "3000000d",
        "0001-01-01T00:00+14:00",
        "9999-12-31T23:59-14:00",
        "\u0667d",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        at(text)
    assert caught.value.message == f"{text!r} is not a time."
    assert caught.value.hint == HINT


def test_the_range_is_fixed_before_reading() -> None:
    utc = ZoneInfo("UTC")
    assert range_of(None, None, now=NOW, local=utc) is None
    assert range_of("7d", None, now=NOW, local=utc) == TimeRange(
        datetime(2026, 8, 13, 12, 34, 56, 789, tzinfo=UTC), NOW
    )
    assert range_of(None, "2026-08-15", now=NOW, local=utc) == TimeRange(None, datetime(2026, 8, 15, tzinfo=UTC))
    for since, until in (("now", None), ("2026-08-16", "2026-08-15"), ("2026-08-15", "2026-08-15")):
        with pytest.raises(RequestError) as caught:
            range_of(since, until, now=NOW, local=utc)
        assert caught.value.message.startswith("The time range ends before it begins: 2026-08-")
        assert caught.value.hint == "The start is inclusive, the end is not; the end is now when not given."


def test_zones() -> None:
    assert zone("Europe/Warsaw").key == "Europe/Warsaw"
    assert zone("UTC").key == "UTC"


@pytest.mark.parametrize(
    "name",
    [
        "Mars/Olympus",
        "",
        "../UTC",
        "/etc/passwd",
        "Europe",
        "localtime",
        "posixrules",
        "posix/UTC",
        "right/UTC",
        "Factory",
    ],
)
def test_zones_that_mean_nothing_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(RequestError) as caught:
        zone(name)
    assert caught.value.message == f"There is no time zone {name!r}."
    assert caught.value.hint == "Use an IANA name such as Europe/Warsaw or UTC."

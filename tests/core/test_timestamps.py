from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl
import pytest

from tailrace import beyond_iso, iso_text

MOMENT = datetime(2026, 8, 15, 6, 7, 8, 120000, tzinfo=UTC)
END_OF_9999 = 253_402_300_799_999_999
START_OF_1 = -62_135_596_800_000_000
HOUR = 3_600_000_000


def text(values: pl.Series) -> list[str | None]:
    written = pl.DataFrame({"v": values}).select(iso_text(pl.col("v"), values.dtype)).to_series()
    assert written.dtype == pl.String
    return written.to_list()


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (pl.Datetime("ms", "UTC"), "2026-08-15T06:07:08.120Z"),
        (pl.Datetime("us", "UTC"), "2026-08-15T06:07:08.120000Z"),
        (pl.Datetime("ns", "UTC"), "2026-08-15T06:07:08.120000000Z"),
        (pl.Datetime("us", "Etc/UTC"), "2026-08-15T06:07:08.120000Z"),
        (pl.Datetime("us", "Europe/London"), "2026-08-15T07:07:08.120000+01:00"),
        (pl.Datetime("ms", "America/St_Johns"), "2026-08-15T03:37:08.120-02:30"),
    ],
)
def test_moments(dtype: pl.Datetime, expected: str) -> None:
    values = pl.Series([MOMENT, None]).cast(pl.Datetime(dtype.time_unit, "UTC"))
    assert text(values.dt.convert_time_zone(dtype.time_zone or "")) == [expected, None]


def test_moments_without_a_zone_get_none() -> None:
    assert text(pl.Series([MOMENT]).dt.replace_time_zone(None)) == ["2026-08-15T06:07:08.120000"]


def test_the_offset_of_winter_with_a_zone_that_is_utc_then() -> None:
    winter = pl.Series([datetime(2026, 1, 15, tzinfo=UTC)]).dt.convert_time_zone("Europe/London")
    assert text(winter) == ["2026-01-15T00:00:00.000000+00:00"]


def test_offsets_with_seconds_are_exact() -> None:
    old = pl.Series([datetime(1930, 1, 1, tzinfo=UTC)]).dt.convert_time_zone("Africa/Monrovia")
    (written,) = text(old)
    assert written == "1929-12-31T23:15:30.000000-00:44:30"
    assert datetime.fromisoformat(written) == datetime(1930, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([date(1, 1, 1), None, date(9999, 12, 31)], ["0001-01-01", None, "9999-12-31"]),
        ([time(1, 2, 3), time(23, 59, 59, 999999)], ["01:02:03.000000000", "23:59:59.999999000"]),
        ([timedelta(days=1, hours=2), timedelta(milliseconds=-1), timedelta()], ["P1DT2H", "-PT0.001S", "PT0S"]),
    ],
)
def test_dates_times_and_durations(values: list[Any], expected: list[str | None]) -> None:
    assert text(pl.Series(values)) == expected


def test_other_types_are_a_mistake() -> None:
    with pytest.raises(TypeError, match="Int64 is not a temporal type"):
        iso_text(pl.col("a"), pl.Int64())


def moments(*ticks: int | None, unit: Any = "us", zone: str | None = "UTC") -> pl.Series:
    return pl.Series(ticks, dtype=pl.Int64).cast(pl.Datetime(unit, zone))


def days(*numbers: int) -> pl.Series:
    return pl.Series(numbers, dtype=pl.Int32).cast(pl.Date)


@pytest.mark.parametrize(
    "values",
    [
        moments(0, END_OF_9999 + 1),
        moments(START_OF_1 - 1, 0),
        moments(END_OF_9999 + 1, zone=None),
        moments(2**63 - 1, unit="ms"),
        moments(2**63 - 1, unit="ms", zone="Europe/Warsaw"),
        moments(END_OF_9999 - HOUR + 1, zone="Europe/Warsaw"),
        moments(START_OF_1, zone="America/New_York"),
        days(2_932_897),
        days(-719_163),
        pl.Series([-(2**63)], dtype=pl.Int64).cast(pl.Duration("ns")),
        moments(END_OF_9999 + 1).alias("^$"),
    ],
)
def test_beyond(values: pl.Series) -> None:
    assert beyond_iso(values)


@pytest.mark.parametrize(
    "values",
    [
        moments(START_OF_1, None, END_OF_9999),
        moments(END_OF_9999, zone="America/New_York"),
        moments(END_OF_9999 - HOUR, zone="Europe/Warsaw"),
        moments(-(2**63) + 1, 2**63 - 1, unit="ns"),
        moments(None, zone="Europe/Warsaw"),
        moments(),
        days(-719_162, 2_932_896),
        pl.Series([-(2**63) + 1, 2**63 - 1], dtype=pl.Int64).cast(pl.Duration("us")),
        pl.Series([], dtype=pl.Duration),
        pl.Series([time(0)]),
        pl.Series([2**63 - 1]),
        pl.Series(["x"]),
    ],
)
def test_within(values: pl.Series) -> None:
    assert not beyond_iso(values)

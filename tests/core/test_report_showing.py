# ruff: noqa: RUF001 - the dash that stands for nothing
"""How values read in a document: columns and single values alike."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tailrace import Column, Meaning, RequestError, shown, shown_value

ZONE = "Europe/Berlin"
MEASURE = Meaning.MEASURE


def column(
    values: list[Any], dtype: Any = None, meaning: Meaning = Meaning.TEXT, unit: str = "", zone: str = ZONE
) -> list[str]:
    frame = pl.DataFrame({"value": pl.Series(values, dtype=dtype, strict=False)})
    texts = shown(frame, [Column("value", meaning, unit)], zone)
    assert texts.schema == {"value": pl.String}
    return texts["value"].to_list()


@pytest.mark.parametrize(
    ("values", "dtype", "texts"),
    [
        (["a", "", None], pl.String, ["a", "", "–"]),
        (["a", None], pl.Categorical, ["a", "–"]),
        ([True, False, None], pl.Boolean, ["yes", "no", "–"]),
        ([1234, -5, None], pl.Int64, ["1234", "-5", "–"]),
        ([1.5, 1234.25], pl.Float64, ["1.5", "1234.25"]),
        ([Decimal("1.50"), None], pl.Decimal(10, 2), ["1.50", "–"]),
        ([date(2026, 8, 15), None], pl.Date, ["2026-08-15", "–"]),
        ([time(6, 5, 4, 999)], pl.Time, ["06:05:04"]),
        ([b"\x00a", None], pl.Binary, ["AGE=", "–"]),
        ([["a", "b"], [], [None, "c"], None], pl.List(pl.String), ["a, b", "", "c", "–"]),
        ([{"a": 1}, {"a": None}, None], pl.Struct({"a": pl.Int64}), ['{"a":1}', '{"a":null}', "–"]),
        ([None, None], pl.Null, ["–", "–"]),
        ([], pl.Float64, []),
    ],
)
def test_values_by_type(values: list[Any], dtype: Any, texts: list[str]) -> None:
    assert column(values, dtype) == texts


def test_whole_measures_have_commas_between_thousands() -> None:
    values = [0, 123, 1234, -123, -1234, 1234567, -123456, 2**63 - 1, None]
    assert column(values, pl.Int64, MEASURE) == [
        "0", "123", "1,234", "-123", "-1,234", "1,234,567", "-123,456", "9,223,372,036,854,775,807", "–",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("%", 61.25, "61.2"),
        ("%", -0.04, "0.0"),
        ("%", 100.0, "100.0"),
        ("ms", 412.4, "412"),
        ("ms", 9.94, "9.9"),
        ("ms", 9.96, "10"),
        ("ms", 12345.6, "12,346"),
        ("", 1234567.891, "1,235,000"),
        ("", 0.012345, "0.01235"),
        ("s", 1.5, "1.5"),
        ("s", -0.0, "0"),
        ("", 1e300, "1e+300"),
        ("%", 1e300, "1e+300"),
        ("", 2e-7, "2e-07"),
        ("ms", 2e-7, "0.0"),
        ("", float("nan"), "NaN"),
        ("%", float("inf"), "∞"),
        ("", float("-inf"), "-∞"),
    ],
)
def test_measures_by_unit(unit: str, value: float, text: str) -> None:
    assert shown_value(value, ZONE, unit=unit) == text
    assert column([value, None], pl.Float64, MEASURE, unit) == [text, "–"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.floats(), max_size=6), st.sampled_from(["", "%", "ms", "s"]))
@example([0.0, -0.0, None], "%")
@example([float("nan"), None, float("nan"), 1.0], "")
def test_a_column_of_measures_reads_like_its_values(values: list[float | None], unit: str) -> None:
    assert column(values, pl.Float64, MEASURE, unit) == [shown_value(value, ZONE, unit=unit) for value in values]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    st.lists(st.datetimes(datetime(2, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)), max_size=4),  # noqa: DTZ001 - hypothesis wants them so
    st.lists(st.timedeltas(timedelta(days=-10000), timedelta(days=10000)), max_size=4),
)
def test_other_columns_read_like_their_values(
    numbers: list[int], moments: list[datetime], spans: list[timedelta]
) -> None:
    assert column(numbers, pl.Int64, MEASURE) == [shown_value(value, ZONE) for value in numbers]
    assert column(moments, pl.Datetime("us", "UTC")) == [shown_value(value, ZONE) for value in moments]
    assert column(spans, pl.Duration("us")) == [shown_value(value, ZONE) for value in spans]


def test_moments_are_those_of_the_zone() -> None:
    moments = [datetime(2026, 8, 15, 6, 23, 17, 999_999, tzinfo=UTC), datetime(2026, 10, 25, 0, 30, tzinfo=UTC), None]
    assert column(moments, pl.Datetime("us", "UTC")) == ["2026-08-15 08:23:17", "2026-10-25 02:30:00", "–"]
    assert column(moments[:1], pl.Datetime("us", "UTC"), zone="Asia/Kathmandu") == ["2026-08-15 12:08:17"]
    assert shown_value(moments[0], "America/New_York") == "2026-08-15 02:23:17"


def test_moments_without_a_zone_stay_as_they_are() -> None:
    moment = datetime(2026, 8, 15, 6, 23, 17)  # noqa: DTZ001 - what this is about
    assert column([moment], pl.Datetime("us")) == [shown_value(moment, ZONE)] == ["2026-08-15 06:23:17"]


def test_durations_are_hours_minutes_seconds() -> None:
    spans = [timedelta(hours=26, minutes=3, seconds=20), timedelta(seconds=-90.5), timedelta(0), None]
    assert column(spans, pl.Duration("us")) == ["26:03:20", "-00:01:30", "00:00:00", "–"]


@pytest.mark.parametrize("dtype", [pl.List(pl.List(pl.Int64)), pl.Array(pl.Int64, 1)])
def test_what_cannot_be_shown_is_told_with_its_column(dtype: Any) -> None:
    with pytest.raises(RequestError, match=r"Column 'value' holds .*, which a document cannot show") as caught:
        column([], dtype)
    assert caught.value.hint == "Leave it out (--columns), or choose --format json."


def test_single_values_of_reports() -> None:
    values = [None, True, "text", 1234, date(2026, 8, 15)]
    assert [shown_value(value, ZONE) for value in values] == ["–", "yes", "text", "1,234", "2026-08-15"]


def test_a_moment_that_a_zone_has_no_date_for_is_shown_with_its_offset() -> None:
    assert shown_value(datetime.max.replace(tzinfo=UTC), "Asia/Tokyo") == "9999-12-31 23:59:59+00:00"

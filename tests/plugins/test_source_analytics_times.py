"""Times are recognised by type and range, and said; what is not clear is an error, never a guess."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from tailrace_source_analytics.options import AnalyticsOptions
from tailrace_source_analytics.times import read_times, shape

from tailrace import OptionError, SourceError

MOMENT = datetime(2026, 8, 15, 0, 24, 5, tzinfo=UTC)
MICROS = 1_786_753_445_000_000


def converted(
    values: Sequence[Any], dtype: Any = None, **options: Any
) -> tuple[list[datetime | None], str, pl.DataType]:
    """What values become, what is said, and the type."""
    column = pl.Series("when", values, dtype=dtype)
    reading = read_times("when", column.dtype, column, AnalyticsOptions(**options))
    if reading.convert is not None:
        result = reading.convert(column)
    else:
        assert reading.native is not None
        result = column.to_frame().select(reading.native(pl.col("when"))).to_series()
    assert result.dtype == reading.dtype
    return result.to_list(), reading.said, result.dtype


@pytest.mark.parametrize(
    ("text", "moment", "said"),
    [
        ("2026-08-15T00:24:05Z", MOMENT, "ISO 8601 text with its zone"),
        ("2026-08-15T02:24:05+02:00", MOMENT, "ISO 8601 text with its zone"),
        ("2026-08-14 19:24:05-0500", MOMENT, "ISO 8601 text with its zone"),
        ("2026-08-15 00:24:05+00", MOMENT, "ISO 8601 text with its zone"),
        ("2026-08-15 00:24:05 +0000", MOMENT, "ISO 8601 text with its zone"),
        ("2026-08-15T00:24:05.5Z", MOMENT + timedelta(microseconds=500_000), "ISO 8601 text with its zone"),
        ("2026-08-15T00:24Z", MOMENT - timedelta(seconds=5), "ISO 8601 text with its zone"),
        ("2026-08-15 00:24:05", MOMENT, "ISO 8601 text without a zone, read as UTC"),
        ("2026-08-15T00:24:05.000001", MOMENT + timedelta(microseconds=1), "ISO 8601 text without a zone, read as UTC"),
        ("2026-08-15 00:24", MOMENT - timedelta(seconds=5), "ISO 8601 text without a zone, read as UTC"),
        ("2026-08-15", datetime(2026, 8, 15, tzinfo=UTC), "ISO 8601 dates, read as midnight UTC"),
        ("15/Aug/2026:02:24:05 +0200", MOMENT, "text of the common log format with its zone"),
        ("[15/Aug/2026:00:24:05 +0000]", MOMENT, "text of the common log format with its zone"),
        ("1786753445", MOMENT, "epoch seconds, read as UTC"),
        ("1786753445.25", MOMENT + timedelta(milliseconds=250), "epoch seconds, read as UTC"),
        ("1786753445000", MOMENT, "epoch milliseconds, read as UTC"),
    ],
)
def test_text_is_recognised(text: str, moment: datetime, said: str) -> None:
    assert converted([text, None]) == ([moment, None], f"when: {said}", pl.Datetime("us", "UTC"))


@pytest.mark.parametrize(
    ("value", "dtype", "said"),
    [
        (MICROS // 10**6, pl.Int64, "seconds"),
        (MICROS // 10**6, pl.UInt32, "seconds"),
        (MICROS / 10**6, pl.Float64, "seconds"),
        (MICROS // 10**3, pl.Int64, "milliseconds"),
        (MICROS / 10**3, pl.Float64, "milliseconds"),
        (MICROS, pl.Int64, "microseconds"),
        (MICROS, pl.UInt64, "microseconds"),
        (MICROS * 1000, pl.Int64, "nanoseconds"),
        (float(MICROS * 1000), pl.Float64, "nanoseconds"),
    ],
)
def test_numbers_are_recognised_by_their_range(value: float, dtype: Any, said: str) -> None:
    unit = "ns" if said == "nanoseconds" else "us"
    expected = [MOMENT, None], f"when: epoch {said}, read as UTC", pl.Datetime(unit, "UTC")  # type: ignore[arg-type]
    assert converted([value, None], dtype) == expected


def test_fractions_of_epoch_seconds_are_exact_to_the_microsecond() -> None:
    values = [(MICROS + n * 7) / 10**6 for n in range(2_000)]
    assert converted(values)[0] == [MOMENT + timedelta(microseconds=n * 7) for n in range(2_000)]
    assert converted([f"{value:.6f}" for value in values])[0][999] == MOMENT + timedelta(microseconds=6993)


@pytest.mark.parametrize(
    ("value", "dtype", "moment", "said"),
    [
        (MOMENT, pl.Datetime("us", "UTC"), MOMENT, ""),
        (MOMENT, pl.Datetime("ms", "UTC"), MOMENT, ""),
        (MOMENT.replace(tzinfo=None), pl.Datetime("ms"), MOMENT, "when: times without a zone, read as UTC"),
        (MOMENT, pl.Datetime("us", "Asia/Tokyo"), MOMENT, "when: times of zone Asia/Tokyo, converted to UTC"),
        (date(2026, 8, 15), pl.Date, datetime(2026, 8, 15, tzinfo=UTC), "when: dates, read as midnight UTC"),
    ],
)
def test_typed_times_become_utc(value: Any, dtype: Any, moment: datetime, said: str) -> None:
    assert converted([value], dtype) == ([moment], said, pl.Datetime("us", "UTC"))


def test_nanoseconds_stay_nanoseconds() -> None:
    column = pl.Series("when", [1_786_753_445_000_000_001], dtype=pl.Int64)
    for dtype in (pl.Datetime("ns"), pl.Datetime("ns", "UTC"), pl.Datetime("ns", "Asia/Tokyo")):
        reading = read_times("when", dtype, column.cast(dtype), AnalyticsOptions())
        assert reading.native is not None
        result = column.cast(dtype).to_frame().select(reading.native(pl.col("when"))).to_series()
        assert (result.dtype, result.cast(pl.Int64).to_list()) == (pl.Datetime("ns", "UTC"), column.to_list())
    texts = pl.Series(["2026-08-15T00:24:05.000000001Z", "2026-08-15T00:24:05.123Z", "2026-08-15T00:24:05.0000000001Z"])
    reading = read_times("when", texts.dtype, texts, AnalyticsOptions())
    assert reading.convert is not None
    assert reading.convert(texts).cast(pl.Int64).to_list() == [
        1_786_753_445_000_000_001,
        1_786_753_445_123_000_000,
        None,
    ]


def test_decimals_are_never_cut_off() -> None:
    seen = pl.Series(["2026-08-15T00:24:05.123456Z"])
    reading = read_times("when", seen.dtype, seen, AnalyticsOptions())
    assert reading.convert is not None
    later = pl.Series(
        [
            "2026-08-15T00:24:05.1234560000Z",
            "2026-08-15T00:24:05.1234567+00:00",
            "2026-08-15T00:24:05Z",
            None,
            "2026-08-15T00:24:05.1234567Z",
        ]
    )
    assert reading.convert(later).is_null().to_list() == [False, True, False, True, True]


def test_one_column_may_use_t_and_blank() -> None:
    texts = ["2026-08-15T00:24:05Z"] + ["2026-08-15 00:24:05.0Z"] * 3 + ["2026-08-15 00:24Z", "2026-08-15T02:24+02:00"]
    minute = MOMENT - timedelta(seconds=5)
    assert converted(texts)[0] == [MOMENT] * 4 + [minute] * 2


@pytest.mark.parametrize(
    ("values", "looks"),
    [
        (
            ["2026-08-15T00:24:05Z", "2026-08-15T00:24:05"],
            "in more than one way: they look like '9999-99-99a99:99:99a'",
        ),
        (["2026-08-15", "1786753445"], "in more than one way"),
        (
            ["08/09/2026 10:00", "08/10/2026 10:00"],
            "in a way that is not recognised: they look like '99/99/9999 99:99'",
        ),
        (["hunter2", "hunter2"], "they look like 'aaaaaa9'"),
        ([MICROS // 10**6, MICROS // 10**3], "count in more than one unit: they look like 9999999999, 9999999999999"),
        ([1, 2, 3], "are not recognised as times: they look like 9"),
        ([0.25, 17.5], "are not recognised as times"),
        ([True], "is of type Boolean, which is no time"),
        ([timedelta(1)], "which is no time"),
    ],
)
def test_what_is_not_clear_is_an_error_that_shows_shapes(values: list[Any], looks: str) -> None:
    with pytest.raises(SourceError) as caught:
        converted(values)
    assert looks in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "--" in caught.value.hint


def test_a_few_values_that_are_no_times_are_bad_rows() -> None:
    assert converted(["2026-08-15T00:24:05Z"] * 3 + ["n/a"])[0] == [MOMENT] * 3 + [None]
    assert converted([MICROS] * 3 + [0])[0] == [MOMENT] * 3 + [None]
    assert converted(["1786753445"] * 9 + ["-", "nan", "1e400", "99999999999999999999"])[0] == [MOMENT] * 9 + [None] * 4
    assert converted([float("nan")] + [MICROS / 1e6] * 3 + [float("inf")])[0] == [None] + [MOMENT] * 3 + [None]


def test_options_decide() -> None:
    assert converted([5, 2**62], time_unit="s")[0] == [datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC), None]
    assert converted(["5", "x"], time_unit="ms")[0] == [datetime(1970, 1, 1, 0, 0, 0, 5000, tzinfo=UTC), None]
    assert converted([-1000], time_unit="ns")[0] == [datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    german = "%d.%m.%Y %H:%M:%S"
    assert converted(["15.08.2026 00:24:05", "x"], time_format=german) == (
        [MOMENT, None],
        f"when: text as {german}, read as UTC",
        pl.Datetime("us", "UTC"),
    )
    assert converted(["15.08.2026 02:24:05.5 +0200"], time_format=f"{german}.%f %z")[:2] == (
        [MOMENT + timedelta(milliseconds=500)],
        f"when: text as {german}.%f %z, with its zone",
    )
    assert converted(["15.08.2026"], time_format="%d.%m.%Y")[0] == [datetime(2026, 8, 15, tzinfo=UTC)]
    assert converted([20260815002405], time_format="%Y%m%d%H%M%S")[0] == [MOMENT]
    for form in ("%Q", "%", "", "%d.%m.%Y %H:%M:%S"):
        with pytest.raises(OptionError, match="whose values look like 'aaaaaa9'"):
            converted(["hunter2"], time_format=form)


def test_a_column_without_values() -> None:
    assert converted([None], pl.Null) == ([None], "when: no times in it", pl.Datetime("us", "UTC"))
    assert converted([None], pl.String)[0] == [None]
    assert converted([None], pl.Int64)[0] == [None]
    assert converted([None], pl.String, time_format="%Y")[0] == [None]
    reading = read_times("when", pl.String(), pl.Series(dtype=pl.String), AnalyticsOptions())
    assert reading.convert is not None
    assert reading.convert(pl.Series(["2026-08-15T00:24:05Z", "x"])).to_list() == [MOMENT, None]


def test_categories_of_text_are_text() -> None:
    assert converted(["2026-08-15T00:24:05Z"], pl.Categorical)[0] == [MOMENT]


def test_shapes_say_nothing() -> None:
    assert shape("Zürich-2026 é") == "aaaaaa-9999 a"
    assert shape("x" * 100) == "a" * 40 + "…"

"""The data behind a chart, as a table and in a few words."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from tailrace import Chart, Series, shown_value

if TYPE_CHECKING:
    import polars as pl

_FEW = 12
_MOST_SERIES = 4
_LARGEST = 2**63


def frame_of(chart: Chart, zone: str) -> "pl.DataFrame":
    """Everything that a chart draws: a row for each value of each series.

    Args:
        chart: The chart.
        zone: IANA zone of moments.
    """
    import polars as pl

    places = [place for series in chart.series for place in series.x]
    labels = [label for series in chart.series for label in [_encodable(series.label)] * len(series.x)]
    values = [None if value is None else float(value) for series in chart.series for value in series.y]
    if places and all(isinstance(place, datetime) for place in places):
        x = pl.Series("x", places, dtype=pl.Datetime("us", "UTC"), strict=False)
    elif places and all(
        isinstance(place, int) and not isinstance(place, bool) and abs(place) < _LARGEST for place in places
    ):
        x = pl.Series("x", places, dtype=pl.Int64)
    elif places and all(isinstance(place, int | float) and not isinstance(place, bool) for place in places):
        x = pl.Series("x", places, dtype=pl.Float64, strict=False)
    else:
        x = pl.Series(
            "x", [None if place is None else _encodable(shown_value(place, zone)) for place in places], dtype=pl.String
        )
    return pl.DataFrame([pl.Series("series", labels, dtype=pl.String), x, pl.Series("y", values, dtype=pl.Float64)])


def _encodable(text: str) -> str:
    """The text without halves of characters, which no file takes."""
    return text.encode(errors="replace").decode()


def few(chart: Chart, zone: str) -> list[tuple[str, str]]:
    """Names and values of a chart that has few of them; nothing of any other."""
    if chart.kind not in {"bar", "pie", "donut"} or len(chart.series) != 1 or len(chart.series[0].x) > _FEW:
        return []
    (series,) = chart.series
    return [(_place(x, zone), _value(y, chart.unit, zone)) for x, y in zip(series.x, series.y, strict=True)]


def in_words(chart: Chart, zone: str) -> Iterator[str]:
    """What a chart shows, in a sentence for each of its first series."""
    for series in chart.series[:_MOST_SERIES]:
        yield _sentence(series, chart, zone)
    if len(chart.series) > _MOST_SERIES:
        yield f"And {len(chart.series) - _MOST_SERIES} more."


def _sentence(series: Series, chart: Chart, zone: str) -> str:
    there = [(y, x) for x, y in zip(series.x, series.y, strict=True) if y is not None and y == y]  # noqa: PLR0124 - NaN
    name = series.label or chart.y_label or "Values"
    if not there:
        return f"{name}: no data."
    low, high = min(there, key=lambda pair: pair[0]), max(there, key=lambda pair: pair[0])
    missing = len(series.x) - len(there)
    gaps = f" {missing} without data." if missing else ""
    if low[0] == high[0]:
        return f"{name}: {_value(low[0], chart.unit, zone)} throughout.{gaps}"
    ends = " to ".join(f"{_value(y, chart.unit, zone)} ({_place(x, zone)})" for y, x in (low, high))
    last = f", last {_value(there[-1][0], chart.unit, zone)}" if isinstance(there[-1][1], datetime) else ""
    return f"{name}: {ends}{last}.{gaps}"


def _place(place: object, zone: str) -> str:
    if isinstance(place, datetime):
        return shown_value(place, zone).removesuffix(":00")
    # Codes and years, as the axes of charts have them.
    if isinstance(place, int) and not isinstance(place, bool):
        return str(place)
    return shown_value(place, zone)  # type: ignore[arg-type]  # a cell


def _value(value: float | None, unit: str, zone: str) -> str:
    whole = isinstance(value, float) and value.is_integer() and unit != "%" and abs(value) < 1e15  # noqa: PLR2004 - exact
    text = shown_value(int(value) if whole and value is not None else value, zone, unit=unit)
    return f"{text}{'' if unit == '%' else ' '}{unit}" if unit and value is not None else text

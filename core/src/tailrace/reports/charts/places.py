"""The places of series on one axis: moments, numbers, or categories in the order given."""

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import attrs

from tailrace.model.report import Cell, Chart
from tailrace.reports.charts.axes import place_label, seconds
from tailrace.reports.charts.setting import finite

_MOST_NUMBERS = 60
"""So many different numbers without a step are categories for bars: codes, years."""
_MOST_FILLED = 5000
"""Places that may be missing between those that there are, before they are not drawn one by one."""


@attrs.frozen
class Places:
    """Where things are on an axis.

    Args:
        kind: What they are.
        at: The places, in order: seconds, numbers, or 0, 1, 2 …
        labels: What categories are called.
        step: From place to place.
    """

    kind: Literal["times", "numbers", "names"]
    at: Sequence[float]
    labels: Sequence[str] = ()
    step: float = 1.0


def kind_of(chart: Chart) -> Literal["times", "numbers", "names"]:
    """What the places of a chart are."""
    values = [place for series in chart.series for place in series.x]
    if values and all(isinstance(place, datetime) for place in values):
        return "times"
    plain = all(isinstance(place, int | float) and not isinstance(place, bool) and finite(place) for place in values)
    return "numbers" if values and plain else "names"


def position(place: Cell) -> float:
    """A moment or number as a number."""
    return seconds(place) if isinstance(place, datetime) else float(place)  # type: ignore[arg-type]  # see kind_of


def laid_out(chart: Chart, zone: str) -> tuple[Places, list[dict[float, float]]]:
    """The places that bars and tiles stand at, and the values of each series by place.

    What is not a number that can be drawn has no value. Between the first and the last place there is one at every
    step, so that what was left out is seen to be missing.

    Args:
        chart: The data.
        zone: IANA zone of moments.
    """
    kind = kind_of(chart)
    everything = {place for series in chart.series for place in series.x}
    if kind == "numbers" and chart.x_step is None and len(everything) <= _MOST_NUMBERS:
        kind = "names"
        found = {place: number for number, place in enumerate(sorted(everything, key=position))}
    elif kind == "names":
        found = {}
        for series in chart.series:
            for place in series.x:
                found.setdefault(place, len(found))
    if kind == "names":
        labels = [place_label(place, zone) for place in found]
        values = [
            {float(found[x]): float(y) for x, y in zip(series.x, series.y, strict=True) if y is not None and finite(y)}
            for series in chart.series
        ]
        return Places("names", [float(number) for number in range(len(found))], labels), values
    there = sorted({position(place) for place in everything})
    step = chart.x_step or min((b - a for a, b in itertools.pairwise(there)), default=1.0)
    values = [
        {position(x): float(y) for x, y in zip(series.x, series.y, strict=True) if y is not None and finite(y)}
        for series in chart.series
    ]
    return Places(kind, _filled(there, step) if chart.x_step else there, step=step), values


def _filled(there: Sequence[float], step: float) -> list[float]:
    """The places, with those that are missing between two of them: one or more whole steps, but for a clock change."""
    filled: list[float] = []
    for place in there:
        if filled:
            missing = round((place - filled[-1]) / step) - 1
            if 0 < missing <= _MOST_FILLED:
                last = filled[-1]
                filled += [last + step * number for number in range(1, missing + 1)]
        filled.append(place)
    return filled

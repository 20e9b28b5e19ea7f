# Plotnine does not say what its functions take.
# mypy: allow-untyped-calls
"""Lines: broken where values are missing, with points where a line has only one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.model.report import Cell, Series
from tailrace.reports.charts.axes import Axis, number_axis, place_label, time_axis
from tailrace.reports.charts.names import name_axis
from tailrace.reports.charts.places import kind_of, position
from tailrace.reports.charts.setting import LINE, MOST_SERIES, OTHERS_INK, Setting, finite, frame
from tailrace.reports.charts.values import value_axis

if TYPE_CHECKING:
    from plotnine import ggplot

_STROKES: Sequence[Any] = (
    "solid",
    (0, (5, 2)),
    (0, (1, 1.2)),
    (0, (6, 2, 1, 2)),
    (0, (9, 2)),
    (0, (3, 1, 1, 1, 1, 1)),
)
_SHAPES = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "*")
_MOST_MARKED = 36
"""A series of more points has none drawn: they would be a thick line."""
_GAP = 1.5
"""Steps without a value, from which on a line is broken."""


@attrs.frozen
class _Run:
    """Points of a series that a line connects."""

    series: int
    x: list[float]
    y: list[float]


def lines(setting: Setting) -> "ggplot":
    """A line chart.

    Args:
        setting: The chart.
    """
    from plotnine import (
        aes,
        geom_line,
        geom_point,
        guide_legend,
        guides,
        scale_color_manual,
        scale_linetype_manual,
        scale_shape_manual,
        theme,
    )

    chart = setting.chart
    numbered, names = _positions(setting)
    runs = [run for number, series in enumerate(chart.series) for run in _runs(number, series, numbered, chart.x_step)]
    if not runs:
        return setting.empty("No data")
    told = chart.series[:MOST_SERIES]
    labels = [series.label for series in told]
    colours, strokes, shapes = setting.colours(len(told)), _cycled(_STROKES, len(told)), _cycled(_SHAPES, len(told))
    if len(chart.series) > MOST_SERIES:
        labels.append(f"{len(chart.series) - MOST_SERIES} others")
        colours, strokes, shapes = [*colours, OTHERS_INK], [*strokes, "solid"], [*shapes, "."]
    labels = setting.legend_labels(labels)
    keys = [f"{number:02}" for number in range(len(labels))]
    data = _columns(runs, keys)
    longest = max(len(run.x) for run in runs), max(len(series.x) for series in chart.series)
    alone = _columns([run for run in runs if len(run.x) == 1 or longest[1] <= _MOST_MARKED], keys)
    across = _across(setting, names)
    upwards = value_axis(setting, [value for run in runs for value in run.y], from_zero=False)
    points = [
        geom_point(aes(shape="series"), data=frame(alone), size=1.3),
        scale_shape_manual(values=shapes, labels=labels, limits=keys, name=" "),
    ]
    # Plotnine warns of lines that have one point each.
    connected = _columns([run for run in runs if len(run.x) > 1], keys)
    paths = [
        geom_line(aes(linetype="series"), data=frame(connected), size=0.75),
        scale_linetype_manual(values=strokes, labels=labels, limits=keys, name=" "),
    ]
    signs = ("color", *(["linetype"] if connected["x"] else []), *(["shape"] if alone["x"] else []))
    legend = guides(**{sign: guide_legend(ncol=setting.legend_columns(labels)) for sign in signs})
    return setting.plot(
        data,
        aes("x", "y", color="series", group="run"),
        scale_color_manual(values=colours, labels=labels, limits=keys, name=" "),
        paths if connected["x"] else None,
        points if alone["x"] else None,
        setting.theme(),
        setting.axes(across, upwards),
        legend if len(labels) > 1 else theme(legend_position="none"),
    )


def _positions(setting: Setting) -> tuple[dict[Cell, float], list[str]]:
    """Places as numbers, and the names of categories."""
    everything = [place for series in setting.chart.series for place in series.x]
    if kind_of(setting.chart) != "names":
        return {place: position(place) for place in everything}, []
    found = {place: float(number) for number, place in enumerate(dict.fromkeys(everything))}
    return found, [place_label(place, setting.zone) for place in found]


def _runs(number: int, series: Series, at: dict[Cell, float], step: float | None) -> list[_Run]:
    points = sorted(((at[x], y) for x, y in zip(series.x, series.y, strict=True)), key=lambda point: point[0])
    runs: list[_Run] = []
    broken = True
    for x, y in points:
        if y is None or not finite(y):
            broken = True
            continue
        if broken or (step and x - runs[-1].x[-1] > _GAP * step):
            runs.append(_Run(number, [], []))
        runs[-1].x.append(x)
        runs[-1].y.append(float(y))
        broken = False
    return runs


def _columns(runs: Sequence[_Run], keys: Sequence[str]) -> dict[str, list[Any]]:
    return {
        "x": [x for run in runs for x in run.x],
        "y": [y for run in runs for y in run.y],
        "series": [keys[min(run.series, len(keys) - 1)] for run in runs for _x in run.x],
        "run": [number for number, run in enumerate(runs) for _x in run.x],
    }


def _across(setting: Setting, names: Sequence[str]) -> Axis:
    chart = setting.chart
    if names:
        return name_axis(setting, [float(n) for n in range(len(names))], names)
    # As far as the places go, with and without values: a line that ends early is seen to do so.
    everything = [position(place) for series in chart.series for place in series.x]
    low, high = min(everything), max(everything)
    room = setting.width - 4 * LINE
    if kind_of(chart) == "times":
        axis = time_axis(low, high, setting.zone, room=room, title=chart.x_label)
    else:
        axis = number_axis(low, high, room=room, per_label=18, title=chart.x_label)
    margin = (axis.high - axis.low) * 0.012
    return attrs.evolve(axis, low=axis.low - margin, high=axis.high + margin)


def _cycled(values: Sequence[Any], count: int) -> list[Any]:
    return [values[number % len(values)] for number in range(count)]

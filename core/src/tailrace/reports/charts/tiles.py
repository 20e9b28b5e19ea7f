# Plotnine does not say what its functions take.
# mypy: allow-untyped-calls
"""Heat maps: a tile for each pair of row and column, in classes of shades that a legend names."""

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.reports.charts.axes import Axis, number_axis, round_step, thinned, time_axis
from tailrace.reports.charts.names import name_axis
from tailrace.reports.charts.places import laid_out
from tailrace.reports.charts.setting import LINE, MISSING, Setting, frame, mixed
from tailrace.reports.inks import CHART_INKS
from tailrace.reports.showing import shown_value

if TYPE_CHECKING:
    from plotnine import ggplot

_CLASSES = 5
_NONE = "99"


def tiles(setting: Setting) -> "ggplot":
    """A heat map.

    Args:
        setting: The chart: a row for each series.
    """
    from plotnine import aes, geom_rect, geom_segment, guide_legend, guides, scale_fill_manual

    chart = setting.chart
    places, values = laid_out(chart, setting.zone)
    found = [value for series in values for value in series.values()]
    if not found:
        return setting.empty("No data")
    bounds = _bounds(setting, found)
    half = places.step / 2
    columns: dict[str, list[Any]] = {"left": [], "right": [], "low": [], "high": [], "class": []}
    for row, series in enumerate(values):
        for place in places.at:
            value = series.get(place)
            columns["left"].append(place - half)
            columns["right"].append(place + half)
            columns["low"].append(-row - 0.5)
            columns["high"].append(-row + 0.5)
            columns["class"].append(_NONE if value is None else f"{_class_of(value, bounds):02}")
    keys = [f"{number:02}" for number in range(len(bounds) - 1)]
    labels = _labels(setting, bounds)
    shades = _shades(setting.palette[0], len(keys))
    if _NONE in columns["class"]:
        keys, labels, shades = [*keys, _NONE], [*labels, MISSING], [*shades, CHART_INKS["paper"]]
    labels = setting.legend_labels(labels)
    across, upwards = _across(setting, places, half), _rows(setting)
    beside = max(map(setting.text_width, upwards.labels)) + 2
    crosses = [
        (left, right, low, high)
        for left, right, low, high, kind in zip(*columns.values(), strict=True)
        if kind == _NONE
    ]
    line = {"inherit_aes": False, "color": CHART_INKS["quiet"], "size": 0.35}
    return setting.plot(
        columns,
        aes(xmin="left", xmax="right", ymin="low", ymax="high", fill="class"),
        geom_rect(color=CHART_INKS["paper"], size=0.35),
        geom_segment(aes("x", "y", xend="xend", yend="yend"), data=_crossed(crosses), **line) if crosses else None,
        scale_fill_manual(values=shades, labels=labels, limits=keys, name=" "),
        setting.theme(rotated=across.rotated),
        setting.axes(across, upwards),
        guides(fill=guide_legend(ncol=setting.legend_columns(labels, beside))),
    )


def _bounds(setting: Setting, found: Sequence[float]) -> list[float]:
    """Bounds of classes, round numbers."""
    low, high = min(found), max(found)
    if setting.chart.y_range is not None:
        low, high = min(low, setting.chart.y_range[0]), max(high, setting.chart.y_range[1])
    elif 0 < low < high / 2:
        low = 0.0
    if low == high:
        return [low, high]
    step = round_step(high - low, _CLASSES)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [step * number for number in range(first, last + 1)]


def _class_of(value: float, bounds: Sequence[float]) -> int:
    for number in range(len(bounds) - 2):
        if value < bounds[number + 1]:
            return number
    return len(bounds) - 2


def _labels(setting: Setting, bounds: Sequence[float]) -> list[str]:
    unit = setting.chart.unit
    suffix = "%" if unit == "%" else f" {unit}" if unit else ""

    def number(value: float) -> str:
        rounded = float(f"{value:.12g}")
        return shown_value(int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded, setting.zone)  # noqa: PLR2004

    if bounds[0] == bounds[-1]:
        return [number(bounds[0]) + suffix]
    return [f"{number(low)} to {number(high)}{suffix}" for low, high in itertools.pairwise(bounds)]


def _shades(colour: str, count: int) -> list[str]:
    """From light to dark, evenly: told apart in grey, too."""
    light, dark = mixed(colour, "#ffffff", 0.86), mixed(colour, "#000000", 0.45)
    if count == 1:
        return [mixed(colour, "#ffffff", 0.3)]
    shades = []
    for number in range(count):
        share = number / (count - 1)
        shades.append(mixed(light, colour, share / 0.6) if share < 0.6 else mixed(colour, dark, (share - 0.6) / 0.4))  # noqa: PLR2004
    return shades


def _across(setting: Setting, places: Any, half: float) -> Axis:
    chart = setting.chart
    if places.kind == "names":
        axis = name_axis(setting, places.at, places.labels)
        return attrs.evolve(axis, low=places.at[0] - half, high=places.at[-1] + half)
    low, high, room = places.at[0] - half, places.at[-1] + half, setting.width * 0.75
    if places.kind == "times":
        return time_axis(low, high, setting.zone, room=room, title=chart.x_label)
    return number_axis(low, high, room=room, per_label=16, title=chart.x_label)


def _rows(setting: Setting) -> Axis:
    series = setting.chart.series
    kept = thinned(len(series), setting.height - 5 * LINE, LINE * 0.9)
    labels = [setting.text(series[n].label, setting.width * 0.3) for n in kept]
    return Axis(-len(series) + 0.5, 0.5, [-float(n) for n in kept], labels, setting.chart.y_label)


def _crossed(tiles: Sequence[tuple[float, float, float, float]]) -> Any:
    """A small cross in the middle of each tile."""
    inner = [
        (
            left + (right - left) * 0.36,
            right - (right - left) * 0.36,
            low + (high - low) * 0.34,
            high - (high - low) * 0.34,
        )
        for left, right, low, high in tiles
    ]
    return frame(
        {
            "x": [one[0] for one in inner] * 2,
            "xend": [one[1] for one in inner] * 2,
            "y": [one[2] for one in inner] + [one[3] for one in inner],
            "yend": [one[3] for one in inner] + [one[2] for one in inner],
        }
    )

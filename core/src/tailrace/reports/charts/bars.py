# Plotnine does not say what its functions take.
# mypy: allow-untyped-calls
"""Bars: side by side, on top of each other, and of a histogram; with a mark where there is no value."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.reports.charts.axes import Axis, number_axis, time_axis
from tailrace.reports.charts.names import name_axis
from tailrace.reports.charts.places import Places, laid_out
from tailrace.reports.charts.setting import CROSS, LINE, MISSING, MOST_SERIES, OTHERS_INK, TEXT, Setting, frame
from tailrace.reports.charts.values import value_axis
from tailrace.reports.inks import CHART_INKS
from tailrace.reports.showing import shown_value

if TYPE_CHECKING:
    from plotnine import ggplot

_MOST_VALUES = 40
"""More bars than that have no values written at them."""


@attrs.frozen
class _Bar:
    """One bar: where it is across, and what it stands for."""

    series: int
    left: float
    right: float
    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2

    @property
    def end(self) -> float:
        return self.high if self.high > 0 or self.low == 0 else self.low


def bars(setting: Setting) -> "ggplot":
    """A chart of bars side by side or on top of each other.

    Args:
        setting: The chart.
    """
    chart = setting.chart
    places, values = laid_out(chart, setting.zone)
    if not any(values):
        return setting.empty("No data")
    labels = [series.label for series in chart.series]
    stacked = chart.kind == "stacked"
    if stacked and len(values) > MOST_SERIES:
        values = [*values[: MOST_SERIES - 1], _summed(values[MOST_SERIES - 1 :])]
        labels = [*labels[: MOST_SERIES - 1], f"{len(labels) - MOST_SERIES + 1} others"]
    drawn, missing = (_stacked if stacked else _side_by_side)(places, values)
    colours = setting.colours(len(labels))
    if len(chart.series) > MOST_SERIES:
        colours[MOST_SERIES - (1 if stacked else 0) :] = [OTHERS_INK] * (
            len(colours) - MOST_SERIES + (1 if stacked else 0)
        )
    return _drawn(setting, places, drawn, missing, setting.legend_labels(labels), colours)


def histogram(setting: Setting) -> "ggplot":
    """A histogram: bars from bound to bound, without gaps.

    Args:
        setting: The chart, with one series.
    """
    chart = setting.chart
    single = attrs.evolve(setting, chart=attrs.evolve(chart, series=chart.series[:1]))
    places, values = laid_out(single.chart, setting.zone)
    if not any(values):
        return setting.empty("No data")
    drawn, missing = _side_by_side(places, values, fill=1.0)
    if places.kind == "names":
        return _drawn(single, places, drawn, missing, [""], setting.colours(1))
    # The bars begin at their bounds, and the names of the bounds stand between them.
    shift = places.step / 2
    drawn = [attrs.evolve(bar, left=bar.left + shift, right=bar.right + shift) for bar in drawn]
    missing = [(x + shift, y) for x, y in missing]
    return _drawn(single, places, drawn, missing, [""], setting.colours(1))


def _summed(parts: Sequence[Mapping[float, float]]) -> dict[float, float]:
    total: dict[float, float] = {}
    for part in parts:
        for place, value in part.items():
            total[place] = total.get(place, 0.0) + value
    return total


def _side_by_side(
    places: Places, values: Sequence[Mapping[float, float]], fill: float | None = None
) -> tuple[list[_Bar], list[tuple[float, float]]]:
    """Bars, and where the marks are of those that there are not."""
    share = fill or (0.72 if places.kind == "names" else 0.86)
    wide = places.step * share / len(values)
    drawn, missing = [], []
    for number, series in enumerate(values):
        for place in places.at:
            left = place - places.step * share / 2 + wide * number
            value = series.get(place)
            if value is None:
                missing.append((left + wide / 2, 0.0))
            else:
                drawn.append(_Bar(number, left, left + wide, min(value, 0.0), max(value, 0.0)))
    return drawn, missing


def _stacked(places: Places, values: Sequence[Mapping[float, float]]) -> tuple[list[_Bar], list[tuple[float, float]]]:
    """The same, on top of each other; what is below zero goes down from it."""
    wide = places.step * (0.72 if places.kind == "names" else 0.86)
    drawn, missing = [], []
    for place in places.at:
        top = bottom = 0.0
        for number, series in enumerate(values):
            value = series.get(place)
            if value is None or not value:
                continue
            low, high = (top, top + value) if value > 0 else (bottom + value, bottom)
            top, bottom = max(top, high), min(bottom, low)
            drawn.append(_Bar(number, place - wide / 2, place + wide / 2, low, high))
        if any(place not in series for series in values):
            missing.append((place, top))
    return drawn, missing


def _drawn(
    setting: Setting,
    places: Places,
    drawn: Sequence[_Bar],
    missing: Sequence[tuple[float, float]],
    labels: Sequence[str],
    colours: Sequence[str],
) -> "ggplot":
    from plotnine import aes, geom_hline, geom_rect, geom_vline, guide_legend, guides, scale_fill_manual, theme

    lying = setting.chart.horizontal and places.kind == "names"
    keys = [f"{number:03}" for number in range(len(labels))]
    ends = [value for bar in drawn for value in (bar.low, bar.high)] or [0.0]
    upwards = value_axis(setting, ends, from_zero=True, along=setting.width * 0.6 if lying else None)
    written = _values(setting, drawn, places, lying=lying)
    if written:
        upwards = _longer(setting, upwards, written, lying=lying)
    span = upwards.high - upwards.low
    across = _across(setting, places, drawn, missing, lying=lying)
    if lying:
        across, upwards = upwards, across
    gap = _gap(drawn, setting, places)
    zero: dict[str, Any] = {"color": CHART_INKS["rule"], "size": 0.4}
    several = len(labels) > 1
    return setting.plot(
        _columns(drawn, keys, lying=lying),
        aes(xmin="left", xmax="right", ymin="low", ymax="high", fill="series"),
        geom_rect(**gap),
        geom_vline(xintercept=0, **zero) if lying else geom_hline(yintercept=0, **zero),
        scale_fill_manual(values=list(colours), labels=list(labels), limits=keys, name=" "),
        _marked(missing, lying=lying) if missing else None,
        list(_written(written, span, lying=lying)),
        setting.theme(upright=not lying, rotated=across.rotated),
        setting.axes(across, upwards, note=MISSING if missing else ""),
        guides(fill=guide_legend(ncol=setting.legend_columns(labels))) if several else theme(legend_position="none"),
    )


def _marked(missing: Sequence[tuple[float, float]], *, lying: bool) -> Any:
    """A small cross for each value that is missing."""
    from plotnine import aes, geom_text

    across, along = [x for x, _y in missing], [y for _x, y in missing]
    marks = {"x": along, "y": [-one for one in across]} if lying else {"x": across, "y": along}
    return geom_text(
        aes("x", "y", label="label"),
        data=frame({**marks, "label": [CROSS] * len(missing)}),
        inherit_aes=False,
        size=TEXT,
        color=CHART_INKS["quiet"],
        ha="left" if lying else "center",
        va="center" if lying else "bottom",
    )


def _gap(drawn: Sequence[_Bar], setting: Setting, places: Places) -> dict[str, Any]:
    """A line of paper around bars that touch, where they are wide enough to lose some of it."""
    slot = setting.width * 0.8 / max(1, len(places.at))
    touching = setting.chart.kind in {"stacked", "histogram"} or len({bar.series for bar in drawn}) > 1
    return {"color": CHART_INKS["paper"], "size": 0.3} if touching and slot > 1.2 else {"color": None}  # noqa: PLR2004 - mm


def _columns(drawn: Sequence[_Bar], keys: Sequence[str], *, lying: bool) -> dict[str, list[Any]]:
    series = [keys[bar.series] for bar in drawn]
    if lying:
        return {
            "left": [bar.low for bar in drawn],
            "right": [bar.high for bar in drawn],
            "low": [-bar.right for bar in drawn],
            "high": [-bar.left for bar in drawn],
            "series": series,
        }
    return {
        "left": [bar.left for bar in drawn],
        "right": [bar.right for bar in drawn],
        "low": [bar.low for bar in drawn],
        "high": [bar.high for bar in drawn],
        "series": series,
    }


def _across(
    setting: Setting,
    places: Places,
    drawn: Sequence[_Bar],
    missing: Sequence[tuple[float, float]],
    *,
    lying: bool,
) -> Axis:
    if places.kind == "names":
        return name_axis(setting, places.at, places.labels, lying=lying)
    chart = setting.chart
    low = min([bar.left for bar in drawn] + [x - places.step / 2 for x, _y in missing])
    high = max([bar.right for bar in drawn] + [x + places.step / 2 for x, _y in missing])
    room = setting.width - 4 * LINE
    if places.kind == "times":
        return time_axis(low, high, setting.zone, room=room, title=chart.x_label)
    return number_axis(low, high, room=room, per_label=16, title=chart.x_label)


def _values(setting: Setting, drawn: Sequence[_Bar], places: Places, *, lying: bool) -> list[tuple[_Bar, str]]:
    """The bars with their values as texts, where there is room for all of them."""
    chart = setting.chart
    if chart.kind != "bar" or len(chart.series) != 1 or len(drawn) > _MOST_VALUES or places.kind != "names":
        return []
    unit = "%" if chart.unit == "%" else ""
    texts = [(bar, _number(bar.high or bar.low, chart.unit, setting.zone) + unit) for bar in drawn]
    if lying:
        return texts if (setting.height - 3 * LINE) / max(1, len(places.at)) >= LINE * 0.85 else []
    slot = (setting.width - 4 * LINE) / max(1, len(places.at))
    return texts if all(setting.text_width(text) < slot for _bar, text in texts) else []


def _number(value: float, unit: str, zone: str) -> str:
    whole = value.is_integer() and unit != "%" and abs(value) < 1e15  # noqa: PLR2004 - exact as it is
    return shown_value(int(value) if whole else value, zone, unit=unit)


def _longer(setting: Setting, axis: Axis, written: Sequence[tuple[_Bar, str]], *, lying: bool) -> Axis:
    """An axis with room for the values at the ends of the bars."""
    widest = max(setting.text_width(text) for _bar, text in written) + 2 if lying else LINE
    share = widest / (setting.width * 0.6 if lying else max(10.0, setting.height - 5 * LINE))
    more = (axis.high - axis.low) * min(0.5, share)
    up = any(bar.high > 0 or bar.low == 0 for bar, _text in written)
    down = any(bar.low < 0 for bar, _text in written)
    return attrs.evolve(axis, low=axis.low - (more if down else 0), high=axis.high + (more if up else 0))


def _written(written: Sequence[tuple[_Bar, str]], span: float, *, lying: bool) -> Iterator[Any]:
    from plotnine import aes, geom_text

    for upwards in (True, False):
        some = [(bar, text) for bar, text in written if (bar.end >= 0) == upwards]
        if not some:
            continue
        away = span * 0.012 * (1 if upwards else -1) if lying else 0.0
        ends, middles = [bar.end + away for bar, _text in some], [bar.middle for bar, _text in some]
        places = {"x": ends, "y": [-one for one in middles]} if lying else {"x": middles, "y": ends}
        across, along = ("left" if upwards else "right", "center"), ("center", "bottom" if upwards else "top")
        ha, va = across if lying else along
        yield geom_text(
            aes("x", "y", label="label"),
            data=frame({**places, "label": [text for _bar, text in some]}),
            inherit_aes=False,
            size=TEXT,
            color=CHART_INKS["text"],
            ha=ha,
            va=va,
        )

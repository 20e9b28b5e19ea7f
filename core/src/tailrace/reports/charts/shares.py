# Plotnine does not say what its functions take.
# mypy: allow-untyped-calls
"""Pies and donuts: arcs as polygons, with names and shares written beside them."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.reports.charts.axes import place_label
from tailrace.reports.charts.setting import LINE, OTHERS_INK, TEXT, Setting, finite, frame
from tailrace.reports.inks import CHART_INKS
from tailrace.reports.showing import shown_value

if TYPE_CHECKING:
    from plotnine import ggplot

_MOST = 9
_HOLE = 0.58
_STEP = math.radians(3)


@attrs.frozen
class _Part:
    label: str
    value: float
    colour: str
    begin: float
    end: float

    @property
    def middle(self) -> float:
        return (self.begin + self.end) / 2


@attrs.frozen
class _Label:
    text: str
    x: float
    y: float
    at: tuple[float, float]
    right: bool


def shares(setting: Setting) -> "ggplot":
    """A pie or donut, all in millimetres.

    Args:
        setting: The chart, with one series.
    """
    from plotnine import aes, coord_cartesian, geom_polygon, geom_segment, scale_fill_identity

    chart = setting.chart
    pairs = [(x, y) for series in chart.series[:1] for x, y in zip(series.x, series.y, strict=True)]
    usable = [(place_label(x, setting.zone), float(y)) for x, y in pairs if y is not None and finite(y) and y > 0]
    missing = [place_label(x, setting.zone) for x, y in pairs if y is None or not finite(y)]
    negative = [place_label(x, setting.zone) for x, y in pairs if y is not None and finite(y) and y < 0]
    total = sum(value for _label, value in usable)
    reasons = ((missing, "no data"), (negative, "below zero"))
    note = "; ".join(f"Without {', '.join(names)}: {why}" for names, why in reasons if names)
    if not usable:
        return setting.empty("No data: nothing to share" if pairs else "No data")
    height = setting.height - (LINE + 0.6 if note else 0)
    parts = _parts(setting, usable, total, height)
    # As large as the longest name leaves room for, within reason.
    beside = max(setting.text_width(setting.text(part.label, setting.width)) for part in parts) + 19
    radius = max(4.0, min(height / 2 - 2, max(setting.width * 0.13, setting.width / 2 - beside)))
    hole = radius * _HOLE if chart.kind == "donut" else 0.0
    outline = {"x": [], "y": [], "part": [], "fill": []}  # type: dict[str, list[Any]]
    middle = (setting.width / 2, setting.height - height / 2)
    for number, part in enumerate(parts):
        points = _arc(part, radius, hole)
        outline["x"] += [middle[0] + x for x, _y in points]
        outline["y"] += [middle[1] + y for _x, y in points]
        outline["part"] += [number] * len(points)
        outline["fill"] += [part.colour] * len(points)
    labels = _labels(setting, parts, total, radius, middle, height)
    edge = {"color": CHART_INKS["paper"], "size": 0.5} if len(parts) > 1 else {"color": None}
    written = [
        _written([(one.x, one.y, one.text) for one in labels if one.right == right], "left" if right else "right")
        for right in (True, False)
        if any(one.right == right for one in labels)
    ]
    if hole:
        unit = f" {chart.unit}" if chart.unit and chart.unit != "%" else chart.unit
        text = setting.text(_number(total, chart.unit, setting.zone) + unit, hole * 1.4)
        written.append(_written([(*middle, text)], "center", size=TEXT + 2.5))
    if note:
        line = (1.0, LINE / 2 + 0.3, setting.text(note, setting.width - 2))
        written.append(_written([line], "left", ink="quiet"))
    leader = {"inherit_aes": False, "color": CHART_INKS["rule"], "size": 0.35}
    return setting.plot(
        outline,
        aes("x", "y", group="part", fill="fill"),
        geom_polygon(**edge),
        scale_fill_identity(),
        geom_segment(aes("x", "y", xend="xend", yend="yend"), data=_leaders(labels), **leader),
        written,
        coord_cartesian(xlim=(0, setting.width), ylim=(0, setting.height), expand=False),
        setting.bare(),
    )


def _written(lines: Sequence[tuple[float, float, str]], align: str, *, size: float = TEXT, ink: str = "text") -> Any:
    from plotnine import aes, geom_text

    columns = {name: [line[n] for line in lines] for n, name in enumerate(("x", "y", "label"))}
    return geom_text(
        aes("x", "y", label="label"),
        data=frame(columns),
        inherit_aes=False,
        size=size,
        color=CHART_INKS[ink],
        ha=align,
        va="center",
    )


def _parts(setting: Setting, usable: Sequence[tuple[str, float]], total: float, height: float) -> list[_Part]:
    most = max(2, min(_MOST, int(height / LINE) * 2 - 2))
    kept = list(usable)
    others = ""
    if len(kept) > most:
        # The largest stay, in the order given; the rest is one part.
        largest = sorted(sorted(range(len(kept)), key=lambda n: -kept[n][1])[: most - 1])
        rest = sum(value for n, (_label, value) in enumerate(kept) if n not in largest)
        others = f"{len(kept) - len(largest)} others"
        kept = [*(kept[n] for n in largest), (others, rest)]
    colours = setting.colours(len(kept))
    if others:
        colours[-1] = OTHERS_INK
    parts, done = [], 0.0
    for (label, value), colour in zip(kept, colours, strict=True):
        begin, done = done, done + value
        parts.append(_Part(label, value, colour, _angle(begin / total), _angle(done / total)))
    return parts


def _angle(share: float) -> float:
    return math.tau * share


def _arc(part: _Part, radius: float, hole: float) -> list[tuple[float, float]]:
    """The outline of a part; angles go clockwise from the top."""
    count = max(2, math.ceil((part.end - part.begin) / _STEP) + 1)
    angles = [part.begin + (part.end - part.begin) * number / (count - 1) for number in range(count)]
    outer = [(radius * math.sin(angle), radius * math.cos(angle)) for angle in angles]
    inner = [(hole * math.sin(angle), hole * math.cos(angle)) for angle in reversed(angles)] if hole else [(0.0, 0.0)]
    whole = part.end - part.begin >= math.tau - 1e-9
    return outer if whole and not hole else [*outer, *inner]


def _labels(
    setting: Setting, parts: Sequence[_Part], total: float, radius: float, middle: tuple[float, float], height: float
) -> list[_Label]:
    labels = []
    for right in (True, False):
        side = [part for part in parts if (math.sin(part.middle) >= 0) == right]
        side.sort(key=lambda part: math.cos(part.middle))
        wished = [middle[1] + radius * math.cos(part.middle) for part in side]
        x = middle[0] + (radius + 5) * (1 if right else -1)
        room = max(6.0, setting.width / 2 - radius - 6.5)
        for part, y in zip(
            side, _apart(wished, setting.height - height + LINE / 2, setting.height - LINE / 2), strict=True
        ):
            share = f" {shown_value(100 * part.value / total, setting.zone, unit='%')}%"
            name = setting.text(part.label, max(3.0, room - setting.text_width(share)))
            at = (middle[0] + radius * math.sin(part.middle), middle[1] + radius * math.cos(part.middle))
            labels.append(_Label(name + share, x, y, at, right))
    return labels


def _apart(wished: Sequence[float], low: float, high: float) -> list[float]:
    """Heights, from below to above, that are a line apart and as near to what is wished as that allows."""
    placed: list[float] = []
    for one in wished:
        placed.append(max(one, low, placed[-1] + LINE if placed else low))
    for number in range(len(placed) - 1, -1, -1):
        placed[number] = min(placed[number], high if number == len(placed) - 1 else placed[number + 1] - LINE)
    return placed


def _leaders(labels: Sequence[_Label]) -> Any:
    side = [1 if label.right else -1 for label in labels]
    bend = [label.x - 2.2 * sign for label, sign in zip(labels, side, strict=True)]
    return frame(
        {
            "x": [label.at[0] for label in labels] + bend,
            "y": [label.at[1] for label in labels] + [label.y for label in labels],
            "xend": bend + [label.x - 0.8 * sign for label, sign in zip(labels, side, strict=True)],
            "yend": [label.y for label in labels] * 2,
        }
    )


def _number(value: float, unit: str, zone: str) -> str:
    return shown_value(int(value) if value.is_integer() and abs(value) < 1e15 else value, zone, unit=unit)  # noqa: PLR2004

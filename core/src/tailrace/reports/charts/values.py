"""The axis of values: from zero where that is honest, and never shorter than the data."""

from collections.abc import Sequence

import attrs

from tailrace.reports.charts.axes import Axis, number_axis
from tailrace.reports.charts.setting import LINE, Setting


def value_axis(setting: Setting, values: Sequence[float], *, from_zero: bool, along: float | None = None) -> Axis:
    """The axis of values.

    Args:
        setting: The chart.
        values: All of them, at least one.
        from_zero: Whether zero has to be on it: the length of a bar means something only then.
        along: Length of the axis in millimetres; that of one that goes upwards when not given.
    """
    chart = setting.chart
    low, high = min(values), max(values)
    if from_zero or 0 <= low < high * 0.6:
        low, high = min(low, 0.0), max(high, 0.0)
    if chart.y_range is not None:
        low, high = min(low, chart.y_range[0]), max(high, chart.y_range[1])
    if low == high == 0:
        high = 1.0
    room = along if along is not None else max(8.0, setting.height - 5 * LINE)
    axis = number_axis(
        low, high, room=room, per_label=7.5 if along is None else 18, unit=chart.unit, title=chart.y_label
    )
    # Room for what is drawn at the very end, such as the width of a line.
    margin = (axis.high - axis.low) * 0.025
    return attrs.evolve(axis, low=axis.low - (margin if low else 0.0), high=axis.high + margin)

"""Axes of categories: names side by side, upright where they are too long, shortened where nothing else helps."""

from collections.abc import Sequence

from tailrace.reports.charts.axes import Axis, thinned
from tailrace.reports.charts.setting import LINE, Setting

_SHARE = 0.34
"""Of the width or height that names may take from what they name."""
_BESIDE_LEGEND = 0.7
"""Of the height that a legend leaves; titles and a note need four lines of that."""


def name_axis(setting: Setting, at: Sequence[float], names: Sequence[str], *, lying: bool = False) -> Axis:
    """An axis of names at the places 0, 1, 2 and so on.

    Args:
        setting: The chart.
        at: The places.
        names: Their names.
        lying: Whether the axis goes upwards, with the first name on top.
    """
    title = setting.chart.x_label
    if lying:
        kept = thinned(len(at), setting.height - 3 * LINE, LINE)
        most = setting.width * _SHARE
        return Axis(-len(at) + 0.4, 0.6, [-at[n] for n in kept], [setting.text(names[n], most) for n in kept], title)
    room = setting.width - 4 * LINE
    low, high = (at[0] - 0.6, at[-1] + 0.6) if at else (0.0, 1.0)
    slot = room / max(1, len(at))
    most = max(LINE, min(setting.height * _SHARE, setting.height * _BESIDE_LEGEND - 4 * LINE))
    full = [setting.text(name, most) for name in names]
    widest = max((setting.text_width(name) for name in full), default=0.0)
    ordered = all(len(name) <= 5 for name in names)  # noqa: PLR2004 - hours, codes: some of them name the rest
    if widest + 1.5 <= slot or ordered:
        kept = thinned(len(at), room, widest + 2.0)
        return Axis(low, high, [at[n] for n in kept], [full[n] for n in kept], title)
    kept = thinned(len(at), room, LINE)
    return Axis(low, high, [at[n] for n in kept], [full[n] for n in kept], title, rotated=True)

# Plotnine does not say what its functions take.
# mypy: allow-untyped-calls
"""What all kinds of charts have in common: size, theme, colours, and how a plot becomes a figure."""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.model.report import Chart
from tailrace.reports.charts.axes import Axis
from tailrace.reports.charts.lettering import Lettering
from tailrace.reports.inks import CHART_INKS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from plotnine import ggplot

TEXT = 7.5
"""Points."""
LINE = 3.4
"""Millimetres that a line of text needs."""
MOST_SERIES = 10
"""More are not told apart: the rest is drawn as others."""
OTHERS_INK = "#9aa2ab"
CROSS = "\N{MULTIPLICATION SIGN}"
MISSING = f"{CROSS} no data"
"""What stands where a value is missing, and what that means."""
_INCH = 25.4
_KEY = 8.0
"""Millimetres of a legend that an entry needs beside its text."""
_LEGEND = 0.3
"""Share of the height that a legend may take."""
_DRAWING = threading.RLock()


@contextmanager
def chart_drawing(settings: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Matplotlib as documents need it, whatever the host has set; as it was before, afterwards.

    Its settings are those of the whole process, so that there is one thread at a time in here. For saving figures, too.

    Args:
        settings: Further settings of matplotlib by name, such as ``svg.fonttype``.
    """
    import matplotlib as mpl

    with _DRAWING, mpl.rc_context():
        mpl.rcdefaults()
        chosen: dict[Any, Any] = {"text.parse_math": False, "text.usetex": False, **(settings or {})}
        mpl.rcParams.update(chosen)
        yield


@attrs.frozen
class Setting:
    """One chart that is being drawn.

    Args:
        chart: The data.
        width: Width in millimetres.
        height: Height in millimetres.
        zone: IANA zone of moments.
        palette: Colours of series.
        lettering: What texts are set in.
    """

    chart: Chart
    width: float
    height: float
    zone: str
    palette: Sequence[str]
    lettering: Lettering

    def colours(self, count: int) -> list[str]:
        """A colour for each series: those of the palette, then lighter ones of them."""
        return [_lighter(self.palette[n % len(self.palette)], n // len(self.palette)) for n in range(count)]

    def text(self, text: str, most: float) -> str:
        """A text that fits a width in millimetres."""
        return self.lettering.shortened(self.lettering.readable(text), TEXT, most)

    def text_width(self, text: str) -> float:
        """Width of a text in millimetres."""
        return self.lettering.width(text, TEXT)

    def plot(self, columns: Mapping[str, Sequence[Any]], mapping: Any, *parts: Any) -> "ggplot":
        """A plot of parts; sequences of parts, and None, are taken as well.

        Args:
            columns: The data.
            mapping: What its columns stand for.
            parts: Layers, scales, themes and so on.
        """
        from plotnine import ggplot

        plot = ggplot(frame(columns), mapping)
        for part in parts:
            # In place: "+" copies everything that is there so far.
            for one in part if isinstance(part, list) else [part]:
                if one is not None:
                    plot += one
        return plot

    def empty(self, why: str) -> "ggplot":
        """A plot that says that there is nothing to be seen."""
        from plotnine import aes, coord_cartesian, geom_text

        return self.plot(
            {"x": [0.0], "y": [0.0], "label": [self.text(why, self.width - 4)]},
            aes("x", "y", label="label"),
            geom_text(size=TEXT + 0.5, color=CHART_INKS["quiet"]),
            coord_cartesian(xlim=(-1, 1), ylim=(-1, 1), expand=False),
            self.bare(),
        )

    def bare(self) -> Any:
        """The theme of plots without axes: everything is panel."""
        from plotnine import element_blank, theme, theme_void

        blank = element_blank()
        return theme_void(base_size=TEXT, base_family=self.lettering.families[0]) + theme(
            figure_size=(self.width / _INCH, self.height / _INCH),
            dpi=72,
            plot_margin=0,
            plot_background=blank,
            panel_background=blank,
            legend_position="none",
        )

    def theme(self, *, upright: bool = True, rotated: bool = False) -> Any:
        """The theme of plots with axes.

        Args:
            upright: Whether values go upwards: the grid lies across them.
            rotated: Whether the names below are upright, too.
        """
        from plotnine import element_blank, element_line, element_rect, element_text, theme, theme_minimal

        blank = element_blank()
        grid = element_line(color=CHART_INKS["grid"], size=0.5)
        quiet = element_text(color=CHART_INKS["quiet"], size=TEXT)
        beside = element_text(color=CHART_INKS["quiet"], size=TEXT, margin={"r": 3, "unit": "pt"})
        below = element_text(
            color=CHART_INKS["quiet"],
            size=TEXT,
            margin={"t": 4, "unit": "pt"},
            rotation=90 if rotated else None,
            ha="center",
        )
        return theme_minimal(base_size=TEXT, base_family=self.lettering.families[0]) + theme(
            text=element_text(color=CHART_INKS["text"], size=TEXT),
            figure_size=(self.width / _INCH, self.height / _INCH),
            dpi=72,
            plot_margin=0.01,
            plot_background=blank,
            panel_background=blank,
            panel_border=blank,
            panel_grid_minor=blank,
            panel_grid_major_x=blank if upright else grid,
            panel_grid_major_y=grid if upright else blank,
            axis_ticks=blank,
            axis_line=blank,
            axis_text_x=below,
            axis_text_y=beside,
            axis_title_x=quiet,
            axis_title_y=blank,
            plot_subtitle=element_text(color=CHART_INKS["quiet"], size=TEXT, ha="left"),
            plot_caption=element_text(color=CHART_INKS["quiet"], size=TEXT, ha="right"),
            legend_position="top",
            legend_justification="left",
            legend_title=blank,
            legend_text=element_text(color=CHART_INKS["text"], size=TEXT),
            legend_key_size=9,
            legend_key=blank,
            legend_background=element_rect(fill="none", color="none"),
            legend_margin=0,
            legend_box_margin=0,
            legend_box_spacing=0.012,
        )

    def axes(self, across: Axis, upwards: Axis, *, note: str = "") -> list[Any]:
        """Both axes with their titles.

        Args:
            across: The axis of x.
            upwards: The axis of y; its title stands above the plot, where it can be read.
            note: A line below the plot, such as what a mark means.
        """
        from plotnine import coord_cartesian, element_blank, labs, scale_x_continuous, scale_y_continuous, theme

        room = self.width - 2
        above = {"subtitle": upwards.title, "caption": note}
        titles = {name: self.text(text, room) for name, text in above.items() if text}
        return [
            scale_x_continuous(breaks=list(across.breaks), labels=list(across.labels), minor_breaks=[]),
            scale_y_continuous(breaks=list(upwards.breaks), labels=list(upwards.labels), minor_breaks=[]),
            coord_cartesian(xlim=(across.low, across.high), ylim=(upwards.low, upwards.high), expand=False),
            labs(x=self.text(across.title, room), y="", **titles),
            *([] if across.title else [theme(axis_title_x=element_blank())]),
        ]

    def legend_columns(self, labels: Sequence[str], beside: float = 8.0) -> int:
        """How many entries of a legend fit side by side.

        Args:
            labels: The entries.
            beside: Millimetres left of the plot, which the legend does not reach into.
        """
        widest = max((self.text_width(label) for label in labels), default=0.0)
        fitting = min(len(labels), int((self.width - beside - 2) / (widest + _KEY)))
        return max(1, fitting, self._least_columns(len(labels)))

    def legend_labels(self, labels: Sequence[str]) -> list[str]:
        """The names of series as a legend shows them: shorter, where it would leave no room for the plot."""
        beside = (self.width - 10) / self._least_columns(len(labels)) - _KEY
        most = min(max(12.0, self.width / 3), max(3.0, beside))
        return [self.text(label, most) for label in labels]

    def _least_columns(self, count: int) -> int:
        return math.ceil(max(1, count) / max(1, int(self.height * _LEGEND / LINE)))

    def figure_of(self, plot: "ggplot") -> "Figure":
        """The figure of a plot, with its size and fonts settled."""
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
        from matplotlib.text import Text
        from plotnine._mpl.gridspec import p9GridSpec

        # Plotnine would ask pyplot, which keeps a list of all figures and may open windows.
        figure = Figure(figsize=(self.width / _INCH, self.height / _INCH), dpi=72)
        FigureCanvasSVG(figure)
        plot.figure = figure
        plot._gridspec = p9GridSpec(1, 1, figure)  # noqa: SLF001 - where plotnine itself keeps it
        plot.draw()
        figure.patch.set_visible(False)
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                axis.get_major_ticks(len(axis.get_majorticklocs()))
        for text in figure.findobj(Text):
            text.set_fontfamily(list(self.lettering.families))
            text.set_parse_math(False)
        # Now, by the measures of SVG, which are not rounded to pixels; matplotlib would do it twice for each saving.
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
        figure.set_layout_engine(None)
        return figure


def frame(columns: Mapping[str, Sequence[Any]]) -> Any:
    """Columns as plotnine takes them."""
    import pandas as pd

    return pd.DataFrame(dict(columns))


def finite(value: float | None) -> bool:
    """Whether a value can be drawn."""
    return value is not None and abs(value) < _MOST


_MOST = 1e300
"""Beyond, differences between values are not numbers any more."""


def _lighter(colour: str, times: int) -> str:
    return mixed(colour, "#ffffff", 1 - 0.6**times)


def mixed(one: str, other: str, share: float) -> str:
    """A colour between two."""
    parts = ((int(one[n : n + 2], 16), int(other[n : n + 2], 16)) for n in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)

"""Charts, drawn by plotnine in one theme.

Paper and screen get the same figures. What is missing is drawn as missing: lines break, bars and tiles have a mark, and
nothing ever falls to zero because it was not measured.
"""

from typing import TYPE_CHECKING

from tailrace.model.brand import Brand
from tailrace.model.report import Chart
from tailrace.reports.fonts import DocumentFonts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_chart(chart: Chart, *, width: float, height: float, zone: str, brand: Brand, fonts: DocumentFonts) -> "Figure":
    """A chart as a figure of matplotlib, to be drawn by whatever the document is made with.

    The figure belongs to the caller alone: pyplot does not know it, and the settings of matplotlib stay as they are.
    Its texts name their fonts by names of their own, which nothing else uses. One chart is drawn at a time; saving
    figures in several threads at once is as safe as matplotlib is.

    Args:
        chart: The data.
        width: Width in millimetres.
        height: Height in millimetres.
        zone: IANA zone of moments.
        brand: Colours.
        fonts: Fonts.

    Raises:
        ConfigurationError: The font of the document is none.
    """
    from tailrace.reports.charts.bars import bars, histogram
    from tailrace.reports.charts.lettering import Lettering
    from tailrace.reports.charts.lines import lines
    from tailrace.reports.charts.setting import Setting, chart_drawing
    from tailrace.reports.charts.shares import shares
    from tailrace.reports.charts.tiles import tiles

    draw = {
        "line": lines,
        "bar": bars,
        "stacked": bars,
        "pie": shares,
        "donut": shares,
        "histogram": histogram,
        "heatmap": tiles,
    }[chart.kind]
    with chart_drawing():
        setting = Setting(chart, width, height, zone, brand.palette, Lettering.of(fonts))
        return setting.figure_of(draw(setting))

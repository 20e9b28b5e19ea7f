"""One run of one maker of the health report, in a process of its own: ``report_contenders.py NAME CHECKS FOLDER``.

Prints a JSON object: seconds, bytes written, peak memory (VmHWM, of the whole process); for ours also the seconds for
its proof, and for synchronising to disk. Each does its work twice, and the second time counts: imports, and what
libraries set up once, are not timed.

The peers draw the same report from the same analysis, which is ours and part of their time: same tables, with as many
rows, same charts. They do not attach the data, do not mark up anything, and prove nothing.
"""

import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
import polars as pl
from contenders import peak_mb

from tailrace import (
    Chart,
    Context,
    CredentialMode,
    Engine,
    ExportRequest,
    Figure,
    Panel,
    Prose,
    Report,
    ReportTable,
    SinkRequest,
    SourceCall,
    Table,
    TableView,
    draw_chart,
    shown,
    shown_value,
)

ZONE = "UTC"
GROUP_BY, ANALYSIS = "analysis: polars group_by", "analysis: tailrace"
PLOTNINE, PDF, HTML = "charts: plotnine, svg", "report: tailrace, pdf", "report: tailrace, html"
REPORTLAB, MATPLOTLIB = "report: reportlab", "report: matplotlib, reportlab"
Work = Callable[[], dict[str, float]]
CONTENDERS: dict[str, Callable[[Path, Path], Work]] = {}


def contender(name: str) -> Callable[[Callable[[Path, Path], Work]], Callable[[Path, Path], Work]]:
    """Register who makes, from a file of checks and into a folder, what is to be timed."""

    def register(make: Callable[[Path, Path], Work]) -> Callable[[Path, Path], Work]:
        CONTENDERS[name] = make
        return make

    return register


@attrs.frozen
class Analysed:
    """A report, and the rows of its tables.

    Args:
        report: The report.
        tables: What the tables are.
        frames: Their rows.
    """

    report: Report
    tables: Mapping[str, Table]
    frames: Mapping[str, pl.DataFrame]

    def texts(self, view: TableView) -> list[list[str]]:
        """The rows that a view shows, as a document shows them, under its headings."""
        table, frame = self.tables[view.table], self.frames[view.table]
        names = [name for name, _heading in view.columns] or frame.columns
        columns = {column.name: column for column in table.columns}
        rows = shown(frame.head(view.most or frame.height).select(names), [columns[name] for name in names], ZONE)
        return [[heading for _name, heading in view.columns] or names, *map(list, rows.rows())]


@contextmanager
def analysed(checks: Path) -> Iterator[Analysed]:
    """Read and analyse: the report, and all tables it is about."""
    from tailrace_source_health.options import HealthOptions
    from tailrace_source_health.source import HealthSource

    def reference(*_parts: str) -> str:
        raise AssertionError

    now = datetime.now(UTC)
    mode = CredentialMode.SANITIZED
    call = SourceCall(str(checks), HealthOptions(), mode, now, None, reference, Context(), time_zone=ZONE)
    with HealthSource().open(call) as dataset:
        assert dataset.report is not None
        tables = {table.name: table for table in dataset.tables}
        yield Analysed(dataset.report, tables, {name: table.frame.collect() for name, table in tables.items()})


@contender(GROUP_BY)
def _(checks: Path, _folder: Path) -> Work:
    """What everybody would write: per proxy how many, how often, how fast, when last."""

    def work() -> dict[str, float]:
        time_taken = pl.col("response_time_ms")
        begin = time.perf_counter()
        pl.scan_parquet(checks).group_by("proxy_url").agg(
            pl.len().alias("checks"),
            pl.col("is_valid").sum().alias("valid"),
            time_taken.mean().alias("mean"),
            time_taken.median().alias("median"),
            time_taken.quantile(0.95).alias("p95"),
            pl.col("validated_at").max().alias("last"),
        ).collect()
        return {"seconds": time.perf_counter() - begin}

    return work


@contender(ANALYSIS)
def _(checks: Path, _folder: Path) -> Work:
    def work() -> dict[str, float]:
        begin = time.perf_counter()
        with analysed(checks):
            return {"seconds": time.perf_counter() - begin}

    return work


def ours(name: str, extension: str, **request: Any) -> None:
    """Register an export of ours."""

    def make(checks: Path, folder: Path) -> Work:
        engine = Engine()

        def work() -> dict[str, float]:
            sinks = (SinkRequest("disk", target=str(folder)),)
            asked = ExportRequest("health", str(checks), extension, sinks=sinks, time_zone=ZONE, **request)
            begin = time.perf_counter()
            result = engine.export(asked)
            seconds = time.perf_counter() - begin
            spent = result.timings
            size = result.artifacts[0].manifest.file.size
            return {
                "seconds": seconds - spent.syncing,
                "proof": spent.proving,
                "sync": spent.syncing,
                "size": size,
            }

        return work

    CONTENDERS[name] = make


ours(PDF, "pdf")
ours(HTML, "html", compress=False)


@contender(PLOTNINE)
def _(checks: Path, folder: Path) -> Work:
    """The charts of the report, in the sizes that they have there, each drawn and saved as SVG."""
    from tailrace_format_pdf import panels

    asked: list[tuple[Chart, dict[str, Any]]] = []

    def noted(chart: Chart, **how: Any) -> Any:
        asked.append((chart, how))
        return draw_chart(chart, **how)

    with mock.patch.object(panels, "draw_chart", noted):
        CONTENDERS[PDF](checks, folder)()

    def work() -> dict[str, float]:
        size = 0
        begin = time.perf_counter()
        for chart, how in asked:
            content = io.BytesIO()
            draw_chart(chart, **how).savefig(content, format="svg")
            size += len(content.getvalue())
        return {"seconds": time.perf_counter() - begin, "size": size, "charts": len(asked)}

    return work


def document(checks: Path, folder: Path, drawn: Callable[[Chart, float, float], Any]) -> Work:
    """A document of reportlab's platypus.

    Args:
        checks: The data.
        folder: Where to write.
        drawn: Makes a flowable of a chart, of so many points.
    """
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4, landscape
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer
    from reportlab.platypus import Table as Grid

    from tailrace import Brand, document_fonts

    fonts = document_fonts(Brand())
    pdfmetrics.registerFont(TTFont("text", str(fonts.regular)))
    pdfmetrics.registerFont(TTFont("bold", str(fonts.bold)))
    text = ParagraphStyle("text", fontName="text", fontSize=8, leading=11)
    heading = ParagraphStyle("heading", fontName="bold", fontSize=14, leading=22)
    caption = ParagraphStyle("caption", fontName="bold", fontSize=9, leading=14)
    page = landscape(A4)
    width = page[0] - 80
    striped = [
        ("FONT", (0, 0), (-1, -1), "text", 7),
        ("FONT", (0, 0), (-1, 0), "bold", 7),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), [colors.white, colors.HexColor("#f4f6f8")]),
        ("LINEBELOW", (0, 0), (-1, 0), 1, colors.HexColor("#0b5fae")),
    ]
    path = folder / "peer.pdf"

    def content(panel: Panel, found: Analysed) -> Any:
        shows = panel.content
        if isinstance(shows, Figure):
            return Grid([[shown_value(shows.value, ZONE, unit=shows.unit), shows.unit, shows.detail]], style=striped)
        if isinstance(shows, Chart):
            return drawn(shows, width * panel.width / 12, 200)
        if isinstance(shows, ReportTable):
            rows = [[shown_value(value, ZONE) for value in row] for row in shows.rows]
            return Grid([list(shows.headings), *rows], style=striped, repeatRows=1)
        if isinstance(shows, TableView):
            return LongTable(found.texts(shows), style=striped, repeatRows=1)
        assert isinstance(shows, Prose)
        return Paragraph(" ".join(shows.paragraphs), text)

    def footer(canvas: Any, made: Any) -> None:
        canvas.setFont("text", 7)
        canvas.drawRightString(page[0] - 40, 20, f"Page {made.page}")

    def work() -> dict[str, float]:
        begin = time.perf_counter()
        with analysed(checks) as found:
            report = found.report
            story: list[Any] = [Paragraph(report.title, heading), *(Paragraph(said, text) for said in report.covers)]
            for section in report.sections:
                story.append(Paragraph(section.heading, heading))
                for panel in section.panels:
                    story += [Paragraph(panel.title, caption), content(panel, found), Spacer(1, 8)]
            made = SimpleDocTemplate(str(path), pagesize=page, leftMargin=40, rightMargin=40)
            made.build(story, onFirstPage=footer, onLaterPages=footer)
        return {"seconds": time.perf_counter() - begin, "size": path.stat().st_size}

    return work


def _label(place: Any) -> str:
    return f"{place:%d %b %H:%M}" if isinstance(place, datetime) else str(place)


@contender(REPORTLAB)
def _(checks: Path, folder: Path) -> Work:
    """With the charts that reportlab has."""
    from reportlab.graphics.charts.barcharts import VerticalBarChart
    from reportlab.graphics.charts.linecharts import HorizontalLineChart
    from reportlab.graphics.charts.piecharts import Pie
    from reportlab.graphics.shapes import Drawing, Rect
    from reportlab.lib import colors

    def drawn(chart: Chart, width: float, height: float) -> Any:
        drawing = Drawing(width, height)
        if chart.kind == "heatmap":
            values = [value or 0.0 for series in chart.series for value in series.y]
            most = max(values, default=0.0) or 1.0
            for row, series in enumerate(chart.series):
                across, upwards = width / len(series.x), height / len(chart.series)
                for number, value in enumerate(series.y):
                    shade = colors.linearlyInterpolatedColor(colors.white, colors.blue, 0, most, value or 0.0)
                    drawing.add(Rect(number * across, row * upwards, across, upwards, fillColor=shade))
            return drawing
        if chart.kind in {"pie", "donut"}:
            pie = Pie()
            pie.data, pie.labels = [value or 0 for value in chart.series[0].y], list(map(_label, chart.series[0].x))
            drawing.add(pie)
            return drawing
        made: Any = HorizontalLineChart() if chart.kind == "line" else VerticalBarChart()
        made.x, made.y, made.width, made.height = 40, 30, width - 60, height - 50
        made.data = [[None if value is None else float(value) for value in series.y] for series in chart.series]
        labels = [_label(place) for place in chart.series[0].x]
        apart = max(1, len(labels) // 8)
        made.categoryAxis.categoryNames = [label if not n % apart else "" for n, label in enumerate(labels)]
        made.categoryAxis.labels.fontSize = made.valueAxis.labels.fontSize = 7
        if chart.y_range is not None:
            made.valueAxis.valueMin, made.valueAxis.valueMax = chart.y_range
        drawing.add(made)
        return drawing

    return document(checks, folder, drawn)


@contender(MATPLOTLIB)
def _(checks: Path, folder: Path) -> Work:
    """With pictures of matplotlib's charts, 150 dots an inch."""
    import numpy as np
    from matplotlib.figure import Figure as Plot
    from reportlab.platypus import Image

    def drawn(chart: Chart, width: float, height: float) -> Any:
        plot = Plot(figsize=(width / 72, height / 72), dpi=150, layout="constrained")
        axes = plot.add_subplot()
        if chart.kind == "heatmap":
            axes.imshow(np.array([[np.nan if y is None else y for y in one.y] for one in chart.series]), aspect="auto")
            axes.set_yticks(range(len(chart.series)), [one.label for one in chart.series])
        elif chart.kind in {"pie", "donut"}:
            axes.pie([y or 0 for y in chart.series[0].y], labels=list(map(_label, chart.series[0].x)))
        else:
            below: Any = 0.0
            for number, series in enumerate(chart.series):
                values = np.array([np.nan if y is None else y for y in series.y])
                places: Any = list(series.x)
                if chart.kind == "line":
                    axes.plot(places, values, label=series.label)
                elif chart.kind == "histogram":
                    axes.bar(places, values, width=chart.x_step or 1.0, align="edge")
                elif chart.kind == "stacked":
                    axes.bar(list(map(_label, places)), values, bottom=below, label=series.label)
                    below = below + np.nan_to_num(values)
                else:
                    share = 0.8 / len(chart.series)
                    axes.bar(np.arange(len(places)) + number * share, values, share, label=series.label)
                    axes.set_xticks(range(len(places)), list(map(_label, places)))
            axes.set_xlabel(chart.x_label)
            axes.set_ylabel(chart.y_label)
        content = io.BytesIO()
        plot.savefig(content, format="png")
        content.seek(0)
        return Image(content, width, height)

    return document(checks, folder, drawn)


def main(name: str, checks: Path, folder: Path) -> None:
    """Do it twice, and tell about the second time."""
    work = CONTENDERS[name](checks, folder)
    work()
    print(json.dumps({**work(), "peak_mb": peak_mb()}))


if __name__ == "__main__":
    os.environ.setdefault("TAILRACE_HOME", sys.argv[3])
    main(sys.argv[1], *map(Path, sys.argv[2:4]))

"""One run of one way to draw a table, in a process of its own: ``python pdf_contenders.py NAME ROWS FOLDER``.

Prints a JSON object: seconds, bytes written, peak memory (VmHWM, of the whole process). Each draws a small table first,
and then the one that counts: imports, and what libraries set up once, are not timed; loading and subsetting fonts is.

Ours draws with embedded fonts, marks and right-aligned figures, measures all texts, attaches the data and the manifest,
tags the pages and keeps to PDF/A; ``through Engine.export`` besides reads the file back and proves it. The peers get
texts that are ready and widths that are fixed, and attach nothing. They embed the same font, but for canvas and one of
cell(), which use one that every viewer has: their quickest way.
"""

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import workload
from contenders import peak_mb

from tailrace import (
    Brand,
    Column,
    Context,
    Engine,
    ExportRequest,
    Meaning,
    OutgoingTable,
    Panel,
    Report,
    Section,
    SinkRequest,
    TableView,
    WriteCall,
    document_fonts,
    shown,
)

OURS, ENGINE = "tailrace: format pdf", "tailrace: through Engine.export"
Draw = Callable[[pl.DataFrame, Path], None]
CONTENDERS: dict[str, Draw] = {}
SHARE: dict[str, int] = {}
"""Of the slow ones: which part of the rows they draw, one of so many."""
COLUMNS = {
    "timestamp": Meaning.TIMESTAMP,
    "proxy_source": Meaning.CATEGORY,
    "endpoint": Meaning.URL,
    "http_method": Meaning.CATEGORY,
    "response_time_ms": Meaning.MEASURE,
    "http_status": Meaning.CATEGORY,
    "bytes_transferred": Meaning.MEASURE,
    "error_code": Meaning.TEXT,
}
MEANT = [Column(name, meaning, "ms" if name.endswith("_ms") else "") for name, meaning in COLUMNS.items()]
WIDTHS = (95.0, 65.0, 200.0, 60.0, 80.0, 60.0, 85.0, 100.0)
SIZE, LINE = 7.0, 11.0
PAGE = (841.89, 595.28)
MARGIN = 42.0
FONT = document_fonts(Brand()).regular


def contender(name: str, share: int = 1) -> Callable[[Draw], Draw]:
    """Register a way to draw a table into a file."""

    def register(draw: Draw) -> Draw:
        CONTENDERS[name] = draw
        if share > 1:
            SHARE[name] = share
        return draw

    return register


def made(rows: int) -> pl.DataFrame:
    """The table."""
    return workload.frame(rows).select(list(COLUMNS))


def texts(frame: pl.DataFrame) -> list[tuple[str, ...]]:
    """The rows as peers draw them."""
    return shown(frame, MEANT, "UTC").rows()


@contender(OURS)
def _(frame: pl.DataFrame, path: Path) -> None:
    from tailrace_format_pdf import PdfFormat, PdfOptions

    marked = frame.with_columns(
        mark=pl.when(pl.col("http_status") >= 500)
        .then(pl.lit("bad"))
        .when(pl.col("error_code").is_not_null())
        .then(pl.lit("warning"))
    )
    view = TableView("requests", [(name, name) for name in COLUMNS], mark="mark")
    report = Report("Requests", sections=[Section("Requests", [Panel("All requests", view)])])
    output = io.BytesIO()
    table = OutgoingTable("requests", marked.lazy(), [*MEANT, Column("mark", Meaning.CATEGORY)])
    options = PdfOptions(most_rows=frame.height, orientation="landscape")
    moment = datetime(2026, 8, 20, tzinfo=UTC)
    PdfFormat().write(WriteCall([table], output, options, {}, lambda _: None, Context(), report=report, moment=moment))
    path.write_bytes(output.getbuffer())


@contender(ENGINE)
def _(frame: pl.DataFrame, path: Path) -> None:
    log = path.with_suffix(".parquet")
    frame.write_parquet(log)
    request = ExportRequest(
        "analytics",
        str(log),
        "pdf",
        sinks=(SinkRequest("disk", target=str(path.parent / "out")),),
        options={"most_rows": frame.height},
    )
    (artifact,) = Engine().export(request).artifacts
    path.unlink(missing_ok=True)
    path.symlink_to(artifact.path or "")


@contender("fpdf2: table()", 50)
def _(frame: pl.DataFrame, path: Path) -> None:
    from fpdf import FPDF
    from fpdf.fonts import FontFace

    pdf = FPDF(orientation="L", unit="pt", format="A4")
    pdf.add_font("d", fname=FONT)
    pdf.set_font("d", size=SIZE)
    pdf.add_page()
    shaded = FontFace(fill_color=(245, 246, 249))
    with pdf.table(
        col_widths=WIDTHS,
        line_height=LINE,
        headings_style=FontFace(),
        cell_fill_color=shaded.fill_color,
        cell_fill_mode="EVEN_ROWS",
        text_align=["LEFT", "LEFT", "LEFT", "LEFT", "RIGHT", "RIGHT", "RIGHT", "LEFT"],
    ) as table:
        table.row(list(COLUMNS))
        for row in texts(frame):
            table.row(row)
    pdf.output(str(path))


@contender("fpdf2: cell(), embedded font", 10)
def _(frame: pl.DataFrame, path: Path) -> None:
    _cells(frame, path, embedded=True)


@contender("fpdf2: cell(), Helvetica", 10)
def _(frame: pl.DataFrame, path: Path) -> None:
    _cells(frame, path, embedded=False)


def _cells(frame: pl.DataFrame, path: Path, *, embedded: bool) -> None:
    from fpdf import FPDF

    class Pages(FPDF):
        def header(self) -> None:
            for width, name in zip(WIDTHS, COLUMNS, strict=True):
                self.cell(width, LINE, name)
            self.ln(LINE)

    pdf = Pages(orientation="L", unit="pt", format="A4")
    if embedded:
        pdf.add_font("d", fname=FONT)
    pdf.set_font("d" if embedded else "helvetica", size=SIZE)
    pdf.set_fill_color(245, 246, 249)
    pdf.add_page()
    for number, row in enumerate(texts(frame)):
        for width, text in zip(WIDTHS, row, strict=True):
            said = text if embedded else text.encode("latin-1", "replace").decode("latin-1")
            pdf.cell(width, LINE, said, fill=number % 2 == 1)
        pdf.ln(LINE)
    pdf.output(str(path))


@contender("reportlab: LongTable")
def _(frame: pl.DataFrame, path: Path) -> None:
    from reportlab.lib.colors import Color
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import LongTable, SimpleDocTemplate, TableStyle

    pdfmetrics.registerFont(TTFont("d", str(FONT)))
    table = LongTable([tuple(COLUMNS), *texts(frame)], colWidths=WIDTHS, rowHeights=LINE, repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, -1), "d", SIZE),
                ("ROWBACKGROUNDS", (0, 1), (-1, -1), (None, Color(0.96, 0.965, 0.975))),
                ("ALIGN", (4, 0), (6, -1), "RIGHT"),
            ]
        )
    )
    SimpleDocTemplate(str(path), pagesize=PAGE, leftMargin=MARGIN, rightMargin=MARGIN).build([table])


@contender("reportlab: canvas")
def _(frame: pl.DataFrame, path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(path), pagesize=PAGE)
    rows = texts(frame)
    each = int((PAGE[1] - 2 * MARGIN) / LINE) - 1
    for start in range(0, len(rows), each):
        canvas.setFont("Helvetica", SIZE)
        for at, row in enumerate([tuple(COLUMNS), *rows[start : start + each]]):
            y = PAGE[1] - MARGIN - LINE * (at + 1)
            if at % 2 and at:
                canvas.setFillGray(0.96)
                canvas.rect(MARGIN, y - 3, sum(WIDTHS), LINE, stroke=0, fill=1)
                canvas.setFillGray(0)
            x = MARGIN
            for width, text in zip(WIDTHS, row, strict=True):
                canvas.drawString(x, y, text)
                x += width
        canvas.showPage()
    canvas.save()


def main() -> None:
    """Run one, and print what it took."""
    name, rows, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    draw = CONTENDERS[name]
    with tempfile.TemporaryDirectory(dir=folder) as warm:
        draw(made(50), Path(warm) / "small.pdf")
    frame, path = made(rows), folder / "table.pdf"
    began = time.perf_counter()
    draw(frame, path)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "size": path.stat().st_size, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()

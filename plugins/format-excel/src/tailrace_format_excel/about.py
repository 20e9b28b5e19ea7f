"""The sheets behind the data: ``Summary`` for people, ``Manifest`` for those who want to know exactly."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from tailrace_format_excel.columns import SheetTable
from tailrace_format_excel.figures import Figures, Rate
from tailrace_format_excel.limits import MAX_TEXT
from tailrace_format_excel.stand_ins import StandIns
from tailrace_format_excel.text import printable

_SPANS = {1: "minute", 60: "hour", 1_440: "day", 10_080: "week"}
_TIME = "yyyy-mm-dd hh:mm"
_INK, _PALE = "#1F4E79", "#DCE6F1"
_CHART_COLUMN = 3
_CHART_SIZE = {"width": 760, "height": 320}
_MOST_BARS, _LABELS = 60, 12
_DIGITS = 12


@attrs.frozen
class TableAbout:
    """What is said of a table.

    Args:
        table: The table.
        sheets: Names of its sheets, and rows of each.
        figures: Its key figures.
    """

    table: SheetTable
    sheets: Sequence[tuple[str, int]]
    figures: Figures


@attrs.frozen
class About:
    """What the sheets behind the data say.

    Args:
        embedded: The part of the manifest that is the same from run to run.
        tables: The tables.
        notes: What is to be known about the values.
        stamp: When it was made, UTC, where that is to be said.
    """

    embedded: Mapping[str, Any] = attrs.field(repr=False)
    tables: Sequence[TableAbout]
    notes: Sequence[str]
    stamp: datetime | None


class _Page:
    """Writes a sheet from top to bottom."""

    def __init__(self, workbook: Workbook, sheet: Worksheet, stand_ins: StandIns) -> None:
        self._sheet = sheet
        self._stand_ins = stand_ins
        self.row = 0
        self._title = workbook.add_format({"bold": True, "font_size": 16, "font_color": _INK, "num_format": "@"})
        self._heading = workbook.add_format({"bold": True, "font_size": 12, "font_color": _INK, "num_format": "@"})
        self._label = workbook.add_format({"font_color": "#595959", "num_format": "@", "valign": "top"})
        header = {"bold": True, "bg_color": _PALE, "bottom": 1, "num_format": "@"}
        self._header, self._header_of_numbers = (
            workbook.add_format({**header, "align": side}) for side in ("left", "right")
        )
        self._text = workbook.add_format({"num_format": "@", "valign": "top"})
        self._whole = workbook.add_format({"num_format": "#,##0", "valign": "top"})
        self._number = workbook.add_format({"num_format": "#,##0.0#####", "valign": "top"})
        self._moment = workbook.add_format({"num_format": _TIME, "align": "left", "valign": "top"})
        self._share = workbook.add_format({"num_format": "0.0 %"})

    def title(self, text: str) -> None:
        self._put(0, text, self._title)
        self.row += 2

    def heading(self, text: str) -> None:
        self.row += 1
        self._put(0, text, self._heading)
        self.row += 1

    def pair(self, label: str, value: Any) -> None:
        self._put(0, label, self._label)
        self.cell(1, value if isinstance(value, datetime) else str(value))
        self.row += 1

    def headers(self, *texts: str, numbers: str = "") -> None:
        """Write headers; those of numbers, named again, stand at the right."""
        for column, text in enumerate(texts):
            self._put(column, text, self._header_of_numbers if text in numbers.split() else self._header)
        self.row += 1

    def cells(self, *values: Any) -> None:
        for column, value in enumerate(values):
            self.cell(column, value)
        self.row += 1

    def cell(self, column: int, value: Any) -> None:
        """Write a value as what it is; None leaves the cell empty."""
        if value is None:
            return
        if isinstance(value, datetime):
            self._sheet.write_datetime(self.row, column, value.replace(tzinfo=None), self._moment)
        elif isinstance(value, int | float):
            # xlsxwriter writes 16 digits, and rounds the largest doubles up to infinity.
            rounded = value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")
            whole = float(rounded).is_integer()
            self._sheet.write_number(self.row, column, rounded, self._whole if whole else self._number)
        else:
            self._put(column, str(value), self._text)

    def share(self, column: int, value: float | None) -> None:
        if value is not None:
            self._sheet.write_number(self.row, column, value, self._share)

    def _put(self, column: int, text: str, style: Any) -> None:
        # What a cell cannot hold stands in the manifest beside the file.
        shown = text if len(text) <= MAX_TEXT // 2 else "(too long for a cell: see the manifest beside the file)"
        self._sheet.write_string(self.row, column, self._stand_ins.of(shown), style)


def write_summary(workbook: Workbook, sheet: Worksheet, about: About, stand_ins: StandIns) -> None:
    """Write what was exported, its key figures, and rows over time."""
    page = _Page(workbook, sheet, stand_ins)
    sheet.hide_gridlines(2)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 8, 16)
    page.title(f"Export of {about.embedded.get('source', 'data')}")
    for label, value in _asked(about):
        page.pair(label, value)
    page.heading("Tables")
    page.headers("Table", "Sheets", "Rows", "Columns", numbers="Rows Columns")
    for one in about.tables:
        page.cells(one.table.name, _shown_sheets(one), one.figures.rows, len(one.table.columns))
    _write_measures(page, about.tables)
    rates = [(one.figures.rows, one.table.name, rate) for one in about.tables if (rate := one.figures.rate) is not None]
    if rates:
        _rows, table, rate = max(rates, key=lambda found: found[0])
        _write_rate(workbook, sheet, page, table, rate)


def write_manifest(workbook: Workbook, sheet: Worksheet, about: About, stand_ins: StandIns) -> None:
    """Write what the manifest says, and what is to be known about columns and values."""
    page = _Page(workbook, sheet, stand_ins)
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.set_column(0, 1, 24)
    sheet.set_column(2, 2, 24)
    sheet.set_column(3, 3, 42)
    sheet.set_column(4, 5, 14)
    page.title("Manifest")
    page.pair("where", "The whole of it, with digests, lies beside the file: <name>.manifest.json")
    for label, value in _flat(about.embedded):
        page.pair(label, value)
    page.heading("Sheets")
    page.headers("Sheet", "Table", "Rows", numbers="Rows")
    for one in about.tables:
        for name, rows in one.sheets:
            page.cells(name, one.table.name, rows)
    page.heading("Columns")
    page.headers("Table", "Column", "Header", "Type", "Meaning", "Unit")
    for one in about.tables:
        for column in one.table.columns:
            page.cells(
                one.table.name, column.name, column.header, str(column.dtype), str(column.meaning), column.unit or None
            )
    if about.notes:
        page.heading("Notes")
        for note in about.notes:
            page.cells(note)


def _asked(about: About) -> list[tuple[str, Any]]:
    """What was asked for, in words for people."""
    parameters = about.embedded.get("parameters", {})
    since, until = parameters.get("since"), parameters.get("until")
    spans = [f"from {since}" if since else "", f"until {until}" if until else ""]
    said = [
        ("Made", about.stamp),
        ("Credentials", about.embedded.get("credentials")),
        ("Time range", " ".join(filter(None, spans)) or "all"),
        ("Filters", " and ".join(parameters.get("where", ())) or "none"),
        ("Columns", ", ".join(parameters.get("columns", ())) or "all"),
        ("Sorted by", ", ".join(parameters.get("sort", ())) or None),
        ("At most", parameters.get("limit")),
        ("Time zone", parameters.get("time_zone") or "UTC"),
    ]
    return [(label, value) for label, value in said if value is not None]


def _shown_sheets(one: TableAbout) -> str:
    return one.sheets[0][0] if len(one.sheets) == 1 else f"{len(one.sheets):,} sheets"


def _write_measures(page: _Page, tables: Sequence[TableAbout]) -> None:
    measured = [(one, measure) for one in tables for measure in one.figures.measures]
    if not measured:
        return
    page.heading("Key figures")
    numbers = "Values Missing Least Mean Most Sum"
    page.headers("Column", "Table", "Unit", *numbers.split(), numbers=numbers)
    for one, measure in measured:
        column = measure.column
        if column.kind == "flag":
            page.cells(
                column.name, one.table.name, "true", measure.values, measure.missing, None, None, None, measure.sum
            )
            page.row -= 1
            page.share(6, measure.mean)
            page.row += 1
        else:
            page.cells(
                column.name,
                one.table.name,
                column.unit or None,
                measure.values,
                measure.missing,
                measure.least,
                measure.mean,
                measure.most,
                measure.sum,
            )


def _write_rate(workbook: Workbook, sheet: Worksheet, page: _Page, table: str, rate: Rate) -> None:
    """Write rows over time, and draw them beside what stands above."""
    span = _SPANS.get(rate.minutes, _length(rate.minutes))
    heading = f"Rows of {table} per {span}, by {rate.column}"
    page.heading(heading)
    title = printable(heading)
    top = page.row - 1
    page.headers("From (UTC)" if rate.is_zoned else "From", "Rows", numbers="Rows")
    first = page.row
    for start, rows in zip(rate.starts, rate.rows, strict=True):
        page.cells(start, rows)
    last = page.row - 1
    chart = workbook.add_chart({"type": "column" if len(rate.starts) <= _MOST_BARS else "line"})
    chart.add_series(
        {
            "name": printable(f"Rows of {table}"),
            "categories": [sheet.get_name(), first, 0, last, 0],
            "values": [sheet.get_name(), first, 1, last, 1],
            "line": {"color": _INK, "width": 1.5},
            "fill": {"color": _INK},
        }
    )
    chart.set_title({"name": title, "name_font": {"size": 12, "color": _INK}, "overlay": False})
    chart.set_x_axis(
        {
            "num_format": _TIME,
            # A date axis knows days only: all hours of one would be drawn above each other.
            "text_axis": True,
            "interval_unit": max(1, len(rate.starts) // _LABELS),
            "interval_tick": max(1, len(rate.starts) // _LABELS),
            "num_font": {"rotation": -45, "size": 8},
        }
    )
    chart.set_y_axis(
        {"num_format": "#,##0", "min": 0, "major_gridlines": {"visible": True, "line": {"color": "#D9D9D9"}}}
    )
    chart.set_legend({"none": True})
    # A span without rows is drawn as missing: whether there were none, or nobody wrote them down, is not known.
    chart.show_blanks_as("gap")
    chart.set_size(_CHART_SIZE)
    sheet.insert_chart(top, _CHART_COLUMN, chart, {"description": f"Chart: {title}"})


def _length(minutes: int) -> str:
    hours, weeks = 60, 10_080
    if minutes % weeks == 0:
        return f"{minutes // weeks} weeks"
    return f"{minutes // hours} hours" if minutes % hours == 0 else f"{minutes} minutes"


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """The leaves of the embedded manifest; what the sheet says in tables of its own, and keys, are left out."""
    pairs: list[tuple[str, Any]] = []
    for name, inner in value.items():
        if not prefix and name in {"tables", "vault"}:
            continue
        if isinstance(inner, Mapping):
            pairs += _flat(inner, f"{prefix}{name}.")
        else:
            plain = isinstance(inner, str | int | float)
            pairs.append((f"{prefix}{name}", inner if plain else json.dumps(inner, ensure_ascii=False)))
    return pairs

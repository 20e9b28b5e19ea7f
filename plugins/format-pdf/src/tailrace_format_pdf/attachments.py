"""The files inside a document: the manifest, all rows of each table, and the data behind each chart."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from tailrace import Chart, Report, attached_csv
from tailrace_format_pdf.grids import Collected
from tailrace_format_pdf.inside import Attachment

MANIFEST = "manifest.json"
_CSV = "text/csv"


def table_file(table: str) -> str:
    """Name of the file with the rows of a table."""
    return f"{table}.csv"


def attachments(embedded: Mapping[str, Any], tables: Mapping[str, Collected], report: Report) -> Iterator[Attachment]:
    """All files that go with a document, one at a time."""
    taken = {MANIFEST, *(table_file(name) for name in tables)}
    manifest = json.dumps(embedded, ensure_ascii=False, indent=2, default=str).encode(errors="replace")
    yield Attachment(MANIFEST, manifest, "application/json", "Data", "What was asked for, and what this is made of")
    for name, one in tables.items():
        about = f"All {one.rows.height:,} rows of the table {name}"
        yield Attachment(table_file(name), attached_csv(one.rows), _CSV, "Source", about)
    number = 0
    for section in report.sections:
        for panel in section.panels:
            if isinstance(panel.content, Chart):
                number += 1
                name = f"chart-{number:02}.csv"
                while name in taken:
                    name = f"_{name}"
                taken.add(name)
                yield Attachment(name, attached_csv(chart_rows(panel.content)), _CSV, "Data", panel.title)


def chart_rows(chart: Chart) -> pl.DataFrame:
    """The data behind a chart: a row for each place of each series."""
    names = _distinct(["series", chart.x_label or "x", chart.y_label or chart.unit or "y"])
    labels = [one.label for one in chart.series for _ in one.x]
    places = [place for one in chart.series for place in one.x]
    values = [value for one in chart.series for value in one.y]
    try:
        x = pl.Series(names[1], places, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        # Places of several kinds beside each other.
        x = pl.Series(names[1], [None if place is None else str(place) for place in places], dtype=pl.String)
    return pl.DataFrame(
        [pl.Series(names[0], labels, dtype=pl.String), x, pl.Series(names[2], values, dtype=pl.Float64)]
    )


def _distinct(names: Sequence[str]) -> list[str]:
    known: list[str] = []
    for name in names:
        other = name
        while other in known:
            other += "_"
        known.append(other)
    return known

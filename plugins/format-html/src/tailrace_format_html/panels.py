"""Panels of a report as HTML."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from tailrace import (
    Brand,
    Chart,
    DocumentFonts,
    Figure,
    OutgoingTable,
    Panel,
    Place,
    Prose,
    ReportTable,
    TableView,
    shown_value,
)
from tailrace_format_html.basis import in_words
from tailrace_format_html.drawing import drawn
from tailrace_format_html.escaping import escaped
from tailrace_format_html.marks import sign
from tailrace_format_html.tables import as_small_table, as_table, rows_of

if TYPE_CHECKING:
    import polars as pl


@attrs.frozen
class Material:
    """What panels are made of, beside what they say.

    Args:
        tables: The tables of the export, by name.
        frames: Their rows.
        brand: How documents look.
        fonts: Fonts that charts are measured with.
        zone: IANA zone of moments.
        most_rows: Rows of a table that are shown.
    """

    tables: Mapping[str, OutgoingTable]
    frames: "Mapping[str, pl.DataFrame]" = attrs.field(repr=False)
    brand: Brand
    fonts: DocumentFonts
    zone: str
    most_rows: int


def as_article(panel: Panel, place: Place, number: int, material: Material) -> str:
    """One panel.

    Args:
        panel: What it is.
        place: Its cells.
        number: Counted from 1, in the whole report.
        material: What it is made of.

    Raises:
        RequestError: A column that cannot be shown.
    """
    key = f"panel-{number}"
    kind = type(panel.content).__name__.lower()
    cells = (
        f'data-column="{place.column}" data-row="{place.row}" data-width="{place.width}" data-height="{place.height}"'
    )
    told = " · ".join(in_words(panel.basis, material.zone)) if panel.basis else ""
    below = f'<p class="basis">{escaped(told)}</p>' if told else ""
    return (
        f'<article class="panel {kind}" id="{key}" data-panel="{number}" {cells}>\n<h3>{escaped(panel.title)}</h3>\n'
        f"{_content(panel, place, key, material)}\n{below}</article>\n"
    )


def _content(panel: Panel, place: Place, key: str, material: Material) -> str:
    content = panel.content
    if isinstance(content, Figure):
        return _figure(content, material.zone)
    if isinstance(content, Prose):
        return "".join(f"<p>{escaped(text)}</p>" for text in content.paragraphs)
    if isinstance(content, ReportTable):
        return as_small_table(content, material.zone)
    if isinstance(content, TableView):
        return _view(content, material)
    return _chart(panel, content, place, key, material)


def _figure(figure: Figure, zone: str) -> str:
    value = escaped(shown_value(figure.value, zone, unit=figure.unit))
    unit = f' <span class="unit">{escaped(figure.unit)}</span>' if figure.unit and figure.value is not None else ""
    detail = f'<p class="detail">{escaped(figure.detail)}</p>' if figure.detail else ""
    return f'<p class="value {figure.mark or ""}">{sign(figure.mark)}<strong>{value}</strong>{unit}</p>{detail}'


def _view(view: TableView, material: Material) -> str:
    if view.table not in material.tables:
        return f'<p class="none">The table {escaped(view.table)} is not part of this export.</p>'
    rows = rows_of(
        view,
        material.tables[view.table],
        material.frames[view.table],
        most=material.most_rows,
        zone=material.zone,
    )
    if not rows.total:
        return '<p class="none">No rows.</p>'
    if rows.texts.height == rows.total:
        return as_table(rows)
    told = f"first {rows.texts.height:,} of {rows.total:,}"
    return f'{as_table(rows)}<p class="cut">Shown: {told} rows; all of them are in <a href="#data">the data</a>.</p>'


def _chart(panel: Panel, chart: Chart, place: Place, key: str, material: Material) -> str:
    told = (
        f'<title id="{key}-t">{escaped(panel.title)}</title>'
        f'<desc id="{key}-d">{escaped(panel.description or f"A chart of kind {chart.kind}.")}</desc>'
    )
    svg = drawn(chart, place, zone=material.zone, brand=material.brand, fonts=material.fonts, key=key, told=told)
    return f'<div class="chart">{svg}</div>'

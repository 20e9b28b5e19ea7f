"""The reduced form of a page, which mails carry: headings, sentences and small tables.

It is made of the elements ``h2 h3 p table tr th td b span`` and of the attribute ``class`` with one of ``figures n
quiet good warning bad``, so that whoever takes it can check all of it, and gives it the looks of a mail.
"""

from collections.abc import Iterator, Sequence

from tailrace import Chart, Figure, Panel, Prose, Report, ReportTable, TableView, shown_value
from tailrace_format_html import chart_data
from tailrace_format_html.basis import in_words
from tailrace_format_html.escaping import escaped
from tailrace_format_html.marks import MARKS
from tailrace_format_html.panels import Material
from tailrace_format_html.tables import rows_of, small

MOST_BYTES = 24_000
_ROWS = 10
_COLUMNS = 7
_TEXT = 120
_PARAGRAPHS = 6
_REST = '<p class="quiet">There is more in the page itself.</p>'


def reduced(report: Report, material: Material) -> str:
    """The report in a form for mails.

    Args:
        report: The report.
        material: What its panels are made of.
    """
    parts, size = [], 0
    for part in _parts(report, material):
        size += len(part.encode(errors="replace")) + 1
        if size > MOST_BYTES:
            parts.append(_REST)
            break
        parts.append(part)
    return "\n".join(parts)


def _parts(report: Report, material: Material) -> Iterator[str]:
    yield f"<h2>{_short(report.title)}</h2>"
    told = [report.subtitle, *in_words(report.basis, material.zone), *report.covers[:_PARAGRAPHS]]
    yield from (f'<p class="quiet">{_short(text, 400)}</p>' for text in told if text)
    figures = [
        (panel.title, panel.content)
        for section in report.sections
        for panel in section.panels
        if isinstance(panel.content, Figure)
    ]
    if figures:
        rows = "".join(_figure(title, figure, material.zone) for title, figure in figures[:40])
        yield f'<table class="figures">{rows}</table>'
    for section in report.sections:
        panels = [panel for panel in section.panels if not isinstance(panel.content, Figure)]
        if panels:
            yield f"<h2>{_short(section.heading)}</h2>"
        for panel in panels:
            yield "".join(_panel(panel, material))


def _panel(panel: Panel, material: Material) -> Iterator[str]:
    yield f"<h3>{_short(panel.title, 200)}</h3>"
    content, zone = panel.content, material.zone
    if isinstance(content, Prose):
        yield from (f"<p>{_short(text, 1000)}</p>" for text in content.paragraphs[:_PARAGRAPHS])
    elif isinstance(content, ReportTable):
        texts = small(content, zone, most=_ROWS)
        yield _table(texts.headings, texts.rows, texts.numbers, content.marks[:_ROWS], len(content.rows))
    elif isinstance(content, TableView):
        yield _view(content, material)
    elif isinstance(content, Chart):
        yield from _chart(panel, content, zone)
    if panel.basis and (told := " · ".join(in_words(panel.basis, zone))):
        yield f'<p class="quiet">{_short(told, 300)}</p>'


def _chart(panel: Panel, chart: Chart, zone: str) -> Iterator[str]:
    sentences = [panel.description] if panel.description else list(chart_data.in_words(chart, zone))
    if pairs := chart_data.few(chart, zone):
        yield _table(["", chart.y_label or chart.series[0].label], pairs, [False, True], (), len(pairs))
        sentences = sentences if panel.description else []
    yield from (f"<p>{_short(text, 600)}</p>" for text in sentences)


def _view(view: TableView, material: Material) -> str:
    if view.table not in material.tables:
        return ""
    table, frame = material.tables[view.table], material.frames[view.table]
    rows = rows_of(view, table, frame, most=_ROWS, zone=material.zone)
    marks = [] if rows.marks is None else rows.marks.to_list()
    return _table(rows.headings, rows.texts.rows(), rows.numbers, marks, rows.total)


def _table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: Sequence[bool],
    marks: Sequence[str | None],
    total: int,
) -> str:
    kinds = [' class="n"' if number else "" for number in numbers][:_COLUMNS]
    names = zip(headings[:_COLUMNS], kinds, strict=True)
    lines = ["".join(f"<th{kind}>{_short(name)}</th>" for name, kind in names)] if any(headings) else []
    for number, row in enumerate(rows):
        sign = _sign(marks[number]) if marks else ""
        cells = [f"<td{kind}>{_short(value)}</td>" for value, kind in zip(row[:_COLUMNS], kinds, strict=True)]
        lines.append("".join([f"<td>{sign}</td>" if marks else "", *cells]))
    if marks and any(headings):
        lines[0] = f"<th>Mark</th>{lines[0]}"
    cut = [f"first {len(rows):,} of {total:,} rows"] if len(rows) < total else []
    cut += [f"first {_COLUMNS} of {len(headings)} columns"] if len(headings) > _COLUMNS else []
    told = f'<p class="quiet">Shown: {", ".join(cut)}.</p>' if cut else ""
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>{told}"


def _figure(title: str, figure: Figure, zone: str) -> str:
    unit = ("" if figure.unit == "%" else " ") + figure.unit if figure.unit and figure.value is not None else ""
    value = _short(shown_value(figure.value, zone, unit=figure.unit) + unit)
    detail = f' <span class="quiet">{_short(figure.detail)}</span>' if figure.detail else ""
    return f"<tr><th>{_short(title)}</th><td>{_sign(figure.mark)}<b>{value}</b>{detail}</td></tr>"


def _sign(mark: str | None) -> str:
    if mark is None or mark not in MARKS:
        return ""
    symbol, word = MARKS[mark]
    return f'<span class="{mark}">{symbol} {word}</span> '


def _short(text: str, most: int = _TEXT) -> str:
    return escaped(text if len(text) <= most else f"{text[: most - 1].rstrip()}…")

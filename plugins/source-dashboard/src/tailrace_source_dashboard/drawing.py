"""The report of a dashboard: pages as sections, panels with what they are about."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import attrs

from tailrace import (
    Basis,
    Chart,
    Figure,
    Panel,
    Prose,
    Report,
    Section,
    Series,
    SourceCall,
    TableView,
    redacted,
    shown_value,
)
from tailrace_source_dashboard.answering import BY, Answer, span_of
from tailrace_source_dashboard.asked import STEPS, TIME
from tailrace_source_dashboard.checking import usual_title, width_of
from tailrace_source_dashboard.document import Document
from tailrace_source_dashboard.shaping import MARK, Shape, unit_of
from tailrace_source_dashboard.spans import Span

_LONG_LABEL = 10
_NO_SPACE = frozenset(("", "%"))


@attrs.frozen
class Drawn:
    """A panel with its data.

    Args:
        answer: What came out.
        shape: What is shown of it.
        panel: How.
    """

    answer: Answer
    shape: Shape
    panel: Panel


def drawn(answer: Answer, shape: Shape, call: SourceCall, currency: str) -> Drawn:
    """One panel."""
    spec, metrics = answer.asked.spec, answer.asked.metrics
    title = _title(answer, shape, call.time_zone, currency)
    content: Figure | Chart | TableView | Prose
    if spec.kind == "figure":
        content = _figure(answer, currency, call.time_zone)
    elif spec.kind == "table":
        content = _view(answer, shape) if shape.table.height else Prose(["There are no rows in this range."])
    elif not answer.count or not shape.table.height:
        content = Prose(["There are no rows in this range."])
    else:
        content = _chart(answer, shape, currency)
    filters = [redacted(text) for text in (*answer.rows.filters, *([spec.filter] if spec.filter else []))]
    span = span_of(answer)
    notes = [*shape.notes, *([spec.note] if spec.note else [])]
    if answer.asked.key.time is None:
        notes.insert(0, "as it is now")
    panel = Panel(
        title,
        content,
        width=width_of(spec),
        height=spec.height,
        column=spec.column,
        row=spec.row,
        description=_description(title, content, call.time_zone),
        basis=Basis(answer.count, span.since, span.until, filters, "; ".join(notes)),
    )
    assert metrics or spec.table  # noqa: S101 - checked before
    return Drawn(answer, shape, panel)


def report_of(
    document: Document,
    pages: Mapping[str, Sequence[Drawn]],
    span: Span,
    covers: Sequence[str],
    call: SourceCall,
) -> Report:
    """The whole.

    Args:
        document: The dashboard.
        pages: Its panels, by the place of their page in the file.
        span: Its range.
        covers: What it is made from, and what is missing from it.
        call: What was asked.
    """
    sections: list[Section] = []
    for number, page in document.pages.items():
        panels = [one.panel for one in pages.get(f"$.pages[{number}]", ())]
        if panels:
            sections.append(Section(page.heading, _moved_up(panels, page.panels), page.text, new_page=bool(sections)))
    filters = [redacted(text) for text in (*call.where, *document.head.filters)]
    basis = Basis(since=span.since, until=span.until, filters=filters)
    return Report(document.head.title, document.head.subtitle, covers, sections, basis)


def _moved_up(panels: Sequence[Panel], asked: Mapping[int, object]) -> Sequence[Panel]:
    """Panels whose neighbours were left out flow, rather than leave holes on the grid."""
    if len(panels) == len(asked):
        return panels
    return [attrs.evolve(panel, column=None, row=None) for panel in panels]


def _figure(answer: Answer, currency: str, zone: str) -> Figure:
    spec, metric = answer.asked.spec, answer.asked.metrics[0]
    value, unit = answer.whole[metric.name], unit_of(metric.unit, currency)
    before = answer.before.get(metric.name)
    detail = ""
    if value is not None and before is not None:
        detail = f"{change(value, before, unit)} from {_with_unit(before, unit, zone)} before"
    mark = None
    if value is not None and (spec.warning is not None or spec.bad is not None):
        sign = 1 if metric.better == "higher" else -1
        mark = "good"
        for bound, name in ((spec.warning, "warning"), (spec.bad, "bad")):
            if bound is not None and sign * value < sign * bound:
                mark = name
    return Figure(value, unit, detail, mark)  # type: ignore[arg-type]  # the marks there are


def change(value: float, before: float, unit: str) -> str:
    """How a value differs from the one before, in words."""
    if value == before:
        return "unchanged"
    way = "up" if value > before else "down"
    if unit == "%":
        return f"{way} {abs(value - before):,.1f} points"
    if not before:
        return way
    return f"{way} {abs(value - before) / abs(before) * 100:,.1f}\N{NO-BREAK SPACE}%"


def _chart(answer: Answer, shape: Shape, currency: str) -> Chart:
    spec, metrics = answer.asked.spec, answer.asked.metrics
    if spec.of is not None:
        name = spec.of
        unit = shape.columns[0].unit
        label = _labelled(name.removesuffix("_ms").replace("_", " "), unit)
        series = [Series("Rows", shape.places, shape.table["rows"].to_list())]  # type: ignore[arg-type]  # numbers
        return Chart("histogram", series, label, "Rows", x_step=shape.width)
    unit = unit_of(metrics[0].unit, currency)
    places = [place.astimezone(UTC) if isinstance(place, datetime) else place for place in shape.places]
    if shape.splits:
        name = metrics[0].name
        parts = shape.table.partition_by(str(spec.split), as_dict=True, maintain_order=True)
        series = [
            Series(label, places, parts[(label,)][name].to_list())  # type: ignore[arg-type]  # texts and moments
            for label in shape.splits
            if (label,) in parts
        ]
    else:
        series = [Series(metric.title, places, shape.table[metric.name].to_list()) for metric in metrics]  # type: ignore[arg-type]  # likewise
    long = spec.kind == "bar" and spec.by != TIME and any(len(str(place)) > _LONG_LABEL for place in places)
    what = metrics[0].title if len(metrics) == 1 else ""
    return Chart(
        spec.kind,  # type: ignore[arg-type]  # of the kinds that charts have
        series,
        "" if spec.by == TIME else str(spec.by).removesuffix("_code").replace("_", " ").capitalize(),
        _labelled(what, unit),
        unit,
        (0.0, 100.0) if unit == "%" and spec.kind != "heatmap" else None,
        float(STEPS[answer.step]) if spec.by == TIME else None,
        long,
    )


def _labelled(what: str, unit: str) -> str:
    return f"{what} ({unit})" if unit and what else what or unit


def _view(answer: Answer, shape: Shape) -> TableView:
    titles = {metric.name: metric.title for metric in answer.asked.metrics}
    pairs = [
        (column.name, _labelled(titles.get(column.name) or column.name.replace("_", " ").capitalize(), column.unit))
        for column in shape.columns
        if column.name != MARK
    ]
    marked = any(column.name == MARK for column in shape.columns)
    return TableView(answer.asked.name, pairs, mark=MARK if marked else None)


def _title(answer: Answer, shape: Shape, zone: str, currency: str) -> str:
    spec, metrics = answer.asked.spec, answer.asked.metrics
    if spec.title is None:
        return usual_title(spec, list(metrics))
    if "{" not in spec.title and "}" not in spec.title:
        return spec.title
    nothing = shown_value(None, zone)
    values = dict.fromkeys(("value", "change", "highest", "highest_value", "lowest", "lowest_value"), nothing)
    if metrics:
        metric = metrics[0]
        unit = unit_of(metric.unit, currency)
        value, before = answer.whole.get(metric.name), answer.before.get(metric.name)
        values["value"] = _with_unit(value, unit, zone)
        if value is not None and before is not None:
            values["change"] = change(value, before, unit)
        for name, (place, extreme) in _extremes(shape, metric.name).items():
            values[name] = _place(place, answer.step, zone)
            values[f"{name}_value"] = _with_unit(extreme, unit, zone)
    return spec.title.format(**values)


def _extremes(shape: Shape, metric: str) -> dict[str, tuple[object, float]]:
    """Where the metric is highest and lowest, of the places that are shown; the first such place."""
    if shape.totals is None:
        return {}
    known = shape.totals.drop_nulls(metric)
    if not known.height:
        return {}
    most, least = known[metric].arg_max(), known[metric].arg_min()
    return {
        name: (known[BY][row], known[metric][row])
        for name, row in (("highest", most), ("lowest", least))
        if row is not None
    }


def _place(place: object, step: str, zone: str) -> str:
    if isinstance(place, datetime):
        local = place.astimezone(ZoneInfo(zone))
        return f"{local.day} {local:%B}" + (f", {local:%H:%M}" if step.endswith("h") else "")
    return str(place)


def _with_unit(value: float | None, unit: str, zone: str) -> str:
    text = shown_value(value, zone, unit=unit)
    return f"{text}\N{NO-BREAK SPACE}{unit}" if unit and value is not None else text


def _description(title: str, content: object, zone: str) -> str:
    """What a chart shows, for people who do not see it."""
    if not isinstance(content, Chart):
        return ""
    told = []
    for series in content.series:
        known = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None]
        if not known:
            told.append(f"{series.label}: nothing known")
            continue
        (low_at, low), (high_at, high) = min(known, key=lambda one: one[1]), max(known, key=lambda one: one[1])
        at_low, at_high = (shown_value(place, zone) for place in (low_at, high_at))
        told.append(
            f"{series.label}: {_with_unit(low, content.unit, zone)} ({at_low}) to "
            f"{_with_unit(high, content.unit, zone)} ({at_high})"
        )
    kind = {"heatmap": "Heat map", "stacked": "Stacked bars", "bar": "Bars"}.get(
        content.kind, content.kind.capitalize()
    )
    return f"{kind}: {title}. {'; '.join(told)}."

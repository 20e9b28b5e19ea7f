"""Whether a dashboard makes sense, as far as that can be told without its data."""

import re
import string
from collections.abc import Iterator, Mapping
from itertools import chain, count
from pathlib import Path

import attrs

from tailrace import Chart, Figure, Metric, Panel, Prose, ReportTable, Section, places
from tailrace_source_dashboard.asked import CYCLES, EVERY, TIME, Asked, TableKey
from tailrace_source_dashboard.catalogue import TABLES, Catalogue
from tailrace_source_dashboard.document import Document, PageSpec, PanelSpec
from tailrace_source_dashboard.problems import Problems

KINDS = ("figure", "line", "bar", "stacked", "pie", "donut", "histogram", "heatmap", "table")
PLACEHOLDERS = ("value", "change", "highest", "highest_value", "lowest", "lowest_value")
WIDTHS: Mapping[str, int] = {"figure": 3, "line": 12, "pie": 4, "donut": 4, "table": 12}
"""Columns of the grid that a panel has where it does not say; 6 for the others."""
_USUAL_WIDTH = 6
_SHARES = ("pie", "donut", "stacked")
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "line": ("by",),
    "bar": ("by",),
    "stacked": ("by",),
    "pie": ("by",),
    "donut": ("by",),
    "heatmap": ("by", "split"),
    "histogram": ("table", "of"),
}
_GROUPED = ("by", "every", "split", "top", "order", "rank", "at_least", "others")
_RATED = ("warning", "bad")
_LISTED = ("table", "columns", "sort")
_BINNED = ("table", "of", "bins")
_FITS: Mapping[str, frozenset[str]] = {
    "figure": frozenset(_RATED),
    "line": frozenset(_GROUPED),
    "bar": frozenset(_GROUPED),
    "stacked": frozenset(_GROUPED),
    "pie": frozenset(_GROUPED) - {"every", "split"},
    "donut": frozenset(_GROUPED) - {"every", "split"},
    "heatmap": frozenset(_GROUPED) - {"others"},
    "histogram": frozenset(_BINNED),
    "table": frozenset((*_GROUPED, *_RATED, *_LISTED)),
}
_CHOOSING = tuple(dict.fromkeys((*_GROUPED, *_RATED, *_LISTED, *_BINNED)))
_DEFAULTS = {field.name: field.default for field in attrs.fields(PanelSpec)}


def check_document(document: Document, catalogue: Catalogue, problems: Problems) -> Mapping[str, list[Asked]]:
    """What the panels ask for, by the place of their page; those that make no sense are left out.

    Args:
        document: The dashboard.
        catalogue: The metrics that there are.
        problems: Takes what is wrong.
    """
    known = catalogue.sources | {table.source for table in TABLES.values()}
    for name in document.data:
        if name not in known:
            problems.unknown(f"$.data.{name}", "source of metrics", name, known)
    _check_range(document, problems)
    names: set[str] = set()
    asked = {}
    for number, page in document.pages.items():
        path = f"$.pages[{number}]"
        asked[path] = [
            panel
            for place, spec in page.panels.items()
            if (panel := _panel(spec, f"{path}.panels[{place}]", catalogue, names, problems)) is not None
        ]
        _check_places(page, path, problems)
    return asked


def _check_range(document: Document, problems: Problems) -> None:
    wanted = document.head.range
    if wanted.last is None:
        return
    if wanted.since is not None or wanted.until is not None:
        problems.add("$.range", "last stands by itself, without since and until.")
    if not re.fullmatch(r"[1-9][0-9]{0,3}[hdw]", wanted.last):
        problems.add("$.range.last", f"{wanted.last!r} is no span of time; write 24h, 7d or 4w.")


def _panel(spec: PanelSpec, path: str, catalogue: Catalogue, names: set[str], problems: Problems) -> Asked | None:
    before = len(problems)
    if spec.kind not in KINDS:
        problems.unknown(f"{path}.kind", "kind of panel", spec.kind, KINDS)
    _check_keys(spec, path, problems)
    metrics = [
        metric
        for place, name in _metric_names(spec, path)
        if (metric := _found(catalogue, name, place, problems)) is not None
    ]
    rank = None if spec.rank is None else _found(catalogue, spec.rank, f"{path}.rank", problems)
    _check_title(spec, path, problems)
    if len(problems) > before:
        return None
    key = _key(spec, metrics, path, problems)
    if key is None:
        return None
    _check_measures(spec, metrics, rank, key, path, problems)
    _check_dimensions(spec, key, path, problems)
    name = _name(spec, metrics, path, names, problems)
    return None if len(problems) > before else Asked(path, spec, name, key, tuple(metrics), rank)


def _metric_names(spec: PanelSpec, path: str) -> Iterator[tuple[str, str]]:
    if spec.metric is not None:
        yield f"{path}.metric", spec.metric
    for number, name in enumerate(spec.metrics):
        yield f"{path}.metrics[{number}]", name


def _found(catalogue: Catalogue, name: str, path: str, problems: Problems) -> Metric | None:
    found = catalogue.find(name)
    if isinstance(found, str):
        problems.add(path, found)
        return None
    return found


def _check_keys(spec: PanelSpec, path: str, problems: Problems) -> None:
    """Keys that a kind needs, and those that mean nothing to it."""
    fits = _FITS.get(spec.kind, frozenset(_CHOOSING))
    for name in _CHOOSING:
        if name not in fits and getattr(spec, name) != _DEFAULTS[name]:
            problems.add(f"{path}.{name}", f"a panel of kind {spec.kind} has no {name}.")
    for name in _NEEDS.get(spec.kind, ()):
        if getattr(spec, name) is None:
            problems.add(path, f"a panel of kind {spec.kind} needs {name}.")
    if spec.metric is not None and spec.metrics:
        problems.add(path, "metric and metrics exclude each other.")
    for key in ("metrics", "columns"):
        names = getattr(spec, key)
        for place, name in enumerate(names):
            if name in names[:place]:
                problems.add(f"{path}.{key}[{place}]", f"{name!r} is named already.")
    _check_values(spec, path, problems)


def _check_values(spec: PanelSpec, path: str, problems: Problems) -> None:
    """Values out of their bounds."""
    if spec.order not in {"most", "least"}:
        problems.unknown(f"{path}.order", "order", spec.order, ("most", "least"))
    if spec.every is not None and spec.every not in EVERY:
        problems.unknown(f"{path}.every", "step", spec.every, EVERY)
    if spec.every is not None and TIME not in {spec.by, spec.split}:
        problems.add(f"{path}.every", "steps are of a series in time: by = 'time'.")
    for name, least, most in (("top", 1, 10_000), ("bins", 2, 200), ("at_least", 1, 2**31), ("height", 1, 40)):
        value = getattr(spec, name)
        if value is not None and not least <= value <= most:
            problems.add(f"{path}.{name}", f"this is {least:,} to {most:,}, not {value:,}.")


def _key(spec: PanelSpec, metrics: list[Metric], path: str, problems: Problems) -> TableKey | None:
    """The one table that a panel is about."""
    if spec.kind == "histogram" or (spec.kind == "table" and spec.table is not None):
        if metrics:
            problems.add(path, f"a panel of kind {spec.kind} with a table shows its rows, and no metric.")
        if spec.kind == "table" and not spec.columns:
            problems.add(path, "a table of rows needs columns.")
        if spec.kind == "table" and spec.by is not None:
            problems.add(f"{path}.by", "a table of rows is not grouped; leave out table, and name metrics.")
        table = TABLES.get(str(spec.table))
        if table is None:
            problems.unknown(f"{path}.table", "table", str(spec.table), TABLES)
            return None
        return TableKey(table.source, table.table, table.time)
    if not metrics:
        problems.add(path, f"a panel of kind {spec.kind} needs a metric.")
        return None
    keys = {TableKey(metric.source, metric.table, metric.time): metric.name for metric in metrics}
    if len(keys) > 1:
        told = ", ".join(f"{name} of {key.source}.{key.table}" for key, name in keys.items())
        problems.add(path, f"the metrics of a panel are of one table, and these are not: {told}.")
        return None
    return next(iter(keys))


def _check_measures(
    spec: PanelSpec, metrics: list[Metric], rank: Metric | None, key: TableKey, path: str, problems: Problems
) -> None:
    several = len(metrics) > 1
    if several and spec.kind in {"figure", "pie", "donut", "heatmap"}:
        problems.add(path, f"a panel of kind {spec.kind} shows one metric, not {len(metrics)}.")
    if several and spec.split is not None and spec.kind != "table":
        problems.add(f"{path}.split", "there are several metrics already; a split needs one.")
    units = {metric.unit for metric in metrics}
    if len(units) > 1 and spec.kind in {"line", "bar", "stacked"}:
        told = ", ".join(f"{metric.name} in {metric.unit or 'numbers'}" for metric in metrics)
        problems.add(path, f"one axis has one unit, and these have several: {told}.")
    for metric in metrics if spec.kind in _SHARES or spec.others else ():
        if not metric.additive:
            what = f"a panel of kind {spec.kind}" if spec.kind in _SHARES else "a sum of others"
            problems.add(path, f"{what} needs a metric whose parts add up, and {metric.name} is none.")
    if (spec.warning is not None or spec.bad is not None) and (not metrics or metrics[0].better is None):
        problems.add(path, "warning and bad need a metric of which more is better, or worse.")
    if rank is not None and TableKey(rank.source, rank.table, rank.time) != key:
        problems.add(f"{path}.rank", f"{rank.name} is not of the table of the panel, {key.source}.{key.table}.")
    if spec.kind == "stacked" and not several and spec.split is None:
        problems.add(path, "a panel of kind stacked needs a split, or several metrics.")


def _check_dimensions(spec: PanelSpec, key: TableKey, path: str, problems: Problems) -> None:
    for place, name in (("by", spec.by), ("split", spec.split)):
        if name in {TIME, *CYCLES} and key.time is None:
            problems.add(f"{path}.{place}", f"{key.source}.{key.table} is how things are now, and has no time.")
    if spec.by is not None and spec.by == spec.split:
        problems.add(f"{path}.split", f"it is split by what it is by already: {spec.by}.")
    if spec.split == TIME:
        problems.add(f"{path}.split", "time is what a panel is by, not what it is split by.")
    if spec.kind == "line" and spec.by not in {TIME, *CYCLES, None}:
        problems.add(f"{path}.by", f"a line needs an order: by time, {' or '.join(CYCLES)}; use a bar.")
    if spec.kind in {"pie", "donut"} and spec.by == TIME:
        problems.add(f"{path}.by", f"a {spec.kind} shows parts of a whole, not a series in time; use stacked.")
    if spec.split is not None and spec.by is None:
        problems.add(f"{path}.split", "a split needs a by.")


def _check_title(spec: PanelSpec, path: str, problems: Problems) -> None:
    try:
        parts = list(string.Formatter().parse(spec.title or ""))
    except ValueError:
        problems.add(f"{path}.title", "a brace by itself is written twice: {{ or }}.")
        return
    for _text, name, form, conversion in parts:
        if name is None:
            continue
        if name not in PLACEHOLDERS:
            problems.unknown(f"{path}.title", "placeholder", name, PLACEHOLDERS)
        elif form or conversion:
            problems.add(f"{path}.title", f"a placeholder is a name and nothing else: {{{name}}}.")


def _name(spec: PanelSpec, metrics: list[Metric], path: str, names: set[str], problems: Problems) -> str:
    if spec.name is not None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", spec.name):
            problems.add(f"{path}.name", "a name is small letters, digits and underscores.")
        elif spec.name in names:
            problems.add(f"{path}.name", f"another panel is called {spec.name!r} already.")
        names.add(spec.name)
        return spec.name
    # What a placeholder becomes differs from day to day, and the names of tables should not.
    titled = spec.title if spec.title and "{" not in spec.title else usual_title(spec, metrics)
    base = re.sub(r"[^a-z0-9]+", "_", titled.lower()).strip("_")[:56] or "panel"
    base = base if base[0].isalpha() else f"panel_{base}"
    free = next(name for name in chain([base], (f"{base}_{number}" for number in count(2))) if name not in names)
    names.add(free)
    return free


def usual_title(spec: PanelSpec, metrics: list[Metric]) -> str:
    """The title of a panel that has none."""
    if spec.of is not None:
        return f"{_words(spec.of).capitalize()} of {spec.table}"
    if not metrics:
        return f"{str(spec.table).capitalize()}"
    titles = [metrics[0].title, *(_lowered(metric.title) for metric in metrics[1:])]
    subject = f"{', '.join(titles[:-1])} and {titles[-1]}" if len(titles) > 1 else titles[0]
    by = [_words(name) for name in (spec.by, spec.split) if name]
    return f"{subject} by {' and '.join(by)}" if by else subject


def _lowered(title: str) -> str:
    return title[:1].lower() + title[1:]


def _words(name: str) -> str:
    return name.removesuffix("_code").removesuffix("_ms").replace("_", " ")


def _check_places(page: PageSpec, path: str, problems: Problems) -> None:
    stand_ins = []
    for number, spec in page.panels.items():
        content: Figure | ReportTable | Chart | Prose = Chart("bar", ()) if spec.kind in KINDS else Prose(())
        if spec.kind in {"figure", "table"}:
            content = Figure(0) if spec.kind == "figure" else ReportTable((), ())
        try:
            stand_ins.append(
                Panel(
                    f"panels[{number}]",
                    content,
                    width=width_of(spec),
                    height=spec.height,
                    column=spec.column,
                    row=spec.row,
                )
            )
        except ValueError as error:
            problems.add(f"{path}.panels[{number}]", _told(str(error), number))
    try:
        places(Section(page.heading, stand_ins))
    except ValueError as error:
        problems.add(path, _lowered(str(error).replace("'", "")))


def _told(text: str, number: int) -> str:
    return text.replace(f"Panel 'panels[{number}]'", "it")


def width_of(spec: PanelSpec) -> int:
    """Columns of the grid that a panel takes."""
    return WIDTHS.get(spec.kind, _USUAL_WIDTH) if spec.width is None else spec.width


def known_location(text: str) -> Path | None:
    """The file that a location names; None where it is the name of a ready dashboard rather."""
    return None if re.fullmatch(r"[a-z][a-z0-9_-]*", text) else Path(text)

"""The rows that a dashboard is made of: opened, restricted and read, once for each table."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime

import attrs
import polars as pl

from tailrace import (
    Dataset,
    ExpressionError,
    Metric,
    PluginContractError,
    RequestError,
    Secrets,
    SourceCall,
    SourceError,
    Table,
    TailraceError,
    TimeRange,
    UnknownNameError,
    columns_of,
    filter_expression,
    redacted,
)
from tailrace_source_dashboard.asked import CYCLES, TIME, Asked, TableKey
from tailrace_source_dashboard.document import Document, PlaceSpec
from tailrace_source_dashboard.problems import Problems, unknown
from tailrace_source_dashboard.spans import Span, asked_span, earlier, last_span


@attrs.frozen
class Filter:
    """A filter that holds for all panels whose table has its columns.

    Args:
        text: As it was written.
        path: Its place in the file; empty where it was asked for from outside.
    """

    text: str
    path: str


@attrs.frozen
class Opened:
    """Sources that are open.

    Args:
        datasets: By their names.
        places: Where each reads.
    """

    datasets: Mapping[str, Dataset]
    places: Mapping[str, PlaceSpec]

    def table(self, key: TableKey) -> Table:
        """A table of theirs.

        Raises:
            SourceError: There is none.
        """
        tables = {table.name: table for table in self.datasets[key.source].tables}
        if key.table not in tables:
            message = f"The source {key.source} gave no table {key.table}: only {', '.join(tables) or 'nothing'}."
            raise SourceError(message, hint="Is this the place of the right data?")
        return tables[key.table]

    def secrets(self) -> Secrets:
        """What all of them kept out."""
        texts: dict[str, str] = {}
        public: list[str] = []
        for dataset in self.datasets.values():
            if dataset.secrets is None:
                continue
            told = dataset.secrets()
            texts |= told.texts if isinstance(told.texts, Mapping) else dict.fromkeys(told.texts, "")
            public += told.public
        return Secrets(texts, public)

    @property
    def have_secrets(self) -> bool:
        """Whether any of them can tell what it kept out."""
        return any(dataset.secrets is not None for dataset in self.datasets.values())


@contextmanager
def opened(
    asked: Sequence[Asked], places: Mapping[str, PlaceSpec], wanted: Span | None, call: SourceCall
) -> Iterator[Opened]:
    """Open the sources that panels need.

    Args:
        asked: The panels.
        places: Where each source reads, by name.
        wanted: The range, where that is known.
        call: What was asked.

    Raises:
        SourceError: One cannot be read.
    """
    if call.open_source is None:
        message = "Whoever opens a dashboard has to give it a way to open other sources."
        raise PluginContractError("dashboard", message)
    window = None
    if wanted is not None and wanted.since is not None and wanted.until is not None:
        # The range before is compared with.
        window = TimeRange(earlier(wanted.since, wanted.until - wanted.since), wanted.until)
    with ExitStack() as stack:
        datasets = {}
        for name, place in places.items():
            tables = {panel.key.table for panel in asked if panel.key.source == name}
            source = call.open_source(name, place.location, place.options, window=window, tables=tables)
            datasets[name] = stack.enter_context(source)
        yield Opened(datasets, places)


@attrs.frozen
class Rows:
    """The rows of one table.

    Args:
        key: Which.
        frame: Those of the range and of the one before, in the columns that panels need; times in UTC.
        span: The range.
        before: The range before; None where nothing is to be compared.
        hours: The hours of the range that have rows, before any filter, in the zone of the dashboard, in order.
        first: Time of the first row of the range.
        last: Time of the last one.
        filters: What holds for all panels of it.
    """

    key: TableKey
    frame: pl.DataFrame = attrs.field(repr=False)
    span: Span
    before: Span | None = None
    hours: Sequence[datetime] = ()
    first: datetime | None = None
    last: datetime | None = None
    filters: Sequence[str] = ()


def fitting(
    asked: Sequence[Asked], document: Document, opened: Opened, call: SourceCall, problems: Problems
) -> tuple[list[Asked], list[str]]:
    """The panels whose columns are there.

    Args:
        asked: The panels.
        document: Their dashboard.
        opened: The data.
        call: What was asked.
        problems: Takes columns and filters that do not fit.

    Returns:
        The panels, and a sentence for each that is left out because it may be.
    """
    kept, notes = [], []
    for panel in asked:
        table = opened.table(panel.key)
        schema = table.frame.collect_schema()
        wrong = list(_misfits(panel, schema, call))
        if not wrong:
            kept.append(panel)
        elif panel.spec.optional or document.head.optional:
            notes.append(f"Left out: {panel.spec.title or panel.name}: {wrong[0][1]}")
        else:
            for path, what in wrong:
                problems.add(path, what)
    return kept, notes


def _misfits(panel: Asked, schema: pl.Schema, call: SourceCall) -> Iterator[tuple[str, str]]:
    """What does not fit the columns there are, each with its path."""
    spec, path = panel.spec, panel.path
    for metric in (*panel.metrics, *([panel.rank] if panel.rank else [])):
        wrong = _unfit(metric, panel.key.table, schema)
        if wrong:
            yield path, wrong
    named = [("by", spec.by), ("split", spec.split), ("of", spec.of), ("sort", (spec.sort or "").removeprefix("-"))]
    named += [(f"columns[{number}]", name) for number, name in enumerate(spec.columns)]
    for place, name in named:
        wrong = _unusable(place, name, schema) if name and name not in {TIME, *CYCLES} else ""
        if wrong:
            yield f"{path}.{place}", wrong
    if spec.filter is not None:
        try:
            filter_expression(spec.filter, schema, now=call.moment, time_zone=call.time_zone)
        except RequestError as error:
            yield f"{path}.filter", told(error)


def _unfit(metric: Metric, table: str, schema: pl.Schema) -> str:
    """Why a metric cannot be made of a table; empty where it can."""
    missing = sorted(metric.columns - set(schema))
    if missing:
        return f"{metric.name} needs {' and '.join(missing)}, which {table} does not have."
    try:
        pl.LazyFrame(schema=schema).select(metric.expression).collect_schema()
    except pl.exceptions.PolarsError:
        types = ", ".join(f"{name} is {schema[name]}" for name in sorted(metric.columns))
        return f"{metric.name} cannot be made of {table}, where {types}."
    return ""


def _unusable(place: str, name: str, schema: pl.Schema) -> str:
    """Why a column cannot be used so; empty where it can."""
    if name not in schema:
        return unknown("column", name, schema)
    if place == "of" and not schema[name].is_numeric():
        return f"a histogram is of numbers, and {name} is {schema[name]}."
    if place in {"by", "split"} and (schema[name].is_nested() or schema[name].is_float()):
        return f"{name} is {schema[name]}, which makes no groups."
    return ""


def told(error: RequestError) -> str:
    """An error of a filter in one line."""
    if isinstance(error, UnknownNameError):
        return unknown(error.kind, error.name, error.known)
    if isinstance(error, ExpressionError):
        what = error.message.partition("\n")[0].rstrip(":")
        return f"{what[:1].lower()}{what[1:]}, at character {error.position + 1} of: {redacted(error.expression)}"
    return f"{error.message} {error.hint}".strip()


def read_rows(
    asked: Sequence[Asked], document: Document, opened: Opened, call: SourceCall, problems: Problems
) -> Mapping[TableKey, Rows]:
    """Read what the panels need, each table once.

    Raises:
        DashboardError: A filter fits no table.
        SourceError: A table cannot be read to its end.
    """
    keys = dict.fromkeys(panel.key for panel in asked)
    tables = {key: opened.table(key) for key in keys}
    filters = _common_filters(document, tables, call, problems)
    problems.stop()
    wanted = asked_span(document.head.range, call)
    if wanted is None:
        wanted = last_span(str(document.head.range.last), _newest(tables, call), call.time_zone)
    return {
        key: _rows(key, table, [panel for panel in asked if panel.key == key], filters[key], wanted, call)
        for key, table in tables.items()
    }


def _common_filters(
    document: Document, tables: Mapping[TableKey, Table], call: SourceCall, problems: Problems
) -> Mapping[TableKey, list[str]]:
    """The filters of the dashboard and of the call that hold for each table."""
    schemas = {key: table.frame.collect_schema() for key, table in tables.items()}
    filters = [Filter(text, "") for text in call.where]
    filters += [Filter(text, f"$.filters[{number}]") for number, text in enumerate(document.head.filters)]
    found: dict[TableKey, list[str]] = {key: [] for key in tables}
    for each in filters:
        try:
            for key in _fitted(each.text, schemas, call):
                found[key].append(each.text)
        except RequestError as error:
            if not each.path:
                raise
            problems.add(each.path, told(error))
    return found


def _fitted(text: str, schemas: Mapping[TableKey, pl.Schema], call: SourceCall) -> list[TableKey]:
    """The tables that a filter holds for.

    Raises:
        RequestError: None, or it cannot be read.
    """
    names = columns_of(text)
    fits = [key for key, schema in schemas.items() if names <= set(schema)]
    for key in fits:
        filter_expression(text, schemas[key], now=call.moment, time_zone=call.time_zone)
    if not fits:
        every = {name for schema in schemas.values() for name in schema}
        missing = next((name for name in sorted(names) if name not in every), None)
        if missing is not None:
            raise UnknownNameError("column", missing, sorted(every))
        message = f"No single table has all columns of the filter {redacted(text)!r}."
        raise RequestError(message, hint="Filter with columns of one table.")
    return fits


def _newest(tables: Mapping[TableKey, Table], call: SourceCall) -> datetime | None:
    """The time of the newest row of all tables."""
    timed = [(table, key.time) for key, table in tables.items() if key.time is not None]
    if not timed:
        return None
    found = [
        _collected(table.frame.select(_utc(table, time).max()), table.name, call).item(0, 0) for table, time in timed
    ]
    return max((moment for moment in found if moment is not None), default=None)


def _utc(table: Table, column: str) -> pl.Expr:
    dtype = table.frame.collect_schema()[column]
    times = pl.col(column)
    if not isinstance(dtype, pl.Datetime):
        message = f"Column {column} of {table.name} is {dtype}, and no time."
        raise RequestError(message, hint="Name a column of times, where the source can: options = { map = … }.")
    if dtype.time_zone is None:
        times = times.dt.replace_time_zone("UTC")
    elif dtype.time_zone != "UTC":
        times = times.dt.convert_time_zone("UTC")
    return times if dtype.time_unit == "us" else times.dt.cast_time_unit("us")


def _rows(
    key: TableKey, table: Table, asked: Sequence[Asked], filters: Sequence[str], wanted: Span, call: SourceCall
) -> Rows:
    needed = _needed(asked, filters, table.frame.collect_schema())
    frame = table.frame.select(needed)
    if key.time is None:
        return Rows(key, _collected(frame, table.name, call), Span(), filters=filters)
    frame = frame.with_columns(_utc(table, key.time))
    compared = any(panel.spec.kind == "figure" for panel in asked)
    reading = wanted
    if compared and wanted.since is not None:
        reading = Span(earlier(wanted.since, (wanted.until or call.moment) - wanted.since), wanted.until)
    if reading != Span():
        frame = frame.filter(reading.holds(key.time))
    rows = _collected(frame, table.name, call)
    current = rows.lazy().filter(wanted.holds(key.time))
    hour = pl.col(key.time).dt.convert_time_zone(call.time_zone).dt.truncate("1h")
    hours, ends = pl.collect_all(
        [
            current.select(hour).unique().sort(key.time),
            current.select(pl.col(key.time).min().alias("first"), pl.col(key.time).max().alias("last")),
        ]
    )
    first, last = ends.row(0)
    before = wanted.before(last) if compared else None
    if before is not None and not _reaches_back(rows, key.time, before):
        before = None
    return Rows(key, rows, wanted, before, hours.to_series().to_list(), first, last, filters)


def _reaches_back(rows: pl.DataFrame, time: str, before: Span) -> bool:
    """Whether the data begins where the range before does, and not in the midst of it."""
    assert before.since is not None  # noqa: S101 - spans before always have both ends
    assert before.until is not None  # noqa: S101 - likewise
    first = rows.filter(before.holds(time)).select(pl.col(time).min()).item()
    return first is not None and first - before.since <= (before.until - before.since) / 10


def _needed(asked: Sequence[Asked], filters: Sequence[str], schema: pl.Schema) -> list[str]:
    names: set[str] = set()
    for panel in asked:
        spec = panel.spec
        for metric in (*panel.metrics, *([panel.rank] if panel.rank else [])):
            names |= metric.columns
        names |= {name for name in (spec.by, spec.split, spec.of) if name} | set(spec.columns)
        names |= {(spec.sort or "").removeprefix("-")} | ({panel.key.time} if panel.key.time else set())
        names |= columns_of(spec.filter) if spec.filter else set()
    for text in filters:
        names |= columns_of(text)
    # A count needs no column, but rows.
    return [name for name in schema if name in names] or list(schema)[:1]


def _collected(frame: pl.LazyFrame, table: str, call: SourceCall) -> pl.DataFrame:
    call.context.check()
    try:
        return frame.collect(engine="streaming")
    except TailraceError:
        raise
    except pl.exceptions.PolarsError as error:
        message = f"The table {table} cannot be read to its end: {redacted(str(error))[:300]}"
        raise SourceError(message, hint="Nothing was published. Check the data.") from error

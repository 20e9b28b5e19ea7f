"""The source ``dashboard``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import polars as pl

from tailrace import (
    Column,
    CredentialMode,
    Dataset,
    Example,
    NotAllowedError,
    OptionError,
    Secrets,
    SourceCall,
    SourceError,
    Table,
    redacted,
)
from tailrace_source_dashboard.answering import answers
from tailrace_source_dashboard.asked import TIME, Asked, TableKey
from tailrace_source_dashboard.catalogue import Catalogue, built_in
from tailrace_source_dashboard.checking import check_document, known_location
from tailrace_source_dashboard.data import Opened, Rows, fitting, opened, read_rows
from tailrace_source_dashboard.document import Document, PlaceSpec
from tailrace_source_dashboard.drawing import Drawn, drawn, report_of
from tailrace_source_dashboard.options import DashboardOptions
from tailrace_source_dashboard.problems import Problems, unknown
from tailrace_source_dashboard.reading import read_document
from tailrace_source_dashboard.ready import ready_dashboards
from tailrace_source_dashboard.shaping import shaped
from tailrace_source_dashboard.spans import Span, asked_span

_OWN = ("pool", "analytics", "health")


class DashboardSource:
    """Makes a report out of a pool, a request log and health checks, as a TOML file describes it.

    Each panel is a table, too, so that formats without charts have the same data.
    """

    summary: str = "Dashboards over pools, request logs and health checks, described in TOML."
    options_type: type = DashboardOptions

    def examples(self) -> Sequence[Example]:
        """The dashboards that come with the source; their names are locations."""
        return ready_dashboards()

    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        """Make a dashboard.

        Args:
            call: ``location`` is a TOML file, or the name of a ready dashboard.

        Raises:
            DashboardError: It cannot be made as it is written; all reasons at once.
            NotAllowedError: Mode ``full``.
            SourceError: There is no such file, or the data cannot be read.
        """
        if call.credentials is CredentialMode.FULL:
            message = "A dashboard is not restored from, so credentials are not exported in full: that is for pools."
            raise NotAllowedError(message, hint="Use --credentials sanitized or reference.")
        name, text, folder = _text(call)
        problems = Problems(name)
        document = read_document(text, problems)
        document = _with_options(document, call.options, folder, call.folder)
        meant = check_document(document, Catalogue.of(call.metrics()), problems)
        pages, left_out = _with_places(meant, document, problems)
        problems.stop()
        asked = [panel for panels in pages.values() for panel in panels]
        if not asked:
            message = f"Nothing of the dashboard {name} can be made: it is told of no data."
            raise SourceError(message, hint="Say where the data is: --option pool=…, --option analytics=…, health=…")
        places = {key: document.data[key] for key in dict.fromkeys(panel.key.source for panel in asked)}
        wanted = asked_span(document.head.range, call)
        with opened(asked, places, wanted, call) as sources:
            kept, missing = fitting(asked, document, sources, call, problems)
            problems.stop()
            if not kept:
                message = f"Nothing of the dashboard {name} can be made: the data has none of its columns."
                raise SourceError(message, hint="\n".join(missing))
            rows = read_rows(kept, document, sources, call, problems)
            made = _made(kept, rows, sources, document.head.currency, call)
            notes = [*_covered(rows, sources), *left_out, *missing]
            span = next((one.span for one in rows.values() if one.key.time is not None), Span())
            by_page = {
                path: [made[panel.path] for panel in panels if panel.path in made] for path, panels in pages.items()
            }
            report = report_of(document, by_page, span, notes, call)
            yield Dataset(
                [_table(one) for one in made.values()],
                report=report,
                version="dashboard",
                notes=notes,
                restricted=True,
                secrets=(lambda: _secrets(sources, document)) if sources.have_secrets else None,
            )


def _text(call: SourceCall) -> tuple[str, str, Path]:
    """The name of a dashboard, its text, and the folder that its paths count from."""
    ready = {example.name: example.text for example in ready_dashboards()}
    path = known_location(call.location)
    if call.location in ready and (path is None or not (call.folder / call.location).exists()):
        return call.location, ready[call.location], call.folder
    file = call.folder / (path or call.location)
    try:
        return call.location, file.read_text(encoding="utf-8"), file.parent
    except UnicodeDecodeError:
        message = f"{file} is no dashboard: it is not UTF-8 text."
        raise SourceError(message, hint="A dashboard is a TOML file.") from None
    except OSError as error:
        there = unknown("ready dashboard", call.location, ready) if path is None else ""
        message = f"There is no dashboard {redacted(str(file))}: {error.strerror}."
        raise SourceError(message, hint=f"Name a TOML file. {there[:1].upper()}{there[1:]}".strip()) from None


def _with_options(document: Document, options: DashboardOptions, folder: Path, asked_from: Path) -> Document:
    """The dashboard with what was said from outside in place of what it says.

    Locations in the file count from its folder; those of options, as usual, from where the export was asked for.
    """
    data = {
        name: attrs.evolve(place, location=_counted_from(place.location, folder, asked_from))
        for name, place in document.data.items()
    }
    for name in _OWN:
        location = getattr(options, name)
        if location is not None:
            data[name] = PlaceSpec(location)
    for given, value in options.inner.items():
        name, dot, key = given.partition(".")
        if not dot or name not in data:
            raise OptionError("inner", f"{given!r} is no option of a source that the dashboard has: analytics.table=…")
        data[name] = attrs.evolve(data[name], options={**data[name].options, key: value})
    head = document.head if options.currency is None else attrs.evolve(document.head, currency=options.currency)
    return attrs.evolve(document, head=head, data=data)


def _counted_from(location: str, folder: Path, asked_from: Path) -> str:
    """A location in a file, as one that counts from where the export was asked for."""
    if "://" in location or Path(location).is_absolute() or folder == asked_from:
        return location
    return str((folder / location).absolute())


def _with_places(
    pages: Mapping[str, Sequence[Asked]], document: Document, problems: Problems
) -> tuple[Mapping[str, Sequence[Asked]], list[str]]:
    """The panels of which it is known where their data is, and a note for what is left out."""
    missing: dict[str, int] = {}
    kept: dict[str, list[Asked]] = {}
    for path, panels in pages.items():
        kept[path] = []
        for panel in panels:
            source = panel.key.source
            if source in document.data:
                kept[path].append(panel)
            elif panel.spec.optional or document.head.optional:
                missing[source] = missing.get(source, 0) + 1
            else:
                what = f"nothing says where the source {source} reads: [data] {source} = '…', or --option {source}=…"
                problems.add(panel.path, what)
    notes = [
        f"Without {source}: {count} panel{'s are' if count > 1 else ' is'} left out. Give it: --option {source}=…"
        for source, count in missing.items()
    ]
    return kept, notes


def _made(
    asked: Sequence[Asked], rows: Mapping[TableKey, Rows], sources: Opened, currency: str, call: SourceCall
) -> Mapping[str, Drawn]:
    """The panels by their places."""
    made = {}
    for answer in answers(asked, rows, call):
        meanings: Mapping[str, Column] = {column.name: column for column in sources.table(answer.asked.key).columns}
        shape = shaped(answer, call, currency, meanings)
        made[answer.asked.path] = drawn(answer, shape, call, currency)
    return made


def _covered(rows: Mapping[TableKey, Rows], sources: Opened) -> list[str]:
    told = []
    # A table may be read by its times and as it is now.
    silent = {(key.source, key.table) for key, one in rows.items() if key.time is None or one.first is not None}
    for key, one in sorted(rows.items(), key=lambda item: item[0].source):
        if key.time is not None and one.first is None and (key.source, key.table) in silent:
            continue
        place = redacted(sources.places[key.source].location)
        what = f"{key.source.capitalize()}: {key.table} of {place}"
        if one.first is None or one.last is None:
            told.append(f"{what}." if key.time is None else f"{what}, none of them in this range.")
        else:
            told.append(f"{what}, {one.first:%Y-%m-%d %H:%M} to {one.last:%Y-%m-%d %H:%M} UTC.")
    return told


def _table(one: Drawn) -> Table:
    frame = one.shape.table
    timed = one.answer.asked.over_time
    if timed:
        frame = frame.with_columns(pl.col(TIME).dt.convert_time_zone("UTC"))
    return Table(
        one.answer.asked.name,
        frame.lazy(),
        one.shape.columns,
        time_column=TIME if timed else None,
    )


def _secrets(sources: Opened, document: Document) -> Secrets:
    """What the sources kept out; what somebody wrote into the dashboard is nothing that was kept out."""
    secrets = sources.secrets()
    words = [document.head.title, document.head.subtitle]
    for page in document.pages.values():
        words += [page.heading, page.text]
        for panel in page.panels.values():
            words += [panel.title or "", panel.note]
    words += [metric.title for metric in built_in()]
    return attrs.evolve(secrets, public=[*secrets.public, *filter(None, words)])

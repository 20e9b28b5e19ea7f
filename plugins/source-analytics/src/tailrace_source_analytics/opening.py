"""From a location to the log that is there."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date

import attrs
import polars as pl

from tailrace import Context, FilePlace, PostgresPlace, SourceError
from tailrace_source_analytics.database import open_database
from tailrace_source_analytics.delimited import read_headers
from tailrace_source_analytics.files import DataFile, find_files, hold
from tailrace_source_analytics.log import Log
from tailrace_source_analytics.ndjson import read_schema
from tailrace_source_analytics.options import AnalyticsOptions
from tailrace_source_analytics.parquet import open_parquet
from tailrace_source_analytics.recognise import FileKind, recognise
from tailrace_source_analytics.rejects import Rejects
from tailrace_source_analytics.squid import Squid
from tailrace_source_analytics.textlog import Grammar, TextFiles


@contextmanager
def open_log(
    place: FilePlace | PostgresPlace, options: AnalyticsOptions, rejects: Rejects, context: Context
) -> Iterator[Log]:
    """Open what is at a place, as one snapshot.

    Raises:
        SourceError: There is nothing, or it cannot be read.
        TransientError: A database is locked or away.
    """
    if isinstance(place, PostgresPlace):
        with open_database(place, rejects, context) as log:
            yield log
        return
    files = find_files(place.path)
    kind, files, notes = _kind(place, files, options)
    if kind == "sqlite":
        with open_database(attrs.evolve(place, path=files[0].path), rejects, context) as log:
            yield log
        return
    if place.table is not None:
        message = f"{place.path} is not a database: it has no table {place.table!r}."
        raise SourceError(message, hint="Leave the table away.")
    partitions = _partitions(files)
    if kind == "parquet":
        yield open_parquet(files, partitions)
        return
    with ExitStack() as stack:
        held = hold(files)
        for file in held:
            stack.callback(file.release)
        grammar, said = _grammar(kind, held, options, context)
        partitions = [series for series in partitions if series.name not in grammar.schema]
        yield TextFiles(held, grammar, partitions, rejects, context).log(notes=[*notes, *said])


def _kind(
    place: FilePlace, files: Sequence[DataFile], options: AnalyticsOptions
) -> tuple[FileKind, tuple[DataFile, ...], list[str]]:
    """What kind of files they are; those of no bytes are left out where others say what they should be."""
    asked: FileKind | None = place.kind
    if options.kind == "postgresql":
        message = f"{place.path} is a path, and not a PostgreSQL database."
        raise SourceError(message, hint="Write postgresql://user@host/database?table=t.")
    if options.kind != "auto":
        asked = options.kind
    filled = [file for file in files if file.size or asked is not None]
    empty = [file for file in files if not file.size]
    kinds = [(file, asked or recognise(file)) for file in filled or files]
    known = [(file, kind) for file, kind in kinds if kind is not None]
    if not known:
        message = f"{place.path} is empty: there is not even a header that names columns."
        raise SourceError(
            message, hint="Check that it was written; an empty Squid log is read with --option kind=squid."
        )
    first, kind = known[0]
    other = next(((file, found) for file, found in known if found != kind), None)
    if other is not None:
        message = f"{other[0].path} is {other[1]}, and {first.path} is {kind}."
        raise SourceError(message, hint="Export files of one kind at a time.")
    if kind == "sqlite" and len(files) > 1:
        message = f"{place.path} has several SQLite databases in it."
        raise SourceError(message, hint="Export one database at a time.")
    notes = []
    if kind != "squid" and empty and kind != "sqlite":
        known = [(file, found) for file, found in known if file.size]
        if not known:
            message = f"{place.path} is empty: there is not even a header that names columns."
            raise SourceError(message, hint="Check that it was written.")
        notes.append(f"{len(empty)} of {len(files)} files have no content")
    return kind, tuple(file for file, _kind in known), notes


def _grammar(
    kind: FileKind, files: Sequence[DataFile], options: AnalyticsOptions, context: Context
) -> tuple[Grammar, list[str]]:
    if kind == "csv":
        return read_headers(files, options.separator)
    if kind == "ndjson":
        return read_schema(files, context)
    return Squid(), []


def _partitions(files: Sequence[DataFile]) -> list[pl.Series]:
    """Columns that folders give: dates where all values are, text otherwise (``007`` is no number)."""
    names = dict.fromkeys(name for file in files for name in file.partitions)
    for name in names:
        without = next((file for file in files if name not in file.partitions), None)
        if without is not None:
            message = f"{without.path} is not in a folder {name}=…, and others are."
            raise SourceError(message, hint="Export folders of one depth at a time.")
    return [_typed(name, [file.partitions[name] for file in files]) for name in names]


def _typed(name: str, values: list[str | None]) -> pl.Series:
    try:
        return pl.Series(
            name, [None if value is None else date.fromisoformat(value) for value in values], dtype=pl.Date
        )
    except ValueError:
        return pl.Series(name, values, dtype=pl.String)

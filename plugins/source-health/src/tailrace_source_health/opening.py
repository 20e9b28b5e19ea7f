"""From a location to the checks that are there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from tailrace import (
    BadRows,
    FilePlace,
    PostgresPlace,
    PostgresSnapshot,
    SourceCall,
    SourceError,
    SqliteSnapshot,
    UnknownNameError,
    is_sqlite,
    read_location,
)
from tailrace_source_health.files import DataFile, open_files, scan
from tailrace_source_health.options import HealthOptions
from tailrace_source_health.stored import Stored

_CHECKS, _IDENTITIES = "validation_results", "proxy_identities"
_EXAMPLES = (
    "Write proxywhirl:///path/to/pool.db, postgresql://host/database, or a path to a database, "
    "a Parquet or CSV file of checks, or a folder of such files."
)


@contextmanager
def open_stored(call: SourceCall) -> Iterator[Stored]:
    """Open what is at the location of a call, as one snapshot.

    Raises:
        RequestError: The location or an option cannot be read.
        SourceError: There is nothing, or it cannot be read.
        TransientError: A database is locked or away.
    """
    options: HealthOptions = call.options
    place = read_location(call.location, examples=_EXAMPLES, table=options.table, folder=call.folder)
    identities = None if options.identities is None else call.folder / options.identities
    if isinstance(place, PostgresPlace):
        with PostgresSnapshot(place.uri, context=call.context) as postgres:
            yield _with_named(_of_database(postgres, "postgresql", place.table, options), identities)
    elif place.kind == "sqlite" or _is_database(place.path):
        with SqliteSnapshot(place.path, context=call.context) as sqlite:
            yield _with_named(
                _of_database(sqlite, "sqlite", place.table, options, f" of {place.path.name}"), identities
            )
    else:
        yield _files(place, identities)


def _files(place: FilePlace, identities: Path | None) -> Stored:
    if place.table is not None:
        message = f"{place.path} is not a database: it has no table {place.table!r}."
        raise SourceError(message, hint="Leave the table away.")
    return open_files(place.path, identities)


def _is_database(path: Path) -> bool:
    # What is wrong with a file that cannot be read is said when it is.
    try:
        return path.is_file() and is_sqlite(path)
    except OSError:
        return False


def _of_database(
    snapshot: SqliteSnapshot | PostgresSnapshot, kind: str, asked: str | None, options: HealthOptions, of: str = ""
) -> Stored:
    tables = snapshot.tables()
    table = asked or _CHECKS
    if table not in tables:
        if asked is not None:
            raise UnknownNameError("table", asked, tables)
        message = f"The database has no table {_CHECKS}, in which ProxyWhirl keeps its checks."
        listing = ", ".join(tables) or "none at all"
        raise SourceError(message, hint=f"There is: {listing}. Name another table: --option table=NAME")
    bad_rows = BadRows()
    checks = snapshot.scan(table, bad_rows=bad_rows if options.on_bad_rows == "report" else None)
    # Nothing is lost with a proxy that cannot be read but its country.
    identities = snapshot.scan(_IDENTITIES, bad_rows=BadRows()) if _IDENTITIES in tables else None
    return Stored(kind, f"table {table}{of}", checks, identities, bad_rows=bad_rows)


def _with_named(stored: Stored, identities: Path | None) -> Stored:
    if identities is None:
        return stored
    file = DataFile.at(identities)
    return attrs.evolve(stored, identities=scan([file]), check_unchanged=file.check_unchanged)

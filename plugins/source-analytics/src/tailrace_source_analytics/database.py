"""Tables of SQLite and PostgreSQL databases."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from tailrace import Context, FilePlace, PostgresPlace, PostgresSnapshot, SourceError, SqliteSnapshot, UnknownNameError
from tailrace_source_analytics.canonical import looks_like_log
from tailrace_source_analytics.log import ROW, Log
from tailrace_source_analytics.rejects import Rejects

_USUAL = ("request_logs", "analytics_usage")


@contextmanager
def open_database(place: FilePlace | PostgresPlace, rejects: Rejects, context: Context) -> Iterator[Log]:
    """Open the table of a database that holds the log, in one read transaction.

    Raises:
        SourceError: The database cannot be read, or it is not clear which table to read.
        TransientError: It is locked or away for now.
        UnknownNameError: There is no such table.
    """
    if isinstance(place, PostgresPlace):
        with PostgresSnapshot(place.uri, context=context) as postgres:
            yield _log(postgres, "postgresql", place.table, rejects)
    else:
        with SqliteSnapshot(place.path, context=context) as sqlite:
            yield _log(sqlite, "sqlite", place.table, rejects)


def _log(snapshot: SqliteSnapshot | PostgresSnapshot, kind: str, asked: str | None, rejects: Rejects) -> Log:
    table, notes = _table(snapshot, asked)
    frame = snapshot.scan(table, bad_rows=rejects.bad_rows)
    declared = snapshot.columns(table)
    return Log(
        kind=kind,
        place=f"table {table}",
        frame=frame,
        numbered=lambda: frame.with_row_index(ROW, offset=1).with_columns(pl.col(ROW).cast(pl.UInt64)),
        count=lambda: snapshot.count(table),
        sample=lambda n: snapshot.sample(table, n),
        is_empty=lambda: snapshot.sample(table, 1).is_empty(),
        declared=declared,
        nested=frozenset(name for name, kind in declared.items() if kind.lower() in {"json", "jsonb"}),
        notes=notes,
    )


def _table(snapshot: SqliteSnapshot | PostgresSnapshot, asked: str | None) -> tuple[str, list[str]]:
    tables = snapshot.tables()
    if asked is not None:
        if asked not in tables:
            raise UnknownNameError("table", asked, tables)
        return asked, []
    usual = next((name for name in _USUAL if name in tables), None)
    if usual is not None:
        return usual, []
    likely = [name for name in tables if looks_like_log(snapshot.columns(name))]
    if len(likely) == 1:
        return likely[0], [f"table {likely[0]} is the only one that looks like a request log"]
    if likely:
        message = "Several tables look like a request log: " + ", ".join(likely) + "."
    elif tables:
        message = "No table looks like a request log; there is: " + ", ".join(tables) + "."
    else:
        message = "The database has no tables."
    raise SourceError(message, hint="Name the table: ?table=NAME in the location, or --option table=NAME.")

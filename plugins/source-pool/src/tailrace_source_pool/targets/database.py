"""ProxyWhirl's SQLite database as a target: one transaction from the first row read to the last row written.

Everything goes through Python's own ``sqlite3``, as in ProxyWhirl itself. The driver that exports read with brings a
second SQLite library; in one process, the two would not see each other's locks.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import attrs
import polars as pl

from tailrace import Context, OpenPoolCall, PoolChanges, RequestError, publish, staged_file, storage_errors
from tailrace_source_pool.location import Shape
from tailrace_source_pool.targets.credentials import advice
from tailrace_source_pool.targets.database_rows import Layout, read_rows
from tailrace_source_pool.targets.database_writer import Writer
from tailrace_source_pool.targets.rules import database_refusals
from tailrace_source_pool.targets.schema import statements
from tailrace_source_pool.targets.sqlite_errors import sqlite_errors

BUSY_SECONDS = 5.0
"""How long a lock of somebody else is waited for."""

_SPOILT_WAL = (
    "The database is in WAL mode, and SQLite {version} can damage such a database when two connections write at once: "
    "stop ProxyWhirl before importing, or use a Python with SQLite 3.51.3 or later."
)


@attrs.frozen(eq=False)
class DatabaseTarget:
    """A database of ProxyWhirl.

    Args:
        path: Where it is.
        connection: Open; with a write transaction, if it is going to be written to.
        layout: The columns that are there.
        clear: Whether credentials may be stored in clear.
        context: Cancellation and deadline.
    """

    path: Path
    _connection: sqlite3.Connection = attrs.field(repr=False)
    _layout: Layout = attrs.field(repr=False)
    _clear: bool
    _context: Context = attrs.field(repr=False)
    kind: str = attrs.field(default=Shape.DATABASE.value, init=False)
    unique: str = attrs.field(default="stored_url", init=False)

    @property
    def holds(self) -> tuple[str, ...]:
        """The columns that it can hold."""
        return self._layout.holds

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know about writing to it, in sentences."""
        mode = self._connection.execute("PRAGMA journal_mode").fetchone()[0]
        spoilt = mode == "wal" and not wal_is_sound(sqlite3.sqlite_version_info)
        wal = (_SPOILT_WAL.format(version=sqlite3.sqlite_version),) if spoilt else ()
        return (*advice(clear=self._clear), *wal)

    def refusals(self, frame: pl.DataFrame) -> pl.Series:
        """Why proxies cannot be in it, one reason for each; null for those that can."""
        return database_refusals(frame)

    def read(self) -> pl.DataFrame:
        """All proxies in it, credentials in clear, with ``key``."""
        with sqlite_errors(self.path):
            return read_rows(self._connection, self._layout, self.path)

    def write(self, changes: PoolChanges) -> tuple[str, ...]:
        """Make the changes and commit; see :class:`~tailrace.PoolTarget`."""
        if not self._connection.in_transaction:
            raise RequestError("This database was opened for reading, or written to already.", hint="Open it again.")
        with sqlite_errors(self.path):
            keys = Writer(self._connection, self._layout, clear=self._clear, context=self._context).make(changes)
            self._connection.execute("COMMIT")
        return keys


@attrs.frozen(eq=False)
class NewDatabaseTarget:
    """A database that is not there yet: made beside its place, and given its name when it is complete.

    Args:
        path: Where it will be.
        clear: Whether credentials may be stored in clear.
        context: Cancellation and deadline.
    """

    path: Path
    _clear: bool
    _context: Context = attrs.field(repr=False)
    kind: str = attrs.field(default=Shape.DATABASE.value, init=False)
    unique: str = attrs.field(default="stored_url", init=False)

    @property
    def holds(self) -> tuple[str, ...]:
        """The columns that it can hold."""
        with _made(":memory:") as connection:
            return Layout.of(connection, self.path).holds

    @property
    def notes(self) -> tuple[str, ...]:
        """What people should know about writing to it, in sentences."""
        return (f"{self.path} will be made.", *advice(clear=self._clear))

    def refusals(self, frame: pl.DataFrame) -> pl.Series:
        """Why proxies cannot be in it, one reason for each; null for those that can."""
        return database_refusals(frame)

    def read(self) -> pl.DataFrame:
        """No proxies, in the columns of a database; those written, once it was made."""
        if self.path.exists():
            with open_database(self.path, OpenPoolCall(str(self.path), write=False)) as made:
                return made.read()
        with _made(":memory:") as connection:
            return read_rows(connection, Layout.of(connection, self.path), self.path)

    def write(self, changes: PoolChanges) -> tuple[str, ...]:
        """Make the database; see :class:`~tailrace.PoolTarget`.

        Raises:
            AlreadyExistsError: Somebody has made it meanwhile.
        """
        with staged_file(self.path.parent) as (descriptor, staged), sqlite_errors(self.path):
            with _made(str(staged)) as connection:
                layout = Layout.of(connection, self.path)
                keys = Writer(connection, layout, clear=self._clear, context=self._context).make(changes)
                connection.execute("COMMIT")
            with storage_errors(self.path):
                os.fsync(descriptor)
            publish(staged, self.path)
        return keys


@contextmanager
def open_database(path: Path, call: OpenPoolCall) -> Iterator[DatabaseTarget]:
    """Open a database that is there; nothing of it changes unless it is written to.

    Raises:
        SourceError: It is damaged, or not ProxyWhirl's.
        TransientError: Somebody else is writing to it.
    """
    # Also to read: a writer that crashed may have left a transaction to be rolled back. Never to make a file.
    uri = f"file://{quote(str(path.absolute()))}?mode=rw"
    with sqlite_errors(path):
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    with closing(connection):
        with sqlite_errors(path):
            # What is read, planned and written is one transaction: a deferred one could not become a writer later.
            connection.execute("BEGIN IMMEDIATE" if call.write else "BEGIN")
            layout = Layout.of(connection, path)
        try:
            yield DatabaseTarget(path, connection, layout, clear=call.clear, context=call.context)
        finally:
            # Where even this fails, the journal stays beside the file, and whoever opens it next rolls back.
            with suppress(sqlite3.Error):
                connection.rollback()


def wal_is_sound(version: Sequence[int]) -> bool:
    """Whether this SQLite keeps a WAL database whole with two connections writing.

    Broken from 3.7.0 to 3.51.2; fixed in 3.51.3, 3.50.7 and 3.44.6.
    """
    major, minor, patch = version[:3]
    fixed_in = {44: 6, 50: 7, 51: 3}
    if (major, minor) < (3, 7) or (major, minor) > (3, 51):
        return True
    return minor in fixed_in and patch >= fixed_in[minor]


@contextmanager
def _made(place: str) -> Iterator[sqlite3.Connection]:
    """A new database with ProxyWhirl's tables, in an open transaction; without a journal, for nobody else knows it."""
    with closing(sqlite3.connect(place, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN IMMEDIATE")
        for statement in statements():
            connection.execute(statement)
        yield connection

"""The store's database: SQLite in the engine's home, or PostgreSQL by URL."""

import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from tailrace.files.storage import storage_errors
from tailrace.model.errors import ConfigurationError
from tailrace.store import schema
from tailrace.store.errors import StoreBusyError, StoreError, store_errors
from tailrace.store.journal import journal_for

log = logging.getLogger(__name__)

FILE_NAME: Final = "tailrace.db"
"""The database in the engine's home."""
_BUSY_SECONDS = 10.0
_CONNECT_SECONDS = 5


class Store:
    """A database with the tables of :mod:`tailrace.store.tables`; safe to use from several threads.

    It is opened when it is first used. A SQLite database that is not there is made then; one on a server gets its
    tables from ``tailrace store upgrade``, or from a worker.

    Args:
        url: ``postgresql://user:password@host/database``, or ``sqlite:///path``.
        clock: Says what time it is, with its zone; by default the server's clock says, which all workers share, and on
            SQLite the system's.
        busy_seconds: Seconds to wait for another writer.
    """

    def __init__(
        self, url: str, *, clock: Callable[[], datetime] | None = None, busy_seconds: float = _BUSY_SECONDS
    ) -> None:
        self._url = _read_url(url)
        self._clock = clock
        self._busy_seconds = busy_seconds
        self._lock = threading.RLock()
        self._engine: sa.Engine | None = None
        self._checked = False
        self._writers = threading.RLock()
        self._process: int | None = None

    @classmethod
    def in_home(cls, home: Path, *, clock: Callable[[], datetime] | None = None) -> "Store":
        """The store of an engine that names no other."""
        return cls(f"sqlite:///{(home / FILE_NAME).absolute()}", clock=clock)

    @property
    def place(self) -> str:
        """Where it is, for people: without its password."""
        if self.is_sqlite:
            return str(self._url.database)
        return self._url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file on this machine."""
        return self._url.get_backend_name() == "sqlite"

    def close(self) -> None:
        """Close the connections; it is opened again when it is used again."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine, self._checked, self._process = None, False, None

    def now(self, connection: sa.Connection) -> datetime:
        """What time it is, by the one clock that all who use this store share; UTC."""
        if self._clock is not None:
            return self._clock().astimezone(UTC)
        if self.is_sqlite:
            return datetime.now(UTC)
        moment: datetime = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
        return moment.astimezone(UTC)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that only reads, from one moment.

        Raises:
            StoreBusyError: Locked, or away: later it may work.
            TailraceError: It cannot be used as it is.
        """
        with store_errors(self.place), self._checked_engine().connect() as connection, _for_reading(connection).begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction that writes: committed at the end, rolled back when something is raised.

        On SQLite it holds the one lock for writing from its beginning: a transaction that read first and then wrote
        would be refused at once, whatever the time to wait.

        Raises:
            StoreBusyError: Locked, or away: later it may work.
            TailraceError: It cannot be used as it is.
        """
        with (
            self._in_turn(),
            store_errors(self.place),
            self._checked_engine().connect() as connection,
            _for_writing(connection).begin(),
        ):
            yield connection

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """One writer of this process after the other: SQLite lets those wait longest who have waited longest."""
        if not self.is_sqlite or self._process not in {None, os.getpid()}:
            yield
            return
        with self._writers:
            yield

    def upgrade(self) -> tuple[str | None, str]:
        """Make the tables, or bring them up to date.

        Returns:
            The revision before, None where there were no tables, and after.

        Raises:
            NewerVersionError: A newer program made them.
            TailraceError: It cannot be used.
        """
        with store_errors(self.place), self._opened().connect() as connection, _for_writing(connection).begin():
            if not self.is_sqlite:
                # Two who upgrade at once: the second waits, and finds it done.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_UPGRADE_LOCK)))
            return schema.upgrade(connection, self.place)

    def revision(self) -> str | None:
        """The revision of its tables; None where there are none."""
        if self.is_sqlite and not Path(str(self._url.database)).exists():
            return None
        with store_errors(self.place), self._opened().connect() as connection, connection.begin():
            return schema.revision(connection)

    def _checked_engine(self) -> sa.Engine:
        engine = self._opened()
        if self._checked:
            return engine
        with self._lock:
            if not self._checked:
                found = self.revision()
                if found is None and self.is_sqlite:
                    _before, found = self.upgrade()
                schema.check(found, self.place)
                self._checked = True
        return engine

    def _opened(self) -> sa.Engine:
        # Asked before the lock, which another thread may have held at the moment of the fork.
        if self._process not in {None, os.getpid()}:
            message = (
                "This engine was used before its process was forked; neither its connections nor polars survive that."
            )
            raise ConfigurationError(message, hint="Make an engine in each process, after the fork.")
        with self._lock:
            if self._engine is None:
                self._process = os.getpid()
                self._engine = self._sqlite() if self.is_sqlite else self._postgres()
            return self._engine

    def _sqlite(self) -> sa.Engine:
        path = Path(str(self._url.database))
        with storage_errors(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its journals the permissions of the database.
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        engine = sa.create_engine(
            self._url.set(drivername="sqlite+pysqlite"),
            # Errors, and with them tracebacks, do not say what was to be stored.
            hide_parameters=True,
            connect_args={"timeout": self._busy_seconds, "isolation_level": None},
        )
        sa.event.listen(engine, "connect", self._prepare)
        sa.event.listen(engine, "begin", _begin)
        log.debug("SQLite %s: journal mode %s", sqlite3.sqlite_version, journal_for(sqlite3.sqlite_version_info[:3]))
        return engine

    def _prepare(self, connection: Any, _record: Any) -> None:
        """Set up a connection to SQLite."""
        wanted = journal_for(sqlite3.sqlite_version_info[:3])
        (mode,) = connection.execute(f"PRAGMA journal_mode = {wanted}").fetchone()
        if mode == "wal" != wanted:
            message = f"The store {self.place} is in WAL mode, which SQLite {sqlite3.sqlite_version} can corrupt."
            hint = "Stop what uses it and try again, or use a Python with SQLite 3.51.3 or newer."
            raise ConfigurationError(message, hint=hint)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA journal_size_limit = 1048576")
        connection.execute("PRAGMA foreign_keys = ON")
        # Without it, INSERT OR REPLACE would get around what refuses deletions.
        connection.execute("PRAGMA recursive_triggers = ON")

    def _postgres(self) -> sa.Engine:
        try:
            import psycopg  # noqa: F401 - asked for here, to say how to get it
        except ImportError:
            message = "A store on PostgreSQL needs the package psycopg."
            raise ConfigurationError(message, hint="pip install 'tailrace-core[postgresql]'") from None
        return sa.create_engine(
            self._url.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={"connect_timeout": _CONNECT_SECONDS, "application_name": "tailrace"},
        )


_UPGRADE_LOCK = int.from_bytes(b"tailrac", "big")
"""Key of the advisory lock under which PostgreSQL is upgraded."""


def _read_url(url: str) -> sa.URL:
    try:
        read = sa.make_url(url)
    except sa.exc.ArgumentError:
        message = "The setting store.url is not a URL."
        raise ConfigurationError(message, hint="Write postgresql://user:password@host/database.") from None
    if read.get_backend_name() not in {"sqlite", "postgresql"}:
        message = f"The setting store.url begins with {read.drivername}://, which cannot be used."
        raise ConfigurationError(message, hint="Use postgresql://…, or sqlite:///path.")
    if read.get_backend_name() == "sqlite" and (not read.database or read.database == ":memory:"):
        raise ConfigurationError("The setting store.url names no file.", hint="Write sqlite:///path.")
    return read


def _for_reading(connection: sa.Connection) -> sa.Connection:
    if connection.dialect.name == "sqlite":
        return connection
    # By default, each statement there sees another moment.
    return connection.execution_options(isolation_level="REPEATABLE READ")


def _for_writing(connection: sa.Connection) -> sa.Connection:
    return connection.execution_options(tailrace_writes=True)


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("tailrace_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


__all__ = ["FILE_NAME", "Store", "StoreBusyError", "StoreError"]

"""One consistent snapshot of a SQLite database, read through ADBC."""

import collections
import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import attrs

from tailrace.model.context import Context
from tailrace.model.dataset import BadRows
from tailrace.model.errors import UnknownNameError
from tailrace.reading import sqlite_file
from tailrace.reading.adbc import Connection
from tailrace.reading.affinity import Kinds, Projection, StoredColumn, declared_type, quoted
from tailrace.reading.arrow_stream import StreamError
from tailrace.reading.batches import lazy_frame
from tailrace.reading.misfits import Decoded, Sieve

if TYPE_CHECKING:
    import polars as pl

    Types = Mapping[str, "type[pl.DataType] | pl.DataType"]

_READERS = 2
_ROWS_FIRST = 256
_ROWS_LEAST = 16
_ROWS_MOST = 32_768
_BATCH_BYTES = 16 << 20
_GROWTH = 8
_ROWS_STREAMED = 4096
_SAMPLED_PLACES = 8
_TRIES_FOR_ONE_MOMENT = 20


@attrs.frozen
class _Described:
    """A table, view or query as the database describes it.

    Args:
        name: Its name.
        columns: Declared types by name.
        key: Columns of the primary key.
        source: What stands behind ``FROM``.
        rowid: A name by which the row number can be read; None for views, virtual tables, tables WITHOUT ROWID.
        stored: Whether it is a table, whose values SQLite converted to the declared types.
    """

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]
    source: str
    rowid: str | None
    stored: bool

    def promised_type(self, column: str) -> "type[pl.DataType] | None":
        """The type that a column's declaration promises; None where only the values can tell."""
        import polars as pl

        promised = declared_type(self.columns[column])
        # Views say BLOB for columns that declare nothing.
        return promised if self.stored or promised != pl.Binary else None


@attrs.frozen
class _Span:
    """Rows to read: numbers from ``first`` to ``last``, at most ``rows`` of them."""

    first: int
    last: int
    rows: int


class SqliteSnapshot:
    """One consistent snapshot of a SQLite database: a read transaction from ``__enter__`` to ``__exit__``.

    The database is never written to. In rollback-journal mode its writers wait until the snapshot is closed. In WAL
    mode they do not, and SQLite may make (and leave) ``-shm`` and ``-wal`` files beside it, as for any reader; in a
    folder that must not be written to such a database is read without locks, if there is no log beside it, and checked
    after each query to be unchanged.

    Where this very process has the file open already, a private copy in the folder for temporary files is read instead:
    two SQLite libraries in one process do not see each other's locks. For the same reason, do not open the file
    otherwise in this process while the snapshot is open.

    Args:
        path: The database file.
        context: Checked between batches, so that an export can be cancelled.
        busy_timeout: Seconds to wait for a lock that somebody else holds.
    """

    def __init__(self, path: Path, *, context: Context, busy_timeout: float = 5.0) -> None:
        self.path = Path(path)
        self._context = context
        self._busy_timeout = busy_timeout
        self._closing = contextlib.ExitStack()
        self._file: sqlite_file.SqliteFile | None = None
        self._connections: list[Connection] = []
        self._pool: ThreadPoolExecutor
        self._worker = threading.local()

    def __enter__(self) -> Self:
        """Begin the snapshot.

        Raises:
            SourceError: The file is missing, not a database, damaged, or must not be read.
            TransientError: Somebody holds a lock for longer than ``busy_timeout``.
        """
        with contextlib.ExitStack() as closing:
            file = closing.enter_context(
                sqlite_file.opened(self.path, context=self._context, busy_timeout=self._busy_timeout)
            )
            file, self._connections = self._begun(file, closing)
            free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
            for connection in self._connections:
                free.put(connection)
            self._pool = ThreadPoolExecutor(
                len(self._connections),
                thread_name_prefix="tailrace-sqlite",
                initializer=lambda: setattr(self._worker, "connection", free.get()),
            )
            closing.callback(self._pool.shutdown, cancel_futures=True)
            file.forget_copy()
            self._closing = closing.pop_all()
            self._file = file
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the snapshot."""
        self._file = None
        self._closing.close()

    def tables(self) -> tuple[str, ...]:
        """Names of tables and views, sorted; without SQLite's own."""
        rows = self._rows(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'view', 'virtual')"
            " AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
        )
        return tuple(name for (name,) in rows)

    def columns(self, table: str) -> dict[str, str]:
        """Names and declared types of the columns, in order; ``""`` where none is declared.

        Raises:
            UnknownNameError: There is no such table.
        """
        return dict(self._described(table).columns)

    def key(self, table: str) -> tuple[str, ...]:
        """Names of the primary key's columns, in its order; empty where there is none, and for views.

        Raises:
            UnknownNameError: There is no such table.
        """
        return self._described(table).key

    def scan(self, table: str, *, columns: "Types | None" = None, bad_rows: BadRows | None = None) -> "pl.LazyFrame":
        """Read a table lazily: in batches, in the order of its rowid (or primary key), exactly.

        Can be collected more than once while the snapshot is open. Without ``columns``, types follow the declarations:
        ``INTEGER`` and its like are Int64, ``REAL``, ``FLOAT`` and ``DOUBLE`` Float64, ``TEXT``, ``VARCHAR`` and all
        dates and times String, ``BOOLEAN`` Boolean, ``BLOB`` Binary. Columns that declare something else or nothing
        (``NUMERIC``, ``JSON``) get the narrowest type that holds all their values, found by one pass over the table.

        A value fits or its row is bad. Numbers fit a String column, as their text; integers fit Float64 up to 2**53
        either way, and Boolean if they are 0 or 1. Nothing else is converted.

        Args:
            table: A table or view.
            columns: Columns to read, and as what: ``pl.Int64``, ``pl.Float64``, ``pl.String``, ``pl.Boolean`` or
                ``pl.Binary``. None: all of them, as declared.
            bad_rows: Where rows go that do not fit: left out, counted and listed, once per scan. None: the first of
                them is a :class:`BadRowError`, raised while collecting. Rows are numbered by their rowid, or by their
                place where they have none.

        Raises:
            UnknownNameError: There is no such table or column.
            BadRowError: While collecting: a value does not fit its column.
        """
        described = self._described(table)
        stored = {column.name: column for column in self._stored(described, columns)}
        sieve = Sieve(described.name, bad_rows)

        def read(names: Sequence[str]) -> "Iterator[pl.DataFrame]":
            self._check_open()
            projection = Projection([stored[name] for name in names], _number(described))
            for decoded in self._batches(described, projection):
                yield sieve.passed(decoded)

        schema = {name: column.dtype() for name, column in stored.items()}
        return lazy_frame(schema, read, context=self._context, label="SQLITE")

    def query(self, sql: str, parameters: Sequence[Any] = (), *, columns: "Types | None" = None) -> "pl.DataFrame":
        """Run one ``SELECT`` whose result is small, in the same snapshot. It runs twice: once to learn its types.

        Args:
            sql: One statement, with ``?`` for parameters.
            parameters: Texts, numbers, bytes or None.
            columns: Types of columns, as for :meth:`scan`. The others get the narrowest type that holds their values,
                and String where they have none.

        Raises:
            SourceError: SQLite does not understand the statement.
            UnknownNameError: The result has no such column.
            BadRowError: A value does not fit its column.
        """
        source = f"({sql.strip().rstrip(';')})"
        names = self._frame(f"SELECT * FROM {source} LIMIT 0", parameters).columns  # noqa: S608 - the caller's own
        described = _Described("(query)", dict.fromkeys(names, ""), (), source, rowid=None, stored=False)
        found = {column.name: column for column in self._stored(described, None, columns or {}, parameters)}
        projection = Projection(list(found.values()), _number(described))
        frame = self._frame(projection.careful(f"FROM {source}"), parameters)
        return Sieve("the result", None).passed(projection.decode_careful(frame[1:]).numbered(0))

    def count(self, table: str) -> int:
        """Number of rows, counted by SQLite itself.

        Raises:
            UnknownNameError: There is no such table.
        """
        return int(self._rows(f"SELECT count(*) FROM {self._described(table).source}")[0][0])  # noqa: S608 - quoted

    def sample(self, table: str, n: int, *, columns: "Types | None" = None) -> "pl.DataFrame":
        """Up to ``n`` rows from eight places spread evenly over the table: cheap, for estimates, not random.

        Views and tables without rowid give their first rows. Rows that do not fit are left out.

        Args:
            table: A table or view.
            n: Rows wanted.
            columns: As for :meth:`scan`.

        Raises:
            UnknownNameError: There is no such table or column.
        """
        import polars as pl

        described = self._described(table)
        projection = Projection(self._stored(described, columns), _number(described))
        sieve = Sieve(described.name, BadRows())
        frames = [pl.DataFrame(schema={column.name: column.dtype for column in projection.columns})]
        if described.rowid is None:
            sql = projection.careful(f"FROM (SELECT * FROM {described.source} LIMIT {n:d})")  # noqa: S608 - quoted
            frames.append(sieve.passed(projection.decode_careful(self._frame(sql)[1:]).numbered(0)))
        elif bounds := self._bounds(described):
            low, high = bounds
            start = low
            places = min(_SAMPLED_PLACES, n)
            for place in range(places):
                start = max(start, low + (high - low + 1) * place // places)
                rows = n // places + (place < n % places)
                decoded = self._decoded(described, projection, _Span(start, high, rows), self._connections[0])
                frames.append(sieve.passed(decoded))
                start = decoded.numbers[-1] + 1 if len(decoded.numbers) else start
        return pl.concat(frames)

    # Beginning: several connections that see the same moment.

    def _begun(
        self, file: sqlite_file.SqliteFile, closing: contextlib.ExitStack
    ) -> tuple[sqlite_file.SqliteFile, list[Connection]]:
        from adbc_driver_manager import Error

        try:
            return file, self._connected(file, closing)
        except Error as error:
            lockless = sqlite_file.without_locks(file)
            if lockless is None:
                raise sqlite_file.explained(self.path, error) from error
        try:
            return lockless, self._connected(lockless, closing)
        except Error as error:
            raise sqlite_file.explained(self.path, error) from error

    def _connected(self, file: sqlite_file.SqliteFile, closing: contextlib.ExitStack) -> list[Connection]:
        import adbc_driver_sqlite

        with contextlib.ExitStack() as opening:
            readers = [opening.enter_context(Connection(adbc_driver_sqlite.connect(file.uri))) for _ in range(_READERS)]
            with Connection(adbc_driver_sqlite.connect(file.uri)) as watch:
                sqlite_file.patiently(
                    lambda: _begin_together(readers, watch),
                    path=self.path,
                    context=self._context,
                    busy_timeout=self._busy_timeout,
                )
            closing.push(opening.pop_all())
        return readers

    # Describing: what the schema says, and what the values say where it does not.

    def _described(self, table: str) -> _Described:
        kinds = self._rows("SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,))
        if not kinds:
            raise UnknownNameError("table", table, self.tables(), where=f"database {self.path.name}")
        kind, without_rowid = kinds[0]
        columns = self._rows("SELECT name, type, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1", (table,))
        taken = {name.lower() for name, *_ in columns}
        rowid = next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)
        return _Described(
            table,
            {name: declared for name, declared, _ in columns},
            tuple(name for name, _, place in sorted(columns, key=lambda column: column[2]) if place),
            quoted(table),
            rowid=rowid if kind == "table" and not without_rowid else None,
            stored=kind == "table",
        )

    def _stored(
        self,
        described: _Described,
        columns: "Types | None",
        types: "Types | None" = None,
        parameters: Sequence[Any] = (),
    ) -> Sequence[StoredColumn]:
        """The columns to read (None: all) with their types: as asked, else as declared, else as found."""
        import polars as pl

        asked = columns or types or {}
        for name, dtype in asked.items():
            if name not in described.columns:
                raise UnknownNameError("column", name, described.columns, where=described.name)
            if dtype not in (pl.Int64, pl.Float64, pl.String, pl.Boolean, pl.Binary):
                message = f"column {name!r} cannot be read as {dtype}"
                raise TypeError(message)
        wanted = described.columns if columns is None else columns
        known = {name: asked[name].base_type() if name in asked else described.promised_type(name) for name in wanted}
        found = self._found(described, [name for name, dtype in known.items() if dtype is None], parameters)
        return [
            StoredColumn(name, described.columns[name], dtype or found[name], converted=described.stored)
            for name, dtype in known.items()
        ]

    def _found(
        self, described: _Described, names: Sequence[str], parameters: Sequence[Any]
    ) -> "dict[str, type[pl.DataType]]":
        if not names:
            return {}
        searches = [search for name in names for search in Kinds.found_in(name)]
        found = iter(self._rows(f"SELECT {', '.join(searches)} FROM {described.source}", parameters)[0])  # noqa: S608
        width = len(attrs.fields(Kinds))
        return {name: Kinds(*(bool(next(found)) for _ in range(width))).narrowest for name in names}

    # Reading.

    def _batches(self, described: _Described, projection: Projection) -> Iterator[Decoded]:
        if described.rowid is None:
            return self._streamed(described, projection)
        bounds = self._bounds(described)
        return self._ranged(described, projection, *bounds) if bounds else iter(())

    def _bounds(self, described: _Described) -> tuple[int, int] | None:
        number, source = _number(described), described.source
        # Two queries: SQLite looks up a minimum or a maximum, but scans the table for both at once.
        low, high = self._rows(
            f"SELECT (SELECT min({number}) FROM {source}), (SELECT max({number}) FROM {source})"  # noqa: S608 - quoted
        )[0]
        return None if low is None else (low, high)

    def _ranged(self, described: _Described, projection: Projection, low: int, high: int) -> Iterator[Decoded]:
        """Read by ranges of the row number, on all connections at a time, some ranges ahead."""
        rows = width = _ROWS_FIRST
        first = low
        ahead: collections.deque[tuple[_Span, Future[Decoded]]] = collections.deque()
        try:
            while ahead or first <= high:
                while first <= high and len(ahead) <= len(self._connections):
                    span = _Span(first, min(first + width - 1, high), rows)
                    ahead.append((span, self._pool.submit(self._decoded, described, projection, span)))
                    first = span.last + 1
                span, future = ahead.popleft()
                decoded = future.result()
                yield decoded
                count = len(decoded.numbers)
                if count:
                    fitting = _BATCH_BYTES * count // max(1, int(decoded.rows.estimated_size()))
                    rows = max(_ROWS_LEAST, min(rows * _GROWTH, fitting, _ROWS_MOST))
                if count == span.rows and decoded.numbers[-1] < span.last:
                    # More rows than the range was made for: go on behind the last one.
                    _cancel(ahead)
                    first, width = decoded.numbers[-1] + 1, rows
                else:
                    # Half of what would fit on average, so that few ranges hold more; but no number holds two rows.
                    numbers = span.last - span.first + 1
                    width = max(rows, min(width * _GROWTH, numbers * rows // (2 * count) if count else high - low))
        finally:
            _cancel(ahead)

    def _decoded(
        self, described: _Described, projection: Projection, span: _Span, connection: Connection | None = None
    ) -> Decoded:
        connection = connection or self._worker.connection
        # All rows in the driver's first batch, and room for the sentinel.
        options = {"adbc.sqlite.query.batch_rows": str(span.rows + 1)}
        number = _number(described)
        where = f"WHERE {number} BETWEEN {span.first:d} AND {span.last:d} ORDER BY {number} LIMIT {span.rows:d}"
        quick = projection.quick(f"FROM {described.source} {where}")
        decoded = projection.decode_quick(self._frame(quick, connection=connection, options=options))
        if decoded is None:
            names = ", ".join(dict.fromkeys(quoted(column.name) for column in projection.columns))
            source = f"FROM (SELECT {number} AS {number}, {names} FROM {described.source} {where})"  # noqa: S608 - quoted
            careful = self._frame(projection.careful(source), connection=connection, options=options)
            decoded = projection.decode_careful(careful[1:])
        return decoded

    def _streamed(self, described: _Described, projection: Projection) -> Iterator[Decoded]:
        """Read in the order of the key, or in the view's own, by one statement."""
        from adbc_driver_manager import Error

        names = ", ".join(map(quoted, described.columns))
        # Without a limit SQLite would drop the order of a part of a UNION.
        order = f" ORDER BY {', '.join(map(quoted, described.key))} LIMIT -1" if described.key else ""
        sql = projection.careful(f"FROM (SELECT {names} FROM {described.source}{order})")  # noqa: S608 - quoted
        start = -1
        try:
            for batch in self._connections[0].batches(
                sql, options={"adbc.sqlite.query.batch_rows": str(_ROWS_STREAMED)}
            ):
                self._check_open()
                frame = batch[1:] if start < 0 else batch
                start = max(start, 0)
                yield projection.decode_careful(frame).numbered(start)
                start += frame.height
        except (Error, StreamError) as error:
            raise sqlite_file.explained(self.path, error) from error
        self._check_open()

    # Asking.

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._frame(sql, parameters).rows()

    def _frame(
        self,
        sql: str,
        parameters: Sequence[Any] = (),
        *,
        connection: Connection | None = None,
        options: Mapping[str, str] | None = None,
    ) -> "pl.DataFrame":
        import polars as pl
        from adbc_driver_manager import Error

        self._check_open()
        try:
            frame = (connection or self._connections[0]).frame(sql, parameters, options=options)
        except (Error, pl.exceptions.PolarsError) as error:
            raise sqlite_file.explained(self.path, error) from error
        self._check_open()
        return frame

    def _check_open(self) -> None:
        file = self._file
        if file is None:
            message = "this snapshot is not open: read from it inside of its with block"
            raise RuntimeError(message)
        file.check_unchanged()


def _begin_together(readers: list[Connection], watch: Connection) -> None:
    """Begin a read transaction on each reader, all at the same moment; only on the first if there is no such moment."""
    for _ in range(_TRIES_FOR_ONE_MOMENT):
        before = _version(watch)
        _begin(readers)
        if _version(watch) == before:
            return
        _roll_back(readers)
    del readers[1:]
    _begin(readers)


def _begin(readers: Sequence[Connection]) -> None:
    begun: list[Connection] = []
    try:
        for reader in readers:
            reader.run("BEGIN")
            begun.append(reader)
            # A transaction begins to see at its first read.
            reader.frame("SELECT count(*) FROM sqlite_schema")
    except BaseException:
        _roll_back(begun)
        raise


def _roll_back(readers: Sequence[Connection]) -> None:
    for reader in readers:
        reader.run("ROLLBACK")


def _version(watch: Connection) -> int:
    # Changes when anybody else commits.
    return int(watch.frame("PRAGMA data_version").item())


def _number(described: _Described) -> str:
    return quoted(described.rowid) if described.rowid else "0"


def _cancel(ahead: collections.deque[tuple[_Span, Future[Decoded]]]) -> None:
    for _, future in ahead:
        future.cancel()
    ahead.clear()

"""One consistent snapshot of a PostgreSQL database, read through ADBC."""

import contextlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import attrs

from tailrace.model.context import Context
from tailrace.model.dataset import BadRows
from tailrace.model.errors import SourceError, TailraceError, UnknownNameError
from tailrace.reading import postgres_server
from tailrace.reading.adbc import Connection
from tailrace.reading.batches import lazy_frame
from tailrace.reading.misfits import Decoded, Sieve
from tailrace.reading.postgres_types import ServedColumn, decoded, quoted, served

if TYPE_CHECKING:
    import polars as pl

    Types = Mapping[str, "type[pl.DataType] | pl.DataType"]

_Result = TypeVar("_Result")

_ROWS_FIRST = 256
_ROWS_LEAST = 16
_ROWS_MOST = 16_384
_BATCH_BYTES = 16 << 20
_GROWTH = 8
_SAMPLED_PLACES = 8
_PAUSE = 0.1

# COPY, the driver's default, is for one query at a time; a cursor leaves the connection free between two batches.
_PLAIN = {"adbc.postgresql.use_copy": "false"}

_SETTINGS = (
    # Concurrent scans would otherwise start in the middle of a table, where another one is.
    "synchronize_seqscans = off",
    # All rows are read, so what counts is the time to the last one.
    "cursor_tuple_fraction = 1.0",
    # Values that come as text look the same for every user and server.
    "TimeZone = 'UTC'",
    "DateStyle = 'ISO, YMD'",
    "IntervalStyle = 'iso_8601'",
    "bytea_output = 'hex'",
    "extra_float_digits = 1",
    "lc_monetary = 'C'",
    "xmlbinary = 'base64'",
)

# A database without encoding does not know what its texts are: they are checked here instead.
_SET_ENCODING = (
    "SELECT set_config('client_encoding',"
    " CASE getdatabaseencoding() WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END, true)"
)


@attrs.frozen
class _Described:
    """A table or view as the catalogue describes it.

    Args:
        source: What stands behind ``FROM``.
        columns: Declared types by name.
        types: Names of the base types by name.
        key: Columns of the primary key.
        blocks: Number of blocks that can be addressed; 0 for views and the like.
    """

    source: str
    columns: Mapping[str, str]
    types: Mapping[str, str]
    key: tuple[str, ...]
    blocks: int


class PostgresSnapshot:
    """One consistent snapshot of a PostgreSQL database: a ``REPEATABLE READ READ ONLY`` transaction.

    Args:
        uri: ``postgresql://user:password@host:port/database``; user and password are never part of a message.
        context: Checked between batches and while waiting for the server, so that an export can be cancelled.
        busy_timeout: Seconds to wait for a lock that somebody else holds.
    """

    def __init__(self, uri: str, *, context: Context, busy_timeout: float = 5.0) -> None:
        self._server = postgres_server.Server(uri)
        self._context = context
        self._busy_timeout = busy_timeout
        self._closing = contextlib.ExitStack()
        self._connection: Connection | None = None
        self._pool: ThreadPoolExecutor
        self._cursors = itertools.count()

    def __enter__(self) -> Self:
        """Begin the snapshot.

        Raises:
            SourceError: There is no such database, or user and password are refused.
            TransientError: The server cannot be reached, or takes no more connections.
        """
        self._context.check()
        self._server.answer(self._begin)
        return self

    def _begin(self) -> None:
        import adbc_driver_postgresql

        with contextlib.ExitStack() as closing:
            connection = closing.enter_context(Connection(adbc_driver_postgresql.connect(self._server.timely_uri)))
            connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for setting in (*_SETTINGS, f"lock_timeout = {round(self._busy_timeout * 1000)}"):
                connection.run(f"SET LOCAL {setting}")
            # A transaction begins to see at its first query.
            connection.frame(_SET_ENCODING, options=_PLAIN)
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="tailrace-postgres")
            closing.callback(self._pool.shutdown, cancel_futures=True)
            self._connection = connection
            self._closing = closing.pop_all()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the snapshot."""
        self._connection = None
        self._closing.close()

    def tables(self) -> tuple[str, ...]:
        """Names of tables and views, sorted; without the system's own.

        Those that are not on the search path have their schema in front: ``"archive.requests"``.
        """
        rows = self._rows(
            "SELECT CASE WHEN pg_table_is_visible(c.oid) THEN c.relname::text"
            " ELSE n.nspname::text || '.' || c.relname::text END AS name"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"
            " AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'"
        )
        return tuple(sorted(name for (name,) in rows))

    def columns(self, table: str) -> dict[str, str]:
        """Names and declared types of the columns, in order, such as ``"character varying(20)"``.

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
        """Read a table lazily: in batches, in the order of its primary key (else as it is stored), exactly.

        Can be collected more than once while the snapshot is open. Without ``columns``, booleans, integers, floating
        point numbers, texts, ``bytea``, dates and timestamps (in microseconds; UTC for those with time zone) come as
        what they are. Everything else comes as PostgreSQL's text for it: ``numeric``, ``json``, ``uuid``, ``inet``,
        times of day, intervals, arrays, enumerations …

        A date or time that is infinite or not in the years 1 to 9999 does not fit, nor does text that is not UTF-8 (in
        a database without encoding).

        Args:
            table: A table or view, with its schema if it is not on the search path.
            columns: Columns to read, and as what: their own type, ``pl.String`` for all, ``pl.Int64`` and
                ``pl.Boolean`` (0 and 1) for integers, ``pl.Float64`` for numbers (integers up to 2**53; ``numeric`` is
                rounded to the nearest). None: all of them, as they are.
            bad_rows: Where rows go that do not fit: left out, counted and listed, once per scan. None: the first of
                them is a :class:`BadRowError`, raised while collecting. Rows are numbered by their place.

        Raises:
            UnknownNameError: There is no such table or column.
            SourceError: A column's type has nothing in common with the type that was asked for.
            BadRowError: While collecting: a value does not fit its column.
        """
        described = self._described(table)
        known = {column.name: column for column in self._served(described, columns)}
        sieve = Sieve(table, bad_rows)

        def read(names: Sequence[str]) -> "Iterator[pl.DataFrame]":
            for batch in self._batches(described, [known[name] for name in names]):
                yield sieve.passed(batch)

        schema = {name: column.final for name, column in known.items()}
        return lazy_frame(schema, read, context=self._context, label="POSTGRESQL")

    def query(self, sql: str, parameters: Sequence[Any] = (), *, columns: "Types | None" = None) -> "pl.DataFrame":
        """Run one ``SELECT`` whose result is small, in the same snapshot.

        Args:
            sql: One statement, with ``$1`` … for parameters.
            parameters: Texts, numbers, bytes or None.
            columns: Types of columns, as for :meth:`scan`; the others come as what they are.

        Raises:
            SourceError: PostgreSQL does not understand the statement, or a column needs a ``::text``.
            UnknownNameError: The result has no such column.
            BadRowError: A value does not fit its column.
        """
        import polars as pl

        asked = columns or {}
        frame = self._frame(sql, parameters)
        for name in asked:
            if name not in frame.columns:
                raise UnknownNameError("column", name, frame.columns, where="the result")
        plain: list[pl.Series] = []
        for series in frame.get_columns():
            # numeric and json come as text with a label.
            stored = series.ext.storage() if isinstance(series.dtype, pl.Extension) else series
            if stored.dtype == pl.Binary and stored.dtype != series.dtype:
                raise SourceError(
                    f"Column {series.name!r} is of a type that has no counterpart.", hint=f"Select {series.name}::text."
                )
            plain.append(stored)
        found = [ServedColumn(one.name, one.name, one.dtype, asked.get(one.name, one.dtype)) for one in plain]
        return Sieve("the result", None).passed(decoded(found, plain, frame.height).numbered(0))

    def count(self, table: str) -> int:
        """Number of rows, counted by PostgreSQL itself.

        Raises:
            UnknownNameError: There is no such table.
        """
        return int(self._rows(f"SELECT count(*) FROM {self._described(table).source}")[0][0])  # noqa: S608 - quoted

    def sample(self, table: str, n: int, *, columns: "Types | None" = None) -> "pl.DataFrame":
        """Up to ``n`` rows from eight places spread evenly over the table: cheap, for estimates, not random.

        Views and partitioned tables give their first rows. Rows that do not fit are left out.

        Args:
            table: A table or view.
            n: Rows wanted.
            columns: As for :meth:`scan`.

        Raises:
            UnknownNameError: There is no such table or column.
            SourceError: As for :meth:`scan`.
        """
        import polars as pl

        described = self._described(table)
        known = self._served(described, columns)
        sieve = Sieve(table, BadRows())
        starts = sorted({described.blocks * place // _SAMPLED_PLACES for place in range(_SAMPLED_PLACES)})
        frames = [pl.DataFrame(schema={column.name: column.final for column in known})]
        for place, start in enumerate(starts):
            rows = n // len(starts) + (place < n % len(starts))
            where = f" WHERE ctid >= '({start},0)'" if described.blocks else ""
            if place + 1 < len(starts):
                where += f" AND ctid < '({starts[place + 1]},0)'"
            frame = self._frame(f"{_selection(known, described)}{where} LIMIT {rows}")
            frames.append(sieve.passed(decoded(known, frame.get_columns()[1:], frame.height).numbered(0)))
        return pl.concat(frames)

    # Describing.

    def _described(self, table: str) -> _Described:
        found = self._rows(
            "SELECT c.oid::int8 AS oid, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS source,"
            " CASE WHEN c.relkind IN ('r', 'm')"
            " THEN pg_relation_size(c.oid) / current_setting('block_size')::int8 ELSE 0 END AS blocks"
            " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')"
            " AND (c.relname = $1 AND pg_table_is_visible(c.oid) OR n.nspname || '.' || c.relname = $1)"
            " ORDER BY pg_table_is_visible(c.oid) DESC LIMIT 1",
            (table,),
        )
        if not found:
            raise UnknownNameError("table", table, self.tables(), where=str(self._server))
        oid, source, blocks = found[0]
        columns = self._rows(
            "SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS declared,"
            " coalesce(b.typname, t.typname)::text AS base"
            " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type b ON b.oid = t.typbasetype"
            " WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            (oid,),
        )
        key = self._rows(
            "SELECT a.attname::text AS name FROM pg_index i"
            " CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, place)"
            " JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number"
            " WHERE i.indrelid = $1::int8::oid AND i.indisprimary ORDER BY k.place",
            (oid,),
        )
        return _Described(
            source,
            {name: declared for name, declared, _ in columns},
            {name: base for name, _, base in columns},
            tuple(name for (name,) in key),
            int(blocks),
        )

    def _served(self, described: _Described, columns: "Types | None") -> Sequence[ServedColumn]:
        for name in columns or ():
            if name not in described.columns:
                raise UnknownNameError("column", name, described.columns, where=described.source)
        wanted = described.columns if columns is None else columns
        return [served(name, described.types[name], columns[name] if columns else None) for name in wanted]

    # Reading.

    def _batches(self, described: _Described, columns: Sequence[ServedColumn]) -> Iterator[Decoded]:
        """Read through a cursor, one batch ahead."""
        cursor = f"tailrace_{next(self._cursors)}"
        order = f" ORDER BY {', '.join(map(quoted, described.key))}" if described.key else ""
        self._run(f"DECLARE {cursor} NO SCROLL CURSOR FOR {_selection(columns, described)}{order}")
        rows, start = _ROWS_FIRST, 0
        ahead = self._fetched(cursor, rows)
        try:
            while (frame := self._waited(ahead)).height:
                fitting = _BATCH_BYTES * frame.height // max(1, int(frame.estimated_size()))
                rows = max(_ROWS_LEAST, min(rows * _GROWTH, fitting, _ROWS_MOST))
                ahead = self._fetched(cursor, rows)
                yield decoded(columns, frame.get_columns()[1:], frame.height).numbered(start)
                start += frame.height
            self._run(f"CLOSE {cursor}")
        finally:
            # The end of the transaction closes a cursor that was left.
            ahead.cancel()

    def _fetched(self, cursor: str, rows: int) -> "Future[pl.DataFrame]":
        return self._pool.submit(self._frame, f"FETCH {rows} FROM {cursor}")

    def _waited(self, future: "Future[_Result]") -> _Result:
        """The result of what runs on the server; cancelled there when the export is."""
        while True:
            try:
                return future.result(timeout=_PAUSE)
            except TimeoutError:
                try:
                    self._context.check()
                except TailraceError:
                    self._open.cancel()
                    raise

    # Asking.

    @property
    def _open(self) -> Connection:
        if self._connection is None:
            message = "this snapshot is not open: read from it inside of its with block"
            raise RuntimeError(message)
        return self._connection

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._frame(sql, parameters).rows()

    def _run(self, sql: str) -> None:
        connection = self._open
        self._server.answer(lambda: connection.run(sql))

    def _frame(self, sql: str, parameters: Sequence[Any] = ()) -> "pl.DataFrame":
        connection = self._open
        return self._server.answer(lambda: connection.frame(sql, parameters, options=_PLAIN))


def _selection(columns: Sequence[ServedColumn], described: _Described) -> str:
    # A column more than asked for: a result without columns has no rows for polars.
    values = ["0 AS c0", *(f"{column.sql} AS c{place}" for place, column in enumerate(columns, 1))]
    return f"SELECT {', '.join(values)} FROM {described.source}"  # noqa: S608 - names are quoted

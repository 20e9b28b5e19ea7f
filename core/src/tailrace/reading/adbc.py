"""One ADBC connection, at the low level: SQL in, whole frames out.

The ``dbapi`` modules of the drivers import pyarrow and more; none of it is needed to hand an Arrow stream to polars.
"""

import contextlib
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tailrace.reading import arrow_stream

if TYPE_CHECKING:
    import polars as pl
    from adbc_driver_manager import AdbcDatabase, AdbcStatement

    Options = Mapping[str, str]


class Connection:
    """A connection on which several threads may read; the drivers take one after the other where they must.

    Args:
        database: An open ADBC database; closed together with the connection.
    """

    def __init__(self, database: "AdbcDatabase") -> None:
        from adbc_driver_manager import AdbcConnection

        self._database = database
        self._connection = AdbcConnection(database)
        self._lock = threading.Lock()
        self._streams: set[Generator[pl.DataFrame]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def cancel(self) -> None:
        """Ask the database to stop the statement that runs, from another thread; not all drivers can."""
        self._connection.cancel()

    def close(self) -> None:
        """Close connection and database, after the statements that still run, and abandoned streams with them."""
        for stream in tuple(self._streams):
            _finish(stream)
        with self._lock:
            self._connection.close()
            self._database.close()

    @contextlib.contextmanager
    def _statement(self, sql: str, parameters: Sequence[Any], options: "Options") -> "Iterator[AdbcStatement]":
        import polars as pl
        from adbc_driver_manager import AdbcStatement

        with contextlib.closing(AdbcStatement(self._connection)) as statement:
            statement.set_options(**options)
            statement.set_sql_query(sql)
            if parameters:
                bound = pl.DataFrame({f"p{place}": [value] for place, value in enumerate(parameters)})
                # The drivers cannot bind polars' Null type; a null of any other type is as good.
                statement.bind_stream(bound.cast({pl.Null: pl.String}))
            yield statement

    def run(self, sql: str) -> None:
        """Run a statement for its effect."""
        with self._lock, self._statement(sql, (), {}) as statement:
            statement.execute_update()

    def frame(self, sql: str, parameters: Sequence[Any] = (), *, options: "Options | None" = None) -> "pl.DataFrame":
        """Run a query and return its whole result, in the types that the driver finds."""
        import polars as pl

        with self._lock, self._statement(sql, parameters, options or {}) as statement:
            stream, _rows = statement.execute_query()
            return pl.DataFrame(stream)

    def batches(self, sql: str, *, options: "Options | None" = None) -> "Iterator[pl.DataFrame]":
        """Run a query and yield its result batch by batch.

        Other statements may run in between, so only for drivers that can keep several results open (SQLite's can).
        """
        stream = self._stream(sql, options or {})
        self._streams.add(stream)
        try:
            yield from stream
        finally:
            self._streams.discard(stream)

    def _stream(self, sql: str, options: "Options") -> "Generator[pl.DataFrame]":
        with self._statement(sql, (), options) as statement:
            stream, _rows = statement.execute_query()
            try:
                yield from arrow_stream.batches(stream)
            finally:
                stream.release()


def _finish(stream: "Generator[Any]") -> None:
    while True:
        try:
            return stream.close()
        except ValueError:  # another thread is inside of it, reading a batch
            time.sleep(0.01)

"""Changing ProxyWhirl's SQLite tables, inside of a transaction that somebody else began and ends."""

import sqlite3
from collections.abc import Collection, Sequence
from datetime import UTC, datetime

import attrs
import polars as pl

from tailrace import Context, PoolChanges, RequestError
from tailrace_source_pool.checks import CHECKS
from tailrace_source_pool.database import IDENTITIES, STATUSES
from tailrace_source_pool.targets.credentials import as_stored
from tailrace_source_pool.targets.database_rows import SLICE, Layout, cells
from tailrace_source_pool.targets.grouping import alike
from tailrace_source_pool.targets.login_places import LOGIN_COLUMNS, put_together
from tailrace_source_pool.targets.rules import database_refusals, raise_first


@attrs.frozen(eq=False)
class Writer:
    """Makes changes.

    Args:
        connection: With an open write transaction.
        layout: The columns that are there.
        clear: Whether credentials may be stored in clear.
        context: Cancellation and deadline.
    """

    _connection: sqlite3.Connection = attrs.field(repr=False)
    _layout: Layout
    _clear: bool
    _context: Context = attrs.field(repr=False)
    _moment: datetime = attrs.field(factory=lambda: datetime.now(UTC), init=False)

    def make(self, changes: PoolChanges) -> tuple[str, ...]:
        """Make all changes.

        Returns:
            The stored URLs of the proxies added.

        Raises:
            RequestError: A proxy that cannot be stored, or one to change that is not there.
            ConfigurationError: Credentials must be encrypted, and the key is not at hand.
        """
        for frame in (changes.add, changes.update):
            raise_first(database_refusals(frame))
        self._remove(changes.remove)
        for changed, group in alike(changes.update):
            for part in group.iter_slices(SLICE):
                self._context.check()
                self._update(part, changed)
        keys: list[str] = []
        for part in changes.add.iter_slices(SLICE):
            self._context.check()
            keys += self._add(part)
        return tuple(keys)

    def _remove(self, keys: Sequence[str]) -> None:
        gone = pl.DataFrame({"key": keys}, schema={"key": pl.String})
        self._touch(f"DELETE FROM {IDENTITIES} WHERE url = ?", gone)  # noqa: S608 - a known table
        self._run(f"DELETE FROM {STATUSES} WHERE proxy_url = ?", gone)  # noqa: S608 - a known table

    def _add(self, frame: pl.DataFrame) -> list[str]:
        urls = self._insert_identities(frame)
        # A state that was left behind by another proxy of this URL is not that of the new one.
        self._insert_statuses("REPLACE", urls, frame)
        return urls.to_list()

    def _update(self, frame: pl.DataFrame, changed: frozenset[str]) -> None:
        keys = frame["key"]
        columns = self._identity(frame, [name for name in self._layout.facts if name in changed])
        if not changed.isdisjoint(LOGIN_COLUMNS):
            columns = self._logins(frame).hstack(columns)
        self._set(IDENTITIES, "url", columns, keys)
        if "url" in columns.columns:
            self._rename(keys, columns["url"])
            keys = columns["url"]
        # ProxyWhirl does not see a proxy that has no state.
        self._insert_statuses("IGNORE", keys, frame.select("key"))
        status = {name: dtype for name, dtype in self._layout.status.items() if name in changed}
        self._set(STATUSES, "proxy_url", cells(frame, status, self._moment), keys)

    def _insert_identities(self, frame: pl.DataFrame) -> pl.Series:
        rows = self._logins(frame).hstack(self._identity(frame, self._layout.facts))
        self._insert("ABORT", IDENTITIES, rows)
        return rows["url"]

    def _insert_statuses(self, conflict: str, urls: pl.Series, frame: pl.DataFrame) -> None:
        rows = urls.alias("proxy_url").to_frame().hstack(cells(frame, self._layout.status, self._moment))
        self._insert(conflict, STATUSES, rows)

    def _logins(self, frame: pl.DataFrame) -> pl.DataFrame:
        stored = put_together(frame)
        return stored.with_columns(as_stored(stored[name], clear=self._clear) for name in ("username", "password"))

    def _identity(self, frame: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
        return cells(frame, {name: self._layout.identity[name] for name in names}, self._moment)

    def _rename(self, keys: pl.Series, urls: pl.Series) -> None:
        """Let states and checks follow proxies whose URL changes."""
        moved = pl.DataFrame({"url": urls, "key": keys}).filter(pl.col("url") != pl.col("key"))
        for table in (STATUSES, *((CHECKS,) if self._layout.checks else ())):
            self._run(f"UPDATE {table} SET proxy_url = ? WHERE proxy_url = ?", moved)  # noqa: S608 - a known table

    def _set(self, table: str, key: str, columns: pl.DataFrame, keys: pl.Series) -> None:
        if columns.width:
            assignments = ", ".join(f"{name} = ?" for name in columns.columns)
            statement = f"UPDATE {table} SET {assignments} WHERE {key} = ?"  # noqa: S608 - known names
            self._touch(statement, columns.with_columns(keys.alias(" key")))

    def _insert(self, conflict: str, table: str, rows: pl.DataFrame) -> None:
        marks = ", ".join("?" * rows.width)
        self._run(f"INSERT OR {conflict} INTO {table} ({', '.join(rows.columns)}) VALUES ({marks})", rows)  # noqa: S608 - known names

    def _touch(self, statement: str, rows: pl.DataFrame) -> None:
        """Run a statement that must find one row each time."""
        if self._run(statement, rows) != rows.height:
            raise RequestError(
                "A proxy that is to be changed or removed is not in the database.",
                hint="Nothing was changed. Plan the import anew.",
            )

    def _run(self, statement: str, rows: pl.DataFrame) -> int:
        """Run a statement for each row; returns how many rows of the database it touched."""
        return self._connection.executemany(statement, rows.iter_rows()).rowcount if rows.height else 0

"""Rows of ProxyWhirl's SQLite tables: read into frames, and made of frames."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import attrs
import polars as pl

from tailrace import SourceError, read_times
from tailrace_source_pool.address import take_apart
from tailrace_source_pool.checks import CHECKS
from tailrace_source_pool.database import IDENTITIES, IDENTITY_COLUMNS, STATUS_COLUMNS, STATUSES
from tailrace_source_pool.fernet import decrypt_values
from tailrace_source_pool.stored_table import FLAG, TIME
from tailrace_source_pool.targets.fitting import fitted
from tailrace_source_pool.targets.login_places import taken_apart
from tailrace_source_pool.targets.schema import DEFAULT_MOMENTS, DEFAULTS
from tailrace_source_pool.unreadable import Unreadable

SLICE = 20_000
"""Rows that are in Python's hands at a time."""

_LOGIN = ("url", "username", "password")
_STORED_TIME = "%Y-%m-%d %H:%M:%S%.6f"
"""The form in which SQLAlchemy stores times, always with microseconds."""


@attrs.frozen
class Layout:
    """Which of the columns known are there.

    Args:
        identity: Of ``proxy_identities``, with their types; ``url`` first.
        status: Of ``proxy_statuses``, with their types, without ``proxy_url``.
        checks: Whether there is a table of health checks.
    """

    identity: Mapping[str, pl.DataType]
    status: Mapping[str, pl.DataType]
    checks: bool

    @classmethod
    def of(cls, connection: sqlite3.Connection, path: Path) -> Self:
        """Look at an open database.

        Raises:
            SourceError: It is not ProxyWhirl's.
        """
        there = {table: _columns(connection, table) for table in (IDENTITIES, STATUSES, CHECKS)}
        for table, needed in ((IDENTITIES, _LOGIN), (STATUSES, ("proxy_url",))):
            missing = [name for name in needed if name not in there[table]]
            if missing:
                what = f"{table} has no column {', '.join(missing)}" if there[table] else f"it has no table {table}"
                raise SourceError(
                    f"{path} is no ProxyWhirl database: {what}.",
                    hint="Name a database that ProxyWhirl's SQLiteStorage has made, or a file that is not there yet.",
                )
        return cls(
            {name: dtype for name, dtype in IDENTITY_COLUMNS.items() if name in there[IDENTITIES]},
            {name: dtype for name, dtype in STATUS_COLUMNS.items() if name in there[STATUSES] and name != "proxy_url"},
            bool(there[CHECKS]),
        )

    @property
    def facts(self) -> tuple[str, ...]:
        """Columns of ``proxy_identities`` that do not belong to the login."""
        return tuple(name for name in self.identity if name not in _LOGIN)

    @property
    def holds(self) -> tuple[str, ...]:
        """All columns, by the names of ``docs/reference/pool.md``."""
        return (*self.identity, *self.status)


def read_rows(connection: sqlite3.Connection, layout: Layout, path: Path) -> pl.DataFrame:
    """All proxies, with columns of ``docs/reference/pool.md``, ``key``, ``stored_url`` and ``credentials_in``.

    Raises:
        BadRowError: A value of the wrong type, or a URL that is none.
        SourceError: Two states of one proxy.
        ConfigurationError: Logins are encrypted, and ProxyWhirl's key is not at hand.
    """
    types = {**layout.identity, **layout.status}
    chosen = ", ".join([*(f"i.{name}" for name in layout.identity), *(f"s.{name}" for name in layout.status)])
    cursor = connection.execute(
        f"SELECT {chosen} FROM {IDENTITIES} AS i LEFT JOIN {STATUSES} AS s ON s.proxy_url = i.url"  # noqa: S608 - known
    )
    parts = [_frame(values, types, rows, path) for rows, values in _slices(cursor)]
    rows = pl.concat([pl.DataFrame(schema=types), *parts])
    if rows["url"].is_duplicated().any():
        raise SourceError(
            f"{path} has several rows in {STATUSES} for one proxy.",
            hint="ProxyWhirl keeps one for each: proxy_url is the primary key there.",
        )
    return _canonical(rows)


def cells(frame: pl.DataFrame, types: Mapping[str, pl.DataType], moment: datetime) -> pl.DataFrame:
    """Columns as they are stored.

    Args:
        frame: Proxies, in columns of ``docs/reference/pool.md``.
        types: The columns wanted, of one of the tables, and their types; one that the frame does not have is empty.
        moment: Where ProxyWhirl would write the time.

    Raises:
        RequestError: A value that does not fit its column.
    """
    made: list[pl.Series] = []
    for name, dtype in types.items():
        column = fitted(frame, name, dtype)
        if name in DEFAULTS:
            column = column.fill_null(DEFAULTS[name])
        elif name in DEFAULT_MOMENTS:
            column = column.fill_null(moment)
        if dtype == FLAG:
            column = column.cast(pl.Int64)
        elif dtype == TIME:
            column = column.dt.replace_time_zone(None).dt.to_string(_STORED_TIME)
        made.append(column.alias(name))
    return pl.DataFrame(made)


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}


def _slices(cursor: sqlite3.Cursor) -> Iterator[tuple[pl.Series, list[tuple[Any, ...]]]]:
    """Positions, from 1, and values of so many rows at a time, column by column."""
    first = 1
    while rows := cursor.fetchmany(SLICE):
        positions = pl.int_range(first, first + len(rows), dtype=pl.Int64, eager=True)
        first += len(rows)
        yield positions, list(zip(*rows, strict=True))


def _frame(
    columns: Sequence[tuple[Any, ...]], types: Mapping[str, pl.DataType], rows: pl.Series, path: Path
) -> pl.DataFrame:
    unreadable = Unreadable(f"{path}, table {IDENTITIES}", "row", None)
    read: list[pl.Series] = []
    for values, (name, dtype) in zip(columns, types.items(), strict=True):
        series, wrong = _series(values, dtype)
        if wrong is None and name == "url":
            wrong = take_apart(series)["reason"]
        if wrong is not None:
            unreadable.leave_out(rows, name, wrong)
        read.append(series.alias(name))
    return pl.DataFrame(read)


def _series(values: Sequence[Any], dtype: pl.DataType) -> tuple[pl.Series, pl.Series | None]:
    """The values of a column, and why some cannot be read."""
    kind = pl.Int64() if dtype == FLAG else pl.String() if dtype == TIME else dtype
    try:
        series = pl.Series(values, dtype=kind)
    except (TypeError, OverflowError):
        # SQLite takes any value in any column. Its message quotes the value.
        fits = (str,) if kind == pl.String else (int,) if kind == pl.Int64 else (int, float)
        reasons = [None if value is None or isinstance(value, fits) else "its type is wrong" for value in values]
        return pl.Series(values=[None] * len(values), dtype=dtype), pl.Series(reasons, dtype=pl.String)
    if dtype == FLAG:
        return series.cast(pl.Boolean), _reason(~series.is_in((0, 1)), "it is neither 0 nor 1")
    if dtype == TIME:
        times = read_times(series)
        return times, _reason(
            times.is_null() & series.is_not_null(), "it is not a time such as 2026-08-15 00:24:09.297504"
        )
    return series, None


def _reason(wrong: pl.Series, reason: str) -> pl.Series | None:
    wrong = wrong.fill_null(value=False)
    if not wrong.any():
        return None
    return pl.select(pl.when(wrong).then(pl.lit(reason))).to_series()


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    login = rows.select("url", decrypt_values(rows["username"]), decrypt_values(rows["password"]))
    apart = taken_apart(login)
    # What the columns say wins over the URL, as in an export.
    named = [
        pl.coalesce(pl.Series(name, rows[name]), apart[name]).alias(name)
        for name in ("protocol", "host", "port")
        if name in rows.columns
    ]
    facts = rows.drop(*_LOGIN, "protocol", "host", "port", strict=False)
    return apart.with_columns(named).hstack(facts).with_columns(rows["url"].alias("key")).sort("key")

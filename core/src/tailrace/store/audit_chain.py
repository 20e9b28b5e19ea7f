"""Walking along the audit trail: is it whole, is an entry in it, and what does it hold, as it is stored."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

import attrs
import sqlalchemy as sa

from tailrace.model.audit import BEGINNING, ChainReport
from tailrace.model.request import TimeRange
from tailrace.store.audit import digest
from tailrace.store.columns import Document, Moment
from tailrace.store.tables import audit

_TOGETHER: Final = 1000
"""Entries that are read at once."""
_LISTED: Final = 100
"""Faults of a kind that are listed; all are counted."""
_ISO_ON_POSTGRESQL: Final = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'


@attrs.define(eq=False)
class ChainCheck:
    """A walk along the whole trail, a thousand entries at a time, so that nobody who appends waits for its end."""

    _cursor: int | None = attrs.field(default=None, init=False)
    _number: int = attrs.field(default=0, init=False)
    _hash: str = attrs.field(default=BEGINNING, init=False)
    _moment: str = attrs.field(default="", init=False)
    _entries: int = attrs.field(default=0, init=False)
    _gaps: list[tuple[int, int]] = attrs.field(factory=list, init=False)
    _changed: list[int] = attrs.field(factory=list, init=False)
    _unlinked: list[int] = attrs.field(factory=list, init=False)
    _faults: int = attrs.field(default=0, init=False)
    _first: int | None = attrs.field(default=None, init=False)

    def read(self, connection: sa.Connection) -> int:
        """Look at the next entries.

        Args:
            connection: Any; not necessarily the same each time, as entries that are there do not change.

        Returns:
            How many there were; 0 at the end.
        """
        rows = stored(connection, audit.c.keys(), after=self._cursor)
        for row in rows:
            self._take(row)
        return len(rows)

    @property
    def report(self) -> ChainReport:
        """What was found so far."""
        return ChainReport(
            entries=self._entries,
            newest=self._hash,
            moment=_moment_of(self._moment),
            gaps=tuple(self._gaps),
            changed=tuple(self._changed),
            unlinked=tuple(self._unlinked),
            faults=self._faults,
            first=self._first,
        )

    def _take(self, values: dict[str, Any]) -> None:
        number, found = values["number"], values.pop("hash")
        self._entries += 1
        self._cursor = number
        if number > self._number + 1:
            self._fault(self._gaps, self._number + 1, (self._number + 1, number - 1))
        elif number < 1 or values["previous"] != self._hash:
            self._fault(self._unlinked, number, number)
        if not _is_hash_of(found, values):
            self._fault(self._changed, number, number)
        if number >= 1:
            self._number, self._hash, self._moment = number, str(found), str(values["moment"])

    def _fault(self, kind: list[Any], number: int, fault: Any) -> None:
        self._faults += 1
        self._first = number if self._first is None else min(self._first, number)
        if len(kind) < _LISTED:
            kind.append(fault)


def verify(connection: sa.Connection) -> ChainReport:
    """Walk along the whole trail within one transaction; memory does not grow with it."""
    check = ChainCheck()
    while check.read(connection):
        pass
    return check.report


def numbers(connection: sa.Connection, hashes: Collection[str]) -> dict[str, int]:
    """The numbers of the entries that have some hashes, by hash; 0 for that of the beginning."""
    wanted = sorted(set(hashes))
    found = {BEGINNING: 0} if BEGINNING in wanted else {}
    for start in range(0, len(wanted), _TOGETHER):
        asked = sa.select(audit.c.hash, audit.c.number).where(audit.c.hash.in_(wanted[start : start + _TOGETHER]))
        found.update((row.hash, row.number) for row in connection.execute(asked))
    return found


def stored(
    connection: sa.Connection,
    columns: Sequence[str],
    *,
    after: int | None = None,
    to: int | None = None,
    window: TimeRange | None = None,
    limit: int = _TOGETHER,
) -> list[dict[str, Any]]:
    """Entries in order, as they are stored: times and parameters as texts, whatever they say.

    Args:
        connection: Any.
        columns: Which columns.
        after: With a number above this one.
        to: With a number up to this one.
        window: Only of this time.
        limit: How many at most.
    """
    dialect = connection.dialect.name
    asked = sa.select(*(_raw(audit.c[name], dialect).label(name) for name in columns))
    asked = asked.order_by(audit.c.number).limit(limit)
    if after is not None:
        asked = asked.where(audit.c.number > after)
    if to is not None:
        asked = asked.where(audit.c.number <= to)
    if window is not None:
        asked = asked.where(audit.c.moment < window.until)
        asked = asked if window.since is None else asked.where(audit.c.moment >= window.since)
    with _any_text(connection):
        return [dict(row) for row in connection.execute(asked).mappings()]


def count(connection: sa.Connection, *, to: int) -> int:
    """How many entries there are with a number up to this one."""
    asked = sa.select(sa.func.count()).select_from(audit).where(audit.c.number <= to)
    return int(connection.execute(asked).scalar_one())


def _raw(column: "sa.Column[Any]", dialect: str) -> "sa.ColumnElement[Any]":
    if isinstance(column.type, Moment) and dialect == "postgresql":
        return sa.func.to_char(sa.func.timezone("UTC", column), _ISO_ON_POSTGRESQL)
    return sa.type_coerce(column, sa.Text) if isinstance(column.type, Moment | Document) else column


def _is_hash_of(found: Any, values: Mapping[str, Any]) -> bool:
    try:
        return bool(found == digest(values))
    except (TypeError, ValueError):
        # SQLite takes values of any type: nothing that we wrote.
        return False


@contextmanager
def _any_text(connection: sa.Connection) -> Iterator[None]:
    """Read what is no text, but stands in the place of one, instead of failing at it; SQLite takes anything."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.text_factory = lambda raw: raw.decode(errors="surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = str


def _moment_of(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None

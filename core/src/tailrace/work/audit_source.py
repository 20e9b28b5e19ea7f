"""The audit trail as a source: an export of it is one like any other, proven, with a manifest."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import attrs

from tailrace.model.audit import one_line
from tailrace.model.columns import Column, Meaning
from tailrace.model.dataset import Dataset, Table
from tailrace.model.errors import SourceError
from tailrace.model.request import TimeRange
from tailrace.plugins.hookspecs import hookimpl
from tailrace.plugins.kinds import SourceCall
from tailrace.reading.batches import lazy_frame
from tailrace.store import audit, audit_chain
from tailrace.store.database import Store

if TYPE_CHECKING:
    import polars as pl

NAME: Final = "audit"
"""Name of the source, and of its one table."""
LOCATION: Final = "store"
"""The only place where it reads: the store that it was made with."""

COLUMNS: Final = (
    Column("number", Meaning.KEY, description="Counts up from 1, without gaps."),
    Column("moment", Meaning.TIMESTAMP, description="When it was done."),
    Column("user", Meaning.CATEGORY, description="Who did it; empty where nobody said who they are."),
    Column("operation", Meaning.CATEGORY, description="What was done."),
    Column("outcome", Meaning.CATEGORY, description="How it ended: ok, refused, failed."),
    Column("job", description="The job that it was about."),
    Column("thing", description="What else it was about."),
    Column("source", Meaning.CATEGORY, description="Source of an export."),
    Column("format", Meaning.CATEGORY, description="Format of an export."),
    Column("since", Meaning.TIMESTAMP, description="Start of the time range of an export, inclusive."),
    Column("until", Meaning.TIMESTAMP, description="End of the time range of an export, exclusive."),
    Column("rows", Meaning.MEASURE, description="Rows of all files."),
    Column("size", Meaning.MEASURE, unit="B", description="Bytes of all files on disk."),
    Column("file", description="The file, or several."),
    Column("error", description="What went wrong, or which rule forbade it."),
    Column("parameters", description="What else is worth knowing, as JSON."),
    Column("address", description="Where it was asked from."),
    Column("agent", description="With what it was asked."),
    Column("previous", description="Hash of the entry before."),
    Column("hash", description="Hash of the entry."),
)
"""The columns of the table, those of the store by the same names."""

_NUMBERS: Final = frozenset({"number", "rows", "size"})
_TIMES: Final = frozenset({"moment", "since", "until"})
_TOGETHER: Final = 4096
"""Entries that are read at once."""
_PLACES: Final = 8
"""Where a sample is taken."""


@attrs.frozen
class AuditOptions:
    """It has none."""


@attrs.frozen
class AuditSource:
    """Reads the audit trail of a store, as far as it went when the source was opened.

    It is no plugin that everybody can name: whoever hands it to a registry has asked
    :class:`~tailrace.work.access.Access` before.

    Args:
        store: The store.
    """

    store: Store
    summary: str = attrs.field(default="The audit trail.", init=False)
    options_type: type = attrs.field(default=AuditOptions, init=False)

    @hookimpl
    def tailrace_source(self) -> "AuditSource":
        """Itself, for a registry."""
        return self

    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        """Open the trail. What is in it stays, and so it needs no transaction that lasts.

        Raises:
            SourceError: Another location than ``"store"``.
            StoreBusyError: The store is locked, or away.
        """
        if call.location != LOCATION:
            message = f"The audit trail is read from the engine's own store, called {LOCATION!r}, and nowhere else."
            raise SourceError(message, hint="See: tailrace audit export --help")
        with self.store.reading() as connection:
            last, newest = audit.head(connection)

        def read(columns: Sequence[str]) -> "Iterator[pl.DataFrame]":
            return self._batches(columns, last, call.window)

        table = Table(
            name=NAME,
            frame=lazy_frame(_schema(), read, context=call.context, label="AUDIT TRAIL"),
            columns=COLUMNS,
            count_rows=lambda: self._count(last),
            sample=lambda rows: self._sample(rows, last),
            time_column="moment",
        )
        yield Dataset([table], version="tailrace-audit-1", notes=[f"the trail up to entry {last}, of hash {newest}"])

    def _batches(self, columns: Sequence[str], last: int, window: TimeRange | None) -> "Iterator[pl.DataFrame]":
        after = None
        while True:
            with self.store.reading() as connection:
                asked = list(dict.fromkeys([*columns, "number"]))
                rows = audit_chain.stored(connection, asked, after=after, to=last, window=window, limit=_TOGETHER)
            if not rows:
                return
            yield _frame(rows, columns)
            after = rows[-1]["number"]

    def _count(self, last: int) -> int:
        with self.store.reading() as connection:
            return audit_chain.count(connection, to=last)

    def _sample(self, rows: int, last: int) -> "pl.DataFrame":
        import polars as pl

        names = [column.name for column in COLUMNS]
        frames, after = [_frame([], names)], 0
        for place in range(_PLACES):
            wanted = rows // _PLACES + (place < rows % _PLACES)
            after = max(after, last * place // _PLACES)
            with self.store.reading() as connection:
                found = audit_chain.stored(connection, names, after=after, to=last, limit=wanted)
            frames.append(_frame(found, names))
            after = found[-1]["number"] if found else after
        return pl.concat(frames)


def _schema() -> "Mapping[str, pl.DataType]":
    import polars as pl

    return {
        column.name: pl.Int64()
        if column.name in _NUMBERS
        else pl.Datetime("us", "UTC")
        if column.name in _TIMES
        else pl.String()
        for column in COLUMNS
    }


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> "pl.DataFrame":
    import polars as pl

    schema = _schema()
    # Times come as texts; in an entry that somebody changed they, and all else, may be anything.
    read = {name: pl.Int64() if name in _NUMBERS else pl.String() for name in columns}
    values = {name: [_plain(row[name]) for row in rows] for name in columns}
    frame = pl.DataFrame(values, schema=read, strict=False)
    times = [pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", strict=False) for name in columns if name in _TIMES]
    return frame.with_columns(times).cast({name: schema[name] for name in columns})


def _plain(value: Any) -> Any:
    return one_line(value) if isinstance(value, str) and not value.isprintable() else value

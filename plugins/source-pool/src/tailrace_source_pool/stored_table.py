"""A table of a ProxyWhirl database: which columns it has, and how they are read."""

from collections.abc import Iterable, Mapping
from typing import Self

import attrs
import polars as pl

from tailrace import BadRows, SqliteSnapshot, read_times
from tailrace_source_pool.times import UTC_MICROSECONDS

TEXT, WHOLE, NUMBER, FLAG, TIME = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean(), UTC_MICROSECONDS
_BINARY = pl.Binary()

ROW, BAD_COLUMN, BAD_REASON = "row", "unreadable column", "unreadable reason"
"""Columns that travel along: the position of a row, and what in it cannot be read. Stored names have no blanks."""


@attrs.frozen
class StoredTable:
    """One table of an open snapshot.

    Args:
        snapshot: Where it is.
        name: Its name.
        stored: Columns that are read, and as what; times as text.
        shown: What a column is called from here on.
        times: Names, as shown, of the columns that hold times.
        absent: Columns that belong here and are not there, and their types.
        binary: Columns that are not read, because no format could write them.
    """

    snapshot: SqliteSnapshot = attrs.field(repr=False)
    name: str
    stored: Mapping[str, pl.DataType]
    shown: Mapping[str, str]
    times: tuple[str, ...]
    absent: Mapping[str, pl.DataType]
    binary: tuple[str, ...]

    @classmethod
    def of(
        cls, snapshot: SqliteSnapshot, name: str, known: Mapping[str, pl.DataType], *, reserved: Iterable[str] = ()
    ) -> Self:
        """Lay out a table: the columns known, and those that another version of ProxyWhirl added.

        Args:
            snapshot: Where the table is.
            name: Its name.
            known: Columns that ProxyWhirl 0.3 has, and their types.
            reserved: Names that further columns may not have; they get the table's name in front.
        """
        declared = snapshot.columns(name)
        further = {column: _dtype(kind) for column, kind in declared.items() if column not in known}
        columns = {
            **{column: dtype for column, dtype in known.items() if column in declared},
            **{column: dtype for column, dtype in further.items() if dtype != _BINARY},
        }
        taken = set(reserved)
        return cls(
            snapshot=snapshot,
            name=name,
            stored={column: TEXT if dtype == TIME else dtype for column, dtype in columns.items()},
            shown={
                column: f"{name}_{column}" if column in further and column in taken else column for column in columns
            },
            times=tuple(column for column, dtype in columns.items() if dtype == TIME),
            absent={column: dtype for column, dtype in known.items() if column not in declared},
            binary=tuple(column for column, dtype in further.items() if dtype == _BINARY),
        )

    def scan(self, bad_rows: BadRows | None) -> pl.LazyFrame:
        """Read the table lazily, with the position of each row in front."""
        return self.snapshot.scan(self.name, columns=self.stored, bad_rows=bad_rows).with_row_index(ROW, offset=1)

    def sample(self, n: int) -> pl.DataFrame:
        """Up to ``n`` rows in the shape of :meth:`scan`; a value that does not fit its column is null."""
        rows = self.snapshot.sample(self.name, n)
        return rows.select(
            pl.col(name).cast(dtype, strict=False) for name, dtype in self.stored.items()
        ).with_row_index(ROW, offset=1)

    def empty(self) -> pl.DataFrame:
        """No rows in the shape of :meth:`scan`."""
        return pl.DataFrame(schema=self.stored).with_row_index(ROW, offset=1)

    def tidy(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of :meth:`scan` with every column there, under its final name, and times as moments.

        What cannot be read is null, and told in the columns :data:`BAD_COLUMN` and :data:`BAD_REASON`.
        """
        rows = rows.rename(dict(self.shown)).with_columns(
            pl.lit(None, dtype=dtype).alias(name) for name, dtype in self.absent.items()
        )
        moments = {name: read_times(rows[name]) for name in self.times}
        wrong = {name: moments[name].is_null() & rows[name].is_not_null() for name in self.times}
        column = pl.coalesce(
            pl.lit(None, dtype=TEXT), *(pl.when(wrong[name]).then(pl.lit(name)) for name in self.times)
        )
        return rows.with_columns(column.alias(BAD_COLUMN), *moments.values()).with_columns(
            pl.when(pl.col(BAD_COLUMN).is_not_null())
            .then(pl.lit("it is not a time such as 2026-08-15 00:24:09.297504"))
            .alias(BAD_REASON)
        )

    def notes(self) -> Iterable[str]:
        """What is different from ProxyWhirl 0.3, in sentences."""
        if self.absent:
            yield f"{self.name} has no {', '.join(self.absent)}: empty in this export."
        if self.binary:
            yield f"{self.name} has binary columns, which are not exported: {', '.join(self.binary)}."


def _dtype(declared: str) -> pl.DataType:
    """The type of a column that is not known, by SQLite's own rules of affinity."""
    kind = declared.upper()
    affinities = (
        ("INT", WHOLE),
        ("BOOL", FLAG),
        ("BLOB", _BINARY),
        ("REAL", NUMBER),
        ("FLOA", NUMBER),
        ("DOUB", NUMBER),
    )
    return next((dtype for part, dtype in affinities if part in kind), TEXT)

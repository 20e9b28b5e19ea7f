"""What happens to a table between source and format: range, filters, order, limit, columns, zone.

All of it is lazy: polars pushes it down into the source where it can. (polars itself is imported inside functions, here
as everywhere in the core: the command line loads this package without needing it.)
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import attrs

from tailrace.model.columns import Column
from tailrace.model.dataset import Table
from tailrace.model.errors import RequestError, UnknownNameError
from tailrace.model.request import ExportRequest, TimeRange
from tailrace.pipeline import expressions
from tailrace.pipeline.exact import exactly
from tailrace.pipeline.moments import beside, moment_of, range_of, zone
from tailrace.reading.userinfo import redacted

if TYPE_CHECKING:
    import polars as pl


@attrs.frozen
class Selection:
    """A request's transformation, read and checked as far as it can be without the data.

    Args:
        columns: Pairs of new and old name, in order; empty for all.
        where: Filters.
        window: Time range.
        zone: Zone for display.
        sort: Pairs of column and whether to sort it downwards.
        limit: Most rows per table.
        now: When the export began.
        restricted: Whether the source applied filters and range itself (:attr:`tailrace.Dataset.restricted`).
    """

    columns: tuple[tuple[str, str], ...]
    where: tuple[str, ...]
    window: TimeRange | None
    zone: ZoneInfo
    sort: tuple[tuple[str, bool], ...]
    limit: int | None
    now: datetime
    restricted: bool = False

    @classmethod
    def of(cls, request: ExportRequest, now: datetime) -> "Selection":
        """Read the request.

        Raises:
            RequestError: A time, zone or column that cannot be.
        """
        display = zone(request.time_zone or "UTC")
        pairs = []
        for text in request.columns:
            new, separator, old = text.partition("=")
            if not new.strip():
                message = f"Column {text!r} has no name."
                raise RequestError(message, hint="Rename with: --columns new=old")
            pairs.append((new.strip(), (old if separator else new).strip()))
        names = [new for new, _old in pairs]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            message = f"Column {twice!r} is asked for twice."
            raise RequestError(message, hint="Rename one of them: --columns new=old")
        return cls(
            columns=tuple(pairs),
            where=request.where,
            window=range_of(request.since, request.until, now=now, local=display),
            zone=display,
            sort=tuple((text.removeprefix("-").strip(), text.startswith("-")) for text in map(str.strip, request.sort)),
            limit=request.limit,
            now=now,
        )

    def check(self, tables: Sequence[Table]) -> tuple[str, ...]:
        """See that everything named exists in at least one table, and say what applies to some tables only.

        Raises:
            UnknownNameError: A column that no table has.
            RequestError: A time range, where no table has times; a filter that fits no table.
        """
        schemas = {table.name: frozenset(table.frame.collect_schema()) for table in tables}
        every = list(dict.fromkeys(name for table in tables for name in table.frame.collect_schema()))
        where = f"table {tables[0].name}" if len(tables) == 1 else "any of the tables " + ", ".join(schemas)
        filters = {} if self.restricted else {text: expressions.columns_of(text) for text in self.where}
        window = None if self.restricted else self.window
        asked = [old for _new, old in self.columns] + [name for name, _down in self.sort]
        for name in [*asked, *sorted(name for names in filters.values() for name in names)]:
            if name not in every:
                raise UnknownNameError("column", name, every, where=where)
        if window is not None and not any(table.time_column for table in tables):
            message = "A time range was asked for, but the data has no column of times."
            raise RequestError(message, hint="Name it, where the source can: --map timestamp=<column>")
        notes = []
        for text, names in filters.items():
            fitting = [name for name, columns in schemas.items() if names <= columns]
            if not fitting:
                message = f"No single table has all columns of the filter {redacted(text)!r}."
                raise RequestError(message, hint="Filter with columns of one table.")
            if len(fitting) < len(tables):
                notes.append(f"The filter {redacted(text)!r} applies to {', '.join(fitting)} only.")
        for name, columns in schemas.items():
            if self.columns and not any(old in columns for _new, old in self.columns):
                notes.append(f"None of the columns asked for is in {name}: all of its columns are kept.")
        if window is not None and not all(table.time_column for table in tables):
            without = ", ".join(table.name for table in tables if not table.time_column)
            notes.append(f"The time range does not apply to {without}, which has no column of times.")
        return tuple(notes)

    def narrows(self, table: Table) -> bool:
        """Whether fewer rows than the table has may come out."""
        if self.restricted:
            return self.limit is not None
        names = frozenset(table.frame.collect_schema())
        return (
            self.limit is not None
            or (self.window is not None and table.time_column is not None)
            or any(expressions.columns_of(text) <= names for text in self.where)
        )

    def written_as(self, table: Table) -> dict[str, str]:
        """The name under which each column of a table is written, by its own name."""
        schema = table.frame.collect_schema()
        pairs = [(new, old) for new, old in self.columns if old in schema] or [(name, name) for name in schema]
        return {old: new for new, old in pairs}

    def time_column(self, table: Table) -> str | None:
        """Name under which the column of times of this table is going to be written; None where it is not."""
        if not self.columns or not any(old in table.frame.collect_schema() for _new, old in self.columns):
            return table.time_column
        return next((new for new, old in self.columns if old == table.time_column), None)

    def apply(self, table: Table, frame: "pl.LazyFrame | None" = None) -> tuple["pl.LazyFrame", tuple[Column, ...]]:
        """The rows and columns that the request asks for, of this table.

        Args:
            table: The table; :meth:`check` has seen it.
            frame: Other rows of the same shape to apply it to (a sample).

        Returns:
            The frame, and what its columns mean.

        Raises:
            ExpressionError: A filter that does not fit the table's types.
        """
        lazy = self._rows(table, table.frame if frame is None else frame)
        keys = [(name, down) for name, down in self.sort if name in table.frame.collect_schema()]
        if keys:
            names, downs = [exactly(name) for name, _down in keys], [down for _name, down in keys]
            lazy = lazy.sort(names, descending=downs, nulls_last=True, maintain_order=True)
        if self.limit is not None:
            lazy = lazy.head(self.limit)
        return self._columns(table, lazy)

    def _rows(self, table: Table, lazy: "pl.LazyFrame") -> "pl.LazyFrame":
        import polars as pl

        if self.restricted:
            return lazy
        schema = table.frame.collect_schema()
        if self.window is not None and table.time_column is not None:
            dtype = schema[table.time_column]
            if not isinstance(dtype, pl.Datetime):
                message = f"A time range was asked for, but column {table.time_column} of {table.name} is {dtype}."
                raise RequestError(
                    message, hint="Name a column of times, where the source can: --map timestamp=<column>"
                )
            if self.window.since is not None:
                times, since = beside(exactly(table.time_column), dtype, self.window.since)
                lazy = lazy.filter(times >= since)
            times, until = beside(exactly(table.time_column), dtype, self.window.until)
            lazy = lazy.filter(times < until)
        for text in self.where:
            if expressions.columns_of(text) <= frozenset(schema):
                lazy = lazy.filter(expressions.parse(text, schema, self._moment_of))
        return lazy

    def _moment_of(self, text: str) -> datetime:
        return moment_of(text, now=self.now, local=self.zone).astimezone(self.zone)

    def _columns(self, table: Table, lazy: "pl.LazyFrame") -> tuple["pl.LazyFrame", tuple[Column, ...]]:
        import polars as pl

        schema = table.frame.collect_schema()
        known = {column.name: column for column in table.columns}
        pairs = [(new, old) for new, old in self.columns if old in schema] or [(name, name) for name in schema]
        selected = []
        for new, old in pairs:
            column, dtype = exactly(old), schema[old]
            if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None and self.zone.key != dtype.time_zone:
                column = column.dt.convert_time_zone(self.zone.key)
            selected.append(column.alias(new))
        meanings = tuple(attrs.evolve(known.get(old, Column(old)), name=new) for new, old in pairs)
        if [new for new, _old in pairs] == list(schema) and self.zone.key == "UTC":
            return lazy, meanings
        return lazy.select(selected), meanings


def counted(frame: "pl.LazyFrame", seen: Callable[[int], None]) -> "pl.LazyFrame":
    """The same frame, telling ``seen`` the rows of each batch that passes; may be called from several threads."""

    def count(batch: "pl.DataFrame") -> "pl.DataFrame":
        seen(batch.height)
        return batch

    return frame.map_batches(
        count, predicate_pushdown=False, projection_pushdown=False, slice_pushdown=False, streamable=True
    )

"""Tables and datasets by their shape."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from tailrace import Column, Dataset, Meaning, Table
from tailrace_sdk.datasets.lazily import LazyRows
from tailrace_sdk.datasets.texts import HOSTILE_TEXTS

if TYPE_CHECKING:
    import polars as pl

START = datetime(2026, 8, 15, 6, tzinfo=UTC)
"""The moment of the first row."""

_USUAL = 6
_EVERY_FIFTH = 5


@attrs.frozen
class DatasetFactory:
    """Makes tables and datasets. The same shape gives the same rows, always and everywhere."""

    def frame(
        self,
        start: int = 0,
        stop: int = 3,
        *,
        columns: int = _USUAL,
        hostile: bool = False,
        nulls: bool = False,
        zones: Sequence[str] = (),
    ) -> "pl.DataFrame":
        """The rows from one number up to, and without, another.

        Args:
            start: Number of the first row.
            stop: Number of the row behind the last one.
            columns: How many columns there are, beside those of zones: id, at, text, amount, ok, kind, then numbers.
            hostile: Whether ``text`` holds the hostile texts, one after the other and again.
            nulls: Whether every fifth value is null, in all columns but ``id``, and another one in each.
            zones: IANA zones, each of which gets a column of times.
        """
        import polars as pl

        number = pl.int_range(start, stop, dtype=pl.Int64)
        texts = pl.lit(pl.Series(list(HOSTILE_TEXTS.values()), dtype=pl.String))
        moment = (number * 1_000_000 + int(START.timestamp()) * 1_000_000).cast(pl.Datetime("us", "UTC"))
        text = texts.gather(number % len(HOSTILE_TEXTS)) if hostile else pl.format("text of row {}", number)
        made = {
            "id": number,
            "at": moment,
            "text": text,
            "amount": number * 0.25,
            "ok": number % 2 == 0,
            "kind": pl.format("kind {}", number % 3),
        }
        chosen = dict(list(made.items())[:columns])
        chosen |= {f"c{extra}": number + extra for extra in range(columns - len(made))}
        chosen |= {f"at {zone}": moment.dt.convert_time_zone(zone) for zone in zones}
        if nulls:
            chosen |= {
                name: pl.when((number + place) % _EVERY_FIFTH != 0).then(values)
                for place, (name, values) in enumerate(chosen.items())
                if name != "id"
            }
        return pl.select(values.alias(name) for name, values in chosen.items())

    def table(
        self,
        name: str = "rows",
        *,
        rows: int = 3,
        lazy: bool = False,
        on_batch: Callable[[int], None] | None = None,
        **shape: Any,
    ) -> Table:
        """A table that counts its rows by itself.

        Args:
            name: Its name.
            rows: How many rows it has.
            lazy: Whether its rows are made while they are read, so that there may be any number of them.
            on_batch: For a lazy table: called with the number of rows made so far, before each batch and at the end.
            shape: As for :meth:`frame`.
        """
        make: Callable[[int, int], pl.DataFrame] = partial(self.frame, **shape)
        schema = make(0, 0).schema
        frame = LazyRows(rows, make, on_batch).frame if lazy else make(0, rows).lazy()
        columns = [Column(column, _meaning(column, dtype)) for column, dtype in schema.items()]
        return Table(name, frame, columns, count_rows=lambda: rows, time_column="at" if "at" in schema else None)

    def dataset(self, *tables: Table, **more: Any) -> Dataset:
        """A dataset of these tables; of one with three rows where none is given.

        Args:
            tables: The tables.
            more: Further arguments of :class:`tailrace.Dataset`.
        """
        return Dataset(tables or (self.table(),), **more)


def _meaning(column: str, dtype: "pl.DataType") -> Meaning:
    if column == "id":
        return Meaning.KEY
    if dtype.is_temporal():
        return Meaning.TIMESTAMP
    if dtype.is_numeric():
        return Meaning.MEASURE
    return Meaning.FLAG if str(dtype) == "Boolean" else Meaning.TEXT

"""Rows that are made while they are read, in bounded memory, with a view of who reads them."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    import polars as pl

BATCH = 50_000
"""Rows that are made at once."""


@attrs.define
class LazyRows:
    """Rows that nobody keeps: they are made when they are read, batch by batch.

    Args:
        rows: How many there are.
        make: Makes the rows from one number up to, and without, another.
        on_batch: Called with the number of rows made so far before each batch, and at the end; what it raises ends
            the reading. It runs in a thread of polars.
        batch: Rows that are made at once.
        begun: How often somebody began to read them.
        made: Rows made so far, by all who read.
        finished: How often somebody read them to their end.
    """

    rows: int
    make: "Callable[[int, int], pl.DataFrame]"
    on_batch: Callable[[int], None] | None = None
    batch: int = BATCH
    begun: int = attrs.field(default=0, init=False)
    made: int = attrs.field(default=0, init=False)
    finished: int = attrs.field(default=0, init=False)

    @property
    def frame(self) -> "pl.LazyFrame":
        """The rows, as what a source offers."""
        from polars.io.plugins import register_io_source

        return register_io_source(self._batches, schema=dict(self.make(0, 0).schema))

    def _batches(
        self,
        columns: list[str] | None,
        predicate: "pl.Expr | None",
        most: int | None,
        _batch: int | None,
    ) -> "Iterator[pl.DataFrame]":
        self.begun += 1
        rows = self.rows if most is None else min(self.rows, most)
        for start in range(0, rows, self.batch):
            self._tell(start)
            made = self.make(start, min(start + self.batch, rows))
            self.made += made.height
            chosen = made if columns is None else made.select(columns)
            yield chosen if predicate is None else chosen.filter(predicate)
        self._tell(rows)
        self.finished += 1

    def _tell(self, rows: int) -> None:
        if self.on_batch is not None:
            self.on_batch(rows)

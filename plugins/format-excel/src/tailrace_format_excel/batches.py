"""Rows in their order, in batches of one size: what is made of them is the same from run to run."""

from collections.abc import Iterator

import polars as pl

_ROWS, _CELLS = 20_000, 400_000
_FEWEST = 100


def rows_together(columns: int) -> int:
    """Rows of a batch of so many columns."""
    return max(_FEWEST, min(_ROWS, _CELLS // columns))


def batches(frame: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Read a frame, once: all batches but the last have :func:`rows_together` rows, and there is always one.

    Reading goes on a little ahead of what is asked for, and stops when nobody holds the iterator any more.
    """
    schema = frame.collect_schema()
    rows = rows_together(len(schema))
    last = None
    for batch in frame.collect_batches(chunk_size=rows, maintain_order=True, engine="streaming"):
        last = batch
        yield batch
    if last is None:
        yield pl.DataFrame(schema=schema)


def is_last(batch: pl.DataFrame) -> bool:
    """Whether no other can follow."""
    return batch.height < rows_together(batch.width)

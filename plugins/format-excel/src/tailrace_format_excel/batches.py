"""Rows in their order, in batches of one size: what is made of them is the same from run to run."""

from collections.abc import Iterator

import polars as pl

_ROWS, _CELLS = 20_000, 400_000
_FEWEST = 100
_BYTES = 8 << 20
"""Bytes of text that are worked on together."""


_OF_ANY_SIZE = (pl.String, pl.Binary)


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


def by_size(batch: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """A batch in pieces that do not hold more text than is good; most batches are one."""
    texts = [name for name, dtype in batch.schema.items() if dtype in _OF_ANY_SIZE]
    size = sum(_bytes(batch[name].alias("")) for name in texts)
    yield from batch.iter_slices(max(1, batch.height * _BYTES // size)) if size > _BYTES else (batch,)


def _bytes(values: pl.Series) -> int:
    lengths = values.str.len_bytes() if isinstance(values.dtype, pl.String) else values.bin.size()
    return int(lengths.cast(pl.UInt64).sum())


def is_last(batch: pl.DataFrame) -> bool:
    """Whether no other can follow."""
    return batch.height < rows_together(batch.width)

"""A lazy frame over batches that are read when they are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tailrace.model.context import Context

if TYPE_CHECKING:
    import polars as pl

_ROWS_TOGETHER = 8192
"""Rows that polars is given at once: it reads a number of batches ahead of a slow sink, however large they are."""


def lazy_frame(
    schema: "Mapping[str, pl.DataType]",
    read: "Callable[[Sequence[str]], Iterator[pl.DataFrame]]",
    *,
    context: Context,
    label: str,
) -> "pl.LazyFrame":
    """Make a lazy frame whose rows come from ``read``, in order.

    Only the columns that a query needs are asked for, reading stops at the last row that is needed, and no more than a
    few batches are ahead of what is written. What ``read`` raises comes out of ``collect`` and the sinks as itself.

    Args:
        schema: Names and types of all columns.
        read: Called with the names of the columns needed, in order; yields frames of exactly these.
        context: Checked before each batch.
        label: What query plans call the scan.

    Returns:
        A frame that can be collected as often as ``read`` can be called.
    """
    from polars.io.plugins import register_io_source

    def source(
        with_columns: list[str] | None,
        predicate: "pl.Expr | None",
        n_rows: int | None,
        _batch_size: int | None,
    ) -> "Iterator[pl.DataFrame]":
        remaining = n_rows
        context.check()
        for batch in read(list(schema) if with_columns is None else with_columns):
            frame = batch if predicate is None else batch.filter(predicate)
            if remaining is not None:
                frame = frame.head(remaining)
                remaining -= frame.height
            # Empty frames too: polars stops reading between two of them.
            yield from frame.iter_slices(_ROWS_TOGETHER) if frame.height else (frame,)
            if remaining == 0:
                return
            context.check()

    return register_io_source(source, schema=dict(schema), explain_name=label)

"""Counting the rows of a finished file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl

from tailrace import RereadCall
from tailrace_format_parquet.damage import damaged
from tailrace_format_parquet.files import Ends, whole_file

ROWS_TOGETHER = 50_000


def count_rows(call: RereadCall) -> Mapping[str, int]:
    """Count rows: what the footer says of each row group, or, thoroughly, also what polars finds in them.

    Raises:
        IntegrityError: The bytes are not what this format writes, or do not have the columns that they should.
    """
    (table,) = call.tables
    ends = Ends()
    if not call.thorough:
        for _block in ends.watch(call.blocks):
            pass
        return {table: _rows(ends, call.columns[table], table)}
    with whole_file(ends.watch(call.blocks)) as path:
        said = _rows(ends, call.columns[table], table)
        found = sum(batch.height for batch in batches(path))
    if found != said:
        reason = f"its row groups have {found:,} rows, and its footer says {said:,}"
        raise damaged(reason)
    return {table: said}


def batches(path: Path) -> Iterator[pl.DataFrame]:
    """All rows of a file, in order, some at a time.

    Raises:
        IntegrityError: It cannot be read.
    """
    with _readable():
        yield from pl.scan_parquet(path, glob=False).collect_batches(
            chunk_size=ROWS_TOGETHER, maintain_order=True, engine="streaming"
        )


def _rows(ends: Ends, columns: int, table: str) -> int:
    footer = ends.footer()
    if footer.columns != columns:
        reason = f"it has {footer.columns} columns and not the {columns} of {table}"
        raise damaged(reason)
    return footer.rows


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    # A panic of polars is no Exception. What either says may quote values.
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, OverflowError) as error:
        reason = f"polars cannot read it ({type(error).__name__})"
        raise damaged(reason) from None

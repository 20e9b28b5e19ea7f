"""Writing: one pass, streamed. A Parquet writer only ever appends, so that the output need not seek."""

from collections.abc import Iterator
from typing import IO, cast

import polars as pl

from tailrace import RequestError, WriteCall
from tailrace_format_parquet.meaning import metadata_of
from tailrace_format_parquet.options import ParquetOptions


def write(call: WriteCall) -> None:
    """Write the table of a call.

    Raises:
        RequestError: A column that Parquet cannot hold.
    """
    (table,) = call.tables
    options: ParquetOptions = call.options
    for name, dtype in table.frame.collect_schema().items():
        for kind in _kinds(dtype):
            if isinstance(kind, pl.Object) or (isinstance(kind, pl.Struct) and not kind.fields):
                raise RequestError(
                    f"Column {name!r} of table {table.name} holds {dtype}, which Parquet cannot hold.",
                    hint="Leave it out: --columns with the names of the others.",
                )
    # With a size, row groups do not depend on how many threads polars has; in order, the file depends on the rows only.
    table.frame.sink_parquet(
        # polars asks for IO[bytes] and uses write and flush.
        cast("IO[bytes]", call.output),
        compression=options.compression,
        compression_level=options.compression_level,
        statistics=options.statistics,
        row_group_size=options.row_group_size,
        maintain_order=True,
        metadata=metadata_of(table),
        engine="streaming",
    )


def _kinds(dtype: pl.DataType) -> Iterator[pl.DataType]:
    """A type and the types inside of it."""
    yield dtype
    if isinstance(dtype, pl.List | pl.Array):
        yield from _kinds(cast("pl.DataType", dtype.inner))
    elif isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _kinds(cast("pl.DataType", field.dtype))

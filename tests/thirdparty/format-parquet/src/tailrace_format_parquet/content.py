"""What can be read in a finished file, for those who search it: pages are compressed and encoded, values are not."""

from collections.abc import Iterator

import polars as pl

from tailrace_format_parquet.counting import batches
from tailrace_format_parquet.files import whole_file

_SEPARATOR = "\n"
_PIECE = 1 << 20


def values(stored: Iterator[bytes]) -> Iterator[bytes]:
    """All values, column by column of some rows at a time, each behind the other with a line break between.

    The footer is not compressed: names, statistics and metadata are found in the bytes of the file itself.

    Args:
        stored: The bytes of the file.

    Raises:
        IntegrityError: It cannot be read.
    """
    with whole_file(stored) as path:
        for batch in batches(path):
            for series in batch.get_columns():
                yield from _of(series.drop_nulls())


def _of(series: pl.Series) -> Iterator[bytes]:
    dtype = series.dtype
    if not len(series):
        return
    if isinstance(dtype, pl.Struct):
        for field in dtype.fields:
            yield from _of(series.struct.field(field.name).drop_nulls())
    elif isinstance(dtype, pl.List):
        yield from _of(series.list.explode(empty_as_null=False).drop_nulls())
    elif isinstance(dtype, pl.Array):
        yield from _of(series.arr.to_list())
    elif isinstance(dtype, pl.Binary):
        yield b"\n".join(series) + b"\n"
    else:
        texts = series.cast(pl.String)
        # One text can be long: as many together as make about a piece.
        size = max(1, int(texts.str.len_bytes().cast(pl.UInt64).sum()))
        for some in texts.to_frame().iter_slices(max(1, len(texts) * _PIECE // size)):
            yield (some.to_series().str.join(_SEPARATOR).item() + _SEPARATOR).encode()

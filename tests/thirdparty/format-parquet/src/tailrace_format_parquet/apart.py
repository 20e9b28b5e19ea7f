"""What runs in the process of its own: decompressing a file of anybody, and making texts of its values."""

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from tailrace import RefusedError, beyond_iso, iso_text
from tailrace_format_parquet.meaning import name_in

_ROWS_AT_ONCE = 20_000
_MOST_TEXT = 256 << 20
"""Bytes of text of all values: a dictionary of one long text and a count make gigabytes of a kilobyte."""


def read(blocks: Iterable[bytes], argument: Mapping[str, Any]) -> Iterator[bytes]:
    """Read a file.

    Args:
        blocks: The file.
        argument: ``path`` of it, for messages, and ``name`` for its table where the file does not say it.

    Yields:
        First the name of the table as JSON, then its rows as Arrow streams of texts, at least one.

    Raises:
        RefusedError: It is not read.
    """
    path = argument["path"]
    content = b"".join(blocks)
    try:
        frame = pl.scan_parquet(io.BytesIO(content))
        schema = frame.collect_schema()
        texts = [_text(path, number, name, dtype) for number, (name, dtype) in enumerate(schema.items())]
        yield json.dumps(name_in(pl.read_parquet_metadata(io.BytesIO(content))) or argument["name"]).encode()
        empty, left = True, _MOST_TEXT
        for batch in frame.collect_batches(chunk_size=_ROWS_AT_ONCE, maintain_order=True, engine="streaming"):
            empty = False
            _refuse_times(path, batch)
            spelt = batch.select(texts)
            left -= sum(int(series.str.len_bytes().cast(pl.UInt64).sum()) for series in spelt.get_columns())
            if left < 0:
                raise RefusedError(
                    f"{path} is not read: its values have more than {_MOST_TEXT:,} bytes of text.",
                    hint="Split it into several files.",
                )
            yield _piece(spelt)
        if empty:
            yield _piece(pl.DataFrame(schema=dict.fromkeys(schema, pl.String)))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OverflowError):
        # What polars says may quote values.
        raise RefusedError(
            f"{path} is not read: it is no Parquet file, or a damaged one.",
            hint="Get it again from where it came from.",
        ) from None


def _text(path: str, number: int, name: str, dtype: pl.DataType) -> pl.Expr:
    """A column as the format ``csv`` spells it."""
    # By number: polars takes "*" and "^…$" for patterns, not for names.
    value = pl.nth(number)
    if dtype.is_nested() or isinstance(dtype, pl.Object):
        raise RefusedError(
            f"{path} is not read: its column {name!r} holds {dtype}, of which there is no text.",
            hint="Write the file without that column.",
        )
    if dtype.is_temporal():
        text = iso_text(value, dtype)
    elif isinstance(dtype, pl.Binary):
        text = value.bin.encode("base64")
    else:
        text = value.cast(pl.String)
    return text.alias(name)


def _refuse_times(path: str, batch: pl.DataFrame) -> None:
    for series in batch.get_columns():
        if series.dtype.is_temporal() and beyond_iso(series):
            raise RefusedError(
                f"{path} is not read: its column {series.name!r} has times outside of the years 1 to 9999.",
                hint="Write the file without such rows.",
            )


def _piece(batch: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    batch.write_ipc_stream(stream)
    return stream.getvalue()

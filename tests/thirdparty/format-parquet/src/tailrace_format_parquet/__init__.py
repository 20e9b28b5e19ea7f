"""Parquet for Tailrace: a file per table, exact in every type, streamed in bounded memory.

Columns keep the types that they have in Tailrace: polars writes its own types as Parquet's logical types, and beside
them the Arrow schema, from which those who read by way of Arrow restore what Parquet has no type for (durations,
enumerations, names of time zones). Refused, with the name of the column, is what has no place in Parquet: Python
objects, and structs without fields.

What Parquet cannot say (what a column means, in which unit it is measured) is in the file's key/value metadata, under
:data:`~tailrace_format_parquet.meaning.KEY`.

The format is described at https://parquet.apache.org/docs/file-format/.
"""

from tailrace import Format, hookimpl


@hookimpl
def tailrace_format() -> Format:
    """Offer the format ``parquet``."""
    from tailrace_format_parquet.format import ParquetFormat

    return ParquetFormat()

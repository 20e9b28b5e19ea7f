"""The format ``parquet``.

What does it is imported when it is asked for.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tailrace import FileLayout, ReadTablesCall, RereadCall, SearchCall, WriteCall
from tailrace_format_parquet.options import ParquetOptions

if TYPE_CHECKING:
    import polars as pl

MAGIC = b"PAR1"


class ParquetFormat:
    """Writes a table as a Parquet file, and reads such files."""

    summary = "Parquet: exact types, streamed, with the meaning of columns in its metadata."
    options_type: type = ParquetOptions

    def layout(self, options: Any) -> FileLayout:
        """A file per table; its pages are compressed, so that the file need not be."""
        return FileLayout(extension="parquet", media_type="application/vnd.apache.parquet", compressible=False)

    def write(self, call: WriteCall) -> None:
        """Write the table of the call.

        Raises:
            RequestError: A column that Parquet cannot hold.
        """
        from tailrace_format_parquet.writing import write

        write(call)

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        """Count the rows of a finished file: by its footer, or thoroughly by reading every row group.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        from tailrace_format_parquet.counting import count_rows

        return count_rows(call)

    def searchable(self, call: SearchCall) -> Iterator[bytes]:
        """The values of a finished file as texts, column by column, without compression.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        from tailrace_format_parquet.content import values

        return values(call.blocks)

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins with these bytes may be a Parquet file."""
        return head.startswith(MAGIC)

    def read_tables(self, call: ReadTablesCall) -> "Mapping[str, pl.DataFrame]":
        """The one table of a Parquet file, by whom it may be, read in a process of its own.

        Raises:
            RefusedError: It is no Parquet file, is damaged, or costs more than one of its size should.
            SourceError: It cannot be read.
        """
        from tailrace_format_parquet.reading import read_tables

        return read_tables(call)

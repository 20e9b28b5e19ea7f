"""Pools in workbooks: which of the tables that a format has read is the pool, and its rows as CSV.

As CSV they take the way that all CSV takes: the same checks, in a process of their own.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import polars as pl

from tailrace import ReadPoolCall, SourceError
from tailrace_source_pool.documents.csv_file import is_header
from tailrace_source_pool.documents.manifest import TABLE

DIALECT = "excel"
TABLES = "tables"
"""What else a format reads, such as one of somebody else's."""
SPELLING: Mapping[str, Any] = {"delimiter": ",", "unit": "row"}
"""How :func:`as_csv` spells fields, as :class:`csv_file.Spelling` has it."""

_ROWS_AT_ONCE = 10_000
_MOST_NAMED = 6


@attrs.frozen
class PoolTable:
    """The table of a workbook that is the pool.

    Args:
        frame: Its rows, all texts.
        notes: What is left aside, in sentences.
    """

    frame: pl.DataFrame = attrs.field(repr=False)
    notes: tuple[str, ...]


def pool_table(call: ReadPoolCall, head: bytes) -> PoolTable | None:
    """The table of a file that holds proxies; None where none of its tables does.

    Args:
        call: The file, and what reads the tables in it.
        head: The beginning of the file.

    Raises:
        SourceError: No format that is installed reads it.
        RefusedError: It is damaged, or costs more than a file of its size should.
    """
    tables = call.read_tables(call.path, head, call.context) if call.read_tables is not None else None
    if tables is None:
        message = f"{call.path} is a workbook or another zip archive, and no format that is installed reads it."
        hint = "For workbooks: pip install tailrace-format-excel. Unpack another archive first."
        raise SourceError(message, hint=hint)
    named = (
        [TABLE] if TABLE in tables else [name for name, frame in tables.items() if is_header("\t".join(frame.columns))]
    )
    if not named:
        return None
    others = [name for name in tables if name != named[0]]
    if not others:
        return PoolTable(tables[named[0]], ())
    listed = ", ".join(others[:_MOST_NAMED]) + (f" and {len(others) - _MOST_NAMED} more" * (len(others) > _MOST_NAMED))
    return PoolTable(tables[named[0]], (f"Not imported, because {named[0]} holds the proxies: {listed}.",))


def as_csv(frame: pl.DataFrame) -> Iterator[bytes]:
    """A table as CSV: null is nothing, an empty text ``""``; a record for each row, also where nothing is in it.

    What reads the table has rows of nothing for those above its header, so that the number of a record is its row's.
    """
    yield frame.clear().write_csv().encode()
    for some in frame.iter_slices(_ROWS_AT_ONCE):
        yield some.write_csv(include_header=False).encode()

"""What runs in the process of its own: one entrance for all documents."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tailrace_source_pool.documents import clash, csv_file, json_file

READERS = {"json": json_file.read, "csv": csv_file.read, "clash": clash.read, "excel": csv_file.read}
"""Dialects that are documents rather than lines; of a workbook, its table as CSV is what is read here."""


def read(blocks: Iterable[bytes], argument: Mapping[str, Any]) -> Iterator[bytes]:
    """Read a file of ``argument["dialect"]``; see the modules of the readers for the other arguments."""
    yield from READERS[argument["dialect"]](blocks, argument)

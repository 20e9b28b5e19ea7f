"""Rows of many sheets at once, kept until each sheet's turn comes: an archive has one part after the other."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import attrs
from isal import isal_zlib

from tailrace import storage_errors
from tailrace_format_excel.archive import deflated

_TOGETHER = 256 << 10
"""Bytes of one sheet that are deflated together."""
_IN_MEMORY = 32 << 20
"""Bytes of all sheets that wait for more of their own."""


@attrs.define
class SpooledSheet:
    """The rows of a sheet so far.

    Args:
        rows: How many.
        crc: CRC-32 of their XML.
        size: Its bytes.
        waiting: XML that is not in the file yet.
        waiting_size: Its bytes.
        extents: Where the rest is in the file: start and length of each piece.
    """

    rows: int = 0
    crc: int = 0
    size: int = 0
    waiting: list[bytes] = attrs.field(factory=list, repr=False)
    waiting_size: int = 0
    extents: list[tuple[int, int]] = attrs.field(factory=list, repr=False)


class Spool:
    """Keeps the rows of sheets: deflated, in a file without a name, which goes when the process does."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.gettempdir())
        with storage_errors(self._folder):
            self._file: IO[bytes] = tempfile.TemporaryFile(prefix="tailrace-", buffering=0)  # noqa: SIM115 - closed by __exit__
        self._end = self._waiting_size = 0
        self._sheets: list[SpooledSheet] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def sheet(self) -> SpooledSheet:
        """Begin a sheet."""
        self._sheets.append(SpooledSheet())
        return self._sheets[-1]

    def add(self, sheet: SpooledSheet, xml: bytes, rows: int) -> None:
        """Keep rows of a sheet.

        Raises:
            StorageError: The temporary file cannot be written.
        """
        sheet.rows += rows
        sheet.size += len(xml)
        sheet.crc = isal_zlib.crc32(xml, sheet.crc)
        sheet.waiting.append(xml)
        sheet.waiting_size += len(xml)
        self._waiting_size += len(xml)
        if sheet.waiting_size >= _TOGETHER:
            self._settle(sheet)
        if self._waiting_size > _IN_MEMORY:
            for other in self._sheets:
                self._settle(other)

    def pieces(self, sheet: SpooledSheet) -> Iterator[bytes]:
        """The pieces of a sheet, as :func:`~tailrace_format_excel.archive.deflated` gives them."""
        self._settle(sheet)
        for start, length in sheet.extents:
            with storage_errors(self._folder):
                self._file.seek(start)
                piece = self._file.read(length)
            yield piece

    def _settle(self, sheet: SpooledSheet) -> None:
        if not sheet.waiting:
            return
        piece = deflated(b"".join(sheet.waiting))
        with storage_errors(self._folder):
            self._file.seek(self._end)
            view = memoryview(piece)
            while view:
                view = view[self._file.write(view) :]
        sheet.extents.append((self._end, len(piece)))
        self._end += len(piece)
        self._waiting_size -= sheet.waiting_size
        sheet.waiting.clear()
        sheet.waiting_size = 0

"""A ZIP archive (APPNOTE 6.3.10) written from front to back, into something that cannot go back.

The sizes of a part that is streamed are not known when its local header is written: they follow behind it, in a data
descriptor. No part may pass 4 GiB, so that none needs Zip64, over which Excel offers to repair what is not broken; an
archive of more than that has it in its directory, where nothing else would do.
"""

import struct
from collections.abc import Iterable

import attrs
from isal import isal_zlib

from tailrace import ByteWriter, RequestError
from tailrace_format_excel.zip_records import (
    CENTRAL_HEADER,
    CENTRAL_SIGNATURE,
    DEFLATED,
    DESCRIPTOR,
    DESCRIPTOR_SIGNATURE,
    END,
    END_64,
    END_64_REST,
    END_64_SIGNATURE,
    END_SIGNATURE,
    FIRST_DAY,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    LOCATOR_64,
    LOCATOR_64_SIGNATURE,
    MADE_ON_UNIX,
    MOST,
    MOST_PARTS,
    NO_TIME,
    REGULAR_FILE,
    SIZES_FOLLOW,
    VERSION,
    VERSION_64,
    ZIP64,
)

LEVEL = 1
"""ISA-L's level: on sheets, 0 is as quick and half as large again, 2 is no smaller and slower."""
END_OF_STREAM = b"\x03\x00"
"""An empty last block of deflate, behind pieces that stand on their own."""

_TOGETHER = 64 << 10
"""Bytes that are passed on together, at least."""


def deflated(plain: bytes) -> bytes:
    """A piece of a deflate stream that stands on its own, and is not the last."""
    machine = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
    return bytes(machine.compress(plain) + machine.flush(isal_zlib.Z_SYNC_FLUSH))


@attrs.define
class _Part:
    name: bytes
    offset: int
    crc: int = 0
    size: int = 0
    compressed: int = 0


class Archive:
    """Writes parts one behind the other.

    Args:
        output: Where to.
        start: Bytes that stand before it.
    """

    def __init__(self, output: ByteWriter, *, start: int = 0) -> None:
        self._output = output
        self._waiting = bytearray()
        self._offset = start
        self._parts: list[_Part] = []
        self._open: _Part | None = None

    def add(self, name: str, content: bytes) -> None:
        """Write a whole part."""
        self.begin(name)
        self.put((content,), deflated(content))
        self.end()

    def copy(self, name: str, raw: bytes, *, crc: int, size: int) -> None:
        """Write a part that is deflated already.

        Args:
            name: Its name.
            raw: The whole of its deflate stream.
            crc: CRC-32 of its plain bytes.
            size: Their number.
        """
        part = self._started(name)
        part.crc, part.size, part.compressed = crc, size, len(raw)
        self._write(raw)
        self._describe(part)

    def begin(self, name: str) -> None:
        """Begin a part that is written piece by piece."""
        self._open = self._started(name)

    @property
    def size(self) -> int:
        """Plain bytes of the open part so far."""
        return self._part().size

    def put(self, plain: Iterable[bytes], piece: bytes) -> None:
        """Write a piece of the open part.

        Args:
            plain: What it holds.
            piece: The same, as :func:`deflated` gives it.
        """
        part = self._part()
        for block in plain:
            part.crc = isal_zlib.crc32(block, part.crc)
            part.size += len(block)
        part.compressed += len(piece)
        self._write(piece)

    def adopt(self, pieces: Iterable[bytes], *, crc: int, size: int) -> None:
        """Write the pieces of the open part of which CRC-32 and size were taken before."""
        part = self._part()
        part.crc, part.size = crc, size
        for piece in pieces:
            part.compressed += len(piece)
            self._write(piece)

    def end(self) -> None:
        """End the open part."""
        part = self._part()
        part.compressed += len(END_OF_STREAM)
        self._write(END_OF_STREAM)
        self._describe(part)
        self._open = None

    def finish(self) -> None:
        """Write the directory."""
        start = self._offset
        for part in self._parts:
            self._write(_central(part))
        count, size = len(self._parts), self._offset - start
        if count >= MOST_PARTS or max(start, size) >= MOST:
            record = self._offset
            self._write(
                END_64.pack(END_64_SIGNATURE, END_64_REST, VERSION_64, VERSION_64, 0, 0, count, count, size, start)
                + LOCATOR_64.pack(LOCATOR_64_SIGNATURE, 0, record, 1)
            )
        shown = min(count, MOST_PARTS)
        self._write(END.pack(END_SIGNATURE, 0, 0, shown, shown, min(size, MOST), min(start, MOST), 0))
        self._pass_on()

    def _started(self, name: str) -> _Part:
        part = _Part(name.encode(), self._offset)
        self._parts.append(part)
        head = (VERSION, SIZES_FOLLOW, DEFLATED, NO_TIME, FIRST_DAY, 0, 0, 0, len(part.name), 0)
        self._write(LOCAL_HEADER.pack(LOCAL_SIGNATURE, *head) + part.name)
        return part

    def _describe(self, part: _Part) -> None:
        if max(part.size, part.compressed) >= MOST:
            message = (
                f"Part {part.name.decode()} of the workbook would have more than 4 GiB, which Excel does not open."
            )
            raise RequestError(message, hint="Narrow the export (--columns, --where), or choose --format csv.")
        self._write(DESCRIPTOR.pack(DESCRIPTOR_SIGNATURE, part.crc, part.compressed, part.size))

    def _part(self) -> _Part:
        if self._open is None:  # pragma: no cover - a mistake of the caller
            message = "no part is open"
            raise RuntimeError(message)
        return self._open

    def _write(self, content: bytes) -> None:
        # Headers are small: they go together with what they stand before.
        self._waiting += content
        self._offset += len(content)
        if len(self._waiting) >= _TOGETHER:
            self._pass_on()

    def _pass_on(self) -> None:
        self._output.write(bytes(self._waiting))
        self._waiting.clear()


def _central(part: _Part) -> bytes:
    extra = struct.pack("<HHQ", ZIP64, 8, part.offset) if part.offset >= MOST else b""
    version = VERSION_64 if extra else VERSION
    head = CENTRAL_HEADER.pack(
        CENTRAL_SIGNATURE,
        MADE_ON_UNIX | version,
        version,
        SIZES_FOLLOW,
        DEFLATED,
        NO_TIME,
        FIRST_DAY,
        part.crc,
        part.compressed,
        part.size,
        len(part.name),
        len(extra),
        0,
        0,
        0,
        REGULAR_FILE,
        min(part.offset, MOST),
    )
    return head + part.name + extra

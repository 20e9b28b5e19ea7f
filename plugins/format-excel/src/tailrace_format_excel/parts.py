"""The parts of a finished workbook, read from front to back, as :mod:`tailrace_format_excel.archive` writes them.

Every part is read whole and checked against what the archive says of it, twice: behind the part, and in the directory.
"""

import struct
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import attrs
from isal import isal_zlib

from tailrace import IntegrityError
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

_AT_ONCE = 4 << 20
"""Plain bytes that are handed over together, at most: a bomb is met block by block."""
_LONGEST_NAME = 1_000
_AHEAD = 2


@attrs.frozen
class Block:
    """Some plain bytes of a part.

    Args:
        part: Its name.
        content: The bytes; none at its end.
    """

    part: str
    content: bytes = attrs.field(repr=False)


def blocks_of(stored: Iterator[bytes], *, start: int = 0) -> Iterator[Block]:
    """The parts of a workbook in their order, inflated in a thread of its own.

    Args:
        stored: The bytes of the file, in blocks that end anywhere; all are taken.
        start: Bytes that stand before them.

    Raises:
        IntegrityError: It is not built as it was written, or damaged.
    """
    found = _Parts(stored, start).blocks()
    waiting: deque[Future[Block | None]] = deque()
    with ThreadPoolExecutor(1, "tailrace-excel-inflate") as pool:
        for _ in range(_AHEAD):
            waiting.append(pool.submit(next, found, None))
        while (block := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(next, found, None))
            yield block


class _Parts:
    def __init__(self, stored: Iterator[bytes], start: int) -> None:
        self._stored = stored
        self._buffer = b""
        self._offset = start
        self._directory: list[tuple[bytes, int, int, int, int]] = []

    def blocks(self) -> Iterator[Block]:
        while (signature := self._take(4)) == LOCAL_SIGNATURE:
            yield from self._part()
        self._check_directory(signature)
        if self._buffer or next(self._stored, None) is not None:
            raise damaged("It goes on behind its end")

    def _part(self) -> Iterator[Block]:
        offset = self._offset - 4
        header = LOCAL_HEADER.unpack(LOCAL_SIGNATURE + self._take(LOCAL_HEADER.size - 4))
        length, extra = header[9], header[10]
        fixed = (VERSION, SIZES_FOLLOW, DEFLATED, NO_TIME, FIRST_DAY, 0, 0, 0)
        if (*header[1:9], extra) != (*fixed, 0) or length > _LONGEST_NAME:
            raise damaged("A part of it is stored in another way")
        raw = self._take(length)
        name = raw.decode(errors="replace")
        crc = size = 0
        start = self._offset
        for block in self._inflated(name):
            crc = isal_zlib.crc32(block, crc)
            size += len(block)
            yield Block(name, block)
        compressed = self._offset - start
        if DESCRIPTOR.unpack(self._take(DESCRIPTOR.size)) != (DESCRIPTOR_SIGNATURE, crc, compressed, size):
            raise damaged(f"{name} is not what was written")
        self._directory.append((raw, crc, compressed, size, offset))
        yield Block(name, b"")

    def _inflated(self, name: str) -> Iterator[bytes]:
        machine = isal_zlib.decompressobj(-15)
        pending = self._buffer
        self._buffer = b""
        try:
            while True:
                before = len(pending)
                block = machine.decompress(pending, _AT_ONCE)
                pending = machine.unused_data if machine.eof else machine.unconsumed_tail
                self._offset += before - len(pending)
                if block:
                    yield bytes(block)
                if machine.eof:
                    self._buffer = pending
                    return
                if not pending and not block:
                    pending = next(self._stored, b"")
                    if not pending:
                        raise damaged(f"It ends within {name}")
        except isal_zlib.error as error:  # type: ignore[misc]  # the stubs of isal declare a value
            raise damaged(f"{name} cannot be decompressed") from error

    def _check_directory(self, signature: bytes) -> None:
        start = self._offset - 4
        entries = []
        while signature == CENTRAL_SIGNATURE:
            header = CENTRAL_HEADER.unpack(signature + self._take(CENTRAL_HEADER.size - 4))
            crc, compressed, size, length, extra, offset = *header[7:12], header[-1]
            name = self._take(length)
            more = self._take(extra)
            version = VERSION_64 if more else VERSION
            fixed = (MADE_ON_UNIX | version, version, SIZES_FOLLOW, DEFLATED, NO_TIME, FIRST_DAY)
            if header[1:7] != fixed or header[12:16] != (0, 0, 0, REGULAR_FILE):
                raise damaged("Its directory does not say what is in it")
            if more:
                if offset != MOST:
                    raise damaged("Its directory does not say what is in it")
                offset = _far(more)
            entries.append((name, crc, compressed, size, offset))
            signature = self._take(4)
        if entries != self._directory:
            raise damaged("Its directory does not say what is in it")
        size = self._offset - 4 - start
        if signature == END_64_SIGNATURE:
            at = self._offset - 4
            end_64 = END_64.unpack(signature + self._take(END_64.size - 4))
            locator = LOCATOR_64.unpack(self._take(LOCATOR_64.size))
            expected_64 = (END_64_REST, VERSION_64, VERSION_64, 0, 0, len(entries), len(entries), size, start)
            if end_64[1:] != expected_64 or locator != (LOCATOR_64_SIGNATURE, 0, at, 1):
                raise damaged("It does not end as a workbook does")
            signature = self._take(4)
        if signature != END_SIGNATURE:
            raise damaged("It does not end as a workbook does")
        end = END.unpack(signature + self._take(END.size - 4))
        parts = min(len(entries), MOST_PARTS)
        if end[1:] != (0, 0, parts, parts, min(size, MOST), min(start, MOST), 0):
            raise damaged("It does not end as a workbook does")

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            block = next(self._stored, b"")
            if not block:
                raise damaged("It ends early")
            self._buffer += block
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        self._offset += size
        return taken


def _far(extra: bytes) -> int:
    """An offset beyond 4 GiB, from the extra field that holds it."""
    try:
        kind, length, offset = struct.unpack("<HHQ", extra)
    except struct.error:
        raise damaged("Its directory does not say what is in it") from None
    if (kind, length) != (ZIP64, 8):
        raise damaged("Its directory does not say what is in it")
    return int(offset)


def damaged(what: str) -> IntegrityError:
    """The error for a file that is not as it was written.

    Args:
        what: What is wrong with it, as a sentence without its full stop.
    """
    return IntegrityError(
        f"The workbook is not as it was written. {what}.", hint="The file is damaged or was changed: export again."
    )

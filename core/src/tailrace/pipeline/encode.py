"""Where formats write: bytes are compressed in parallel and put on disk on the way.

Compressed output is one ordinary gzip member (RFC 1952) without a clock in its header. Its deflate stream is cut into
blocks of a mebibyte that know nothing of each other: several threads compress them, and several threads read them back,
for 0.3 % of size. The cuts depend on the bytes alone, so that equal data gives equal files on every machine.
"""

import hashlib
import os
import struct
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

import attrs

from tailrace.model.context import Context
from tailrace.model.request import CompressionLevel

BLOCK_SIZE = 1 << 20
"""Plain bytes in one deflate block."""
GZIP_HEADER = b"\x1f\x8b\x08\x00" + bytes(4) + b"\x00\xff"
"""Method deflate, no flags, no time, no extra flags, operating system unknown."""
_EMPTY_LAST_BLOCK = b"\x03\x00"
_PENDING = 8 << 20
"""Plain bytes that may wait for a thread; more, and the writer waits: this is what bounds the memory."""
FAST_LEVEL = 2
"""ISA-L's level: as quick as its level 1 on rows of text, and smaller."""


@attrs.frozen
class Encoded:
    """What was written.

    Args:
        plain_size: Bytes before compression.
        plain_crc32: Their CRC-32, the witness for re-reading.
        size: Bytes in the file.
        sha256: SHA-256 of the bytes in the file, hexadecimal; None for a file that is not compressed. The digest of the
            plain bytes would cost a fifth of the export: it is taken when they are read back, with a core to spare.
        compressed: Whether the file is gzip.
        blocks: Length in the file of each deflate block; empty when not compressed.
    """

    plain_size: int
    plain_crc32: int
    size: int
    sha256: str | None
    compressed: bool
    blocks: tuple[int, ...] = attrs.field(repr=False)


Buffer = bytes | memoryview


def deflater(level: CompressionLevel) -> Callable[[Buffer], bytes]:
    """A function that turns plain bytes into a piece of a deflate stream that stands on its own."""
    if level == "fast":
        from isal import isal_zlib

        def fast(block: Buffer) -> bytes:
            machine = isal_zlib.compressobj(FAST_LEVEL, isal_zlib.DEFLATED, -15)
            return bytes(machine.compress(block) + machine.flush(isal_zlib.Z_SYNC_FLUSH))

        return fast

    from zlib_ng import zlib_ng

    def thorough(block: Buffer) -> bytes:
        machine = zlib_ng.compressobj(level, zlib_ng.DEFLATED, -15)
        return bytes(machine.compress(block) + machine.flush(zlib_ng.Z_SYNC_FLUSH))

    return thorough


class Encoder:
    """A byte sink for formats: write in order, then :meth:`finish`.

    The first failure, of the disk or of a check, is kept in :attr:`failure`: polars turns what a file object raises
    into an error of its own, and the caller wants the original.

    Args:
        put: Takes encoded bytes in order: writes them all, or raises.
        level: Gzip level; None to write the bytes as they are.
        context: Checked on every write; told the bytes that are done.
        threads: Threads that compress; as many as there are processors, at most four, by default.
        digest: Whether to take the SHA-256 of the plain bytes on the way, for :attr:`plain_sha256`.
    """

    def __init__(
        self,
        put: Callable[[Buffer], None],
        *,
        level: CompressionLevel | None,
        context: Context,
        threads: int | None = None,
        digest: bool = False,
    ) -> None:
        self.failure: BaseException | None = None
        self._plain_digest = hashlib.sha256() if digest else None
        self._put = put
        self._context = context
        self._deflate = None if level is None else deflater(level)
        self._lock = threading.Lock()
        self._buffer = bytearray()
        self._pending: deque[tuple[int, Future[bytes]]] = deque()
        self._pending_size = 0
        self._digest = hashlib.sha256()
        self._plain_size = self._size = self._crc = 0
        self._blocks: list[int] = []
        self._workers = ThreadPoolExecutor(threads or min(os.cpu_count() or 1, 4), "tailrace-deflate")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            # What a format left running must not write on: by then the descriptor may be another file's.
            self.failure = self.failure or error or ValueError("The file is closed.")
        self._workers.shutdown(wait=True, cancel_futures=True)

    def write(self, data: Any, /) -> int:
        """Take bytes, in order.

        Raises:
            CancelledError: The export was cancelled.
            DeadlineError: Its time is up.
            StorageError: The file cannot be written.
        """
        # What is no bytes at all is the caller's mistake, and no failure of the file.
        size = memoryview(data).nbytes
        with self._lock:
            if self.failure is not None:
                raise self.failure
            try:
                self._context.check()
                self._take(data)
            except BaseException as error:
                self.failure = error
                raise
        return size

    def flush(self) -> None:
        """Do nothing; polars' sinks call it."""

    @property
    def plain_sha256(self) -> str:
        """SHA-256 of the plain bytes taken so far, hexadecimal; empty where it was not asked for."""
        with self._lock:
            return "" if self._plain_digest is None else self._plain_digest.hexdigest()

    def finish(self) -> Encoded:
        """Write what is left, and say what was written."""
        with self._lock:
            if self.failure is not None:
                raise self.failure
            try:
                self._finish()
            except BaseException as error:
                self.failure = error
                raise
            return Encoded(
                plain_size=self._plain_size,
                plain_crc32=self._crc,
                size=self._size,
                sha256=None if self._deflate is None else self._digest.hexdigest(),
                compressed=self._deflate is not None,
                blocks=tuple(self._blocks),
            )

    def _finish(self) -> None:
        if self._deflate is None:
            return
        if self._buffer:
            self._submit(bytes(self._buffer))
            self._buffer.clear()
        while self._pending:
            self._settle_oldest()
        if not self._size:
            self._emit(GZIP_HEADER)
        self._emit(_EMPTY_LAST_BLOCK + struct.pack("<LL", self._crc, self._plain_size & 0xFFFFFFFF))

    def _take(self, data: Any) -> None:
        from isal import isal_zlib

        view = memoryview(data).cast("B")
        self._plain_size += len(view)
        self._crc = isal_zlib.crc32(view, self._crc)
        if self._plain_digest is not None:
            self._plain_digest.update(view)
        if self._deflate is None:
            self._put(view)
            self._size += len(view)
            self._context.advance(size=len(view))
            return
        start = 0
        while start < len(view):
            taken = view[start : start + BLOCK_SIZE - len(self._buffer)]
            start += len(taken)
            if len(taken) == BLOCK_SIZE and isinstance(data, bytes):
                self._submit(taken)  # whole, and nobody can change it meanwhile: no copy is needed
                continue
            self._buffer += taken
            if len(self._buffer) == BLOCK_SIZE:
                self._submit(bytes(self._buffer))
                self._buffer.clear()

    def _submit(self, block: Buffer) -> None:
        if self._deflate is None:  # pragma: no cover - callers have checked; this tells the type checker
            return
        self._pending.append((len(block), self._workers.submit(self._deflate, block)))
        self._pending_size += len(block)
        while self._pending_size > _PENDING:
            self._settle_oldest()

    def _settle_oldest(self) -> None:
        size, future = self._pending.popleft()
        piece = future.result()
        self._pending_size -= size
        if not self._size:
            self._emit(GZIP_HEADER)
        self._blocks.append(len(piece))
        self._emit(piece)

    def _emit(self, content: bytes) -> None:
        self._put(content)
        self._digest.update(content)
        self._size += len(content)
        self._context.advance(size=len(content))


def into_descriptor(descriptor: int) -> Callable[[Buffer], None]:
    """A ``put`` for :class:`Encoder` that writes to an open file, whole however often the kernel stops early."""

    def put(content: Buffer) -> None:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]

    return put

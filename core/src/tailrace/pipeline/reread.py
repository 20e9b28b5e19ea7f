"""Reading a finished file back: the plain bytes, checked, in order and in bounded memory."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tailrace.model.context import Context
from tailrace.model.errors import IntegrityError
from tailrace.pipeline.encode import BLOCK_SIZE, GZIP_HEADER, Encoded

_CHUNK = 1 << 20
_AHEAD = 4
"""Blocks that may wait to be digested."""
_HINT = "The file or the disk is damaged: export again."


class Reread:
    """Reads a file that was just written, once, and checks it against what was meant to be written.

    Args:
        path: The file.
        encoded: What was written.
        context: Checked on every block.
    """

    def __init__(self, path: Path, encoded: Encoded, context: Context) -> None:
        self._path = path
        self._encoded = encoded
        self._context = context
        self._plain_sha256 = ""

    @property
    def finished(self) -> bool:
        """Whether all blocks were taken, and are what was written."""
        return bool(self._plain_sha256)

    @property
    def digests(self) -> tuple[str, str]:
        """SHA-256 of the plain bytes and of the bytes in the file, hexadecimal; known when all blocks were taken."""
        if not self._plain_sha256:
            message = "The file was not read to its end."
            raise IntegrityError(message, hint=_HINT)
        return self._plain_sha256, self._encoded.sha256 or self._plain_sha256

    def blocks(self) -> Iterator[bytes]:
        """The plain bytes, in order.

        Raises:
            IntegrityError: Length or checksum differ. Told when the last block was taken.
        """
        from isal import isal_zlib

        size, crc, digest = 0, 0, hashlib.sha256()
        waiting: deque[Future[None]] = deque()
        # Digesting goes on in a thread of its own while the caller counts; one thread, so that it stays in order.
        with ThreadPoolExecutor(1, "tailrace-digest") as pool:
            for block in self._deflated() if self._encoded.compressed else self._stored():
                size += len(block)
                crc = isal_zlib.crc32(block, crc)
                waiting.append(pool.submit(digest.update, block))
                yield block
                if len(waiting) > _AHEAD:
                    waiting.popleft().result()
        if (size, crc) != (self._encoded.plain_size, self._encoded.plain_crc32):
            message = f"The file reads back as {size} bytes that are not the {self._encoded.plain_size} written."
            raise IntegrityError(message, hint=_HINT)
        self._plain_sha256 = digest.hexdigest()

    def _stored(self) -> Iterator[bytes]:
        with self._path.open("rb", buffering=0) as file:
            while chunk := file.read(4 * _CHUNK):
                self._context.check()
                yield chunk

    def _deflated(self) -> Iterator[bytes]:
        """Inflate block by block in several threads: the encoder's blocks do not refer to each other."""
        digest = hashlib.sha256()
        threads = min(os.cpu_count() or 1, 4)
        waiting: deque[Future[bytes]] = deque()
        with self._path.open("rb") as file, ThreadPoolExecutor(threads, "tailrace-inflate") as pool:
            digest.update(file.read(len(GZIP_HEADER)))
            for length in self._encoded.blocks:
                self._context.check()
                piece = file.read(length)
                digest.update(piece)
                waiting.append(pool.submit(_inflate, piece))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
            digest.update(file.read())
        if digest.hexdigest() != self._encoded.sha256:
            message = "The file is not on disk as it was written."
            raise IntegrityError(message, hint=_HINT)


def _inflate(piece: bytes) -> bytes:
    from isal import isal_zlib

    try:
        # A damaged piece must not inflate into gigabytes; one byte too many is enough to be found out.
        return bytes(isal_zlib.decompressobj(-15).decompress(piece, BLOCK_SIZE + 1))
    except isal_zlib.error as error:  # type: ignore[misc]  # the stubs of isal declare a value
        message = "The file cannot be decompressed."
        raise IntegrityError(message, hint=_HINT) from error


class FileReader:
    """Reads a file that came from anywhere, once: its plain bytes, digests and sizes.

    Args:
        path: The file.
        compressed: Whether it is gzip.
        context: Checked on every block.
    """

    def __init__(self, path: Path, *, compressed: bool, context: Context) -> None:
        self._path = path
        self._compressed = compressed
        self._context = context
        self._digest = hashlib.sha256()
        self._plain_digest = hashlib.sha256()
        self.size = 0
        self.plain_size = 0

    @property
    def sha256(self) -> str:
        """SHA-256 of the bytes on disk that were read so far, hexadecimal."""
        return self._digest.hexdigest()

    @property
    def plain_sha256(self) -> str:
        """SHA-256 of the plain bytes read so far, hexadecimal."""
        return (self._plain_digest if self._compressed else self._digest).hexdigest()

    def blocks(self) -> Iterator[bytes]:
        """The plain bytes, in blocks of about a megabyte.

        Raises:
            IntegrityError: It is not gzip, is damaged, ends early, or goes on behind its end.
        """
        with self._path.open("rb", buffering=0) as file:
            raw = self._raw(iter(lambda: file.read(_CHUNK), b""))
            for block in self._inflate(raw) if self._compressed else raw:
                self._context.check()
                self.plain_size += len(block)
                if self._compressed:
                    self._plain_digest.update(block)
                self._context.advance(size=len(block))
                yield block

    def drain(self) -> None:
        """Read what is left of the bytes on disk, so that size and digest are of the whole file."""
        with self._path.open("rb", buffering=0) as file:
            file.seek(self.size)
            for _ in self._raw(iter(lambda: file.read(_CHUNK), b"")):
                self._context.check()

    def _raw(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.size += len(chunk)
            self._digest.update(chunk)
            yield chunk

    def _inflate(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        from isal import isal_zlib

        machine = isal_zlib.decompressobj(31)
        try:
            for chunk in chunks:
                pending = chunk
                while pending and not machine.eof:
                    # A bound on what one call may give: a bomb is met block by block.
                    block = machine.decompress(pending, 4 * _CHUNK)
                    pending = machine.unconsumed_tail
                    if block:
                        yield bytes(block)
                if machine.eof and (pending or machine.unused_data):
                    message = f"{self._path.name} goes on behind the end of its compressed data."
                    raise IntegrityError(message, hint=_HINT)
        except isal_zlib.error as error:  # type: ignore[misc]  # the stubs of isal declare a value
            message = f"{self._path.name} cannot be decompressed: it is damaged, or not gzip."
            raise IntegrityError(message, hint=_HINT) from error
        if not machine.eof:
            message = f"{self._path.name} ends in the middle of its compressed data."
            raise IntegrityError(message, hint=_HINT)

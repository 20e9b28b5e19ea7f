"""The bytes of a foreign file: opened once, looked through once before anything reads it, and read in blocks.

Looking through it finds what no reader is to see: what is compressed twice or beyond measure, archives, databases, text
that is not UTF-8. Nothing here takes more memory than a few blocks.
"""

import hashlib
import os
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from tailrace import SourceError
from tailrace_source_pool.location import MAX_BYTES, unreadable_error

BLOCK = 1 << 20
HEAD = 64 << 10
"""Bytes at the beginning by which it is told what a file is."""
SUSPICIOUS = 64 << 20
MOST_SHRUNK = 200
"""What is larger than the former after decompression must not have shrunk more than this."""

_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_MARK = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_SEAL = b',\n"seal": '
_FERNET = re.compile(rb"gAAAAA[A-Za-z0-9_-]{58,}={0,2}\s*\Z")
_FOREIGN = (
    (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", "a zip archive"),
    (
        rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        "an old workbook (.xls), or one with a password: save it as .xlsx without a password",
    ),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (rb"Rar!\x1a\x07", "a rar archive"),
    (rb"\xfd7zXZ\x00", "compressed with xz"),
    (rb"BZh[1-9]1AY&SY", "compressed with bzip2"),
    (rb"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (rb"(?s).{257}ustar", "a tar archive"),
    (rb"SQLite format 3\x00", "a database, which is no pool file: export it, or take it as the target"),
    (rb"(?i)\s*<(?:\?xml|!doctype|html)", "XML or HTML, which nothing here reads"),
)


class RefusedContentError(Exception):
    """Nothing is going to read this; the text says what it is, as a clause."""


@attrs.frozen
class Seen:
    """What looking through a file has shown.

    Args:
        digest: SHA-256 of the bytes on disk.
        size: Bytes after decompression.
        is_compressed: Whether it lies on disk in other bytes than it holds.
        head: Their beginning, without a byte order mark.
        plain_digest: SHA-256 of all of them.
        before_seal: SHA-256 of those before the seal of an export of ours; None where there is none.
        refusal: Why nothing is going to read it, as a clause; None where it can be read.
    """

    digest: str
    size: int
    is_compressed: bool
    head: bytes = attrs.field(repr=False)
    plain_digest: str
    before_seal: str | None
    refusal: str | None

    @property
    def is_encrypted(self) -> bool:
        """Whether ProxyWhirl's FileStorage has encrypted the file as a whole."""
        return bool(_FERNET.match(self.head))

    @property
    def is_zip(self) -> bool:
        """Whether the file is a ZIP archive with something in it, as workbooks are; one that gzip compressed is not."""
        return self.head.startswith(_ZIP) and not self.is_compressed


@attrs.frozen
class ForeignFile:
    """A regular file that is open for reading.

    Args:
        path: For messages.
        descriptor: The open file.
        check: Called between blocks; raises when reading is to end.
    """

    path: Path
    descriptor: int
    check: Callable[[], None] = attrs.field(repr=False)

    def look_through(self) -> Seen:
        """Look through the whole of it."""
        on_disk, plain = hashlib.sha256(), hashlib.sha256()
        seal = _BeforeSeal()
        head, size, refusal = b"", 0, None
        is_compressed = next(self._stored(lambda _block: None), b"").startswith(_GZIP)
        try:
            for block in self._decompressed(self._stored(on_disk.update)):
                if size < HEAD:
                    head = (head + block)[:HEAD]
                    _refuse_head(head)
                size += len(block)
                _refuse_nul(block)
                if is_compressed:
                    plain.update(block)
                if head.startswith(b"{"):
                    # A document of ours, perhaps.
                    seal.update(block)
            _refuse_nothing(size)
        except RefusedContentError as error:
            refusal = str(error)
            on_disk = hashlib.sha256()
            for _ in self._stored(on_disk.update):
                # The digest is that of all bytes, also of those behind what is refused.
                pass
        return Seen(
            digest=on_disk.hexdigest(),
            size=size,
            is_compressed=is_compressed,
            head=head.removeprefix(_MARK),
            plain_digest=(plain if is_compressed else on_disk).hexdigest(),
            before_seal=seal.digest,
            refusal=refusal,
        )

    def blocks(self, digest: str) -> Iterator[bytes]:
        """Its content after decompression, without a byte order mark.

        Args:
            digest: What :meth:`look_through` found.

        Raises:
            SourceError: It has changed since.
        """
        on_disk = hashlib.sha256()
        first = True
        try:
            for block in self._decompressed(self._stored(on_disk.update)):
                yield block.removeprefix(_MARK) if first else block
                first = False
        except RefusedContentError:
            on_disk = hashlib.sha256()
        if on_disk.hexdigest() != digest:
            raise self._changed()

    def check_unchanged(self, digest: str) -> None:
        """See that the file under its name is still this one, with the same bytes.

        Args:
            digest: What :meth:`look_through` found.

        Raises:
            SourceError: It has changed since.
        """
        on_disk = hashlib.sha256()
        for _ in self._stored(on_disk.update):
            pass
        self.check_place()
        if on_disk.hexdigest() != digest:
            raise self._changed()

    def check_place(self) -> None:
        """See that this file is still the one under its name.

        Raises:
            SourceError: It was replaced.
        """
        try:
            same = os.path.samestat(self.path.stat(), os.fstat(self.descriptor))
        except OSError:
            same = False
        if not same:
            raise self._changed()

    def _changed(self) -> SourceError:
        message = f"{self.path} was changed while it was read."
        return SourceError(message, hint="Wait until nobody writes to it, and try again.")

    def _stored(self, see: Callable[[bytes], None]) -> Iterator[bytes]:
        """The bytes on disk."""
        position = 0
        while True:
            self.check()
            try:
                block = os.pread(self.descriptor, BLOCK, position)
            except OSError as error:
                raise unreadable_error(self.path, error) from None
            if not block:
                return
            position += len(block)
            see(block)
            yield block

    def _decompressed(self, stored: Iterator[bytes]) -> Iterator[bytes]:
        on_disk = os.fstat(self.descriptor).st_size
        first = next(stored, b"")
        source = _chained(first, stored)
        size = 0
        for block in _members(source) if first.startswith(_GZIP) else source:
            size += len(block)
            if size > MAX_BYTES:
                message = f"it holds more than {MAX_BYTES:,} bytes; split it into several files"
                raise RefusedContentError(message)
            if size > SUSPICIOUS and size > MOST_SHRUNK * on_disk:
                message = f"it is compressed to less than one part in {MOST_SHRUNK}, as no list of proxies would be"
                raise RefusedContentError(message)
            yield block


@contextmanager
def opened(path: Path, check: Callable[[], None]) -> Iterator[ForeignFile]:
    """Open a file for reading.

    Args:
        path: The file.
        check: Called between blocks; raises when reading is to end.

    Raises:
        SourceError: It is not there, cannot be read, or is no regular file.
    """
    try:
        # Opening a FIFO would wait for somebody to write to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise unreadable_error(path, error) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            message = f"{path} is {what}."
            raise SourceError(message, hint="Name a file.")
        yield ForeignFile(path, descriptor, check)
    finally:
        os.close(descriptor)


class _BeforeSeal:
    """The digest of everything before the last seal."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._held = b""
        self.digest: str | None = None

    def update(self, block: bytes) -> None:
        """Take the next bytes."""
        data = self._held + block
        # Searching forwards is much quicker than backwards.
        while (at := data.find(_SEAL)) >= 0:
            self._hash.update(data[:at])
            self.digest = self._hash.hexdigest()
            self._hash.update(data[at : at + 1])
            data = data[at + 1 :]
        # A seal could begin in these bytes and go on in the next block.
        keep = len(_SEAL) - 1
        self._hash.update(data[:-keep])
        self._held = data[-keep:]


def _refuse_head(head: bytes) -> None:
    if head.startswith(_UTF_16):
        message = "it is UTF-16: save it as UTF-8"
        raise RefusedContentError(message)
    if head.startswith(_GZIP):
        message = "it is compressed twice: decompress it once"
        raise RefusedContentError(message)
    for pattern, what in _FOREIGN:
        if re.match(pattern, head.removeprefix(_MARK)):
            message = f"it is {what}"
            raise RefusedContentError(message)


def _refuse_nul(block: bytes) -> None:
    if b"\0" in block:
        message = "it holds NUL characters: it is not UTF-8 text"
        raise RefusedContentError(message)


def _refuse_nothing(size: int) -> None:
    if not size:
        message = "it is empty: perhaps writing it was interrupted; an empty pool is [] or a list of comments"
        raise RefusedContentError(message)


def _chained(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest


def _members(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The content of all members of a gzip file (RFC 1952); zero bytes behind the last are padding, as for gzip(1)."""
    member = None
    for block in blocks:
        data = block
        while data:
            if member is None:
                data = data.lstrip(b"\0")
                if not data:
                    break
                if not _GZIP.startswith(data[:1]):
                    message = "something that is not compressed follows its end"
                    raise RefusedContentError(message)
                member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            yield from _inflated(member, data)
            data = member.unused_data
            member = None if member.eof else member
    if member is not None:
        message = "it is compressed and cut off"
        raise RefusedContentError(message)


def _inflated(member: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
    """What some bytes of a member decompress to, never much at a time."""
    while True:
        try:
            block = member.decompress(data, BLOCK)
        except zlib.error:
            message = "it is compressed and damaged"
            raise RefusedContentError(message) from None
        if block:
            yield block
        data = member.unconsumed_tail
        if member.eof or (not data and len(block) < BLOCK):
            return

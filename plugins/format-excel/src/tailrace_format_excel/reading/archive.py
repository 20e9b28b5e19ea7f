"""A workbook as the ZIP archive that it is (APPNOTE 6.3.10): its directory checked, its members decompressed with care.

Nothing that the archive says of itself is believed: members must lie one behind the other, and one that decompresses
to more than it claims ends reading.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import attrs

from tailrace_format_excel.reading.refusals import DAMAGED, TOO_LARGE, UnsafeWorkbookError

BLOCK = 1 << 20
MOST_MEMBERS = 4_096
LARGEST = 1 << 30
"""Bytes of all members, decompressed."""
SUSPICIOUS = 16 << 20
MOST_SHRUNK = 60
"""What is larger than the former, decompressed, must not have shrunk more than this."""

_LARGEST_DIRECTORY = 4 << 20
_END = b"PK\x05\x06"
_END_SIZE = 22
_LONGEST_COMMENT = 0xFFFF
_ENTRY = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s5H3I2H")
_LOCAL_MARK = b"PK\x03\x04"
_LONGEST_NAME = 255
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@attrs.frozen
class Member:
    """A member of an archive.

    Args:
        name: Its name.
        method: 0 for stored, 8 for deflated.
        start: Where its bytes begin in the file.
        stored: How many bytes it has in the file.
        size: How many bytes it claims to have, decompressed.
        crc: Their CRC-32, as it claims.
    """

    name: str
    method: int
    start: int
    stored: int
    size: int
    crc: int


@attrs.frozen
class Directory:
    """What is in an archive.

    Args:
        members: Its members, by their names in small letters, which is how a package tells them apart.
        size: Bytes of all of them, decompressed.
    """

    members: Mapping[str, Member]
    size: int

    def get(self, name: str) -> Member | None:
        """The member of a name; None where there is none."""
        return self.members.get(name.lower())


def read_directory(file: IO[bytes]) -> Directory:
    """The directory of an archive.

    Args:
        file: The archive, seekable.

    Raises:
        UnsafeWorkbookError: It is damaged, or is not built as a workbook is.
    """
    length = file.seek(0, 2)
    _check_end(file, length)
    try:
        with zipfile.ZipFile(file) as archive:
            entries, end = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, struct.error, ValueError, OSError):
        raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED) from None
    members: dict[str, Member] = {}
    for entry in entries:
        _check_entry(entry)
        if entry.filename.lower() in members:
            raise UnsafeWorkbookError("it has two members of one name")
        if not 0 <= entry.header_offset < end:
            raise UnsafeWorkbookError("a member is where nothing is", DAMAGED)
        members[entry.filename.lower()] = _member(file, entry)
    _check_order(entries, list(members.values()), end)
    total = sum(member.size for member in members.values())
    if total > LARGEST:
        raise UnsafeWorkbookError(f"it decompresses to more than {LARGEST:,} bytes", TOO_LARGE)
    if total > SUSPICIOUS and total > MOST_SHRUNK * length:
        raise UnsafeWorkbookError(f"it is compressed to less than one part in {MOST_SHRUNK}, as no table would be")
    return Directory(members, total)


def decompressed(file: IO[bytes], member: Member) -> Iterator[bytes]:
    """The bytes of a member, block by block.

    Raises:
        UnsafeWorkbookError: It is damaged, or has other bytes than it claims.
    """
    crc = size = 0
    for block in _inflated(file, member) if member.method else _stored(file, member):
        size += len(block)
        if size > member.size:
            raise UnsafeWorkbookError("a member decompresses to more than it claims")
        crc = zlib.crc32(block, crc)
        yield block
    if size != member.size or crc != member.crc:
        raise UnsafeWorkbookError("a member is damaged", DAMAGED)


def _check_end(file: IO[bytes], length: int) -> None:
    """Look at how long the directory claims to be, before anything reads it."""
    file.seek(max(0, length - _END_SIZE - _LONGEST_COMMENT))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED)
    _mark, disk, first, here, count, size, _offset, comment = struct.unpack_from("<4s4H2IH", tail, at)
    if len(tail) - at != _END_SIZE + comment:
        raise UnsafeWorkbookError("something follows its end")
    unknown = 0xFFFF
    if count != unknown and (disk or first or here != count):
        raise UnsafeWorkbookError("it is in several parts", DAMAGED)
    # With Zip64 the real numbers stand elsewhere, and what is there in fact is what counts.
    claimed = size if size != 0xFFFFFFFF else length  # noqa: PLR2004 - as APPNOTE has it
    if (count != unknown and count > MOST_MEMBERS) or (size != 0xFFFFFFFF and size > _LARGEST_DIRECTORY):  # noqa: PLR2004
        raise UnsafeWorkbookError(f"it has more than {MOST_MEMBERS:,} members")
    file.seek(max(0, length - min(claimed, _LARGEST_DIRECTORY) - len(tail)))
    if file.read().count(_ENTRY) > MOST_MEMBERS:
        raise UnsafeWorkbookError(f"it has more than {MOST_MEMBERS:,} members")


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    # What zipfile makes of a name ends at a NUL; the one that stands there is what counts.
    if name != entry.orig_filename or not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UnsafeWorkbookError("a member has a name that is none")
    if name.startswith("/") or "\\" in name or ":" in name or {"..", "."} & set(name.split("/")):
        raise UnsafeWorkbookError("a member has a name that leads out of the archive")
    if entry.flag_bits & _ENCRYPTED:
        raise UnsafeWorkbookError("it is encrypted", "Save it without a password.")
    if entry.compress_type not in _METHODS:
        raise UnsafeWorkbookError("it is compressed in a way that workbooks are not", DAMAGED)


def _member(file: IO[bytes], entry: zipfile.ZipInfo) -> Member:
    """A member, as its own header and the directory say alike."""
    file.seek(entry.header_offset)
    head = file.read(_LOCAL.size)
    if len(head) < _LOCAL.size:
        raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED)
    mark, _version, flags, method, _time, _date, _crc, _stored, _size, length, extra = _LOCAL.unpack(head)
    if mark != _LOCAL_MARK or flags & _ENCRYPTED or method != entry.compress_type:
        raise UnsafeWorkbookError("the header of a member is not what the directory says")
    if _text(file.read(length)) != _text(entry.orig_filename.encode()):
        raise UnsafeWorkbookError("the header of a member is not what the directory says")
    start = entry.header_offset + _LOCAL.size + length + extra
    if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
        raise UnsafeWorkbookError("a member has another size than it claims")
    return Member(entry.filename, entry.compress_type, start, entry.compress_size, entry.file_size, entry.CRC)


def _text(name: bytes) -> bytes:
    """A name for comparing: outside of ASCII it may be spelt in two ways."""
    return bytes(byte for byte in name if byte < 128)  # noqa: PLR2004


def _check_order(entries: Sequence[zipfile.ZipInfo], members: Sequence[Member], end: int) -> None:
    """Members lie one behind the other, the first at the beginning, and all before the directory."""
    places = sorted(
        (entry.header_offset, member.start + member.stored) for entry, member in zip(entries, members, strict=True)
    )
    if not places:
        raise UnsafeWorkbookError("it has no members", DAMAGED)
    if places[0][0]:
        raise UnsafeWorkbookError("something stands before its beginning")
    following = [*(start for start, _end in places[1:]), end]
    if any(last > first for (_start, last), first in zip(places, following, strict=True)):
        raise UnsafeWorkbookError("its members overlap")


def _stored(file: IO[bytes], member: Member) -> Iterator[bytes]:
    """The bytes of a member as they stand in the file."""
    position, left = member.start, member.stored
    while left:
        file.seek(position)
        block = file.read(min(BLOCK, left))
        if not block:
            raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED)
        position += len(block)
        left -= len(block)
        yield block


def _inflated(file: IO[bytes], member: Member) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    for stored in _stored(file, member):
        data = stored
        while data and not stream.eof:
            try:
                block = stream.decompress(data, BLOCK)
            except zlib.error:
                raise UnsafeWorkbookError("a member is damaged", DAMAGED) from None
            data = stream.unconsumed_tail
            if block:
                yield block
            elif not data:
                break
        if stream.unused_data:
            raise UnsafeWorkbookError("a member is damaged", DAMAGED)
    while not stream.eof:
        try:
            block = stream.decompress(b"", BLOCK)
        except zlib.error:
            raise UnsafeWorkbookError("a member is damaged", DAMAGED) from None
        if not block:
            raise UnsafeWorkbookError("a member is damaged", DAMAGED)
        yield block

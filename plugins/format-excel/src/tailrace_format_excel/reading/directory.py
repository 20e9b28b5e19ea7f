"""A workbook as the ZIP archive that it is (APPNOTE 6.3.10): its directory checked, its members decompressed with care.

Nothing that the archive says of itself is believed: members must lie one behind the other, and one that decompresses
to more than it claims ends reading.
"""

import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO

import attrs

from tailrace_format_excel.reading.refusals import DAMAGED, TOO_LARGE, UnsafeWorkbookError
from tailrace_format_excel.zip_records import (
    CENTRAL_SIGNATURE,
    END,
    END_64,
    END_64_SIGNATURE,
    END_SIGNATURE,
    LOCAL_HEADER,
    LOCAL_SIGNATURE,
    LOCATOR_64,
    LOCATOR_64_SIGNATURE,
)

BLOCK = 1 << 20
MOST_MEMBERS = 4_096
LARGEST = 1 << 30
"""Bytes of all members, decompressed."""
SUSPICIOUS = 16 << 20
MOST_SHRUNK = 60
"""What is larger than the former, decompressed, must not have shrunk more than this."""

_LARGEST_DIRECTORY = 4 << 20
_LONGEST_COMMENT = 0xFFFF
_UNKNOWN = (0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
"""What stands in the plain record for what is too large for it, in the order of :class:`_Records`."""
_ENTRY = struct.Struct("<4s24x3H12x")
_LONGEST_EXTRA = 512
_CHECKED_EVERY = 256
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


@attrs.frozen
class _Records:
    """What a record at the end says: the numbers of two disks, of members, of all members, bytes, and where it is."""

    disk: int
    first: int
    here: int
    count: int
    size: int
    offset: int


@attrs.frozen
class _Place:
    """Where the directory is, how many bytes it has, and how many members."""

    start: int
    size: int
    count: int


def read_directory(file: IO[bytes], check: Callable[[], None] = lambda: None) -> Directory:
    """The directory of an archive.

    Args:
        file: The archive, seekable.
        check: Called again and again meanwhile; what it raises ends reading.

    Raises:
        UnsafeWorkbookError: It is damaged, or is not built as a workbook is.
    """
    length = file.seek(0, 2)
    place = _directory_in(file, length)
    file.seek(place.start)
    _check_entries(file.read(place.size), place.count, check)
    try:
        with zipfile.ZipFile(file) as archive:
            entries, end = archive.infolist(), archive.start_dir
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, struct.error, ValueError, OSError):
        raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED) from None
    if end != place.start or len(entries) != place.count:
        raise UnsafeWorkbookError("its end says two different things")
    members: dict[str, Member] = {}
    for number, entry in enumerate(entries):
        if not number % _CHECKED_EVERY:
            check()
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


def _directory_in(file: IO[bytes], length: int) -> _Place:
    """Where the directory is, by the records at the end: nothing that they say of it is believed before it is seen.

    What is refused here is what ``zipfile`` would go and read in another way, or read without end.
    """
    tail_at = max(0, length - END.size - _LONGEST_COMMENT)
    file.seek(tail_at)
    tail = file.read(length - tail_at)
    at = tail.rfind(END_SIGNATURE)
    if at < 0 or len(tail) - at < END.size:
        raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED)
    _mark, disk, first, here, count, size, offset, comment = END.unpack_from(tail, at)
    if len(tail) - at != END.size + comment:
        raise UnsafeWorkbookError("something follows its end")
    said = _Records(disk, first, here, count, size, offset)
    end = tail_at + at
    large = _zip64_before(file, end)
    if large is not None:
        end -= LOCATOR_64.size + END_64.size
        pairs = zip(attrs.astuple(said), attrs.astuple(large), _UNKNOWN, strict=True)
        if any(plain not in (real, unknown) for plain, real, unknown in pairs):
            raise UnsafeWorkbookError("its end says two different things")
    real = large or said
    if real.disk or real.first or real.here != real.count:
        raise UnsafeWorkbookError("it is in several parts", DAMAGED)
    if real.count > MOST_MEMBERS or real.size > _LARGEST_DIRECTORY:
        raise UnsafeWorkbookError(f"it has more than {MOST_MEMBERS:,} members, or says too much of them")
    if real.offset + real.size > end:
        raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED)
    if real.offset + real.size < end:
        raise UnsafeWorkbookError("something stands before its beginning, or before its end")
    return _Place(real.offset, real.size, real.count)


def _zip64_before(file: IO[bytes], end: int) -> _Records | None:
    """What the record for large archives says that the record at ``end`` is preceded by; None where there is none."""
    at = end - LOCATOR_64.size
    if at < 0:
        return None
    file.seek(at)
    mark, disk, place, disks = LOCATOR_64.unpack(file.read(LOCATOR_64.size))
    if mark != LOCATOR_64_SIGNATURE:
        return None
    at -= END_64.size
    # Programs look for the record where the locator says, or right before it: that has to be one place.
    if disk or disks > 1 or at < 0 or place != at:
        raise UnsafeWorkbookError("its end says two different things")
    file.seek(at)
    mark, rest, _by, _for, disk, first, here, count, size, offset = END_64.unpack(file.read(END_64.size))
    if mark != END_64_SIGNATURE or rest != END_64.size - 12:
        raise UnsafeWorkbookError("its end says two different things")
    return _Records(disk, first, here, count, size, offset)


def _check_entries(content: bytes, count: int, check: Callable[[], None]) -> None:
    """Go through a directory from entry to entry, before anything makes objects of them."""
    position = found = 0
    while position < len(content):
        if not found % _CHECKED_EVERY:
            check()
        found += 1
        if found > MOST_MEMBERS:
            raise UnsafeWorkbookError(f"it has more than {MOST_MEMBERS:,} members")
        if len(content) - position < _ENTRY.size:
            raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED)
        mark, name, extra, comment = _ENTRY.unpack_from(content, position)
        if mark != CENTRAL_SIGNATURE:
            raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED)
        if extra > _LONGEST_EXTRA:
            raise UnsafeWorkbookError("it says more of a member than any program does")
        position += _ENTRY.size + name + extra + comment
    if position != len(content):
        raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED)
    if found != count:
        raise UnsafeWorkbookError("it has another number of members than it claims")


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
    head = file.read(LOCAL_HEADER.size)
    if len(head) < LOCAL_HEADER.size:
        raise UnsafeWorkbookError("it is damaged, or cut off", DAMAGED)
    mark, _version, flags, method, _time, _date, _crc, _stored, _size, length, extra = LOCAL_HEADER.unpack(head)
    if mark != LOCAL_SIGNATURE or flags & _ENCRYPTED or method != entry.compress_type:
        raise UnsafeWorkbookError("the header of a member is not what the directory says")
    if _text(file.read(length)) != _text(entry.orig_filename.encode()):
        raise UnsafeWorkbookError("the header of a member is not what the directory says")
    start = entry.header_offset + LOCAL_HEADER.size + length + extra
    if entry.compress_type == zipfile.ZIP_STORED and entry.compress_size != entry.file_size:
        raise UnsafeWorkbookError("a member has another size than it claims")
    return Member(entry.filename, entry.compress_type, start, entry.compress_size, entry.file_size, entry.CRC)


def _text(name: bytes) -> bytes:
    """A name for comparing: outside of ASCII it may be spelt in two ways."""
    return name.decode("ascii", "ignore").encode()


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

"""Data files on disk: found in a fixed order, and held as they were when they were opened."""

import gzip
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import unquote

import attrs

from tailrace import SourceError, is_sqlite

GZIP_MAGIC = b"\x1f\x8b"
_DEFAULT_PARTITION = "__HIVE_DEFAULT_PARTITION__"
_HELD_OPEN = 256
"""So many text files stay open, so that a rotated log is read to its end; more would exhaust descriptors."""

_ROTATED = re.compile(r"^(?P<stem>.+?\.log)(?:[.-](?P<number>\d{1,4}))?(?P<gz>\.gz)?$")


@contextmanager
def read_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a file into one clear message."""
    try:
        yield
    except FileNotFoundError:
        message = f"There is no file or folder {path}."
        raise SourceError(message, hint="Check the path; a relative one begins at the current folder.") from None
    except PermissionError:
        message = f"{path} must not be read by this user."
        raise SourceError(message, hint="Give this user the right to read it (and to enter its folders).") from None
    except (EOFError, gzip.BadGzipFile, gzip.zlib.error) as error:  # type: ignore[attr-defined]  # gzip's own import
        message = f"{path} is a damaged or cut off gzip file ({type(error).__name__})."
        raise SourceError(message, hint="Copy it again, or export what `gzip -dc` can still read.") from None
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or type(error).__name__}."
        raise SourceError(message, hint="Check the disk or share that it is on.") from error


@attrs.frozen
class DataFile:
    """A file as it was when the snapshot was taken.

    Args:
        path: Where it is.
        size: Bytes that belong to the snapshot; what a growing log gets later does not.
        identity: Device and inode.
        modified: Nanoseconds since 1970.
        partitions: Values that its folders give (``day=2026-08-15``), by name.
        descriptor: Open for reading, if it is held.
        is_database: Whether it is a SQLite database. Such a file is never opened here: the application around us would
            lose its locks.
    """

    path: Path
    size: int
    identity: tuple[int, int]
    modified: int
    partitions: Mapping[str, str | None] = attrs.field(factory=dict)
    descriptor: int | None = attrs.field(default=None, repr=False, eq=False)
    is_database: bool = False

    @classmethod
    def at(cls, path: Path, partitions: Mapping[str, str | None] | None = None) -> "DataFile":
        """Take a file as it is now."""
        with read_errors(path):
            found = path.stat()
            database = is_sqlite(path)
        identity = (found.st_dev, found.st_ino)
        return cls(path, found.st_size, identity, found.st_mtime_ns, partitions or {}, is_database=database)

    def hold(self) -> Self:
        """The same, open: renaming or removing the file does not end the snapshot any more."""
        with read_errors(self.path):
            return attrs.evolve(self, descriptor=os.open(self.path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)))

    def release(self) -> None:
        """Close it, if it is held."""
        if self.descriptor is not None:
            os.close(self.descriptor)

    def check_unchanged(self) -> None:
        """See that the file is still the one it was, to the byte.

        Raises:
            SourceError: It was replaced or written to.
        """
        with read_errors(self.path):
            found = self.path.stat()
        if (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns) != (*self.identity, self.size, self.modified):
            message = f"{self.path} changed while it was read."
            raise SourceError(message, hint="Export it again when nobody writes to it, or export a copy.")

    def open(self, *, offset: int = 0) -> io.BufferedReader:
        """Read the snapshot's bytes from ``offset`` on, as they are on disk."""
        with read_errors(self.path):
            descriptor = os.dup(self.descriptor) if self.descriptor is not None else os.open(self.path, os.O_RDONLY)
        raw = _Window(descriptor, offset, self.size, self.path)
        if self.descriptor is None and raw.identity() != self.identity:
            raw.close()
            message = f"{self.path} was replaced while it was read."
            raise SourceError(message, hint="Export it again; a log that is rotated meanwhile cannot be followed.")
        return io.BufferedReader(raw, 1 << 20)

    def open_plain(self) -> io.BufferedIOBase:
        """Read the snapshot's bytes, unpacked if they are gzipped."""
        stream = self.open()
        if stream.peek(2)[:2] == GZIP_MAGIC:
            return gzip.GzipFile(fileobj=stream)
        return stream

    @property
    def gzipped(self) -> bool:
        """Whether the content is gzipped."""
        with self.open() as stream:
            return stream.peek(2)[:2] == GZIP_MAGIC


class _Window(io.RawIOBase):
    """Bytes ``offset`` to ``end`` of a descriptor, whatever others do to its position."""

    def __init__(self, descriptor: int, offset: int, end: int, path: Path) -> None:
        self._descriptor = descriptor
        self._at = offset
        self._end = end
        self._path = path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]  # narrower than Buffer
        wanted = min(len(buffer), self._end - self._at)
        if wanted <= 0:
            return 0
        content = os.pread(self._descriptor, wanted, self._at)
        if not content:
            message = f"{self._path} became shorter while it was read."
            raise SourceError(message, hint="Export it again when nobody cuts it, or export a copy.")
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def identity(self) -> tuple[int, int]:
        found = os.fstat(self._descriptor)
        return found.st_dev, found.st_ino

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def find_files(path: Path) -> tuple[DataFile, ...]:
    """The data files at a path, in an order that is the same each time.

    A folder is searched with its folders; names that begin with ``.`` or ``_`` are left out. Rotated logs come oldest
    first (``access.log.2.gz``, ``access.log.1``, ``access.log``).

    Raises:
        SourceError: There is nothing, or nothing that may be read.
    """
    with read_errors(path):
        mode = path.stat().st_mode
    if not stat.S_ISDIR(mode):
        if not stat.S_ISREG(mode):
            message = f"{path} is neither a file nor a folder."
            raise SourceError(message, hint="A pipe or device cannot be read twice; write it into a file first.")
        return (DataFile.at(path),)
    found = sorted(_walk(path), key=lambda file: _order(file.relative_to(path)))
    if not found:
        message = f"The folder {path} has no data files in it."
        raise SourceError(message, hint="Files whose names begin with . or _ do not count.")
    return tuple(DataFile.at(file, _partitions(file.relative_to(path))) for file in found)


def hold(files: Sequence[DataFile]) -> tuple[DataFile, ...]:
    """Keep files open, where they are not too many."""
    if len(files) > _HELD_OPEN:
        return tuple(files)
    held: list[DataFile] = []
    try:
        for file in files:
            held.append(file.hold())  # noqa: PERF401 - what is open already must be closed when the next one fails
    except SourceError:
        for file in held:
            file.release()
        raise
    return tuple(held)


def _walk(folder: Path) -> Iterator[Path]:
    with read_errors(folder):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)


def _order(file: Path) -> tuple[tuple[str, ...], str, int, str]:
    rotated = _ROTATED.match(file.name)
    if rotated is None:
        return file.parts[:-1], file.name, 0, ""
    return file.parts[:-1], rotated["stem"], -int(rotated["number"] or -1), file.name


def _partitions(file: Path) -> dict[str, str | None]:
    values: dict[str, str | None] = {}
    for part in file.parts[:-1]:
        name, separator, value = part.partition("=")
        if separator and name:
            values[unquote(name)] = None if value == _DEFAULT_PARTITION else unquote(value)
    return values

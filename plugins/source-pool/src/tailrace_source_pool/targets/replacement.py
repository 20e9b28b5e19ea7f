"""A file that is replaced as a whole: held while it is read and planned for, and exchanged in one step."""

import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import attrs

from tailrace import NotAllowedError, SourceError, StorageError, TransientError, publish, staged_file, storage_errors

_NEW_MODE = 0o600
"""Pools hold passwords."""


@attrs.frozen
class Place:
    """Where a file is, or will be.

    Args:
        path: Its path.
        seen: What the file was when it was opened; None where there was none.
    """

    path: Path
    _seen: os.stat_result | None = attrs.field(repr=False)

    @classmethod
    def of(cls, path: Path) -> Self:
        """A place as it is now."""
        return cls(path, path.lstat() if os.path.lexists(path) else None)

    @property
    def taken(self) -> bool:
        """Whether there is a file."""
        return self._seen is not None

    def replace(self, blocks: Iterable[bytes]) -> None:
        """Put a new content in the place of the old one, on disk when this returns; permissions are kept.

        Raises:
            TransientError: The file has changed since it was opened.
            AlreadyExistsError: There was none, and now there is.
            StorageError: The file system refuses.
        """
        with staged_file(self.path.parent) as (descriptor, staged):
            with storage_errors(self.path):
                with os.fdopen(os.dup(descriptor), "wb") as sink:
                    sink.writelines(blocks)
                os.fsync(descriptor)
            self._check()
            mode = _NEW_MODE if self._seen is None else stat.S_IMODE(self._seen.st_mode)
            publish(staged, self.path, overwrite=self._seen is not None, mode=mode)

    def _check(self) -> None:
        if self._seen is not None and _fingerprint(self.path) != _marks(self._seen):
            raise TransientError(
                f"{self.path} has changed since it was opened.", hint="Nothing was changed. Plan the import anew."
            )


@contextmanager
def held(path: Path, *, write: bool) -> Iterator[Place]:
    """Hold a file that is there, or the name of one that is not.

    Args:
        path: Its path; a regular file, or nothing.
        write: Whether it is going to be replaced: then nobody else may hold it so.

    Raises:
        TransientError: Somebody else holds it.
        SourceError: It cannot be read.
    """
    if not os.path.lexists(path):
        yield Place(path, None)
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}.", hint="Allow this user to read it.") from None
    try:
        if write:
            _lock(descriptor, path)
        yield Place(path, os.fstat(descriptor))
    finally:
        os.close(descriptor)


def refuse_special(path: Path) -> None:
    """Raise where a name is taken by something that cannot be replaced, or its folder is missing.

    Raises:
        NotAllowedError: A link, folder or device.
        StorageError: There is no such folder.
    """
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        if path.parent.is_dir():
            return
        raise StorageError(f"There is no folder {path.parent}.", hint="Make it, or check the path.") from None
    except (OSError, ValueError):
        raise StorageError(f"{path} cannot be reached.", hint="Check the path, and its permissions.") from None
    if not stat.S_ISREG(kind):
        what = "a symbolic link" if stat.S_ISLNK(kind) else "a folder" if stat.S_ISDIR(kind) else "not a regular file"
        raise NotAllowedError(f"{path} is {what}.", hint="Name the file itself.")


def _lock(descriptor: int, path: Path) -> None:
    """Lock the file itself; whoever replaces it meanwhile leaves us with one that is no longer in its place."""
    busy = TransientError(f"Somebody else is writing to {path}.", hint="Try again when that is done.")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy from None
    if _fingerprint(path) != _marks(os.fstat(descriptor)):
        raise busy


def _fingerprint(path: Path) -> tuple[int, ...] | None:
    try:
        return _marks(path.lstat())
    except FileNotFoundError:
        return None


def _marks(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

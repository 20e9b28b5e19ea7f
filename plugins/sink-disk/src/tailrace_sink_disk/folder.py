"""Making and opening folders below a root without ever following a link."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tailrace import NoSpaceError, NotAllowedError, StorageError, sync_folder

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_MODE = 0o700
_FULL = {errno.ENOSPC, errno.EDQUOT}


def make_folder(root: Path, names: Sequence[str]) -> Path:
    """Make a folder below a root, where it does not exist yet, and everything above it; all with mode 0700.

    The root itself may be a link, nothing below it may.

    Args:
        root: Absolute path of the root.
        names: Names of the folders below it, from the outermost.

    Raises:
        NotAllowedError: Something below the root is a symbolic link.
        StorageError: Something in the way is not a folder, or the file system refuses.
    """
    at = root
    try:
        _make_root(root)
        descriptor = os.open(root, _FOLDER)
        try:
            for name in names:
                at /= name
                inner = _step(descriptor, name, at)
                os.close(descriptor)
                descriptor = inner
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _refused(error, at) from error
    return at


@contextmanager
def inner_folder(root: int, names: Sequence[str]) -> Iterator[int]:
    """A folder below an opened one; no link on the way is followed.

    Args:
        root: The opened folder.
        names: Names of the folders below it, from the outermost.

    Yields:
        A descriptor.

    Raises:
        FileNotFoundError: It is not there.
        NotADirectoryError: Something on the way is a link, or no folder.
    """
    descriptor = os.dup(root)
    try:
        for name in names:
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _make_root(root: Path) -> None:
    missing = [folder for folder in (root, *root.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=_MODE, exist_ok=True)


def _step(parent: int, name: str, path: Path) -> int:
    """Open one folder inside another, made if it is missing."""
    try:
        os.mkdir(name, _MODE, dir_fd=parent)
    except FileExistsError:
        pass
    else:
        # The new name is to survive a power cut, like the file that will be below it.
        sync_folder(parent)
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)
    except OSError:
        if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise NotAllowedError(
                f"{path} is a symbolic link, and links below the root are not followed.",
                hint="Remove it, or make its target the root: --to disk:DIR",
            ) from None
        raise


def _refused(error: OSError, path: Path) -> StorageError:
    if error.errno in _FULL:
        return NoSpaceError(f"The folder {path} cannot be made: the disk is full.", hint="Free some space.")
    if error.errno == errno.ENOTDIR or isinstance(error, FileExistsError):
        return StorageError(f"{path}, or something above it, is not a folder.", hint="Choose another folder.")
    reason = (error.strerror or type(error).__name__).lower()
    return StorageError(
        f"The folder {path} cannot be used: {reason}.", hint="Choose another folder, or allow this user to write there."
    )

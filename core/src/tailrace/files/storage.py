"""What goes wrong with files, told in our own errors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tailrace.model.errors import AlreadyExistsError, NoSpaceError, StorageError

_REASONS = {
    errno.EROFS: ("the file system is read-only", "Choose another folder, or mount it for writing."),
    errno.EACCES: ("permission is denied", "Choose another folder, or allow this user to write there."),
    errno.EPERM: ("the operation is not permitted", "Choose another folder, or allow this user to write there."),
    errno.ENOENT: ("the folder does not exist, or vanished", "Create the folder and try again."),
    errno.ENOTDIR: ("a part of the path is not a folder", "Choose another folder."),
    errno.EISDIR: ("it is a folder", "Choose another name."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name or pattern."),
    errno.EIO: ("the device reported an error", "Check the disk. Exporting again is harmless."),
    errno.EFBIG: ("the file would exceed the largest size allowed", "Narrow the export, or raise the limit."),
}
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


def storage_error(error: OSError, path: Path) -> StorageError:
    """Our error for what the operating system said about ``path``."""
    code = error.errno or 0
    if code in _FULL:
        return NoSpaceError(
            f"{path} cannot be written: {_FULL[code]}.",
            hint="Free some space, narrow the export (--columns, --since, --where), or leave compression on.",
        )
    if code == errno.EEXIST:
        return AlreadyExistsError(
            f"{path} exists already.", hint="Choose another name, or allow overwriting: --option overwrite=true"
        )
    reason, hint = _REASONS.get(code, (error.strerror or type(error).__name__, ""))
    return StorageError(f"{path} cannot be written: {reason}.", hint=hint)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn any :class:`OSError` inside into a :class:`StorageError` about ``path``."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, path) from error

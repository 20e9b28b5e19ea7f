"""What network shares and simple file systems refuse, and what is done there instead.

A local file system of Linux makes hard links, keeps permissions, locks files and synchronises folders. Shares (CIFS,
NFS), FAT and what runs in user space (FUSE) each lack some of it, and say so with errors of their own. None of them is
a reason to give up a file that is complete and on disk; errors of the disk itself (EIO, ENOSPC, EROFS …) are.
"""

import errno
import logging
import os
import stat
from pathlib import Path

log = logging.getLogger(__name__)

_UNKNOWN = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What any call may say that a file system has no such thing."""
NO_LINKS = {*_UNKNOWN, errno.EPERM, errno.EMLINK, errno.EXDEV}
"""What file systems say that make no hard links, or not this one."""
NO_LOCKS = {*_UNKNOWN, errno.ENOLCK, errno.EINVAL}
"""What file systems say that lock no files; NFS without its lock service says ENOLCK."""
_NO_FOLDER_SYNC = {*_UNKNOWN, errno.EINVAL, errno.EBADF}
"""What file systems say that synchronise files only; the kernel itself says EINVAL for them, see fsync(2)."""
_NO_MODES = {*_UNKNOWN, errno.EPERM}
"""What file systems say whose permissions are those of the mount; the kernel's FAT says EPERM."""

_told: set[int] = set()
"""Devices whose permissions were warned of in this process."""


def sync_folder(descriptor: int) -> None:
    """Have the names in a folder on disk, where the file system can promise that.

    Where it cannot, a power cut may take back names that were given just before, and nothing else: the data behind
    them were synchronised on their own.

    Args:
        descriptor: The folder, opened.

    Raises:
        OSError: The disk reported an error.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
        log.debug("a folder cannot be synchronised: %s", error)


def set_mode(file: Path | int, mode: int, *, folder: Path) -> None:
    """Give a file its permissions, or those that the file system has for all.

    Where more may be done with the file than was asked for, that is logged as a warning, once for each file system.

    Args:
        file: The file, or a descriptor of it.
        mode: Permission bits.
        folder: Where it lies, for the warning.

    Raises:
        OSError: The file system keeps permissions and refuses these, or the disk reported an error.
    """
    try:
        os.chmod(file, mode)  # noqa: PTH101 - it may be a descriptor
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise
    # Some refuse, others say yes and change nothing: what counts is what there is.
    status = os.stat(file)  # noqa: PTH116 - it may be a descriptor
    found = stat.S_IMODE(status.st_mode)
    if found & ~mode and status.st_dev not in _told:
        _told.add(status.st_dev)
        log.warning("files in %s have the mode %04o instead of %04o: its file system keeps none", folder, found, mode)

"""Files in the making: temporary names beside the final one, locked while their maker lives.

A staged file is called ``.tailrace-….part`` and holds an exclusive ``flock`` as long as its process works on it. The
lock goes when the process does, however it ends; whoever starts next in that folder may therefore delete every staged
file that it can lock.
"""

import fcntl
import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tailrace.files.storage import storage_errors

log = logging.getLogger(__name__)

_PREFIX = ".tailrace-"
_SUFFIX = ".part"


@contextmanager
def staged_file(folder: Path) -> Iterator[tuple[int, Path]]:
    """Make an empty staged file, mode 0600, and remove it at the end.

    Publishing gives the file a second name, so removing the staged one is right in every case.

    Args:
        folder: An existing folder.

    Yields:
        An open descriptor, which the caller may write to but not close, and the path.

    Raises:
        StorageError: The folder cannot be written to.
    """
    with storage_errors(folder):
        descriptor, path = _make(folder)
    try:
        yield descriptor, path
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(descriptor)


def _make(folder: Path) -> tuple[int, Path]:
    while True:
        path = folder / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # Never waits unless a sweeper of the same moment holds it; then the file is gone, and we make another.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink > 0:
                return descriptor, path
        except OSError:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)
            raise
        os.close(descriptor)


def sweep(folder: Path) -> int:
    """Delete staged files whose makers are gone; return how many."""
    swept = 0
    with suppress(OSError):
        for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            swept += _sweep_one(path)
    if swept:
        log.info("removed %d unfinished file(s) of earlier runs from %s", swept, folder)
    return swept


def _sweep_one(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True

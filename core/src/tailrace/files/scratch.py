"""Folders for what is to be gone in a moment, and what must not stay when its process is killed.

Only the owner may enter one, and it is locked as long as its process works in it: what a process that was killed left
behind is removed by whoever makes the next one in the same place, and by a worker that starts.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tailrace.files.shares import NO_LOCKS
from tailrace.files.storage import storage_errors
from tailrace.model.errors import StorageError

log = logging.getLogger(__name__)

PREFIX: Final = ".tailrace-scratch-"
"""How names of scratch folders begin."""


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder, mode 0700, and remove it at the end with all that is in it, whatever happens.

    Args:
        parent: Where; it is made where it is not there.

    Raises:
        StorageError: It cannot be made, or not be removed.
    """
    with storage_errors(parent):
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        sweep_scratch(parent)
        descriptor, folder = _made(parent)
    try:
        yield folder
    finally:
        try:
            _removed(folder)
        finally:
            os.close(descriptor)


def _made(parent: Path) -> tuple[int, Path]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                os.close(descriptor)
                raise
            log.debug("a scratch folder cannot be locked: %s", error)
        # Whoever swept at this very moment has taken it for one that was left behind.
        if folder.is_dir():
            return descriptor, folder
        os.close(descriptor)


def _removed(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        message = f"{folder} holds a copy of a pool and cannot be removed: {error.strerror}."
        raise StorageError(message, hint="Remove it by hand: there may be credentials in it.") from error


def sweep_scratch(parent: Path) -> int:
    """Remove the scratch folders of processes that are gone; returns how many."""
    removed = 0
    with os.scandir(parent) as entries:
        left = [
            entry.path for entry in entries if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False)
        ]
    for path in left:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
            removed += 1
            log.info("removed a scratch folder that was left behind from %s", parent)
        except OSError:
            continue
        finally:
            os.close(descriptor)
    return removed

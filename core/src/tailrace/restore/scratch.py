"""Copies of live pools, for a while: nobody who uses the pool notices it.

A copy holds what the pool holds, credentials included, and perhaps in clear: it belongs in a
:func:`~tailrace.files.scratch.scratch_folder`.
"""

import logging
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from tailrace.files.storage import storage_errors
from tailrace.model.context import Context
from tailrace.model.errors import NoSpaceError, RequestError, SourceError, TailraceError, TransientError
from tailrace.plugins.pools import HOST_PREFIX
from tailrace.reading import sqlite_file
from tailrace.reading.peek import is_sqlite

log = logging.getLogger(__name__)

BUSY_SECONDS: Final = 5.0
"""How long a lock of somebody else is waited for."""

_SCHEME = "proxywhirl://"
_BLOCK = 1 << 20
_ROOM = 3
"""How many times the size of a pool a drill may need: the copy, what changes in it, and what it is emptied through."""


def copied_pool(location: str, folder: Path, context: Context) -> Path:
    """Copy a live pool, mode 0600, as it is at one moment; only a reader's locks are taken on it.

    Args:
        location: Where the pool is: a path, or ``proxywhirl://`` and a path.
        folder: Where the copy goes; it keeps its name, which may say what it is.
        context: Cancellation and deadline.

    Returns:
        The copy.

    Raises:
        RequestError: A location of another kind.
        SourceError: There is no such pool, or it cannot be read.
        TransientError: Somebody is writing to it just now.
        StorageError: The copy cannot be written.
    """
    path = path_of(location)
    context.check()
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            message = f"{path} is not a regular file."
            raise SourceError(message, hint="Name the pool's database or file.")
        is_database = is_sqlite(path)
    except FileNotFoundError:
        message = f"The pool {path} is not there."
        raise SourceError(message, hint="Check the path, and that the disk is mounted.") from None
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not a valid path'}."
        raise SourceError(message, hint="Allow this user to read it.") from None
    copy = folder / path.name
    with storage_errors(copy):
        _check_room(folder, status.st_size)
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if is_database:
        _copy_database(path, copy, context)
    else:
        _copy_file(path, copy, context)
    return copy


@contextmanager
def named_as(path: Path, copy: Path) -> Iterator[None]:
    """Let errors speak of the pool where they are about its copy, which nobody will find any more.

    Args:
        path: The pool.
        copy: Its copy.
    """
    try:
        yield
    except TailraceError as error:
        error.message, error.hint = (text.replace(str(copy), str(path)) for text in (error.message, error.hint))
        error.args = (error.message, *error.args[1:])
        raise


def path_of(location: str) -> Path:
    """The file that a location of a pool names.

    Raises:
        RequestError: It is of another scheme.
    """
    if location.startswith(_SCHEME):
        return Path(unquote(location.removeprefix(_SCHEME)))
    if location.startswith(HOST_PREFIX):
        message = f"The pool {location} is kept by the application, and cannot be copied to try a backup on."
        raise RequestError(message, hint="Import the backup into another pool of the application: Engine.add_pool")
    scheme, separator, _rest = location.partition("://")
    if separator or not location:
        # Whatever follows may hold a password, so it is not repeated.
        message = f"A pool at {scheme}:// cannot be copied." if separator else "No location of a pool was given."
        raise RequestError(message, hint="Write proxywhirl:///path/to/pool.db, or the path of a file.")
    return Path(location)


def _copy_database(path: Path, copy: Path, context: Context) -> None:
    """Copy a database with what is in its log, through the driver that exports read with.

    Python's own SQLite must not open the file: closing it would drop the locks of exports that this process makes of
    the same pool meanwhile; see :mod:`tailrace.reading.sqlite_file`.
    """
    from adbc_driver_manager import Error

    with sqlite_file.opened(path, context=context, busy_timeout=BUSY_SECONDS) as file:
        try:
            _vacuum(file, copy, context)
        except Error as error:
            lockless = sqlite_file.without_locks(file)
            if lockless is None:
                raise sqlite_file.explained(path, error) from error
            try:
                _vacuum(lockless, copy, context)
            except Error as again:
                raise sqlite_file.explained(path, again) from again
            lockless.check_unchanged()


def _vacuum(file: sqlite_file.SqliteFile, copy: Path, context: Context) -> None:
    import adbc_driver_sqlite

    from tailrace.reading.adbc import Connection

    target = str(copy).replace("'", "''")

    def attempt() -> None:
        with Connection(adbc_driver_sqlite.connect(file.uri)) as connection:
            connection.run(f"VACUUM INTO '{target}'")

    sqlite_file.patiently(attempt, path=file.path, context=context, busy_timeout=BUSY_SECONDS)


def _copy_file(path: Path, copy: Path, context: Context) -> None:
    try:
        source = path.open("rb")
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise SourceError(message, hint="Allow this user to read it.") from None
    with source, storage_errors(copy), copy.open("wb") as target:
        before = os.fstat(source.fileno())
        left = before.st_size
        while left > 0 and (block := source.read(min(left, _BLOCK))):
            context.check()
            left -= target.write(block)
        # A pool that is replaced meanwhile is one that was whole; one that is written in its place may not be.
        changed = _marks(os.fstat(source.fileno())) != _marks(before)
    if changed:
        message = f"{path} was written to while it was copied."
        raise TransientError(message, hint="Try again when its writer is done.")


def _marks(status: os.stat_result) -> tuple[int, int]:
    return (status.st_size, status.st_mtime_ns)


def _check_room(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < _ROOM * size:
        message = f"There is no room in {folder.parent} for a copy of the pool: {free:,} bytes are free."
        raise NoSpaceError(message, hint=f"Free some space: {_ROOM * size:,} bytes, three times the pool, are enough.")

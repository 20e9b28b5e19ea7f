"""What SQLite says, as errors of ours: never its own words, which may quote a value."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tailrace import NoSpaceError, RequestError, SourceError, StorageError, TailraceError, TransientError

_PRIMARY = 0xFF
"""The lower byte of an extended result code is the primary one."""


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite inside into ours, about the database ``path``."""
    try:
        yield
    except sqlite3.Error as error:
        raised = _explained(path, getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY)
    else:
        return
    raise raised


def _explained(path: Path, code: int) -> TailraceError:
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return TransientError(
            f"Somebody else is writing to the database {path.name!r}.",
            hint="Nothing was changed. Try again when its writer is done.",
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        return RequestError(
            f"The database {path.name!r} does not accept a proxy: one with its URL is there, or a value is missing.",
            hint="Nothing was changed. Plan the import anew: skip, rename or merge duplicates.",
        )
    if code == sqlite3.SQLITE_FULL:
        return NoSpaceError(f"The database {path.name!r} cannot grow: the disk is full.", hint="Free some space.")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_IOERR}:
        return StorageError(
            f"The database {path.name!r} cannot be opened or written to.",
            hint="Check the disk, and the permissions of the file and its folder. Nothing was changed.",
        )
    return SourceError(
        f"The database {path.name!r} cannot be read: it is damaged, or not as ProxyWhirl makes it.",
        hint="Check it with: sqlite3 FILE 'PRAGMA integrity_check'; restore it from a backup.",
    )

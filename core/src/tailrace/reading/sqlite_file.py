"""Opening a SQLite file for reading without harming it, its writers, or the process around us.

The driver brings a SQLite library of its own. POSIX locks belong to processes, not to libraries: in a process that has
the same file open through Python's ``sqlite3``, neither of the two would see the other's locks, and closing one's file
would drop the locks of the other. Where that is so, the snapshot is taken with Python's ``sqlite3`` as a private copy,
and only the copy is read through the driver. For the same reason nothing here opens the file just to look at it.
"""

import collections
import contextlib
import os
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import attrs

from tailrace.model.context import Context
from tailrace.model.errors import SourceError, TailraceError, TransientError

Identity = tuple[int, int]

_MUST_NOT_BE_READ, _CANNOT_BE_OPENED = "must not be read", "cannot be opened"
_DAMAGED = "The database {} is damaged or incomplete."
_MEND = "Check it with: sqlite3 FILE 'PRAGMA integrity_check'; restore it from a backup."

_EXPLANATIONS = (
    (
        "not a database",
        "{} is not a SQLite database.",
        "Give the path of a database file; encrypted databases cannot be read.",
    ),
    ("malformed", _DAMAGED, _MEND),
    ("disk I/O error", _DAMAGED, _MEND),
    (
        "readonly database",
        "The database {} holds an unfinished transaction of a writer that crashed.",
        "Open it once with the application that writes it, which rolls it back; then export again.",
    ),
    (
        _MUST_NOT_BE_READ,
        "The database {} must not be read by this user.",
        "Grant this user read permission on the file, and on the folders above it.",
    ),
    (
        _CANNOT_BE_OPENED,
        "The database {} cannot be opened.",
        "In WAL mode readers need write permission on the folder. Grant it, or export a copy: sqlite3 FILE '.backup X'",
    ),
)
"""What SQLite says, what it means, and what to do."""

_ours: collections.Counter[Identity] = collections.Counter()
_ours_lock = threading.Lock()
"""Files that this process reads through the driver: open, but by nobody else's hand."""

_PAUSE = 0.05
_PAGES_AT_ONCE = 4096


@attrs.frozen
class SqliteFile:
    """A database file that may be read.

    Args:
        path: The file as the user named it.
        opened: The file that is opened in its place: itself, or a private copy.
        immutable: Whether nobody else writes to ``opened``, so that SQLite need not (or cannot) lock it.
        seen: Size and times of ``path`` at the beginning, where a change could otherwise go unnoticed.
    """

    path: Path
    opened: Path
    immutable: bool = False
    seen: tuple[int, ...] | None = None

    @property
    def uri(self) -> str:
        """The URI that opens the file for reading only."""
        absolute = self.opened.absolute().as_posix()
        rooted = absolute if absolute.startswith("/") else f"/{absolute}"
        # With an authority, if an empty one: SQLite would take what follows two slashes for the name of a host.
        return f"file://{quote(rooted)}?mode=ro{'&immutable=1' if self.immutable else ''}"

    def forget_copy(self) -> None:
        """Remove the name of a private copy: it stays open to its readers, and a crash leaves nothing behind."""
        if self.opened != self.path and os.name == "posix":
            self.opened.unlink()

    def check_unchanged(self) -> None:
        """Make sure that a file read without locks was not written to meanwhile.

        Raises:
            TransientError: It was.
        """
        if self.seen is not None and (self.seen != _fingerprint(self.path) or _has_log(self.path)):
            raise TransientError(
                f"The database {self.path.name!r} was written to while it was read.",
                hint="Its folder is read-only for this user, so it could not be locked. Try again, or export a copy.",
            )


@contextlib.contextmanager
def opened(path: Path, *, context: Context, busy_timeout: float) -> Iterator[SqliteFile]:
    """Find out how a database file can be read safely; make a private copy where it must be.

    Raises:
        SourceError: There is no such file, or it cannot be a database.
        TransientError: A private copy is needed, and somebody holds a lock for longer than ``busy_timeout``.
    """
    status = _status(path)
    identity = (status.st_dev, status.st_ino)
    with _ours_lock:
        direct = _ours[identity] > 0 or not _is_open_here(identity)
        if direct:
            _ours[identity] += 1
    if direct:
        try:
            yield SqliteFile(path, path)
        finally:
            with _ours_lock:
                _ours[identity] -= 1
    else:
        with tempfile.TemporaryDirectory(prefix="tailrace-", ignore_cleanup_errors=True) as folder:
            copy = Path(folder, "copy.db")
            _copy(path, copy, context=context, busy_timeout=busy_timeout)
            yield SqliteFile(path, copy, immutable=True)


def without_locks(file: SqliteFile) -> SqliteFile | None:
    """The same file opened as immutable, where that is safe; None where it is not.

    A database in WAL mode cannot be locked in a folder that its reader must not write to. Without a log beside it the
    file is complete in itself, and no writer touches it before it made a log: that is checked after each query.
    """
    folder = file.path.absolute().parent
    if _may(folder, os.W_OK) or not _may(file.path, os.R_OK) or _has_log(file.path):
        return None
    return attrs.evolve(file, immutable=True, seen=_fingerprint(file.path))


def patiently(attempt: Callable[[], None], *, path: Path, context: Context, busy_timeout: float) -> None:
    """Repeat ``attempt`` while the database is locked.

    Raises:
        TransientError: It still is after ``busy_timeout`` seconds.
    """
    deadline = time.monotonic() + busy_timeout
    while True:
        context.check()
        try:
            return attempt()
        except Exception as error:
            if not _is_lock(error):
                raise
            if time.monotonic() >= deadline:
                raise TransientError(
                    f"The database {path.name!r} is locked by another process.",
                    hint=f"It stayed locked for {busy_timeout:g} seconds. Try again when its writer is done.",
                ) from error
        time.sleep(_PAUSE)


def explained(path: Path, error: Exception) -> TailraceError:
    """The error to raise for what SQLite said about a file."""
    # The driver adds the statement, in lines of its own.
    said = str(error).partition("\n")[0]
    if _is_lock(error):
        return TransientError(f"The database {path.name!r} is locked by another process.", hint="Try again later.")
    if "failed to open" in said or "unable to open" in said:
        said = _MUST_NOT_BE_READ if not _may(path, os.R_OK) else _CANNOT_BE_OPENED
    for words, message, hint in _EXPLANATIONS:
        if words in said:
            return SourceError(message.format(repr(path.name)), hint=hint)
    return SourceError(f"The database {path.name!r} cannot be read: {said.rpartition('query: ')[2]}.")


def _is_lock(error: Exception) -> bool:
    return "is locked" in str(error)


def _status(path: Path) -> os.stat_result:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise SourceError(
            f"There is no database {path.name!r}.", hint=f"Nothing is at {os.fspath(path)!r}: check the path."
        ) from None
    except OSError as error:
        raise SourceError(
            f"The database {path.name!r} cannot be reached: {error.strerror}.",
            hint="Check the path, and the permissions of the folders above it.",
        ) from error
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise SourceError(f"{path.name!r} is {kind}, not a database.", hint="Give the path of a database file.")
    if status.st_size == 0:
        raise SourceError(f"The database {path.name!r} is empty: a file of no bytes.", hint="Check the path.")
    return status


def _fingerprint(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def descriptors_of(identity: Identity) -> Iterator[int]:
    """The descriptors of a file that this process has open (only where locks belong to processes)."""
    if os.name == "posix":
        for entry in Path("/dev/fd").iterdir():
            if entry.name.isdecimal() and _identity(int(entry.name)) == identity:
                yield int(entry.name)


def _is_open_here(identity: Identity) -> bool:
    return any(True for _descriptor in descriptors_of(identity))


def _identity(descriptor: int) -> Identity | None:
    try:
        status = os.fstat(descriptor)
    except OSError:  # that of the listing itself, closed meanwhile
        return None
    return (status.st_dev, status.st_ino)


def _copy(path: Path, copy: Path, *, context: Context, busy_timeout: float) -> None:
    source = SqliteFile(path, path)
    try:
        with (
            contextlib.closing(sqlite3.connect(source.uri, uri=True, timeout=0, isolation_level=None)) as reader,
            contextlib.closing(sqlite3.connect(copy)) as writer,
        ):
            # The transaction comes first: a copy in several steps would otherwise start again at each commit.
            def begin() -> None:
                reader.execute("BEGIN")
                try:
                    reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                except sqlite3.Error:
                    reader.execute("ROLLBACK")
                    raise

            patiently(begin, path=path, context=context, busy_timeout=busy_timeout)
            reader.backup(writer, pages=_PAGES_AT_ONCE, progress=lambda *_: context.check())
    except sqlite3.Error as error:
        raise explained(path, error) from error

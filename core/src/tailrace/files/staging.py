"""Files in the making: temporary names beside the final one, locked while their maker lives.

A staged file is called ``.tailrace-….part`` and holds an exclusive ``flock`` as long as its process works on it. The
lock goes when the process does, however it ends; whoever starts next in that folder may therefore delete every staged
file that it can lock. On a file system without locks nobody can lock it, and so nobody deletes it.

What an attempt at a job makes says so in its name: ``.tailrace-JOB.FENCE.….part`` (:class:`FileTag`). Such a file that
was published keeps its staged name as evidence, until it is known elsewhere that it was: see
:mod:`tailrace.files.attempts`.
"""

import fcntl
import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

import attrs

from tailrace.files.shares import NO_LOCKS
from tailrace.files.storage import storage_errors

log = logging.getLogger(__name__)

_PREFIX = ".tailrace-"
_SUFFIX = ".part"
_JOB = r"[0-9a-f-]{36}"


class Role(StrEnum):
    """What a staged file is for, told by the end of its name."""

    MADE = ""
    """A file in the making."""
    NEW = "new"
    """A second name of one, about to be renamed to the final one."""
    OLD = "old"
    """A manifest that was there before, set aside."""
    TAKEN = "taken"
    """One of the first two, after its name was taken from a revoked attempt."""
    KEPT = "kept"
    """What was set aside by an attempt that was revoked."""


_NAME = re.compile(
    rf"{re.escape(_PREFIX)}(?P<job>{_JOB})\.(?P<fence>0|[1-9][0-9]{{0,18}})\.[0-9a-f]+(?:-(?P<role>[a-z]+))?"
    rf"{re.escape(_SUFFIX)}"
)


@attrs.frozen
class FileTag:
    """Says for which attempt at which job a file is made.

    Args:
        job: The job's id, a UUID as text.
        fence: The attempt's number; of two attempts at a job, the later one has the higher.

    Raises:
        ValueError: It is no such id, or a negative number.
    """

    job: str = attrs.field(validator=attrs.validators.matches_re(_JOB))
    fence: int = attrs.field(validator=[attrs.validators.ge(0), attrs.validators.lt(10**19)])


def is_staged(name: str) -> bool:
    """Whether this is the name of a file in the making, whoever makes it."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def tag_of(path: Path) -> FileTag | None:
    """The tag in the name of a staged file; None where there is none."""
    match = _NAME.fullmatch(path.name)
    return FileTag(match["job"], int(match["fence"])) if match else None


def role_of(path: Path) -> Role:
    """What a staged file with a tag is for."""
    match = _NAME.fullmatch(path.name)
    ending = match["role"] if match else None
    return Role(ending) if ending in list(Role) else Role.MADE


def staged_name(tag: FileTag | None = None, role: Role = Role.MADE) -> str:
    """A name for a staged file that nothing else has."""
    attempt = f"{tag.job}.{tag.fence}." if tag else ""
    return f"{_PREFIX}{attempt}{secrets.token_hex(8)}{f'-{role}' if role else ''}{_SUFFIX}"


def variant(staged: Path, role: Role) -> Path:
    """The name of a staged file with another role: it stays recognisable as of the same attempt."""
    return staged.with_name(f"{staged.name.removesuffix(_SUFFIX)}-{role}{_SUFFIX}")


@contextmanager
def staged_file(folder: Path, *, tag: FileTag | None = None) -> Iterator[tuple[int, Path]]:
    """Make an empty staged file, mode 0600, and remove it at the end.

    Publishing gives the file a second name, so removing the staged one is right in every case. With a tag, it is
    removed only if there is no second name: if there is, it is the evidence that the attempt published, and stays until
    :func:`tailrace.files.attempts.release` or :func:`~tailrace.files.attempts.revoke`.

    Args:
        folder: An existing folder.
        tag: The attempt that makes it; None for what belongs to no job.

    Yields:
        An open descriptor, which the caller may write to but not close, and the path.

    Raises:
        StorageError: The folder cannot be written to.
    """
    with storage_errors(folder):
        descriptor, path = _make(folder, tag)
    try:
        yield descriptor, path
    finally:
        with suppress(OSError):
            if tag is None or os.fstat(descriptor).st_nlink == 1:
                path.unlink()
        os.close(descriptor)


def _make(folder: Path, tag: FileTag | None) -> tuple[int, Path]:
    while True:
        path = folder / staged_name(tag)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            # Never waits unless a sweeper of the same moment holds it; then the file is gone, and we make another.
            _lock(descriptor)
            if os.fstat(descriptor).st_nlink > 0:
                return descriptor, path
        except OSError:
            with suppress(OSError):
                path.unlink()
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        log.debug("a file in the making cannot be locked: %s", error)


def staged_files(folder: Path) -> list[Path]:
    """The staged files in a folder; links, folders and devices are none of ours.

    Every export asks, and there may be a hundred thousand other files: nothing is made of their names.
    """
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if is_staged(entry.name) and entry.is_file(follow_symlinks=False)]


def sweep(folder: Path) -> int:
    """Delete staged files whose makers are gone; return how many.

    What attempts at jobs published, or set aside, stays: whether it counts is for others to say.
    """
    swept = 0
    with suppress(OSError):
        for path in staged_files(folder):
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
        if _is_evidence(path, descriptor):
            return False
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def is_locked(path: Path) -> bool:
    """Whether the maker of a staged file is still there, working or stopped; True as well where nobody can tell."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        # Shared: two who ask at once do not take each other for the maker.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_evidence(path: Path, descriptor: int) -> bool:
    if tag_of(path) is None:
        return False
    return role_of(path) in {Role.OLD, Role.KEPT} or os.fstat(descriptor).st_nlink > 1

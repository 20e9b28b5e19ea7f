"""Deleting a file that a job made, and nothing else.

A file is deleted where all of this is so, and left alone otherwise:

* It lies below its root, and on the way there no link is followed: folders are opened one in another.
* It is a regular file, and still the one that was exported. The manifest beside it says so, where there is one; a file
  that somebody touched since, or that has no manifest, is read and compared with its digest.
* Nobody holds a lock on it: whoever downloads it has a shared one, whoever writes it an exclusive one.

Data go before their manifest: what is left by somebody who was killed in between is still known as the job's.
"""

import errno
import fcntl
import hashlib
import json
import logging
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Any, Final

import attrs

from tailrace.files.publish import MANIFEST_SUFFIX
from tailrace.files.shares import NO_LOCKS, sync_folder
from tailrace.model.work import OutputFile

log = logging.getLogger(__name__)

BUSY: Final = "is being downloaded or written"
FOLDER_BUSY: Final = "lies in a folder in which somebody is just replacing a file"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe that took the place of a file must not make anybody wait.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LONGEST_MANIFEST = 1 << 26
_PATIENCE = 1.0
"""Seconds to wait for somebody who replaces a file in the folder."""
_SETTLING = timedelta(minutes=10)
"""How long after it was recorded an export may still change the times of its file: it takes other names of it away."""
_REASONS = {
    errno.EACCES: "permission is denied",
    errno.EPERM: "the operation is not permitted; it may be immutable, or another user's",
    errno.EROFS: "the file system is read-only",
    errno.EBUSY: "it is in use",
    errno.EIO: "the device reported an error",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
}


class Found(Enum):
    """What was found where a file is said to be."""

    OURS = auto()
    """The file, locked by us."""
    GONE = auto()
    """Nothing, or only the manifest."""
    LOCKED = auto()
    """The file, locked by somebody else."""
    FOREIGN = auto()
    """Something else by now."""
    REFUSED = auto()
    """It cannot be looked at, or must not be."""


class ReplacedError(Exception):
    """Something else took the place of a file in the moment in which it was to be deleted."""


class FolderBusyError(Exception):
    """Somebody replaces a file in the folder, and takes long."""


@attrs.frozen
class Held:
    """A file that may be going to be deleted; nobody else can lock it meanwhile.

    Args:
        file: The file.
        found: What was found.
        problem: What is wrong, as it goes on behind the file's name.
        folder: A descriptor of its folder; None where there is none.
        descriptor: A descriptor of the file, where it is ours.
    """

    file: OutputFile
    found: Found
    problem: str = ""
    folder: int | None = None
    descriptor: int | None = None


class _Refused(Exception):  # noqa: N818 - internal signal, always turned into what was found
    """The file must not be looked at."""


@contextmanager
def holding(file: OutputFile) -> Iterator[Held]:
    """Look at a file and lock it, to delete it or not.

    Yields:
        What was found; whatever is wrong with it is told there.
    """
    with ExitStack() as stack:
        try:
            held = _found(file, stack)
        except _Refused as refusal:
            held = Held(file, Found.REFUSED, str(refusal))
        except OSError as error:
            held = Held(file, Found.REFUSED, f"cannot be looked at: {reason(error)}")
        yield held


def delete(held: Held) -> int:
    """Delete a file that is ours, and the manifest of one that is ours or gone.

    Returns:
        Bytes that this freed; a file that has further names frees none.

    Raises:
        ReplacedError: Something else is there by now.
        FolderBusyError: Somebody replaces a file in the folder; later it may work.
        OSError: The file system refuses.
    """
    if held.folder is None:
        return 0
    name = held.file.path.name
    with _changing(held.folder):
        freed = _unlink_data(held, held.folder, name)
        beside = _read_manifest(held.folder, name)
        if beside is not None and beside.get("export_id") == held.file.job:
            with suppress(FileNotFoundError):
                os.unlink(name + MANIFEST_SUFFIX, dir_fd=held.folder)
        # Also where it was gone already: whoever deleted it may have been killed before this.
        sync_folder(held.folder)
    return freed


def prune(file: OutputFile, spared: Collection[Path]) -> None:
    """Remove the folders between a file and its root that are empty by now; the root stays. Never raises.

    Args:
        file: A file that was deleted.
        spared: Folders that stay, because somebody is going to use them.
    """
    with suppress(OSError, _Refused):
        folders = _below_root(file)[:-1]
        for depth in range(len(folders), 0, -1):
            if file.root.joinpath(*folders[:depth]) in spared:
                return
            with ExitStack() as stack:
                parent = _opened(file.root, folders[: depth - 1], stack)
                if parent is not None:
                    os.rmdir(folders[depth - 1], dir_fd=parent)


def reason(error: OSError) -> str:
    """What the operating system said, in words."""
    return _REASONS.get(error.errno or 0) or (error.strerror or type(error).__name__).lower()


# Finding it.


def _found(file: OutputFile, stack: ExitStack) -> Held:
    *folders, name = _below_root(file)
    folder = _opened(file.root, folders, stack)
    if folder is None:
        return Held(file, Found.GONE)
    try:
        _refuse_special(os.stat(name, dir_fd=folder, follow_symlinks=False))
        descriptor = os.open(name, os.O_RDONLY | _FILE, dir_fd=folder)
        stack.callback(os.close, descriptor)
        # It may have been exchanged since.
        _refuse_special(os.fstat(descriptor))
        if not _locked(descriptor, folder, name, stack):
            return Held(file, Found.LOCKED, BUSY, folder)
        other = _difference(file, folder, name, descriptor)
    except FileNotFoundError:
        return Held(file, Found.GONE, folder=folder)
    except ReplacedError as replaced:
        other = str(replaced)
    if other:
        return Held(file, Found.FOREIGN, other, folder)
    return Held(file, Found.OURS, folder=folder, descriptor=descriptor)


def _below_root(file: OutputFile) -> tuple[str, ...]:
    """The names from the root to the file."""
    path, root = file.path, file.root
    names = path.parts[len(root.parts) :] if path.parts[: len(root.parts)] == root.parts else ()
    if not names or ".." in names or not root.is_absolute() or "\x00" in str(path):
        message = f"is outside of its root {root}, and is not touched"
        raise _Refused(message)
    return names


def _opened(root: Path, names: Sequence[str], stack: ExitStack) -> int | None:
    """A descriptor of a folder below a root; None where it is not there. The root itself may be a link."""
    try:
        descriptor = os.open(root, _FOLDER)
    except FileNotFoundError:
        # Perhaps a disk that is not mounted: to take its files for removed would mean to forget them.
        message = f"is not there, and neither is its root {root}; mount it, or make it empty where it is gone for good"
        raise _Refused(message) from None
    stack.callback(os.close, descriptor)
    at = root
    for name in names:
        at /= name
        try:
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENOTDIR}:
                raise
            message = f"cannot be reached: {at} is no folder by now, or a link, which is not followed"
            raise _Refused(message) from None
        stack.callback(os.close, inner)
        descriptor = inner
    return descriptor


def _refuse_special(status: os.stat_result) -> None:
    kind = status.st_mode
    if not stat.S_ISREG(kind):
        what = "a symbolic link" if stat.S_ISLNK(kind) else "a folder" if stat.S_ISDIR(kind) else "no regular file"
        message = f"is {what} by now, and is left alone"
        raise ReplacedError(message)


def _locked(descriptor: int, folder: int, name: str, stack: ExitStack) -> bool:
    """Lock a file; False where somebody else has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno != errno.EBADF:
            # Where nobody can lock, nobody has; what is being read stays readable after its name is gone.
            if error.errno in NO_LOCKS:
                return True
            raise
        # NFS wants a file open for writing to be locked exclusively.
        other = os.open(name, os.O_RDWR | _FILE, dir_fd=folder)
        stack.callback(os.close, other)
        if not os.path.samestat(os.fstat(other), os.fstat(descriptor)):
            message = "is another file by now, and is left alone"
            raise ReplacedError(message) from None
        return _locked_for_writing(other)
    return True


def _locked_for_writing(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# Knowing it.


def _difference(file: OutputFile, folder: int, name: str, descriptor: int) -> str:
    """Why a file is not the one that was exported; empty where it is."""
    manifest = _read_manifest(folder, name)
    known = {file.sha256: file.size}
    if manifest is not None:
        if manifest.get("export_id") != file.job:
            return "is another file by now, by its manifest, and is left alone"
        # It may have been sealed anew since, for other keys; then only the manifest has its digest.
        known |= _described(manifest)
    status = os.fstat(descriptor)
    digests = {sha256 for sha256, size in known.items() if size == status.st_size}
    if digests and manifest is not None and _untouched(status, file):
        return ""
    if digests and _sha256(descriptor) in digests:
        return ""
    return "is another file by now, by its content, and is left alone"


def _read_manifest(folder: int, name: str) -> Mapping[str, Any] | None:
    """What the manifest beside a file says; None where there is none that can be read."""
    beside = name + MANIFEST_SUFFIX
    try:
        if not stat.S_ISREG(os.stat(beside, dir_fd=folder, follow_symlinks=False).st_mode):
            return None
        descriptor = os.open(beside, os.O_RDONLY | _FILE, dir_fd=folder)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as stream, suppress(ValueError, RecursionError):
        content = json.loads(stream.read(_LONGEST_MANIFEST))
        return content if isinstance(content, dict) and "export_id" in content else None
    return None


def _described(manifest: Mapping[str, Any]) -> Mapping[str, int]:
    record = manifest.get("file")
    if isinstance(record, dict) and isinstance(record.get("sha256"), str) and isinstance(record.get("size"), int):
        return {record["sha256"]: record["size"]}
    return {}


def _untouched(status: os.stat_result, file: OutputFile) -> bool:
    """Whether nobody has written to a file, or put it there, since it was recorded.

    The time of the last change to a file's entry is one that nobody can set.
    """
    return status.st_ctime <= (file.created + _SETTLING).timestamp()


def _sha256(descriptor: int) -> str:
    with os.fdopen(os.dup(descriptor), "rb") as stream:
        stream.seek(0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


# Deleting it.


@contextmanager
def _changing(folder: int) -> Iterator[None]:
    """Lock a folder against those who replace files in it: see :func:`tailrace.files.publish.opened_folder`."""
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise FolderBusyError(FOLDER_BUSY) from None
            time.sleep(0.01)
        except OSError as error:
            log.debug("a folder cannot be locked: %s", error)
            break
        else:
            break
    try:
        yield
    finally:
        # Locks that were never had are given back without a word.
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_UN)


def _unlink_data(held: Held, folder: int, name: str) -> int:
    try:
        current = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return 0
    if held.descriptor is None or not os.path.samestat(current, os.fstat(held.descriptor)):
        message = "is another file by now, and is left alone"
        raise ReplacedError(message)
    os.unlink(name, dir_fd=folder)
    return current.st_size if current.st_nlink == 1 else 0

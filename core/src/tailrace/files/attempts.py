"""What attempts at a job leave on disk, and how it is taken back from those that lost the job.

An attempt loses its job when it is not heard of for too long. It may be dead, or only stopped, and go on at any moment,
in the middle of publishing. :func:`revoke` therefore does not look first: it takes the *names* of staged files away,
and publishing (a link or a rename, from a staged name) finds nothing any more; only then it looks at what was
published before, and takes that back as well.

What is published keeps its staged name, a second name of the same file, until :func:`settle` or :func:`release` says
that it is written down elsewhere; so whoever comes later knows of each file that was published and not written down.

Two things are up to others. An attempt can still stage files after it was revoked: it has to ask whether it still has
the job between staging and publishing, as whoever takes over first has the job and then revokes. And folders from which
files are copied are revoked before those to which they are.

On file systems without hard links, what is published is another file than the staged one and cannot be found by it:
what is staged there is taken back, what is published is not.
"""

import hashlib
import json
import logging
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs

from tailrace.files.publish import MANIFEST_SUFFIX, manifest_path, opened_folder
from tailrace.files.shares import NO_LINKS, sync_folder
from tailrace.files.staging import FileTag, Role, is_locked, is_staged, role_of, staged_files, staged_name, tag_of
from tailrace.files.storage import storage_errors

log = logging.getLogger(__name__)

_PATIENCE = 1.0
"""Seconds to wait for those who overwrite files; the attempt itself may be stopped there."""
_OURS = {Role.TAKEN, Role.KEPT}
_SET_ASIDE = {Role.OLD, Role.KEPT}

_Inode = tuple[int, int]


@attrs.frozen
class Leftover:
    """A staged file of an attempt at a job.

    Args:
        path: The staged file.
        tag: The attempt.
        published: Whether the file has another name in that folder, under which everybody sees it.
        alive: Whether the attempt still holds the lock of this or another file in the folder, working or stopped. A
            file of this very moment may not be locked yet.
    """

    path: Path
    tag: FileTag
    published: bool
    alive: bool


@attrs.frozen
class Revoked:
    """What was taken back.

    Args:
        staged: How many staged files were removed.
        published: The published files that were removed, manifests included, in that order.
        given_back: Manifests of other files that had been set aside, and are where they were.
    """

    staged: int = 0
    published: tuple[Path, ...] = ()
    given_back: tuple[Path, ...] = ()


def leftovers(folder: Path) -> Iterator[Leftover]:
    """The staged files of attempts at jobs in a folder, as they are at this moment; none where there is no folder.

    Raises:
        StorageError: The folder cannot be read.
    """
    with storage_errors(folder), suppress(FileNotFoundError):
        staged = {path: found for path in staged_files(folder) if (found := _stat(path))}
        names = Counter(_number(found) for found in staged.values())
        tags = {path: tag for path in staged if (tag := tag_of(path))}
        alive = {tag for path, tag in tags.items() if is_locked(path)}
        more = {path for path, found in staged.items() if found.st_nlink > names[_number(found)]}
        return iter(
            [
                Leftover(path, tag, path in more and role_of(path) not in _SET_ASIDE, tag in alive)
                for path, tag in tags.items()
            ]
        )
    return iter(())


def release(leftover: Leftover | Path) -> None:
    """Remove the evidence, and leave what was published as it is. What is gone already is no problem.

    Args:
        leftover: The leftover, or its path.

    Raises:
        ValueError: It is no staged file of an attempt.
        StorageError: The file system refuses.
    """
    path = leftover.path if isinstance(leftover, Leftover) else leftover
    if tag_of(path) is None:
        message = f"{path} is not a staged file of an attempt at a job."
        raise ValueError(message)
    with storage_errors(path):
        path.unlink(missing_ok=True)


def settle(folder: Path, tag: FileTag) -> int:
    """Release all that an attempt left in a folder, as what it published is written down by now; return how many.

    Raises:
        StorageError: The file system refuses.
    """
    with storage_errors(folder), suppress(FileNotFoundError):
        found = [path for path in staged_files(folder) if tag_of(path) == tag]
        for path in found:
            release(path)
        return len(found)
    return 0


def settle_recorded(folder: Path, job: str, recorded: Iterable[Path]) -> None:
    """Release the evidence of files that are written down elsewhere, whichever attempt at the job made them.

    To be done before :func:`revoke`, where some of what the job published stays.

    Args:
        folder: The folder; there may be none.
        job: The job's id.
        recorded: Published files that are written down.

    Raises:
        StorageError: The file system refuses.
    """
    with storage_errors(folder), suppress(FileNotFoundError):
        kept = {inode for path in recorded if path.parent == folder and (inode := _inode_of(path))}
        for path in staged_files(folder) if kept else ():
            tag = tag_of(path)
            if tag is not None and tag.job == job and _inode_of(path) in kept:
                release(path)


def revoke(folder: Path, job: str, *, below: int) -> Revoked:
    """Take back what attempts at a job staged and published in a folder, whether they are dead, stopped or at work.

    When it returns, what they staged cannot be published any more. It may be stopped anywhere and done again. A file
    that an attempt replaced does not come back.

    Args:
        folder: The folder; there may be none.
        job: The job's id.
        below: The attempts with a lower fence are meant.

    Returns:
        What was removed; what a revocation before this one removed does not count.

    Raises:
        StorageError: The file system refuses. What was not removed is still known as the attempts'.
    """
    staged = 0
    published: list[Path] = []
    given_back: list[Path] = []
    with storage_errors(folder), ExitStack() as stack:
        try:
            descriptor = stack.enter_context(opened_folder(folder, patience=0.0))
        except FileNotFoundError:
            return Revoked()
        held: dict[_Inode, int] = {}
        while True:
            parts = _take(folder, job, below)
            made = [part for part in parts if role_of(part) is Role.TAKEN]
            for part in made:
                _hold(part, held, stack)
            if parts:
                sync_folder(descriptor)
            # A link that was under way when its staged name was taken is made all the same. By now it mostly is, but
            # only from a file without any name it cannot be: files are held open, and asked until they have none.
            names = _published(folder, held, made)
            if not parts and not names:
                break
            withdrawn = _withdraw(folder, names, job)
            returned = _give_back(set(parts).difference(made))
            if withdrawn or returned:
                # Evidence goes after what it stands for, on disk as well.
                sync_folder(descriptor)
            staged += sum(_unlinked(part) for part in parts)
            published += withdrawn
            given_back += returned
        if staged or published:
            sync_folder(descriptor)
        if any(os.fstat(file).st_nlink for file in held.values()):
            log.warning("job %s: a file that was taken back from %s has another name elsewhere", job, folder)
    return Revoked(staged, tuple(published), tuple(given_back))


# Names.


def _take(folder: Path, job: str, below: int) -> list[Path]:
    """Take all names of those attempts away; return the names that only we know, those of earlier revocations too."""
    while True:
        tagged = [path for path in staged_files(folder) if _is_of(path, job, below)]
        theirs = [path for path in tagged if role_of(path) not in _OURS]
        if not theirs:
            return tagged
        for path in theirs:
            # It may be gone, or renamed by its maker: then it turns up at the next look.
            with suppress(FileNotFoundError):
                path.rename(_own_name(path))


def _own_name(path: Path) -> Path:
    role = Role.KEPT if role_of(path) is Role.OLD else Role.TAKEN
    # Never the same twice: renaming one name of a file to another of its names would do nothing.
    while os.path.lexists(own := path.with_name(staged_name(tag_of(path), role))):
        pass
    return own


def _is_of(path: Path, job: str, below: int) -> bool:
    tag = tag_of(path)
    return tag is not None and tag.job == job and tag.fence < below


def _regular(folder: Path) -> list[Path]:
    """The files in a folder; links, folders and devices are none of ours."""
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]


# Files.


def _stat(path: Path) -> os.stat_result | None:
    """What is known of a file; None for what is gone, or not a file."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _number(found: os.stat_result) -> _Inode:
    return found.st_dev, found.st_ino


def _inode_of(path: Path) -> _Inode | None:
    """Which file it is; None for what is gone, or not a file."""
    found = _stat(path)
    return None if found is None else _number(found)


def _hold(path: Path, held: dict[_Inode, int], stack: ExitStack) -> None:
    """Hold a file open, which needs no permission; as long as it is, no other file gets its number."""
    with suppress(FileNotFoundError):
        descriptor = os.open(path, getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        held.setdefault(_number(os.fstat(descriptor)), descriptor)


def _published(folder: Path, held: Mapping[_Inode, int], parts: list[Path]) -> dict[Path, _Inode]:
    """The names in a folder, other than staged ones, that those files have."""
    staged = Counter(_inode_of(part) for part in parts)
    sought = {inode for inode, descriptor in held.items() if os.fstat(descriptor).st_nlink > staged[inode]}
    if not sought:
        return {}
    # NFS keeps a removed file that is open under such a name.
    visible = [path for path in _regular(folder) if not is_staged(path.name) and not path.name.startswith(".nfs")]
    return {path: inode for path in visible if (inode := _inode_of(path)) in sought and inode}


def _unlinked(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _withdraw(folder: Path, names: Mapping[Path, _Inode], job: str) -> list[Path]:
    """Remove published files, first their manifests."""
    if not names:
        return []
    removed = []
    with opened_folder(folder, patience=_PATIENCE):
        for name, inode in sorted(names.items(), key=lambda item: not item[0].name.endswith(MANIFEST_SUFFIX)):
            # Somebody may have replaced it meanwhile.
            if _inode_of(name) != inode:
                continue
            beside = manifest_path(name)
            if _manifest(beside).get("export_id") == job and _unlinked(beside):
                removed.append(beside)
            if _unlinked(name):
                removed.append(name)
    return removed


# Manifests.


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """A file opened for reading, neither following a link nor waiting for anybody."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def _manifest(path: Path) -> Mapping[str, Any]:
    """What a manifest says; nothing where there is none, or it cannot be read."""
    if _inode_of(path) is None:
        return {}
    with suppress(FileNotFoundError, PermissionError, ValueError, RecursionError), _reading(path) as file:
        content = json.load(file)
        return content if isinstance(content, dict) else {}
    return {}


def _give_back(kept: set[Path]) -> list[Path]:
    """Put manifests that were set aside back to their files, if those are still there, and without a manifest."""
    given_back = []
    for part in sorted(kept):
        file = _described(part)
        if file is not None and not os.path.lexists(manifest_path(file)):
            _link(part, manifest_path(file))
            given_back.append(manifest_path(file))
    return given_back


def _described(manifest: Path) -> Path | None:
    """The file in the same folder that a manifest describes, if it is there and unchanged."""
    record = _manifest(manifest).get("file")
    name, digest = (record.get("name"), record.get("sha256")) if isinstance(record, dict) else (None, None)
    if not isinstance(name, str) or name in {"", ".", ".."} or "/" in name or "\x00" in name:
        return None
    file = manifest.with_name(name)
    if _inode_of(file) is None:
        return None
    with suppress(FileNotFoundError, PermissionError), _reading(file) as content:
        return file if hashlib.file_digest(content, "sha256").hexdigest() == digest else None
    return None


def _link(part: Path, name: Path) -> None:
    """Give a file a name that is free, or leave it."""
    try:
        os.link(part, name)
    except FileExistsError:
        pass
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        part.rename(name)

"""Giving a finished file its final name: the one function through which every file of ours becomes visible."""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from tailrace.files.staging import staged_file
from tailrace.files.storage import storage_errors
from tailrace.model.errors import NotAllowedError, StorageError

MANIFEST_SUFFIX = ".manifest.json"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


def manifest_path(file: Path) -> Path:
    """Where the manifest of ``file`` lies."""
    return file.with_name(file.name + MANIFEST_SUFFIX)


def publish(
    staged: Path, target: Path, *, manifest: bytes | None = None, overwrite: bool = False, mode: int = 0o600
) -> None:
    """Give a finished file its final name: nothing is ever there, or the complete file is.

    The order is: data and manifest on disk, name of the data, folder on disk, name of the manifest, folder on disk.
    Doing it again after a failure is harmless: a target that already *is* the staged file is accepted.

    Args:
        staged: The finished file, already synchronised to disk. In the target's folder it is linked, elsewhere copied.
            It keeps its own name; whoever made it removes it.
        target: The final path, in an existing folder.
        manifest: Content of ``<target>.manifest.json``; None for no manifest.
        overwrite: Whether a file of that name may be replaced. A manifest of that name always is.
        mode: Permission bits of file and manifest.

    Raises:
        AlreadyExistsError: The name is taken.
        NotAllowedError: The name is taken by a link, folder or device.
        NoSpaceError: The disk or quota is full.
        StorageError: Anything else that the file system refuses.
    """
    beside = manifest_path(target)
    with ExitStack() as stack:
        stack.enter_context(storage_errors(target))
        _refuse_special(target)
        if staged.parent == target.parent:
            staged.chmod(mode)
        else:
            staged = stack.enter_context(_copied(staged, target.parent, mode))
        written = None
        if manifest is not None:
            # Written before anything is visible: a disk that is full by now leaves nothing behind.
            _refuse_special(beside)
            written = stack.enter_context(_written(manifest, target.parent, mode))
        folder = stack.enter_context(_opened(target.parent, exclusive=overwrite))
        # For a moment there is no manifest at all, rather than one that belongs to another file.
        with _set_aside(beside, staged) if overwrite and written is not None else nullcontext():
            _name(staged, target, overwrite=overwrite)
        os.fsync(folder)
        if written is not None:
            _name(written, beside, overwrite=True)
            os.fsync(folder)


@contextmanager
def _copied(file: Path, folder: Path, mode: int) -> Iterator[Path]:
    """A staged copy of a file, on disk."""
    with staged_file(folder) as (descriptor, path):
        with file.open("rb") as source, os.fdopen(os.dup(descriptor), "wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        _settle(descriptor, mode, size=file.stat().st_size, path=path)
        yield path


@contextmanager
def _written(content: bytes, folder: Path, mode: int) -> Iterator[Path]:
    """A staged file with this content, on disk."""
    with staged_file(folder) as (descriptor, path):
        with os.fdopen(os.dup(descriptor), "wb") as sink:
            sink.write(content)
        _settle(descriptor, mode, size=len(content), path=path)
        yield path


def _settle(descriptor: int, mode: int, *, size: int, path: Path) -> None:
    written = os.fstat(descriptor).st_size
    if written != size:
        message = f"{path} has {written} bytes instead of {size}."
        raise StorageError(message, hint="Check the disk. Exporting again is harmless.")
    os.fchmod(descriptor, mode)
    os.fsync(descriptor)


@contextmanager
def _opened(folder: Path, *, exclusive: bool) -> Iterator[int]:
    """The folder, to synchronise it; locked, so that two who overwrite one name do not mix up their manifests."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if exclusive:
            # Some network file systems lock no folders, and there it is a race as anywhere else.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _set_aside(path: Path, staged: Path) -> Iterator[None]:
    """Take the name of a file away, if there is one; it is given back when what follows fails."""
    aside = staged.with_name(staged.name.replace(".part", "-old.part"))
    with suppress(FileNotFoundError):
        path.rename(aside)
    try:
        yield
    except BaseException:
        with suppress(OSError):
            aside.rename(path)
        raise
    finally:
        with suppress(OSError):
            aside.unlink()


def _name(staged: Path, target: Path, *, overwrite: bool) -> None:
    """Give ``staged`` the second name ``target``, in the same folder."""
    try:
        os.link(staged, target)
    except FileExistsError:
        if overwrite:
            _replace(staged, target)
        elif not os.path.samestat(staged.lstat(), target.lstat()):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # No hard links on this file system: the check and the rename are two steps, which is the best there is.
        if not overwrite and os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        with _copied(staged, target.parent, stat.S_IMODE(staged.stat().st_mode)) as spare:
            spare.replace(target)


def _replace(staged: Path, target: Path) -> None:
    """Replace ``target``; a rename takes the old name away, which later deliveries still need: rename a link."""
    spare = staged.with_name(staged.name.replace(".part", "-new.part"))
    try:
        os.link(staged, spare)
        spare.replace(target)
    finally:
        with suppress(OSError):
            spare.unlink()


def _refuse_special(target: Path) -> None:
    try:
        kind = target.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(kind):
        what = "a symbolic link" if stat.S_ISLNK(kind) else "a folder" if stat.S_ISDIR(kind) else "not a regular file"
        message = f"{target} exists and is {what}."
        raise NotAllowedError(message, hint="Choose another name.")

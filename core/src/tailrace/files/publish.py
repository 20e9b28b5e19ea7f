"""Giving a finished file its final name: the one function through which every file of ours becomes visible."""

import errno
import fcntl
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from tailrace.files.shares import NO_LINKS, set_mode, sync_folder
from tailrace.files.staging import FileTag, Role, staged_file, tag_of, variant
from tailrace.files.storage import storage_errors
from tailrace.model.errors import NotAllowedError, StorageError

MANIFEST_SUFFIX = ".manifest.json"
_PATIENCE = 10.0


def manifest_path(file: Path) -> Path:
    """Where the manifest of ``file`` lies."""
    return file.with_name(file.name + MANIFEST_SUFFIX)


def manifests_below(path: Path, *, unreadable: Callable[[OSError], None] | None = None) -> Iterator[Path]:
    """The path itself, or the manifests in a folder, those of its folders too, in an order that is the same each time.

    Links to folders are not followed: they may lead around in a circle.

    Args:
        path: A file, or a folder.
        unreadable: Told of folders that cannot be looked through; by default they are passed over.
    """
    if not path.is_dir():
        yield path
        return
    for folder, folders, names in os.walk(path, onerror=unreadable):
        folders.sort()
        for name in sorted(names):
            if name.endswith(MANIFEST_SUFFIX):
                yield Path(folder, name)


def publish(
    staged: Path,
    target: Path,
    *,
    manifest: bytes | None = None,
    overwrite: bool = False,
    mode: int = 0o600,
    private: bool = False,
) -> None:
    """Give a finished file its final name: nothing is ever there, or the complete file is.

    The order is: data and manifest on disk, name of the data, folder on disk, name of the manifest, folder on disk.
    Doing it again after a failure is harmless: a target that already *is* the staged file is accepted.

    What is made on the way carries the tag of the staged file, if it has one, and a published copy keeps its staged
    name as evidence, as the file itself would.

    On file systems that lack what that takes, the file is published all the same: see :mod:`tailrace.files.shares`.

    Args:
        staged: The finished file, already synchronised to disk. In the target's folder it is linked, elsewhere copied.
            It keeps its own name; whoever made it removes it.
        target: The final path, in an existing folder.
        manifest: Content of ``<target>.manifest.json``; None for no manifest.
        overwrite: Whether a file of that name may be replaced. A manifest of that name always is.
        mode: Permission bits of file and manifest; where the file system keeps none, that is told in the log.
        private: Whether it is an error instead that others could read it: it is a key.

    Raises:
        AlreadyExistsError: The name is taken.
        NotAllowedError: The name is taken by a link, folder or device.
        NoSpaceError: The disk or quota is full.
        StorageError: Anything else that the file system refuses, or the attempt was revoked that made the file.
    """
    beside, tag = manifest_path(target), tag_of(staged)
    with ExitStack() as stack:
        stack.enter_context(storage_errors(target))
        stack.enter_context(_revocation(staged, tag))
        _refuse_special(target)
        if staged.parent == target.parent:
            set_mode(staged, mode, folder=target.parent)
            if private and stat.S_IMODE(staged.stat().st_mode) & ~mode:
                message = f"Others could read {target}: its file system keeps no permissions."
                raise StorageError(message, hint="Keep keys on a local disk, and name them there.")
        else:
            staged = stack.enter_context(_copied(staged, target.parent, mode))
        written = None
        if manifest is not None:
            # Written before anything is visible: a disk that is full by now leaves nothing behind.
            _refuse_special(beside)
            written = stack.enter_context(_written(manifest, target.parent, mode, tag))
        folder = stack.enter_context(opened_folder(target.parent, patience=_PATIENCE if overwrite else 0.0))
        if tag is not None:
            # A revoked attempt is not even to set a manifest aside, which may be that of the attempt that took over.
            staged.lstat()
        # For a moment there is no manifest at all, rather than one that belongs to another file.
        with _set_aside(beside, staged) if overwrite and written is not None else nullcontext():
            _name(staged, target, folder, overwrite=overwrite)
        sync_folder(folder)
        if written is not None:
            _name(written, beside, folder, overwrite=True)
            sync_folder(folder)


@contextmanager
def _revocation(staged: Path, tag: FileTag | None) -> Iterator[None]:
    """Tell why a file is missing, where it is because its attempt was revoked."""
    try:
        yield
    except FileNotFoundError as error:
        if tag is None or os.path.lexists(staged):
            raise
        message = f"{staged} was taken away before it was published: another attempt has job {tag.job} by now."
        raise StorageError(message, hint="There is nothing to do: that attempt publishes the file.") from error


@contextmanager
def _copied(file: Path, folder: Path, mode: int) -> Iterator[Path]:
    """A staged copy of a file, on disk."""
    with staged_file(folder, tag=tag_of(file)) as (descriptor, path):
        with file.open("rb") as source, os.fdopen(os.dup(descriptor), "wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        _settle(descriptor, mode, size=file.stat().st_size, path=path)
        yield path


@contextmanager
def _written(content: bytes, folder: Path, mode: int, tag: FileTag | None) -> Iterator[Path]:
    """A staged file with this content, on disk."""
    with staged_file(folder, tag=tag) as (descriptor, path):
        with os.fdopen(os.dup(descriptor), "wb") as sink:
            sink.write(content)
        _settle(descriptor, mode, size=len(content), path=path)
        try:
            yield path
        finally:
            if tag is not None:
                # The data's staged name is evidence enough: the manifest is found beside it.
                with suppress(OSError):
                    path.unlink()


def _settle(descriptor: int, mode: int, *, size: int, path: Path) -> None:
    written = os.fstat(descriptor).st_size
    if written != size:
        message = f"{path} has {written} bytes instead of {size}."
        raise StorageError(message, hint="Check the disk. Exporting again is harmless.")
    set_mode(descriptor, mode, folder=path.parent)
    os.fsync(descriptor)


@contextmanager
def opened_folder(folder: Path, *, patience: float) -> Iterator[int]:
    """Open a folder, and lock it against others who change what has a name in it; a link to it is followed.

    Args:
        folder: The folder.
        patience: Seconds to wait for the lock, after which it is used without, as it is where there are no
            locks; 0 for no lock.

    Yields:
        A descriptor.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if patience:
            _lock(descriptor, patience)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, patience: float) -> None:
    """Lock a folder; who holds it for too long is stopped, and must not stop everybody else."""
    end = time.monotonic() + patience
    # Some network file systems lock no folders, and there it is a race as anywhere else.
    with suppress(OSError):
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    return
                time.sleep(0.002)
            else:
                return


@contextmanager
def _set_aside(path: Path, staged: Path) -> Iterator[None]:
    """Take the name of a file away, if there is one; it is given back when what follows fails."""
    aside = variant(staged, Role.OLD)
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


def _name(staged: Path, target: Path, folder: int, *, overwrite: bool) -> None:
    """Give ``staged`` the second name ``target``, in the same folder."""
    try:
        _link(staged, target, overwrite=overwrite)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        _name_a_copy(staged, target, folder, overwrite=overwrite)


def _link(staged: Path, target: Path, *, overwrite: bool) -> None:
    try:
        os.link(staged, target)
    except FileExistsError:
        # The kernel says that the name is taken before a file system can say that it makes no links.
        if overwrite:
            _replace(staged, target)
        elif not os.path.samestat(staged.lstat(), target.lstat()):
            raise


def _name_a_copy(staged: Path, target: Path, folder: int, *, overwrite: bool) -> None:
    """Rename a copy to ``target``, as the staged file is still needed, and can have no second name.

    The check and the rename are two steps, which is the best there is; the lock keeps exports together that see it.
    """
    if not overwrite:
        _refuse_taken(target)
    with _copied(staged, target.parent, stat.S_IMODE(staged.stat().st_mode)) as spare:
        if not overwrite:
            _lock(folder, _PATIENCE)
            _refuse_taken(target)
        spare.replace(target)


def _refuse_taken(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def _replace(staged: Path, target: Path) -> None:
    """Replace ``target``; a rename takes the old name away, which later deliveries still need: rename a link."""
    spare = variant(staged, Role.NEW)
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

"""A file that stands in for a symbolic link, on file systems that have none.

It is another name of the newest file (a hard link), or else a copy. A mark beside it, ``.tailrace-NAME.latest``, holds
what the link would: it says that the name is ours, and what it leads to.
"""

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import attrs

from tailrace import staged_file, sync_folder
from tailrace_sink_disk.delivered import MANIFEST_SUFFIX
from tailrace_sink_disk.folder import inner_folder

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
_LONGEST_MARK = 1 << 16


@attrs.frozen
class StandIn:
    """A file that stands in for a link.

    Args:
        root: The folder that it is in.
        name: Its name there.
    """

    root: Path
    name: str

    def put(self, root: int, parts: Sequence[str], *, manifest: bytes | None, mode: int) -> None:
        """Let it be what a file below the root is; what it was before is replaced as a whole.

        The mark comes first: whoever is killed behind it leaves a name that is known as ours, and the next one goes on
        from there. For a moment there is no manifest, rather than one that belongs to another file.

        Args:
            root: The root, opened.
            parts: Names of the folders below it, and of the file.
            manifest: The manifest beside it; None for none.
            mode: Permission bits of copies.

        Raises:
            StorageError: The folder cannot be written to.
            OSError: The file system refuses.
        """
        target = str(PurePosixPath(*parts))
        self._write(root, _mark(self.name), lambda file: file.write(os.fsencode(target)), mode)
        with suppress(FileNotFoundError):
            os.unlink(self.name + MANIFEST_SUFFIX, dir_fd=root)
        *names, file = parts
        with inner_folder(root, names) as folder:
            if not self._link(root, folder, file):
                with os.fdopen(os.open(file, _FILE, dir_fd=folder), "rb") as source:
                    self._write(root, self.name, lambda copy: shutil.copyfileobj(source, copy, 1 << 20), mode)
        if manifest is not None:
            sync_folder(root)
            self._write(root, self.name + MANIFEST_SUFFIX, lambda file: file.write(manifest), mode)

    def _link(self, root: int, folder: int, file: str) -> bool:
        """Make it another name of the file; False where the file can have none."""
        spare = f".tailrace-{self.name}.new"
        with suppress(FileNotFoundError):
            os.unlink(spare, dir_fd=root)
        try:
            os.link(file, spare, src_dir_fd=folder, dst_dir_fd=root, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            return False
        os.rename(spare, self.name, src_dir_fd=root, dst_dir_fd=root)
        # Renaming one name of a file to another of its names does nothing.
        with suppress(FileNotFoundError):
            os.unlink(spare, dir_fd=root)
        return True

    def _write(self, root: int, name: str, fill: Callable[[BinaryIO], object], mode: int) -> None:
        with staged_file(self.root) as (descriptor, draft):
            with os.fdopen(os.dup(descriptor), "wb") as file:
                fill(file)
            # Where it fails, fewer people may read it than asked, or as many as may read the file itself.
            with suppress(OSError):
                os.fchmod(descriptor, mode)
            os.fsync(descriptor)
            os.rename(draft.name, name, src_dir_fd=root, dst_dir_fd=root)


def stands_in_for(root: int, name: str) -> str | None:
    """The path, from the root, of the file that a file stands in for; None where it is a file like any other.

    Args:
        root: The root, opened.
        name: The name in it.
    """
    try:
        descriptor = os.open(_mark(name), _FILE, dir_fd=root)
    except OSError:
        # Without a mark that can be read, it is none of ours.
        return None
    with os.fdopen(descriptor, "rb") as file:
        return os.fsdecode(file.read(_LONGEST_MARK))


def clear_stand_in(root: int, name: str) -> None:
    """Remove what belonged to a file that stood in for a link, after a link took its place.

    Args:
        root: The root, opened.
        name: The name in it.
    """
    if stands_in_for(root, name) is not None:
        for belonging in (name + MANIFEST_SUFFIX, _mark(name)):
            with suppress(FileNotFoundError):
                os.unlink(belonging, dir_fd=root)


def _mark(name: str) -> str:
    return f".tailrace-{name}.latest"

"""The link to the newest file: where it may be, and how it is moved."""

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath

import attrs

from tailrace import AlreadyExistsError, Manifest, NotAllowedError, opened_folder, sync_folder
from tailrace_sink_disk.delivered import Delivered, ForeignError, delivered
from tailrace_sink_disk.standin import StandIn, clear_stand_in, stands_in_for

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems say that have no symbolic links."""
_PATIENCE = 10.0


@attrs.frozen
class Latest:
    """A name in a root that leads to the newest file of a kind.

    It is a relative symbolic link; where the file system has none, another file stands in for it: see
    :mod:`tailrace_sink_disk.standin`. Only what this class made is ever replaced.

    Args:
        root: The root.
        name: The name in it.
    """

    root: Path
    name: str

    def check(self) -> None:
        """Refuse a name that something else has; the root must exist.

        Raises:
            AlreadyExistsError: A file has it.
            NotAllowedError: A folder, a device, or a link of somebody else has it.
            OSError: The root cannot be looked at.
        """
        with opened_folder(self.root, patience=0.0) as root:
            self._present(root)

    def lead_to(self, path: Path, manifest: Manifest, *, described: bytes | None, mode: int) -> None:
        """Lead to a file, unless the one that it leads to is newer, or the file is gone by now.

        Args:
            path: The file, below the root.
            manifest: What it is.
            described: The manifest of what may have to stand in for a link; None for no manifest.
            mode: Permission bits of what may have to stand in for a link.

        Raises:
            AlreadyExistsError: A file has the name, or it leads to another file of this export.
            NotAllowedError: A folder, a device, or a link of somebody else has the name.
            OSError: The file system refuses.
        """
        parts = path.relative_to(self.root).parts
        with opened_folder(self.root, patience=_PATIENCE) as root:
            present = self._present(root)
            file = _found(root, parts, manifest)
            if file is None or (present is not None and self._stays(present, file)):
                return
            try:
                self._link(root, parts)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                StandIn(self.root, self.name).put(root, parts, manifest=described, mode=mode)
            else:
                clear_stand_in(root, self.name)
            sync_folder(root)

    def _stays(self, present: Delivered, file: Delivered) -> bool:
        if present.export == file.export and present.sha256 != file.sha256:
            raise AlreadyExistsError(
                f"{self.root / self.name} leads to another file of this export.",
                hint="It makes one file per table: put {source} into the name of the link.",
            )
        return file.is_older_than(present)

    def _present(self, root: int) -> Delivered | None:
        """The file that the name leads to; None where it leads nowhere."""
        place = self.root / self.name
        try:
            kind = os.stat(self.name, dir_fd=root, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None
        if stat.S_ISREG(kind):
            target = stands_in_for(root, self.name)
            if target is None:
                raise AlreadyExistsError(
                    f"{place} exists already, and is no link of ours.", hint="Move it away, or choose another name."
                )
        elif stat.S_ISLNK(kind):
            target = os.readlink(self.name, dir_fd=root)
        else:
            raise NotAllowedError(f"{place} exists, and is no link.", hint="Choose another name for the link.")
        parts = _parts_below(target)
        # What leads over a link, or to a folder, was never made here.
        with suppress(ForeignError):
            if parts is not None:
                return delivered(root, parts)
        raise NotAllowedError(
            f"{place} is a link of somebody else.", hint="Remove it, or choose another name for the link."
        )

    def _link(self, root: int, parts: tuple[str, ...]) -> None:
        # A name that nobody sweeps away, and that whoever was killed here leaves to the next one.
        spare = f".tailrace-{self.name}.new"
        with suppress(FileNotFoundError):
            os.unlink(spare, dir_fd=root)
        os.symlink(str(PurePosixPath(*parts)), spare, dir_fd=root)
        os.rename(spare, self.name, src_dir_fd=root, dst_dir_fd=root)


def _found(root: int, parts: tuple[str, ...], manifest: Manifest) -> Delivered | None:
    """The file that was just delivered, as it is now; None where it is gone, or something else has its place."""
    with suppress(ForeignError):
        file = delivered(root, parts)
        if file is not None:
            # There need not be a manifest beside it.
            sha256 = manifest.file.sha256
            return attrs.evolve(file, created=manifest.created, export=manifest.export_id, sha256=sha256)
    return None


def _parts_below(target: str) -> tuple[str, ...] | None:
    """The names that a link of ours consists of; None where it is none, because it does not lead downwards."""
    path = PurePosixPath(target)
    leads_down = path.parts and not path.is_absolute() and ".." not in path.parts and "\x00" not in target
    return path.parts if leads_down else None

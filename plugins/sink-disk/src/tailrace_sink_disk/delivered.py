"""What is known of a file that was delivered below a root: from its manifest, and from the disk."""

import errno
import json
import os
import stat
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import attrs

from tailrace_sink_disk.folder import inner_folder

MANIFEST_SUFFIX = ".manifest.json"
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LINK_OR_NO_FOLDER = {errno.ENOTDIR, errno.ELOOP}
_LONGEST_MANIFEST = 1 << 26


class ForeignError(Exception):
    """Something that no delivery made: a folder or a device in the place of a file, or a link on the way to it."""


@attrs.frozen
class Delivered:
    """A file below a root.

    Args:
        changed: When its content was written last, in seconds, by the clock of the file system.
        created: When its export began; None where no manifest says so.
        export: Id of its export; empty where no manifest says so.
        sha256: Digest of its content; empty where no manifest says so.
    """

    changed: float
    created: datetime | None = None
    export: str = ""
    sha256: str = ""

    def is_older_than(self, other: "Delivered") -> bool:
        """Whether its export began before that of another file; where that is not known, whether it was written first.

        An export that began first may end last, so the beginning is the better word.
        """
        if self.created is not None and other.created is not None:
            return self.created < other.created
        return self.changed < other.changed


def delivered(root: int, parts: Sequence[str]) -> Delivered | None:
    """Look at a file without following any link.

    Args:
        root: The root, opened.
        parts: Names of the folders below it, and of the file.

    Returns:
        What is known of it; None where it is not there.

    Raises:
        ForeignError: It is no file, or a link is on the way to it.
        OSError: The file system refuses.
    """
    *names, name = parts
    try:
        with inner_folder(root, names) as folder:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(status.st_mode):
                raise ForeignError
            return Delivered(status.st_mtime, *_described(folder, name))
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _LINK_OR_NO_FOLDER:
            raise ForeignError from None
        raise


def _described(folder: int, name: str) -> tuple[datetime | None, str, str]:
    """What the manifest beside a file says: creation, export and digest."""
    try:
        descriptor = os.open(name + MANIFEST_SUFFIX, _FILE, dir_fd=folder)
    except OSError:
        return None, "", ""
    with os.fdopen(descriptor, "rb") as stream:
        try:
            content: Any = json.loads(stream.read(_LONGEST_MANIFEST))
            created = datetime.fromisoformat(content["created"])
            words = str(content["export_id"]), str(content["file"]["sha256"])
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            # Damaged, or of somebody else: then the times of the files have to do.
            return None, "", ""
    # Moments without a zone cannot be compared with others, and are none of ours.
    return (created if created.tzinfo else None, *words)

"""Files that are kept to be delivered: found, and checked to be what they were."""

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from tailrace.model.context import Context
from tailrace.model.errors import PermanentError, TransientError
from tailrace.model.manifest import Manifest
from tailrace.model.work import OutputFile

_BLOCK = 1 << 20
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
"""What is said of a file that is not there; ELOOP of a link, which may lead anywhere."""


def whole_copy(manifest: Manifest, copies: Sequence[OutputFile], *, prove: bool, context: Context) -> Path:
    """Where a file is that is to be delivered.

    Args:
        manifest: What it is.
        copies: Where it was put on this machine.
        prove: Whether to read a copy and compare its digest; otherwise only its size is looked at.
        context: Cancellation and deadline of the reading.

    Raises:
        PermanentError: No copy is there any more that is what it was.
        TransientError: One may be, and cannot be read now.
    """
    away = ""
    for copy in copies:
        try:
            if _is_whole(copy.path, manifest, prove=prove, context=context):
                return copy.path
        except OSError as error:
            # Without its root it is not the file that is missing, but the disk or share that it is on.
            if error.errno not in _GONE or not copy.root.exists():
                away = f"{copy.path} cannot be read: {(error.strerror or type(error).__name__).lower()}."
    if away:
        raise TransientError(away, hint="See whether its disk or share is there.")
    message = "The file is not there any more, or is another one by now."
    raise PermanentError(message, hint="Export again.")


def _is_whole(path: Path, manifest: Manifest, *, prove: bool, context: Context) -> bool:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        if os.fstat(file.fileno()).st_size != manifest.file.size:
            return False
        if not prove:
            return True
        digest = hashlib.sha256()
        while block := file.read(_BLOCK):
            context.check()
            digest.update(block)
    return digest.hexdigest() == manifest.file.sha256

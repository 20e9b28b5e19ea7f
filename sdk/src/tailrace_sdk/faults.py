"""A file system that fails on demand: a full disk, a broken one, a slow one, one that cannot be written to.

::

    def test_a_full_disk_is_told(faulty_filesystem, engine):
        faulty_filesystem.full_after(10_000)
        with pytest.raises(NoSpaceError):
            engine.export(…)  # into faulty_filesystem.folder
        assert faulty_filesystem.published() == []

It takes the place of the functions by which Python code reaches files, in this process and for paths below one folder
only: ``open`` and what stands on it (``pathlib``, ``tempfile``, ``shutil``, ``os.fdopen``), and the functions of
``os``. It needs no root, and works on Linux and macOS.

What it cannot reach is code that calls the system itself: SQLite, polars writing to a path, other processes, and code
that took a function away before (``from os import fsync``). A test that needs those takes another way: a small disk
image, or a process that is killed (:mod:`tailrace_sdk.conformance.apart`).
"""

import builtins
import errno
import io
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal
from unittest import mock

import attrs

from tailrace_sdk.faulty_files import FaultyFile, layered

Operation = Literal[
    "open", "write", "fsync", "rename", "link", "symlink", "unlink", "mkdir", "rmdir", "truncate", "chmod", "utime"
]
"""What can fail. ``open`` is opening for writing; ``rename`` is replacing as well, ``write`` also allocating."""

_BY_PATH: dict[str, Operation] = {
    "unlink": "unlink",
    "remove": "unlink",
    "mkdir": "mkdir",
    "rmdir": "rmdir",
    "truncate": "truncate",
    "chmod": "chmod",
    "utime": "utime",
    "rename": "rename",
    "replace": "rename",
    "link": "link",
    "symlink": "symlink",
}
_BY_DESCRIPTOR: dict[str, Operation] = {
    "fsync": "fsync",
    "fdatasync": "fsync",
    "ftruncate": "truncate",
    "fchmod": "chmod",
}
_TWO_PATHS = frozenset({"rename", "replace", "link", "symlink"})
_SHORT_CUTS = frozenset({"_USE_CP_SENDFILE", "_HAS_FCOPYFILE", "_USE_CP_COPY_FILE_RANGE"})
"""Ways of ``shutil`` to have the system copy, past everything here; it does without where they are false."""
_WRITING = os.O_WRONLY | os.O_RDWR


@attrs.define
class _Fault:
    operation: Operation
    left: int
    code: int
    times: float


class FaultyFilesystem:
    """Files below one folder, which fail as told; see the module.

    Args:
        folder: The folder; made if it is missing.

    Attributes:
        folder: The folder.
        calls: How often each operation was asked for below the folder.
        written: Bytes that were written below the folder.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self.calls: Counter[Operation] = Counter()
        self.written = 0
        self._faults: list[_Fault] = []
        self._room: int | None = None
        self._is_read_only = False
        self._delay = 0.0
        self._descriptors: dict[int, str] = {}
        self._lock = threading.RLock()

    def full_after(self, size: int) -> None:
        """Let the disk be full when so many more bytes are written (ENOSPC); the write that meets the end is cut short.

        Args:
            size: Bytes that still fit.
        """
        self._room = size

    def fail(self, operation: Operation, *, at: int = 1, error: int = errno.EIO, times: float = 1) -> None:
        """Let an operation fail.

        Args:
            operation: Which.
            at: The how-manieth of them from now on.
            error: What the system says, by its number.
            times: How often it fails, from then on; ``math.inf`` for always.
        """
        self._faults.append(_Fault(operation, at, error, times))

    def read_only(self) -> None:
        """Refuse whatever changes something (EROFS)."""
        self._is_read_only = True

    def slow(self, seconds: float) -> None:
        """Let each write take so much longer."""
        self._delay = seconds

    def heal(self) -> None:
        """Let everything work again."""
        self._faults.clear()
        self._room, self._is_read_only, self._delay = None, False, 0.0

    def published(self) -> list[Path]:
        """The files below the folder that have a name of their own: none that begins with a full stop."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith("."))

    @contextmanager
    def active(self) -> Iterator["FaultyFilesystem"]:
        """Take the place of the functions that reach files, in this process, until the block is left."""
        with ExitStack() as stack:
            for name, function in self._functions().items():
                stack.enter_context(mock.patch.object(os, name, function))
            for name in _SHORT_CUTS & set(vars(shutil)):
                stack.enter_context(mock.patch.object(shutil, name, new=False))
            for module in (io, builtins):
                stack.enter_context(mock.patch.object(module, "open", self._open))
            yield self

    def _functions(self) -> dict[str, Callable[..., Any]]:
        made: dict[str, Callable[..., Any]] = {
            "open": self._os_open(os.open),
            "close": self._os_close(os.close),
            "dup": self._os_dup(os.dup),
            "write": self._os_write(os.write),
        }
        for name in ("pwrite", "writev", "pwritev"):
            if hasattr(os, name):
                made[name] = self._os_write(getattr(os, name))
        if hasattr(os, "posix_fallocate"):
            made["posix_fallocate"] = self._of_descriptor("write", os.posix_fallocate)
        for name, operation in _BY_PATH.items():
            made[name] = self._of_path(operation, getattr(os, name), two=name in _TWO_PATHS)
        for name, operation in _BY_DESCRIPTOR.items():
            if hasattr(os, name):
                made[name] = self._of_descriptor(operation, getattr(os, name))
        return made

    def _is_below(self, path: Any, folder: int | None = None, *, follow: bool = False) -> bool:
        """Whether a path, or an open descriptor, is one of a file below the folder."""
        if isinstance(path, int):
            return path in self._descriptors
        try:
            text = os.fsdecode(path)
        except TypeError:
            return False
        base = self._descriptors.get(folder, "") if folder is not None else ""
        joined = os.path.join(base, text)  # noqa: PTH118 - texts, of every file that anybody opens
        whole = os.path.realpath(joined) if follow else _absolute(joined)
        return whole == str(self.folder) or whole.startswith(f"{self.folder}{os.sep}")

    def _ask(self, operation: Operation, path: Any) -> None:
        """Count an operation; raise where it is to fail."""
        named = self._descriptors.get(path, "") if isinstance(path, int) else os.fsdecode(path)
        with self._lock:
            self.calls[operation] += 1
            for fault in self._faults:
                if fault.operation == operation:
                    fault.left -= 1
                    if -fault.times < fault.left <= 0:
                        raise OSError(fault.code, os.strerror(fault.code), named)
        if self._is_read_only and operation not in {"write", "fsync"}:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), named)

    def _room_for(self, size: int, path: Any) -> int:
        """How many of so many bytes may be written now; raises where none."""
        self._ask("write", path)
        time.sleep(self._delay)
        with self._lock:
            if self._room is not None:
                if size and not self._room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._descriptors.get(path, ""))
                size = min(size, self._room)
                self._room -= size
            self.written += size
        return size

    def _os_open(self, real: Callable[..., int]) -> Callable[..., int]:
        def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            below = self._is_below(path, dir_fd, follow=not flags & os.O_NOFOLLOW)
            if below and flags & (_WRITING | os.O_CREAT):
                self._ask("open", path)
            descriptor = real(path, flags, mode, dir_fd=dir_fd)
            if below:
                base = self._descriptors.get(dir_fd, "") if dir_fd is not None else ""
                self._descriptors[descriptor] = os.path.realpath(os.path.join(base, os.fsdecode(path)))  # noqa: PTH118 - as above
            return descriptor

        return opened

    def _os_close(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def close(descriptor: int) -> None:
            self._descriptors.pop(descriptor, None)
            real(descriptor)

        return close

    def _os_dup(self, real: Callable[[int], int]) -> Callable[[int], int]:
        def dup(descriptor: int) -> int:
            copy = real(descriptor)
            if descriptor in self._descriptors:
                self._descriptors[copy] = self._descriptors[descriptor]
            return copy

        return dup

    def _os_write(self, real: Callable[..., int]) -> Callable[..., int]:
        def write(descriptor: int, data: Any, *more: Any) -> int:
            if descriptor not in self._descriptors:
                return real(descriptor, data, *more)
            if isinstance(data, list | tuple):
                data = [b"".join(data)]
                return real(descriptor, [data[0][: self._room_for(len(data[0]), descriptor)]], *more)
            view = memoryview(data).cast("B")
            return real(descriptor, view[: self._room_for(len(view), descriptor)], *more)

        return write

    def _of_path(self, operation: Operation, real: Callable[..., Any], *, two: bool) -> Callable[..., Any]:
        def call(path: Any, *more: Any, **options: Any) -> Any:
            places = [(path, options.get("src_dir_fd", options.get("dir_fd")))]
            if two:
                # What a symbolic link points at is not touched; only the last of two paths is its own.
                other = more[0] if more else options.get("dst")
                places.append((other, options.get("dst_dir_fd", options.get("dir_fd"))))
                places = places[1:] if operation == "symlink" else places
            if any(self._is_below(*place) for place in places):
                self._ask(operation, places[-1][0])
            return real(path, *more, **options)

        return call

    def _of_descriptor(self, operation: Operation, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, *more: Any) -> Any:
            descriptor = file if isinstance(file, int) else file.fileno()
            if descriptor in self._descriptors:
                self._ask(operation, descriptor)
                if operation == "write" and self._room is not None and sum(more) > self._room:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._descriptors[descriptor])
            return real(descriptor, *more)

        return call

    def _open(self, file: Any, mode: str = "r", buffering: int = -1, *more: Any, **options: Any) -> Any:
        """``open`` of which every write to a file below the folder passes here."""
        if not self._is_below(file, follow=True):
            return _REAL_OPEN(file, mode, buffering, *more, **options)
        plain = mode.replace("b", "").replace("t", "")
        opener = options.pop("opener", None) or (lambda path, flags: os.open(path, flags, 0o666))
        closefd = options.pop("closefd", True)
        raw = FaultyFile(file, plain, self, closefd=closefd, opener=None if isinstance(file, int) else opener)
        try:
            return layered(raw, mode, buffering, *more, **options)
        except BaseException:
            raw.close()
            raise

    def truncating(self, descriptor: int) -> None:
        """Ask before an open file is truncated; for :class:`~tailrace_sdk.faulty_files.FaultyFile`."""
        self._ask("truncate", descriptor)

    def closing(self, descriptor: int) -> None:
        """Forget a descriptor that is about to be closed; for the same."""
        self._descriptors.pop(descriptor, None)


def _absolute(path: str) -> str:
    """A path from the root; the folder that it is in may be a link, the file itself is meant as it is."""
    parent, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - a link at its end is not followed
    return os.path.join(os.path.realpath(parent), name)  # noqa: PTH118 - texts, as above


_REAL_OPEN = io.open

"""Open files of which every write is asked for; for :mod:`tailrace_sdk.faults`."""

import io
import os
from typing import Any, Protocol


class Watcher(Protocol):
    """Who is asked."""

    def truncating(self, descriptor: int) -> None:
        """Raise where a file is not to be truncated."""
        ...

    def closing(self, descriptor: int) -> None:
        """Take note that a file is closed."""
        ...


class FaultyFile(io.FileIO):
    """A file that writes by ``os.write``, whatever that is at the moment.

    Args:
        file: Its path, or an open descriptor.
        mode: As for ``open``, without ``b`` and ``t``.
        watcher: Who is asked.
        more: Further arguments of :class:`io.FileIO`.
    """

    def __init__(self, file: Any, mode: str, watcher: Watcher, **more: Any) -> None:
        self._watcher = watcher
        super().__init__(file, mode, **more)

    def write(self, data: Any, /) -> int:
        """Write, or a part of it."""
        return os.write(self.fileno(), data)

    def truncate(self, size: int | None = None, /) -> int:
        """Truncate, where that is not to fail."""
        self._watcher.truncating(self.fileno())
        return super().truncate(size)

    def close(self) -> None:
        """Close."""
        if not self.closed and self.closefd:
            self._watcher.closing(self.fileno())
        super().close()


def layered(
    raw: io.FileIO,
    mode: str,
    buffering: int,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
) -> Any:
    """What ``open`` makes of a raw file."""
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    buffered: Any
    if raw.readable() and raw.writable():
        buffered = io.BufferedRandom(raw, size)
    elif raw.writable():
        buffered = io.BufferedWriter(raw, size)
    else:
        buffered = io.BufferedReader(raw, size)
    if "b" in mode:
        return buffered
    return io.TextIOWrapper(buffered, io.text_encoding(encoding), errors, newline, line_buffering=buffering == 1)

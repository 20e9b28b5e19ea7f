"""Bytes that come once and in order: a Parquet file is understood from its end."""

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from tailrace import storage_errors
from tailrace_format_parquet.damage import damaged
from tailrace_format_parquet.footer import Footer, read_footer

MAGIC = b"PAR1"
_END = len(MAGIC) + 4
"""Bytes behind the footer: its length, and the magic."""
_LARGEST_FOOTER = 32 << 20
"""Bytes of the end of a file that are kept to find the footer in; 100,000 column chunks have about half of it."""


@attrs.define
class Ends:
    """Beginning and end of a file that passes."""

    _head: bytes = b""
    _size: int = 0
    _kept: deque[bytes] = attrs.field(factory=deque)
    _kept_size: int = 0

    def watch(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The same blocks."""
        for block in blocks:
            if len(self._head) < len(MAGIC):
                self._head = (self._head + block)[: len(MAGIC)]
            self._size += len(block)
            self._kept.append(block)
            self._kept_size += len(block)
            while self._kept_size - len(self._kept[0]) > _LARGEST_FOOTER:
                self._kept_size -= len(self._kept.popleft())
            yield block

    def footer(self) -> Footer:
        """What the footer says, when all has passed.

        Raises:
            IntegrityError: It is no file as this format writes it.
        """
        if self._head != MAGIC:
            raise damaged("it does not begin like one")
        tail = b"".join(self._kept)
        if len(tail) < len(MAGIC) + _END or not tail.endswith(MAGIC):
            raise damaged("it does not end like one, so that something is missing")
        size = int.from_bytes(tail[-_END : -len(MAGIC)], "little")
        begins = self._size - _END - size
        if begins < len(MAGIC):
            raise damaged("its footer would be longer than the file")
        if size + _END > len(tail):
            reason = f"its footer has {size:,} bytes, too many to be read; write larger row groups"
            raise damaged(reason)
        return read_footer(tail[-_END - size : -_END], begins=begins, first=len(MAGIC))


@contextmanager
def whole_file(blocks: Iterable[bytes]) -> Iterator[Path]:
    """The bytes in a temporary file, as long as the context lasts.

    Raises:
        StorageError: There is no room for it.
    """
    with tempfile.TemporaryDirectory(prefix="tailrace-parquet-") as folder:
        path = Path(folder) / "table.parquet"
        with storage_errors(path), path.open("wb", buffering=0) as file:
            for block in blocks:
                file.write(block)
        yield path

"""Compressing what a page is made of while it grows: a piece at a time, each of which is let go when it is compressed.

A zlib stream (RFC 1950) of deflated pieces that end at a byte each, so that they can be put one behind the other.
"""

import zlib

import attrs
from isal import isal_zlib

LEVEL = 2
_HEAD = b"\x78\x5e"
_TOGETHER = 32 << 10
"""Bytes that are compressed together at least, but for the last."""


@attrs.define
class Squeezed:
    """A stream in the making."""

    _done: list[bytes] = attrs.field(factory=lambda: [_HEAD], repr=False)
    _waiting: list[bytes] = attrs.field(factory=list, repr=False)
    _size: int = 0
    _sum: int = 1

    def add(self, content: bytes) -> None:
        """Add bytes."""
        self._waiting.append(content)
        self._size += len(content)
        if self._size >= _TOGETHER:
            self._settle(isal_zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        """The stream."""
        self._settle(isal_zlib.Z_FINISH)
        return b"".join([*self._done, self._sum.to_bytes(4, "big")])

    def _settle(self, flush: int) -> None:
        content = b"".join(self._waiting)
        machine = isal_zlib.compressobj(LEVEL, isal_zlib.DEFLATED, -15)
        self._done.append(machine.compress(content) + machine.flush(flush))
        self._sum = zlib.adler32(content, self._sum)
        self._waiting, self._size = [], 0


def squeezed(content: bytes) -> bytes:
    """A whole stream at once."""
    stream = Squeezed()
    stream.add(content)
    return stream.finish()

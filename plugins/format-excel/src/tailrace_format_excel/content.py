"""What can be read in a finished workbook, for those who search it."""

import re
from collections.abc import Iterable, Iterator

from tailrace_format_excel.parts import blocks_of

_MAY_GO_ON = re.compile(rb"(?:_(?:x[0-9A-Fa-f]{0,4})?|&[#0-9A-Za-z]{0,6})\Z")
"""The beginning of an escape at the end of a block."""
_ESCAPE = re.compile(rb"_x([0-9A-Fa-f]{4})_")
_LAST = 8


def readable(stored: Iterator[bytes]) -> Iterator[bytes]:
    """The parts of a workbook one behind the other, with texts as they are read: without the escapes of XML.

    Args:
        stored: The bytes of the file.

    Raises:
        IntegrityError: It is not built as it was written.
    """
    return _unescaped(block.content for block in blocks_of(stored))


def _unescaped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for block in blocks:
        content = held + block
        cut = _MAY_GO_ON.search(content, max(_end_of_escapes(content), len(content) - _LAST)) if block else None
        held = content[cut.start() :] if cut else b""
        if len(content) > len(held):
            yield _as_read(content[: len(content) - len(held)])
    if held:
        yield _as_read(held)


def _end_of_escapes(content: bytes) -> int:
    """Where the last whole escape ends: its last character begins no other."""
    end = 0
    if b"_x" in content:
        for escape in _ESCAPE.finditer(content):
            end = escape.end()
    return end


def _as_read(content: bytes) -> bytes:
    if b"&" in content:
        for escape, character in _OF_XML:
            content = content.replace(escape, character)
    # What Office Open XML escapes is inside of what XML does.
    return _ESCAPE.sub(_character, content) if b"_x" in content else content


_OF_XML = ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&#13;", b"\r"), (b"&amp;", b"&"))


def _character(escape: "re.Match[bytes]") -> bytes:
    return chr(int(escape[1], 16)).encode(errors="replace")

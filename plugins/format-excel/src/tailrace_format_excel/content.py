"""What can be read in a finished workbook, for those who search it."""

import re
from collections.abc import Iterator

from tailrace_format_excel.parts import blocks_of

_LONGEST_ESCAPE = 8
_ESCAPE = re.compile(rb"_x([0-9A-Fa-f]{4})_")


def readable(stored: Iterator[bytes]) -> Iterator[bytes]:
    """The parts of a workbook one behind the other, with texts as they are read: without the escapes of XML.

    Args:
        stored: The bytes of the file.

    Raises:
        IntegrityError: It is not built as it was written.
    """
    held = b""
    for block in blocks_of(stored):
        content = held + block.content
        held = b""
        if block.content:
            # An escape may go on in the next block.
            cut = max(content.rfind(b"&", -_LONGEST_ESCAPE), content.rfind(b"_", -_LONGEST_ESCAPE))
            if cut >= 0:
                content, held = content[:cut], content[cut:]
        if content:
            yield _as_read(content)


def _as_read(content: bytes) -> bytes:
    if b"_x" in content:
        content = _ESCAPE.sub(_character, content)
    if b"&" not in content:
        return content
    for escape, character in ((b"&lt;", b"<"), (b"&gt;", b">"), (b"&quot;", b'"'), (b"&#13;", b"\r"), (b"&amp;", b"&")):
        content = content.replace(escape, character)
    return content


def _character(escape: "re.Match[bytes]") -> bytes:
    return chr(int(escape[1], 16)).encode(errors="replace")

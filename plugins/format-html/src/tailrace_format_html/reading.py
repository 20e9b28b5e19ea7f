"""A finished page, read again: the rows of the data inside, and everything that can be read or unpacked."""

import base64
import binascii
import csv
import html
import io
import re
import zlib
from collections.abc import Iterator, Mapping

from tailrace import IntegrityError, RereadCall, attached_rows
from tailrace_format_html.attachments import GZIP, PLAIN
from tailrace_format_html.escaping import escaped

# Every text of the page is escaped: what begins with "<a data-" was written by this format.
_LINK = re.compile(
    rb'<a data-(table|panel|manifest)="([^"<>]*)" data-rows="(\d{1,18})" download="([^"<>]*)" href="([^"<>]*)">'
)
_ANY = re.compile(rb"<a data-")
_END = b"</body>\n</html>\n"
_START = b"<!DOCTYPE html>\n"
_BLOCK = 1 << 20
_MOST_UNPACKED = 1 << 30
"""Bytes of one table; more than a page that was written on one machine holds, and less than harms another."""


def count_rows(call: RereadCall) -> Mapping[str, int]:
    """The rows of each table, counted in its data.

    Args:
        call: The file.

    Raises:
        IntegrityError: It is no page of this format, or its data is not what it says.
    """
    counts: dict[str, int] = {}
    # As the page has them: without the characters that no text of a page may have.
    names = {html.unescape(escaped(name)): name for name in call.tables}
    content = _whole(call.blocks)
    for kind, told, rows, data in _attachments(content):
        if kind == "manifest":
            continue
        of = names.get(told, told) if kind == "table" else told
        found = _counted(data, call.columns.get(of) if kind == "table" else None, of)
        if found != rows:
            raise _damaged(f"its data of {kind} {of} has {found} rows, and says {rows}")
        if kind == "table":
            if of in counts:
                raise _damaged(f"it has the data of table {of} twice")
            counts[of] = found
    if set(counts) != set(call.tables):
        raise _damaged(f"it has the tables {', '.join(counts) or 'none'}, expected {', '.join(call.tables)}")
    return counts


def searchable(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The texts of a page, as they are read, and its data unpacked.

    Args:
        blocks: The file.

    Raises:
        IntegrityError: It is no page of this format.
    """
    content = _whole(blocks)
    yield html.unescape(re.sub(rb'href="data:[^"]*"', b"", content).decode(errors="replace")).encode()
    for _kind, of, _rows, data in _attachments(content):
        yield b"\n"
        yield of.encode()
        yield b"\n"
        for start in range(0, len(data), _BLOCK):
            yield data[start : start + _BLOCK]


def _whole(blocks: Iterator[bytes]) -> bytes:
    content = b"".join(blocks)
    if not content.startswith(_START) or not content.endswith(_END):
        raise _damaged("its beginning or its end is missing")
    return content


def _attachments(content: bytes) -> Iterator[tuple[str, str, int, bytes]]:
    """Kind, of what, rows and content of everything inside."""
    links = list(_LINK.finditer(content))
    if len(links) != len(_ANY.findall(content)) or not links:
        raise _damaged("the links to its data are not as they are written")
    for link in links:
        kind, of = link[1].decode(), html.unescape(link[2].decode(errors="replace"))
        yield kind, of, int(link[3]), _unpacked(kind, of, link[5])


def _unpacked(kind: str, of: str, href: bytes) -> bytes:
    start = PLAIN if kind == "manifest" else GZIP
    if not href.startswith(start.encode()):
        raise _damaged(f"its data of {kind} {of} is of another kind")
    try:
        data = base64.b64decode(href[len(start) :], validate=True)
    except binascii.Error:
        raise _damaged(f"its data of {kind} {of} is no Base64") from None
    if kind == "manifest":
        return data
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(data, _MOST_UNPACKED)
    except zlib.error:
        content = b""
    if not unpacker.eof or unpacker.unused_data:
        raise _damaged(f"its data of {kind} {of} cannot be unpacked")
    return content


def _counted(content: bytes, columns: int | None, of: str) -> int:
    if columns is not None:
        names = next(csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", newline="")), [])
        if len(names) != columns:
            raise _damaged(f"its data of table {of} has {len(names)} columns, expected {columns}")
    return attached_rows(content)


def _damaged(why: str) -> IntegrityError:
    return IntegrityError(f"The page is not as it was written: {why}.", hint="Export it again.")

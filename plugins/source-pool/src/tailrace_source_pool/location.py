"""Where a pool lies: from what the user wrote to a file, and from the file to what kind of pool it is."""

import re
import zlib
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote

from tailrace import RequestError, SourceError, is_sqlite
from tailrace_source_pool import fernet

MAX_BYTES = 1 << 30
"""Largest list or JSON file that is read, in bytes after decompression: far beyond real pools, well below memory."""

_SQLITE = b"SQLite format 3\x00"
_GZIP = b"\x1f\x8b"
_FERNET = re.compile(rb"gAAAAA[A-Za-z0-9_-]{58,}={0,2}\s*\Z|gAAAAA[A-Za-z0-9_-]{1000}")
_ADDRESS_IN_BRACKETS = re.compile(rb"\[[0-9A-Fa-f.%]*:[^\]\s\"]*\]")
_BOM = b"\xef\xbb\xbf"


class Shape(StrEnum):
    """The kinds of pools, by the names that manifests use."""

    DATABASE = "proxywhirl-sqlite"
    FILE_STORAGE = "proxywhirl-file-storage"
    PROXY_LIST = "proxy-list"


def path_of(location: str) -> Path:
    """The file that a location names: ``proxywhirl:///absolute``, ``proxywhirl://relative``, or a path.

    Raises:
        RequestError: Another scheme, or a URL with parts that a file does not have.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        if not location:
            message = "No location was given."
            raise RequestError(message, hint="Name a ProxyWhirl database, its JSON file, or a proxy list: --from PATH")
        return Path(location)
    # Whatever follows another scheme may hold a password, so it is not repeated.
    if scheme != "proxywhirl":
        message = f"A pool cannot be read from {scheme}://."
        raise RequestError(message, hint="Write proxywhirl:///path/to/pool.db, or the path of a file.")
    if not rest or "?" in rest or "#" in rest or "@" in rest:
        message = "proxywhirl:// takes the path of a file and nothing else."
        raise RequestError(message, hint="Write proxywhirl:///path/to/pool.db; encode ?, # and @ as %3F, %23 and %40.")
    return Path(unquote(rest))


def read_bytes(path: Path) -> bytes | None:
    """The content of a list or JSON file, decompressed, without a byte order mark; None for a SQLite database.

    Raises:
        SourceError: Missing, unreadable, empty, too large, damaged, or encrypted as a whole without a key at hand.
        WrongKeyError: ProxyWhirl's key is another one.
    """
    try:
        if path.is_dir():
            message = f"{path} is a folder."
            raise SourceError(message, hint="Name the database, JSON file or list in it.")
        if is_sqlite(path):
            return None
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise unreadable_error(path, error) from None
    if content.startswith(_GZIP):
        content = _decompressed(content, path)
    if len(content) > MAX_BYTES:
        message = f"{path} holds more than {MAX_BYTES:,} bytes."
        raise SourceError(message, hint="Split it into several files.")
    if not content:
        message = f"{path} is empty: it has no bytes at all."
        raise SourceError(
            message, hint="Perhaps writing it was interrupted. An empty pool is [] or a list of comments."
        )
    if content.startswith(_SQLITE):
        message = f"{path} is a compressed database."
        raise SourceError(message, hint="Decompress it first: gunzip.")
    if _FERNET.match(content):
        content = _decrypted(content, path)
    return content.removeprefix(_BOM)


def shape_of(content: bytes) -> Shape:
    """Whether the content of a file is JSON or a list."""
    start = content.lstrip()[:200]
    is_json = start.startswith(b"{") or (start.startswith(b"[") and not _ADDRESS_IN_BRACKETS.match(start))
    return Shape.FILE_STORAGE if is_json else Shape.PROXY_LIST


def text_of(content: bytes, path: Path) -> str:
    """The content as text.

    Raises:
        SourceError: It is not UTF-8.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        position = error.start
    message = f"{path} is neither a database nor UTF-8 text: byte {position + 1} cannot be read."
    raise SourceError(message, hint="Expected: a ProxyWhirl database, its JSON file, or a proxy list saved as UTF-8.")


def _decompressed(content: bytes, path: Path) -> bytes:
    """All members of a gzip file; never much more than the largest size allowed."""
    parts: list[bytes] = []
    size = 0
    while content:
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            part = member.decompress(content, MAX_BYTES + 1 - size)
        except zlib.error:
            parts.clear()
            break
        parts.append(part)
        size += len(part)
        if size > MAX_BYTES or not member.eof:
            break
        # Zero bytes after the last member are padding, as gzip(1) has it.
        content = member.unused_data.lstrip(b"\x00")
    if not parts or (size <= MAX_BYTES and not member.eof):
        message = f"{path} is compressed and damaged, or cut off."
        raise SourceError(message, hint="Fetch or make the file again.")
    return b"".join(parts)


def _decrypted(content: bytes, path: Path) -> bytes:
    if not fernet.available():
        message = f"{path} is encrypted as a whole, as ProxyWhirl's FileStorage does when it has a key."
        raise SourceError(message, hint=fernet.HINT)
    return fernet.decrypt_file(content.strip())


def unreadable_error(path: Path, error: Exception) -> SourceError:
    """What to say about a file that the system does not let us read."""
    if isinstance(error, FileNotFoundError):
        return SourceError(f"There is no file {path}.", hint="Check the path; a relative one begins in this folder.")
    if isinstance(error, PermissionError):
        return SourceError(f"{path} cannot be read: permission is denied.", hint="Allow this user to read it.")
    return SourceError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'not a valid path'}.")

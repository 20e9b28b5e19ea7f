"""From a location to a pool that can be written to."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tailrace import OpenPoolCall, PoolKeeper, PoolTarget, RequestError, SourceError, is_sqlite
from tailrace_source_pool.dialects.inference import PROXYCHAINS
from tailrace_source_pool.location import Shape, path_of, shape_of
from tailrace_source_pool.targets.database import NewDatabaseTarget, open_database
from tailrace_source_pool.targets.dialect_file import open_dialect_file
from tailrace_source_pool.targets.file_storage import open_file_storage
from tailrace_source_pool.targets.replacement import refuse_special

DATABASE, FILE_STORAGE = Shape.DATABASE.value, Shape.FILE_STORAGE.value
ENCRYPTED = f"{FILE_STORAGE}-encrypted"
"""What ``dialect`` may be beside the dialects of files."""

_WORKBOOKS = frozenset({".xlsx", ".xlsm", ".xls"})
_BY_SUFFIX = {
    ".db": DATABASE,
    ".sqlite": DATABASE,
    ".sqlite3": DATABASE,
    ".json": FILE_STORAGE,
    ".enc": ENCRYPTED,
    ".yaml": "clash",
    ".yml": "clash",
    ".csv": "csv",
    ".conf": "proxychains",
}
_GZIP = b"\x1f\x8b"
_TOKEN = b"gAAAAA"
"""How a Fernet token begins: its version, and a time before the year 2106."""
_BLANKS = b"\xef\xbb\xbf \t\r\n"
_HEAD = 4096


def open_pool(call: OpenPoolCall, keeper: PoolKeeper) -> AbstractContextManager[PoolTarget]:
    """Open a pool to plan an import into it, or to apply one.

    What a file is, is told by its content; what a new one shall be, by ``call.dialect``, else by its name.

    Args:
        call: What is wanted.
        keeper: Reads and writes files of dialects.

    Raises:
        RequestError: A location of another kind.
        NotAllowedError: A link, folder or device.
        SourceError: What is there cannot be read.
        TransientError: Somebody else is writing to it.
        ConfigurationError: Credentials would have to be encrypted, and no key is at hand.
    """
    path = path_of(call.location)
    refuse_special(path)
    there = path.exists()
    if call.existing and not there:
        message = f"The pool {path} is not there."
        raise SourceError(message, hint="Nothing was changed. Put it back where it was, and try again.")
    what = _kind_of(path, call.dialect) if there else _wanted(path, call)
    if what == DATABASE:
        return open_database(path, call) if there else _new_database(path, call)
    if what in {FILE_STORAGE, ENCRYPTED}:
        return open_file_storage(path, call, encrypted=what == ENCRYPTED)
    return open_dialect_file(path, call, what, keeper)


@contextmanager
def _new_database(path: Path, call: OpenPoolCall) -> Iterator[PoolTarget]:
    yield NewDatabaseTarget(path, clear=call.clear, context=call.context)


def _wanted(path: Path, call: OpenPoolCall) -> str:
    """What a file that is not there yet shall be."""
    if path.suffix.lower() == ".gz":
        raise RequestError(f"{path.name} would not be compressed.", hint="Leave .gz out of the name.")
    if path.suffix.lower() in _WORKBOOKS:
        raise RequestError(f"{path.name} would be no workbook.", hint="Lists are written as .csv, .txt or .json.")
    if call.dialect:
        return call.dialect
    by_name = _BY_SUFFIX.get(path.suffix.lower())
    return by_name or (DATABASE if call.location.startswith("proxywhirl://") else "url")


def _kind_of(path: Path, dialect: str | None) -> str | None:
    """What a file is; None for one whose dialect is to be found out."""
    try:
        found = DATABASE if is_sqlite(path) else _told_by(_head(path), path)
    except OSError:
        raise SourceError(f"{path} cannot be read.", hint="Allow this user to read it.") from None
    if dialect is None or dialect == found:
        return found
    if found in {DATABASE, ENCRYPTED} or dialect in {DATABASE, FILE_STORAGE, ENCRYPTED}:
        raise RequestError(f"{path} is not of the dialect that was named.", hint="Leave the dialect out.")
    return dialect


def _told_by(head: bytes, path: Path) -> str | None:
    """What the beginning of a file tells."""
    if head.startswith(_GZIP):
        raise RequestError(f"{path} is compressed, and pools are not changed so.", hint="Decompress it first: gunzip.")
    if head.startswith(_TOKEN):
        return ENCRYPTED
    if PROXYCHAINS.search(head.decode(errors="replace")):
        return None
    is_array = head.lstrip(_BLANKS).startswith(b"[") and shape_of(head.lstrip(_BLANKS)) is Shape.FILE_STORAGE
    return FILE_STORAGE if is_array else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)

"""Checks in Parquet and CSV files, and the file of proxies beside them."""

import gzip
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import attrs
import polars as pl

from tailrace import SourceError, is_sqlite
from tailrace_source_health.stored import Stored

Kind = Literal["parquet", "csv"]

_CHECKS, _IDENTITIES = "validation_results", "proxy_identities"
_OUTCOMES = frozenset({"success", "is_valid"})
_KNOWN_OF_PROXIES = frozenset({"protocol", "host", "country_code", "country_name", "country"})
_GZIP = b"\x1f\x8b"
_ENDINGS = re.compile(r"\.(parquet|pq|csv|tsv|txt)(\.gz)?\Z", re.IGNORECASE)
_HEADER = 65_536
_HINT = "Name Parquet or CSV files of checks, a folder of them, ProxyWhirl's database, or a PostgreSQL database."


@attrs.frozen
class DataFile:
    """A file, and what it was like when it was found.

    Args:
        path: Where it is.
        kind: What it holds.
        state: Device, inode, size and time of the last change.
    """

    path: Path
    kind: Kind
    state: tuple[int, int, int, int]

    @classmethod
    def at(cls, path: Path) -> "DataFile":
        """Take a file as it is now.

        Raises:
            SourceError: It cannot be read.
        """
        with _read_errors(path):
            return cls(path, _kind(path), _state(path))

    def check_unchanged(self) -> None:
        """See that the file is still the one it was.

        Raises:
            SourceError: It was replaced or written to.
        """
        with _read_errors(self.path):
            now = _state(self.path)
        if now != self.state:
            message = f"{self.path} changed while it was read."
            raise SourceError(message, hint="Export it again when nobody writes to it, or export a copy.")


def open_files(path: Path, identities: Path | None) -> Stored:
    """Find checks and proxies at a path.

    Args:
        path: A file of checks, or a folder.
        identities: The file of proxies that was named; None: the one beside the checks, if there is one.

    Raises:
        SourceError: There is nothing, or it cannot be read.
    """
    notes: list[str] = []
    if path.is_dir():
        checks, found = _in_folder(path, notes)
    else:
        checks, found = (DataFile.at(path),), _beside(path, notes) if identities is None else ()
    named = (DataFile.at(identities),) if identities is not None else found
    if not identities and named:
        notes.append(f"The proxies are those of {', '.join(file.path.name for file in named)}.")
    place = checks[0].path.name if len(checks) == 1 else f"{path.name} ({len(checks)} files)"
    return Stored(
        kind=checks[0].kind,
        place=place,
        checks=scan(checks),
        identities=scan(named) if named else None,
        notes=notes,
        check_unchanged=partial(_all_unchanged, (*checks, *named)),
    )


def scan(files: Sequence[DataFile]) -> pl.LazyFrame:
    """The rows of files of one kind and shape, one behind the other; all columns of CSV files are text.

    Raises:
        SourceError: A file is damaged, or they are not of one kind and shape.
    """
    first = files[0]
    other = next((file for file in files if file.kind != first.kind), None)
    if other is not None:
        message = f"{other.path} is {_NAMES[other.kind]}, and {first.path} is {_NAMES[first.kind]}."
        raise SourceError(message, hint="Export files of one kind at a time.")
    schemas = []
    for file in files:
        with unreadable(str(file.path)):
            schemas.append(_scanned(file).collect_schema())
    for file, schema in zip(files, schemas, strict=True):
        if schema != schemas[0]:
            message = f"{file.path} does not have the columns of {first.path}, of the same types."
            raise SourceError(message, hint="Export files of one shape at a time.")
    return _scanned(first) if len(files) == 1 else pl.concat([_scanned(file) for file in files])


@contextmanager
def unreadable(place: str, check_unchanged: Callable[[], None] | None = None) -> Iterator[None]:
    """Turn what polars says about data that is not as it should be into one clear message.

    Args:
        place: What is read.
        check_unchanged: Raises where it has changed meanwhile, which then is what is wrong with it.
    """
    try:
        yield
    except pl.exceptions.PolarsError as error:
        if check_unchanged is not None:
            check_unchanged()
        message = f"{place} is damaged, cut off, or no such file ({type(error).__name__})."
        raise SourceError(message, hint="Copy it again from where it comes from.") from None


_NAMES: Mapping[Kind, str] = {"parquet": "a Parquet file", "csv": "a CSV file"}


def _scanned(file: DataFile) -> pl.LazyFrame:
    if file.kind == "parquet":
        return pl.scan_parquet(file.path, hive_partitioning=False, glob=False)
    return pl.scan_csv(file.path, infer_schema=False, separator=_separator(file.path), glob=False)


def _separator(path: Path) -> str:
    with _read_errors(path), path.open("rb") as raw:
        packed = raw.peek(2)[:2] == _GZIP
        head = (gzip.GzipFile(fileobj=raw) if packed else raw).read(_HEADER).split(b"\n")[0]
    return max((",", ";", "\t"), key=lambda sign: head.count(sign.encode()))


def _kind(path: Path) -> Kind:
    with path.open("rb") as stream:
        head = stream.read(4)
    if head == b"PAR1":
        return "parquet"
    if not head:
        message = f"{path} is empty: there is not even a header that names columns."
        raise SourceError(message, hint="Check that it was written.")
    if head[:2] == _GZIP or _ENDINGS.search(path.name):
        return "csv"
    message = f"{path} is neither a Parquet nor a CSV file."
    raise SourceError(message, hint=_HINT)


def _state(path: Path) -> tuple[int, int, int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _all_unchanged(files: Sequence[DataFile]) -> None:
    for file in files:
        file.check_unchanged()


def _beside(path: Path, notes: list[str]) -> tuple[DataFile, ...]:
    """The file of proxies that belongs to a file of checks: of the same ending, or the only one in its folder."""
    with _read_errors(path):
        files = [file for file in sorted(path.parent.iterdir()) if _is_of_proxies(file) and file != path]
    if not files:
        return ()
    variant = _ENDINGS.sub("", path.name).removeprefix(_CHECKS)
    same = [file for file in files if _ENDINGS.sub("", file.name) == f"{_IDENTITIES}{variant}"]
    if same or len(files) == 1:
        return (DataFile.at((same or files)[0]),)
    names = ", ".join(file.name for file in files)
    notes.append(f"Several files of proxies are beside {path.name}: {names}. None was taken: --option identities=PATH.")
    return ()


def _is_of_proxies(path: Path) -> bool:
    return path.name.startswith(_IDENTITIES) and bool(_ENDINGS.search(path.name)) and path.is_file()


def _in_folder(folder: Path, notes: list[str]) -> tuple[tuple[DataFile, ...], tuple[DataFile, ...]]:
    with _read_errors(folder):
        paths = [
            path
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        ]
    data = [path for path in paths if _ENDINGS.search(path.name)]
    checks: list[DataFile] = []
    proxies: list[DataFile] = []
    for path in data:
        file = DataFile.at(path)
        (proxies if path.name.startswith(_IDENTITIES) or _holds_proxies(file) else checks).append(file)
    if not checks:
        message = f"The folder {folder} has no Parquet or CSV files of checks in it."
        databases = ", ".join(path.name for path in paths if is_sqlite(path))
        raise SourceError(message, hint=f"There is a database: {databases}." if databases else _HINT)
    if len(data) < len(paths):
        notes.append(f"{len(paths) - len(data)} files of {folder.name} are neither Parquet nor CSV, and not read.")
    return tuple(checks), tuple(proxies)


def _holds_proxies(file: DataFile) -> bool:
    with unreadable(str(file.path)):
        columns = set(_scanned(file).collect_schema())
    return not columns & _OUTCOMES and "url" in columns and bool(columns & _KNOWN_OF_PROXIES)


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    """Turn what the operating system says about a file into one clear message."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        message = f"There is no file or folder {path}."
        raise SourceError(message, hint="Check the path; a relative one begins at the current folder.") from None
    except PermissionError:
        message = f"{path} must not be read by this user."
        raise SourceError(message, hint="Give this user the right to read it (and to enter its folders).") from None
    except (EOFError, gzip.BadGzipFile) as error:
        message = f"{path} is a damaged or cut off gzip file ({type(error).__name__})."
        raise SourceError(message, hint="Copy it again from where it comes from.") from None
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or type(error).__name__}."
        raise SourceError(message, hint="Check the disk or share that it is on.") from error

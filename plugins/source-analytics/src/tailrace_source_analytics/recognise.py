"""Telling what a file is by its content; its name decides only where there is no content."""

import json
import re
from typing import Literal

from tailrace import SourceError
from tailrace_source_analytics.files import DataFile, read_errors

FileKind = Literal["sqlite", "parquet", "csv", "ndjson", "squid"]

_HEAD = 1 << 16
_SQUID = re.compile(rb"^\s*\d{8,11}\.\d{3}\s+-?\d+\s+\S+\s+[A-Z_]+/\d+\s+\d+\s+\S+\s+\S+")
_COMMON_LOG = re.compile(rb'^\S+ \S+ \S+ \[\d{2}/[A-Z][a-z]{2}/\d{4}:[^\]]+\] "')
_SQUID_NAME = re.compile(r"^(access|squid)\b.*\.log\b")
_FOREIGN = {
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"PK\x03\x04": "a zip file (or a spreadsheet)",
    b"%PDF": "a PDF",
    b"ARROW1": "an Arrow file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
_READABLE = "Parquet, CSV, NDJSON (each line one JSON object), SQLite and Squid's access.log are read."


def recognise(file: DataFile) -> FileKind | None:
    """What a file is; None when it is empty and even its name tells nothing.

    Raises:
        SourceError: It is something that cannot be read.
    """
    if file.is_database:
        return "sqlite"
    with read_errors(file.path), file.open() as stream:
        magic = stream.read(16)
    if magic.startswith(b"PAR1"):
        return "parquet"
    foreign = next((name for start, name in _FOREIGN.items() if magic.startswith(start)), None)
    if foreign is not None:
        message = f"{file.path} is {foreign}."
        raise SourceError(message, hint=f"{_READABLE} Text may be gzipped.")
    with read_errors(file.path), file.open_plain() as plain:
        head = plain.read(_HEAD)
    return _text_kind(file, head)


def _text_kind(file: DataFile, head: bytes) -> FileKind | None:
    lines = [line for line in head.removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    if not lines:
        return "squid" if _SQUID_NAME.match(file.path.name) else None
    if b"\x00" in head:
        message = f"{file.path} is not a kind of file that can be read."
        raise SourceError(message, hint=_READABLE)
    if any(_SQUID.match(line) for line in lines[:20]):
        return "squid"
    if lines[0].lstrip().startswith(b"{"):
        if any(_is_object(line) for line in lines[:20]):
            return "ndjson"
        message = f"{file.path} is JSON, but no line of its beginning is a whole object."
        raise SourceError(message, hint="Write each object on one line, for example with `jq -c .[] FILE`.")
    if lines[0].lstrip().startswith(b"["):
        message = f"{file.path} is one JSON document."
        raise SourceError(message, hint="Write each object on one line, for example with `jq -c .[] FILE`.")
    if _COMMON_LOG.match(lines[0]):
        message = f"{file.path} is a log in the common (httpd) format."
        raise SourceError(message, hint="Let Squid write its native format (logformat squid), or convert it to CSV.")
    return "csv"


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False

"""The lines of a JSON document: manifest first, then each table with one row per line.

Every line that does not belong to the manifest's inside begins with a character that says what it is, which is what
:mod:`tailrace_format_json.reread` relies on: ``"`` a key of the document, ``{`` a row, ``]`` the end of a table.

A document with sealed credentials ends with its seal, one line that authenticates every byte before the comma that it
follows::

    ],
    "seal": {"sha256": "9f86…", "mac": "60303ae2…"}
    }
"""

import json
from collections.abc import Mapping
from typing import Any

from tailrace import ByteWriter

MANIFEST_KEY = "manifest"
SEAL_KEY = "seal"
SEAL_START = f',\n"{SEAL_KEY}": '.encode()
"""What stands between the bytes that are sealed and their seal."""


def manifest_lines(manifest: Mapping[str, Any]) -> bytes:
    """The beginning of a document, up to its manifest."""
    text = json.dumps(dict(manifest), ensure_ascii=False, allow_nan=False, indent=2)
    return f'{{\n"{MANIFEST_KEY}": {text}'.encode()


def table_start(name: str) -> bytes:
    """What comes before the first row of a table."""
    return f",\n{json.dumps(name, ensure_ascii=False)}: [\n".encode()


def seal_line(seal: Mapping[str, Any]) -> bytes:
    """The seal of a document, and the comma before it."""
    return SEAL_START + json.dumps(dict(seal)).encode()


TABLE_END = b"]"
DOCUMENT_END = b"\n}\n"


class SeparatedRows:
    """Takes NDJSON and passes it on with a comma between two rows.

    Args:
        output: Where the rows go.
    """

    def __init__(self, output: ByteWriter) -> None:
        self._output = output
        self._line_ended = False

    def write(self, data: bytes, /) -> int:
        """Take rows, each with its line end; a call may end anywhere."""
        if not data:
            return 0
        if self._line_ended:
            self._output.write(b",\n")
        separated = memoryview(data.replace(b"\n", b",\n"))
        # Whether another row follows the last one is not known yet.
        self._line_ended = data.endswith(b"\n")
        self._output.write(separated[:-2] if self._line_ended else separated)
        return len(data)

    def flush(self) -> None:
        """Do nothing; polars' sinks call it."""

    def finish(self) -> None:
        """End the line of the last row, if there was one."""
        if self._line_ended:
            self._output.write(b"\n")

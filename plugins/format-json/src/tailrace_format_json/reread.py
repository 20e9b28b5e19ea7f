"""Counting the rows of finished JSON files, by their lines or by parsing each of them, in bounded memory."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from tailrace import IntegrityError
from tailrace_format_json.document import MANIFEST_KEY, SEAL_KEY

_BATCH = 4 << 20
"""Bytes that are parsed together."""
_LONGEST_LINE = 128 << 20
_MANIFEST_START = f'"{MANIFEST_KEY}": '.encode()
_SEAL_START = f'"{SEAL_KEY}": {{'.encode()
_MANIFEST_ENDS = frozenset({b"},\n", b"}\n"})
_EMPTY_MANIFESTS = frozenset({b"{},\n", b"{}\n"})
_END_OF_TABLE = re.compile(rb"\n\]")
_HINT = "The file is damaged or was changed: export again."


def count_lines(blocks: Iterator[bytes], *, columns: int | None) -> int:
    """Count the rows of an NDJSON file.

    Args:
        blocks: The file, in blocks that end anywhere.
        columns: Number of keys that each row must have; None to count lines only.

    Raises:
        IntegrityError: The file does not end as it was written, or a row is not an object of so many keys.
    """
    if columns is not None:
        return _parsed(blocks, columns=columns, separator=b"", place="Row")
    rows = 0
    end = b"\n"
    for block in blocks:
        rows += _line_ends(block)
        end = block[-1:] or end
    if end != b"\n":
        raise _damaged("It ends in the middle of a row")
    return rows


def count_document(
    blocks: Iterator[bytes], tables: Sequence[str], *, columns: Mapping[str, int] | None
) -> dict[str, int]:
    """Count the rows of each table in a JSON document.

    Args:
        blocks: The file, in blocks that end anywhere.
        tables: Names of the tables that must be there.
        columns: Number of keys that each row of a table must have; None to count lines only.

    Raises:
        IntegrityError: The document is not built as it was written, or a row is not an object of so many keys.
    """
    document = _Document(blocks)
    document.expect(b"{\n")
    more = _read_manifest(document)
    counts: dict[str, int] = {}
    while more:
        line = document.line()
        if line.startswith(_SEAL_START):
            _check_seal(line)
            break
        name = _table_name(line)
        if name not in tables or name in counts:
            raise _damaged(f"It has a table {name!r} twice, or one that should not be there")
        if columns is None:
            counts[name] = sum(map(_line_ends, document.rows()))
        else:
            counts[name] = _parsed(
                document.rows(), columns=columns[name], separator=b",", place=f"In table {name!r}, row"
            )
        more = document.line_of(b"],\n", b"]\n") == b"],\n"
    document.expect(b"}\n")
    document.expect(b"")
    missing = [name for name in tables if name not in counts]
    if missing:
        raise _damaged(f"Table {missing[0]!r} is missing")
    return counts


class _Document:
    """A file that is read by the line where structure is expected, and in blocks where rows are."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = b""
        self._at = 0

    def line(self) -> bytes:
        """The next line, with its end; what is left, where the file ends without one."""
        parts: list[bytes] = []
        while True:
            end = self._block.find(b"\n", self._at) + 1
            parts.append(self._block[self._at : end or None])
            if end:
                self._at = end
                return b"".join(parts)
            if not self._advance():
                return b"".join(parts)
            if sum(map(len, parts)) > _LONGEST_LINE:
                raise _damaged("It has a line that is much too long")

    def line_of(self, *allowed: bytes) -> bytes:
        """The next line, which must be one of some."""
        line = self.line()
        if line not in allowed:
            raise _damaged("It ends early, or its structure is broken")
        return line

    def expect(self, line: bytes) -> None:
        """Read one line that is known."""
        self.line_of(line)

    def rows(self) -> Iterator[bytes]:
        """All lines up to the end of the table, in pieces that end anywhere."""
        line_begins = True
        while True:
            if line_begins and self._block.startswith(b"]", self._at):
                return
            # Searching for two bytes is ten times slower than for one, and most rows have no such bracket.
            if self._block.find(b"]", self._at) >= 0 and (end := _END_OF_TABLE.search(self._block, self._at)):
                yield self._block[self._at : end.start() + 1]
                self._at = end.start() + 1
                return
            piece = self._block[self._at :]
            if piece:
                line_begins = piece.endswith(b"\n")
                yield piece
            if not self._advance():
                raise _damaged("It ends in the middle of a table")

    def _advance(self) -> bool:
        block = next(self._blocks, None)
        self._block, self._at = block or b"", 0
        return block is not None


def _read_manifest(document: _Document) -> bool:
    """Read the manifest; whether something follows it."""
    lines = [document.line()]
    size = 0
    # All lines inside of it are indented; an empty one is a single line.
    while lines[-1] not in _MANIFEST_ENDS and lines[0].removeprefix(_MANIFEST_START) not in _EMPTY_MANIFESTS:
        lines.append(document.line())
        size += len(lines[-1])
        if not lines[-1] or size > _LONGEST_LINE:
            raise _damaged("It ends in the middle of its manifest")
    content = b"".join(lines).removesuffix(b"\n").removesuffix(b",")
    try:
        manifest = json.loads(content.removeprefix(_MANIFEST_START).decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict) or not content.startswith(_MANIFEST_START):
        raise _damaged("It has no manifest that can be read")
    return lines[-1].endswith(b",\n")


def _check_seal(line: bytes) -> None:
    """See that the seal has its form; whether it is right takes the data key."""
    try:
        seal = json.loads(line.removeprefix(_SEAL_START[:-1]).decode())
    except (ValueError, RecursionError):
        seal = None
    if not isinstance(seal, dict) or set(seal) != {"sha256", "mac"} or not line.endswith(b"}\n"):
        raise _damaged("Its seal is broken")


def _table_name(line: bytes) -> str:
    try:
        name = json.loads(line.removesuffix(b": [\n").decode())
    except (ValueError, RecursionError):
        name = None
    if not isinstance(name, str) or not line.endswith(b": [\n"):
        raise _damaged("It ends early, or its structure is broken")
    return name


def _parsed(pieces: Iterator[bytes], *, columns: int, separator: bytes, place: str) -> int:
    """Count rows by parsing each of them.

    Args:
        pieces: The rows, one per line, in pieces that end anywhere.
        columns: Number of keys that each row must have.
        separator: What stands between two rows, apart from the line end.
        place: What to call a row in an error.
    """
    rows = 0
    for batch, last in _whole_lines(pieces):
        count = _line_ends(batch)
        end = b"" if last else separator
        content = batch[:-1] if separator else batch[:-1].replace(b"\n", b",\n")
        if not content.endswith(end) or not _is_rows(content.removesuffix(end), count, columns):
            lines = batch.split(b"\n")[:-1]
            ends = [separator] * (count - 1) + [end]
            wrong = next(
                number
                for number, (line, end) in enumerate(zip(lines, ends, strict=True), start=rows + 1)
                if not line.endswith(end) or not _is_rows(line.removesuffix(end), 1, columns)
            )
            raise _damaged(f"{place} {wrong} is not an object of {columns} keys")
        rows += count
    return rows


def _is_rows(content: bytes, count: int, columns: int) -> bool:
    """Whether JSON is so many objects of so many keys, separated by commas."""
    try:
        # An object becomes a tuple of its pairs without a line of Python being run for it: nothing else becomes one.
        rows: list[Any] = json.loads(f"[{content.decode()}]", object_pairs_hook=tuple, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return len(rows) == count and set(map(type, rows)) == {tuple} and set(map(len, rows)) == {columns}


def _whole_lines(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Batches of whole lines, and whether a batch is the last."""
    rest: list[bytes] = []
    size = 0
    held = b""
    for piece in pieces:
        rest.append(piece)
        size += len(piece)
        if size < _BATCH:
            continue
        batch = b"".join(rest)
        end = batch.rfind(b"\n") + 1
        rest, size = [batch[end:]], len(batch) - end
        if end:
            if held:
                yield held, False
            held = batch[:end]
        elif size > _LONGEST_LINE:
            raise _damaged("It has a row that is much too long")
    batch = b"".join(rest)
    if batch and not batch.endswith(b"\n"):
        raise _damaged("It ends in the middle of a row")
    if held:
        yield held, not batch
    if batch:
        yield batch, True


def _line_ends(data: bytes) -> int:
    # bytes.count looks at every byte by itself; replace jumps from one line end to the next, five times faster.
    return len(data.replace(b"\n", b"\n\n")) - len(data)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(f"The JSON file is not as it was written. {what}.", hint=_HINT)

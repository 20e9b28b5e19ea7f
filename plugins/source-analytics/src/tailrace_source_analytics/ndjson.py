"""NDJSON: each line one object. Columns and types are those of the whole file, not of its first lines.

A column that is text in some lines is text in all: a number in it is written as numbers are. One that is an object or a
list in some lines is JSON text in all.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs
import polars as pl

from tailrace import Context, SourceError
from tailrace_source_analytics.files import DataFile, read_errors
from tailrace_source_analytics.lines import count_lines, cut_at_line
from tailrace_source_analytics.textlog import Parsed, blocks, in_parallel

_BOM = b"\xef\xbb\xbf"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NESTED = "nested"
_KINDS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
_NOT_JSON = "it is not one JSON object"
_DEEPEST = 100
"""Levels of objects and lists that a line may have. Parsers go down level by level, and run out of stack in the end."""
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_BRACKET = re.compile(rb"[\[\]{}]")


@attrs.frozen
class Ndjson:
    """Grammar of NDJSON.

    Args:
        schema: Columns of all lines, and their types; objects and lists are JSON text.
        nested: Columns that hold objects or lists somewhere.
    """

    name = "ndjson"
    record = "line"
    by_line = True
    schema: pl.Schema
    nested: frozenset[str] = frozenset()

    def skip(self, file: DataFile) -> int:
        """The byte order mark, if there is one."""
        with read_errors(file.path), file.open_plain() as stream:
            return len(_BOM) if stream.read(len(_BOM)) == _BOM else 0

    def cut(self, buffer: bytes) -> int:
        """Behind the last whole line."""
        return cut_at_line(buffer)

    def count(self, block: bytes) -> int:
        """Count the lines that are not blank."""
        return count_lines(block)

    def parse(self, block: bytes) -> Parsed:
        """Read lines."""
        frame = self._read(block)
        # polars leaves blank lines out: as many rows as line breaks means that there are none.
        if frame is not None and frame.height == block.count(b"\n") + (not block.endswith(b"\n")):
            return Parsed(frame, frame.height)
        return self._parse_line_by_line(block)

    def _read(self, block: bytes) -> pl.DataFrame | None:
        """All lines of a block, or None when polars cannot, or would change something without a word."""
        if _SURROGATE.search(block) or _any_too_deep(block):
            return None
        try:
            frame = pl.read_ndjson(block, schema=self.schema)
        except pl.exceptions.PolarsError:
            return None
        return frame if self._holds_every_key(block, frame) else None

    def _holds_every_key(self, block: bytes, frame: pl.DataFrame) -> bool:
        """Whether each key of each line is in the frame: of a key that comes twice polars keeps one."""
        keys = block.count(b'":') - (block.count(b'\\":') if b"\\" in block else 0)
        nulls = block.count(b'":null') + block.count(b'": null')
        held = sum(frame.height - count for count in frame.null_count().row(0)) if frame.width else 0
        if self.nested:
            text = pl.col(sorted(self.nested)).str
            inner = frame.select(
                pl.sum_horizontal(
                    (
                        text.count_matches('":', literal=True).sum() - text.count_matches('\\":', literal=True).sum()
                    ).fill_null(0)
                    - text.count_matches('": null', literal=True).sum().fill_null(0)
                )
            )
            held += inner.item()
        return keys - nulls == held

    def _parse_line_by_line(self, block: bytes) -> Parsed:
        lines = block.removesuffix(b"\n").split(b"\n")
        good: list[tuple[int, bytes]] = []
        bad: list[tuple[int, str | None, str]] = []
        for position, line in enumerate(lines):
            if not line.strip():
                continue
            reason = _wrong(line)
            if reason:
                bad.append((position, None, reason))
            else:
                good.append((position, line))
        kept, frames = [], [self.schema.to_frame()]
        for part in self._readable(good):
            if isinstance(part, pl.DataFrame):
                frames.append(part)
            elif part[1] is None:
                kept += part[0]
            else:
                bad.append((part[0][0], *part[1]))
        return Parsed(pl.concat(frames), len(lines), kept, sorted(bad, key=lambda entry: entry[0]))

    def _readable(
        self, lines: Sequence[tuple[int, bytes]]
    ) -> "Iterator[pl.DataFrame | tuple[list[int], tuple[str | None, str] | None]]":
        """Halve the lines until those are found whose values do not fit their columns."""
        if not lines:
            return
        try:
            frame = pl.read_ndjson(b"\n".join(line for _position, line in lines), schema=self.schema)
        except pl.exceptions.PolarsError:
            if len(lines) == 1:
                yield [lines[0][0]], self._misfit(lines[0][1])
                return
            half = len(lines) // 2
            yield from self._readable(lines[:half])
            yield from self._readable(lines[half:])
            return
        yield [position for position, _line in lines], None
        yield frame

    def _misfit(self, line: bytes) -> tuple[str | None, str]:
        for name, value in json.loads(line).items():
            dtype = self.schema.get(name)
            wanted = {pl.Int64(): int, pl.Float64(): float, pl.Boolean(): bool}.get(dtype) if dtype else None
            fits = wanted is None or value is None or type(value) is wanted or (wanted is float and type(value) is int)
            if wanted is not None and not fits:
                return name, f"it is not {_KINDS[wanted]} as in other lines"
        return None, "it holds a value that cannot be represented"


def read_schema(files: Iterable[DataFile], context: Context) -> tuple[Ndjson, list[str]]:
    """Find the columns and types of all lines of all files, by going through them once.

    Raises:
        SourceError: No line is an object.
    """
    kinds: dict[str, set[str]] = {}
    for found in in_parallel(_block_kinds, _all_blocks(files, context)):
        for name, several in found.items():
            kinds.setdefault(name, set()).update(several)
    if not kinds:
        message = "No line is a JSON object with anything in it."
        raise SourceError(message, hint="Write each object on one line.")
    nested = frozenset(name for name, several in kinds.items() if _NESTED in several)
    notes = []
    if nested:
        notes.append("ndjson: objects and lists become JSON text: " + ", ".join(sorted(nested)))
    return Ndjson(pl.Schema({name: _dtype(several) for name, several in kinds.items()}), nested), notes


def _all_blocks(files: Iterable[DataFile], context: Context) -> Iterator[bytes]:
    for file in files:
        with read_errors(file.path), file.open_plain() as stream:
            for index, block in enumerate(blocks(stream, cut_at_line)):
                context.check()
                yield block.removeprefix(_BOM) if index == 0 else block


def _block_kinds(block: bytes) -> dict[str, set[str]]:
    """Kinds of values of each key: the keys of the first object first, later ones by name."""
    if _any_too_deep(block):
        return _kinds_line_by_line(block)
    try:
        schema = pl.scan_ndjson(block, infer_schema_length=None).collect_schema()
    except (pl.exceptions.PolarsError, ValueError):
        return _kinds_line_by_line(block)
    first: dict[str, Any] = next((json.loads(line) for line in block.splitlines() if not _wrong(line)), {})
    # polars gives the keys in an order of its own.
    names = [*(name for name in first if name in schema), *sorted(name for name in schema if name not in first)]
    return {name: _kind_of(schema[name]) for name in names}


def _kind_of(dtype: pl.DataType) -> set[str]:
    if dtype == pl.Null:
        return set()
    if dtype.is_nested():
        return {_NESTED}
    return {{"Int64": "int", "Float64": "float", "Boolean": "bool"}.get(str(dtype), "str")}


def _kinds_line_by_line(block: bytes) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for line in block.split(b"\n"):
        if not line.strip() or _wrong(line):
            continue
        for name, value in json.loads(line).items():
            kind = _NESTED if isinstance(value, dict | list) else type(value).__name__
            if kind == "int" and not -(2**63) <= value < 2**63:
                kind = "str"
            kinds.setdefault(name, set()).update({kind} - {"NoneType"})
    return kinds


def _dtype(kinds: set[str]) -> pl.DataType:
    if kinds == {"bool"}:
        return pl.Boolean()
    # Among numbers, true and false are mistakes: rows that cannot be read.
    numbers = kinds - {"bool"}
    if numbers == {"int"}:
        return pl.Int64()
    return pl.Float64() if numbers and numbers <= {"int", "float"} else pl.String()


def _wrong(line: bytes) -> str:
    """Why a line is not one JSON object; empty when it is."""
    try:
        value = None if _too_deep(line) else json.loads(line, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _TwiceError:
        return "it has a key twice"
    except UnicodeDecodeError:
        return "it is not UTF-8 text"
    except (ValueError, RecursionError):
        return _NOT_JSON
    if not isinstance(value, dict):
        return _NOT_JSON
    if _SURROGATE.search(line):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return "it has half of a surrogate pair, which is no character"
    return ""


def _any_too_deep(block: bytes) -> bool:
    # Most logs have no more brackets than lines, and need no closer look.
    opened = block.count(b"{") + block.count(b"[")
    return opened > block.count(b"\n") + _DEEPEST and any(map(_too_deep, block.split(b"\n")))


def _too_deep(line: bytes) -> bool:
    if line.count(b"{") + line.count(b"[") <= _DEEPEST:
        return False
    depth = 0
    for bracket in _BRACKET.findall(_TEXT.sub(b"", line)):
        depth += 1 if bracket in b"[{" else -1
        if depth > _DEEPEST:
            return True
    return False


class _TwiceError(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise _TwiceError
    return keys


def _no_constant(_name: str) -> None:
    raise ValueError

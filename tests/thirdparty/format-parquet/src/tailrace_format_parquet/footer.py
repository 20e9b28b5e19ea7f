"""The footer of a Parquet file, read without polars: a second opinion on what is in the file, and where.

The footer is a ``FileMetaData`` in Thrift's compact protocol; see
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift (numbers of fields) and
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md (how they are written). Only whole
numbers are kept: no text of a footer gets out of here.
"""

from collections.abc import Iterator
from typing import Any

import attrs

from tailrace_format_parquet.damage import damaged

# Numbers of fields, by record.
_FILE_SCHEMA, _FILE_ROWS, _FILE_GROUPS = 2, 3, 4
_ELEMENT_CHILDREN = 5
_GROUP_CHUNKS, _GROUP_ROWS = 1, 3
_CHUNK_METADATA = 3
_CHUNK_INDEXES = ((4, 5), (6, 7))
"""Start and size of the indexes of its pages."""
_METADATA_SIZE, _METADATA_PAGES, _METADATA_DICTIONARY = 7, 9, 11

# Types of values.
_STOP, _TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(13)
_LONG = 15
_DEEPEST = 32

Record = dict[int, Any]
"""Values by the numbers of their fields; None for those that are passed over."""


@attrs.frozen
class Footer:
    """What a footer says.

    Args:
        rows: Rows of all row groups, one by one.
        columns: Columns of the table, nested ones as one.
    """

    rows: int
    columns: int


def read_footer(footer: bytes, *, begins: int, first: int) -> Footer:
    """Read a footer, and see that what it tells of is all that the file holds.

    Args:
        footer: Its bytes.
        begins: Where in the file it begins.
        first: Where in the file the first page is.

    Raises:
        IntegrityError: It is none, contradicts itself, or tells of other pages than are before it.
    """
    try:
        reader = _Reader(footer)
        told = reader.record(0)
        if reader.position != len(footer):
            raise damaged("there is something behind its footer")
        groups = told[_FILE_GROUPS]
        rows = sum(group[_GROUP_ROWS] for group in groups)
        columns = told[_FILE_SCHEMA][0].get(_ELEMENT_CHILDREN, 0)
        end = first
        for start, size in sorted(_extents(groups)):
            # Between them there is at most what the footer says, too: polars writes it behind each chunk.
            if not end <= start <= end + len(footer) or size < 0:
                raise damaged("its pages are not where its footer has them")
            end = start + size
        said = told[_FILE_ROWS]
    except (LookupError, TypeError, ValueError, AttributeError):
        raise damaged("its footer cannot be read") from None
    if not end <= begins <= end + len(footer):
        raise damaged("it holds more, or less, than its footer tells of")
    if said != rows:
        reason = f"its footer says {said:,} rows, and {rows:,} in its row groups"
        raise damaged(reason)
    return Footer(rows, columns)


def _extents(groups: list[Record]) -> Iterator[tuple[int, int]]:
    """Start and size of each column chunk, and of the indexes of its pages."""
    for group in groups:
        for chunk in group[_GROUP_CHUNKS]:
            metadata = chunk[_CHUNK_METADATA]
            pages = metadata[_METADATA_PAGES]
            yield min(pages, metadata.get(_METADATA_DICTIONARY, pages)), metadata[_METADATA_SIZE]
            for start, size in _CHUNK_INDEXES:
                if start in chunk:
                    yield chunk[start], chunk[size]


class _Reader:
    """Thrift's compact protocol."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def record(self, depth: int) -> Record:
        found: Record = {}
        number = 0
        if depth > _DEEPEST:
            raise ValueError
        while (head := self._byte()) != _STOP:
            number = number + (head >> 4) if head >> 4 else self._whole()
            found[number] = self._value(head & 15, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if kind in {_TRUE, _FALSE}:
            return None
        if kind in {_I16, _I32, _I64}:
            return self._whole()
        if kind == _STRUCT:
            return self.record(depth + 1)
        if kind in {_LIST, _SET}:
            return self._list(depth)
        if kind not in {_BYTE, _DOUBLE, _BINARY}:
            # Maps are nowhere in a footer.
            raise ValueError
        self._skip(1 if kind == _BYTE else 8 if kind == _DOUBLE else self._unsigned())
        return None

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        count, kind = head >> 4, head & 15
        if count == _LONG:
            count = self._unsigned()
        # Each takes a byte at least: a count that lies costs nothing.
        if count > len(self._content) - self.position:
            raise ValueError
        if kind in {_TRUE, _FALSE}:
            self._skip(count)
            return []
        return [self._value(kind, depth) for _ in range(count)]

    def _byte(self) -> int:
        value = self._content[self.position]
        self.position += 1
        return value

    def _skip(self, size: int) -> None:
        if size > len(self._content) - self.position:
            raise ValueError
        self.position += size

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError
        return value | byte << shift

    def _whole(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)

"""Counting the rows of a finished CSV file, quickly or by looking at every field, in bounded memory."""

import re
from collections.abc import Iterator

import polars as pl

from tailrace import IntegrityError
from tailrace_format_csv.options import CsvOptions

_BATCH = 8 << 20
"""Bytes that are looked at together: enough to make the cost of a polars query vanish."""
_LONGEST_RECORD = 128 << 20
_ADDED = 3
_ENDS = (b".\n" * _ADDED, b'"' + b".\n" * _ADDED)
"""What is added to a batch that ends outside, or inside of quotes, to make it whole lines.

The one that fits gives the larger count, because behind the other one no line end counts. polars counts lines so fast
that counting twice is quicker than counting quotes in Python. (The full stops keep it from taking bytes for compressed:
zlib begins with "x^".)
"""
_MARK = b"\xef\xbb\xbf"
_HINT = "The file is damaged or was changed: export again."


def count_records(blocks: Iterator[bytes], options: CsvOptions) -> int:
    """Count rows by the line ends that are outside of quotes.

    Args:
        blocks: The file, in blocks that end anywhere.
        options: Those it was written with.

    Raises:
        IntegrityError: The file does not begin or end as it was written.
    """
    records = 0
    quoted = False
    tail = b""
    for parts in _gathered(_after_mark(blocks, options)):
        start = b'."' if quoted else b"."
        outside, inside = (_lines(b"".join((start, *parts, end))) for end in _ENDS)
        records += max(outside, inside) - _ADDED
        quoted = inside > outside
        tail = (tail + b"".join(part[-2:] for part in parts))[-2:]
    if quoted:
        raise _damaged("It ends inside of a quoted field")
    _check_end(tail, options)
    return _rows(records, options)


def parse_records(blocks: Iterator[bytes], options: CsvOptions, *, columns: int) -> int:
    """Count rows by looking at every field: text, quotes, line ends and the number of fields of each record.

    Args:
        blocks: The file, in blocks that end anywhere.
        options: Those it was written with.
        columns: Number of fields that each record must have.

    Raises:
        IntegrityError: Something is not as it was written; the message names the row.
    """
    records = 0
    for batch in _whole_records(_after_mark(blocks, options)):
        # A quoted field shrinks to one quotation mark; then every line is a record and every delimiter parts fields.
        text = _text(batch, records, options)
        record = pl.Series([text]).str.replace_all(r'"(?:[^"]|"")*"', '"').str.split("\n").explode()
        found = record.head(-1).to_frame("record").lazy().with_row_index("at", offset=records)
        wrong = found.filter(_wrong(pl.col("record"), options, columns=columns)).head(1).collect()
        if wrong.height:
            row = int(wrong["at"].item())
            raise _damaged(f"{_place(row, options)} is not {columns} well-formed fields")
        records += len(record) - 1
    return _rows(records, options)


def _wrong(record: pl.Expr, options: CsvOptions, *, columns: int) -> pl.Expr:
    """Whether a line in which quoted fields are one quotation mark each is not a record of so many fields."""
    other = f"[^{re.escape(options.delimiter)}]"
    content = record.str.strip_suffix("\r") if options.line_ending == "crlf" else record
    wrong = (
        content.str.contains("\r", literal=True)
        | content.str.contains(f'{other}"|"{other}')
        | (content.str.count_matches(options.delimiter, literal=True) != columns - 1)
    )
    if options.line_ending == "crlf":
        wrong |= ~record.str.ends_with("\r")
    if columns == 1:
        wrong |= content == ""
    return wrong


def _text(batch: bytes, records: int, options: CsvOptions) -> str:
    try:
        return batch.decode()
    except UnicodeDecodeError as error:
        row = records + sum(part.count(b"\n") for part in batch[: error.start].split(b'"')[::2])
        raise _damaged(f"{_place(row, options)} is not UTF-8 text") from None


def _after_mark(blocks: Iterator[bytes], options: CsvOptions) -> Iterator[bytes]:
    """The blocks without the byte order mark."""
    if options.bom:
        start = b""
        while len(start) < len(_MARK) and (block := next(blocks, None)) is not None:
            start += block
        if not start.startswith(_MARK):
            raise _damaged("It does not begin with the byte order mark that it was written with")
        yield start[len(_MARK) :]
    yield from blocks


def _gathered(blocks: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Blocks in batches of about the same size."""
    parts: list[bytes] = []
    size = 0
    for block in blocks:
        parts.append(block)
        size += len(block)
        if size >= _BATCH:
            yield parts
            parts, size = [], 0
    if size:
        yield parts


def _whole_records(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Batches that begin and end with a record."""
    rest = b""
    for parts in _gathered(blocks):
        rest = b"".join((rest, *parts))
        end = _end_of_records(rest)
        if end:
            yield rest[:end]
            rest = rest[end:]
        if len(rest) > _LONGEST_RECORD:
            raise _damaged(f"It has a record of more than {_LONGEST_RECORD >> 20} MiB, or a quote that never ends")
    if rest:
        raise _damaged("It ends in the middle of a row")


def _end_of_records(data: bytes) -> int:
    """Where the last record ends in data that begins with one: at the last line end after an even number of quotes."""
    odd = data.count(b'"') % 2
    end = len(data)
    while (line_end := data.rfind(b"\n", 0, end)) >= 0:
        odd ^= data.count(b'"', line_end, end) % 2
        if not odd:
            return line_end + 1
        end = line_end
    return 0


def _lines(content: bytes) -> int:
    lines = pl.scan_csv(content, has_header=False, schema={"line": pl.String}).select(pl.len()).collect()
    return int(lines.item())


def _rows(records: int, options: CsvOptions) -> int:
    if not options.header:
        return records
    if not records:
        raise _damaged("It is empty, without even its header")
    return records - 1


def _check_end(tail: bytes, options: CsvOptions) -> None:
    if tail and not tail.endswith(options.line_end.encode()):
        raise _damaged("It ends in the middle of a row")


def _place(record: int, options: CsvOptions) -> str:
    """Name a record by its zero-based position in the file."""
    if not options.header:
        return f"Row {record + 1}"
    return f"Row {record}" if record else "The header"


def _damaged(what: str) -> IntegrityError:
    return IntegrityError(f"The CSV file is not as it was written. {what}.", hint=_HINT)

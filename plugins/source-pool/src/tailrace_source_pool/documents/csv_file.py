"""Pools in CSV: our own exports, and lists with a header as others write them. Everything is read as text.

A record ends with a line end that is outside of quotes. An empty field is null, ``""`` an empty text.
"""

import codecs
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs
import polars as pl

from tailrace_source_pool.documents import foreign, ours
from tailrace_source_pool.documents.entries import AT_ONCE, line_proxies
from tailrace_source_pool.documents.findings import BrokenOffError, Summary, chunks, summary_piece
from tailrace_source_pool.documents.rules import TYPES
from tailrace_source_pool.members import TEXT, Complaints

LONGEST_RECORD = 8 << 20
DELIMITERS = (",", ";", "\t")
_OPENS = re.compile(r'(?:^|[^\w"])"(?:[^"]++|"")*+$')
_GUARD = "'"
_MOST_COLUMNS = 1000


@attrs.frozen
class Spelling:
    """How the fields of our own CSV are spelt.

    Args:
        delimiter: What stands between two fields.
        nulls: Text that stands for null.
        guard: Whether texts have an apostrophe in front where a spreadsheet could run them: profile ``excel``.
        names: Names of the columns where the file has no header.
        unit: What places are told in: ``"line"``; or ``"row"``, for the rows of a sheet, of which some are empty. Those
            above the header are empty records behind it, so that it has no number of its own.
    """

    delimiter: str = ""
    nulls: str = ""
    guard: bool = False
    names: list[str] | None = None
    unit: str = "line"


@attrs.frozen
class _Record:
    """A record: the line that it begins in, or the number of its row, and its text without the line end."""

    line: int
    text: str


def is_header(line: str) -> bool:
    """Whether a line names the columns of a list of proxies."""
    for delimiter in DELIMITERS:
        names = {foreign.NAMES.get(foreign.normal(name.strip('"'))) for name in line.split(delimiter)}
        if "url" in names or {"host", "port"} <= names:
            return True
    return False


def read(blocks: Iterable[bytes], argument: Mapping[str, Any]) -> Iterator[bytes]:
    """Read a file.

    Args:
        blocks: Its content, UTF-8.
        argument: ``scheme`` of proxies that name none; ``spelling`` as :class:`Spelling` has it, ``is_ours`` whether
            its manifest says that it is an export of ours.

    Yields:
        Pieces as :mod:`~tailrace_source_pool.documents.findings` has them.
    """
    summary = Summary("csv")
    reading = foreign.Reading(str(argument["scheme"]))
    try:
        spelling = Spelling(**argument.get("spelling", {}))
        yield from _pieces(_records(blocks, spelling), spelling, argument, reading, summary)
    except BrokenOffError as error:
        summary.problems.tell(error.where, f"{error.reason}; what follows was not read")
    summary.notes += reading.notes()
    yield summary_piece(summary)


def _pieces(
    records: Iterator[_Record],
    spelling: Spelling,
    argument: Mapping[str, Any],
    reading: foreign.Reading,
    summary: Summary,
) -> Iterator[bytes]:
    header = _Record(1, "") if spelling.names else next(records, None)
    where = "line 1" if spelling.unit == "line" else "header"
    if header is None:
        summary.problems.tell(where, "there is no header")
        return
    delimiter = spelling.delimiter or max(DELIMITERS, key=header.text.count)
    fields = _Fields(delimiter)
    names = list(spelling.names or fields.texts(fields.of(header) or [], spelling))
    is_ours = bool(argument.get("is_ours")) or (set(names) <= TYPES.keys() and set(names) != {"url"})
    wanted = names if is_ours else [foreign.NAMES.get(foreign.normal(name), "") for name in names]
    if spelling.unit == "line":
        where = f"line {header.line}"
    if not _header_is_good(names, wanted, where, summary, is_ours=is_ours):
        return
    if not is_ours:
        for name, field in zip(names, wanted, strict=True):
            if not field:
                reading.leave_aside(name)
    for several in chunks(records, AT_ONCE):
        complaints = Complaints()
        rows = [_row(fields.of(record), len(names), index, complaints) for index, record in enumerate(several)]
        columns = list(zip(*rows, strict=True))
        texts = pl.DataFrame(
            {
                name: _values(columns[number], spelling, alone=len(names) == 1)
                for number, name in enumerate(wanted)
                if name
            }
        )
        if is_ours:
            frame = ours.read_texts(texts, complaints)
        else:
            if "protocol" in texts.columns:
                texts = texts.with_columns(pl.col("protocol").str.split("|"))
            frame = reading.read_texts(texts, complaints)
        numbers = [record.line for record in several]
        yield line_proxies(frame, numbers, complaints, summary.problems, unit=spelling.unit)


def _header_is_good(
    names: Sequence[str], wanted: Sequence[str], where: str, summary: Summary, *, is_ours: bool
) -> bool:
    before = summary.problems.count
    if len(names) > _MOST_COLUMNS:
        summary.problems.tell(where, f"it has more than {_MOST_COLUMNS} columns")
        return False
    for number, name in enumerate(names):
        if is_ours and name not in TYPES:
            summary.problems.tell(f"{where}, column {number + 1}", "no pool has a column of that name")
        elif wanted[number] and wanted[number] in wanted[:number]:
            summary.problems.tell(f"{where}, column {number + 1}", "another column says the same")
    if not is_ours and "url" not in wanted and not {"host", "port"} <= set(wanted):
        summary.problems.tell(where, "it is no header with ip or host and port, or with proxy or url")
    return summary.problems.count == before


def _row(fields: list[str] | None, width: int, index: int, complaints: Complaints) -> list[str]:
    if fields is None:
        complaints.tell(index, None, "its quotes are not closed, or stand inside of a field")
    elif len(fields) != width:
        complaints.tell(index, None, f"it has {len(fields)} fields instead of {width}")
    else:
        return fields
    return [""] * width


def _values(fields: Sequence[str], spelling: Spelling, *, alone: bool) -> pl.Series:
    """What fields stand for: null, or a text without quotes and guard."""
    field = pl.col("field")
    quoted = field.str.starts_with('"')
    inside = field.str.slice(1, field.str.len_chars() - 2).str.replace_all('""', '"', literal=True)
    text: pl.Expr = pl.when(quoted).then(inside).otherwise(field)
    # A lone null needs something to hold on to: a line of nothing is none.
    null = (field == spelling.nulls) if spelling.nulls or not alone else field.is_in(("", '""'))
    if spelling.guard:
        text = text.str.strip_prefix(_GUARD)
    return pl.DataFrame({"field": pl.Series(fields, dtype=TEXT)}).select(pl.when(~null).then(text)).to_series()


class _Fields:
    """Parts records at a delimiter."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        part = re.escape(delimiter)
        # Possessive: what has matched is never tried in another way.
        self._field = re.compile(rf'("(?:[^"]++|"")*+"|[^"{part}]*+){part}')

    def of(self, record: _Record) -> list[str] | None:
        """The fields of a record, quotes included; None where the quotes do not fit."""
        text = record.text
        if '"' not in text:
            return text.split(self._delimiter)
        fields = self._field.findall(text + self._delimiter)
        # The pattern passes over what does not fit, and then something is missing.
        return fields if sum(map(len, fields)) + len(fields) == len(text) + 1 else None

    @staticmethod
    def texts(fields: Sequence[str], spelling: Spelling) -> list[str]:
        """The names in a header."""
        names = [name[1:-1].replace('""', '"') if name.startswith('"') else name for name in fields]
        return [name.removeprefix(_GUARD) for name in names] if spelling.guard else names


def _records(blocks: Iterable[bytes], spelling: Spelling) -> Iterator[_Record]:
    """The records that are not empty."""
    by_row = spelling.unit == "row"
    begun: list[str] = []
    begun_in = size = row = 0
    is_open = False
    for number, line in enumerate(_lines(blocks), start=1):
        if not is_open:
            begun_in, size = number, 0
        if line.count('"') % 2:
            # A quote in the middle of a field opens nothing: its record is broken, those behind it are not.
            is_open = not is_open and bool(_OPENS.search(line))
        size += len(line)
        if size > LONGEST_RECORD:
            reason = f"it has more than {LONGEST_RECORD:,} characters, or a quote that is not closed"
            raise BrokenOffError(f"line {begun_in}", reason)
        if is_open:
            begun.append(line)
            continue
        text = "\n".join([*begun, line]) if begun else line
        begun.clear()
        if by_row:
            # A row in which there is nothing has no fields but empty ones.
            begun_in = row = row + 1
            text = text if text.strip(spelling.delimiter) else ""
        text = text.removesuffix("\r")
        if text:
            yield _Record(begun_in, text)
    if is_open:
        raise BrokenOffError(f"line {begun_in}", "a quote is not closed")


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """The lines, without their line feeds."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    rest, number = "", 1
    for block in _ended(blocks):
        try:
            text = decode(block or b"", block is None)
        except UnicodeDecodeError as error:
            number += bytes(error.object[: error.start]).count(b"\n")
            raise BrokenOffError(f"line {number}", "it is not UTF-8") from None
        *lines, rest = (rest + text).split("\n")
        number += len(lines)
        yield from lines
        if len(rest) > LONGEST_RECORD:
            raise BrokenOffError(f"line {number}", f"it has more than {LONGEST_RECORD:,} characters")
    if rest:
        yield rest


def _ended(blocks: Iterable[bytes]) -> Iterator[bytes | None]:
    yield from blocks
    yield None

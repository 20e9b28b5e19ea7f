"""CSV as RFC 4180 has it: every field stays text, and every record has as many fields as the header.

A record whose quotes are wrong is a bad row, and reading goes on at the next line. (Where fields have line breaks in
them as well, a block may then end inside a good record, which is told as a bad row, too.)
"""

import re
from collections.abc import Iterator, Sequence

import attrs
import polars as pl

from tailrace import SourceError
from tailrace_source_analytics.files import DataFile, read_errors
from tailrace_source_analytics.textlog import Parsed

_BOM = b"\xef\xbb\xbf"
_SEPARATORS = (",", ";", "\t", "|")
_LONGEST_HEADER = 1 << 20
_QUOTED = re.compile(rb'"(?:[^"]++|"")*+"')
_QUOTES_WRONG = (
    "its quotes do not follow RFC 4180 (a field that is quoted ends with a quote, a quote inside is doubled)"
)


@attrs.frozen
class Csv:
    """Grammar of CSV with a header.

    Args:
        schema: Columns, all of them text.
        separator: Between two fields.
        headers: Length of the header of each file, in bytes.
    """

    name = "csv"
    record = "record"
    by_line = False
    nested = frozenset[str]()
    schema: pl.Schema
    separator: str
    headers: dict[str, int]
    _record: re.Pattern[bytes] = attrs.field(init=False, repr=False, eq=False)
    _whole: str = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        sep = re.escape(self.separator)
        # Possessive, so that a block full of quotes cannot make Python's engine go back and forth; Rust's never does.
        field = rf'(?:"(?:[^"]++|"")*+"|[^"\r\n{sep}]*+)'
        object.__setattr__(self, "_record", re.compile(rf"{field}(?:{sep}{field})*+(?:\r?\n|\Z)".encode()))
        field = rf'(?:"(?:[^"]|"")*"|[^"\r\n{sep}]*)'
        object.__setattr__(self, "_whole", rf"\A(?:{field}(?:{sep}|\r?\n))*{field}\z")

    def skip(self, file: DataFile) -> int:
        """The byte order mark and the header."""
        return self.headers[str(file.path)]

    def cut(self, buffer: bytes) -> int:
        """Behind the last line break that is not inside quotes."""
        end = last = buffer.rfind(b"\n") + 1
        quotes = buffer.count(b'"', 0, end)
        while end and quotes % 2:
            before = buffer.rfind(b"\n", 0, end - 1) + 1
            quotes -= buffer.count(b'"', before, end)
            end = before
        if end in {0, last} or self._well_formed(buffer[:end]):
            return end
        # Some quote before is wrong, and inside and outside have changed places: go by what is a record.
        return max((stop for _at, stop, fields in self._records(buffer) if fields == len(self.schema)), default=end)

    def _records(self, block: bytes) -> Iterator[tuple[int, int, int]]:
        """Begin, end and number of fields of each record; a line whose quotes are wrong has none."""
        at = 0
        while at < len(block):
            match = self._record.match(block, at)
            end = match.end() if match else block.find(b"\n", at) + 1 or len(block)
            yield at, end, _QUOTED.sub(b"", block[at:end]).count(self.separator.encode()) + 1 if match else 0
            at = end

    def count(self, block: bytes) -> int:
        """Count line breaks outside of quotes, and take off blank lines."""
        if not block.endswith(b"\n"):
            block += b"\n"
        if not self._well_formed(block):
            return self.parse_carefully(block).records
        outside = b'""'.join(block.split(b'"')[::2]) if b'"' in block else block
        blank = len(re.findall(rb"\n(?=\r?\n)", outside)) + (re.match(rb"\r?\n", outside) is not None)
        return outside.count(b"\n") - (blank if len(self.schema) > 1 else 0)

    def parse(self, block: bytes) -> Parsed:
        """Read records."""
        if not block.endswith(b"\n"):
            # Without a line break behind it, polars drops an empty field too many.
            block += b"\n"
        frame = self._read(block) if self._well_formed(block) else None
        if frame is not None:
            return Parsed(frame, frame.height)
        return self.parse_carefully(block)

    def _well_formed(self, block: bytes) -> bool:
        """Whether a block is RFC 4180; where it is not, polars drops a quote or a field here and there in silence."""
        if b'"' not in block:
            return b"\r" not in block or block.count(b"\r") == block.count(b"\r\n")
        try:
            return bool(pl.Series([block.decode()]).str.contains(self._whole).item())
        except UnicodeDecodeError:
            return False

    def _read(self, block: bytes) -> pl.DataFrame | None:
        """All records of a well-formed block, or None when one has too few or too many fields."""
        try:
            frame = pl.read_csv(block, separator=self.separator, has_header=False, schema=self.schema)
        except pl.exceptions.PolarsError:
            return None
        if frame.to_series(-1).null_count() == 0:
            return frame
        # A record that is too short ends in null, like one that ends in an empty field: the separators tell.
        separators = block.count(self.separator.encode())
        if b'"' in block:
            inside = frame.select(pl.all().str.count_matches(self.separator, literal=True).sum())
            separators -= sum(inside.row(0))
        return frame if separators == frame.height * (len(self.schema) - 1) else None

    def parse_carefully(self, block: bytes) -> Parsed:
        """Read records one by one: what :meth:`parse` does with a block that does not add up."""
        good: list[bytes] = []
        positions: list[int] = []
        bad: list[tuple[int, str | None, str]] = []
        position = 0
        for at, end, fields in self._records(block):
            record = block[at:end]
            if not record.strip(b"\r\n") and len(self.schema) > 1:
                continue
            reason = self._wrong(record, fields)
            if reason:
                bad.append((position, None, reason))
            else:
                good.append(record)
                positions.append(position)
            position += 1
        frame = self._read(b"".join(good)) if good else self.schema.to_frame()
        if frame is None or frame.height != len(good):  # pragma: no cover - they follow the grammar
            message = "Some records can be read one by one, but not together."
            raise SourceError(message, hint="Please report this, with a file that shows it.")
        return Parsed(frame, position, positions, bad)

    def _wrong(self, record: bytes, fields: int) -> str:
        if not fields:
            return _QUOTES_WRONG
        try:
            record.decode()
        except UnicodeDecodeError:
            return "it is not UTF-8 text"
        return "" if fields == len(self.schema) else f"it has {fields} fields, and the header {len(self.schema)}"


def read_headers(files: Sequence[DataFile], separator: str | None) -> tuple[Csv, list[str]]:
    """Read the headers of CSV files, which must be the same.

    Args:
        files: The files; none of them is empty.
        separator: Between two fields; None to find it in the first header.

    Returns:
        The grammar, and what there is to say.

    Raises:
        SourceError: A header that is none, or is not the same as the first one.
    """
    names: list[str] = []
    lengths: dict[str, int] = {}
    notes: list[str] = []
    for file in files:
        text, lengths[str(file.path)] = _header(file)
        if separator is None:
            separator = max(_SEPARATORS, key=_QUOTED.sub(b"", text.encode()).decode().count)
        fields = _fields(text, separator, file)
        if not names:
            names = fields
        elif fields != names:
            wrong = next((name for name in [*fields, *names] if (name in fields) != (name in names)), fields[0])
            message = f"{file.path} has another header than {files[0].path}: column {wrong!r} differs."
            raise SourceError(message, hint="Export files of one shape at a time.")
    if separator not in {None, ","}:
        notes.append(f"csv: fields are separated by {separator!r}")
    unnamed = [position for position, name in enumerate(names, 1) if not name]
    if unnamed:
        notes.append(
            "csv: columns without a name are called " + ", ".join(f"column_{position}" for position in unnamed)
        )
        names = [name or f"column_{position}" for position, name in enumerate(names, 1)]
    return Csv(pl.Schema(dict.fromkeys(names, pl.String())), separator or ",", lengths), notes


def _header(file: DataFile) -> tuple[str, int]:
    with read_errors(file.path), file.open_plain() as stream:
        head = b""
        while chunk := stream.read(1 << 16):
            head += chunk
            line = _first_record(head)
            if line is not None or len(head) > _LONGEST_HEADER:
                break
        else:
            line = head
    if line is None or len(line) > _LONGEST_HEADER:
        message = f"{file.path} has no header: its first line does not end."
        raise SourceError(message, hint="A CSV file begins with a line of column names.")
    try:
        text = line.removeprefix(_BOM).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        message = f"{file.path} is not UTF-8 text."
        raise SourceError(message, hint="Convert it first: iconv -f latin1 -t utf-8 FILE") from None
    return text, len(line)


def _first_record(head: bytes) -> bytes | None:
    at = 0
    while (end := head.find(b"\n", at) + 1) > 0:
        if head.count(b'"', 0, end) % 2 == 0:
            return head[:end]
        at = end
    return None


def _fields(header: str, separator: str, file: DataFile) -> list[str]:
    if "\r" in header:
        message = f"{file.path} ends its lines with a bare carriage return."
        raise SourceError(message, hint="Convert it first: tr '\\r' '\\n' < FILE")
    try:
        row = pl.read_csv(header.encode(), separator=separator, has_header=False, infer_schema=False).row(0)
    except pl.exceptions.PolarsError:
        message = f"{file.path} has a header that cannot be read."
        raise SourceError(message, hint="A CSV file begins with a line of column names.") from None
    names = [str(name or "").strip() for name in row]
    if not any(re.search(r"[^\W\d]", name) for name in names) or any(
        re.match(r"https?://|\d{4}-\d\d-\d\d", n) for n in names
    ):
        message = f"{file.path} begins with data instead of a line of column names."
        raise SourceError(message, hint="Put a header into its first line.")
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        message = f"{file.path} has two columns named {twice!r}."
        raise SourceError(message, hint="Give each column a name of its own in the first line.")
    return names

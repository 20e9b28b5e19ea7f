"""What a column looks like in a workbook: its header, its number format, and how its values become cells.

A value is written as what it is where Excel has such a thing, and it reads back equal. Where a single value does not
(a whole number of more than 15 digits, a time before 1900, NaN), it is written as the text that the format ``csv``
writes for it, and the manifest says so.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import attrs
import polars as pl

from tailrace import Column, Meaning, OutgoingTable, RequestError
from tailrace_format_excel.limits import MAX_COLUMNS
from tailrace_format_excel.options import ExcelOptions

Kind = Literal["text", "flag", "whole", "float", "decimal", "date", "datetime", "time", "duration", "nothing"]

TEXT = "@"
GENERAL = "General"
HEADER = "header"
"""Stands for the style of headers among number formats."""
_MOMENTS: Mapping[str, str] = {
    "date": "yyyy-mm-dd",
    "datetime": "yyyy-mm-dd hh:mm:ss.000",
    "time": "hh:mm:ss.000",
    "duration": "[h]:mm:ss.000",
}
_SMALL_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)


@attrs.frozen
class SheetColumn:
    """A column as it stands in a sheet.

    Args:
        name: Its name in the table.
        header: What its header says.
        kind: What its cells are.
        dtype: Its type in polars.
        number_format: In the words of Excel.
        meaning: What it is for.
        unit: Of a measure.
        zone: IANA zone of its times, where they have one.
    """

    name: str
    header: str
    kind: Kind
    dtype: pl.DataType
    number_format: str
    meaning: Meaning
    unit: str
    zone: str | None

    @property
    def is_moment(self) -> bool:
        """Whether it holds moments in time, as what or as text they may be written."""
        return isinstance(self.dtype, pl.Datetime)

    @property
    def is_zoned(self) -> bool:
        """Whether its moments have a zone."""
        return isinstance(self.dtype, pl.Datetime) and self.dtype.time_zone is not None

    @property
    def is_small(self) -> bool:
        """Whether it holds whole numbers of which none can have too many digits."""
        return isinstance(self.dtype, _SMALL_INTEGERS)


@attrs.frozen
class SheetTable:
    """A table that is ready to be written.

    Args:
        name: Its name.
        outgoing: The table itself.
        columns: Its columns.
        notes: What there is to say about all values of a column.
    """

    name: str
    outgoing: OutgoingTable = attrs.field(repr=False)
    columns: tuple[SheetColumn, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, table: OutgoingTable, options: ExcelOptions) -> "SheetTable":
        """See what a table needs.

        Raises:
            RequestError: A table or column that a sheet cannot hold.
        """
        schema = table.frame.collect_schema()
        if not schema:
            message = f"Table {table.name} has no columns: there is nothing to write."
            raise RequestError(message, hint="Ask for at least one column.")
        if len(schema) > MAX_COLUMNS:
            message = f"Table {table.name} has {len(schema):,} columns; a sheet has {MAX_COLUMNS:,}."
            raise RequestError(message, hint="Keep fewer of them (--columns), or choose --format csv.")
        known = {column.name: column for column in table.columns}
        columns = tuple(
            _column(table.name, known.get(name, Column(name)), dtype, options) for name, dtype in schema.items()
        )
        _check_headers(table.name, columns)
        return cls(table.name, table, columns, tuple(_notes(table.name, columns)))


def _column(table: str, column: Column, dtype: pl.DataType, options: ExcelOptions) -> SheetColumn:
    kind = _kind(dtype)
    if kind is None:
        message = f"Column {column.name!r} of table {table} holds {dtype}, which a cell cannot hold."
        raise RequestError(message, hint="Leave it out (--columns), or choose --format json.")
    if kind in _MOMENTS and options.datetimes == "iso":
        kind = "text"
    zone = dtype.time_zone if isinstance(dtype, pl.Datetime) and kind == "datetime" else None
    return SheetColumn(
        name=column.name,
        header=f"{column.name} ({zone})" if zone else column.name,
        kind=kind,
        dtype=dtype,
        number_format=_number_format(kind, dtype, column),
        meaning=column.meaning,
        unit=column.unit,
        zone=zone,
    )


def _kind(dtype: pl.DataType) -> Kind | None:
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum | pl.Binary):
        return "text"
    if isinstance(dtype, pl.Decimal):
        return "decimal"
    if dtype.is_integer():
        return "whole"
    if dtype.is_float():
        return "float"
    kinds: dict[type[pl.DataType], Kind] = {
        pl.Boolean: "flag",
        pl.Null: "nothing",
        pl.Date: "date",
        pl.Datetime: "datetime",
        pl.Time: "time",
        pl.Duration: "duration",
    }
    return kinds.get(type(dtype))


def _number_format(kind: Kind, dtype: pl.DataType, column: Column) -> str:
    """Thousands are parted in what is measured, and not in what is a name (a port, an id)."""
    if kind == "text":
        return TEXT
    if kind in _MOMENTS:
        return _MOMENTS[kind]
    whole = "#,##0" if column.meaning is Meaning.MEASURE else "0"
    if kind == "whole":
        return whole
    if kind == "decimal" and isinstance(dtype, pl.Decimal):
        return f"{whole}.{'0' * dtype.scale}" if dtype.scale else whole
    if kind == "float" and column.unit == "ms":
        return f"{whole}.0"
    return GENERAL


def _check_headers(table: str, columns: Sequence[SheetColumn]) -> None:
    counts = Counter(column.header for column in columns)
    twice = next((header for header, count in counts.items() if count > 1), None)
    if twice is not None:
        message = f"Two columns of table {table} have the header {twice!r}: one is a time, the other is called so."
        raise RequestError(message, hint="Rename one of them: --columns new=old")


def _notes(table: str, columns: Sequence[SheetColumn]) -> list[str]:
    return [
        f"{table}.{column.name}: binary, written as Base64."
        for column in columns
        if isinstance(column.dtype, pl.Binary)
    ]

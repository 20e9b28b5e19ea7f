"""Rows of a table as the XML of a sheet, made by polars batch by batch.

A batch takes two steps. :meth:`RowWriter.prepare` goes in order, one batch after the other: it gives texts their
numbers, and finds what cannot be written. :meth:`PreparedRows.texts`, most of the work, may go on in several threads.

Every row has a cell for every column, an empty one too (``<c/>``): then neither rows nor cells need their address,
which would double the size of a sheet. calamine, openpyxl, pandas and LibreOffice read such sheets; in ECMA-376
addresses are optional. For readers that cannot count, the option ``cell_references`` writes them.
"""

from collections.abc import Iterator, Mapping, Sequence

import attrs
import polars as pl

from tailrace import RequestError, beyond_iso, iso_text
from tailrace_format_excel.columns import HEADER, TEXT, SheetColumn, SheetTable
from tailrace_format_excel.exceptions import NOT_FINITE, Exceptions, Told, exceptions_of
from tailrace_format_excel.moments import serial
from tailrace_format_excel.options import ExcelOptions
from tailrace_format_excel.shared_strings import SharedStrings
from tailrace_format_excel.text import TOO_LONG, UNREADABLE, escaped, is_odd, wrong

ROW_END = "</row>"

_ROOM = 32 << 20
"""Bytes of shared strings from which on columns with many different texts keep theirs in their cells."""
_VARIED, _MUCH = 0.05, 256 << 10
"""Share of texts in a batch that were not met before, or their bytes, by which a column has many different ones."""
_RENDERED_TOGETHER = 10_000
_SHOWN = 60
"""Characters of a name in a message."""
_EMPTY = "/>"
_INLINE_START, _INLINE_END = ' t="inlineStr"><is><t xml:space="preserve">', "</t></is></c>"
_HINTS = {
    TOO_LONG: "Leave the column out (--columns), filter such rows out (--where), or choose --format csv.",
    UNREADABLE: "Have them escaped as Excel does (--option control_characters=escape), or choose --format csv.",
}

Part = pl.Expr | str


@attrs.frozen
class PreparedRows:
    """Rows that are ready to become XML.

    Args:
        inputs: What the expressions take.
        parts: Expressions and texts, one behind the other, that make a row without its end.
    """

    inputs: pl.DataFrame = attrs.field(repr=False)
    parts: Sequence[Part] = attrs.field(repr=False)

    def pieces(self) -> Iterator["PreparedRows"]:
        """The rows in pieces of a size at which no thread is left without work at the end of a table."""
        for start in range(0, self.inputs.height, _RENDERED_TOGETHER):
            yield PreparedRows(self.inputs.slice(start, _RENDERED_TOGETHER), self.parts)

    def texts(self) -> pl.Series:
        """The XML of each row, without its end."""
        return self.inputs.select(pl.concat_str(_merged(self.parts)).alias("xml")).to_series()


class Cells:
    """Cells that hold a shared string, by its number; 0 is an empty cell.

    They are the same for every batch: looking them up is ten times as quick as making them.

    Args:
        style: Index of their style.
    """

    def __init__(self, style: int) -> None:
        self._style = style
        self.known = pl.Series([_EMPTY])

    def make(self, last: int) -> None:
        """Make the cells of the numbers up to ``last``, and perhaps more."""
        if last < len(self.known):
            return
        numbers = pl.int_range(len(self.known), max(last + 1, 2 * len(self.known)), eager=True).alias("number")
        shared = pl.concat_str(
            pl.lit(f' s="{self._style}" t="s"><v>'), (pl.col("number") - 1).cast(pl.String), pl.lit("</v></c>")
        )
        self.known = pl.concat([self.known, numbers.to_frame().select(shared).to_series()], rechunk=True)


class RowWriter:
    """Makes rows of one table.

    Args:
        table: The table.
        options: Of the format.
        strings: Where texts get their numbers.
        cells: Cells of shared strings in the style of texts.
        styles: Index of the style of each number format.
    """

    def __init__(
        self,
        table: SheetTable,
        options: ExcelOptions,
        strings: SharedStrings,
        cells: Cells,
        styles: Mapping[str, int],
    ) -> None:
        self._table = table
        self._options = options
        self._strings = strings
        self._cells = cells
        self._styles = styles
        self._exceptions = Exceptions(table.columns)
        self._escapes = options.control_characters == "escape"
        self._inline: set[str] = set()
        self.told = Told()

    def header(self) -> bytes:
        """The row of headers.

        Raises:
            RequestError: A name that cannot be written.
        """
        columns = self._table.columns

        def check(odd: pl.Series) -> None:
            for reason, texts in wrong(odd, control_characters=self._escapes):
                name = next(column.name for column in columns if column.header == texts[0])
                message = f"The name of column {name[:_SHOWN]!r} of table {self._table.name} {reason}."
                raise RequestError(message, hint="Rename it: --columns new=old")

        numbers = self._strings.numbers(pl.Series([column.header for column in columns]), check)
        style = self._styles[HEADER]
        row, cells = "<row>", []
        for index, number in enumerate(numbers):
            reference = ""
            if self._options.cell_references:
                row, reference = '<row r="1">', f' r="{column_letters(index)}1"'
            cells.append(f'<c{reference} s="{style}" t="s"><v>{number - 1}</v></c>')
        return f"{row}{''.join(cells)}{ROW_END}".encode()

    def prepare(self, batch: pl.DataFrame, first: int, rows: pl.Series | None) -> PreparedRows:
        """Prepare rows.

        Args:
            batch: The rows.
            first: How many rows of the table come before them.
            rows: The number of each in its sheet, one-based, where the options ask for addresses.

        Raises:
            RequestError: A value that cannot be written; the message names row and column.
        """
        columns = [
            (column, values.alias(str(index)))
            for index, (column, values) in enumerate(zip(self._table.columns, batch.get_columns(), strict=True))
        ]
        suspects = self._exceptions.suspects(batch)
        texts = {
            index: found
            for index, (column, values) in enumerate(columns)
            if (found := self._texts(column, values, first, is_suspect=index in suspects)) is not None
        }
        inside = frozenset(index for index in texts if columns[index][0].name in self._inline)
        shareable = {index: _shareable(text, is_inside=index in inside) for index, text in texts.items()}
        numbers = self._numbered(shareable, first)
        inputs = [*numbers.values(), *(texts[index].alias(f"{index} text") for index in inside)]
        number: pl.Expr | None = None
        parts: list[Part] = ["<row>"]
        if rows is not None:
            inputs.append(rows.cast(pl.String).alias("row"))
            number = pl.col("row")
            parts = ['<row r="', number, '">']
        for index, (column, values) in enumerate(columns):
            parts += ["<c"] if number is None else [f'<c r="{column_letters(index)}', number, '"']
            text = self._text_cell(index, in_numbers=index in numbers, is_inside=index in inside)
            if column.kind == "nothing":
                parts.append(_EMPTY)
            elif column.kind == "text":
                parts.append(text)
            else:
                inputs.append(values)
                parts += self._own(column, values, text if index in texts else None)
        if not inputs:
            inputs.append(pl.repeat("", len(batch), eager=True).alias("nothing"))
            parts.append(pl.col("nothing"))
        return PreparedRows(pl.DataFrame(inputs), parts)

    def texts(self, name: str, values: pl.Series) -> pl.Series:
        """Values of a column as the texts that stand for them where they cannot be what they are.

        Args:
            name: Name of the column.
            values: Some of its values.

        Raises:
            RequestError: A time that has no text.
        """
        column = next(column for column in self._table.columns if column.name == name)
        return self._as_text(column, values.alias("values"), 0)

    def _texts(self, column: SheetColumn, values: pl.Series, first: int, *, is_suspect: bool) -> pl.Series | None:
        """What becomes text of a column, null where a value does not; None where none does."""
        if column.kind == "text":
            return self._as_text(column, values, first)
        if not is_suspect:
            return None
        exceptional = None
        for reason, mask in exceptions_of(values, column):
            if reason == NOT_FINITE and self._options.nonfinite == "refuse":
                hint = "Filter such rows out with --where, or have text written: --option nonfinite=text"
                self._refuse(column, mask, first, "is not finite", hint)
            self.told.add(column.name, reason, int(mask.sum()))
            exceptional = mask if exceptional is None else exceptional | mask
        return None if exceptional is None else self._as_text(column, _only(values, exceptional), first)

    def _numbered(self, shareable: dict[int, pl.Series | None], first: int) -> dict[int, pl.Series]:
        """The numbers of shared strings, by column: of all columns at once, because each query has its price."""
        texts = {index: values for index, values in shareable.items() if values is not None}
        if not texts:
            return {}

        def check(odd: pl.Series) -> None:
            for reason, refused in wrong(odd, control_characters=self._escapes):
                for index, values in texts.items():
                    mask = values.is_in(refused.implode())
                    if mask.any():
                        self._refuse(self._table.columns[index], mask, first, reason, _HINTS[reason])

        before = self._strings.count
        together = self._strings.numbers(pl.concat(list(texts.values())), check)
        self._cells.make(self._strings.count)
        height = len(together) // len(texts)
        numbers = {
            index: together.slice(position * height, height).alias(f"{index} shared")
            for position, index in enumerate(texts)
        }
        if self._strings.size > _ROOM:
            self._find_varied(texts, numbers, before)
        return numbers

    def _find_varied(self, texts: dict[int, pl.Series], numbers: dict[int, pl.Series], before: int) -> None:
        """Find columns of which the texts are too different to be shared from now on."""
        for index, shared in numbers.items():
            new = texts[index].filter(shared > before)
            if len(new) > _VARIED * len(shared) or new.str.len_bytes().sum() > _MUCH:
                self._inline.add(self._table.columns[index].name)

    def _text_cell(self, index: int, *, in_numbers: bool, is_inside: bool) -> pl.Expr:
        """What follows ``<c`` and the address of a text: one of the shared strings, or in its cell; or of no text."""
        shared = pl.lit(self._cells.known).gather(pl.col(f"{index} shared"))
        if not is_inside:
            return shared
        text = pl.col(f"{index} text")
        start = f' s="{self._styles[TEXT]}"{_INLINE_START}'
        own = pl.concat_str(pl.lit(start), escaped(text), pl.lit(_INLINE_END)).fill_null(_EMPTY)
        return pl.when(pl.col(f"{index} shared") == 0).then(own).otherwise(shared) if in_numbers else own

    def _own(self, column: SheetColumn, values: pl.Series, text: pl.Expr | None) -> list[Part]:
        """What follows ``<c`` and the address of a number, date or flag; ``text`` where a value has become one."""
        source = pl.col(values.name)
        style = self._styles[column.number_format]
        styled = f' s="{style}"' if style else ""
        if column.kind == "flag":
            cells = pl.Series([_EMPTY, *(f'{styled} t="b"><v>{value}</v></c>' for value in (0, 1))])
            return [pl.lit(cells).gather((source.cast(pl.UInt32) + 1).fill_null(0))]
        number = source if column.kind in {"whole", "float", "decimal"} else serial(source, column.dtype)
        cell: list[Part] = [f"{styled}><v>", number.cast(pl.String), "</v></c>"]
        if values.null_count():
            cell = [pl.concat_str(_merged(cell)).fill_null(_EMPTY)]
        if text is None:
            return cell
        return [pl.when(text == _EMPTY).then(pl.concat_str(_merged(cell))).otherwise(text)]

    def _as_text(self, column: SheetColumn, values: pl.Series, first: int) -> pl.Series:
        dtype = values.dtype
        if isinstance(dtype, pl.String):
            return values
        source = pl.col(values.name)
        if isinstance(dtype, pl.Binary):
            return values.to_frame().select(source.bin.encode("base64")).to_series()
        if not dtype.is_temporal():
            return values.cast(pl.String)
        if beyond_iso(values):
            mask = pl.Series([beyond_iso(values[index : index + 1]) for index in range(len(values))])
            hint = "ISO 8601 has no text for it: filter it out with --where."
            self._refuse(column, mask, first, "is a time outside of the years 1 to 9999", hint)
        return values.to_frame().select(iso_text(source, dtype)).to_series()

    def _refuse(self, column: SheetColumn, mask: pl.Series, first: int, reason: str, hint: str) -> None:
        row = first + int(mask.fill_null(value=False).arg_true()[0]) + 1
        message = f"Row {row:,} of column {column.name[:_SHOWN]!r} of table {self._table.name} {reason}."
        raise RequestError(message, hint=hint)


def column_letters(index: int) -> str:
    """The name of a column by its zero-based index: A to XFD."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _shareable(texts: pl.Series, *, is_inside: bool) -> pl.Series | None:
    """The texts that become shared strings; None where none does."""
    if not is_inside:
        return texts
    # What takes escapes is read back from shared strings only.
    odd = texts.to_frame().select(is_odd(pl.all()).fill_null(value=False)).to_series()
    return _only(texts, odd) if odd.any() else None


def _only(values: pl.Series, mask: pl.Series) -> pl.Series:
    """The values for which the mask holds, null for all others."""
    return pl.select(pl.when(pl.lit(mask)).then(pl.lit(values)).alias(values.name)).to_series()


def _merged(parts: Sequence[Part]) -> list[pl.Expr]:
    """The same parts as expressions, with texts that follow each other joined: each part costs."""
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return [pl.lit(part) if isinstance(part, str) else part for part in merged]

"""How wide columns are shown, from a sample of their values."""

import polars as pl

from tailrace_format_excel.columns import GENERAL, SheetColumn, SheetTable

_SAMPLE = 1_000
_LEAST, _MOST = 8, 60
_FOR_FILTER = 3
"""Characters that the button of the filter takes in a header."""
_PADDING = 2
_LENGTHS = {"date": 10, "datetime": 23, "time": 12, "duration": 14, "flag": 5, "nothing": 0}
_OF_ISO_TEXT = 27
_OF_ROUNDED = 12


def widths(table: SheetTable, sample: pl.DataFrame) -> list[int]:
    """Width of each column, in characters.

    Args:
        table: The table.
        sample: Some of its rows.
    """
    known = [_length(column) for column in table.columns]
    lengths = [
        pl.nth(index).cast(pl.String).str.len_chars().max().alias(str(index))
        for index, length in enumerate(known)
        if length is None
    ]
    found = sample.head(_SAMPLE).select(lengths).row(0, named=True) if lengths else {}
    return [
        _width(column, length if length is not None else _shown(column, found[str(index)] or 0))
        for index, (column, length) in enumerate(zip(table.columns, known, strict=True))
    ]


def _length(column: SheetColumn) -> int | None:
    """What all values of a column take; None where they differ."""
    if isinstance(column.dtype, pl.Binary):
        return _MOST
    return _OF_ISO_TEXT if column.kind == "text" and column.dtype.is_temporal() else _LENGTHS.get(column.kind)


def _shown(column: SheetColumn, longest: int) -> int:
    if column.kind == "float" and column.number_format != GENERAL:
        longest = min(longest, _OF_ROUNDED)
    return longest + longest // 4 if "," in column.number_format else longest


def _width(column: SheetColumn, shown: int) -> int:
    return max(_LEAST, min(_MOST, max(shown + _PADDING, len(column.header) + _FOR_FILTER)))

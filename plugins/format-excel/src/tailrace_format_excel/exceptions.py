"""Single values that Excel cannot hold as what they are: they become text, and are told."""

from collections import Counter
from collections.abc import Iterator, Sequence

import attrs
import polars as pl

from tailrace_format_excel import moments
from tailrace_format_excel.columns import SheetColumn
from tailrace_format_excel.limits import MAX_DIGITS

MANY_DIGITS = f"of more than {MAX_DIGITS} digits"
NOT_FINITE = "not finite"
OUT_OF_RANGE = "beyond the calendar of Excel (1900-03-01 to 9999-12-31, no negative durations)"
TOO_FINE = "finer than the times of Excel"
TWICE = "of an hour that the clocks of the zone showed twice"

_MOST = 10**MAX_DIGITS


@attrs.define
class Told:
    """What was written as text, column by column, to be told at the end."""

    _counts: Counter[tuple[str, str]] = attrs.field(factory=Counter)

    def add(self, column: str, reason: str, count: int) -> None:
        """Count values of a column."""
        self._counts[column, reason] += count

    def notes(self, table: str) -> list[str]:
        """What there is to say, in sentences."""
        return [
            f"{table}.{column}: {count:,} {'value' if count == 1 else 'values'} {reason}, written as text."
            for (column, reason), count in self._counts.items()
        ]


class Exceptions:
    """Finds what is exceptional in the columns of a table.

    Most batches have nothing of the kind, and their extremes say so: those of all columns are asked for at once.

    Args:
        columns: The columns, in the order of the batches.
    """

    def __init__(self, columns: Sequence[SheetColumn]) -> None:
        self._columns = columns
        self._ranges = [_plain_range(column) for column in columns]
        self._extremes = [
            extreme.alias(f"{index} {name}")
            for index, column in enumerate(columns)
            if self._ranges[index] is not None
            for name, extreme in _extremes(index, column)
        ]

    def suspects(self, batch: pl.DataFrame) -> frozenset[int]:
        """The columns, by their index, in which something exceptional may be."""
        if not self._extremes:
            return frozenset(index for index, column in enumerate(self._columns) if _may_be(column))
        found = batch.select(self._extremes).row(0, named=True)
        return frozenset(index for index, column in enumerate(self._columns) if self._is_suspect(index, column, found))

    def _is_suspect(self, index: int, column: SheetColumn, found: dict[str, object]) -> bool:
        if not _may_be(column):
            return False
        if column.kind == "float":
            return not found[f"{index} finite"]
        plain = self._ranges[index]
        least, most = found.get(f"{index} least"), found.get(f"{index} most")
        if plain is None:
            return True
        return isinstance(least, int) and isinstance(most, int) and (least < plain[0] or most > plain[1])


def exceptions_of(values: pl.Series, column: SheetColumn) -> Iterator[tuple[str, pl.Series]]:
    """What is exceptional in the values of a column: why, and whether each is (null stands for no).

    Args:
        values: Some of its values.
        column: The column.
    """
    # polars turns methods of a series into expressions on its name, and takes "*" and "^…$" for patterns.
    values = values.alias("")
    found: list[tuple[str, pl.Series | None]]
    if column.kind == "float":
        found = [(NOT_FINITE, ~values.is_finite())]
    elif column.kind in {"whole", "decimal"}:
        found = [(MANY_DIGITS, _beyond_digits(values.to_physical()))]
    else:
        beyond = moments.out_of_range(values)
        if beyond is not None:
            # polars has no local time for what is far beyond.
            values = pl.select(pl.when(~pl.lit(beyond)).then(pl.lit(values)).alias("")).to_series()
        found = [
            (OUT_OF_RANGE, beyond),
            (TOO_FINE, moments.too_fine(values)),
            (TWICE, moments.ambiguous(values)),
        ]
    for reason, mask in found:
        if mask is not None and mask.any():
            yield reason, mask


def _may_be(column: SheetColumn) -> bool:
    return column.kind not in {"text", "flag", "nothing"} and not column.is_small


def _plain_range(column: SheetColumn) -> tuple[int, int] | None:
    if not _may_be(column):
        return None
    if column.kind in {"whole", "decimal", "float"}:
        return 1 - _MOST, _MOST - 1
    return moments.plain_range(column.dtype)


def _extremes(index: int, column: SheetColumn) -> list[tuple[str, pl.Expr]]:
    # By number: polars takes "*" and "^…$" for patterns, not for names.
    values = pl.nth(index)
    if column.kind == "float":
        return [("finite", values.is_finite().all())]
    return [("least", values.to_physical().min()), ("most", values.to_physical().max())]


def _beyond_digits(numbers: pl.Series) -> pl.Series:
    least = numbers.min()
    beyond: pl.Series = numbers >= _MOST
    # Unsigned numbers cannot even be compared with a negative one.
    return beyond | (numbers <= -_MOST) if isinstance(least, int) and least < 0 else beyond

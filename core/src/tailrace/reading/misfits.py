"""Values that do not fit their column: what becomes of their rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs

from tailrace.model.dataset import BadRow, BadRows
from tailrace.model.errors import BadRowError

if TYPE_CHECKING:
    import polars as pl


@attrs.frozen
class Misfit:
    """A value that does not fit its column.

    Args:
        index: Zero-based place in the batch.
        column: Name of the column.
        reason: Why, without the value.
    """

    index: int
    column: str
    reason: str


@attrs.frozen
class Decoded:
    """A batch in its final types.

    Args:
        numbers: Integers that number the rows for people, ascending.
        rows: The rows; null where a value does not fit.
        misfits: The values that do not fit, by row.
    """

    numbers: "pl.Series"
    rows: "pl.DataFrame"
    misfits: Sequence[Misfit]

    def numbered(self, start: int) -> "Decoded":
        """The same, numbered by place.

        Args:
            start: Rows before the first of these.
        """
        import polars as pl

        return attrs.evolve(self, numbers=pl.int_range(start + 1, start + 1 + self.rows.height, eager=True))


class Sieve:
    """Lets through the rows that fit. The first that does not is an error, or each of them is told, once.

    Args:
        table: What the rows belong to, for messages.
        bad_rows: Where rows are told that do not fit; None for an error.
    """

    def __init__(self, table: str, bad_rows: BadRows | None) -> None:
        self._table = table
        self._bad_rows = bad_rows
        self._told: int | None = None

    def passed(self, decoded: Decoded) -> "pl.DataFrame":
        """The rows of a batch that fit.

        Raises:
            BadRowError: A row does not, and none may be left out.
        """
        bad: dict[int, BadRow] = {}
        for misfit in decoded.misfits:
            number = int(decoded.numbers[misfit.index])
            bad.setdefault(misfit.index, BadRow(number, misfit.column, misfit.reason))
        if not bad:
            return decoded.rows
        if self._bad_rows is None:
            first = next(iter(bad.values()))
            message = f"Row {first.row} of {self._table!r}, column {first.column!r}: {first.reason}."
            raise BadRowError(message, row=first.row, column=first.column)
        # Rows come in order, so an earlier collection of the same frame told all of them up to some number.
        new = [row for row in bad.values() if self._told is None or (row.row is not None and row.row > self._told)]
        if new:
            self._told = new[-1].row
            self._bad_rows.add(new)
        return decoded.rows[[index for index in range(decoded.rows.height) if index not in bad]]


def checked_text(series: "pl.Series") -> "tuple[pl.Series, list[int]]":
    """Text with null in the places that are not UTF-8, and those places: neither drivers nor import check it."""
    import polars as pl

    stored = series.cast(pl.Binary)
    try:
        return stored.cast(pl.String), []
    except pl.exceptions.PolarsError:
        texts: list[str | None] = []
        broken: list[int] = []
        for index, value in enumerate(stored):
            try:
                texts.append(None if value is None else value.decode())
            except UnicodeDecodeError:
                texts.append(None)
                broken.append(index)
        return pl.Series(texts, dtype=pl.String), broken

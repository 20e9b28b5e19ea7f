"""What happens to rows that cannot be read: the first stops the export, or all are left out, counted and listed."""

from pathlib import Path

import attrs
import polars as pl

from tailrace import BadRow, BadRowError, BadRows


@attrs.frozen
class Unreadable:
    """Decides on unreadable rows of one table.

    Args:
        where: What the rows are rows of, for messages: a path, or a table in it.
        unit: What a row is called: ``"line"``, ``"row"``, ``"proxy"``.
        bad_rows: Where they go; None to raise at the first of them.
    """

    where: Path | str
    unit: str
    bad_rows: BadRows | None

    def leave_out(self, rows: pl.Series, column: str | pl.Series | None, reasons: pl.Series) -> pl.Series:
        """Take unreadable rows out.

        Args:
            rows: One-based positions.
            column: Name of the column that is unreadable, the same for all rows or one for each.
            reasons: Why a row is unreadable; null where it is fine. Never a value.

        Returns:
            A mask of the rows to keep.

        Raises:
            BadRowError: For the first unreadable row, where they are not collected.
        """
        good = reasons.is_null()
        if good.all():
            return good
        names = column if isinstance(column, pl.Series) else pl.repeat(column, rows.len(), dtype=pl.String, eager=True)
        found = [
            BadRow(row, name, reason)
            for row, name, reason in zip(rows.filter(~good), names.filter(~good), reasons.filter(~good), strict=True)
        ]
        if self.bad_rows is None:
            first = min(found, key=lambda bad: bad.row or 0)
            place = f", column {first.column}" if first.column and first.column != self.unit else ""
            message = f"{self.where}, {self.unit} {first.row}{place}: {first.reason}."
            raise BadRowError(message, row=first.row, column=first.column)
        self.bad_rows.add(found)
        return good

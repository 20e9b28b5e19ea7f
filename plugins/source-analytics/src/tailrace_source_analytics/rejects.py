"""What happens to rows that cannot be read: they stop the export, or are left out, counted and listed."""

from collections.abc import Sequence

import attrs

from tailrace import BadRow, BadRowError, BadRows


@attrs.frozen
class Rejects:
    """Where rows go that cannot be read.

    Args:
        bad_rows: Where they are counted and listed; None when the first of them ends the export.
    """

    bad_rows: BadRows | None

    def add(self, found: Sequence[BadRow], *, count: int | None = None) -> None:
        """Take rows; ``count`` when there are more of them than examples given.

        Raises:
            BadRowError: For the first of them, unless they are to be listed.
        """
        if not found:
            return
        if self.bad_rows is not None:
            self.bad_rows.add(found, count=count)
            return
        first = min(found, key=lambda bad: bad.row or 0)
        column = f", column {first.column!r}" if first.column else ""
        message = f"Row {first.row}{column}: {first.reason}."
        raise BadRowError(message, row=first.row, column=first.column)

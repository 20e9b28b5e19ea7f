"""Looking at rows while they pass: numbers that JSON does not have, and times that ISO 8601 does not."""

import threading

import polars as pl

from tailrace import RequestError, beyond_iso
from tailrace_format_json.nesting import leaf_types, leaves
from tailrace_format_json.options import JsonOptions


class Inspection:
    """Counts the numbers of one table that are not finite, and refuses what cannot be written.

    Args:
        table: Name of the table.
        schema: Its columns.
        options: Of the format.
    """

    def __init__(self, table: str, schema: pl.Schema, options: JsonOptions) -> None:
        self._table = table
        self._refuse = options.nonfinite == "refuse"
        self._columns = [
            name for name, dtype in schema.items() if any(_may_be_wrong(kind) for kind in leaf_types(dtype))
        ]
        self._nonfinite = dict.fromkeys(schema, 0)
        self._lock = threading.Lock()

    def of(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        """The same rows, looked at when they are collected."""
        return frame.map_batches(self.look, streamable=True) if self._columns else frame

    def notes(self) -> list[str]:
        """What was found, in sentences; complete when the rows have passed."""
        return [
            f"{self._table}.{name}: {count} {'values that are' if count > 1 else 'value that is'} not finite "
            f"{'were' if count > 1 else 'was'} written as null."
            for name, count in self._nonfinite.items()
            if count
        ]

    def look(self, batch: pl.DataFrame) -> pl.DataFrame:
        """Look at some rows; safe to call from several threads.

        Raises:
            RequestError: A value that cannot be written.
        """
        for name in self._columns:
            for values in leaves(batch[name]):
                if beyond_iso(values):
                    raise RequestError(
                        f"Column {name!r} of table {self._table} has times outside of the years 1 to 9999.",
                        hint="ISO 8601 has no text for them: filter them out with --where.",
                    )
                if values.dtype.is_float():
                    self._count(name, int((~values.is_finite()).sum()))
        return batch

    def _count(self, name: str, nonfinite: int) -> None:
        if nonfinite and self._refuse:
            raise RequestError(
                f"Column {name!r} of table {self._table} has a number that is not finite, which JSON does not have.",
                hint="Filter such rows out with --where, or have null written: --option nonfinite=null",
            )
        # polars calls from several threads.
        with self._lock:
            self._nonfinite[name] += nonfinite


def _may_be_wrong(dtype: pl.DataType) -> bool:
    return dtype.is_float() or dtype.is_temporal()

"""Values that a CSV file cannot hold without loss: they stop the export when they pass by."""

from collections.abc import Callable, Sequence

import polars as pl

from tailrace import RequestError, beyond_iso


def inspected(frame: pl.LazyFrame, inspect: Callable[[pl.DataFrame], None]) -> pl.LazyFrame:
    """The same rows, each batch of which is shown to ``inspect`` while it passes.

    Args:
        frame: Rows on their way to the file.
        inspect: Raises to stop the export; called from several threads.
    """

    def look(batch: pl.DataFrame) -> pl.DataFrame:
        inspect(batch)
        return batch

    return frame.map_batches(look, streamable=True)


def refuse_beyond_iso(table: str, columns: Sequence[str]) -> Callable[[pl.DataFrame], None]:
    """Refuse dates and times that have no agreed text.

    Args:
        table: Name of the table.
        columns: Those that hold dates, times or durations.
    """

    def inspect(batch: pl.DataFrame) -> None:
        for name in columns:
            if beyond_iso(batch[name]):
                message = f"Column {name!r} of table {table} has times outside of the years 1 to 9999."
                raise RequestError(message, hint="ISO 8601 has no text for them: filter them out with --where.")

    return inspect


def refuse_null_text(table: str, columns: Sequence[str], nulls: str) -> Callable[[pl.DataFrame], None]:
    """Refuse texts that could not be told from null.

    Args:
        table: Name of the table.
        columns: Those that hold text.
        nulls: What stands for null.
    """

    def inspect(batch: pl.DataFrame) -> None:
        for name in columns:
            # Without its name, which may look like a pattern; as text, because an Enum knows its own categories only.
            if (batch[name].alias("").cast(pl.String) == nulls).any():
                what = f"a text {nulls!r}" if nulls else "an empty text and is the only column"
                message = f"Column {name!r} of table {table} has {what}, which could not be told from null."
                raise RequestError(message, hint="Choose another text for null: --option nulls=NULL")

    return inspect

"""What the values of a column look like in a CSV file."""

import polars as pl

from tailrace import RequestError, guarded, iso_text
from tailrace_format_csv.guard import GUARD


def cells(table: str, schema: pl.Schema, *, guard: bool) -> list[pl.Expr]:
    """Expressions that turn each column into what is written.

    Args:
        table: Name of the table, for errors.
        schema: Its columns.
        guard: Whether text is guarded against spreadsheets.

    Raises:
        RequestError: A column that CSV cannot hold.
    """
    expressions = []
    for number, (name, dtype) in enumerate(schema.items()):
        # By number: polars takes "*" and "^…$" for patterns, not for names.
        expression = _cell(pl.nth(number), dtype, guard=guard)
        if expression is None:
            message = f"Column {name!r} of table {table} holds {dtype}, which CSV cannot hold."
            raise RequestError(message, hint="Leave it out (--columns), or choose --format json.")
        expressions.append(expression.alias(name))
    return expressions


def _cell(values: pl.Expr, dtype: pl.DataType, *, guard: bool) -> pl.Expr | None:
    # Base64 and durations are text of ours, and may begin with a plus or a minus.
    text = None
    if isinstance(dtype, pl.String | pl.Categorical | pl.Enum):
        text = values.cast(pl.String) if guard else values
    elif isinstance(dtype, pl.Binary):
        text = values.bin.encode("base64")
    elif isinstance(dtype, pl.Duration):
        text = iso_text(values, dtype)
    if text is not None:
        return guarded(text) if guard else text
    if dtype.is_temporal():
        return iso_text(values, dtype)
    if dtype.is_float() and guard:
        return pl.when(values == float("-inf")).then(pl.lit(f"{GUARD}-inf")).otherwise(values.cast(pl.String))
    return values if dtype.is_numeric() or isinstance(dtype, pl.Boolean | pl.Null) else None


def is_text(dtype: pl.DataType) -> bool:
    """Whether a column of what is written can hold any text."""
    return isinstance(dtype, pl.String | pl.Categorical | pl.Enum)

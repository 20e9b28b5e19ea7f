"""Values of a frame in the type that their place in a pool has."""

import polars as pl

from tailrace import RequestError, beyond_iso


def fitted(frame: pl.DataFrame, name: str, dtype: pl.DataType) -> pl.Series:
    """A column in this type; all null where the frame does not have it.

    Raises:
        RequestError: A value does not fit.
    """
    if name not in frame.columns:
        return pl.Series(name, [None], dtype=dtype).new_from_index(0, frame.height)
    given = frame[name]
    column = given.cast(dtype, strict=False)
    lost = column.null_count() - given.null_count()
    if lost or beyond_iso(column) or (dtype == pl.Float64 and not column.is_finite().all()):
        raise RequestError(
            f"The pool cannot hold what is in column {name}.",
            hint="Times lie in the years 1 to 9999, and numbers are finite; leave the column out, or mend it.",
        )
    return column

"""A log as its reader hands it over: rows as they are stored, before anyone gave them a meaning."""

from collections.abc import Callable, Mapping, Sequence

import attrs
import polars as pl
import polars.selectors as cs

ROW = "\x00row"
"""Name of the column that numbers rows from 1 on; no column of the data can be called so."""


def exactly(name: str) -> pl.Expr:
    """The column of exactly that name; ``pl.col`` reads ``*`` and ``^…$`` as patterns for several."""
    return cs.by_name(name).as_expr()


def is_text(dtype: pl.DataType) -> bool:
    """Whether values of a type are texts."""
    return dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)


@attrs.frozen
class Log:
    """A log as it is stored.

    Args:
        kind: What it is stored as: ``"parquet"``, ``"squid"`` …
        place: Where, for messages: a file name, a table.
        frame: The rows.
        numbered: Makes the same rows with their number in column :data:`ROW`, first.
        count: Counts the rows independently of reading them, those that cannot be read included.
        sample: Returns up to n rows, spread, of the types that ``frame`` has.
        is_empty: Whether there are no rows at all, good or bad; without going through them.
        declared: Types that a database declares, by column.
        partitions: Columns that come from names of folders.
        nested: Columns that hold JSON text.
        notes: What was recognised.
        bounds: Says where the log may be cut, as numbers of rows before the cut, in order, from 0 to all rows, those
            that cannot be read included. None: it is not read in parts.
        part: Makes a log of the rows between two such bounds. What columns mean is told by the whole log only.
    """

    kind: str
    place: str
    frame: pl.LazyFrame = attrs.field(repr=False)
    numbered: Callable[[], pl.LazyFrame] = attrs.field(repr=False)
    count: Callable[[], int] = attrs.field(repr=False)
    sample: Callable[[int], pl.DataFrame] = attrs.field(repr=False)
    is_empty: Callable[[], bool] = attrs.field(repr=False)
    declared: Mapping[str, str] = attrs.field(factory=dict)
    partitions: frozenset[str] = frozenset()
    nested: frozenset[str] = frozenset()
    notes: Sequence[str] = ()
    bounds: Callable[[], Sequence[int]] | None = attrs.field(default=None, repr=False)
    part: "Callable[[range], Log] | None" = attrs.field(default=None, repr=False)

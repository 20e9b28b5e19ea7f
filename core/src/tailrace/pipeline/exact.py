"""Columns by their exact names."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def exactly(name: str) -> "pl.Expr":
    """The column of exactly that name; ``pl.col`` reads ``*`` and ``^…$`` as patterns for several."""
    import polars.selectors as cs

    return cs.by_name(name).as_expr()

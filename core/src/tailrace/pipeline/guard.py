"""Keeping spreadsheets from running text as a formula, reversibly.

The rule: a text gets one apostrophe ``'`` in front when

- it begins with an apostrophe, a tab, a carriage return or a line feed, or
- its first character that is not white space, a control or format character (such as zero-width spaces), ``"`` or
  ``{`` is one of ``= + - @``, the full-width form of one (U+FF1D, FF0B, FF0D,
  FF20), the small form (U+FE66, FE62, FE63, FE6B), or the minus sign (U+2212).

The inverse: a field that begins with an apostrophe loses that one apostrophe. It is exact, because a text that
began with one already got another.

The rule is for text, also when the text is a number such as ``-5``: no column is half guarded, and the text keeps being
text. Columns of numbers, dates and times are written as they are, but for ``-inf``, which is no number to a
spreadsheet and written ``'-inf``. Names of columns are text.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

GUARD = "'"
_RUNS_AS_FORMULA = (
    r"""^(?:['\t\r\n]|[\p{Z}\p{C}"{]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}\x{FE66}\x{FE62}\x{FE63}\x{FE6B}\x{2212}])"""
)


def guarded(text: "pl.Expr") -> "pl.Expr":
    """Put the guard in front of texts that need it.

    Args:
        text: Expression of type String.
    """
    import polars as pl

    return pl.when(text.str.contains(_RUNS_AS_FORMULA)).then(pl.lit(GUARD) + text).otherwise(text)


def guarded_names(names: list[str]) -> list[str]:
    """Guard names of columns; different names stay different."""
    import polars as pl

    return pl.DataFrame({"name": names}).select(guarded(pl.col("name"))).to_series().to_list()

"""The guard against spreadsheets that run text as a formula: its inverse and its words; the core has the rule."""

from typing import TYPE_CHECKING

from tailrace import guarded_names

if TYPE_CHECKING:
    import polars as pl

GUARD = "'"

NOTE = (
    "Profile excel: a text that a spreadsheet could run as a formula, or that begins with an apostrophe, has one "
    "apostrophe (') in front; a field that begins with an apostrophe loses it to become the exact text again."
)


def restored(text: "pl.Expr") -> "pl.Expr":
    """The exact texts again: the inverse of :func:`guarded`.

    Args:
        text: Expression of type String.
    """
    return text.str.strip_prefix(GUARD)


def is_guarded(text: str) -> bool:
    """Whether :func:`guarded` changes a text."""
    return guarded_names([text]) != [text]

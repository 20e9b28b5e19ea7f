"""Texts of others as texts of a page: whatever is in them, they are read and never obeyed.

Besides what HTML needs, this takes characters away that have no place in a text, or that turn what follows them round,
so that it reads as something else: they become U+FFFD. The data in the file has them as they are.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_UNWANTED = "\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff"
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_PATTERN = re.compile(f"[{_UNWANTED}\ud800-\udfff]")
_TABLE = str.maketrans(_ENTITIES)


def escaped(text: str) -> str:
    """One text, for elements and for attributes in double quotes."""
    return _PATTERN.sub(_REPLACEMENT, text).translate(_TABLE)


def escaped_column(text: "pl.Expr") -> "pl.Expr":
    """A column of texts, the same."""
    cleaned = text.str.replace_all(f"[{_UNWANTED}]", _REPLACEMENT)
    return cleaned.str.replace_many(list(_ENTITIES), list(_ENTITIES.values()))

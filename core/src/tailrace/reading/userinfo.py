r"""Removing user names and passwords from addresses in text.

Credentials are recognised by where they stand, not by what they look like: between ``://`` and the last ``@`` before
the host, or as ``name:password@`` at the beginning of a word. In doubt something is removed: a text that loses a word
is better than one that tells a password. What stays is what cannot be one: ``@`` in the path of an address
(``https://example.com/@name``), and mail addresses.

The patterns are read by two engines, Rust's (no look-around) and Python's; tests hold them to the same results.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

# White space is spelt out: the two engines differ in what \s is.
_SCHEME = r"(:\\?/\\?/)"
# An escape of any depth: %40, %2540, %252540.
_ESCAPE = r"%(?:25)*"
_ESCAPED_SCHEME = rf"((?::|{_ESCAPE}3[Aa])(?:/|{_ESCAPE}2[Ff])(?:/|{_ESCAPE}2[Ff]))"
# Any escape but those of / ? and #.
_ESCAPED_OTHER = rf"{_ESCAPE}(?:2[0-24-9A-Ea-e]|3[0-9A-Ea-e]|[014-9A-Fa-f][0-9A-Fa-f])"
_WORD = r"""(^|[ \t-\r,;|=(\[{"'<>])"""
_NAME = r"""[^ \t-\r/?#@:,;|=(\[{"'<>]+"""

_CREDENTIALS = (
    # Scheme, name and a password with / ? or #: what follows the colon is no port.
    _SCHEME + r"""[^ \t-\r/?#@:"<>\[]*:[0-9]*[^ \t-\r/?#@0-9"<>][^ \t-\r@"<>]*@""",
    # Scheme, and anything up to the last @ of the authority.
    _SCHEME + r"""[^ \t-\r/?#"<>\\]*@""",
    # The same, escaped.
    _ESCAPED_SCHEME + rf"""(?:[^ \t-\r/?#&"<>%\\]|{_ESCAPED_OTHER})*(?:@|{_ESCAPE}40)""",
    # Name and password without scheme, up to the last @.
    _WORD + _NAME + r""":[^ \t-\r/,;"<>]*@""",
    # The same, with a / in the password.
    _WORD + _NAME + r""":[0-9]*[^ \t-\r/@0-9,;"<>][^ \t-\r@,;"<>]*@""",
)
"""What stands before the credentials is the first group of each."""

_MAIL_TARGET = re.compile(r"""(?<![\w@:/.-])(email:[^\s:@/,;"'<>]+@(?:[a-zA-Z0-9-]+\.)+[a-zA-Z]{2,}(?![\w:@-]|\.\w))""")
"""``email:ann@example.com`` is whom mail goes to, and no user of that name: no port, and no number for a host."""
_SIGNS = ("@", "%40", "%25")
"""What every text with credentials contains: an ``@``, or one escaped to any depth (%40, %2540, %252540 …).

They begin with one of two rare characters, which makes them quick to look for.
"""


def without_userinfo(expr: "pl.Expr", *, removed: "Callable[[pl.Series], None] | None" = None) -> "pl.Expr":
    """Remove user names and passwords from every address in a text column.

    Args:
        expr: A text expression.
        removed: Told what is removed, as ``name:password@`` and as it is written, whenever something is; from the
            threads that read.

    Returns:
        The same text without ``name:password@``; null stays null.
    """
    import polars as pl

    # The signs are looked for by polars alone, which does it beside Python; most batches then need nothing more.
    signs = expr.str.contains_any(list(_SIGNS))
    return pl.map_batches(
        [expr, signs], partial(_cleaned, removed=removed), return_dtype=pl.String, is_elementwise=True
    )


def redacted(text: str) -> str:
    """Remove user names and passwords from every address in one text, as :func:`without_userinfo` does in a column.

    Args:
        text: Any text, such as a location that a user wrote.

    Returns:
        The same text without ``name:password@``.
    """
    if not any(sign in text for sign in _SIGNS):
        return text
    # Every other part is an address to which mail goes.
    parts = _MAIL_TARGET.split(text)
    return "".join(part if number % 2 else _without(part) for number, part in enumerate(parts))


def _without(text: str) -> str:
    for pattern in _CREDENTIALS:
        text = re.sub(pattern, r"\1", text)
    return text


def _cleaned(columns: "Sequence[pl.Series]", *, removed: "Callable[[pl.Series], None] | None" = None) -> "pl.Series":
    texts, signs = columns
    if not signs.any():
        return texts
    name = texts.name
    # Methods of a series go by its name, which polars takes for a pattern where it is ``*`` or ``^…$``.
    texts, suspects = texts.alias(""), signs.alias("").arg_true()
    cleaned = texts.gather(suspects)
    for pattern in _CREDENTIALS:
        stored, cleaned = cleaned, cleaned.str.replace_all(pattern, "${1}")
        if removed is not None:
            _tell(stored.filter((stored != cleaned).fill_null(value=False)), pattern, removed)
    return texts.scatter(suspects, cleaned).alias(name)


def _tell(texts: "pl.Series", pattern: str, removed: "Callable[[pl.Series], None]") -> None:
    """Tell what the pattern finds in the texts, without what stands before it."""
    import polars as pl

    if texts.is_empty():
        return
    found = texts.str.extract_all(pattern).explode().unique()
    before = found.str.replace(pattern, "${1}").alias("before")
    removed(
        pl.DataFrame([found.alias("found"), before])
        .select(pl.col("found").str.strip_prefix(pl.col("before")))
        .to_series()
    )

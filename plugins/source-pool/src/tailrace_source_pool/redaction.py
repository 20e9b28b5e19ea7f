"""Searching text for the logins of a pool, and taking them out.

Four rules, in this order; what is found is replaced by ``[redacted]`` (by the second it is removed):

1. Every user name and password of the pool, wherever it occurs: as it is, percent-encoded, JSON-escaped or in base64,
   in upper or lower case. One of up to three characters counts only where it stands as a word of its own: found inside
   other words it would tell nothing and spoil everything.
2. ``user:password@`` in any address.
3. Fernet tokens: what ProxyWhirl stores in place of a login.
4. Values of query parameters and JSON members that are named like a credential (``api_key``, ``token`` …).
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from tailrace import without_userinfo
from tailrace_source_pool.suspects import Suspects

REDACTED = "[redacted]"

_SHORT = 3
_TOKEN = r"(?:encrypted:[A-Za-z0-9+/_=-]+|(?:gAAAAA|Z0FBQUFB)[A-Za-z0-9+/_=-]{32,})"  # noqa: S105 - a pattern
_CREDENTIAL_NAME = (
    r"(?:[a-z0-9_.-]*(?:passw(?:or)?d|passphrase|secret|token|credentials?|(?:api|access|private|auth)[_.-]?key)"
    r"|(?:[a-z0-9]+[_.-])*(?:pass|pwd|user|username|login|auth|authorization|signature))"
)
_PARAMETER = rf"(?i)([?&;]{_CREDENTIAL_NAME}=)[^&;#\s\"'<>]+"
_MEMBER = re.compile(rf"(?i)\A(?:{_CREDENTIAL_NAME})\Z")
_REMEMBERED = 50_000
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class Redactor:
    """Takes the logins of one pool out of texts.

    It has no useful representation on purpose. Give its work to polars as a function, never as an expression: the
    plan of a lazy frame shows the literals in it, and so do the errors that quote the plan.

    Args:
        logins: User names and passwords in clear; either may be None.
    """

    def __init__(self, logins: Iterable[tuple[str | None, str | None]]) -> None:
        single: set[str] = set()
        pairs: set[str] = set()
        for user, password in logins:
            single.update(part for part in (user, password) if part)
            if user and password:
                pairs.add(f"{user}:{password}")
        self._short = sorted(secret for secret in single if len(secret) <= _SHORT)
        self._suspects = Suspects([secret for secret in single if len(secret) > _SHORT], pairs)
        self._seen: dict[str, str] = {"": ""}

    def texts(self, *columns: pl.Series) -> list[pl.Series]:
        """The same columns of texts without any login; null stays null.

        Hand over many columns at once rather than one after the other: setting up the search is what costs.
        """
        unique = [column.drop_nulls().unique() for column in columns]
        # Texts repeat from batch to batch: remember what was found.
        seen = self._seen
        unknown = pl.Series(list({text for texts in unique for text in texts if text not in seen}), dtype=pl.String)
        seen.update(zip(unknown, self._scrub(unknown), strict=True))
        if len(seen) > _REMEMBERED:
            self._seen = {"": ""}
        return [_replaced(column, texts, seen) for column, texts in zip(columns, unique, strict=True)]

    @staticmethod
    def json_text(values: Sequence[object]) -> pl.Series:
        """JSON-like values as compact JSON text, as they are."""
        return pl.Series([None if value is None else _COMPACT.encode(value) for value in values], dtype=pl.String)

    def json_texts(self, *columns: Sequence[object]) -> list[pl.Series]:
        """Columns of JSON-like values as compact JSON text without any login: in texts, numbers, names and members."""
        leaves = list({leaf for values in columns for value in values for leaf in _leaves(value)})
        (scrubbed,) = self.texts(pl.Series(leaves, dtype=pl.String))
        clean = {leaf: text for leaf, text in zip(leaves, scrubbed, strict=True) if leaf != text}
        guarded = {leaf for leaf in leaves if _MEMBER.match(leaf)}

        def shown(value: object) -> str | None:
            if value is None:
                return None
            return _COMPACT.encode(_rebuilt(value, clean, guarded) if clean or guarded else value)

        return [pl.Series([shown(value) for value in values], dtype=pl.String) for values in columns]

    def _scrub(self, texts: pl.Series) -> pl.Series:
        if texts.is_empty():
            return texts
        text = pl.col("text")
        # Before an address is taken apart, or a login that holds an @ would be torn in two.
        if suspected := self._suspects.forms_in(texts):
            forms, marks = pl.Series(suspected), pl.Series([REDACTED] * len(suspected))
            text = text.str.replace_many(
                pl.lit(forms).implode(), pl.lit(marks).implode(), ascii_case_insensitive=True, leftmost=True
            )
        text = without_userinfo(text).str.replace_all(_TOKEN, REDACTED)
        text = text.str.replace_all(_PARAMETER, f"${{1}}{REDACTED}")
        if self._short:
            words = "|".join(re.escape(secret) for secret in self._short)
            pattern = rf"(^|[^\pL\pN])(?:{words})($|[^\pL\pN])"
            # Twice, because two words in a row share the character between them.
            for _ in range(2):
                text = text.str.replace_all(pattern, f"${{1}}{REDACTED}${{2}}")
        return texts.to_frame("text").select(text).to_series()


def _replaced(column: pl.Series, unique: pl.Series, clean: Mapping[str, str]) -> pl.Series:
    texts = pl.Series([clean[text] for text in unique], dtype=pl.String)
    changed = unique != texts
    return column.replace(unique.filter(changed), texts.filter(changed)) if changed.any() else column


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield _as_text(value)


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _rebuilt(value: object, clean: Mapping[str, str], guarded: Collection[str], *, inside: bool = False) -> Any:
    """The value with its texts replaced; ``inside`` a guarded member everything is."""
    if isinstance(value, dict):
        made: dict[str, Any] = {}
        for name, inner in value.items():
            kept = _free_name(clean.get(name, name), made)
            made[kept] = _rebuilt(inner, clean, guarded, inside=inside or name in guarded)
        return made
    if isinstance(value, list):
        return [_rebuilt(inner, clean, guarded, inside=inside) for inner in value]
    if value is None or value == "":
        return value
    return REDACTED if inside else clean.get(_as_text(value), value)


def _free_name(name: str, taken: Mapping[str, object]) -> str:
    """The name, numbered where redaction made two names of an object equal."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} {number}"
    return free

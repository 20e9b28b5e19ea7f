"""Which of very many secrets may be in some texts, told by a short piece of each.

Replacing two hundred thousand secrets in a dozen forms each takes an automaton of gigabytes, and nearly none of them is
ever in a text. So pieces of eight characters are looked for first, of a part of the secret that is the same in all its
forms; only secrets whose piece is found are worth the trouble.
"""

import base64
import json
import re
from collections.abc import Collection, Iterator
from urllib.parse import quote, quote_plus

import polars as pl
from ahocorasick_rs import BytesAhoCorasick, Implementation

_PIECE = 8
_CHUNK = 10_000
"""Texts that are searched at once."""
# What neither percent-encoding nor JSON changes; and of Base64 what both alphabets have.
_UNCHANGED = re.compile(r"[A-Za-z0-9._~-]{4,}")
_IN_BASE64 = re.compile(r"[A-Za-z0-9]{4,}")


class Suspects:
    """Tells which secrets may be in texts; without a representation on purpose.

    Args:
        secrets: To be found as they are, percent-encoded, JSON-escaped and in Base64, in upper or lower case.
        pairs: To be found in Base64 only.
    """

    def __init__(self, secrets: Collection[str], pairs: Collection[str]) -> None:
        self._secrets = secrets
        self._pairs = pairs
        self._always: set[str] = set()
        pieces: set[bytes] = set()
        for form, piece in self._traced():
            if piece is None:
                # Without such a piece, it is always suspected.
                self._always.add(form)
            else:
                pieces.add(piece)
        self._pieces = list(pieces)
        self._automaton = _automaton(self._pieces)

    def forms_in(self, texts: pl.Series) -> list[str]:
        """The forms of every secret that may be in one of these texts, longest first; few others among them."""
        found = self._found(texts)
        traced = (form for form, piece in self._traced() if piece in found) if found else ()
        forms = {spelling for form in (*self._always, *traced) for spelling in _spellings(form)}
        # Of "user1" and "user12" the whole one is to go.
        return sorted(forms, key=lambda form: (-len(form), form))

    def _found(self, texts: pl.Series) -> set[bytes]:
        found: set[bytes] = set()
        for chunk in texts.to_frame().iter_slices(_CHUNK):
            blob = "\n".join(chunk.to_series()).lower().encode()
            matches = self._automaton.find_matches_as_indexes(blob, overlapping=True)
            found.update(self._pieces[index] for index, _begin, _end in matches)
        return found

    def _traced(self) -> Iterator[tuple[str, bytes | None]]:
        """Each secret as it is and in Base64, and the piece by which it is looked for."""
        for secret in self._secrets:
            yield secret, _piece(_UNCHANGED, secret)
            yield from _in_base64(secret)
        for pair in self._pairs:
            yield from _in_base64(pair)


def _automaton(pieces: list[bytes]) -> BytesAhoCorasick:
    return BytesAhoCorasick(pieces, implementation=Implementation.ContiguousNFA)


def _spellings(secret: str) -> set[str]:
    """A text as it may be written; one of Base64 is only ever written as it is."""
    if _UNCHANGED.fullmatch(secret):
        return {secret}
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }


def _in_base64(text: str) -> Iterator[tuple[str, bytes | None]]:
    standard = base64.b64encode(text.encode()).decode().rstrip("=")
    piece = _piece(_IN_BASE64, standard)
    yield standard, piece
    if "+" in standard or "/" in standard:
        yield standard.replace("+", "-").replace("/", "_"), piece


def _piece(pattern: re.Pattern[str], text: str) -> bytes | None:
    """The end of the longest part that is the same in all forms; vendors' user names differ at their ends."""
    runs = pattern.findall(text)
    return max(reversed(runs), key=len)[-_PIECE:].lower().encode() if runs else None

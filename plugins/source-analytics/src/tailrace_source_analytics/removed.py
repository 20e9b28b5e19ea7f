"""What is removed from a log while it is read, so that the finished file can be searched for it."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import unquote

import polars as pl

from tailrace import Secrets

REMEMBERED = 100_000
"""Distinct secrets that are remembered; a log that holds more is searched for these."""
_END = re.compile(r"(?:@|%(?:25)*40)\Z")
_PUBLIC = ("http", "https", "socks4", "socks5", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT")
"""Words of HTTP that a log holds whatever its passwords are."""


class Removed:
    """Passwords and tokens that were removed. Safe to add to from several threads; shows nothing of itself.

    Names of users that stand alone are not remembered: the path of an address may well hold one (``/admin``), and is
    no secret for it.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._lock = threading.Lock()

    def logins(self, found: pl.Series) -> None:
        """Remember ``name:password@`` out of addresses, as written and decoded."""
        for text in found.drop_nulls().unique():
            login = _END.sub("", text)
            for form in (login, unquote(login)):
                user, colon, password = form.partition(":")
                # A name without a password is a token.
                self._add(password if colon else user, "password" if colon else "token")

    def values(self, column: pl.Series) -> None:
        """Remember the values of a column that is a credential."""
        if len(self._texts) < REMEMBERED:
            for value in column.drop_nulls().unique().cast(pl.String):
                self._add(value, "credential")

    def members(self, found: pl.Series, is_person: Callable[[str], bool]) -> None:
        """Remember values out of JSON text, each as ``"name": value``."""
        for text in found.drop_nulls().unique():
            for value in _leaves(_parsed(text), is_person):
                self._add(value, "credential")

    def secrets(self) -> Secrets:
        """What was removed so far."""
        with self._lock:
            return Secrets(dict(self._texts), public=_PUBLIC)

    def _add(self, text: str, label: str) -> None:
        with self._lock:
            if text and len(self._texts) < REMEMBERED:
                self._texts.setdefault(text, label)


def _parsed(member: str) -> object:
    try:
        return json.loads(f"{{{member}}}")
    except (ValueError, RecursionError):
        # Cut where nobody can say any more what it was.
        return None


def _leaves(value: object, is_person: Callable[[str], bool]) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if not is_person(name):
                yield from _leaves(inner, is_person)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, is_person)

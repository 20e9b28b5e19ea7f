"""What is removed from a log while it is read, so that the finished file can be searched for it."""

import json
from collections.abc import Callable, Iterator, Mapping

import polars as pl

from tailrace import RemovedLogins

REMEMBERED = 100_000
"""Distinct secrets that are remembered; a log that holds more is searched for these."""
_PUBLIC = ("http", "https", "socks4", "socks5", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT")
"""Words of HTTP that a log holds whatever its passwords are."""


class Removed(RemovedLogins):
    """Passwords and tokens that were removed: logins out of addresses, columns, and members of JSON text."""

    def __init__(self) -> None:
        super().__init__(_PUBLIC, most=REMEMBERED)

    def values(self, column: pl.Series) -> None:
        """Remember the values of a column that is a credential."""
        if not self.full:
            for value in column.drop_nulls().unique().cast(pl.String):
                self.add(value, "credential")

    def members(self, found: pl.Series, is_person: Callable[[str], bool]) -> None:
        """Remember values out of JSON text, each as ``"name": value``."""
        for text in found.drop_nulls().unique():
            for value in _leaves(_parsed(text), is_person):
                self.add(value, "credential")


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

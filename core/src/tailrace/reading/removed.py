"""What is removed from addresses while they are read, so that the finished file can be searched for it."""

import re
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tailrace.model.dataset import Secrets

if TYPE_CHECKING:
    import polars as pl

REMEMBERED = 100_000
"""Distinct secrets that are remembered; a log that holds more is searched for these."""
_END = re.compile(r"(?:@|%(?:25)*40)\Z")


class RemovedLogins:
    """Passwords and tokens that were removed from addresses.

    Safe to add to from several threads; shows nothing of itself. Names of users that stand alone are not remembered:
    the path of an address may well hold one (``/admin``), and is no secret for it.

    Args:
        public: Texts that a file may hold although a secret is contained in them.
        most: How many distinct secrets are remembered.
    """

    def __init__(self, public: Collection[str] = (), *, most: int = REMEMBERED) -> None:
        self._public = tuple(public)
        self._most = most
        self._texts: dict[str, str] = {}
        self._lock = threading.Lock()

    def logins(self, found: "pl.Series") -> None:
        """Remember ``name:password@`` out of addresses, as written and decoded.

        It is what :func:`tailrace.without_userinfo` tells of what it removes.
        """
        for text in found.drop_nulls().unique():
            login = _END.sub("", text)
            for form in (login, unquote(login)):
                user, colon, password = form.partition(":")
                # A name without a password is a token.
                self.add(password if colon else user, "password" if colon else "token")

    def add(self, text: str, label: str) -> None:
        """Remember one secret, and what kind of secret it is."""
        with self._lock:
            if text and len(self._texts) < self._most:
                self._texts.setdefault(text, label)

    @property
    def full(self) -> bool:
        """Whether no more are remembered."""
        return len(self._texts) >= self._most

    def secrets(self) -> Secrets:
        """What was removed so far."""
        with self._lock:
            return Secrets(dict(self._texts), public=self._public)

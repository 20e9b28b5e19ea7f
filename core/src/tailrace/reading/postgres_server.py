"""Reaching a PostgreSQL server, and saying what is wrong with it without telling anybody's password."""

import re
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from tailrace.model.errors import SourceError, TailraceError, TransientError

_Answer = TypeVar("_Answer")

_SECONDS_TO_CONNECT = 10

_TRANSIENT_STATES = ("08", "40", "53", "55P03", "57", "58")
"""Classes (and one code) of SQLSTATE that go away: connection, rollback, resources, lock, operator, system."""

_REFUSED = ("authentication failed", "no password supplied", "pg_hba.conf", "not permitted to log in")
_UNREADABLE = ("invalid percent-encoded", "invalid URI", "invalid integer", "invalid port", "unexpected character")
"""What libpq says of connections that fail; everything else is taken for a server that is away."""


class Server:
    """A server and database by URI.

    Args:
        uri: ``postgresql://user:password@host:port/database``.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        try:
            parts = urlsplit(uri)
            place = f"{parts.hostname or 'the local server'}{f':{parts.port}' if parts.port else ''}"
        except ValueError:
            parts, place = urlsplit(""), "an address that cannot be read"
        database = unquote(parts.path.lstrip("/"))
        self._name = f"database {database!r} on {place}" if database else f"default database on {place}"

    def __str__(self) -> str:
        return self._name

    @property
    def timely_uri(self) -> str:
        """The URI, with a limit to the time that connecting takes where it has none."""
        if "connect_timeout" in self._uri:
            return self._uri
        return f"{self._uri}{'&' if '?' in self._uri else '?'}connect_timeout={_SECONDS_TO_CONNECT}"

    def answer(self, ask: Callable[[], _Answer]) -> _Answer:
        """What ``ask`` returns; errors of driver and server as ours, because theirs quote users, passwords and values.

        Raises:
            SourceError: The server does not do this for this user.
            TransientError: It does not do it now.
        """
        from adbc_driver_manager import Error
        from polars.exceptions import PanicException, PolarsError

        try:
            return ask()
        except Error as error:
            explained = self._explained(str(error), error.sqlstate or "")
        except (PolarsError, PanicException):
            explained = SourceError(
                f"The {self} gave a value of a type that cannot be read.", hint="Select it as text: column::text."
            )
        # Raised here, and not where the original is handled, so that nothing refers to that any more.
        raise explained

    def _explained(self, said: str, state: str) -> TailraceError:
        if not state:
            return self._unconnected(said)
        if state.startswith(_TRANSIENT_STATES):
            locked = state == "55P03"
            return TransientError(
                f"A table of the {self} is locked by another session."
                if locked
                else f"The {self} stopped answering (SQLSTATE {state}).",
                hint="Try again later.",
            )
        if state == "42501":
            return SourceError(f"The {self} does not allow this user to read that.", hint="Grant SELECT on it.")
        if state.startswith("42"):
            # Errors of syntax and names quote the statement, which holds no values.
            cause = re.search(r"ERROR:\s+(.*)", said)
            return SourceError(f"The {self} does not understand the query: {cause[1] if cause else state}.")
        return SourceError(f"The {self} failed to carry out the query (SQLSTATE {state}).")

    def _unconnected(self, said: str) -> TailraceError:
        if any(words in said for words in _REFUSED) or re.search(r"role .* does not exist", said):
            return SourceError(f"The {self} refuses this user.", hint="Check user and password in the address.")
        if re.search(r"database .* does not exist", said):
            return SourceError(f"There is no {self}.", hint="Check the name of the database in the address.")
        if any(words in said for words in _UNREADABLE):
            return SourceError(
                f"The address of the {self} cannot be read.",
                hint="It looks like postgresql://user:password@host:port/database; escape special characters as %40.",
            )
        return TransientError(
            f"The {self} cannot be reached.", hint="Check host and port, and that the server is running; try again."
        )

"""What goes wrong with the store, told in our own errors."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from tailrace.model.errors import PermanentError, TransientError

_BUSY = ("locked", "busy")
_FULL = ("full", "disk i/o", "readonly", "read-only", "unable to open")
_DAMAGED = ("not a database", "malformed", "corrupt")


class StoreBusyError(TransientError):
    """The store did not answer in time, or is away for now."""


class StoreError(PermanentError):
    """The store cannot do what was asked."""


@contextmanager
def store_errors(place: str) -> Iterator[None]:
    """Turn what SQLAlchemy raises inside into errors of ours.

    Args:
        place: Where the store is, without its password.

    Raises:
        StoreBusyError: Locked, or away: later it may work.
        StoreError: It will not by itself.
    """
    try:
        yield
    except sa.exc.DBAPIError as error:
        # Not as its cause: what a server says quotes the whole row, and tracebacks end up in logs.
        raise _ours(error, place) from None
    except sa.exc.TimeoutError as error:
        message = f"The store {place} has no free connection."
        raise StoreBusyError(message, hint="It is busy. Try again.") from error


def _ours(error: sa.exc.DBAPIError, place: str) -> StoreBusyError | StoreError:
    # Texts of databases may quote values: only what they say about themselves is looked at, and none of it is shown.
    said = str(error.orig).lower()
    kind = type(error.orig).__name__
    if error.connection_invalidated or any(word in said for word in _BUSY):
        return StoreBusyError(f"The store {place} is busy or away ({kind}).", hint="Nothing was lost. Try again.")
    if any(word in said for word in _FULL):
        return StoreError(
            f"The store {place} cannot be used ({kind}).", hint="Check the free space and the permissions there."
        )
    if any(word in said for word in _DAMAGED):
        hint = "Restore it from a backup, or put it aside and begin with a new one."
        return StoreError(f"The store {place} is damaged, or no database of SQLite.", hint=hint)
    is_server = not isinstance(error.orig, sqlite3.Error)
    if is_server and isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
        hint = "Check that the server runs and that the setting store.url is right."
        return StoreBusyError(f"The store {place} cannot be reached ({kind}).", hint=hint)
    return StoreError(f"The store {place} refused what was asked ({kind}).", hint="Please report this.")

"""Users who were seen, for display: what somebody may do is never read from here. And how they wish to be told."""

from datetime import datetime

import sqlalchemy as sa

from tailrace.model.job import User
from tailrace.store.entering import enter_if_new
from tailrace.store.tables import users


def note(connection: sa.Connection, user: User, *, now: datetime) -> None:
    """Write down that a user was seen."""
    values = {"is_admin": user.is_admin, "last_seen": now}
    if connection.execute(sa.update(users).where(users.c.id == user.id).values(values)).rowcount == 0:
        enter_if_new(connection, users, {"id": user.id, "first_seen": now, **values})


def preferences(connection: sa.Connection, user: str) -> bytes | None:
    """How a user wishes to be told, as :class:`tailrace.work.wishes.Preferred` stores it; None for the default."""
    found: bytes | None = connection.execute(sa.select(users.c.preferences).where(users.c.id == user)).scalar()
    return found


def prefer(connection: sa.Connection, user: str, stored: bytes | None) -> None:
    """Write down how a user wishes to be told, who was noted before; None for the default."""
    connection.execute(sa.update(users).where(users.c.id == user).values(preferences=stored))

"""What users are told in the application."""

from collections.abc import Sequence
from datetime import datetime

import attrs
import sqlalchemy as sa

from tailrace.store.tables import notifications


@attrs.frozen
class Notification:
    """Something that a user is told.

    Args:
        number: Counts up.
        user: Whom it is for.
        job: The job that it is about.
        event: ``"completed"``, ``"partly delivered"``, ``"failed"``, ``"cancelled"``.
        text: One sentence.
        created: When, UTC.
        read: When the user read it; None while it is new.
    """

    number: int
    user: str
    job: str | None
    event: str
    text: str
    created: datetime
    read: datetime | None


def add(connection: sa.Connection, user: str, job: str, event: str, text: str, *, now: datetime) -> None:
    """Tell a user something."""
    values = {"user": user, "job": job, "event": event, "text": text, "created": now}
    connection.execute(sa.insert(notifications).values(values))


def of_user(connection: sa.Connection, user: str, *, unread: bool = False, limit: int = 100) -> list[Notification]:
    """What a user was told, the newest first."""
    asked = sa.select(notifications).where(notifications.c.user == user)
    if unread:
        asked = asked.where(notifications.c.read.is_(None))
    asked = asked.order_by(notifications.c.number.desc()).limit(limit)
    return [Notification(**row) for row in connection.execute(asked).mappings()]


def mark_read(connection: sa.Connection, user: str, numbers: Sequence[int] | None, *, now: datetime) -> int:
    """Note that a user has read some, or all where no numbers are given; returns how many were new."""
    new = [notifications.c.user == user, notifications.c.read.is_(None)]
    if numbers is not None:
        new.append(notifications.c.number.in_(numbers))
    return connection.execute(sa.update(notifications).where(*new).values(read=now)).rowcount

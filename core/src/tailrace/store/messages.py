"""What users are told by mail or webhook, until it is sent or given up.

Whoever sends a message *claims* it: until its time is over nobody else does, and its fence rises. What is recorded for
a claim that is over changes nothing. A try counts from the moment that it is claimed: a message that takes its sender
with it is not tried for ever.

All functions work inside of the caller's transaction; those that change something need one for writing.
"""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import attrs
import sqlalchemy as sa

from tailrace.model.announcement import Announcement
from tailrace.model.convert import structure, unstructure
from tailrace.store.tables import jobs, messages, users

MAIL: Final = "email"
"""The channel by which admins are told."""
ADMINS: Final = "admins"
"""As which admins are addressed until somebody who knows their addresses sends the message."""
OWN: Final = "message"
"""The kind of thing that the target of a message is sealed for, by its id, where it is not one of a user's wishes."""


class MessageState(StrEnum):
    """Where a message is."""

    WAITING = "waiting"
    """It has not been tried, or failed for now and is tried again."""
    SENT = "sent"
    """The other side has it."""
    FAILED = "failed"
    """It was given up."""


_WAITING: Final = messages.c.state == MessageState.WAITING.value


@attrs.frozen
class Asked:
    """What is known about who wishes to be told about a job.

    Args:
        request: What was asked for, without anything secret.
        sealed: All of it, sealed.
        preferences: What its creator prefers, as :class:`tailrace.work.wishes.Preferred` stores it.
    """

    request: Mapping[str, Any] = attrs.field(repr=False)
    sealed: bytes = attrs.field(repr=False)
    preferences: bytes | None = attrs.field(repr=False)


@attrs.frozen
class NewMessage:
    """A message to be entered.

    Args:
        job: What it is about.
        user: Who wishes it.
        channel: Name of the sink that carries it.
        addressee: Whom it is for, as that is shown.
        sealed: What its target is sealed in.
        kind: What that was sealed for; see :class:`tailrace.work.wishes.Wishes`.
        number: Which of the wishes in there it is.
        announcement: What is told.
        id: Unique.
    """

    job: str
    user: str
    channel: str
    addressee: str
    sealed: bytes = attrs.field(repr=False)
    kind: str
    number: int
    announcement: Announcement
    id: str = attrs.field(factory=lambda: str(uuid.uuid4()))


@attrs.frozen
class ClaimedMessage:
    """A message that was claimed: all that is needed to send it.

    Args:
        id: Unique, and the same at every try.
        fence: Under which this try writes.
        job: What it is about.
        user: Who wishes it.
        channel: Name of the sink that carries it.
        addressee: Whom it is for, as that is shown.
        sealed: What its target is sealed in.
        kind: What that was sealed for.
        number: Which of the wishes in there it is.
        announcement: What is told.
        tries: Tries that began, this one included.
    """

    id: str
    fence: int
    job: str
    user: str
    channel: str
    addressee: str
    sealed: bytes = attrs.field(repr=False)
    kind: str
    number: int
    announcement: Announcement
    tries: int

    @property
    def thing(self) -> str:
        """The id of what its target was sealed for."""
        return {"job": self.job, OWN: self.id}.get(self.kind, self.user)

    @property
    def for_admins(self) -> bool:
        """Whether it is for all admins, whose addresses are not known yet."""
        return self.kind == ADMINS


@attrs.frozen
class MessageChange:
    """What a try made of a message.

    Args:
        state: Where it is now.
        tries: Tries that failed.
        due: When it is tried next; None unless it waits.
        error: Why it was not sent; empty where it was.
    """

    state: MessageState
    tries: int
    due: datetime | None = None
    error: str = ""


def for_admins(job: str, user: str, announcement: Announcement) -> NewMessage:
    """A message for all admins: whoever sends it knows their addresses."""
    return NewMessage(job, user, MAIL, ADMINS, b"", ADMINS, 0, announcement)


def asked(connection: sa.Connection, job: str) -> Asked:
    """What is known about who wishes to be told about a job that there is."""
    columns = (jobs.c.request, jobs.c.sealed, users.c.preferences)
    found = sa.select(*columns).outerjoin(users, users.c.id == jobs.c.creator).where(jobs.c.id == job)
    return Asked(*connection.execute(found).one())


def enter(connection: sa.Connection, new: Sequence[NewMessage], *, now: datetime) -> None:
    """Enter messages, at least one, due at once."""
    rows = [
        {
            **{name: getattr(one, name) for name in ("id", "job", "user", "channel", "addressee", "sealed")},
            "message": {"kind": one.kind, "number": one.number, "announcement": unstructure(one.announcement)},
            "state": MessageState.WAITING.value,
            "due": now,
            "created": now,
            "changed": now,
        }
        for one in new
    ]
    connection.execute(sa.insert(messages), rows)


def any_due(connection: sa.Connection, *, now: datetime) -> bool:
    """Whether there is a message whose turn it is."""
    return (
        connection.execute(sa.select(messages.c.id).where(_WAITING, messages.c.due <= now).limit(1)).first() is not None
    )


def claim(
    connection: sa.Connection, *, now: datetime, lease: float, limit: int, job: str | None = None
) -> list[ClaimedMessage]:
    """Claim messages whose turn it is, the longest due first.

    Args:
        connection: For writing. On PostgreSQL, messages that another transaction is about to claim are passed over.
        now: What time it is.
        lease: Seconds during which nobody else sends them.
        limit: How many at most.
        job: Only those about this job that were never tried.
    """
    about = () if job is None else (messages.c.job == job, messages.c.tries == 0)
    waiting = (
        sa.select(messages.c.id)
        .where(_WAITING, messages.c.due <= now, *about)
        .order_by(messages.c.due, messages.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    picked = connection.execute(waiting).scalars().all()
    if not picked:
        return []
    taken = (
        sa.update(messages)
        .where(messages.c.id.in_(picked))
        .values(due=now + timedelta(seconds=lease), fence=messages.c.fence + 1, tries=messages.c.tries + 1)
        .returning(messages)
    )
    rows = {row["id"]: row for row in connection.execute(taken).mappings()}
    return [_claimed(rows[key]) for key in picked]


def record(connection: sa.Connection, claimed: ClaimedMessage, change: MessageChange, *, now: datetime) -> bool:
    """Write down what a try made of a message, once: the claim is over by that.

    Returns:
        Whether the claim still held; otherwise nothing was changed.
    """
    values = {
        "state": change.state.value,
        "tries": change.tries,
        "due": change.due or now,
        "error": change.error,
        "changed": now,
        "fence": messages.c.fence + 1,
    }
    return connection.execute(sa.update(messages).where(*_held(claimed)).values(values)).rowcount == 1


def replace(connection: sa.Connection, claimed: ClaimedMessage, new: Sequence[NewMessage], *, now: datetime) -> None:
    """Put others, at least one, in the place of a message that was claimed in this transaction."""
    connection.execute(sa.delete(messages).where(*_held(claimed)))
    enter(connection, new, now=now)


def _held(claimed: ClaimedMessage) -> tuple[sa.ColumnElement[bool], ...]:
    return (messages.c.id == claimed.id, messages.c.fence == claimed.fence, _WAITING)


def _claimed(row: sa.RowMapping) -> ClaimedMessage:
    document = row["message"]
    names = ("id", "fence", "job", "user", "channel", "addressee", "sealed", "tries")
    return ClaimedMessage(
        **{name: row[name] for name in names},
        kind=document["kind"],
        number=document["number"],
        announcement=structure(document["announcement"], Announcement, what="A stored message"),
    )

"""What all who use a store have in common: which key seals requests, when retention ran last."""

from datetime import UTC, datetime

import sqlalchemy as sa

from tailrace.store.entering import enter_if_new
from tailrace.store.tables import facts

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def settled(connection: sa.Connection, name: str, value: str, *, now: datetime) -> str:
    """A fact that is settled by whoever says it first.

    Args:
        connection: For writing.
        name: Its name.
        value: What it is where nobody has said it yet.
        now: What time it is.

    Returns:
        What it is.
    """
    enter_if_new(connection, facts, {"name": name, "value": value, "moment": now})
    known: str = connection.execute(sa.select(facts.c.value).where(facts.c.name == name)).scalar_one()
    return known


def take_turn(connection: sa.Connection, name: str, who: str, *, now: datetime, not_since: datetime) -> bool:
    """Whether somebody is to do now what is done once for all: nobody did since then.

    Args:
        connection: For writing.
        name: What is to be done.
        who: Who asks.
        now: What time it is.
        not_since: When it may have been done last.
    """
    enter_if_new(connection, facts, {"name": name, "value": "", "moment": _NEVER})
    mine = (facts.c.name == name, facts.c.moment < not_since)
    return connection.execute(sa.update(facts).where(*mine).values(value=who, moment=now)).rowcount == 1

"""The ledger: who is to have which file, and whether they have it.

All functions work inside of the caller's transaction; those that change something need one for writing. Whoever writes
for an attempt has made sure in the same transaction that it still has the job: :func:`tailrace.store.jobs.still_held`.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import attrs
import sqlalchemy as sa

from tailrace.model.delivery import Delivery, DeliveryState, KeptFile, Standing
from tailrace.store.entering import enter_if_new
from tailrace.store.tables import deliveries, facts, parcels

_WAITING = deliveries.c.state == DeliveryState.WAITING.value
_ORDER = (deliveries.c.file, deliveries.c.destination, deliveries.c.recipient)
_UNWANTED: Final = "unwanted "
_CHANGED: Final = ("state", "tries", "due", "place", "note", "error")


@attrs.frozen
class NewDelivery:
    """A delivery to be entered.

    Args:
        file: Which of the job's files, from 0.
        destination: Which of the request's sinks, from 0.
        sink: Name of that sink.
        recipient: Who gets it; empty where the sink tells recipients not apart.
        state: Where it is from the beginning.
        tries: Tries that failed already.
        due: When it is tried; None unless it waits.
        place: Where the file is, where it is delivered already.
        note: What people should know about that.
        error: Why it failed.
    """

    file: int
    destination: int
    sink: str
    recipient: str
    state: DeliveryState
    tries: int = 0
    due: datetime | None = None
    place: str = ""
    note: str = ""
    error: str = ""


@attrs.frozen
class Change:
    """What a try changed.

    Args:
        id: The delivery.
        state: Where it is now.
        tries: Tries that failed, in this round.
        due: When it is tried next; None unless it waits.
        place: Where the file is now.
        note: What people should know although it arrived.
        error: Why it did not arrive.
    """

    id: str
    state: DeliveryState
    tries: int
    due: datetime | None = None
    place: str = ""
    note: str = ""
    error: str = ""


def enter(
    connection: sa.Connection, job: str, files: Iterable[KeptFile], new: Iterable[NewDelivery], *, now: datetime
) -> None:
    """Enter the files of a job, and who is to have them."""
    kept = [{"job": job, **attrs.asdict(file, recurse=False)} for file in files]
    rows = [{"id": str(uuid.uuid4()), "job": job, "changed": now, **attrs.asdict(one)} for one in new]
    if kept:
        connection.execute(sa.insert(parcels), kept)
    if rows:
        connection.execute(sa.insert(deliveries), rows)


def of_job(connection: sa.Connection, job: str) -> list[Delivery]:
    """The deliveries of a job, in the order of its files and sinks."""
    asked = sa.select(deliveries).where(deliveries.c.job == job).order_by(*_ORDER)
    return [_delivery(row) for row in connection.execute(asked).mappings()]


def due(connection: sa.Connection, job: str, *, now: datetime) -> list[Delivery]:
    """Those of a job whose turn it is."""
    asked = sa.select(deliveries).where(deliveries.c.job == job, _WAITING, deliveries.c.due <= now).order_by(*_ORDER)
    return [_delivery(row) for row in connection.execute(asked).mappings()]


def files_of(connection: sa.Connection, job: str) -> dict[int, KeptFile]:
    """What is known of a job's files, by number."""
    asked = sa.select(parcels.c.file, parcels.c.manifest, parcels.c.fields).where(parcels.c.job == job)
    return {row.file: KeptFile(row.file, row.manifest, row.fields) for row in connection.execute(asked)}


def standing(connection: sa.Connection, jobs: Sequence[str]) -> dict[str, Standing]:
    """How the deliveries of jobs stand; jobs without any are left out."""
    if not jobs:
        return {}
    counts = (
        sa.select(deliveries.c.job, deliveries.c.state, sa.func.count().label("count"), sa.func.min(deliveries.c.due))
        .where(deliveries.c.job.in_(jobs))
        .group_by(deliveries.c.job, deliveries.c.state)
    )
    found: dict[str, Standing] = {}
    for job, state, count, first in connection.execute(counts):
        values: dict[str, Any] = {state: count}
        if state == DeliveryState.WAITING:
            values["next_due"] = first
        found[job] = attrs.evolve(found.get(job, Standing()), **values)
    return found


def record(connection: sa.Connection, changes: Sequence[Change], *, now: datetime) -> None:
    """Write down what tries changed."""
    alike: dict[tuple[Any, ...], list[str]] = {}
    for change in changes:
        alike.setdefault(tuple(getattr(change, name) for name in _CHANGED), []).append(change.id)
    # One statement for all to which the same happened: SQLite lets other threads in at each row of several.
    for values, ids in alike.items():
        changed = {**dict(zip(_CHANGED, values, strict=True)), "changed": now}
        connection.execute(sa.update(deliveries).where(deliveries.c.id.in_(ids)).values(changed))


def give_up(connection: sa.Connection, job: str, why: str, *, now: datetime) -> list[Delivery]:
    """Give up whatever of a job still waits, and return it as it was."""
    waiting = [row for row in of_job(connection, job) if row.state is DeliveryState.WAITING]
    values = {"state": DeliveryState.FAILED, "due": None, "error": why, "changed": now}
    connection.execute(sa.update(deliveries).where(deliveries.c.job == job, _WAITING).values(values))
    return waiting


def unchanged(connection: sa.Connection, rows: Sequence[Delivery]) -> set[str]:
    """Ids of those deliveries that still wait as they did: nobody recorded anything about them since."""
    asked = sa.select(deliveries.c.id, deliveries.c.round, deliveries.c.tries).where(
        deliveries.c.id.in_([row.id for row in rows]), _WAITING
    )
    found = {row.id: (row.round, row.tries) for row in connection.execute(asked)}
    return {row.id for row in rows if found.get(row.id) == (row.round, row.tries)}


def again(connection: sa.Connection, job: str, *, failed_only: bool, but: Collection[str] = (), now: datetime) -> int:
    """Let deliveries of a job be made again, as if they had never been tried.

    What had arrived begins another round: for the other side it is another delivery, not a repetition.

    Args:
        connection: For writing.
        job: The job.
        failed_only: Those that were given up; otherwise also those that arrived.
        but: Ids of those that stay as they are.
        now: What time it is.

    Returns:
        How many.
    """
    arrived = deliveries.c.state == DeliveryState.DELIVERED.value
    meant = deliveries.c.state == DeliveryState.FAILED.value
    if not failed_only:
        meant = sa.or_(meant, arrived)
    meant = sa.and_(meant, deliveries.c.id.not_in(but))
    values = {
        "state": DeliveryState.WAITING.value,
        "round": sa.case((arrived, deliveries.c.round + 1), else_=deliveries.c.round),
        "tries": 0,
        "due": now,
        "changed": now,
        "place": "",
        "note": "",
        "error": "",
    }
    return connection.execute(sa.update(deliveries).where(deliveries.c.job == job, meant).values(values)).rowcount


def hasten(connection: sa.Connection, job: str, *, now: datetime) -> None:
    """Let what waits of a job be tried now."""
    connection.execute(sa.update(deliveries).where(deliveries.c.job == job, _WAITING).values(due=now))


# Recipients that want nothing any more.


def refuse(connection: sa.Connection, addressee: str, why: str, *, now: datetime) -> None:
    """Write down that a recipient wants nothing any more."""
    enter_if_new(connection, facts, {"name": _name(addressee), "value": f"{addressee}\n{why}", "moment": now})


def allow(connection: sa.Connection, addressee: str) -> bool:
    """Let a recipient have deliveries again; False where it could anyway."""
    return connection.execute(sa.delete(facts).where(facts.c.name == _name(addressee))).rowcount == 1


def unwanted(connection: sa.Connection) -> Mapping[str, tuple[datetime, str]]:
    """Recipients that want nothing any more, since when, and what they said."""
    # Not a range: what lies between two names is up to the collation.
    begins = facts.c.name.startswith(_UNWANTED, autoescape=True)
    found = connection.execute(sa.select(facts.c.moment, facts.c.value).where(begins).order_by(facts.c.moment))
    rows = [(moment, *value.split("\n", 1)) for moment, value in found]
    return {addressee: (moment, why) for moment, addressee, why in rows}


def _name(addressee: str) -> str:
    # A recipient may be longer than the name of a fact.
    return _UNWANTED + str(uuid.uuid5(uuid.NAMESPACE_URL, addressee))


def _delivery(row: sa.RowMapping) -> Delivery:
    values: dict[str, Any] = dict(row)
    return Delivery(**values | {"state": DeliveryState(values["state"])})

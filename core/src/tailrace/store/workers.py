"""Workers that are alive, or were."""

from datetime import datetime

import attrs
import sqlalchemy as sa

from tailrace.store.tables import workers


@attrs.frozen
class WorkerRecord:
    """A worker.

    Args:
        id: Unique to this run of it.
        host: The machine that it runs on.
        process: Its number there.
        concurrency: Jobs that it carries out at a time.
        started: When, UTC.
    """

    id: str
    host: str
    process: int
    concurrency: int
    started: datetime


def sign_on(connection: sa.Connection, worker: WorkerRecord) -> None:
    """Write down that a worker is there."""
    connection.execute(sa.insert(workers).values(**attrs.asdict(worker), seen=worker.started))


def seen(connection: sa.Connection, worker: str, *, now: datetime) -> None:
    """Write down that a worker is still there."""
    connection.execute(sa.update(workers).where(workers.c.id == worker).values(seen=now))


def sign_off(connection: sa.Connection, worker: str, *, long_ago: datetime) -> None:
    """Forget a worker that ends, and those that were not heard of for long."""
    connection.execute(sa.delete(workers).where(sa.or_(workers.c.id == worker, workers.c.seen < long_ago)))


def alive(connection: sa.Connection, *, since: datetime) -> int:
    """How many workers were heard of since then."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(workers).where(workers.c.seen >= since)
    ).scalar_one()

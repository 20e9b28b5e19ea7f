"""A store with a past: many finished jobs, copied from a real one inside of the database, with what belongs to them.

Each copy has an id, a creator and times of its own, an attempt, and an entry in the audit trail, which is not chained
like a real one; nine in ten have a file. They are a second apart, and the last of a million is a week older than the
job that they are copied from.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from tailrace.model.states import JobState
from tailrace.store.tables import artifacts, attempts, audit, jobs

TOGETHER = 50_000
"""Copies that are made at once."""
CREATORS = 1000
BUSY = "user-0"
"""The user whose jobs are a tenth of all, every one completed."""
RARE = "rare"
"""The user whose jobs are the oldest ones, as many as :data:`RARE_JOBS`, whatever becomes of the store later."""
RARE_JOBS = 5


def make(url: str, pattern: str, first: int, last: int) -> None:
    """Copy a finished job again and again.

    Args:
        url: Of the store, which has its tables.
        pattern: Id of the job that is copied; it is completed, and made one file.
        first: Number of the first copy, from 1.
        last: Number of the last one.
    """
    engine = sa.create_engine(sa.make_url(url).set(drivername=_driver(url)))
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
    with engine.connect() as connection, _unguarded(connection):
        base: datetime = connection.execute(sa.select(jobs.c.created).where(jobs.c.id == pattern)).scalar_one()
        entries: int = connection.execute(sa.select(sa.func.max(audit.c.number))).scalar_one()
        for begin in range(first, last + 1, TOGETHER):
            _copy(connection, pattern, base, entries, begin, min(begin + TOGETHER - 1, last))
            connection.commit()
    if engine.dialect.name == "postgresql":
        # As it does by itself some minutes after so many rows.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()


def id_of(number: int) -> str:
    """Id of a copy."""
    digest = hashlib.md5(str(number).encode()).hexdigest()
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


def _driver(url: str) -> str:
    return "sqlite+pysqlite" if url.startswith("sqlite") else "postgresql+psycopg"


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    """What SQLite lacks; and nobody minds when this is lost."""
    connection.create_function("id_of", 1, id_of, deterministic=True)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -500000")


@contextmanager
def _unguarded(connection: sa.Connection) -> Iterator[None]:
    """Without the trigger that lets no job begin with its end."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET session_replication_role = replica")
        yield
        return
    name = "jobs_beginning"
    made = connection.execute(sa.text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}).scalar_one()
    connection.exec_driver_sql(f"DROP TRIGGER {name}")
    yield
    connection.exec_driver_sql(made)
    connection.commit()


def _copy(connection: sa.Connection, pattern: str, base: datetime, entries: int, first: int, last: int) -> None:
    numbers = sa.select(sa.literal(first, sa.BigInteger).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < last))
    n = numbers.c.n
    at_server = connection.dialect.name == "postgresql"
    id_ = (
        sa.cast(sa.cast(sa.func.md5(sa.cast(n, sa.String)), sa.Uuid), sa.String)
        if at_server
        else sa.func.id_of(n, type_=sa.String)
    )
    moment = _moment(connection, base, n)
    busy = n % 10 == 0
    state = sa.case(
        (sa.or_(busy, n % 100 < 90), JobState.COMPLETED.value),
        (n % 100 < 95, JobState.FAILED.value),
        (n % 100 < 97, JobState.CANCELLED.value),
        else_=JobState.EXPIRED.value,
    )
    creator = sa.case((n <= RARE_JOBS, RARE), (busy, BUSY), else_="user-" + sa.cast(1 + n % (CREATORS - 1), sa.String))
    times = dict.fromkeys(("created", "due", "started", "finished"), moment)
    _insert(connection, jobs, jobs.c.id == pattern, numbers, times | {"id": id_, "creator": creator, "state": state})
    _insert(connection, attempts, attempts.c.job == pattern, numbers, {"job": id_, "started": moment, "ended": moment})
    file = {"id": id_, "job": id_, "created": moment, "path": artifacts.c.path + "-" + sa.cast(n, sa.String)}
    _insert(connection, artifacts, sa.and_(artifacts.c.job == pattern, n % 10 > 0), numbers, file)
    # 64 characters in no order, like those of a real one.
    digest = sa.func.replace(id_ + id_, "-", "", type_=sa.String)
    entry = {
        "number": n + entries,
        "moment": moment,
        "user": creator,
        "job": id_,
        "previous": "p" + sa.func.substr(digest, 2),
        "hash": digest,
    }
    _insert(connection, audit, audit.c.number == entries, numbers, entry)


def _insert(connection: sa.Connection, table: sa.Table, pattern: Any, numbers: sa.CTE, changed: dict[str, Any]) -> None:
    columns = [changed.get(column.name, column).label(column.name) for column in table.c]
    chosen = sa.select(*columns).select_from(sa.join(table, numbers, sa.true())).where(pattern)
    connection.execute(sa.insert(table).from_select([column.name for column in table.c], chosen))


def _moment(connection: sa.Connection, base: datetime, n: Any) -> Any:
    """The time of a copy: as many seconds behind a moment some weeks ago as its number is."""
    begin = int((base - timedelta(days=20)).timestamp())
    if connection.dialect.name == "postgresql":
        return sa.func.to_timestamp(begin + n)
    return sa.func.strftime("%Y-%m-%dT%H:%M:%S.000000Z", begin + n, "unixepoch")

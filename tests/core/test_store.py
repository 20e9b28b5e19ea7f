"""The store: its tables, what it refuses, how it is opened, and what happens when it is away."""

import itertools
import os
import re
import sqlite3
import stat
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tailrace.model.errors import ConfigurationError, NewerVersionError
from tailrace.model.states import TRANSITIONS, JobState
from tailrace.store import schema
from tailrace.store.database import Store
from tailrace.store.errors import StoreBusyError, StoreError
from tailrace.store.journal import journal_for, wal_is_safe
from tailrace.store.tables import audit, facts, jobs, metadata

NOW = datetime(2026, 8, 15, 6, 0, 0, 123456, tzinfo=UTC)


def values(state: JobState, **more: Any) -> dict[str, Any]:
    """A row of the table ``jobs``."""
    row = {
        "id": "1",
        "state": state,
        "creator": "ada",
        "source": "pool",
        "format": "csv",
        "request": {},
        "sealed": b"",
        "folder": "/",
        "inline": False,
        "retry": {},
        "created": NOW,
        "due": NOW,
        "progress": 100 if state.has_files or state is JobState.EXPIRED else 0,
        "finished": NOW if state.is_final else None,
        "worker": "w",
        "lease_until": NOW,
    }
    return row | more


def brought_to(connection: sa.Connection, state: JobState) -> None:
    """Bring job 1 into a state, by ways that are open."""
    path = {
        JobState.PENDING: (),
        JobState.PROCESSING: (JobState.PROCESSING,),
        JobState.EXPIRED: (JobState.PROCESSING, JobState.COMPLETED, JobState.EXPIRED),
    }.get(state, (JobState.PROCESSING, state))
    connection.execute(sa.insert(jobs), [values(JobState.PENDING)])
    for step in path:
        connection.execute(sa.update(jobs).values(values(step)))


def test_migrations_make_exactly_the_tables_that_the_program_knows(store: Store) -> None:
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, metadata) == []
        assert schema.revision(connection) == schema.HEAD


def test_the_script_for_new_stores_on_sqlite_makes_what_the_migrations_make(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/migrated.db")
    with engine.begin() as connection:
        schema.migrate(connection)
        made = connection.execute(sa.text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"))
        statements = [*made.scalars(), f"INSERT INTO alembic_version VALUES ('{schema.HEAD}')"]
    engine.dispose()
    script = Path(schema.__file__).with_name("sqlite.sql")
    expected = "\n\n".join(re.sub(r"\n\s*\n", "\n", statement).strip() for statement in statements) + "\n"
    if os.environ.get("WRITE_SCHEMA"):
        script.write_text(expected)
    assert script.read_text() == expected, "WRITE_SCHEMA=1 pytest tests/core/test_store.py writes it anew"


def test_the_newest_migration_is_the_one_that_the_program_works_with() -> None:
    config = Config()
    config.set_main_option("script_location", "tailrace.store:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [schema.HEAD]


def changed(store: Store, before: JobState, after: JobState) -> bool:
    """Whether the database lets a job go from one state to another; it is as it was afterwards."""
    row = values(after)
    # Not by a statement of ours: whoever has a shell is held to it, too.
    by_hand = sa.text("UPDATE jobs SET state = :s, progress = :p, finished = :f")
    by_hand = by_hand.bindparams(sa.bindparam("f", type_=jobs.c.finished.type))
    try:
        with store.writing() as connection:
            brought_to(connection, before)
            connection.execute(by_hand, {"s": after.value, "p": row["progress"], "f": row["finished"]})
            raise InterruptedError  # noqa: TRY301 - rolls the transaction back
    except StoreError:
        return False
    except InterruptedError:
        return True


def test_the_database_itself_lets_a_job_go_only_where_it_may(store: Store) -> None:
    ways = {(before, after) for before, after in itertools.product(JobState, JobState) if changed(store, before, after)}
    assert ways == {
        (before, after)
        for before, after in itertools.product(JobState, JobState)
        if after == before or after in TRANSITIONS[before]
    }


WRONG: list[dict[str, Any]] = [
    {"state": JobState.COMPLETED},
    {"state": JobState.FAILED, "finished": NOW},
    {"progress": 101},
    {"progress": -1},
    {"state": JobState.PROCESSING, "worker": None},
    {"state": "resting"},
]


def test_a_job_begins_as_it_must(store: Store) -> None:
    for wrong in WRONG:
        with pytest.raises(StoreError, match="refused"), store.writing() as connection:
            connection.execute(sa.insert(jobs), [values(JobState.PENDING) | wrong])


def test_what_was_to_be_stored_is_in_no_traceback(store: Store) -> None:
    with pytest.raises(StoreError) as caught, store.writing() as connection:
        connection.execute(sa.insert(jobs), [values(JobState.PENDING, folder="Canary-4711", progress=101)])
    assert "Canary" not in "".join(traceback.format_exception(caught.value))


def test_fences_only_rise(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(sa.insert(jobs), [values(JobState.PENDING, fence=4)])
        connection.execute(sa.update(jobs).values(fence=5))
    with pytest.raises(StoreError, match="refused"), store.writing() as connection:
        connection.execute(sa.update(jobs).values(fence=4))


def test_moments_come_back_as_they_were_and_are_in_the_order_of_time(store: Store) -> None:
    moments = [NOW + timedelta(microseconds=step) for step in (-1, 0, 1, 10**6, 10**12)]
    with store.writing() as connection:
        for number, moment in enumerate(reversed(moments)):
            connection.execute(sa.insert(facts), [{"name": str(number), "moment": moment, "value": ""}])
    with store.reading() as connection:
        assert list(connection.execute(sa.select(facts.c.moment).order_by(facts.c.moment)).scalars()) == moments


def test_the_store_in_the_home_is_made_at_first_use_and_nobody_elses_to_read(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path / "new" / "home")
    with store.reading() as connection:
        assert connection.execute(sa.select(jobs.c.id)).first() is None
    path = tmp_path / "new" / "home" / "tailrace.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_many_who_open_a_new_store_at_once_find_one_set_of_tables(tmp_path: Path) -> None:
    failures: list[BaseException] = []

    def use() -> None:
        try:
            store = Store.in_home(tmp_path)
            with store.writing() as connection:
                connection.execute(sa.select(jobs.c.id))
            store.close()
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.postgres
def test_a_server_gets_its_tables_when_somebody_says_so(postgres_uri: str) -> None:
    store = Store(postgres_uri)
    with pytest.raises(ConfigurationError, match="has no tables yet") as caught, store.reading():
        pass
    assert "tailrace store upgrade" in caught.value.hint
    assert store.upgrade() == (None, schema.HEAD)
    assert store.upgrade() == (schema.HEAD, schema.HEAD)
    with store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(jobs)).scalar() == 0
    store.close()


def test_an_older_program_refuses_a_newer_store(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(NewerVersionError, match="revision 9999") as caught, store.reading():
        pass
    assert caught.value.version == 9999
    with pytest.raises(NewerVersionError):
        store.upgrade()


def test_a_newer_program_asks_for_the_upgrade_of_an_older_store(store: Store) -> None:
    with store.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0000'"))
    store.close()
    with pytest.raises(ConfigurationError, match="this Tailrace needs") as caught, store.writing():
        pass
    assert "tailrace store upgrade" in caught.value.hint


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 7, 0), False),
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 45, 0), False),
        ((3, 50, 6), False),
        ((3, 50, 7), True),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_wal_is_for_versions_of_sqlite_that_do_not_corrupt_it(version: tuple[int, int, int], *, safe: bool) -> None:
    assert wal_is_safe(version) is safe
    assert journal_for(version) == ("wal" if safe else "persist")


def test_the_journal_is_the_one_for_the_version_at_hand(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path)
    with store.reading() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    assert mode == journal_for(sqlite3.sqlite_version_info[:3])


@pytest.mark.skipif(wal_is_safe(sqlite3.sqlite_version_info[:3]), reason="this SQLite may keep WAL")
def test_a_store_in_wal_mode_is_turned_back_or_refused_where_sqlite_could_corrupt_it(tmp_path: Path) -> None:
    Store.in_home(tmp_path).upgrade()
    other = sqlite3.connect(tmp_path / "tailrace.db")
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("SELECT * FROM jobs").fetchall()
    with (
        pytest.raises((ConfigurationError, StoreBusyError)),
        Store(f"sqlite:///{tmp_path}/tailrace.db", busy_seconds=0.1).reading(),
    ):
        pass
    other.close()
    with Store.in_home(tmp_path).reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "persist"


def test_a_store_that_is_locked_is_waited_for_and_then_told_as_busy(tmp_path: Path) -> None:
    Store.in_home(tmp_path).upgrade()
    store = Store(f"sqlite:///{tmp_path}/tailrace.db", busy_seconds=0.3)
    with Store.in_home(tmp_path).writing():
        began = time.monotonic()
        with pytest.raises(StoreBusyError), store.writing():
            pass
        assert 0.2 < time.monotonic() - began < 5
    with store.writing() as connection:
        connection.execute(sa.select(audit.c.number))


@pytest.mark.postgres
def test_a_server_that_cuts_the_connection_is_busy_and_later_there_again(postgres_uri: str) -> None:
    store = Store(postgres_uri)
    store.upgrade()

    def enter_and_be_cut() -> None:
        with store.writing() as connection:
            pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar()
            with store.writing() as other:
                other.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
            connection.execute(sa.insert(jobs), [values(JobState.PENDING)])

    with pytest.raises(StoreBusyError):
        enter_and_be_cut()
    with store.reading() as connection:
        assert connection.execute(sa.select(jobs.c.id)).first() is None
    store.close()


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    store = Store("postgresql://ada:S3cret-word@127.0.0.1:9/none")
    with pytest.raises(StoreBusyError) as caught, store.reading():
        pass
    assert "127.0.0.1" in caught.value.message
    assert "S3cret" not in f"{caught.value.message} {caught.value.hint} {store.place} {store!r}"


@pytest.mark.parametrize("url", ["nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:"])
def test_urls_that_cannot_be_a_store_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"store\.url"):
        Store(url)

"""Jobs stay quick however many are finished: no query that is asked again and again looks through all of them."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import Engine, ExportRequest, SinkRequest, User
from tailrace.model.audit import AuditFilter
from tailrace.model.states import JobState
from tailrace.settings import Settings
from tailrace.store import artifacts, audit, jobs
from tailrace.store.database import Store

FINISHED = 100_000
NOW = datetime(2026, 8, 15, 6, 0, 0, tzinfo=UTC)
WEEKS = timedelta(weeks=1000)
OLD = (NOW - WEEKS, "id")
FAILED, CANCELLED = JobState.FAILED, JobState.CANCELLED
Asked = Callable[[sa.Connection], Any]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an engine whose store has many finished jobs, made in the database itself."""
    home = tmp_path_factory.mktemp("scale")
    store = Store.in_home(home)
    store.upgrade()
    trigger = "SELECT sql FROM sqlite_master WHERE name = 'jobs_beginning'"
    with store.writing() as connection:
        made = connection.exec_driver_sql(trigger).scalar_one()
        connection.exec_driver_sql("DROP TRIGGER jobs_beginning")
        connection.exec_driver_sql(
            """
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
            INSERT INTO jobs (
                id, state, creator, source, format, request, sealed, folder, inline, retry, created, due, finished,
                progress
            )
            SELECT printf('%08x-%d', n * 2654435761 % 4294967296, n), 'completed', 'user-' || n % 1000, 'memory',
                'lines', '{}', zeroblob(300), '/', false, '{}', moment, moment, moment, 100
            FROM (SELECT n, strftime('%Y-%m-%dT%H:%M:%S.000000Z', 1784000000 + n, 'unixepoch') AS moment FROM numbers)
            """,
            (FINISHED,),
        )
        connection.exec_driver_sql(made)
    store.close()
    return home


@contextmanager
def opened(home: Path) -> Iterator[Engine]:
    source = MemorySource([memory_table("rows", {"word": ["pump"]})])
    plugins = [("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())]
    engine = Engine(Settings(home=home), plugins=plugins, discover=False)
    yield engine
    engine.store.close()


REQUEST = ExportRequest("memory", "memory://", "lines", sinks=(SinkRequest("folder", "out"),))


@pytest.fixture(scope="module")
def busy_home(home: Path) -> Path:
    """The same home, in whose store a job waits, too."""
    with opened(home) as engine:
        engine.submit(REQUEST, user=User("ada"))
    return home


def test_a_job_is_submitted_in_no_time_beside_many_finished_ones(home: Path) -> None:
    taken = []
    with opened(home) as engine:
        with engine.store.reading() as connection:
            before = jobs.counts(connection)[JobState.PENDING]
        for _ in range(11):
            begin = time.perf_counter()
            engine.submit(REQUEST, user=User("ada"))
            taken.append(time.perf_counter() - begin)
        with engine.store.reading() as connection:
            assert jobs.counts(connection)[JobState.PENDING] == before + 11
    assert statistics.median(taken) < 0.1


@contextmanager
def heard(connection: sa.Connection) -> Iterator[list[tuple[str, Any]]]:
    """The statements that are executed meanwhile, each with its parameters."""
    statements: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        statements.append((statement, parameters))

    sa.event.listen(connection, "before_cursor_execute", hear)
    try:
        yield statements
    finally:
        sa.event.remove(connection, "before_cursor_execute", hear)


def plans_of(store: Store, asked: Asked) -> list[str]:
    """What SQLite does for each statement of a function, but for those that enter rows."""
    with store.writing() as connection:
        with heard(connection) as statements:
            asked(connection)
        explained = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            for statement, parameters in statements
            if not statement.startswith("INSERT")
        ]
    return ["; ".join(step.detail for step in steps) for steps in explained]


@pytest.mark.parametrize(
    ("asked", "indexes"),
    [
        pytest.param(jobs.listing, ["ix_jobs_created"], id="all"),
        pytest.param(lambda c: jobs.listing(c, before=OLD), ["ix_jobs_created"], id="all, a page behind"),
        pytest.param(lambda c: jobs.listing(c, creator="ada"), ["ix_jobs_creator"], id="of a user"),
        pytest.param(
            lambda c: jobs.listing(c, creator="ada", before=OLD), ["ix_jobs_creator"], id="of a user, a page behind"
        ),
        pytest.param(lambda c: jobs.listing(c, states=[FAILED]), ["ix_jobs_state"], id="of a state"),
        pytest.param(
            lambda c: jobs.listing(c, states=[FAILED, CANCELLED], before=OLD),
            ["ix_jobs_state", "ix_jobs_state"],
            id="of two states, a page behind",
        ),
        pytest.param(
            lambda c: jobs.claim(c, "w", now=NOW + WEEKS, lease=30, limit=10),
            ["ix_jobs_waiting", "autoindex_jobs_1", "autoindex_attempts_1"],
            id="claim",
        ),
        pytest.param(lambda c: jobs.any_due(c, now=NOW), ["ix_jobs_waiting", "ix_jobs_held"], id="any due"),
        pytest.param(lambda c: jobs.overdue(c, now=NOW), ["ix_jobs_held"], id="overdue"),
        pytest.param(jobs.counts, ["COVERING INDEX", "COVERING INDEX"], id="counts"),
        pytest.param(lambda c: jobs.renew(c, "i", 1, until=NOW, progress=None), ["autoindex_jobs_1"], id="renew"),
        pytest.param(lambda c: jobs.pulse(c, {"i": 1, "j": 2}), ["autoindex_jobs_1"], id="pulse"),
        pytest.param(lambda c: jobs.ask_to_cancel(c, "i", now=NOW), ["autoindex_jobs_1"], id="cancel"),
        pytest.param(lambda c: jobs.try_again(c, "i", now=NOW), ["autoindex_jobs_1"], id="try again"),
        pytest.param(
            lambda c: jobs.starting_with(c, "4711", creator=None, limit=2),
            ["autoindex_jobs_1"],
            id="beginning of an id",
        ),
        pytest.param(
            lambda c: jobs.starting_with(c, "4711", creator="ada", limit=2),
            ["autoindex_jobs_1"],
            id="beginning of an id of one's own",
        ),
        pytest.param(lambda c: jobs.folders_of(c, "i"), ["autoindex_attempts_1"], id="folders"),
        pytest.param(lambda c: artifacts.expire(c, "i"), ["autoindex_jobs_1"], id="expire"),
        pytest.param(lambda c: audit.listing(c, AuditFilter(job="i")), ["ix_audit_job"], id="entries of a job"),
        pytest.param(lambda c: audit.listing(c, AuditFilter(user="ada")), ["ix_audit_user"], id="entries of a user"),
    ],
)
def test_what_is_asked_again_and_again_goes_along_an_index(busy_home: Path, asked: Asked, indexes: list[str]) -> None:
    store = Store.in_home(busy_home)
    plans = plans_of(store, asked)
    store.close()
    assert len(plans) == len(indexes), plans
    for plan, index in zip(plans, indexes, strict=True):
        assert index in plan
        assert "TEMP B-TREE" not in plan


def test_the_newest_entry_is_found_at_the_end_of_the_trail(home: Path) -> None:
    store = Store.in_home(home)
    # Numbers are the order in which the rows lie.
    assert plans_of(store, audit.newest) == ["SCAN audit"]
    store.close()

"""Every call of an import that touches the pool fails, or is the last one: the pool is the old one or the new one."""

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from tailrace_source_pool.source import PoolSource
from tailrace_source_pool.targets.opening import open_pool

from tailrace import OpenPoolCall
from tailrace.files.staging import sweep

from .injection import Call, Fault, Forks, Outcome, calls_of, faults_at, forks

ERRORS = ("EIO", "ENOSPC")
CALLS = (
    "write,?writev,?pwrite64,fsync,?fdatasync,?link,?linkat,?rename,?renameat,?renameat2,?unlink,?unlinkat,"
    "?fchmod,ftruncate"
)
DATA = Path(__file__).parents[1] / "data"

PREPARE = """
import polars as pl
from tailrace import OpenPoolCall, PoolChanges
from tailrace_source_pool.source import PoolSource
from tailrace_source_pool.targets.opening import open_pool

def prepare(pool):
    def work():
        with open_pool(OpenPoolCall(pool, write=True, clear=True), PoolSource()) as target:
            frame = target.read()
            update = frame.head(1).with_columns(
                country_code=pl.lit("XX"),
                changed=pl.Series([["country_code"]], dtype=pl.List(pl.String)).head(frame.height),
            )
            add = pl.DataFrame({
                "url": ["http://new.example.com:8080"], "protocol": ["http"], "host": ["new.example.com"],
                "port": [8080], "username": ["somebody"], "password": ["new password"],
            })
            target.write(PoolChanges(add, update, tuple(frame["key"].tail(1)) if frame.height else ()))

    return work
"""


@attrs.define
class Importer:
    """Changes a pool under a tracer."""

    home: Path
    name: str
    before: Path | None
    forks: Forks

    @property
    def pool(self) -> Path:
        return self.home / "folder" / self.name

    def reset(self) -> None:
        """Make the state before."""
        shutil.rmtree(self.pool.parent, ignore_errors=True)
        self.pool.parent.mkdir()
        if self.before:
            shutil.copy(self.before, self.pool)
            self.pool.chmod(0o600)

    def run(self, fault: Fault | None = None) -> Outcome:
        """Start from the state before, and change it once."""
        self.reset()
        return self.forks.run(
            {"pool": str(self.pool)},
            scratch=self.home,
            calls=CALLS,
            folder=self.pool.parent,
            names=(self.name, f"{self.name}-journal"),
            fault=fault,
        )

    def calls(self) -> list[Call]:
        """The calls of an import that goes well."""
        return calls_of(self.run())

    def state(self) -> list[tuple[str | None, ...]] | None:
        """What is in the pool; None where there is none."""
        if not self.pool.exists():
            return None
        with open_pool(OpenPoolCall(str(self.pool), write=False), PoolSource()) as target:
            frame = target.read().select("url", "username", "password", "country_code")
        if self.pool.suffix == ".db":
            with sqlite3.connect(self.pool) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                states = connection.execute("SELECT proxy_url FROM proxy_statuses ORDER BY 1").fetchall()
                urls = connection.execute("SELECT url FROM proxy_identities ORDER BY 1").fetchall()
            connection.close()
            assert states == urls
        return sorted(frame.rows(), key=str)


@pytest.fixture(scope="module")
def forking() -> Iterator[Forks]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROXYWHIRL")}
    with forks(PREPARE, environment=environment) as running:
        yield running


@pytest.fixture(params=["old.db", "new.db", "old.json", "new.json"])
def importer(request: pytest.FixtureRequest, tmp_path: Path, forking: Forks) -> Importer:
    before = None
    if request.param == "old.db":
        before = tmp_path / "before.db"
        shutil.copy(DATA / "proxywhirl-sample.db", before)
        with sqlite3.connect(before) as connection:
            # Few pages, few calls.
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE INDEX%'"
            ).fetchall():
                connection.execute(f"DROP INDEX {name}")
            connection.execute("DELETE FROM validation_results")
            connection.execute("UPDATE proxy_identities SET username = NULL, password = NULL")
            connection.execute("DELETE FROM proxy_identities WHERE rowid > 5")
            connection.execute("DELETE FROM proxy_statuses WHERE proxy_url NOT IN (SELECT url FROM proxy_identities)")
        connection.close()
    elif request.param == "old.json":
        before = DATA / "proxywhirl-file-storage-sample.json"
    return Importer(tmp_path.resolve(), request.param, before, forking)


def test_at_every_call_a_fault_leaves_the_old_pool_or_the_new_one(importer: Importer) -> None:
    calls = importer.calls()
    new = importer.state()
    assert new is not None
    assert ("http://new.example.com:8080", "somebody", "new password", None) in new
    with_journal = importer.name == "old.db"
    assert {"pwrite64" if with_journal else "write", "fdatasync" if with_journal else "fsync"} & {
        call.name for call in calls
    }
    importer.reset()
    old = importer.state()
    assert old != new
    seen = Counter[bool]()
    for fault in faults_at(calls, ERRORS):
        outcome = importer.run(fault)
        case = fault.story(outcome)
        left = importer.state()
        assert left in (old, new), case
        seen[left == new] += 1
        if fault.kills:
            assert outcome.killed, case
        else:
            assert outcome.said is not None, case
            assert outcome.said["error"] in {None, "StorageError", "NoSpaceError"}, case
            if outcome.said["error"] is None:
                assert left == new, case
            else:
                assert outcome.said["hint"], case
        sweep(importer.pool.parent)
        # A journal that holds nothing may stay: SQLite uses it again.
        left_over = {path.name for path in importer.pool.parent.iterdir()} - {importer.name, "old.db-journal"}
        assert left_over == set(), case
    assert seen[False] > 3
    assert seen[True] >= 1

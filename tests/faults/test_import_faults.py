"""Every call of an import that touches the pool fails, or is the last one: the pool is the old one or the new one.

As in ``test_publish_faults.py``, the calls are counted in a first, traced run; then the same change is made again and
again, and each time one of them fails with an error of the disk or kills the process.
"""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from tailrace_source_pool.source import PoolSource
from tailrace_source_pool.targets.opening import open_pool

from tailrace import OpenPoolCall
from tailrace.files.staging import sweep

ERRORS = ("EIO", "ENOSPC")
CALLS = (
    "write,?writev,?pwrite64,fsync,?fdatasync,?link,?linkat,?rename,?renameat,?renameat2,?unlink,?unlinkat,"
    "?fchmod,ftruncate"
)
ALL = bool(os.environ.get("ALL_FAULTS"))
DATA = Path(__file__).parents[1] / "data"

SERVER = """
import itertools, json, os, secrets, sys, time
import polars as pl
from pathlib import Path
from tailrace import OpenPoolCall, PoolChanges, TailraceError
from tailrace_source_pool.source import PoolSource
from tailrace_source_pool.targets.opening import open_pool

def work(pool, result):
    numbers = itertools.count(1)
    secrets.token_hex = lambda size: f"{next(numbers):0{2 * size}}"
    while "TracerPid:\\t0\\n" in Path("/proc/self/status").read_text():
        time.sleep(0.001)
    try:
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
        said = {"error": None}
    except TailraceError as error:
        said = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except BaseException as error:
        said = {"error": repr(error), "message": "", "hint": ""}
    Path(result).write_text(json.dumps(said))

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            work(**json.loads(line))
        finally:
            os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


@attrs.frozen
class Call:
    """A system call of the first run: the ``number``-th of its name in its thread, which is how strace counts."""

    name: str
    number: int
    text: str


@attrs.frozen
class Outcome:
    """How a traced import ended."""

    killed: bool
    said: dict[str, Any] | None
    trace: str


@attrs.define
class Importer:
    """Changes a pool under a tracer."""

    home: Path
    name: str
    before: Path | None
    server: "subprocess.Popen[str]"

    @property
    def pool(self) -> Path:
        return self.home / "folder" / self.name

    def run(self, *inject: str) -> Outcome:
        """Start from the state before, and change it once."""
        shutil.rmtree(self.pool.parent, ignore_errors=True)
        self.pool.parent.mkdir()
        if self.before:
            shutil.copy(self.before, self.pool)
            self.pool.chmod(0o600)
        result, trace = self.home / "result", self.home / "trace"
        result.unlink(missing_ok=True)
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps({"pool": str(self.pool), "result": str(result)}) + "\n")
        self.server.stdin.flush()
        pid = self.server.stdout.readline().strip()
        parts = [f".tailrace-{number:016}{more}.part" for number in range(1, 4) for more in ("", "-new")]
        names = [self.name, f"{self.name}-journal", *parts]
        command = [
            "strace",
            "-f",
            "-y",
            "-p",
            pid,
            "-o",
            str(trace),
            "-e",
            f"trace={CALLS}",
            "-P",
            str(self.pool.parent),
        ]
        for name in names:
            command += ["-P", str(self.pool.with_name(name))]
        for what in inject:
            command += ["-e", f"inject={what}"]
        tracer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        status = int(self.server.stdout.readline())
        assert trace.exists(), tracer.stderr
        said = json.loads(result.read_text()) if result.exists() else None
        return Outcome(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, said, trace.read_text())

    def calls(self) -> list[Call]:
        """The calls of an import that goes well."""
        outcome = self.run()
        assert outcome.said == {"error": None}, outcome.said
        matches = filter(None, (re.match(r"(\d+) +(\w+)\((.*)", line) for line in outcome.trace.splitlines()))
        counts = Counter[tuple[str, str]]()
        found: list[Call] = []
        for thread, name, text in (match.groups() for match in matches):
            counts[thread, name] += 1
            found.append(Call(name, counts[thread, name], text))
        return found

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
def server() -> "Iterator[subprocess.Popen[str]]":
    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed")
        pytest.skip("strace is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROXYWHIRL")}
    running = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    yield running
    running.communicate()


@pytest.fixture(params=["old.db", "new.db", "old.json", "new.json"])
def importer(request: pytest.FixtureRequest, tmp_path: Path, server: "subprocess.Popen[str]") -> Importer:
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
    return Importer(tmp_path.resolve(), request.param, before, server)


def test_at_every_call_a_fault_leaves_the_old_pool_or_the_new_one(importer: Importer) -> None:
    calls = importer.calls()
    new = importer.state()
    assert new is not None
    assert ("http://new.example.com:8080", "somebody", "new password", None) in new
    with_journal = importer.name == "old.db"
    assert {"pwrite64" if with_journal else "write", "fdatasync" if with_journal else "fsync"} & {
        call.name for call in calls
    }
    importer.pool.unlink()
    if importer.before:
        shutil.copy(importer.before, importer.pool)
        importer.pool.chmod(0o600)
    old = importer.state()
    assert old != new
    seen = Counter[bool]()
    tried = {(call.name, call.number): call for call in calls}
    for turn, call in enumerate(tried.values()):
        for fault in ("SIGKILL", *(ERRORS if ALL else (ERRORS[turn % len(ERRORS)],))):
            what = f"signal={fault}" if fault == "SIGKILL" else f"error={fault}"
            outcome = importer.run(f"{call.name}:{what}:when={call.number}")
            case = f"{fault} at {call.name} {call.number}: {call.text}\n{outcome.said}\n{outcome.trace}"
            left = importer.state()
            assert left in (old, new), case
            seen[left == new] += 1
            if fault == "SIGKILL":
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

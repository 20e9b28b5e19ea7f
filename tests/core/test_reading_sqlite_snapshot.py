"""A snapshot is of one moment, harms nobody, and says clearly why it cannot be taken."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import adbc_driver_sqlite
import polars as pl
import pytest

from tailrace import (
    BadRows,
    CancelledError,
    Context,
    DeadlineError,
    SourceError,
    SqliteSnapshot,
    TransientError,
)
from tailrace.reading import sqlite as reading
from tailrace.reading.adbc import Connection
from tailrace.reading.sqlite_file import explained

ROWS = 100_000


def make(path: Path, *, journal: str = "delete", rows: int = ROWS) -> Path:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER, pad TEXT)")
        connection.execute("CREATE VIEW v AS SELECT * FROM t")
        connection.executemany("INSERT INTO t VALUES (?, 1, ?)", ((row, "p" * 100) for row in range(1, rows + 1)))
        connection.commit()
        connection.execute(f"PRAGMA journal_mode = {journal}")
    return path


def snapshot(path: Path, *, busy_timeout: float = 5.0, context: Context | None = None) -> SqliteSnapshot:
    return SqliteSnapshot(path, context=context or Context(), busy_timeout=busy_timeout)


_PREAMBLE = """
import sqlite3, sys, time
def ready():
    print('ready', flush=True)
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
"""


class Process:
    """Another process with a connection of its own; says ``ready`` when the code is at that point."""

    def __init__(self, path: Path, code: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PREAMBLE + code, str(path)],
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def wait_until_ready(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def is_running(self) -> bool:
        return self._process.poll() is None

    def finish(self) -> int:
        """Let it go on to its end; its exit code."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self._process.wait(timeout=30)

    def kill(self) -> None:
        self._process.kill()
        with self._process:
            pass


@contextlib.contextmanager
def process(path: Path, code: str) -> Iterator[Process]:
    other = Process(path, code)
    try:
        yield other
    finally:
        other.kill()


@contextlib.contextmanager
def without_privileges() -> Iterator[None]:
    """Permissions count for everybody but root: be nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may reach, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


# One moment.


@pytest.mark.parametrize("table", ["t", "v"])
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_commit_of_another_process_is_not_seen(tmp_path: Path, journal: str, table: str) -> None:
    path = make(tmp_path / "t.db", journal=journal)
    commit = "ready(); connection.execute('UPDATE t SET x = 5'); connection.execute('DELETE FROM t WHERE id > 50000')"
    with snapshot(path) as opened:
        batches = iter(opened.scan(table).collect_batches(chunk_size=1000, lazy=True))
        first = next(batches)
        with process(path, commit) as writer:
            writer.wait_until_ready()
            if journal == "wal":
                assert writer.finish() == 0
            else:
                # The writer waits for the end of the snapshot.
                time.sleep(0.2)
                assert writer.is_running()
            whole = pl.concat([first, *batches])
            assert whole["id"].to_list() == list(range(1, ROWS + 1))
            assert whole["x"].sum() == ROWS
            assert opened.count("t") == ROWS
            assert opened.query("SELECT max(x) AS x FROM t").item() == 1
            opened.__exit__(None, None, None)
            assert writer.finish() == 0
    with snapshot(path) as opened:
        assert opened.count("t") == 50_000
        assert opened.scan("t").select(pl.col("x").sum()).collect().item() == 250_000


def test_both_readers_see_the_same_moment_while_somebody_commits_all_the_time(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", journal="wal", rows=2000)
    # Each commit takes from one end of the table and gives to the other: the sum never changes.
    transfers = """
connection.execute("PRAGMA synchronous = OFF")
for turn in range(1_000_000):
    connection.execute("UPDATE t SET x = x + CASE id WHEN 1 THEN 1 WHEN 2000 THEN -1 END WHERE id IN (1, 2000)")
    if turn == 10: ready()
"""
    moments = set()
    with process(path, transfers) as writer:
        writer.wait_until_ready()
        for _ in range(25):
            with snapshot(path) as opened:
                frame = opened.scan("t").collect()
                assert frame["x"].sum() == 2000
                moments.add(frame["x"][0])
        assert writer.is_running()
    assert len(moments) > 1


def test_where_there_is_no_common_moment_one_reader_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_TRIES_FOR_ONE_MOMENT", 0)
    path = make(tmp_path / "t.db", journal="wal")
    with snapshot(path) as opened:
        with process(path, "connection.execute('DELETE FROM t')") as writer:
            assert writer.finish() == 0
        assert opened.scan("t").collect()["id"].to_list() == list(range(1, ROWS + 1))


def test_a_moment_that_passed_between_two_readers_is_tried_again(tmp_path: Path) -> None:
    """Commit between the first and the second reader, once; the second try must bring both to one moment."""
    path = make(tmp_path / "t.db", journal="wal", rows=2000)
    begun: list[None] = []
    original = Connection.run

    def run(self: Connection, sql: str) -> None:
        if sql == "BEGIN":
            begun.append(None)
            if len(begun) == 2:
                with process(path, "connection.execute('UPDATE t SET x = 2')") as writer:
                    assert writer.finish() == 0
        original(self, sql)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "run", run)
        with snapshot(path) as opened:
            assert opened.scan("t").collect()["x"].unique().to_list() == [2]
    assert len(begun) == 4


# Harming nobody.


def test_nothing_is_written(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db")
    before, when = path.read_bytes(), path.stat().st_mtime_ns
    with snapshot(path) as opened:
        opened.scan("t").collect()
        assert [entry.name for entry in tmp_path.iterdir()] == ["t.db"]
        with pytest.raises(SourceError):
            opened.query("DELETE FROM t RETURNING id")
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == when
    assert [entry.name for entry in tmp_path.iterdir()] == ["t.db"]


@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_host_that_has_the_file_open_keeps_its_locks_and_may_go_on(tmp_path: Path, journal: str) -> None:
    path = make(tmp_path / "t.db", journal=journal)
    temporary = set(Path(tempfile.gettempdir()).glob("tailrace-*"))
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as host:
        host.execute("BEGIN IMMEDIATE")
        host.execute("UPDATE t SET x = 7 WHERE id = 1")
        with snapshot(path) as opened:
            batches = iter(opened.scan("t").collect_batches(chunk_size=1000, lazy=True))
            first = next(batches)
            host.execute("UPDATE t SET x = 7")
            host.execute("COMMIT")
            host.execute("BEGIN IMMEDIATE")
            assert pl.concat([first, *batches])["x"].sum() == ROWS
            assert opened.count("t") == ROWS
        # The host's lock outlived the snapshot: nobody else can write.
        with process(
            path, "connection.execute('PRAGMA busy_timeout = 100'); connection.execute('DELETE FROM t')"
        ) as thief:
            assert thief.finish() == 1
        host.execute("COMMIT")
        assert host.execute("SELECT sum(x) FROM t").fetchone() == (7 * ROWS,)
    assert set(Path(tempfile.gettempdir()).glob("tailrace-*")) == temporary


def test_two_snapshots_in_one_process_hold_their_locks_on_their_own(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db")
    delete = "connection.execute('PRAGMA busy_timeout = 100'); connection.execute('DELETE FROM t')"
    with snapshot(path) as one:
        with snapshot(path) as two:
            assert one.count("t") == two.count("t") == ROWS
        with process(path, delete) as writer:
            assert writer.finish() == 1
        assert one.scan("t").collect().height == ROWS
    with process(path, delete) as writer:
        assert writer.finish() == 0


def test_a_private_copy_waits_for_locks_and_can_be_cancelled(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as host:
        host.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(TransientError, match=r"'t\.db' is locked by another process"),
            snapshot(path, busy_timeout=0.2),
        ):
            pass
        host.execute("ROLLBACK")
        context = Context()
        context.cancel()
        with pytest.raises(CancelledError), snapshot(path, context=context):
            pass
    path.write_bytes(b"no database" * 1000)
    with (
        path.open("rb"),
        pytest.raises(SourceError, match=r"'t\.db' is not a SQLite database"),
        snapshot(path),
    ):
        pass


# Why it cannot be taken.


def damaged(path: Path, change: Callable[[bytes], bytes]) -> None:
    make(path)
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (str, "There is no database 'it.db'."),
        (lambda path: path.mkdir(), "'it.db' is a folder, not a database."),
        (os.mkfifo, "'it.db' is not a regular file, not a database."),
        (lambda path: path.touch(), "The database 'it.db' is empty: a file of no bytes."),
        (lambda path: path.write_text("id,name\n" * 1000), "'it.db' is not a SQLite database."),
        (lambda path: damaged(path, lambda raw: raw[:50]), "The database 'it.db' is damaged or incomplete."),
        (
            lambda path: damaged(path, lambda raw: raw[: len(raw) // 2]),
            "The database 'it.db' is damaged or incomplete.",
        ),
        (
            lambda path: damaged(path, lambda raw: raw[:100] + b"\xee" * 8000 + raw[8100:]),
            "The database 'it.db' is damaged",
        ),
        (
            lambda path: path.symlink_to(path),
            "The database 'it.db' cannot be reached: Too many levels of symbolic links.",
        ),
    ],
    ids=["missing", "folder", "fifo", "empty", "text", "header only", "truncated", "schema", "loop"],
)
def test_what_is_no_database_is_said_to_be_none(
    tmp_path: Path, prepare: Callable[[Path], object], message: str
) -> None:
    path = tmp_path / "it.db"
    prepare(path)
    with pytest.raises(SourceError) as caught, snapshot(path):
        pass
    assert caught.value.message.startswith(message)
    assert caught.value.hint


@pytest.mark.parametrize("table", ["t", "v"])
def test_damage_inside_is_found_where_it_is_read(tmp_path: Path, table: str) -> None:
    path = tmp_path / "t.db"
    damaged(path, lambda raw: raw[: len(raw) // 2] + b"\xee" * 8192 + raw[len(raw) // 2 + 8192 :])
    with snapshot(path) as opened:
        assert opened.scan(table).head(10).collect().height == 10
        with pytest.raises(SourceError, match=r"^The database 't\.db' is damaged or incomplete\.$"):
            opened.scan(table, bad_rows=BadRows()).collect(engine="in-memory")


def test_a_locked_database_is_waited_for_but_not_for_ever(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db")
    lock = "connection.execute('BEGIN EXCLUSIVE'); ready(); sys.stdin.readline()"
    with process(path, lock) as other:
        other.wait_until_ready()
        began = time.monotonic()
        with pytest.raises(TransientError, match=r"'t\.db' is locked by another process") as caught:
            snapshot(path, busy_timeout=0.3).__enter__()
        assert 0.3 <= time.monotonic() - began < 3
        assert caught.value.hint == "It stayed locked for 0.3 seconds. Try again when its writer is done."
        with pytest.raises(DeadlineError), snapshot(path, context=Context(timeout=0.1)):
            pass
        threading.Timer(0.3, other.finish).start()
        with snapshot(path) as opened:
            assert opened.count("t") == ROWS


def test_a_file_that_must_not_be_read(folder: Path) -> None:
    path = make(folder / "t.db")
    path.chmod(0)
    with without_privileges(), pytest.raises(SourceError) as caught, snapshot(path):
        pass
    assert caught.value.message == "The database 't.db' must not be read by this user."


def test_an_unfinished_transaction_of_a_crashed_writer(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db")
    crash = """
connection.execute('PRAGMA cache_size = 10')
connection.execute('BEGIN')
connection.execute('UPDATE t SET x = 2')
ready(); time.sleep(60)
"""
    with process(path, crash) as writer:
        writer.wait_until_ready()
        os.kill(writer.pid, signal.SIGKILL)
    assert (tmp_path / "t.db-journal").stat().st_size > 0
    with pytest.raises(SourceError, match="holds an unfinished transaction of a writer that crashed"), snapshot(path):
        pass
    with contextlib.closing(sqlite3.connect(path)) as owner:
        assert owner.execute("SELECT sum(x) FROM t").fetchone() == (ROWS,)
    with snapshot(path) as opened:
        assert opened.count("t") == ROWS


def test_the_log_of_a_crashed_writer_is_read(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db", journal="wal")
    with process(path, "connection.execute('UPDATE t SET x = 2'); ready(); time.sleep(60)") as writer:
        writer.wait_until_ready()
        os.kill(writer.pid, signal.SIGKILL)
    assert (tmp_path / "t.db-wal").stat().st_size > 0
    with snapshot(path) as opened:
        assert opened.scan("t").collect()["x"].sum() == 2 * ROWS


def test_a_wal_database_in_a_folder_that_must_not_be_written_to(folder: Path) -> None:
    path = make(folder / "t.db", journal="wal")
    path.chmod(0o644)
    folder.chmod(0o555)
    with without_privileges():
        with snapshot(path) as opened:
            assert opened.scan("t").collect()["id"].to_list() == list(range(1, ROWS + 1))
        assert [entry.name for entry in folder.iterdir()] == ["t.db"]


def test_such_a_database_that_is_written_to_meanwhile_is_not_trusted(folder: Path) -> None:
    path = make(folder / "t.db", journal="wal")
    path.chmod(0o644)
    folder.chmod(0o555)
    with without_privileges(), snapshot(path) as opened:
        assert opened.count("t") == ROWS
        if os.getuid() == 0:
            os.seteuid(0)
        folder.chmod(0o755)
        with process(path, "connection.execute('UPDATE t SET x = 2'); ready(); time.sleep(60)") as writer:
            writer.wait_until_ready()
            for ask in (
                lambda: opened.count("t"),
                lambda: opened.scan("t").collect(),
                lambda: opened.scan("v").collect(),
            ):
                with pytest.raises(TransientError, match=r"'t\.db' was written to while it was read"):
                    ask()


def test_such_a_database_with_a_log_cannot_be_read(folder: Path) -> None:
    path = make(folder / "t.db", journal="wal", rows=10)
    with process(path, "connection.execute('UPDATE t SET x = 2'); ready(); time.sleep(60)") as writer:
        writer.wait_until_ready()
    (folder / "t.db-shm").unlink()
    for entry in folder.iterdir():
        entry.chmod(0o644)
    folder.chmod(0o555)
    with without_privileges(), pytest.raises(SourceError) as caught, snapshot(path):
        pass
    assert caught.value.message == "The database 't.db' cannot be opened."
    assert "write permission on the folder" in caught.value.hint


def test_what_is_no_database_in_a_folder_that_must_not_be_written_to(folder: Path) -> None:
    path = folder / "t.db"
    path.write_text("id,name\n" * 1000)
    folder.chmod(0o555)
    with without_privileges(), pytest.raises(SourceError, match=r"'t\.db' is not a SQLite database"), snapshot(path):
        pass


def test_a_lock_is_transient_whenever_it_is_met(tmp_path: Path) -> None:
    error = explained(tmp_path / "t.db", sqlite3.OperationalError("database is locked"))
    assert isinstance(error, TransientError)
    assert error.message == "The database 't.db' is locked by another process."


def test_paths_are_taken_literally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a?mode=rwc.db", "a#b.db", "a%41.db", "a b&c;d.db", "é\U0001f600.db", "it's.db", "file:x.db"):
        path = make(tmp_path / name, rows=3)
        with snapshot(path) as opened:
            assert opened.count("t") == 3
    monkeypatch.chdir(tmp_path)
    with snapshot(Path("a#b.db")) as opened:
        assert opened.scan("t").collect().height == 3


# Coming to an end.


@pytest.mark.parametrize("table", ["t", "v"])
def test_cancelling_stops_a_scan(tmp_path: Path, table: str) -> None:
    context = Context()
    written: list[int] = []

    class Output:
        def write(self, data: bytes) -> int:
            written.append(len(data))
            context.cancel()
            return len(data)

        def flush(self) -> None: ...

    with (
        snapshot(make(tmp_path / "t.db"), context=context) as opened,
        pytest.raises(CancelledError, match=r"^It was cancelled\.$"),
    ):
        opened.scan(table).sink_csv(Output(), maintain_order=True)  # type: ignore[call-overload]
    assert 0 < sum(written) < ROWS * 50


@pytest.mark.parametrize("table", ["t", "v"])
def test_a_scan_that_nobody_finishes_does_not_hold_up_the_end(tmp_path: Path, table: str) -> None:
    path = make(tmp_path / "t.db")
    with snapshot(path) as opened:
        batches = iter(opened.scan(table).collect_batches(chunk_size=10, lazy=True))
        assert next(batches).height > 0
        frame = opened.scan(table)
        assert frame.head(1).collect().height == 1
    with pytest.raises(RuntimeError, match="this snapshot is not open"):
        frame.collect()
    with pytest.raises(RuntimeError, match="this snapshot is not open"):
        opened.count("t")
    del batches


def test_several_scans_at_once(tmp_path: Path) -> None:
    path = make(tmp_path / "t.db")
    with snapshot(path) as opened:
        frames = [opened.scan(table).select(pl.col("id").sum()) for table in ("t", "v", "t", "v", "v")]
        assert [frame.item() for frame in pl.collect_all(frames)] == [ROWS * (ROWS + 1) // 2] * 5
        joined = opened.scan("t").join(opened.scan("v"), on="id").select(pl.len())
        assert joined.collect(engine="streaming").item() == ROWS


@pytest.mark.parametrize("table", ["t", "v"])
def test_reading_keeps_close_to_writing(tmp_path: Path, table: str) -> None:
    """A slow output slows reading down: what is read ahead is bounded."""
    rows = 600_000 if table == "t" else 200_000
    path = make(tmp_path / "t.db", rows=rows)
    read: list[int] = []
    ahead: list[int] = []
    lines = 0

    class Counting(Context):
        def check(self) -> None:
            read.append(1)
            super().check()

    class Output:
        def write(self, data: bytes) -> int:
            nonlocal lines
            time.sleep(0.02)
            lines += bytes(data).count(b"\n")
            ahead.append(len(read))
            return len(data)

        def flush(self) -> None: ...

    with snapshot(path, context=Counting()) as opened:
        opened.scan(table).sink_csv(Output(), maintain_order=True)  # type: ignore[call-overload]
    assert lines == rows + 1
    # Of all batches only a few have been read when the first rows are written.
    assert ahead[1] <= 12
    assert len(read) >= 20


def test_a_connection_is_closed_behind_what_other_threads_read_from_it(tmp_path: Path) -> None:
    numbers = (
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000000) SELECT max(n) AS n FROM c"
    )
    connection = Connection(adbc_driver_sqlite.connect(f"file:{make(tmp_path / 't.db', rows=1)}?mode=ro"))
    read: list[int] = []
    reader = threading.Thread(target=lambda: read.extend(frame.item() for frame in connection.batches(numbers)))
    reader.start()
    time.sleep(0.05)
    connection.close()
    reader.join()
    assert read == [1_000_000]


def test_a_path_that_begins_with_two_slashes(tmp_path: Path) -> None:
    path = make(tmp_path / "a.db", rows=3)
    with snapshot(Path(f"/{path}")) as database:
        assert database.scan("t").collect().height == 3

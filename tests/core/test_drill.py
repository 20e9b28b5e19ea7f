"""The restore drill, with the real plugins: what it proves, says and refuses, and what it leaves behind."""

import contextlib
import csv
import errno
import fcntl
import gzip
import hashlib
import json
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest

from tailrace import (
    Context,
    CredentialMode,
    Engine,
    ExportRequest,
    ImportRequest,
    Keyring,
    Loss,
    MasterKey,
    NotAllowedError,
    OpenPoolCall,
    PoolChanges,
    RequestError,
    SigningKey,
    SinkRequest,
    SourceError,
    TailraceError,
    TransientError,
    UnknownKeyError,
)
from tailrace.files.scratch import PREFIX, scratch_folder
from tailrace.model.errors import (
    CancelledError,
    IntegrityError,
    NewerVersionError,
    NoSpaceError,
    RefusedError,
    StorageError,
)
from tailrace.pipeline.verify import inspect
from tailrace.plugins.kinds import Source, SourceCall
from tailrace.plugins.registry import Registry
from tailrace.references import reference_ids
from tailrace.restore.comparison import RUNNING, SCHEMA, compare, lost
from tailrace.restore.drill import DrillResult, drill
from tailrace.restore.errors import ClashError, InvalidImportError
from tailrace.restore.fields import FIELDS, typed
from tailrace.restore.scratch import copied_pool
from tailrace.settings import Settings, VaultSettings
from tailrace.work.drill_source import COLUMNS, DrillSource

DATA = Path(__file__).parents[1] / "data"
# The key of the made-up credentials in the sample.
SAMPLE_KEY = "k3vF0aZ2mRr5Xb8yTq1wLs7uJd4gNh6cPoEi9tYxVaM="
NOW = datetime(2026, 11, 30, 2, tzinfo=UTC)
KEYS = {
    "mine": MasterKey.generate(),
    "other": MasterKey.generate(),
    "ada": SigningKey.generate(),
    "eve": SigningKey.generate(),
}
CANARY = "canary-Pa55word"
LIST = "".join(f"http://user{number}:{CANARY}-{number}@h{number}.example.com:8080\n" for number in range(10))
KINDS = ("pool.db", "pool.json", "pool.enc", "pool.txt")


@attrs.define
class Bench:
    """An engine, a pool, and a clock that can be put forward."""

    folder: Path
    now: datetime = NOW
    keys: tuple[str, ...] = ("mine",)

    def engine(self, **vault: Any) -> Engine:
        wanted = attrs.evolve(VaultSettings(openers=("mine",), keys=self.keys), **vault)
        settings = Settings(home=self.folder / "home", user="ops", vault=wanted)
        return Engine(settings, keyring=Keyring(KEYS), clock=lambda: self.now)

    def pool(self, name: str = "pool.json", text: str = LIST) -> Path:
        """A pool of ten proxies, made as people make them."""
        proxies, path = self.folder / "list.txt", self.folder / name
        proxies.write_text(text)
        self.engine().apply_import(ImportRequest(proxies, str(path)))
        return path

    def backup(self, pool: Path, *, engine: Engine | None = None, **changes: Any) -> Path:
        request = ExportRequest(
            "pool",
            str(pool),
            "json",
            sinks=(SinkRequest("disk", str(self.folder / "backups"), options={"overwrite": True}),),
            credentials=CredentialMode.FULL,
            compress=False,
        )
        path = (engine or self.engine()).export(attrs.evolve(request, **changes)).artifacts[0].path
        assert path is not None
        return path

    def drill(
        self, path: Path, pool: Path | str, *, engine: Engine | None = None, context: Context | None = None
    ) -> DrillResult:
        """The drill, wired as an engine does it."""
        engine, context = engine or self.engine(), context or Context()
        return drill(
            path,
            str(pool),
            verify=lambda path, sealed: engine.verify(path, keys=self.keys if sealed else (), context=context),
            open_file=lambda path, resolver: engine.open_pool_file(
                engine.read_pool_call(path, context=context), resolver=resolver
            ),
            keeper=engine.keeper,
            identify=reference_ids(engine.settings.home),
            scratch=self.scratch,
            now=self.now,
            context=context,
        )

    @property
    def scratch(self) -> Path:
        return self.folder / "home" / "scratch"

    def left(self) -> list[Path]:
        """What is in the folder for copies."""
        return list(self.scratch.iterdir()) if self.scratch.exists() else []

    def change(self, pool: Path, what: Callable[[pl.DataFrame], PoolChanges]) -> None:
        """Change the pool as whoever uses it does."""
        with self.engine().keeper.open_pool(OpenPoolCall(str(pool), write=True)) as target:
            target.write(what(typed(target.read(), whose="the pool")))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", SAMPLE_KEY)
    monkeypatch.delenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", raising=False)
    return Bench(tmp_path)


def state(folder: Path) -> dict[str, tuple[str, int]]:
    """Content and time of all that lies beside a pool, but for what readers of SQLite share among themselves."""
    files = [path for path in folder.iterdir() if path.is_file() and not path.name.endswith("-shm")]
    return {path.name: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def updated(frame: pl.DataFrame, host: str, **values: Any) -> pl.DataFrame:
    """The change of one proxy."""
    names = [name for name in ("stored_url", "credentials_in") if name in frame.columns]
    row = frame.filter(pl.col("host") == host).with_columns(pl.lit(value).alias(name) for name, value in values.items())
    row = row.with_columns(pl.lit(None, pl.String).alias(name) for name in names if name not in values)
    return row.with_columns(changed=pl.Series([[*values]], dtype=pl.List(pl.String)))


def nothing(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.clear().with_columns(changed=pl.lit(None, pl.List(pl.String)))


def added(host: str) -> pl.DataFrame:
    url = f"http://{host}:8080"
    return pl.DataFrame({"url": [url], "protocol": ["http"], "host": [host], "port": [8080]}).with_columns(
        username=pl.lit("newcomer"), password=pl.lit(f"{CANARY}-new")
    )


def told(result: DrillResult) -> str:
    """Everything that a result tells."""
    return "\n".join(
        [repr(result), result.sentence, *result.notes, repr(result.losses), result.differences.write_json()]
    )


@pytest.mark.parametrize("name", KINDS)
def test_a_backup_of_a_pool_as_it_is_is_restorable_without_a_difference(name: str, bench: Bench) -> None:
    pool = bench.pool(name)
    path = bench.backup(pool)
    bench.now += timedelta(hours=3, minutes=20)
    before = state(bench.folder)
    result = bench.drill(path, pool)
    assert result.sentence == (f"Restorable, 0 differences: 10 proxies of backup {path.name}, 3 hours old.")
    manifest = inspect(path).manifest
    assert (result.path, result.export_id, result.created) == (path, manifest.export_id, manifest.created)
    assert (result.age, result.pool, result.pool_proxies) == (timedelta(hours=3, minutes=20), str(pool), 10)
    assert (result.plan.add, result.plan.unchanged, result.losses) == (0, 10, ())
    assert result.differences.schema == SCHEMA
    assert result.differences.is_empty()
    assert state(bench.folder) == before
    assert bench.left() == []


@pytest.mark.parametrize("name", KINDS)
def test_what_was_changed_since_is_told_by_what_it_is(
    name: str, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pool = bench.pool(name)
    path = bench.backup(pool)
    counts = name != "pool.txt"

    def life(frame: pl.DataFrame) -> PoolChanges:
        gone = frame.filter(pl.col("host") == "h9.example.com")["key"]
        changes = [updated(frame, "h1.example.com", password=f"{CANARY}-changed")]
        if counts:
            changes += [
                updated(frame, "h2.example.com", total_checks=7, health_status="dead"),
                updated(frame, "h3.example.com", total_checks=8, country_code="DE"),
            ]
        return PoolChanges(added("h77.example.com"), pl.concat(changes, how="diagonal_relaxed"), tuple(gone))

    bench.change(pool, life)
    before = state(bench.folder)
    result = bench.drill(path, pool)
    found = result.comparison
    assert (found.only_in_backup, found.only_in_pool, found.other_credentials) == (1, 1, 1)
    rows = {row["host"]: row for row in result.differences.iter_rows(named=True)}
    assert (rows["h9.example.com"]["what"], rows["h9.example.com"]["place"]) == ("only in the backup", "$.proxies[9]")
    assert (rows["h77.example.com"]["what"], rows["h77.example.com"]["place"]) == ("only in the pool", None)
    assert rows["h1.example.com"]["columns"].split(", ")[0] == "password"
    assert all(row["identity"].startswith("ref_") for row in rows.values())
    if counts:
        assert rows["h2.example.com"]["what"] == "running state"
        assert "health_status" in rows["h2.example.com"]["running"]
        assert rows["h2.example.com"]["columns"] is None
        assert rows["h3.example.com"]["columns"] == "country_code"
        assert "total_checks" in rows["h3.example.com"]["running"]
        assert (found.count, found.other_values) == (4, 1)
        # Whoever changes a login may touch the time of the change as well.
        assert found.running >= 2
        assert "; running state differs for " in result.sentence
    parts = "1 proxy only in the backup, 1 only in the pool, 1 with other credentials"
    parts += ", 1 with other country_code" if counts else ""
    assert result.sentence.startswith(
        f"Restorable, {found.count} differences ({parts}): 10 proxies of backup {path.name},"
    )
    assert CANARY not in told(result) + caplog.text
    assert state(bench.folder) == before
    assert bench.left() == []


def test_it_says_what_an_import_into_the_pool_would_do_now(bench: Bench) -> None:
    pool = bench.pool("pool.db")
    path = bench.backup(pool)
    bench.change(
        pool,
        lambda frame: PoolChanges(
            added("h77.example.com"),
            updated(frame, "h1.example.com", password=f"{CANARY}-changed"),
            tuple(frame.filter(pl.col("host") == "h9.example.com")["key"]),
        ),
    )
    result = bench.drill(path, f"proxywhirl://{pool}")
    assert (result.plan.add, result.plan.clash) == (1, 1)
    note = "Importing it into the pool as it is now would add 1 proxy, and clash with what is there for 1."
    assert note in result.notes


@pytest.mark.parametrize("mode", [CredentialMode.SANITIZED, CredentialMode.REFERENCE])
@pytest.mark.parametrize("name", ["pool.db", "pool.json"])
def test_a_backup_without_credentials_says_so(mode: CredentialMode, name: str, bench: Bench) -> None:
    pool = bench.pool(name)
    bench.change(
        pool,
        lambda frame: PoolChanges(
            frame.clear().drop("key"),
            updated(frame, "h1.example.com", source_url=f"https://lists.example.com/{CANARY}-1?a=1"),
        ),
    )
    path = bench.backup(pool, credentials=mode)
    bench.change(
        pool,
        lambda frame: PoolChanges(frame.clear().drop("key"), updated(frame, "h1.example.com", password="x" * 9)),
    )
    result = bench.drill(path, pool)
    assert result.sentence.startswith(
        f"Restorable without credentials, 0 differences: 10 proxies of backup {path.name},"
    )
    assert not result.credentials
    assert "10 proxies had a login that the backup does not hold." in result.notes
    bench.change(
        pool,
        lambda frame: PoolChanges(
            frame.clear().drop("key"), updated(frame, "h2.example.com", username=None, password=None)
        ),
    )
    (row,) = bench.drill(path, pool).differences.filter(pl.col("what") == "differs").iter_rows(named=True)
    assert (row["host"], row["columns"]) == ("h2.example.com", "has_credentials")


def test_a_backup_of_a_part_says_so(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool, limit=4, columns=("number", "url", "protocol", "host", "port", "username", "password"))
    result = bench.drill(path, pool)
    assert "(6 proxies only in the pool)" in result.sentence
    assert "The backup holds 4 of 10 proxies that the pool had: it was made with a filter, a range or a limit." in (
        result.notes
    )
    assert any(note.startswith("The backup has no columns id, ") and " more, in which" in note for note in result.notes)


def test_a_pool_that_lost_everything_is_told_so(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool)
    pool.write_text("[]")
    result = bench.drill(path, pool)
    assert "Restorable, 10 differences (10 proxies only in the backup): 10 proxies of backup" in result.sentence
    assert result.pool_proxies == 0


def test_rows_that_could_not_be_read_are_told(bench: Bench) -> None:
    pool = bench.pool()
    entries = json.loads(pool.read_text())
    broken = bench.folder / "broken.json"
    broken.write_text(json.dumps([*entries, {**entries[0], "url": "nonsense"}]))
    path = bench.backup(broken, options={"on_bad_rows": "report"})
    result = bench.drill(path, pool)
    assert "1 proxy of the pool could not be read when the backup was made: not in it." in result.notes
    assert result.comparison.count == 0


def test_proxies_that_an_import_cannot_tell_apart_are_told_as_a_loss(bench: Bench) -> None:
    pool = bench.pool("pool.json")
    entries = json.loads(pool.read_text())
    twin = {**entries[0], "id": "00000000-0000-4000-8000-000000000001"}
    pool.write_text(json.dumps([*entries, twin]))
    result = bench.drill(bench.backup(pool), pool)
    assert "; not brought back: 1 proxy (taken for others of the backup)" in result.sentence
    assert result.comparison.count == 0


def test_what_the_pool_does_not_take_back_as_it_is_is_told_as_a_loss(bench: Bench) -> None:
    pool = bench.pool("pool.json")
    entries = json.loads(pool.read_text())
    entries[0]["source_url"] = "lists/morning.txt"
    pool.write_text(json.dumps(entries))
    result = bench.drill(bench.backup(pool), pool)
    assert result.losses == (Loss("source_url", 1, "it comes back otherwise"),)
    assert "; not brought back: 1 " in result.sentence
    assert result.comparison.count == 0


def test_what_does_not_come_back_at_all_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = bench.pool()
    path = bench.backup(pool)
    monkeypatch.setattr(
        "tailrace.restore.drill.lost", lambda backup, restored, holds: lost(backup, restored.head(3), holds)
    )
    with pytest.raises(RefusedError, match=r"7 proxies of .* did not come back from a copy of the pool: \$\.proxies"):
        bench.drill(path, pool)
    assert bench.left() == []


# What fails.


def failing(bench: Bench, path: Path, pool: Path | str, error: type[TailraceError], **more: Any) -> TailraceError:
    """The error of a drill that fails, and changes and leaves nothing."""
    before = state(bench.folder)
    with pytest.raises(error) as caught:
        bench.drill(path, pool, **more)
    assert state(bench.folder) == before
    assert bench.left() == []
    assert CANARY not in f"{caught.value} {caught.value.hint}"
    return caught.value


def test_a_wrong_key_fails_it(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool)
    bench.keys = ("other",)
    failing(bench, path, pool, UnknownKeyError)
    bench.keys = ()
    failing(bench, path, pool, UnknownKeyError)


def test_a_wrong_key_of_proxywhirl_fails_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = bench.pool("pool.db")
    path = bench.backup(pool)
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", SAMPLE_KEY[:-4] + "VaA=")
    assert "ProxyWhirl's key does not open" in str(failing(bench, path, pool, RefusedError))


@pytest.mark.parametrize("place", [0, 700, -3])
def test_a_changed_byte_fails_it(place: int, bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert "is not what its manifest says (" in str(failing(bench, path, pool, IntegrityError))


def manifest_of(path: Path) -> Path:
    return path.with_name(path.name + ".manifest.json")


def described_anew(path: Path, **changes: Any) -> None:
    """Make the manifest fit a file that was changed by hand."""
    content, beside = path.read_bytes(), manifest_of(path)
    document = json.loads(beside.read_text())
    digest = hashlib.sha256(content).hexdigest()
    document["file"] |= {"size": len(content), "plain_size": len(content), "sha256": digest, "plain_sha256": digest}
    beside.write_text(json.dumps(document | changes))


def test_a_seal_that_somebody_else_made_fails_it(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool, format="csv")
    path.write_bytes(path.read_bytes().replace(b"h3.example.com", b"h4.example.com"))
    described_anew(path)
    assert "(seal: not made with the data key)" in str(failing(bench, path, pool, IntegrityError))


def test_a_manifest_of_another_file_fails_it(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool)
    bench.now += timedelta(minutes=1)
    other = bench.backup(pool)
    assert other != path
    manifest_of(path).write_bytes(manifest_of(other).read_bytes())
    assert f"name: made as {other.name}" in str(failing(bench, path, pool, IntegrityError))


def test_a_newer_schema_fails_it(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool)
    described_anew(path, schema_version=99)
    assert "schema version 99" in str(failing(bench, path, pool, NewerVersionError))


def test_an_invalid_value_fails_it_with_its_place(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool, credentials=CredentialMode.SANITIZED)
    lines = path.read_text().split("\n")
    at = next(number for number, line in enumerate(lines) if "h4.example.com" in line)
    # The last of them, which is the port: the one before is in the URL.
    lines[at] = "65536".join(lines[at].rsplit("8080", 1))
    path.write_text("\n".join(lines))
    described_anew(path)
    assert "$.proxies[4].port" in str(failing(bench, path, pool, InvalidImportError))


def test_what_is_missing_fails_it(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool)
    assert "is not there" in str(failing(bench, path, bench.folder / "away.db", SourceError))
    manifest = manifest_of(path).read_bytes()
    manifest_of(path).unlink()
    assert "has no manifest beside it" in str(failing(bench, path, pool, SourceError))
    manifest_of(path).write_bytes(manifest)
    path.unlink()
    assert "does not exist" in str(failing(bench, path, pool, SourceError))


def test_what_is_no_backup_of_a_pool_fails_it(bench: Bench) -> None:
    pool = bench.pool()
    source = DrillSource(lambda _call: bench.backup(pool), lambda path, call: bench.drill(path, call.location))
    path = exported(bench, source, pool, "json")
    assert "it holds no table proxies" in str(failing(bench, path, pool, RequestError))


def test_a_signer_who_is_not_trusted_fails_it(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool, engine=bench.engine(signing_key="eve"))
    trusting = bench.engine(trusted=("ada",))
    assert "is not trusted: " in str(failing(bench, path, pool, NotAllowedError, engine=trusting))


def test_a_file_that_is_exchanged_meanwhile_fails_it(bench: Bench) -> None:
    pool = bench.pool()
    path, engine = bench.backup(pool), bench.engine()
    file = attrs.evolve(engine.open_pool_file(engine.read_pool_call(path)), digest="0" * 64)
    with pytest.raises(IntegrityError, match="was changed while it was looked at"):
        drill(
            path,
            str(pool),
            verify=lambda path, _sealed: engine.verify(path),
            open_file=lambda _path, _resolver: file,
            keeper=engine.keeper,
            identify=reference_ids(engine.settings.home),
            scratch=bench.scratch,
            now=NOW,
            context=Context(),
        )


def test_proxies_that_the_pool_cannot_hold_fail_it(bench: Bench) -> None:
    text = "http://u1:p1@gw.example.com:8080\nhttp://u2:p2@gw.example.com:8080\n"
    path = bench.backup(bench.pool("gateway.json", text))
    error = failing(bench, path, bench.pool("pool.db"), ClashError)
    assert "The pool cannot hold 1 proxy of the file" in str(error)


def test_errors_speak_of_the_pool_and_not_of_its_copy(bench: Bench) -> None:
    path = bench.backup(bench.pool())
    packed = bench.folder / "pool.json.gz"
    packed.write_bytes(gzip.compress(b"[]"))
    error = failing(bench, path, packed, RequestError)
    assert error.message == f"{packed} is compressed, and pools are not changed so."
    assert str(error) == error.message


@pytest.mark.parametrize("location", ["redis://ada:S3cret-word@h/0", "", "x\0y"])
def test_a_location_that_is_no_file_is_refused_without_repeating_it(location: str, bench: Bench) -> None:
    path = bench.backup(bench.pool())
    assert "S3cret" not in str(failing(bench, path, location, TailraceError))


def test_a_folder_and_a_damaged_database_are_refused(bench: Bench) -> None:
    path = bench.backup(bench.pool())
    assert "is not a regular file" in str(failing(bench, path, bench.folder / "home", SourceError))
    broken = bench.folder / "broken.db"
    broken.write_bytes(b"SQLite format 3\x00" + b"\xff" * 5000)
    assert "broken.db" in str(failing(bench, path, broken, SourceError))


@pytest.mark.parametrize("phase", ["verifying", "opening the backup", "copying the pool", "comparing", "importing"])
def test_cancelled_in_any_phase_it_leaves_nothing(phase: str, bench: Bench) -> None:
    pool = bench.pool("pool.db")
    path = bench.backup(pool)
    context = Context(on_progress=lambda progress: context.cancel() if progress.phase == phase else None)
    failing(bench, path, pool, CancelledError, context=context)


# Copies.


def test_a_database_in_use_is_copied_with_its_log_and_stays_as_it_is(bench: Bench) -> None:
    pool = bench.pool("pool.db")
    path = bench.backup(pool)
    # A writer that leaves its log behind, as one that is still there does.
    writer = (
        "import os, sqlite3, sys; database = sqlite3.connect(sys.argv[1]); "
        "database.execute('PRAGMA journal_mode = WAL'); "
        "database.execute(\"UPDATE proxy_identities SET country_code = 'DE'\"); database.commit(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", writer, str(pool)], check=True)
    assert pool.with_name("pool.db-wal").stat().st_size > 0
    before = state(bench.folder)
    result = bench.drill(path, pool)
    assert result.comparison.value_columns == ("country_code",)
    assert result.comparison.other_values == 10
    assert state(bench.folder) == before


def test_a_database_that_this_process_has_open_is_copied_too(bench: Bench) -> None:
    pool = bench.pool("pool.db")
    path = bench.backup(pool)
    connection = sqlite3.connect(pool)
    try:
        connection.execute("SELECT count(*) FROM proxy_identities").fetchone()
        assert bench.drill(path, pool).comparison.count == 0
    finally:
        connection.close()


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


def test_a_database_in_a_folder_that_must_not_be_written_to_is_copied_too() -> None:
    with tempfile.TemporaryDirectory() as name:
        pools, scratch = Path(name, "pools"), Path(name, "scratch")
        for folder in (pools, scratch):
            folder.mkdir()
        pool = pools / "pool.db"
        connection = sqlite3.connect(pool)
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        connection.close()
        pool.chmod(0o644)
        pools.chmod(0o555)
        scratch.chmod(0o777)
        Path(name).chmod(0o755)
        try:
            with without_privileges():
                copy = copied_pool(str(pool), scratch, Context())
                connection = sqlite3.connect(copy)
                assert connection.execute("SELECT x FROM t").fetchone() == (1,)
                connection.close()
            assert [path.name for path in pools.iterdir()] == ["pool.db"]
            for text in (b"", b"SQLite format 3\x00"):
                pool.write_bytes(text)
                pool.chmod(0o600)
                copy.unlink()
                with without_privileges(), pytest.raises(SourceError, match=r"pool\.db.* cannot be read"):
                    copied_pool(str(pool), scratch, Context())
                copy.touch()
        finally:
            pools.chmod(0o755)


def test_a_scratch_folder_needs_no_locks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _how: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("tailrace.files.scratch.fcntl.flock", refuse)
    code = errno.ENOLCK
    with scratch_folder(bench.scratch) as folder:
        assert folder.is_dir()
    code = errno.EIO
    with pytest.raises(StorageError), scratch_folder(bench.scratch):
        pass


def test_a_copy_is_for_its_owner_only(bench: Bench) -> None:
    for name in ("pool.db", "pool.json"):
        pool = bench.pool(name)
        pool.chmod(0o644)
        with scratch_folder(bench.scratch) as folder:
            copy = copied_pool(str(pool), folder, Context())
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert bench.left() == []


def test_what_a_killed_drill_left_is_removed_by_the_next_one(bench: Bench) -> None:
    dead, alive = bench.scratch / f"{PREFIX}dead", bench.scratch / f"{PREFIX}alive"
    for folder in (dead, alive):
        folder.mkdir(parents=True)
        (folder / "pool.json").write_text(CANARY)
    (bench.scratch / f"{PREFIX}file").touch()
    descriptor = os.open(alive, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with scratch_folder(bench.scratch):
            assert not dead.exists()
            assert alive.exists()
    finally:
        os.close(descriptor)


def test_a_copy_that_cannot_be_removed_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    with (
        pytest.raises(StorageError, match="holds a copy of a pool and cannot be removed"),
        scratch_folder(bench.scratch),
    ):
        monkeypatch.setattr("tailrace.files.scratch.shutil.rmtree", refuse)


def test_a_file_that_is_written_to_meanwhile_is_not_copied(bench: Bench) -> None:
    pool = bench.pool()

    @attrs.define
    class Writing(Context):
        def check(self) -> None:
            with pool.open("a") as file:
                file.write("\n")

    with scratch_folder(bench.scratch) as folder, pytest.raises(TransientError, match="written to while it was copied"):
        copied_pool(str(pool), folder, Writing())


def test_a_disk_without_room_is_not_filled_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = bench.pool()
    path = bench.backup(pool)
    monkeypatch.setattr("tailrace.restore.scratch._ROOM", 10**15)
    failing(bench, path, pool, NoSpaceError)


# Who is who.


def proxies(*rows: tuple[str, str | None, str | None], **columns: list[Any]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "protocol": "http",
            "host": [host for host, _user, _word in rows],
            "port": 1,
            "username": [user for _host, user, _word in rows],
            "password": [word for _host, _user, word in rows],
            "place": [f"line {number}" for number in range(1, len(rows) + 1)],
            **columns,
        },
        schema_overrides={"port": pl.Int64, "username": pl.String, "password": pl.String},
    )


def identify(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def test_users_of_one_gateway_are_told_apart() -> None:
    backup = proxies(("gw", "ada", "1"), ("gw", "bob", "2"), ("gw", "cem", "3"), ("alone", "dia", "4"))
    pool = proxies(("gw", "bob", "2"), ("gw", "ada", "9"), ("gw", "eve", "3"), ("ALONE", "fay", "5"))
    found = compare(backup, pool, identify, credentials=True)
    assert (found.only_in_backup, found.only_in_pool, found.other_credentials) == (1, 1, 2)
    rows = found.differences.select("what", "host", "columns", "place").rows()
    assert rows == [
        ("only in the backup", "gw", None, "line 3"),
        ("only in the pool", "gw", None, None),
        ("differs", "gw", "password", "line 1"),
        ("differs", "ALONE", "username, password", "line 4"),
    ]
    assert len(set(found.differences["identity"])) == 4


def test_proxywhirls_own_id_tells_users_apart_whose_login_changed() -> None:
    backup = proxies(("gw", "ada", "1"), ("gw", "bob", "2"), id=["a", "b"])
    pool = proxies(("gw", "eve", "7"), ("gw", "fay", "8"), id=["b", None])
    found = compare(backup, pool, identify, credentials=True)
    assert (found.only_in_backup, found.only_in_pool, found.other_credentials) == (1, 1, 1)


def test_what_means_the_same_does_not_differ() -> None:
    backup = proxies(("h", "", None), ("i", None, None), tags=['["a","b"]', None], further=[1, 2])
    pool = proxies(("H", None, ""), ("i", None, None), tags=['["a", "b"]', None], further=["1", "3"], asn=[1, None])
    found = compare(backup, pool, identify, credentials=True)
    assert found.value_columns == ("further",)
    assert (found.other_values, found.unsaid) == (1, ("asn",))


def test_the_same_proxy_several_times_is_paired_as_often() -> None:
    backup = proxies(*[("h", "ada", "1")] * 3)
    found = compare(backup, backup.head(2), identify, credentials=True)
    assert (found.count, found.only_in_backup) == (1, 1)


def test_running_state_is_of_columns_that_there_are() -> None:
    assert set(FIELDS) > RUNNING
    assert not any(name.startswith(("last_", "total_", "requests_")) for name in set(FIELDS) - RUNNING)


# The source.


def exported(bench: Bench, source: DrillSource, pool: Path, format_: str) -> Path:
    settings = bench.engine().settings
    engine = Engine(settings, plugins=[("drill", source)], keyring=Keyring(KEYS), clock=lambda: bench.now)
    request = ExportRequest(
        "drill",
        str(pool),
        format_,
        sinks=(SinkRequest("disk", str(bench.folder / "reports")),),
        options={"template": "nightly"},
        compress=False,
    )
    path = engine.export(request).artifacts[0].path
    assert path is not None
    return path


def test_it_is_a_source_with_every_column_of_the_differences() -> None:
    source = DrillSource(lambda _call: Path(), lambda _path, _call: pytest.fail("nobody asked"))
    assert isinstance(source, Source)
    assert Registry(explicit=[("drill", source)], discover=False).source("drill").object is source
    assert [column.name for column in COLUMNS] == list(SCHEMA)
    assert all(column.description for column in COLUMNS)


@pytest.mark.parametrize("format_", ["csv", "json", "excel"])
def test_exports_of_a_drill_are_proven_with_and_without_rows(
    format_: str, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    pool = bench.pool("pool.db")
    backup = bench.backup(pool)
    calls: list[SourceCall] = []

    def run(path: Path, call: SourceCall) -> DrillResult:
        calls.append(call)
        return bench.drill(path, call.location, context=call.context)

    source = DrillSource(lambda _call: backup, run)
    path = exported(bench, source, pool, format_)
    manifest = inspect(path).manifest
    (table,) = manifest.tables
    assert (table.name, table.rows.source, table.rows.reread) == ("differences", 0, 0)
    assert manifest.notes[0].startswith("Restorable, 0 differences: 10 proxies of backup ")
    assert manifest.source.version == "tailrace-drill-1"
    assert (calls[0].location, calls[0].options.template) == (str(pool), "nightly")
    bench.change(
        pool,
        lambda frame: PoolChanges(
            added("h77.example.com"), updated(frame, "h1.example.com", password=f"{CANARY}-changed"), ()
        ),
    )
    bench.now += timedelta(minutes=1)
    path = exported(bench, source, pool, format_)
    (table,) = inspect(path).manifest.tables
    assert (table.rows.source, table.rows.reread) == (2, 2)
    if format_ == "csv":
        hosts = [row["host"] for row in csv.DictReader(path.read_text().splitlines())]
        assert hosts == ["h77.example.com", "h1.example.com"]
    elif format_ == "json":
        assert [row["what"] for row in json.loads(path.read_text())["differences"]] == ["only in the pool", "differs"]
    written = b"".join(file.read_bytes() for file in (bench.folder / "reports").iterdir())
    for secret in (CANARY, "newcomer", "user1"):
        assert secret.encode() not in written
        assert secret not in caplog.text


def test_a_drill_that_fails_is_an_export_that_fails(bench: Bench) -> None:
    pool = bench.pool()
    path = bench.backup(pool)
    bench.keys = ("other",)
    source = DrillSource(lambda _call: path, lambda path, call: bench.drill(path, call.location))
    with pytest.raises(UnknownKeyError):
        exported(bench, source, pool, "json")
    assert list((bench.folder / "reports").glob("*")) == []


@pytest.mark.parametrize("mode", list(CredentialMode))
@pytest.mark.parametrize("format_", ["json", "csv", "excel"])
def test_the_samples_of_proxywhirl_are_restorable_from_every_format(
    format_: str, mode: CredentialMode, bench: Bench
) -> None:
    before = state(DATA)
    for name in ("proxywhirl-sample.db", "proxywhirl-file-storage-sample.json"):
        path = bench.backup(DATA / name, format=format_, credentials=mode, compress=format_ == "csv")
        result = bench.drill(path, DATA / name)
        assert result.comparison.differences.is_empty()
        assert result.proxies == result.pool_proxies > 0
    assert state(DATA) == before

"""Exports of somebody whose working folder is not that of this process: relative paths count from theirs."""

import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tailrace import Context, ExportRequest, JobResult, SinkRequest, SourceError, User
from tailrace.pipeline.export import run
from tailrace.pipeline.job import Job
from tailrace.plugins.registry import Registry

DATA = Path(__file__).parents[1] / "data"
LOG = "timestamp,endpoint\n2026-08-15T12:00:00Z,https://api.example.com/\n"


@pytest.fixture
def asked_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of whoever asks, with pools and logs in it; the process is in another one, without any."""
    folder = tmp_path / "asked-from"
    (folder / "logs" / "day=2026-08-15").mkdir(parents=True)
    shutil.copy(DATA / "proxywhirl-sample.db", folder / "pool.db")
    (folder / "proxies.txt").write_text("192.0.2.1:8080\n")
    (folder / "log.csv").write_text(LOG)
    (folder / "logs" / "day=2026-08-15" / "log.csv").write_text(LOG)
    shutil.copy(folder / "pool.db", folder / "a pool.db")
    with sqlite3.connect(folder / "log.db") as connection:
        connection.execute("CREATE TABLE request_logs (timestamp TEXT, endpoint TEXT)")
        connection.execute("INSERT INTO request_logs VALUES ('2026-08-15T12:00:00Z', 'https://api.example.com/')")
    connection.close()
    (tmp_path / "process").mkdir()
    monkeypatch.chdir(tmp_path / "process")
    return folder


def export(source: str, location: str, *, folder: Path, sink: SinkRequest | None = None) -> JobResult:
    job = Job.prepare(
        ExportRequest(source, location, "csv", sinks=(sink or SinkRequest("disk", "out"),)),
        registry=Registry(),
        export_id="0198c0de",
        user=User("kim"),
        now=datetime(2026, 8, 20, 12, tzinfo=UTC),
        reference=lambda *_parts: "ref",
        folder=folder,
    )
    job.check_targets()
    return run(job, context=Context(), scratch=folder.parent / "scratch").result


@pytest.mark.parametrize(
    ("source", "location"),
    [
        ("pool", "pool.db"),
        ("pool", "proxies.txt"),
        ("pool", "proxywhirl://pool.db"),
        ("pool", "proxywhirl://a%20pool.db"),
        ("pool", "../asked-from/pool.db"),
        ("analytics", "log.csv"),
        ("analytics", "./log.csv"),
        ("analytics", "logs"),
        ("analytics", "log.db"),
        ("analytics", "sqlite:///log.db?table=request_logs"),
        ("analytics", "proxywhirl:///log.db?table=request_logs"),
    ],
)
def test_relative_paths_count_from_the_folder_of_whoever_asks(asked_from: Path, source: str, location: str) -> None:
    (artifact,) = export(source, location, folder=asked_from).artifacts
    assert artifact.path is not None
    assert artifact.path.parent == asked_from / "out"
    assert artifact.path.is_file()
    assert artifact.receipts[0].place == str(artifact.path)
    assert artifact.manifest.source.location == location
    assert artifact.manifest.tables[0].rows.written > 0
    assert list(Path.cwd().iterdir()) == []


def test_what_lies_in_the_folder_of_the_process_is_not_mistaken_for_it(asked_from: Path) -> None:
    shutil.copy(asked_from / "log.db", "other.db")
    shutil.copy(asked_from / "proxies.txt", "other.txt")
    for source, location in [("pool", "other.txt"), ("analytics", "other.db"), ("analytics", "sqlite:///other.db")]:
        with pytest.raises(SourceError):
            export(source, location, folder=asked_from)


def test_absolute_paths_and_the_home_stay_what_they_are(asked_from: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = asked_from.parent / "home"
    monkeypatch.setenv("HOME", str(home))
    for target, where in [("~/out", home / "out"), (str(home / "other"), home / "other")]:
        sink = SinkRequest("disk", target)
        for source, location in [
            ("pool", str(asked_from / "proxies.txt")),
            ("pool", f"proxywhirl://{asked_from}/pool.db"),
            ("analytics", f"sqlite://{asked_from}/log.db?table=request_logs"),
            ("analytics", f"file://{asked_from}/log.csv"),
        ]:
            (artifact,) = export(source, location, folder=Path("/nowhere"), sink=sink).artifacts
            assert artifact.path is not None
            assert artifact.path.parent == where


def test_the_root_that_is_an_option_counts_from_there_too(asked_from: Path) -> None:
    for options, where in [({}, "exports"), ({"root": "elsewhere"}, "elsewhere")]:
        (artifact,) = export(
            "pool", "proxies.txt", folder=asked_from, sink=SinkRequest("disk", options=options)
        ).artifacts
        assert artifact.path is not None
        assert artifact.path.parent == asked_from / where


def test_without_a_folder_it_is_that_of_the_process(asked_from: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(asked_from)
    (artifact,) = export("pool", "proxywhirl://pool.db", folder=Path()).artifacts
    assert artifact.path is not None
    assert artifact.path.parent == asked_from / "out"
    with pytest.raises(SourceError, match=r"^There is no file missing\.db\.$"):
        export("pool", "missing.db", folder=Path())
    with pytest.raises(SourceError, match=r"^There is no file or folder missing\.csv\.$"):
        export("analytics", "missing.csv", folder=Path())

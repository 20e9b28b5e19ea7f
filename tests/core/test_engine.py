import getpass
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tailrace import Engine, ExportEvent, User, hookimpl
from tailrace.files.staging import sweep
from tailrace.model.errors import RequestError, SourceError
from tailrace.settings import Settings


class Watcher:
    def __init__(self) -> None:
        self.events: list[ExportEvent] = []

    @hookimpl
    def tailrace_export_event(self, event: ExportEvent) -> None:
        self.events.append(event)


class Bomb:
    @hookimpl
    def tailrace_export_event(self, event: ExportEvent) -> None:
        sys.exit(event.name)


def test_observers_see_every_export(bench: Any) -> None:
    watcher = Watcher()
    bench.plugins = [("bomb", Bomb()), ("watcher", watcher)]
    result = bench.export()
    started, *between, finished = watcher.events
    assert (started.name, finished.name) == ("started", "finished")
    assert {event.name for event in between} == {"progress"}
    assert started.export_id == finished.export_id == result.export_id
    assert (started.source, started.format, started.user, started.error) == ("memory", "lines", "kim", None)
    assert started.moment == result.started
    watcher.events.clear()
    with pytest.raises(RequestError) as caught:
        bench.export(columns=("nope",))
    assert [event.name for event in watcher.events] == ["started", "failed"]
    assert watcher.events[1].error is caught.value
    watcher.events.clear()
    with pytest.raises(RequestError):
        bench.export(format="nope")
    assert watcher.events == []


def test_users(bench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.export().artifacts[0].manifest.user == "kim"
    engine = bench.engine()
    (artifact,) = engine.export(bench.request(), user=User("zoë")).artifacts
    assert artifact.manifest.user == "zoë"
    assert artifact.path is not None
    assert artifact.path.name == "memory_20260820T120000Z_zoë.jsonl"
    nameless = Engine(Settings(home=tmp_path), plugins=[], discover=False)
    monkeypatch.setattr(getpass, "getuser", lambda: "system")
    assert nameless.system_user == User("system", is_admin=True)

    def nobody() -> str:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert nameless.system_user.id == "unknown"


def test_the_clock_may_stand_in_any_zone(bench: Any) -> None:
    bench.clock = lambda: datetime(2026, 8, 20, 1, tzinfo=timezone(timedelta(hours=3)))
    (artifact,) = bench.export().artifacts
    assert artifact.manifest.created == datetime(2026, 8, 19, 22, tzinfo=UTC)
    assert artifact.path.name == "memory_20260819T220000Z_kim.jsonl"


def test_references_reach_the_source_and_need_no_key_before(bench: Any) -> None:
    bench.export()
    assert not (bench.home / "reference.key").exists()
    reference = bench.source.calls[0].reference
    assert reference("a") == reference("a") != reference("b")
    assert (bench.home / "reference.key").exists()
    other = bench.engine()
    other.export(bench.request(location="x"), user=User("other"))
    assert bench.source.calls[1].reference("a") == reference("a")


def test_settings_are_loaded_when_none_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tailrace.toml").write_text('home = "kept"\nuser = "ops"\n')
    engine = Engine(discover=False)
    assert engine.settings.user == "ops"
    assert engine.settings.home == tmp_path / "kept"


def test_paths_may_be_texts(bench: Any) -> None:
    (artifact,) = bench.export().artifacts
    engine = bench.engine()
    assert engine.verify(str(artifact.path)).ok
    assert engine.inspect(str(artifact.path)).present
    with pytest.raises(SourceError):
        engine.inspect("nowhere")


def test_the_library_configures_no_logging(bench: Any) -> None:
    before = list(logging.getLogger().handlers)
    bench.export()
    assert logging.getLogger().handlers == before
    assert logging.getLogger("tailrace").handlers == []


AGAIN = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import polars as pl
from tailrace import Engine, ExportRequest, SinkRequest
from tailrace.settings import Settings
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

frame = pl.DataFrame({"id": range(150_000)}).select(
    "id",
    pl.col("id").hash(seed=1).mod(97).alias("key"),
    (pl.col("id") / 7).alias("ratio"),
    pl.from_epoch("id", time_unit="s").dt.replace_time_zone("UTC").alias("t"),
    pl.format("wheel {} · ż", "id").alias("word"),
)
engine = Engine(
    Settings(home=Path(sys.argv[1]), user=sys.argv[2]),
    plugins=[
        ("memory", MemorySource([memory_table("rows", frame, time_column="t")])),
        ("lines", LinesFormat()),
        ("folder", FolderSink()),
    ],
    discover=False,
)
for level in (1, 6, "fast"):
    result = engine.export(ExportRequest(
        "memory", "", "lines", sinks=(SinkRequest("folder", sys.argv[1]),), where=("key != 5",), sort=("key", "-ratio"),
        since="1970-01-01T01:00Z", time_zone="Europe/Warsaw", compress_level=level,
        options={"extension": str(level)},
    ))
    print(result.artifacts[0].manifest.file.sha256)
"""


def test_the_same_data_is_the_same_file_on_any_day_and_machine(tmp_path: Path) -> None:
    surroundings: Iterator[dict[str, str]] = iter(
        [
            {"TZ": "UTC", "PYTHONHASHSEED": "0", "POLARS_MAX_THREADS": "1", "LC_ALL": "C"},
            {"TZ": "Pacific/Auckland", "PYTHONHASHSEED": "1", "POLARS_MAX_THREADS": "2", "LC_ALL": "C.UTF-8"},
            {"TZ": "America/St_Johns", "POLARS_IDEAL_MORSEL_SIZE": "1000"},
        ]
    )
    said = []
    for number, more in enumerate(surroundings):
        folder = tmp_path / str(number)
        environment = {**os.environ, **more}
        done = subprocess.run(
            [sys.executable, "-c", AGAIN, folder, f"user{number}"],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        )
        said.append(done.stdout.split())
        assert sweep(folder) == 0
    assert len(said[0]) == len(set(said[0])) == 3
    assert said[0] == said[1] == said[2]
    manifests = [
        json.loads(next((tmp_path / str(number)).glob("*6.gz.manifest.json")).read_bytes()) for number in (0, 1)
    ]
    # What differs is in the manifest.
    assert manifests[0]["file"]["sha256"] == manifests[1]["file"]["sha256"]
    assert manifests[0]["user"] != manifests[1]["user"]
    assert manifests[0]["export_id"] != manifests[1]["export_id"]

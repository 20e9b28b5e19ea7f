"""The audit trail as a source: exports of it are proven like any other."""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
from tailrace_sdk.fakes import FolderSink

from tailrace import Engine, ExportRequest, SinkRequest, User
from tailrace.model.audit import AuditEntry
from tailrace.model.context import Context
from tailrace.model.errors import SourceError
from tailrace.model.request import CredentialMode, TimeRange
from tailrace.pipeline.export import run
from tailrace.pipeline.job import Job
from tailrace.pipeline.verify import inspect
from tailrace.plugins.kinds import Source, SourceCall
from tailrace.plugins.registry import Registry
from tailrace.settings import Settings
from tailrace.store import audit
from tailrace.store.database import Store
from tailrace.store.tables import audit as table
from tailrace.work.audit_source import COLUMNS, AuditSource

NOW = datetime(2026, 8, 15, 6, tzinfo=UTC)


def fill(store: Store, count: int) -> list[str]:
    with store.writing() as connection:
        return [
            audit.append(
                connection,
                AuditEntry(
                    user=f"ada\r\n=cmd|{number}",
                    operation="export",
                    outcome="ok",
                    since=NOW - timedelta(days=1) if number % 2 else None,
                    rows=number,
                    file="-2+3\x1b[2J",
                    parameters={"n": number, "text": "a,b"},
                ),
                now=NOW + timedelta(minutes=number),
            )
            for number in range(count)
        ]


def call(**changes: Any) -> SourceCall:
    wanted = SourceCall(
        location="store",
        options=None,
        credentials=CredentialMode.SANITIZED,
        moment=NOW,
        window=None,
        reference=lambda *_parts: "",
        context=Context(),
    )
    return attrs.evolve(wanted, **changes)


def export(store: Store, folder: Path, format_: str, **changes: Any) -> Path:
    """Export as an engine does, without one."""
    registry = Registry(explicit=[("audit", AuditSource(store)), ("folder", FolderSink())])
    request = ExportRequest("audit", "store", format_, sinks=(SinkRequest("folder", str(folder)),), **changes)
    now = NOW + timedelta(days=1)
    job = Job.prepare(
        request, registry=registry, export_id="1", user=User("root"), now=now, reference=lambda *_parts: ""
    )
    (artifact,) = run(job, context=Context(), scratch=folder / "scratch").result.artifacts
    assert artifact.path is not None
    return artifact.path


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Store]:
    store = Store.in_home(tmp_path / "home")
    yield store
    store.close()


def test_it_is_a_source_with_every_column_of_the_table(small: Store) -> None:
    assert isinstance(AuditSource(small), Source)
    assert [column.name for column in COLUMNS] == table.c.keys()
    assert all(column.description for column in COLUMNS)


def test_its_rows_are_the_entries_on_either_database(store: Store) -> None:
    hashes = fill(store, 5)
    with AuditSource(store).open(call()) as dataset:
        (found,) = dataset.tables
        frame = found.frame.collect()
        assert found.count_rows is not None
        assert found.count_rows() == 5
    assert dataset.notes == (f"the trail up to entry 5, of hash {hashes[-1]}",)
    assert found.time_column == "moment"
    assert frame["number"].to_list() == [1, 2, 3, 4, 5]
    assert frame["hash"].to_list() == hashes
    assert frame["moment"].to_list() == [NOW + timedelta(minutes=number) for number in range(5)]
    assert frame["since"].to_list() == [None, NOW - timedelta(days=1)] * 2 + [None]
    assert frame.schema["moment"] == pl.Datetime("us", "UTC")
    assert frame["user"][4] == r"ada\r\n=cmd|4"
    assert frame["parameters"][4] == '{"n":4,"text":"a,b"}'
    assert frame["job"].to_list() == [None] * 5


def test_what_is_appended_while_it_is_read_is_not_in_it(small: Store) -> None:
    fill(small, 3)
    with AuditSource(small).open(call()) as dataset:
        (found,) = dataset.tables
        fill(small, 2)
        assert found.frame.collect().height == 3
        assert found.count_rows is not None
        assert found.count_rows() == 3


def test_it_is_read_in_batches_by_range_and_column(small: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailrace.work.audit_source._TOGETHER", 7)
    fill(small, 40)
    with AuditSource(small).open(call()) as dataset:
        frame = dataset.tables[0].frame
        assert frame.select("rows").collect()["rows"].to_list() == list(range(40))
        assert frame.filter(pl.col("rows") > 37).collect().height == 2
        assert frame.head(9).collect()["number"].to_list() == list(range(1, 10))
    window = TimeRange(NOW + timedelta(minutes=10), NOW + timedelta(minutes=20))
    with AuditSource(small).open(call(window=window)) as dataset:
        assert dataset.tables[0].frame.collect()["rows"].to_list() == list(range(10, 20))


def test_a_sample_comes_from_all_over_the_trail(small: Store) -> None:
    fill(small, 100)
    with AuditSource(small).open(call()) as dataset:
        sample = dataset.tables[0].sample
        assert sample is not None
        numbers = sample(16)["number"].to_list()
        assert len(numbers) == len(set(numbers)) == 16
        assert (min(numbers), max(numbers)) == (1, 89)
        assert sample(1000)["number"].to_list() == list(range(1, 101))


def test_an_empty_trail_is_a_table_without_rows(small: Store) -> None:
    with AuditSource(small).open(call()) as dataset:
        (found,) = dataset.tables
        assert found.frame.collect().shape == (0, len(COLUMNS))
        assert found.sample is not None
        assert found.sample(10).shape == (0, len(COLUMNS))


def test_it_reads_nothing_but_its_own_store(small: Store) -> None:
    with pytest.raises(SourceError, match="'store'"), AuditSource(small).open(call(location="other.db")):
        pass


def test_entries_that_somebody_changed_are_exported_too(small: Store) -> None:
    fill(small, 3)
    with small.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_unchanged")
        connection.exec_driver_sql(
            """UPDATE audit SET moment = 'noon', "user" = CAST(x'ff0a' AS TEXT) WHERE number=2"""
        )
    with AuditSource(small).open(call()) as dataset:
        frame = dataset.tables[0].frame.collect()
    assert frame["moment"][1] is None
    assert frame["user"][1] == r"\udcff\n"
    assert frame.height == 3


def test_exports_are_complete_and_hold_no_line_breaks(small: Store, tmp_path: Path) -> None:
    hashes = fill(small, 30)
    path = export(small, tmp_path / "csv", "csv")
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert len(lines) == 31
    rows = list(csv.DictReader(lines))
    assert [row["hash"] for row in rows] == hashes
    manifest = inspect(path).manifest
    assert manifest.source.version == "tailrace-audit-1"
    assert any(hashes[-1] in note for note in manifest.notes)
    (described,) = manifest.tables
    assert (described.rows.source, described.rows.written, described.rows.reread) == (30, 30, 30)

    document = json.loads(gzip.decompress(export(small, tmp_path / "json", "json").read_bytes()))
    assert [row["number"] for row in document["audit"]] == list(range(1, 31))
    assert document["audit"][1]["moment"].startswith("2026-08-15T06:01:00")
    assert json.loads(document["audit"][3]["parameters"]) == {"n": 3, "text": "a,b"}


def test_an_export_of_a_range_is_a_workbook_too(small: Store, tmp_path: Path) -> None:
    fill(small, 30)
    path = export(small, tmp_path / "excel", "excel", since="2026-08-15T06:10Z", until="2026-08-15T06:15Z")
    (described,) = inspect(path).manifest.tables
    assert (described.rows.source, described.rows.written, described.rows.reread) == (30, 5, 5)


def test_a_batch_is_read_when_it_is_asked_for(small: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tailrace.work.audit_source._TOGETHER", 7)
    fill(small, 10)
    batches = AuditSource(small)._batches(["rows"], 10, None)  # noqa: SLF001 - how it reads
    assert next(batches)["rows"].to_list() == list(range(7))
    small.close()
    assert next(batches)["rows"].to_list() == [7, 8, 9]
    assert list(batches) == []


def test_it_is_handed_to_an_engine_like_a_plugin(tmp_path: Path) -> None:
    store = Store.in_home(tmp_path / "trail")
    fill(store, 2)
    engine = Engine(Settings(home=tmp_path / "home", user="root"), plugins=[("audit", AuditSource(store))])
    request = ExportRequest("audit", "store", "json")
    assert engine.estimate(request).rows == 2

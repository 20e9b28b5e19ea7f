"""The fixtures of the pytest plugin, as an author of plugins meets them."""

import errno
import io
import math
import os
import shutil
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from tailrace_sdk.clock import Clock
from tailrace_sdk.datasets import HOSTILE_TEXTS, NESTED, VALUES, DatasetFactory, values_of
from tailrace_sdk.fakes import MemorySource
from tailrace_sdk.faults import FaultyFilesystem

from tailrace import Engine, ExportRequest, NoSpaceError, SinkRequest, StorageError

pytest_plugins = ["pytester"]


def request(folder: Path) -> ExportRequest:
    return ExportRequest("memory", "", "lines", sinks=(SinkRequest("folder", str(folder)),))


def test_the_engine_exports_what_its_source_has(
    engine: Engine, memory_source: MemorySource, dataset_factory: DatasetFactory, tmp_path: Path
) -> None:
    memory_source.tables = [dataset_factory.table("words", rows=7)]
    (artifact,) = engine.export(request(tmp_path / "out")).artifacts
    assert artifact.manifest.tables[0].rows.reread == 7
    assert artifact.path is not None
    assert engine.verify(artifact.path).ok
    assert engine.settings.home.parent == tmp_path
    assert {entry.name for entry in engine.registry.entries()} == {"memory", "lines", "folder"}


def test_the_engine_goes_by_the_clock(engine: Engine, clock: Clock, tmp_path: Path) -> None:
    clock.set(datetime(2030, 1, 1, tzinfo=UTC))
    assert engine.export(request(tmp_path / "one")).artifacts[0].manifest.created == datetime(2030, 1, 1, tzinfo=UTC)
    clock.advance(90)
    clock.advance(timedelta(days=1))
    created = engine.export(request(tmp_path / "two")).artifacts[0].manifest.created
    assert created == datetime(2030, 1, 2, 0, 1, 30, tzinfo=UTC)


def test_a_clock_is_set_to_moments_with_a_zone_only(clock: Clock) -> None:
    with pytest.raises(ValueError, match="has no zone"):
        clock.set(datetime(2030, 1, 1))  # noqa: DTZ001 - that is what is refused


def test_tables_come_in_the_shape_that_is_asked_for(dataset_factory: DatasetFactory) -> None:
    frame = dataset_factory.table(
        rows=200, columns=9, hostile=True, nulls=True, zones=["Asia/Kathmandu"]
    ).frame.collect()
    assert frame.shape == (200, 10)
    assert set(HOSTILE_TEXTS.values()) == set(frame["text"].drop_nulls())
    assert [name for name in frame.columns if not frame[name].null_count()] == ["id"]
    assert frame["at Asia/Kathmandu"].dtype == pl.Datetime("us", "Asia/Kathmandu")
    assert dataset_factory.dataset().tables[0].frame.collect().height == 3


def test_lazy_tables_are_made_while_they_are_read(dataset_factory: DatasetFactory) -> None:
    seen: list[int] = []
    table = dataset_factory.table(rows=120_000, lazy=True, on_batch=seen.append)
    assert table.frame.head(10).collect().equals(dataset_factory.frame(0, 10))
    assert seen == [0, 10]
    whole = table.frame.collect()
    assert whole.equals(dataset_factory.frame(0, 120_000))
    assert seen[2:] == [0, 50_000, 100_000, 120_000]
    assert table.frame.filter(pl.col("id") == 7).select("text").collect().item() == "text of row 7"


def test_there_are_values_of_every_type_of_polars() -> None:
    held = {values_of(kind).dtype.base_type() for kind in [*VALUES, *NESTED]}
    every = {
        kind
        for kind in vars(pl.datatypes).values()
        if isinstance(kind, type) and issubclass(kind, pl.DataType) and not kind.__subclasses__()
    }
    named = {str(kind) for kind in held}
    # Not of data: unknown types, Python objects, extensions; and half floats, which few can write.
    assert {str(kind) for kind in every} - named <= {
        "Unknown",
        "Object",
        "Extension",
        "Float16",
        "Map",
        "BaseExtension",
    }


def test_a_full_disk_ends_an_export_and_leaves_nothing(engine: Engine, faulty_filesystem: FaultyFilesystem) -> None:
    faulty_filesystem.full_after(40)
    with pytest.raises(NoSpaceError):
        engine.export(request(faulty_filesystem.folder))
    assert (faulty_filesystem.written, list(faulty_filesystem.folder.iterdir())) == (40, [])
    faulty_filesystem.heal()
    engine.export(request(faulty_filesystem.folder))
    assert len(faulty_filesystem.published()) == 2


@pytest.mark.parametrize("operation", ["open", "fsync", "link"])
def test_an_operation_fails_where_it_is_told_to(
    engine: Engine, faulty_filesystem: FaultyFilesystem, operation: str
) -> None:
    engine.export(request(faulty_filesystem.folder / "trial"))
    times = faulty_filesystem.calls[operation]  # type: ignore[index]  # one of the operations
    assert times
    for at in range(1, times + 1):
        folder = faulty_filesystem.folder / f"{operation} {at}"
        faulty_filesystem.fail(operation, at=at)  # type: ignore[arg-type]  # the same
        with pytest.raises(StorageError, match="the device reported an error"):
            engine.export(request(folder))
        faulty_filesystem.heal()


def test_a_disk_that_is_read_only_is_read_and_not_written_to(faulty_filesystem: FaultyFilesystem) -> None:
    path = faulty_filesystem.folder / "file"
    path.write_text("before")
    faulty_filesystem.read_only()
    changes = (
        lambda: path.write_text("after"),
        path.unlink,
        lambda: path.rename(path.with_name("other")),
        lambda: path.with_name("folder").mkdir(),
        lambda: path.chmod(0o600),
        lambda: path.with_name("link").symlink_to("elsewhere"),
        lambda: os.truncate(path, 0),
        lambda: shutil.copyfile(path, path.with_name("copy")),
    )
    for change in changes:
        with pytest.raises(OSError, match="Read-only") as raised:
            change()
        assert raised.value.errno == errno.EROFS
    assert (path.read_text(), list(faulty_filesystem.folder.iterdir())) == ("before", [path])


def test_every_way_to_write_meets_the_end_of_the_disk(faulty_filesystem: FaultyFilesystem, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(1_000))
    folder = faulty_filesystem.folder

    def descriptor() -> None:
        number = os.open(folder / "descriptor", os.O_WRONLY | os.O_CREAT)
        try:
            while os.write(number, bytes(30)):
                pass
        finally:
            os.close(number)

    def temporary() -> None:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(bytes(1_000))

    def buffered() -> None:
        with (folder / "buffered").open("w", encoding="utf-8") as file:
            file.writelines("a line\n" for _ in range(1_000))

    def duplicated() -> None:
        with tempfile.TemporaryFile(dir=folder) as file, os.fdopen(os.dup(file.fileno()), "wb") as copy:
            copy.write(bytes(1_000))

    ways = (
        descriptor,
        temporary,
        buffered,
        duplicated,
        lambda: (folder / "bytes").write_bytes(bytes(1_000)),
        lambda: shutil.copyfile(source, folder / "copy"),
    )
    for way in ways:
        faulty_filesystem.full_after(100)
        with pytest.raises(OSError, match="No space left") as raised:
            way()
        assert raised.value.errno == errno.ENOSPC
    assert source.read_bytes() == bytes(1_000)


def test_other_folders_are_left_alone(faulty_filesystem: FaultyFilesystem, tmp_path: Path) -> None:
    faulty_filesystem.read_only()
    faulty_filesystem.full_after(0)
    faulty_filesystem.fail("write", times=math.inf)
    (tmp_path / "elsewhere").write_text("whole")
    (tmp_path / "elsewhere").rename(tmp_path / "faulty file")
    assert (tmp_path / "faulty file").read_text() == "whole"
    assert not faulty_filesystem.calls


def test_the_folder_is_found_by_every_path_that_leads_there(
    faulty_filesystem: FaultyFilesystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(faulty_filesystem.folder)
    monkeypatch.chdir(tmp_path)
    faulty_filesystem.read_only()
    for path in (Path("faulty/a"), Path("link/a"), tmp_path / "link" / ".." / "faulty" / "a"):
        with pytest.raises(OSError, match="Read-only"):
            path.write_text("")
    number = os.open("link", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Read-only"):
            os.open("a", os.O_WRONLY | os.O_CREAT, dir_fd=number)
    finally:
        os.close(number)


def test_a_slow_disk_takes_its_time(faulty_filesystem: FaultyFilesystem) -> None:
    faulty_filesystem.slow(0.2)
    began = time.monotonic()
    (faulty_filesystem.folder / "file").write_text("slowly")
    assert time.monotonic() - began >= 0.2


def test_what_was_replaced_is_put_back(tmp_path: Path) -> None:
    before = (os.open, os.write, os.close, os.rename, io.open)
    with FaultyFilesystem(tmp_path / "faulty").active():
        assert os.write is not before[1]
    assert (os.open, os.write, os.close, os.rename, io.open) == before


def test_what_is_nearer_wins(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def clock():
            return "mine"

        def test_mine(clock, dataset_factory):
            assert clock == "mine"
            assert dataset_factory.table().name == "rows"
        """
    )
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_the_fixtures_are_told_with_what_they_are_for(pytester: pytest.Pytester) -> None:
    lines = pytester.runpytest("--fixtures", "-p", "no:cacheprovider").stdout.str()
    for name in ("engine", "dataset_factory", "clock", "faulty_filesystem", "memory_source"):
        assert f"\n{name} -- " in lines

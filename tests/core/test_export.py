import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import attrs
import polars as pl
import pytest
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import (
    AlreadyExistsError,
    BadRow,
    CancelledError,
    Column,
    Context,
    Dataset,
    DeadlineError,
    Estimate,
    FileLayout,
    IncompleteError,
    IntegrityError,
    Meaning,
    NoSpaceError,
    NotAllowedError,
    OptionError,
    PermanentError,
    PluginContractError,
    Receipt,
    RequestError,
    SinkRequest,
    SourceError,
    StorageError,
    Table,
    TableEstimate,
    TailraceError,
    TransientError,
    UnknownNameError,
    hookimpl,
    option,
)

BIG = pl.DataFrame({"id": range(200_000), "word": ["wheel and sluice"] * 200_000})


def raises(error: BaseException) -> Callable[[Any], Any]:
    def fail(_call: object) -> Any:
        raise error

    return fail


def gives(value: object) -> Callable[[Any], Any]:
    return lambda _call: value


def nothing_left(bench: Any) -> bool:
    leftovers = [path for folder in (bench.folder, bench.home) if folder.exists() for path in folder.rglob("*.part")]
    return bench.names() == [] and leftovers == []


# The whole way.


def test_an_export_says_what_it_is(bench: Any) -> None:
    bench.source.notes = ("Times are UTC.",)
    bench.clock = lambda: datetime(2026, 8, 20, 12, tzinfo=UTC)
    result = bench.export(
        columns=("id", "n=word"),
        where=("id > 1",),
        since="2026-08-16",
        sort=("-id",),
        time_zone="Europe/Warsaw",
        compress=True,
        compress_level=9,
    )
    (artifact,) = result.artifacts
    manifest = artifact.manifest
    assert artifact.path == bench.folder / "memory_20260820T120000Z_kim.jsonl.gz"
    assert artifact.receipts == (Receipt("folder", delivered=True, place=str(artifact.path), path=artifact.path),)
    assert result.complete
    assert (result.started, result.notes) == (datetime(2026, 8, 20, 12, tzinfo=UTC), ("Times are UTC.",))
    assert manifest.export_id == result.export_id
    assert (manifest.user, manifest.created) == ("kim", result.started)
    assert manifest.source.version == "memory-1"
    assert manifest.format_options == {"together": False, "extension": "jsonl"}
    assert manifest.parameters["columns"] == ["id", "n=word"]
    assert manifest.parameters["sinks"] == ["folder"]
    assert manifest.time_range is not None
    assert manifest.time_range.column == "t"
    assert manifest.time_range.since == datetime(2026, 8, 15, 22, tzinfo=UTC)
    assert manifest.time_range.until == result.started
    assert manifest.time_zone == "Europe/Warsaw"
    (table,) = manifest.tables
    assert [(column.name, column.type) for column in table.columns] == [("id", "Int64"), ("n", "String")]
    assert attrs.astuple(table.rows) == (4, 0, 3, 3)
    assert manifest.file.name == artifact.path.name
    assert manifest.file.media_type == "application/x-ndjson"
    assert manifest.file.compression is not None
    assert manifest.file.compression.level == 9
    assert bench.names() == [artifact.path.name, artifact.path.name + ".manifest.json"]
    assert bench.engine().verify(artifact.path).ok
    timings = attrs.asdict(result.timings)
    assert set(timings) == {"opening", "writing", "syncing", "proving", "delivering"}
    assert all(0 <= seconds < 60 for seconds in timings.values())
    call = bench.source.calls[0]
    assert (call.moment, call.window.until) == (result.started, result.started)
    written = bench.format.calls[0]
    assert written.embedded == {
        "schema_version": 2,
        "source": "memory",
        "credentials": "sanitized",
        "parameters": {
            "columns": ["id", "n=word"],
            "where": ["id > 1"],
            "since": "2026-08-16",
            "time_zone": "Europe/Warsaw",
            "sort": ["-id"],
        },
        "tables": [
            {
                "name": "rows",
                "columns": [
                    {"name": "id", "type": "Int64", "meaning": "text", "unit": ""},
                    {"name": "n", "type": "String", "meaning": "text", "unit": ""},
                ],
            }
        ],
    }
    assert bench.sink.calls[0].parcel.fields == {
        "source": "memory",
        "table": "rows",
        "timestamp": "20260820T120000Z",
        "user": "kim",
        "format": "lines",
        "ext": "jsonl.gz",
        "year": "2026",
        "month": "08",
        "day": "20",
        "id": result.export_id,
    }


def test_two_tables_are_two_files_or_one(bench: Any) -> None:
    bench.source.tables = [memory_table("a", {"x": [1]}), memory_table("b", {"y": [1, 2]})]
    first, second = bench.export().artifacts
    assert first.path.name == "memory-a_20260820T120000Z_kim.jsonl"
    assert second.path.name == "memory-b_20260820T120000Z_kim.jsonl"
    assert second.path.read_text() == '{"y":1}\n{"y":2}\n'
    (both,) = bench.export(
        options={"together": True}, sinks=(SinkRequest("folder", str(bench.folder / "x")),)
    ).artifacts
    assert both.path.read_text() == '"a"\n{"x":1}\n"b"\n{"y":1}\n{"y":2}\n'
    assert [table.rows.reread for table in both.manifest.tables] == [1, 2]


def test_an_empty_table_is_a_file_too(bench: Any) -> None:
    bench.source.tables = [memory_table("none", {"a": pl.Series([], dtype=pl.Int64)})]
    for compress in (False, True):
        (artifact,) = bench.export(compress=compress).artifacts
        assert attrs.astuple(artifact.manifest.tables[0].rows) == (0, 0, 0, 0)
        assert bench.engine().verify(artifact.path).ok


def test_formats_that_are_compressed_by_nature_are_left_alone(bench: Any) -> None:
    bench.format = LinesFormat(compressible=False)
    (artifact,) = bench.export(compress=True).artifacts
    assert artifact.manifest.file.compression is None
    assert artifact.path.name.endswith("_kim.jsonl")
    assert artifact.path.read_bytes().startswith(b'{"id":1,')


def test_files_that_no_sink_wants_near_are_kept_at_home(bench: Any) -> None:
    made: list[Path] = []

    def deliver(call: Any) -> Receipt:
        made.append(call.parcel.path)
        assert call.parcel.path.read_bytes().startswith(b'{"id":1,')
        return Receipt("folder", delivered=True, place="elsewhere")

    bench.sink = FolderSink(instead={"staging": gives(None), "deliver": deliver})
    result = bench.export()
    assert made[0].parent == bench.home / "outbox"
    assert result.artifacts[0].path is None
    assert nothing_left(bench)
    assert bench.engine().verify(made[0]).ok


def test_leftovers_of_the_dead_are_swept(bench: Any) -> None:
    bench.folder.mkdir()
    (bench.folder / ".tailrace-dead.part").write_bytes(b"half")
    bench.export()
    assert len(bench.names()) == 2


def test_progress_goes_through_the_phases(bench: Any) -> None:
    told: list[Any] = []
    bench.source.tables = [memory_table("big", BIG)]
    request = bench.request()
    engine = bench.engine()
    engine.export(
        request, context=Context(on_progress=told.append, interval=0), estimate=engine.estimate(request, exact=False)
    )
    assert list(dict.fromkeys(progress.phase for progress in told)) == ["writing", "proving", "delivering"]
    writing = [progress for progress in told if progress.phase == "writing"]
    assert (writing[-1].rows, writing[-1].total_rows) == (200_000, 200_000)
    assert writing[-1].bytes == bench.sink.calls[0].parcel.manifest.file.size
    assert [progress.total_rows for progress in told if progress.phase == "proving"] == [200_000]
    assert all(earlier.seconds <= later.seconds for earlier, later in pairwise(told))


# The proof.


@pytest.mark.parametrize("count", [3, 5, 0])
def test_a_source_that_lies_about_its_rows(count: int, bench: Any) -> None:
    bench.source.tables = [memory_table("rows", {"id": [1, 2, 3, 4]}, count_rows=lambda: count)]
    with pytest.raises(IncompleteError) as caught:
        bench.export()
    assert caught.value.message == (
        f"Table rows is not complete: {count} in the source, 0 of them unreadable, 4 written, 4 in the file."
    )
    assert caught.value.hint == "The file was thrown away. Please report this, with the source's version."
    assert nothing_left(bench)


def test_a_filter_cannot_make_rows(bench: Any) -> None:
    bench.source.tables = [memory_table("rows", {"id": [1, 2, 3, 4]}, count_rows=lambda: 2)]
    assert bench.export(where=("id > 2",)).complete
    with pytest.raises(IncompleteError):
        bench.export(where=("id > 1",))


def test_a_source_that_cannot_count_is_believed(bench: Any) -> None:
    bench.source.tables = [memory_table("rows", {"id": [1, 2]}, count_rows=None)]
    assert bench.export().artifacts[0].manifest.tables[0].rows.source is None
    bench.format = LinesFormat(instead={"count_rows": gives({"rows": 9})})
    with pytest.raises(PluginContractError):
        bench.export()


def test_rows_that_were_left_out_are_counted_and_listed(bench: Any) -> None:
    table = memory_table("rows", {"id": [1, 2]}, count_rows=lambda: 5)
    table.bad_rows.add([BadRow(3, "id", "no number")], count=3)
    bench.source.tables = [table]
    result = bench.export()
    (artifact,) = result.artifacts
    assert attrs.astuple(artifact.manifest.tables[0].rows) == (5, 3, 2, 2)
    assert attrs.astuple(artifact.manifest.tables[0].bad_rows[0]) == (3, "id", "no number")
    told = "3 rows of table rows could not be read and were left out; the manifest says the first 1."
    assert told in result.notes
    assert told in artifact.manifest.notes
    table.bad_rows.add([BadRow(4, "id", "no number")])
    with pytest.raises(IncompleteError, match="5 in the source, 4 of them unreadable, 2 written, 2 in the file"):
        bench.export()


def dropping(call: Any) -> None:
    call.output.write(call.tables[0].frame.collect().slice(1).write_ndjson().encode())


def twice(call: Any) -> None:
    for _ in range(2):
        call.output.write(call.tables[0].frame.collect().write_ndjson().encode())


def silent(_call: object) -> None:
    return None


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (dropping, "4 in the source, 0 of them unreadable, 4 written, 3 in the file."),
        (twice, "4 in the source, 0 of them unreadable, 8 written, 8 in the file."),
        (silent, "4 in the source, 0 of them unreadable, 0 written, 0 in the file."),
        (
            lambda call: call.output.write(b"{}\n" * 4),
            "4 in the source, 0 of them unreadable, 0 written, 4 in the file.",
        ),
    ],
)
@pytest.mark.parametrize("compress", [False, True])
def test_a_format_that_loses_or_makes_rows(
    write: Callable[[Any], None], message: str, bench: Any, *, compress: bool
) -> None:
    bench.format = LinesFormat(instead={"write": write})
    with pytest.raises(IncompleteError) as caught:
        bench.export(compress=compress)
    assert caught.value.message == f"Table rows is not complete: {message}"
    assert nothing_left(bench)


def drained(counts: Mapping[str, object]) -> Callable[[Any], Any]:
    def count(call: Any) -> object:
        for _block in call.blocks:
            pass
        return counts

    return count


@pytest.mark.parametrize("counts", [{"rows": 3}, {}, {"others": 4}, {"rows": "4"}, {"rows": None}])
def test_a_format_that_counts_wrongly(counts: Mapping[str, object], bench: Any) -> None:
    bench.format = LinesFormat(instead={"count_rows": drained(counts)})
    with pytest.raises(IncompleteError):
        bench.export()
    assert nothing_left(bench)


def counting_a_part(call: Any) -> dict[str, int]:
    next(call.blocks)
    return {"big": 200_000}


def closing_early(call: Any) -> dict[str, int]:
    def lines() -> Iterator[bytes]:
        yield from call.blocks

    with suppress(StopIteration):
        next(lines())
    return {"big": 200_000}


@pytest.mark.parametrize("count", [gives({"big": 200_000}), counting_a_part, closing_early])
@pytest.mark.parametrize("compress", [False, True])
def test_a_format_that_stops_counting_early(count: Callable[[Any], Any], bench: Any, *, compress: bool) -> None:
    bench.source.tables = [memory_table("big", BIG)]
    bench.format = LinesFormat(instead={"count_rows": count})
    with pytest.raises(PluginContractError) as caught:
        bench.export(compress=compress, compress_level=1)
    assert caught.value.plugin == "lines"
    assert caught.value.message == "Format lines stopped counting before the end of the file."
    assert nothing_left(bench)


def spoiling(call: Any) -> dict[str, int]:
    return LinesFormat()._count_rows(call)  # noqa: SLF001 - the work itself


@pytest.mark.parametrize("compress", [False, True])
def test_a_disk_that_loses_bits(bench: Any, *, compress: bool) -> None:
    def count(call: Any) -> Mapping[str, int]:
        (path,) = bench.folder.glob("*.part")
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        return spoiling(call)

    bench.format = LinesFormat(instead={"count_rows": count})
    with pytest.raises((IntegrityError, PluginContractError)):
        bench.export(compress=compress)
    assert nothing_left(bench)


# Plugins that misbehave.


class Mute(Exception):  # noqa: N818 - a name like any other
    def __str__(self) -> str:
        raise ValueError


FAULTS: dict[str, tuple[BaseException, str]] = {
    "raises": (LookupError("no such\n  thing"), "failed with LookupError: no such thing"),
    "leaves": (SystemExit(3), "failed with SystemExit: 3"),
    "is mute": (Mute(), "failed with Mute."),
    "leaks": (ValueError("at postgresql://kim:hunter2@db/x"), "failed with ValueError: at postgresql://db/x"),
    "talks": (ValueError("x" * 1000), "failed with ValueError: " + "x" * 300),
}
PLACES = {
    "open": ("source", "memory"),
    "layout": ("format", "lines"),
    "write": ("format", "lines"),
    "count_rows": ("format", "lines"),
    "staging": ("sink", "folder"),
    "deliver": ("sink", "folder"),
}


def spoil(bench: Any, method: str, instead: Callable[[Any], Any]) -> None:
    part = {"source": bench.source, "format": bench.format, "sink": bench.sink}[PLACES[method][0]]
    part.instead = {method: instead}


@pytest.mark.parametrize("method", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_a_plugin_raises_the_host_lives(method: str, fault: str, bench: Any) -> None:
    error, words = FAULTS[fault]
    spoil(bench, method, raises(error))
    with pytest.raises(PluginContractError) as caught:
        bench.export()
    kind, name = PLACES[method]
    assert caught.value.plugin == name
    assert caught.value.message == f"The {kind} {name} {words}"
    assert caught.value.hint == "Report it to the plugin's author; --debug shows where."
    assert caught.value.__cause__ is error
    assert nothing_left(bench)


@pytest.mark.parametrize("method", PLACES)
def test_an_interrupt_is_not_the_plugins(method: str, bench: Any) -> None:
    spoil(bench, method, raises(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        bench.export()
    assert nothing_left(bench)


@pytest.mark.parametrize("method", PLACES)
def test_our_own_errors_pass_unchanged(method: str, bench: Any) -> None:
    error = TransientError("Away for now.", hint="Later.")
    spoil(bench, method, raises(error))
    with pytest.raises(TransientError) as caught:
        bench.export()
    assert caught.value is error
    assert caught.value.__cause__ is not error
    assert nothing_left(bench)


@pytest.mark.parametrize(
    ("method", "cls", "message"),
    [
        ("open", SourceError, "Source memory cannot be read: x.db: No such file or directory."),
        ("write", SourceError, "Source memory cannot be read: x.db: No such file or directory."),
        ("layout", PluginContractError, "The format lines failed with FileNotFoundError: "),
        ("staging", StorageError, "x.db cannot be written: the folder does not exist, or vanished."),
        ("deliver", StorageError, "x.db cannot be written: the folder does not exist, or vanished."),
    ],
)
def test_what_the_system_says_is_told_by_who_met_it(
    method: str, cls: type[TailraceError], message: str, bench: Any
) -> None:
    spoil(bench, method, raises(FileNotFoundError(2, "No such file or directory", "x.db")))
    with pytest.raises(cls) as caught:
        bench.export()
    assert caught.value.message.startswith(message)
    assert type(caught.value) is cls


def test_system_errors_without_a_name(bench: Any) -> None:
    spoil(bench, "open", raises(TimeoutError()))
    with pytest.raises(SourceError) as caught:
        bench.export()
    assert caught.value.message == "Source memory cannot be read: its data: TimeoutError."
    bench.source.instead = {}
    spoil(bench, "deliver", raises(OSError(28, "No space left on device")))
    with pytest.raises(NoSpaceError) as full:
        bench.export()
    assert full.value.message == "folder cannot be written: the disk is full."


@pytest.mark.parametrize("wrong", [None, 5, "text", object])
@pytest.mark.parametrize("method", PLACES)
def test_whatever_a_plugin_returns_the_host_lives(method: str, wrong: object, bench: Any) -> None:
    spoil(bench, method, gives(wrong))
    if method == "staging" and wrong is None:
        assert bench.export().complete
        return
    expected = IncompleteError if method == "write" else PluginContractError
    with pytest.raises(expected):
        bench.export()
    assert nothing_left(bench)


def test_wrong_types_are_named(bench: Any) -> None:
    for method, message in {
        "layout": "Format lines returned int instead of a FileLayout.",
        "staging": "Sink folder offers int instead of a folder to make the file in.",
        "deliver": "Sink folder returned int instead of a receipt.",
    }.items():
        spoil(bench, method, gives(5))
        with pytest.raises(PluginContractError) as caught:
            bench.export()
        assert (caught.value.message, caught.value.plugin) == (message, PLACES[method][1])
        spoil(bench, method, gives(5))
        bench.format.instead = bench.sink.instead = {}
    bench.source.tables = [memory_table("rows", {"id": [1]}, count_rows=lambda: "1")]
    with pytest.raises(PluginContractError) as counted:
        bench.export()
    assert counted.value.message == "Source memory counts str instead of rows."


@contextmanager
def opened(value: object) -> Iterator[Any]:
    yield value


def test_datasets_that_are_none(bench: Any) -> None:
    spoil(bench, "open", lambda _call: opened("a dataset"))
    with pytest.raises(PluginContractError) as caught:
        bench.export()
    assert caught.value.message == "Source memory opened str instead of a Dataset."
    spoil(bench, "open", lambda _call: opened(Dataset(())))
    with pytest.raises(SourceError) as empty:
        bench.export()
    assert (empty.value.message, empty.value.hint) == (
        "Source memory offers no table.",
        "Check what --from points at.",
    )
    table = Table("rows", pl.LazyFrame({"a": [1]}), (Column("b"),))
    spoil(bench, "open", lambda _call: opened(Dataset((table,))))
    with pytest.raises(PluginContractError) as other:
        bench.export()
    assert other.value.message == "Source memory describes columns ['b'] of table rows, and delivers ['a']."


def test_a_source_that_counts_by_failing(bench: Any) -> None:
    bench.source.tables = [memory_table("rows", {"id": [1]}, count_rows=lambda: sys.exit(3))]
    with pytest.raises(PluginContractError, match="The source memory failed with SystemExit: 3"):
        bench.export()
    assert nothing_left(bench)


def test_a_source_that_cannot_be_closed_changes_nothing(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    spoil(bench, "open", bench.source._open)  # noqa: SLF001 - its own work, with another end
    bench.source.instead = {"close": raises(SystemExit(3))}
    assert bench.export().complete
    assert caplog.messages == ["The source memory failed with SystemExit: 3"]
    # The error of the export is the one to tell.
    with pytest.raises(UnknownNameError):
        bench.export(columns=("nope",))
    bench.source.instead = {"close": raises(KeyboardInterrupt())}
    with pytest.raises(KeyboardInterrupt):
        bench.export(columns=("nope",))


def test_a_source_may_put_an_error_in_better_words(bench: Any) -> None:
    @contextmanager
    def translating(_call: object) -> Iterator[Dataset]:
        try:
            yield Dataset(tuple(bench.source.tables))
        except UnknownNameError as error:
            raise SourceError("The log has no such column.") from error

    spoil(bench, "open", translating)
    with pytest.raises(SourceError, match=r"^The log has no such column\.$"):
        bench.export(columns=("nope",))


def test_a_source_may_not_keep_an_error_to_itself(bench: Any) -> None:
    @contextmanager
    def swallowing(_call: object) -> Iterator[Dataset]:
        with suppress(Exception):
            yield Dataset(tuple(bench.source.tables))

    spoil(bench, "open", swallowing)
    with pytest.raises(UnknownNameError):
        bench.export(columns=("nope",))
    spoil(bench, "write", raises(LookupError()))
    with pytest.raises(PluginContractError):
        bench.export()


def test_data_that_breaks_on_the_way_is_the_sources(bench: Any) -> None:
    frame = pl.LazyFrame({"id": ["1", "x"]}).with_columns(pl.col("id").str.to_integer())
    bench.source.tables = [Table("rows", frame, (Column("id"),))]
    with pytest.raises(SourceError) as caught:
        bench.export()
    assert caught.value.message.startswith("Source memory cannot be read to its end: ")
    assert "\n" not in caught.value.message
    assert caught.value.hint == "Nothing was published. Check the data at this place."
    assert nothing_left(bench)


def test_what_python_raises_inside_polars_is_found_again(bench: Any) -> None:
    def read(batch: pl.DataFrame) -> pl.DataFrame:
        if batch.height:
            raise TransientError("The server went away.")
        return batch

    frame = pl.LazyFrame({"id": [1]}).map_batches(read, streamable=True, schema={"id": pl.Int64()})
    bench.source.tables = [Table("rows", frame, (Column("id"),))]
    with pytest.raises((TransientError, SourceError), match="The server went away"):
        bench.export()


def test_plugins_that_print_and_wander_off(bench: Any, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    here = Path.cwd()

    def write(call: Any) -> None:
        print("noise")  # noqa: T201 - that it prints is the fault
        os.chdir(tmp_path)
        bench.format._write(call)  # noqa: SLF001 - its own work

    spoil(bench, "write", write)
    try:
        assert bench.export().complete
    finally:
        os.chdir(here)
    assert capfd.readouterr().out == "noise\n"


def test_the_engine_prints_nothing(bench: Any, capfd: pytest.CaptureFixture[str]) -> None:
    bench.export(compress=True)
    with pytest.raises(UnknownNameError):
        bench.export(columns=("nope",))
    assert capfd.readouterr() == ("", "")


def test_a_format_that_hides_a_full_disk(bench: Any) -> None:
    full = OSError(28, "No space left on device")

    def write(call: Any) -> None:
        with suppress(Exception):
            call.context.check()
            call.output._put = raises(full)  # noqa: SLF001 - the disk is full from now on
            call.output.write(b"x")

    spoil(bench, "write", write)
    with pytest.raises(NoSpaceError) as caught:
        bench.export()
    assert caught.value.message == f"{bench.folder} cannot be written: the disk is full."
    assert caught.value.__cause__ is full


def test_a_format_that_writes_on_after_its_time(bench: Any) -> None:
    outputs: list[Any] = []

    def write(call: Any) -> None:
        outputs.append(call.output)
        bench.format._write(call)  # noqa: SLF001 - its own work

    spoil(bench, "write", write)
    bench.export()
    with pytest.raises(ValueError, match="The file is closed"):
        outputs[0].write(b"late")


def test_formats_add_notes(bench: Any) -> None:
    def write(call: Any) -> None:
        call.note("Guarded.")
        call.note("Guarded.")
        bench.format._write(call)  # noqa: SLF001 - its own work

    spoil(bench, "write", write)
    bench.source.notes = ("Read.",)
    result = bench.export()
    assert result.notes == result.artifacts[0].manifest.notes == ("Read.", "Guarded.")


@attrs.frozen
class Explosive:
    fuse: int = option(1, help="")

    def __attrs_post_init__(self) -> None:
        sys.exit(self.fuse)


def test_options_that_fail_are_the_plugins(bench: Any) -> None:
    bench.source.options_type = Explosive
    with pytest.raises(PluginContractError) as caught:
        bench.export()
    assert caught.value.message == "The source memory failed with SystemExit: 1"
    with pytest.raises(OptionError):
        bench.export(options={"fuse": "x"})


@attrs.frozen
class Secretive:
    password: str = option("", help="", secret=True)


def test_secrets_stay_out_of_manifests_errors_and_logs(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    bench.source.options_type = Secretive
    with caplog.at_level("DEBUG"):
        result = bench.export(
            location="postgresql://kim:hunter2@db/x",
            options={"password": "hunter2"},
            sinks=(SinkRequest("folder", str(bench.folder)),),
        )
    content = (bench.folder / bench.names()[1]).read_text()
    assert "hunter2" not in content + caplog.text + repr(result)
    assert json.loads(content)["source"]["location"] == "postgresql://db/x"
    assert json.loads(content)["parameters"]["options"] == {"password": "***"}
    assert bench.source.calls[0].options.password == "hunter2"


# Several sinks.


class Second(FolderSink):
    @hookimpl
    def tailrace_sink(self) -> "Second":
        return self


def several(bench: Any, instead: Mapping[str, Callable[[Any], Any]], **more: Any) -> Any:
    bench.plugins = [("second", Second(instead=instead))]
    other = bench.folder.parent / "other"
    wanted = (SinkRequest("second", str(other)), SinkRequest("folder", str(bench.folder)))
    return bench.export(sinks=wanted, **more)


@pytest.mark.parametrize(
    ("error", "transient", "message"),
    [
        (TransientError("Away."), True, "Away."),
        (PermanentError("Never."), False, "Never."),
        (LookupError("x"), False, "The sink second failed with LookupError: x"),
        (SystemExit(3), False, "The sink second failed with SystemExit: 3"),
        (OSError(28, "No space left on device", "y"), False, "y cannot be written: the disk is full."),
    ],
)
def test_one_failing_sink_does_not_keep_the_others_from_it(
    error: BaseException, message: str, bench: Any, caplog: pytest.LogCaptureFixture, *, transient: bool
) -> None:
    result = several(bench, {"deliver": raises(error)})
    assert not result.complete
    bad, good = result.artifacts[0].receipts
    assert bad.error.startswith(message)
    assert bad == Receipt("second", delivered=False, error=bad.error, transient=transient)
    assert good.delivered
    assert result.artifacts[0].path == good.path
    assert bench.engine().verify(good.path).ok
    assert caplog.messages == [f"sink second did not deliver {good.path.name}: {message}"]


def test_a_sink_that_can_never_work_is_found_before_reading(bench: Any) -> None:
    with pytest.raises(RequestError):
        several(bench, {"staging": raises(RequestError("No such target."))})
    assert bench.source.calls == []
    assert nothing_left(bench)


def test_every_sink_gets_the_same_file(bench: Any) -> None:
    (artifact,) = several(bench, {}).artifacts
    first, second = (receipt.path for receipt in artifact.receipts)
    assert first.read_bytes() == second.read_bytes()
    assert first.parent != second.parent


def test_of_two_files_the_second_can_fail_alone(bench: Any) -> None:
    bench.source.tables = [memory_table("a", {"x": [1]}), memory_table("b", {"y": [1]})]

    def deliver(call: Any) -> Receipt:
        if call.parcel.fields["source"] == "memory-b":
            raise TransientError("Away.")
        return cast("Receipt", bench.sink._deliver(call))  # noqa: SLF001 - its own work

    spoil(bench, "deliver", deliver)
    result = bench.export()
    assert [artifact.receipts[0].delivered for artifact in result.artifacts] == [True, False]
    assert result.artifacts[1].receipts[0] == Receipt("folder", delivered=False, error="Away.", transient=True)
    assert not result.complete
    assert len(bench.names()) == 2


def test_a_name_that_is_taken_is_the_exports_error(bench: Any) -> None:
    sinks = (SinkRequest("folder", str(bench.folder), {"name": "x"}),)
    bench.export(sinks=sinks)
    with pytest.raises(AlreadyExistsError):
        bench.export(sinks=sinks)
    before = (bench.folder / "x").stat().st_ino
    assert bench.export(sinks=sinks, options={"overwrite": True}).complete
    assert (bench.folder / "x").stat().st_ino != before
    assert bench.names() == ["x", "x.manifest.json"]


# Stopping.


def cancelling(context: Context) -> Callable[[Any], Any]:
    def cancel(batch: pl.DataFrame) -> pl.DataFrame:
        context.cancel()
        return batch

    return cancel


@pytest.mark.parametrize("compress", [False, True])
def test_cancelling_while_writing_leaves_nothing(bench: Any, *, compress: bool) -> None:
    context = Context()
    frame = BIG.lazy().map_batches(cancelling(context), streamable=True)
    bench.source.tables = [Table("big", frame, (Column("id"), Column("word")))]
    with pytest.raises(CancelledError):
        bench.export(context=context, compress=compress)
    assert nothing_left(bench)


@pytest.mark.parametrize("method", ["open", "write", "count_rows", "deliver"])
def test_cancelling_at_any_step_leaves_nothing(method: str, bench: Any) -> None:
    context = Context()
    part = {"source": bench.source, "format": bench.format, "sink": bench.sink}[PLACES[method][0]]
    work = getattr(part, f"_{method}")

    def cancel(call: Any) -> Any:
        context.cancel()
        if method == "deliver":
            call.context.check()
        return work(call)

    part.instead = {method: cancel}
    with pytest.raises(CancelledError):
        bench.export(context=context)
    assert nothing_left(bench)


def test_cancelling_between_two_sinks_stops_there(bench: Any) -> None:
    context = Context()

    def deliver(call: Any) -> Receipt:
        context.cancel()
        return FolderSink()._deliver(call)  # noqa: SLF001 - its own work

    (artifact,) = several(bench, {"deliver": deliver}, context=context).artifacts
    assert [receipt.delivered for receipt in artifact.receipts] == [True, False]
    assert artifact.receipts[1].error == "It was cancelled."


def test_a_deadline_leaves_nothing(bench: Any) -> None:
    ticks = iter(range(10**6))
    bench.source.tables = [memory_table("big", BIG)]
    with pytest.raises(DeadlineError):
        bench.export(context=Context(timeout=8, clock=lambda: float(next(ticks))))
    assert nothing_left(bench)


def test_what_the_listener_raises_ends_the_export(bench: Any) -> None:
    class Enough(Exception):  # noqa: N818 - a name like any other
        pass

    def listen(progress: Any) -> None:
        if progress.rows:
            raise Enough

    with pytest.raises(Enough):
        bench.export(context=Context(on_progress=listen, interval=0))
    assert nothing_left(bench)


# Room.


def test_what_cannot_fit_is_refused_before_reading(bench: Any) -> None:
    estimate = Estimate((TableEstimate("rows", 1, 1, 10**18, exact_rows=True),))
    with pytest.raises(NoSpaceError) as caught:
        bench.export(estimate=estimate)
    assert re.fullmatch(
        f"The export takes about 1,000,000,000,000,000,000 bytes, and {bench.folder} has [0-9,]+ free\\.",
        caught.value.message,
    )
    assert caught.value.hint == "Free some space, or narrow the export (--columns, --since, --where)."
    assert bench.source.calls == []


# Requests that cannot be.


def test_columns_filters_and_names_are_checked_before_writing(bench: Any) -> None:
    for asked in ({"columns": ("nope",)}, {"where": ("id = 'x'",)}, {"sort": ("nope",)}, {"source": "nope"}):
        with pytest.raises(RequestError):
            bench.export(**asked)
    with pytest.raises(RequestError):
        bench.export(time_zone="Mars")
    assert bench.format.calls == []
    assert nothing_left(bench)


def test_a_source_that_refuses_a_mode(bench: Any) -> None:
    spoil(bench, "open", raises(NotAllowedError("No.")))
    with pytest.raises(NotAllowedError):
        bench.export()


def test_layouts_and_meanings_reach_the_manifest(bench: Any) -> None:
    bench.source.tables = [memory_table("rows", {"id": [1]}, meanings={"id": Meaning.KEY})]
    bench.format = LinesFormat(instead={"layout": gives(FileLayout("x", "application/x", compressible=False))})
    (artifact,) = bench.export().artifacts
    assert artifact.manifest.file.media_type == "application/x"
    assert artifact.manifest.tables[0].columns[0].meaning is Meaning.KEY


# At once.


def test_ten_exports_at_once(bench: Any) -> None:
    bench.source.tables = [memory_table("big", BIG)]
    engine, results = bench.engine(), dict[int, Any]()

    def run(number: int) -> None:
        sinks = (SinkRequest("folder", str(bench.folder), {"name": f"x{number}"}),)
        results[number] = engine.export(bench.request(sinks=sinks, compress=number % 2 == 0, compress_level="fast"))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == list(range(10))
    assert all(result.complete for result in results.values())
    assert len({result.export_id for result in results.values()}) == 10
    digests = {number: result.artifacts[0].manifest.file.sha256 for number, result in results.items()}
    assert len(set(digests.values())) == 2
    assert len({result.artifacts[0].manifest.file.plain_sha256 for result in results.values()}) == 1
    assert len(bench.names()) == 20


def test_sources_are_closed(bench: Any) -> None:
    closed: list[object] = []
    bench.source = MemorySource(bench.source.tables, instead={"close": closed.append})
    bench.export()
    with pytest.raises(RequestError):
        bench.export(columns=("nope",))
    bench.engine().estimate(bench.request())
    assert len(closed) == 3


def managers(call: Any, tables: Any) -> AbstractContextManager[Dataset]:
    return opened(Dataset(tuple(tables), notes=(call.location,)))


def test_sources_may_use_any_context_manager(bench: Any) -> None:
    spoil(bench, "open", lambda call: managers(call, bench.source.tables))
    assert bench.export().notes == ("memory://",)


def test_secrets_in_filters_stay_out_of_what_formats_embed_and_of_notes(bench: Any) -> None:
    bench.source.tables = [
        memory_table("a", {"url": ["http://h/"], "id": [1]}),
        memory_table("b", {"id": [1]}),
    ]
    result = bench.export(where=("url != 'http://bob:hunter2@h/'",))
    embedded = bench.format.calls[0].embedded
    assert embedded["parameters"]["where"] == ["url != 'http://h/'"]
    assert len(result.notes) == 1
    assert "hunter2" not in repr(bench.format.calls) + repr(result)
    bench.source.tables = [memory_table("a", {"url": ["x"]}), memory_table("b", {"id": [1]})]
    with pytest.raises(RequestError) as caught:
        bench.export(where=("url = 'http://bob:hunter2@h/' and id = 1",))
    assert "hunter2" not in caught.value.message


def test_secrets_in_a_sinks_own_words_are_taken_out(bench: Any) -> None:
    bench.sink = FolderSink(
        instead={"deliver": gives(Receipt("folder", delivered=True, place="sent to http://bob:hunter2@h/"))}
    )
    (artifact,) = bench.export().artifacts
    assert "http://h/" in artifact.receipts[0].place
    assert "hunter2" not in repr(artifact)
    bench.sink = FolderSink(
        instead={"deliver": gives(Receipt("folder", delivered=False, error="http://bob:hunter2@h/ is away"))}
    )
    with pytest.raises(PermanentError, match="Sink folder did not deliver: http://h/ is away"):
        bench.export()


def test_tables_that_cannot_be(bench: Any) -> None:
    bench.source.tables = [memory_table("t", {"id": [1]}), memory_table("t", {"id": [1]})]
    with pytest.raises(PluginContractError, match="several tables of one name: t, t"):
        bench.export()
    bench.source.tables = [Table("t", cast("Any", pl.DataFrame({"id": [1]})), [Column("id")])]
    with pytest.raises(PluginContractError, match="offers DataFrame instead of a Table with a LazyFrame"):
        bench.export()
    bench.source.tables = [cast("Any", 5)]
    with pytest.raises(PluginContractError, match="offers int instead of a Table"):
        bench.export()
    assert nothing_left(bench)


def test_a_format_that_writes_text(bench: Any) -> None:
    bench.format = LinesFormat(instead={"write": lambda call: call.output.write("text")})
    with pytest.raises(PluginContractError, match=r"The format lines failed with TypeError: .*bytes-like"):
        bench.export()
    assert nothing_left(bench)


def test_sinks_know_the_other_files_of_the_export(bench: Any) -> None:
    bench.source.tables = [memory_table("a", {"id": [1]}), memory_table("b", {"id": [1]})]
    first, second = bench.export().artifacts
    assert [call.delivered for call in bench.sink.calls] == [frozenset(), frozenset({first.path})]
    assert second.path != first.path

"""What plugins may have beside their contract, and what they are told about whoever asked."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tailrace_sdk.fakes import FolderSink

from tailrace import (
    Context,
    PartitionedSource,
    PluginContractError,
    RequestError,
    SinkRequest,
    Source,
    StagingCall,
    TargetChecker,
    User,
)
from tailrace.pipeline.export import run
from tailrace.pipeline.job import Job


class CheckingSink(FolderSink):
    """A folder that judges its target beforehand."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.checked: list[StagingCall] = []

    def check_target(self, call: StagingCall) -> None:
        """Take the call; do what the test says."""
        self.checked.append(call)
        self._answer("check_target", call, lambda _call: None)


def prepared(bench: Any, *, folder: Path = Path(), **changes: Any) -> Job:
    return Job.prepare(
        bench.request(**changes),
        registry=bench.engine().registry,
        export_id="0198c0de",
        user=User("kim"),
        now=datetime(2026, 8, 20, 12, tzinfo=UTC),
        reference=lambda *_parts: "ref",
        folder=folder,
    )


def test_source_and_sink_are_told_which_folder_paths_count_from(bench: Any, tmp_path: Path) -> None:
    staged: list[StagingCall] = []
    bench.sink = FolderSink(instead={"staging": staged.append})
    job = prepared(bench, folder=tmp_path / "asked-from", sinks=(SinkRequest("folder", "out"),))
    (artifact,) = run(job, context=Context(), scratch=tmp_path / "scratch").result.artifacts
    told = [bench.source.calls[0].folder, staged[0].folder, bench.sink.calls[0].folder]
    assert told == [tmp_path / "asked-from"] * 3
    assert artifact.path is not None
    assert artifact.path.parent == tmp_path / "asked-from" / "out"


def test_it_is_the_working_folder_where_nobody_says_otherwise(bench: Any) -> None:
    bench.export()
    assert bench.source.calls[0].folder == Path()
    assert bench.source.calls[0].partition is None
    assert bench.sink.calls[0].folder == Path()


def test_targets_are_checked_by_the_sinks_that_can_and_nothing_is_touched(bench: Any, tmp_path: Path) -> None:
    checking = CheckingSink()
    bench.plugins = [("checking", checking)]
    targets = (SinkRequest("folder", "a"), SinkRequest("checking", "b"), SinkRequest("checking", "c"))
    prepared(bench, folder=tmp_path / "asked-from", sinks=targets).check_targets()
    assert [(call.target, call.folder) for call in checking.checked] == [
        ("b", tmp_path / "asked-from"),
        ("c", tmp_path / "asked-from"),
    ]
    assert checking.checked[0].fields["source"] == "memory"
    assert bench.source.calls == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_check_raises_is_told_apart(bench: Any) -> None:
    def refuse(_call: StagingCall) -> None:
        raise RequestError("Never.")

    def fail(_call: StagingCall) -> None:
        raise ZeroDivisionError

    for instead, error in [(refuse, RequestError), (fail, PluginContractError)]:
        bench.plugins = [("checking", CheckingSink(instead={"check_target": instead}))]
        with pytest.raises(error):
            prepared(bench, sinks=(SinkRequest("checking", "a"),)).check_targets()


def test_what_plugins_may_have_beside_is_told_by_its_methods(bench: Any) -> None:
    assert isinstance(CheckingSink(), TargetChecker)
    assert not isinstance(bench.sink, TargetChecker)
    assert isinstance(bench.source, Source)
    assert not isinstance(bench.source, PartitionedSource)

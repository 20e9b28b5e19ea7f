"""An engine that ends before its process does."""

import asyncio
import os
import threading
from pathlib import Path

import polars as pl
import pytest

from tailrace import Engine, ExportRequest, Settings, SinkRequest


def request(folder: Path) -> ExportRequest:
    return ExportRequest("orders", "", "csv", sinks=(SinkRequest("disk", str(folder)),))


def threads() -> set[threading.Thread]:
    """Threads of engines, among them those of other tests."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("tailrace")}


def open_in(folder: Path) -> list[str]:
    """The files below a folder that this process has open."""
    seen = []
    for number in Path("/proc/self/fd").iterdir():
        try:
            seen.append(os.readlink(number))  # noqa: PTH115 - names of pipes and sockets are no paths
        except OSError:
            continue
    return [path for path in seen if path.startswith(str(folder))]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
def test_closed_it_leaves_neither_threads_nor_files_and_can_be_used_again(tmp_path: Path) -> None:
    home, others = tmp_path / "home", threads()
    with Engine(Settings(home=home)) as engine:
        engine.add_source("orders", lambda _call: pl.DataFrame({"id": [1, 2]}))
        assert asyncio.run(engine.aexport(request(tmp_path / "out"))).complete
        assert open_in(home)
        assert threads() - others
    assert (open_in(home), threads() - others) == ([], set())
    assert engine.export(request(tmp_path / "again")).complete
    engine.close()
    engine.close()
    assert open_in(home) == []


def test_one_that_did_nothing_is_closed_without_making_anything(tmp_path: Path) -> None:
    Engine(Settings(home=tmp_path / "home")).close()
    assert list(tmp_path.iterdir()) == []

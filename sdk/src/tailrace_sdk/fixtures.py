"""Fixtures for tests of plugins and hosts: an engine, data, a clock, and a file system that fails.

A test module, or class, that has a fixture of its own by one of these names keeps it: what is nearer wins.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tailrace import Engine
    from tailrace_sdk.clock import Clock
    from tailrace_sdk.datasets import DatasetFactory
    from tailrace_sdk.fakes import MemorySource
    from tailrace_sdk.faults import FaultyFilesystem


@pytest.fixture
def clock() -> "Clock":
    """A clock that stands still at 2026-08-20 06:23:17 UTC until it is set: ``clock.set(…)``, ``clock.advance(60)``.

    The fixture ``engine`` goes by it; any other engine takes it as ``Engine(clock=clock)``.
    """
    from tailrace_sdk.clock import Clock

    return Clock()


@pytest.fixture
def dataset_factory() -> "DatasetFactory":
    """Makes tables and datasets by their shape: ``dataset_factory.table(rows=5, hostile=True, nulls=True)``.

    With ``lazy=True`` the rows are made while they are read, so that there may be ten million of them. Nothing is left
    to chance: the same shape gives the same rows.
    """
    from tailrace_sdk.datasets import DatasetFactory

    return DatasetFactory()


@pytest.fixture
def memory_source(dataset_factory: "DatasetFactory") -> "MemorySource":
    """The source ``memory`` of the fixture ``engine``: a table ``rows`` of three rows, until ``tables`` is set."""
    from tailrace_sdk.fakes import MemorySource

    return MemorySource([dataset_factory.table()])


@pytest.fixture
def engine(tmp_path: Path, clock: "Clock", memory_source: "MemorySource") -> "Engine":
    """An engine with a home of its own that has the fakes: source ``memory``, format ``lines``, sink ``folder``.

    It goes by the fixture ``clock``, and looks for no installed plugins.
    """
    from tailrace import Engine, Settings
    from tailrace_sdk.fakes import FolderSink, LinesFormat

    fakes = [("memory", memory_source), ("lines", LinesFormat()), ("folder", FolderSink())]
    return Engine(Settings(home=tmp_path / "tailrace-home"), plugins=fakes, discover=False, clock=clock)


@pytest.fixture
def faulty_filesystem(tmp_path: Path) -> "Iterator[FaultyFilesystem]":
    """Files below ``faulty_filesystem.folder`` fail when told: a full disk, an error of the device, read-only, slow.

    Without root, and in this process only: what calls the system itself (SQLite, polars writing to a path, other
    processes) is not reached. See :mod:`tailrace_sdk.faults`.
    """
    from tailrace_sdk.faults import FaultyFilesystem

    with FaultyFilesystem(tmp_path / "faulty").active() as system:
        yield system

"""An engine of fakes, which the tests of the pipeline bend to their needs."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import Engine, Estimate, ExportRequest, JobResult, SinkRequest
from tailrace.model.context import Context
from tailrace.settings import Settings

NOW = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)
ROWS = {
    "id": [1, 2, 3, 4],
    "word": ["pump", "wheel", None, "sluice"],
    "t": [datetime(2026, 8, 15 + day, 6, tzinfo=UTC) for day in range(4)],
}


@attrs.define
class Bench:
    """An engine of fakes, and a folder that it exports to.

    Args:
        folder: Where the exports go.
        home: The engine's home.
        source: The source ``memory``.
        format: The format ``lines``.
        sink: The sink ``folder``.
        plugins: Further plugins.
        clock: What time it is for the engine.
    """

    folder: Path
    home: Path
    source: MemorySource = attrs.field(factory=lambda: MemorySource([memory_table("rows", ROWS, time_column="t")]))
    format: LinesFormat = attrs.field(factory=LinesFormat)
    sink: FolderSink = attrs.field(factory=FolderSink)
    plugins: list[tuple[str, object]] = attrs.field(factory=list)
    clock: Callable[[], datetime] = attrs.field(default=lambda: NOW)

    def engine(self) -> Engine:
        """The engine; every time a new one."""
        return Engine(
            Settings(home=self.home, user="kim"),
            plugins=[("memory", self.source), ("lines", self.format), ("folder", self.sink), *self.plugins],
            discover=False,
            clock=self.clock,
        )

    def request(self, **changes: Any) -> ExportRequest:
        """The request, plain and into the folder unless said otherwise."""
        wanted = ExportRequest("memory", "memory://", "lines", sinks=(SinkRequest("folder", str(self.folder)),))
        return attrs.evolve(wanted, **{"compress": False, **changes})

    def export(self, *, context: Context | None = None, estimate: Estimate | None = None, **changes: Any) -> JobResult:
        """Export."""
        return self.engine().export(self.request(**changes), context=context, estimate=estimate)

    def text(self, **changes: Any) -> str:
        """What an export of one file holds."""
        (artifact,) = self.export(**changes).artifacts
        assert artifact.path is not None
        return artifact.path.read_text()

    def names(self) -> list[str]:
        """Names in the folder, hidden ones included."""
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "out", tmp_path / "home")

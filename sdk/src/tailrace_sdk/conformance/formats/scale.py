"""The standard test of memory, over ten million rows."""

from pathlib import Path

import pytest

from tailrace_sdk.conformance.apart import done_apart
from tailrace_sdk.conformance.formats.base import FormatTests
from tailrace_sdk.conformance.standard import standard

TEN_MILLION = 10_000_000


class ScaleTests(FormatTests):
    """Large tables."""

    @pytest.mark.tailrace_heavy
    @standard()
    def test_memory_has_a_ceiling(self, tmp_path: Path) -> None:
        """An export of ten million rows, or of ``rows_at_most``, stays below ``memory_at_most``, and is complete.

        Nothing may grow with the rows: no list of them, no text of the whole file, no set of what was seen. The whole
        process is measured, with Python, polars and the engine, while it writes, and while it counts again.
        """
        rows = self.rows(TEN_MILLION)
        arguments = (self.target, self.name, dict(self.options), dict(self.settings), rows)
        probe = "tailrace_sdk.conformance.formats.probes:export_whole"
        ended = done_apart(probe, *arguments, str(tmp_path / "home"), str(tmp_path / "out"), seconds=900)
        assert ended.said is not None, ended.stderr
        assert ended.said == rows
        assert ended.peak < self.memory_at_most, f"{ended.peak >> 20} MiB for {rows:,} rows"

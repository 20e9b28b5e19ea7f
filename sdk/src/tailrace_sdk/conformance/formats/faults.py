"""Standard tests of what goes wrong: full disks, cancelling, deadlines, kills. The whole way through an engine."""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tailrace import CancelledError, Context, DeadlineError, Engine, NoSpaceError, Table
from tailrace_sdk.conformance.apart import begun_apart
from tailrace_sdk.conformance.formats.base import FormatTests, Output
from tailrace_sdk.conformance.standard import standard
from tailrace_sdk.faults import FaultyFilesystem

_TRIES = 3
"""A busy machine may keep anybody waiting: the best of so many counts."""
_SECONDS_TO_STOP = 1.0
_WHILE_ROWS_COME, _BEHIND_THE_LAST = "while rows come", "behind the last row"
_SHORTLY = 0.2
"""Seconds behind the last row, when a format that only begins then is at work."""
_ROWS = 300_000


class FaultTests(FormatTests):
    """Exports that are cut short, and one that is not."""

    @standard()
    def test_the_whole_way_through_an_engine(self, tmp_path: Path) -> None:
        """An export is made, proven complete, published, and verified thoroughly; its manifest says what came.

        The error says what the engine found. Formats take what ``call`` has, and no more than their tables.
        """
        whole = self.make.table("rows", rows=2_000, nulls=True, zones=["America/New_York"])
        tables = [whole, self.make.table("more", rows=0)]
        engine = self.exporting(tmp_path / "home", *tables)
        result = self.export(engine, tmp_path / "out")
        assert len(result.artifacts) == (1 if self.many_tables else len(tables))
        assert {
            table.name: table.rows.reread for artifact in result.artifacts for table in artifact.manifest.tables
        } == {"rows": 2_000, "more": 0}
        for artifact in result.artifacts:
            assert artifact.path is not None
            verification = engine.verify(artifact.path)
            assert verification.ok, verification.checks

    @pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
    @standard()
    def test_a_failing_output_is_not_swallowed(self, engine: Engine, share: float) -> None:
        """What ``call.output.write`` raises ends ``write``, at the first block, in the middle and at the last.

        Do not catch it, and do not write on: the engine knows what to say about a full disk.
        """
        table = self.make.table(rows=5_000)
        size = len(self.write(engine, table).content)
        after: list[int] = []

        def fail(number: int, written: int) -> None:
            if written > size * share:
                after.append(number)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.raises(Exception):  # noqa: B017, PT011 - polars tells it in other words
            self.write(engine, table, output=Output(fail))
        assert after, "Nothing was written behind that place."

    @standard()
    def test_a_full_disk_is_told_and_leaves_nothing(self, tmp_path: Path) -> None:
        """When the disk is full the export ends with NoSpaceError, and no file has its name.

        Let the error of ``call.output`` through.
        """
        engine = self.exporting(tmp_path / "home", self.make.table(rows=self.rows(5_000)))
        size = self.export(engine, tmp_path / "trial").artifacts[0].manifest.file.size
        for room in (0, size // 2, size - 1):
            system = FaultyFilesystem(tmp_path / f"disk {room}")
            with system.active():
                system.full_after(room)
                with pytest.raises(NoSpaceError):
                    self.export(engine, system.folder)
            assert list(system.folder.iterdir()) == []

    @pytest.mark.parametrize("when", [_WHILE_ROWS_COME, _BEHIND_THE_LAST])
    @standard()
    def test_it_stops_within_a_second(self, tmp_path: Path, when: str) -> None:
        """Cancelled in the middle of its work, an export ends within a second, with CancelledError and no file.

        Work in portions, and call ``call.context.check()`` between them, above all behind the last row.
        """
        took = []
        for attempt in range(_TRIES):
            context, asked = Context(), [0.0]

            def cancel(context: Context = context, asked: list[float] = asked) -> None:
                asked[0] = time.monotonic()
                context.cancel()

            timer = threading.Timer(_SHORTLY, cancel)
            interrupt = cancel if when == _WHILE_ROWS_COME else timer.start
            engine, out = self._interrupted(tmp_path / f"home {attempt}", when, interrupt), tmp_path / f"out {attempt}"
            try:
                self.export(engine, out, context=context)
            except CancelledError:
                assert list(out.iterdir()) == []
            else:
                assert when == _BEHIND_THE_LAST, "It was not cancelled."
            finally:
                timer.cancel()
            # What was finished before anybody asked took no time to stop.
            took.append(time.monotonic() - asked[0] if asked[0] else 0.0)
            if took[-1] < _SECONDS_TO_STOP:
                return
        pytest.fail(f"It took {min(took):.1f} seconds to stop.")

    @standard()
    def test_its_deadline_ends_it(self, tmp_path: Path) -> None:
        """An export whose time is up ends with DeadlineError, and no file.

        ``call.context.check()`` raises it, as ``call.output.write`` does.
        """
        now = [0.0]
        context = Context(timeout=30, clock=lambda: now[0])
        engine = self._interrupted(tmp_path / "home", _WHILE_ROWS_COME, lambda: now.append(now.pop() + 60))
        with pytest.raises(DeadlineError):
            self.export(engine, tmp_path / "out", context=context)
        assert list((tmp_path / "out").iterdir()) == []

    @standard()
    def test_killed_it_leaves_no_file_and_no_obstacle(self, tmp_path: Path) -> None:
        """Killed in the middle of an export, a process leaves no file under its name, and the next export works.

        Write to ``call.output`` only. What is needed beside is made anew each time, under names of its own.
        """
        marker, home, out = tmp_path / "half", tmp_path / "home", tmp_path / "out"
        probe = "tailrace_sdk.conformance.formats.probes:export_half"
        arguments = (self.target, self.name, dict(self.options), dict(self.settings), self.rows(_ROWS))
        with begun_apart(probe, *arguments, str(home), str(out), str(marker)) as work:
            begun = work.wait_for(marker, seconds=60)
            work.kill()
            ended = work.end()
        assert begun, ended.stderr
        assert [path.name for path in out.iterdir() if not path.name.startswith(".")] == []
        engine = self.exporting(home, self.make.table(rows=10))
        (artifact,) = self.export(engine, out).artifacts
        assert artifact.path is not None
        assert engine.verify(artifact.path).ok

    def _interrupted(self, home: Path, when: str, interrupt: Callable[[], None]) -> Engine:
        """An engine whose source interrupts the export."""
        rows = self.rows(_ROWS)
        at = rows if when == _BEHIND_THE_LAST else rows // 2
        done: list[int] = []

        def look(made: int) -> None:
            if made >= at and not done:
                done.append(made)
                interrupt()

        return self.exporting(home, self._lazily(rows, look))

    def _lazily(self, rows: int, look: Callable[[int], None]) -> Table:
        from tailrace_sdk.datasets import LazyRows

        shape = self.make.table(rows=0)
        made = LazyRows(rows, self.make.frame, look, batch=max(1, rows // 10))
        return Table("rows", made.frame, shape.columns, count_rows=lambda: rows)

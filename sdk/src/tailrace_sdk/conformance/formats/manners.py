"""Standard tests of how a format writes: once, in blocks, the same each time, and without a trace elsewhere."""

import hashlib
import logging
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from tailrace import Engine, Table
from tailrace_sdk.conformance.apart import begun_apart
from tailrace_sdk.conformance.formats.base import BLOCK, MOMENT, FormatTests, Output
from tailrace_sdk.conformance.standard import standard
from tailrace_sdk.datasets import LazyRows

_MANY, _TOGETHER = 1_000_000, 20_000
_ELSEWHERE = {"PYTHONHASHSEED": "4711", "TZ": "Pacific/Chatham", "LC_ALL": "C", "USER": "eve", "HOME": "/"}
"""Another machine, as far as a program can tell."""


class MannersTests(FormatTests):
    """Streaming, determinism, quiet."""

    @standard()
    def test_each_frame_is_collected_once(self, engine: Engine) -> None:
        """Rows pass once: the engine counts what passes, and what a database gave once it may give differently again.

        Look for a second ``collect``, for a look at the first rows, or for a count beside; ``collect_schema`` is free.
        """
        made = LazyRows(2_000, self.make.frame)
        whole = self.make.table(rows=0)
        self.write(engine, Table("rows", made.frame, whole.columns))
        assert (made.begun, made.finished) == (1, 1)

    @standard(needs="streams")
    def test_it_writes_while_rows_come(self, engine: Engine) -> None:
        """A large part of the file is written before the last rows are read, in blocks of a few megabytes at most.

        Sink to ``call.output``, or write batch by batch: ``LazyFrame.collect_batches``, ``sink_…``.
        """
        output = Output()
        seen: list[int] = []
        made = LazyRows(_MANY, lambda start, stop: self.make.frame(start, stop, columns=3), batch=_TOGETHER)
        made.on_batch = lambda _rows: seen.append(output.size)
        columns = self.make.table(rows=0, columns=3).columns
        self.write(engine, Table("rows", made.frame, columns), output=output)
        assert seen[-1] > output.size / 4, f"{seen[-1]:,} of {output.size:,} bytes were written when the rows ended"
        assert max(map(len, output.blocks)) < 16 * BLOCK

    @standard()
    def test_the_same_gives_the_same_bytes(self, engine: Engine) -> None:
        """The same tables and options give the same bytes, on any day and machine, with any seed of hashes and zone.

        Take no clock, no random number, no order of a set, no name of a machine or folder into the file. A format whose
        files say when they were made is ``dated``, and takes that from ``call.moment``.
        """
        tables = [self.make.table(rows=1_500, nulls=True, zones=["Europe/Berlin"])]
        here = hashlib.sha256(self.write(engine, *tables).content).hexdigest()
        assert hashlib.sha256(self.write(engine, *tables).content).hexdigest() == here
        later = self.write(engine, *tables, moment=MOMENT + timedelta(days=1))
        assert (hashlib.sha256(later.content).hexdigest() != here) is self.dated
        probe = "tailrace_sdk.conformance.formats.probes:digest"
        with begun_apart(
            probe, self.target, self.name, dict(self.options), dict(self.settings), environment=_ELSEWHERE
        ) as work:
            there = work.end()
        assert there.said is not None, there.stderr
        assert there.said == here

    @standard()
    def test_rows_stay_in_their_order(self, engine: Engine) -> None:
        """Other rows, or the same rows in another order, give another file: nothing is sorted, joined or left out.

        Keep the order of the frame; polars keeps it unless told otherwise (``maintain_order``).
        """
        frame = self.make.frame(0, 30)
        columns = self.make.table().columns
        contents = {
            self.write(engine, Table("rows", rows.lazy(), columns)).content
            for rows in (frame, frame.reverse(), frame[1:].vstack(frame[:1]), frame.vstack(frame[:1]), frame[:-1])
        }
        assert len(contents) == 5

    @standard()
    def test_it_prints_nothing(self, engine: Engine, capfd: pytest.CaptureFixture[str]) -> None:
        """Nothing is printed while it writes and counts, and logging stays as it was: that is the host's.

        Say through ``call.note`` what people should know, and log to ``logging.getLogger(__name__)``.
        """
        handlers, level = list(logging.root.handlers), logging.root.level
        capfd.readouterr()
        written = self.write(engine, self.make.table(rows=500, nulls=True))
        self.count(engine, written)
        assert capfd.readouterr() == ("", "")
        assert (list(logging.root.handlers), logging.root.level) == (handlers, level)

    @standard()
    def test_it_leaves_nothing_behind(self, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it makes beside the output, it makes in the folder for temporary files, and removes, also when it fails.

        Use ``tempfile.TemporaryFile`` or a context manager.
        """
        scratch, here = tmp_path / "scratch", tmp_path / "here"
        for folder in (scratch, here):
            folder.mkdir()
        monkeypatch.setenv("TMPDIR", str(scratch))
        monkeypatch.setattr(tempfile, "tempdir", None)
        monkeypatch.chdir(here)
        written = self.write(engine, self.make.table(rows=2_000))
        self.count(engine, written)

        def fail(_number: int, size: int) -> None:
            if size > len(written.content) // 2:
                raise OSError

        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever becomes of the error on its way
            self.write(engine, self.make.table(rows=2_000), output=Output(fail))
        assert [str(path) for folder in (scratch, here) for path in folder.rglob("*")] == []

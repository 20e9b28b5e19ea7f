"""Standard tests of sources: large data, cancelling, deadlines, and memory."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tailrace import CancelledError, Context, DeadlineError, InterruptedExportError, Progress
from tailrace_sdk.conformance.apart import Ended, done_apart
from tailrace_sdk.conformance.sources.case import SOME
from tailrace_sdk.conformance.sources.exporting import ExportingCase
from tailrace_sdk.conformance.sources.opening import Opener
from tailrace_sdk.conformance.sources.placed import Placed
from tailrace_sdk.conformance.standard import standard

_SOON = 1.0
"""Seconds within which whoever cancels is heard."""
_TRIES = 3
"""How often a bound in seconds is tried: what a busy machine gives to nobody is not the source's fault."""


class ScaleTests(ExportingCase):
    """What a source does with much data."""

    @standard()
    @pytest.mark.parametrize("error", [CancelledError, DeadlineError])
    def test_an_export_that_is_to_stop_ends_within_a_second(
        self,
        make: Callable[[str], Path],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        error: type[InterruptedExportError],
    ) -> None:
        """An export that is cancelled, or past its deadline, ends within a second, and nothing is published.

        Call ``call.context.check()`` between batches, and while you wait for somebody; let through what it raises.
        """
        folder = make("data")
        placed = self.place(folder, range(self.large_rows))
        monkeypatch.chdir(folder)
        waited = []
        for number in range(_TRIES):
            stop, scratch = _Stop(), tmp_path / f"try-{number}"
            context = stop.context(error)
            with pytest.raises(error):
                self.exporting(scratch / "home").export(self.to_lines(placed, scratch / "out"), context=context)
            waited.append(time.monotonic() - stop.asked)
            assert not [path for path in (scratch / "out").glob("*") if path.is_file()], "something was published"
            if waited[-1] <= _SOON:
                break
        assert min(waited) <= _SOON, "seconds until it ended"

    @standard()
    def test_opening_that_is_to_stop_ends_within_a_second(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Cancelled while it is being opened, it ends within a second.

        Where opening reads much, call ``call.context.check()`` on the way.
        """
        folder = make("data")
        placed = self.place(folder, range(self.large_rows))
        opening = min(self._seconds_of_opening(opener, placed, folder, Context())[0] for _ in range(2))
        waited = []
        for _ in range(_TRIES):
            context, asked = Context(), [0.0]
            timer = threading.Timer(opening / 2, _cancel, [context, asked])
            timer.start()
            try:
                _seconds, ended = self._seconds_of_opening(opener, placed, folder, context)
            finally:
                timer.cancel()
                timer.join()
            waited.append(max(0.0, ended - asked[0]) if asked[0] else 0.0)
            if waited[-1] <= _SOON:
                break
        assert min(waited) <= _SOON, "seconds until it ended"

    @standard()
    def test_what_was_cancelled_before_is_not_read(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """With a context that is cancelled, or past its deadline, it says so or is done within a second.

        Call ``call.context.check()`` before each piece of work that takes long.
        """
        folder = make("data")
        placed = self.place(folder, range(self.large_rows))
        cancelled = Context()
        cancelled.cancel()
        for context in (cancelled, Context(timeout=0.0)):
            waited = min(self._seconds_of_reading(opener, placed, folder, context) for _ in range(_TRIES))
            assert waited <= _SOON

    @pytest.mark.tailrace_heavy
    @pytest.mark.timeout(1800)
    @standard(needs="streams")
    def test_huge_data_is_read_in_bounded_memory(self, make: Callable[[str], Path]) -> None:
        """Ten million rows are read in a few hundred megabytes, whatever their size on disk; none of them is lost.

        Yield batches as they are read, and keep none: ``polars.io.plugins.register_io_source``, or polars' own scans.
        """
        small, huge = make("small"), make("huge")
        few = self._read_apart(self.place(small, SOME), small)
        placed = self.place(huge, range(self.huge_rows))
        many = self._read_apart(placed, huge)
        rows = {name: expected for name, expected in placed.tables.items() if isinstance(expected, int)}
        assert rows, "place() gives numbers of rows for millions"
        assert {name: many.said["rows"][name] for name in rows} == rows
        grown = many.peak - few.peak
        assert grown <= self.memory, f"{grown >> 20} MiB more than for {len(SOME)} rows"

    @pytest.mark.tailrace_heavy
    @pytest.mark.timeout(1800)
    @standard(needs=("streams", "samples", "counts"))
    def test_an_estimate_does_not_read_everything(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Opening, counting and sampling take a small part of the time that reading everything takes.

        An estimate is asked for before each export. Sample from a few places rather than from all.
        """
        folder = make("huge")
        placed = self.place(folder, range(self.huge_rows))
        reading = self._seconds_of_reading(opener, placed, folder, Context())
        shares = []
        for _ in range(_TRIES):
            began = time.monotonic()
            with opener.opened(placed, folder) as dataset:
                for table in dataset.tables:
                    assert table.count_rows is None or table.count_rows()
                    assert table.sample is None or table.sample(1_000).height
            shares.append((time.monotonic() - began) / reading)
        assert min(shares) <= 0.5, "share of the time that reading everything takes"

    def _seconds_of_opening(
        self, opener: Opener, placed: Placed, folder: Path, context: Context
    ) -> tuple[float, float]:
        """How long opening takes, and when it ended."""
        began = time.monotonic()
        ended = began
        try:
            with opener.opened(placed, folder, context=context):
                ended = time.monotonic()
        except InterruptedExportError:
            ended = time.monotonic()
        return ended - began, ended

    def _seconds_of_reading(self, opener: Opener, placed: Placed, folder: Path, context: Context) -> float:
        began = time.monotonic()
        try:
            with opener.opened(placed, folder, context=context) as dataset:
                for table in dataset.tables:
                    for _batch in table.frame.collect_batches():
                        pass
        except InterruptedExportError:
            pass
        return time.monotonic() - began

    def _read_apart(self, placed: Placed, folder: Path) -> Ended:
        asked = {"location": placed.location, "options": dict(placed.options)}
        probe = "tailrace_sdk.conformance.sources.probes:read_in_batches"
        ended = done_apart(probe, self.named(), asked, str(folder), seconds=1500)
        assert ended.said is not None, ended.stderr
        return ended


class _Stop:
    """Has an export stop as soon as rows are written.

    Attributes:
        asked: When it was asked to, by ``time.monotonic()``.
    """

    def __init__(self) -> None:
        self.asked = 0.0
        self._late = False

    def context(self, error: type[InterruptedExportError]) -> Context:
        """What the export is to be made with; ``error`` is what it is to end with."""
        context = Context(self._told, interval=0.0, timeout=3600.0, clock=self._clock)
        self._ask = context.cancel if error is CancelledError else self._be_late
        return context

    def _told(self, progress: Progress) -> None:
        if progress.phase == "writing" and progress.rows and not self.asked:
            self.asked = time.monotonic()
            self._ask()

    def _be_late(self) -> None:
        self._late = True

    def _clock(self) -> float:
        return time.monotonic() + 7200.0 * self._late


def _cancel(context: Context, asked: list[float]) -> None:
    asked[0] = time.monotonic()
    context.cancel()

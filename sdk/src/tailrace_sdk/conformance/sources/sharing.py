"""Standard tests of sources: several readers, writers meanwhile, and what is left behind."""

import gc
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tailrace_sdk.conformance.sources.case import SOME, SourceCase
from tailrace_sdk.conformance.sources.opening import Opener, digest
from tailrace_sdk.conformance.sources.placed import Placed
from tailrace_sdk.conformance.standard import standard

_PATIENCE = 5.0
"""Seconds that threads may take to go away, on a machine that has other things to do."""


class SharingTests(SourceCase):
    """What a source does to its place, and beside others."""

    @standard(needs="snapshots")
    def test_what_is_written_meanwhile_is_not_seen(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """What is open stays as it was when it was opened, whoever writes to it; also what is read only afterwards.

        Read in one transaction; of files, note their sizes when they are opened, and read no further. Files that are
        replaced stay readable by the descriptor that was open before.
        """
        folder, other = make("data"), make("other")
        placed = self.place(folder, SOME)
        before = digest(opener.read(placed, folder))
        with opener.opened(placed, folder) as dataset:
            self.change(folder, placed)
            read = {table.name: table.frame.collect() for table in dataset.tables}
            assert digest(read) == before
            for table in dataset.tables:
                if table.count_rows is not None:
                    assert table.count_rows() == read[table.name].height, f"counted of table {table.name}"
            self.change(folder, placed)
            assert digest({table.name: table.frame.collect() for table in dataset.tables}) == before, "read again"
        self.change(folder, placed)
        assert digest(opener.read(placed, folder)) != before, "opened anew, it shows what it kept from before"
        # Or nothing would have been tried.
        same = self.place(other, SOME)
        self.change(other, same)
        assert digest(opener.read(same, other)) != before, "change() changes nothing that can be seen"

    @standard()
    def test_it_can_be_open_several_times_at_once(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Two exports of the same data run at once, and closing one does not close the other.

        Keep what is open in what the context manager holds, and never in the source or its module.
        """
        folder, other = make("data"), make("other")
        placed, fewer = self.place(folder, SOME), self.place(other, SOME[: len(SOME) // 2])
        expected, of_fewer = digest(opener.read(placed, folder)), digest(opener.read(fewer, other))
        with ExitStack() as first, ExitStack() as second:
            one = first.enter_context(opener.opened(placed, folder))
            two = second.enter_context(opener.opened(fewer, other))
            assert digest({table.name: table.frame.collect() for table in one.tables}) == expected
            first.close()
            assert digest({table.name: table.frame.collect() for table in two.tables}) == of_fewer
        with ThreadPoolExecutor(4) as threads:
            read = [threads.submit(opener.read, *what) for what in ((placed, folder), (fewer, other)) * 2]
            assert [digest(one.result()) for one in read] == [expected, of_fewer] * 2

    @standard()
    def test_nothing_is_written_to_what_it_reads(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """What it reads stays as it is, to the byte and the time of its last change; no file is left beside it.

        Open files for reading only; a database with ``mode=ro``. Put what has to be written into a temporary folder.
        """
        folder = make("data")
        placed = self.place(folder, SOME)
        before = _state(folder)
        opener.read(placed, folder)
        with opener.opened(placed, folder):
            pass
        assert _state(folder) == before

    @standard()
    def test_closing_gives_back_files_and_threads(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Once the context manager is left, no file is open any more and no thread runs, whatever was read.

        Close in ``finally``, or use an ``ExitStack``: also where nothing was read, only a part of it, or an error ended
        the reading. An export server would run out of them.
        """
        folder = make("data")
        placed = self.place(folder, SOME)
        # Pools of threads and caches of libraries stay, and are made at the first time.
        self._use(opener, placed, folder)
        threads, files = _threads(), _open_files()
        for _ in range(3):
            self._use(opener, placed, folder)
        end = time.monotonic() + _PATIENCE
        while (_threads() - threads or _open_files() - files) and time.monotonic() < end:
            gc.collect()
            time.sleep(0.01)
        assert _threads() - threads == set(), "threads that still run"
        assert _open_files() - files == Counter(), "files that are still open"

    def _use(self, opener: Opener, placed: Placed, folder: Path) -> None:
        """Read everything, nothing, and a little; and fail in between."""
        opener.read(placed, folder)
        with opener.opened(placed, folder):
            pass
        with opener.opened(placed, folder) as dataset:
            for table in dataset.tables:
                table.frame.head(1).collect()
        with pytest.raises(ZeroDivisionError), opener.opened(placed, folder):
            _ = 1 / 0


def _state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: when it was changed, in ns, and what is in it."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def _threads() -> set[threading.Thread]:
    """The threads that Python began; not those of polars, which stay, and call back from time to time."""
    return {thread for thread in threading.enumerate() if not thread.name.startswith("Dummy-")}


def _open_files() -> "Counter[str]":
    """What this process has open, and how often; by the kind of file where no more is known."""
    folder = Path("/proc/self/fd") if Path("/proc/self/fd").is_dir() else Path("/dev/fd")
    found: Counter[str] = Counter()
    for name in os.listdir(folder):  # noqa: PTH208 - iterdir() would count the descriptor that it reads by
        try:
            kind = os.fstat(int(name)).st_mode
        except OSError:
            continue
        link = folder / name
        found[os.readlink(link) if link.is_symlink() else oct(kind)] += 1  # noqa: PTH115 - whatever it leads to
    return found

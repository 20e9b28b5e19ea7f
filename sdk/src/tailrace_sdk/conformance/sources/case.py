"""What an author of a source says about it, and the data that he makes for its standard tests."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tailrace import Engine
from tailrace_sdk.conformance.plugin import PluginConformance
from tailrace_sdk.conformance.sources.opening import Opener, imported
from tailrace_sdk.conformance.sources.placed import Placed

SOME = range(240)
"""Numbers of the rows of most tests."""


class SourceCase(PluginConformance):
    """What :class:`SourceConformance` is told by a subclass.

    Data is made of numbered rows. Row *n* is the same whichever others are there, and rows come in the order of their
    numbers; where the source has times, row *n* is at :meth:`moment` ``(n)``. So the tests can tell what has to come
    out of any range and filter, without being told.

    Attributes:
        others: The sources that it is made of: what their entry points name, by name.
        partitioned_rows: Rows of data that splits into several parts.
        large_rows: Rows of data that takes a moment to read: half a second is enough.
        huge_rows: Rows of data by which it is seen that memory is bounded.
        memory: Bytes that reading huge data may take more than reading next to nothing.
    """

    kind: ClassVar[str] = "source"
    CAPABILITIES: ClassVar[Mapping[str, str]] = {
        "reads_files": "Locations are files.",
        "reads_folders": "Locations may be folders with files.",
        "texts": "The data has texts that come out as they are.",
        "nulls": "Such texts may be missing, which is not the same as empty.",
        "time_ranges": "Tables have columns of times, which ranges apply to.",
        "restricts": "It applies ranges and filters itself.",
        "partitioned": "It says how a request splits into parts.",
        "snapshots": "What is written while it is open is not seen.",
        "streams": "It reads huge data in bounded memory.",
        "counts": "Tables can be counted without reading them.",
        "samples": "Tables offer samples for estimates.",
        "leaves_out_bad_rows": "Told to, it leaves out rows that it cannot read, and counts them.",
        "has_secrets": "The data may hold user names and passwords, which it keeps out.",
        "references": "It puts ids in place of them in mode reference.",
        "seals": "It seals them in mode full.",
        "reports": "It offers a report beside its tables.",
        "examples": "It comes with examples of what it reads.",
        "composed": "It is made of other sources.",
    }
    reads_files: ClassVar[bool] = False
    reads_folders: ClassVar[bool] = False
    texts: ClassVar[bool] = False
    nulls: ClassVar[bool] = False
    time_ranges: ClassVar[bool] = False
    restricts: ClassVar[bool] = False
    partitioned: ClassVar[bool] = False
    snapshots: ClassVar[bool] = False
    streams: ClassVar[bool] = False
    counts: ClassVar[bool] = False
    samples: ClassVar[bool] = False
    leaves_out_bad_rows: ClassVar[bool] = False
    has_secrets: ClassVar[bool] = False
    references: ClassVar[bool] = False
    seals: ClassVar[bool] = False
    reports: ClassVar[bool] = False
    examples: ClassVar[bool] = False
    composed: ClassVar[bool] = False

    others: ClassVar[Mapping[str, str]] = {}
    partitioned_rows: ClassVar[int] = 1_000
    large_rows: ClassVar[int] = 200_000
    huge_rows: ClassVar[int] = 10_000_000
    memory: ClassVar[int] = 512 << 20

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        """Make data of the rows of these numbers, in this order, in an empty folder; perhaps of none, or of millions.

        Of millions, give the number of rows rather than a frame.
        """
        raise NotImplementedError

    def moment(self, number: int) -> datetime:
        """When row ``number`` is, UTC; always later than the row before."""
        return datetime(2029, 1, 1, tzinfo=UTC) + number * timedelta(seconds=1)

    def chosen(self, numbers: Sequence[int]) -> tuple[str, Sequence[int]]:
        """A filter, as for ``--where``, and which of these rows it keeps (``restricts``)."""
        raise NotImplementedError

    def place_texts(self, folder: Path, texts: Sequence[str | None]) -> Placed:
        """Make data that holds these texts, each as a value of its own, for the frames to show (``texts``).

        Where the place itself cannot hold one of them (a NUL in a CSV file), leave that one out.
        """
        raise NotImplementedError

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        """Make data that holds these secrets: each as a password, and wherever else secrets may be (``has_secrets``).

        That is: in columns of their own, in addresses (encoded as they are there), in texts of others that quote them.
        Of a source that splits, as many as ``partitioned_rows`` are asked for, the same ones again and again.
        """
        raise NotImplementedError

    def place_damaged(self, folder: Path, canary: str) -> Mapping[str, Placed]:
        """Make places with data that cannot be read, by what is wrong with them (``"cut off"``); each in full sight.

        Each holds ``canary`` where it is damaged, which no error may quote.
        """
        raise NotImplementedError

    def place_bad_rows(self, folder: Path, numbers: Sequence[int], bad: int) -> Placed:
        """As :meth:`place`, with so many rows among them that cannot be read, to be left out and counted."""
        raise NotImplementedError

    def change(self, folder: Path, placed: Placed) -> None:
        """Write to data while it may be open: change a row that is there, and add some (``snapshots``).

        Do it as other programs do. Where they would have to wait, it may be left undone.
        """
        raise NotImplementedError

    def missing(self, folder: Path) -> Placed:
        """A place where there is nothing."""
        return Placed("nothing-of-this-name", {})

    @pytest.fixture
    def opener(self, engine: Engine) -> Opener:
        """Opens the source."""
        return Opener(engine, self.name, self.options)

    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[str], Path]:
        """Makes an empty folder of a name."""

        def made(name: str) -> Path:
            folder = tmp_path / name
            folder.mkdir()
            return folder

        return made

    def make_engine(self, home: Path, *more: tuple[str, object], **host: Any) -> Engine:
        """As that of all plugins, with the sources that it is made of."""
        return super().make_engine(
            home, *((name, imported(target)) for name, target in self.others.items()), *more, **host
        )

    def named(self) -> tuple[str, str, Mapping[str, Any], Mapping[str, str]]:
        """What a process of its own needs to open the source."""
        return self.name, self.target, dict(self.options), dict(self.others)

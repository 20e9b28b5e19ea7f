"""What comes back: artifacts, receipts, results, estimates; and who asked."""

from datetime import datetime
from pathlib import Path

import attrs

from tailrace.model.manifest import Manifest


@attrs.frozen
class User:
    """Somebody who exports.

    Args:
        id: Name or number, unique in the host.
        is_admin: Whether the user may do what only admins may. Whoever embeds the engine says so each time anew: it is
            never remembered.
        address: Where the user asks from, such as an IP address, for the audit trail.
        agent: With what, such as ``"tailrace export"``.
    """

    id: str
    is_admin: bool = False
    address: str = ""
    agent: str = ""


@attrs.frozen
class Receipt:
    """A sink's word on one delivery.

    Args:
        sink: Name of the sink plugin.
        delivered: Whether the file arrived.
        place: Where it is now, in words or as a path; empty when it did not arrive.
        path: The file, when it is one on this machine.
        root: The folder that the file is kept below, when it is one on this machine: retention, which removes the file
            one day, never leaves it.
        error: Why it did not arrive; empty when it did.
        transient: Whether trying the same delivery again may help.
        recipient: Whom it is about, where the sink tells recipients apart; empty otherwise.
        note: What people should know although it arrived, such as that it went as a link; may be empty.
        retry_after: Seconds that the other side asks to wait before the next try; None where it does not say.
        unwanted: Whether the recipient wants nothing any more: nothing is sent there until somebody allows it again.
        keep: How many files of this kind stay in the folder of this one: the engine removes older ones by its rules of
            retention. 0 for all.
    """

    sink: str
    delivered: bool
    place: str = ""
    path: Path | None = None
    error: str = ""
    transient: bool = False
    root: Path | None = None
    recipient: str = ""
    note: str = ""
    retry_after: float | None = None
    unwanted: bool = False
    keep: int = 0


@attrs.frozen
class Artifact:
    """A finished, proven file and what became of it."""

    manifest: Manifest
    receipts: tuple[Receipt, ...]

    @property
    def path(self) -> Path | None:
        """The first place on this machine where the file lies."""
        return next((receipt.path for receipt in self.receipts if receipt.path), None)

    def _repr_html_(self) -> str:
        from tailrace.notebook import artifact_html

        return artifact_html(self)


@attrs.frozen
class Timings:
    """Where the time went, in seconds; ``syncing`` is waiting for the disk to have what was written."""

    opening: float
    writing: float
    syncing: float
    proving: float
    delivering: float


@attrs.frozen
class JobResult:
    """The outcome of one export.

    Args:
        export_id: Unique to this run.
        started: When it began, UTC.
        finished: When it ended, UTC.
        artifacts: The files, in the order of the tables.
        timings: Seconds by phase.
        notes: What people should know: what was recognised, decided, left out.
    """

    export_id: str
    started: datetime
    finished: datetime
    artifacts: tuple[Artifact, ...]
    timings: Timings
    notes: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every sink has every file."""
        return all(receipt.delivered for artifact in self.artifacts for receipt in artifact.receipts)

    def _repr_html_(self) -> str:
        from tailrace.notebook import result_html

        return result_html(self)


@attrs.frozen
class Fit:
    """Whether a file will fit a channel.

    Args:
        channel: What it is to fit: ``"Excel"``, ``"e-mail"``, ``"disk"``.
        fits: Whether it does; None where that cannot be said.
        text: One sentence that says so, with the figures.
    """

    channel: str
    fits: bool | None
    text: str


@attrs.frozen
class TableEstimate:
    """What one table will take.

    Args:
        table: Name of the table.
        rows: Rows expected after filters, range and limit.
        plain_bytes: Bytes expected before compression.
        bytes: Bytes expected on disk.
        exact_rows: Whether ``rows`` was counted rather than projected from a sample.
        columns: Columns that it will have; None where that was not written down.
    """

    table: str
    rows: int
    plain_bytes: int
    bytes: int
    exact_rows: bool
    columns: int | None = None


@attrs.frozen
class Learnt:
    """What earlier runs of a template taught about the size of the next one.

    Args:
        runs: How many runs it was learnt from.
        factor: What the bytes that the sample spoke for were multiplied by.
        error: How far off that was, as a share: 0.04 is 4 %. The estimate of each of these runs, corrected by what the
            runs before it taught, was off by no more in nine of ten; where there are fewer than ten to judge, in all.
    """

    runs: int
    factor: float
    error: float


@attrs.frozen
class Estimate:
    """What an export will take, from its row count and a sample.

    Args:
        tables: What each table will take.
        notes: What people should know.
        fits: Whether it will fit the channels that it may go through; empty where nobody asked.
        learnt: What earlier runs taught, by which the bytes of ``tables`` are corrected already.
        sampled_bytes: Bytes on disk of all tables before that correction; None where there was none.
    """

    tables: tuple[TableEstimate, ...]
    notes: tuple[str, ...] = ()
    fits: tuple[Fit, ...] = ()
    learnt: Learnt | None = None
    sampled_bytes: int | None = None

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def bytes(self) -> int:
        """Bytes on disk of all tables."""
        return sum(table.bytes for table in self.tables)

    @property
    def raw_bytes(self) -> int:
        """Bytes on disk of all tables as the sample spoke for them: what is learnt from, or it would feed on itself."""
        return self.bytes if self.sampled_bytes is None else self.sampled_bytes

    def _repr_html_(self) -> str:
        from tailrace.notebook import estimate_html

        return estimate_html(self)

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
        is_admin: Whether the user may do what only admins may.
    """

    id: str
    is_admin: bool = False


@attrs.frozen
class Receipt:
    """A sink's word on one delivery.

    Args:
        sink: Name of the sink plugin.
        delivered: Whether the file arrived.
        place: Where it is now, in words or as a path; empty when it did not arrive.
        path: The file, when it is one on this machine.
        error: Why it did not arrive; empty when it did.
        transient: Whether trying the same delivery again may help.
    """

    sink: str
    delivered: bool
    place: str = ""
    path: Path | None = None
    error: str = ""
    transient: bool = False


@attrs.frozen
class Artifact:
    """A finished, proven file and what became of it."""

    manifest: Manifest
    receipts: tuple[Receipt, ...]

    @property
    def path(self) -> Path | None:
        """The first place on this machine where the file lies."""
        return next((receipt.path for receipt in self.receipts if receipt.path), None)


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


@attrs.frozen
class TableEstimate:
    """What one table will take.

    Args:
        table: Name of the table.
        rows: Rows expected after filters, range and limit.
        plain_bytes: Bytes expected before compression.
        bytes: Bytes expected on disk.
        exact_rows: Whether ``rows`` was counted rather than projected from a sample.
    """

    table: str
    rows: int
    plain_bytes: int
    bytes: int
    exact_rows: bool


@attrs.frozen
class Estimate:
    """What an export will take, from its row count and a sample."""

    tables: tuple[TableEstimate, ...]
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def bytes(self) -> int:
        """Bytes on disk of all tables."""
        return sum(table.bytes for table in self.tables)

"""What a slot of a schedule asks of the attempt at its job: which part of the data, and whether it is worth sending.

An increment goes from where the one before ends to a moment that the slot fixes: so much before it as rows may come
late. Whoever makes it, whenever, and however often it is tried, it is of the same rows, until another increment was
recorded: that is what ``lengthen`` sees to, in the transaction in which the files are.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import attrs
import sqlalchemy as sa

from tailrace.model.errors import RequestError, TransientError
from tailrace.model.manifest import IncrementRecord, Manifest, PreviousFile
from tailrace.model.request import ExportRequest
from tailrace.model.schedule import ScheduleKind
from tailrace.pipeline.deliver import Made
from tailrace.pipeline.moments import moment_of, zone
from tailrace.store import schedules
from tailrace.store.schedules import JobSlot
from tailrace.vault.canonical import canonical_json
from tailrace.work.request_forms import whole_form

if TYPE_CHECKING:
    from tailrace.pipeline.job import Job

_UNTOLD = ("notify",)
"""What of a request makes no difference to what is sent."""


@attrs.define(eq=False)
class SlotTask:
    """What a slot asks.

    Args:
        found: The slot, and what its schedule knows.
        key: Under which data is told from other.
        request: What the job asks for, as its template says it.
        there: Whether what everybody has is still where it was put.
    """

    found: JobSlot
    key: bytes = attrs.field(repr=False)
    request: ExportRequest = attrs.field(repr=False)
    there: bool = True
    _increment: IncrementRecord | None = attrs.field(default=None, init=False)
    _digest: str | None = attrs.field(default=None, init=False)
    _unsent: bool = attrs.field(default=False, init=False)

    @property
    def is_drill(self) -> bool:
        """Whether a backup is to be tried rather than data exported."""
        return self.found.schedule.kind is ScheduleKind.DRILL

    @property
    def until(self) -> datetime | None:
        """Where the increment ends, exclusive, UTC; None where it is none."""
        rules = self.found.schedule.rules
        return self.found.slot.moment - timedelta(seconds=rules.lag) if rules.incremental else None

    def covered(self) -> str:
        """Why there is nothing to do, in a sentence; empty where there is."""
        known = self.found.chain.until
        if self.until is None or known is None or self.until > known:
            return ""
        return (
            f"Increment {self.found.chain.count} goes up to {_time(known)} already: there was nothing left to export."
        )

    def narrowed(self) -> ExportRequest:
        """The request for the part of the data that is this slot's.

        Raises:
            RequestError: Its template was changed so that increments would not add up any more.
        """
        if self.until is None:
            return self.request
        check_increments(self.request)
        known = self.found.chain.until
        if known is None and self.request.since is not None:
            # So much before the slot, and not before whenever somebody gets to it.
            local = zone(self.request.time_zone or "UTC")
            known = moment_of(self.request.since, now=self.found.slot.moment, local=local)
        since = None if known is None else known.isoformat()
        return attrs.evolve(self.request, since=since, until=self.until.isoformat())

    def marked(self, prepared: "Job") -> "Job":
        """The export with what its manifests say about the chain.

        Args:
            prepared: Made ready from :meth:`narrowed`.
        """
        window = prepared.selection.window
        if self.until is None or window is None:
            return prepared
        chain = self.found.chain
        self._increment = IncrementRecord(
            self.found.schedule.id, chain.count + 1, window.since, window.until, chain.files
        )
        return attrs.evolve(prepared, increment=self._increment)

    @property
    def compares(self) -> bool:
        """Whether data that is the same as before is not sent; what somebody asks for by hand is."""
        return self.found.schedule.rules.skip_unchanged

    def left_unsent(self, manifests: Sequence[Manifest], digest: str) -> str:
        """Why what is finished is not sent, in a sentence; empty where it is.

        Args:
            manifests: What is finished.
            digest: What tells its data from other.
        """
        asked = {name: value for name, value in whole_form(self.request).items() if name not in _UNTOLD}
        # Another address, format or filter makes it another thing to send. Requests hold passwords: hence the key.
        known = hashlib.blake2b(canonical_json(asked), key=self.key, digest_size=32, person=b"tailrace-same")
        known.update(bytes.fromhex(digest))
        self._digest = known.hexdigest()
        if self.found.slot.by_hand:
            return ""
        delivered = self.found.delivered
        if self._increment is not None and not any(table.rows.written for one in manifests for table in one.tables):
            self._unsent = True
            return "Nothing came since the increment before: it was not sent."
        same = delivered is not None and delivered.digest == self._digest and self.there
        if self._increment is None and delivered is not None and same:
            self._unsent = True
            return f"Nothing changed since what was delivered for {_time(delivered.moment)}: it was not sent."
        return ""

    def record(self, connection: sa.Connection, made: Made) -> None:
        """Record what became of the slot, with the files.

        Raises:
            TransientError: Another increment was recorded meanwhile.
        """
        note = made.result.notes[0] if made.result.notes and (self.is_drill or not made.result.artifacts) else ""
        schedules.note_data(connection, self.found.slot, self._digest, unchanged=self._unsent, note=note)
        if made.result.artifacts:
            # Some have it in a moment, and others perhaps never: until everybody has, nothing is known to be the same.
            schedules.lapse(connection, self.found.schedule.id)
        if self._increment is None or not made.result.artifacts:
            return
        manifests = [artifact.manifest for artifact in made.result.artifacts]
        files = [
            PreviousFile(one.file.name, one.file.sha256, tuple(table.name for table in one.tables)) for one in manifests
        ]
        number, until = self._increment.number, self._increment.until
        if not schedules.lengthen(connection, self.found.schedule.id, count=number, until=until, files=files):
            message = f"Another increment {number} was made meanwhile."
            raise TransientError(message, hint="It is tried again, from where that one ends.")


def check_increments(request: ExportRequest) -> None:
    """Return where the increments of a request add up to all of it.

    Raises:
        RequestError: They do not.
    """
    if request.until is not None:
        message = "Increments end where their slot says, and the template says another end (--until)."
        raise RequestError(message, hint="tailrace templates edit NAME --without until")
    if request.limit is not None:
        message = "The template keeps only so many rows (--limit): increments would not add up to all of them."
        raise RequestError(message, hint="tailrace templates edit NAME --without limit")


def of_removed(schedule: str) -> RequestError:
    """The error for a job whose schedule is gone: nobody knows any more which part of the data was its own."""
    message = f"The schedule {schedule} that asked for it was removed."
    return RequestError(message, hint="Export by its template: tailrace export --template NAME")


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"

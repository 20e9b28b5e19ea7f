"""One attempt at a job: it may make files, publish and end only while it holds the lease of its job.

The order in which things happen is what makes that safe, on this machine and against itself after a crash:

1. Whatever attempts before may have left is taken back (:func:`tailrace.files.attempts.revoke`): a process that was
   stopped past its lease, and continues, finds the name of its file gone.
2. Where files are going to be made is written down before they are.
3. Before anything is published, the store is asked whether this attempt still has the job. Should it lose it in the
   next moment, whoever gets it takes the names of its files away (1), and it can publish nothing any more.
4. What was published is recorded, under the same fence, while the file in the making is still there beside it. Only
   then its name is removed: as long as it has it, whoever comes later can tell what was published without being
   recorded, and takes it back.

What is recorded is *made*: whoever has the job after that only delivers it, see :mod:`tailrace.work.delivering`.
"""

import logging
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
import sqlalchemy as sa

from tailrace.files.attempts import revoke, settle_recorded
from tailrace.files.staging import FileTag
from tailrace.model.audit import AuditEntry
from tailrace.model.context import Context, Progress
from tailrace.model.convert import unstructure
from tailrace.model.delivery import DeliveryState, KeptFile, Standing
from tailrace.model.errors import CancelledError, TailraceError
from tailrace.model.job import JobResult, Receipt, User
from tailrace.model.manifest import Manifest
from tailrace.model.states import JobState
from tailrace.model.work import OutputFile, RetryPolicy
from tailrace.pipeline.deliver import Made
from tailrace.store import artifacts, audit, deliveries, jobs
from tailrace.store.database import Store
from tailrace.store.errors import StoreBusyError, StoreError
from tailrace.work import ledger
from tailrace.work.access import Operation
from tailrace.work.announcing import About
from tailrace.work.slot_task import SlotTask
from tailrace.work.telling import tell

log = logging.getLogger(__name__)
T = TypeVar("T")

_PATIENCE = 60.0
"""Seconds that an attempt, whose work is done, waits for a store that is away."""
_SHARES = {"reading": (0, 2), "writing": (2, 60), "proving": (60, 95), "delivering": (95, 99)}
"""Between which percentages each phase lies: what the phases of large exports take, measured."""


def uptime() -> float:
    """Seconds by a clock that goes on while the machine is suspended, where there is one: leases do as well."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def percentage(progress: Progress) -> int:
    """How far an export is, 0 to 99; it is complete when it is recorded as such."""
    low, high = _SHARES.get(progress.phase, (0, 0))
    if not progress.total_rows:
        return low
    return low + int((high - low) * min(1.0, progress.rows / progress.total_rows))


def progressed(progress: Progress) -> jobs.Progressed:
    """Progress as the store has it."""
    return jobs.Progressed(progress.phase, percentage(progress), progress.rows, progress.bytes, progress.total_rows)


@attrs.define(eq=False)
class Attempt:
    """What the pipeline asks while it carries out a job; safe to use from several threads.

    Args:
        store: Where the job is.
        claim: The job.
        lease: Seconds that it is held without being heard of.
        user: Who asked, for the audit trail.
        context: Progress, cancellation and deadline of this attempt.
        place: Where its files are; see :class:`tailrace.model.work.OutputFile`.
        inline: Whether whoever asked waits for it, and is told the outcome by its return.
        sinks: Names of the sinks that it delivers to, in the order of the request.
        redelivery: How often what is made is delivered when that fails for now.
        task: What the slot of its schedule asks; None where it has none.
    """

    store: Store
    claim: jobs.Claim
    lease: float
    user: User
    context: Context
    place: str
    inline: bool = False
    sinks: tuple[str, ...] = ()
    redelivery: RetryPolicy = attrs.field(factory=RetryPolicy)
    task: SlotTask | None = None
    latest: Progress | None = attrs.field(default=None, init=False)
    """How far it is."""
    lost: bool = attrs.field(default=False, init=False)
    """Whether somebody else has the job by now."""
    made: bool = attrs.field(default=False, init=False)
    """Whether its files are recorded: from then on, nothing is taken back."""
    settled: bool = attrs.field(default=False, init=False)
    """Whether its end is recorded already."""
    unknown: bool = attrs.field(default=False, init=False)
    """Whether it may have been recorded as completed, and nobody could tell."""
    died: bool = attrs.field(default=False, init=False)
    """Whether it had a process of its own that could not clean up behind itself."""
    closing: bool = attrs.field(default=False, init=False)
    """Whether its worker is about to end: what is under way is finished, and nothing more is begun to be delivered."""
    given_back: bool = attrs.field(default=False, init=False)
    """Whether it was stopped because the worker ends."""
    renewed: float = attrs.field(factory=uptime, init=False)
    """When its lease was renewed last, by :func:`uptime`."""
    settling: threading.Lock = attrs.field(factory=threading.Lock, init=False, repr=False)
    """Held while its end is recorded."""
    _folders: tuple[Path, ...] = attrs.field(default=(), init=False)

    @property
    def tag(self) -> FileTag:
        """What its files are called, while they are made."""
        return FileTag(self.claim.id, self.claim.fence)

    def observe(self, progress: Progress) -> None:
        """Take note of progress."""
        self.latest = progress

    def clear_away(self) -> None:
        """Take back what attempts before this one may have left.

        Raises:
            StorageError: It cannot be.
        """
        if self.claim.leftovers:
            recorded = recorded_files(self.store, self.claim.id)
            for folder in self.claim.leftovers:
                settle_recorded(folder, self.claim.id, recorded)
                revoke(folder, self.claim.id, below=self.claim.fence)

    def begin(self, folders: Sequence[Path]) -> str:
        """Begin to make files.

        Args:
            folders: Where.

        Returns:
            The newest hash of the audit trail.

        Raises:
            LeaseLostError: Somebody else has the job.
        """
        self._folders = tuple(dict.fromkeys(folders))
        return patiently(self._noted, self.context.check)

    def _noted(self) -> str:
        with self.store.writing() as connection:
            jobs.note_folders(connection, self.claim.id, self.claim.fence, self._folders)
            return audit.newest(connection)

    @property
    def compares_by(self) -> bytes | None:
        """The key under which data is told from other; None where it makes no difference whether it is the same."""
        return self.task.key if self.task is not None and self.task.compares else None

    def left_unsent(self, manifests: Sequence[Manifest], digest: str) -> str:
        """Why what is finished is not sent; empty where it is."""
        return "" if self.task is None else self.task.left_unsent(manifests, digest)

    def may_deliver(self) -> None:
        """Return while what is finished may be published.

        Raises:
            LeaseLostError: Somebody else has the job.
            CancelledError: Somebody asked it to stop.
        """
        wanted = patiently(self._is_wanted, self.context.check)
        if not wanted:
            raise CancelledError("It was cancelled.", hint="Nothing was published. Start it again.")

    def _is_wanted(self) -> bool:
        with self.store.reading() as connection:
            return jobs.may_deliver(connection, self.claim.id, self.claim.fence)

    def commit(self, made: Made) -> None:
        """Record what was published, and who is to have it.

        Raises:
            LeaseLostError: Somebody else has the job; what was published has to be taken back.
            StoreBusyError: The store is away for longer than is waited for.
        """
        try:
            patiently(lambda: self._commit(made), lambda: None)
        except (StoreBusyError, StoreError):
            # It may have been recorded, and only the answer was lost. Where that cannot be found out now, nothing is
            # taken back: whoever deals with the job next can.
            self.unknown = True
            with self.store.reading() as connection:
                if self._was_recorded(connection):
                    return
            self.unknown = False
            raise

    def _commit(self, made: Made) -> None:
        claim = self.claim
        with self.store.writing() as connection:
            now = self.store.now(connection)
            if self._was_recorded(connection):
                return
            result = made.result
            summary = {"notes": list(result.notes)}
            files = list(_outputs(claim.id, self.place, made, now))
            entered = [ledger.entered(one, self.sinks[one.destination], self.redelivery, now) for one in made.handovers]
            kept = [KeptFile(number, unstructure(one.manifest), one.fields) for number, one in enumerate(made.parcels)]
            deliveries.enter(connection, claim.id, kept, entered, now=now)
            standing = Standing.of((one.state, one.due) for one in entered)
            state = ledger.state_of(standing)
            where: dict[str, Any] = {"result": summary, "files": files, "place": self.place}
            if self.task is not None:
                self.task.record(connection, made)
            if state is JobState.PENDING:
                jobs.made(connection, claim.id, claim.fence, **where)
            else:
                jobs.complete(connection, claim.id, claim.fence, now=now, state=state, **where)
                words = words_of(standing, _all_rows(result)) if made.parcels else f"was not needed. {result.notes[0]}"
                tell(connection, claim, state, words, now=now, waited_for=self.inline)
            given_up = [one for one in entered if one.state is DeliveryState.FAILED]
            failures = [
                delivery_entry(claim, self.user, f"{one.sink}:{one.recipient}".rstrip(":"), one.error)
                for one in given_up
            ]
            audit.append_all(connection, [*failures, self._entry(result)], now=now)
        # Not before it is certain.
        self.made, self.settled = True, state is not JobState.PENDING

    def _was_recorded(self, connection: sa.Connection) -> bool:
        """Whether it was recorded already, and only the answer was lost."""
        if not jobs.made_under(connection, self.claim.id, self.claim.fence):
            return False
        found = jobs.get(connection, self.claim.id)
        self.made = True
        self.settled = found is None or found.state is not JobState.PROCESSING
        return True

    def take_back(self) -> None:
        """Take back what this attempt published without getting to record it; never raises."""
        if not self.unknown:
            take_back(self.store, self._folders, self.claim.id, below=self.claim.fence + 1)

    def _entry(self, result: JobResult) -> AuditEntry:
        manifests = [artifact.manifest for artifact in result.artifacts]
        span = next((manifest.time_range for manifest in manifests if manifest.time_range), None)
        return AuditEntry(
            user=self.user.id,
            operation=Operation.EXPORT.value,
            outcome="ok",
            job=self.claim.id,
            source=self.claim.source,
            format=self.claim.format,
            since=None if span is None else span.since,
            until=None if span is None else span.until,
            rows=sum(map(rows_of, manifests)),
            size=sum(manifest.file.size for manifest in manifests),
            file=", ".join(str(artifact.path or artifact.manifest.file.name) for artifact in result.artifacts),
            parameters={"sha256": [manifest.file.sha256 for manifest in manifests], "complete": result.complete},
            address=self.user.address,
            agent=self.user.agent,
        )


def recorded_files(store: Store, job: str) -> tuple[Path, ...]:
    """The files of a job that are written down, and that nobody takes back."""
    with store.reading() as connection:
        return tuple(file.path for file in artifacts.of_job(connection, job) if file.removed is None)


def take_back(store: Store, folders: Iterable[Path], job: str, *, below: int) -> None:
    """Take back what attempts at a job left in folders; never raises: the next attempt, or a worker, does it again.

    Args:
        store: Says what of it is written down by now, and stays.
        folders: The folders.
        job: The job's id.
        below: The attempts with a lower fence are meant.
    """
    for folder in folders:
        try:
            settle_recorded(folder, job, recorded_files(store, job))
            revoke(folder, job, below=below)
        except TailraceError as error:
            log.warning("what job %s left in %s is not taken back yet: %s", job, folder, error.message)


DELIVERY: Final = "delivery"
"""What the audit trail calls a delivery that arrived, or was given up."""


def delivery_entry(job: About, user: User, addressee: str, error: str, **more: Any) -> AuditEntry:
    """The entry of a delivery in the audit trail.

    Args:
        job: Whose file it is.
        user: For whom.
        addressee: Sink and recipient.
        error: Why it was given up; empty where it arrived.
        more: What else is known of it: see :class:`~tailrace.model.audit.AuditEntry`.
    """
    return AuditEntry(
        user=user.id,
        operation=DELIVERY,
        outcome="failed" if error else "ok",
        job=job.id,
        thing=addressee,
        source=job.source,
        format=job.format,
        error=error,
        address=user.address,
        agent=user.agent,
        **more,
    )


def words_of(standing: Standing, rows: int) -> str:
    """What is told about a job that has come to its end with files; see :func:`tailrace.work.telling.tell`."""
    ready = f"is ready: {rows:,} rows."
    if not standing.failed:
        return ready
    missing = f"{standing.failed} of {standing.total}"
    return f"{ready} It could not be delivered everywhere: {missing} did not arrive."


def _all_rows(result: JobResult) -> int:
    return sum(rows_of(artifact.manifest) for artifact in result.artifacts)


def rows_of(manifest: Manifest) -> int:
    """Rows of all tables in a file."""
    return sum(table.rows.written for table in manifest.tables)


def _outputs(job: str, place: str, made: Made, now: datetime) -> Iterable[OutputFile]:
    manifests = [artifact.manifest for artifact in made.result.artifacts]
    for number, manifest in enumerate(manifests):
        receipts = [one.receipt for one in made.handovers if one.file == number and one.receipt is not None]
        own = [receipt for receipt in made.kept if receipt.path == made.parcels[number].path]
        yield from outputs(job, place, number, manifest, [*receipts, *own], now)


def outputs(
    job: str, place: str, number: int, manifest: Manifest, receipts: Iterable[Receipt], now: datetime
) -> Iterable[OutputFile]:
    """The files on this machine that receipts tell of.

    Args:
        job: The job.
        place: Where this machine is; see :class:`tailrace.model.work.OutputFile`.
        number: Which of the job's files it is, from 0.
        manifest: What the files are.
        receipts: What sinks said.
        now: What time it is.
    """
    for receipt in receipts:
        if not receipt.delivered or receipt.path is None:
            continue
        yield OutputFile(
            id=str(uuid.uuid4()),
            job=job,
            sink=receipt.sink,
            place=place,
            path=receipt.path,
            root=receipt.root or receipt.path.parent,
            size=manifest.file.size,
            sha256=manifest.file.sha256,
            rows=rows_of(manifest),
            created=now,
            file=number,
        )


def patiently(do: Callable[[], T], between: Callable[[], None]) -> T:
    """Do something in the store, again and again while it is away.

    Args:
        do: What; it may be done twice.
        between: Called between two tries; what it raises ends them.

    Raises:
        StoreBusyError: It is away for longer than is waited for.
    """
    began, delay = time.monotonic(), 0.05
    while True:
        try:
            return do()
        except StoreBusyError:
            if time.monotonic() - began > _PATIENCE:
                raise
            log.info("the store is away; trying again")
        between()
        time.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
        delay = min(2.0, 2 * delay)

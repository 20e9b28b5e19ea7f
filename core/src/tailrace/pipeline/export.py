"""One export from end to end: open, write, prove, deliver."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC
from pathlib import Path
from typing import Protocol

import attrs

from tailrace.files.attempts import revoke, settle
from tailrace.files.staging import FileTag, staged_file, sweep
from tailrace.files.storage import storage_error, storage_errors
from tailrace.model.context import Context
from tailrace.model.convert import unstructure
from tailrace.model.dataset import Dataset, Table
from tailrace.model.delivery import delivery_name
from tailrace.model.errors import (
    IncompleteError,
    NoSpaceError,
    PermanentError,
    PluginContractError,
    StorageError,
    TailraceError,
    TransientError,
)
from tailrace.model.job import Artifact, Estimate, JobResult, Receipt, Timings
from tailrace.model.manifest import Manifest, RedactionRecord, RowCounts
from tailrace.pipeline.buffers import small_buffers
from tailrace.pipeline.deliver import Handover, Made, deliver, failed, finish, keep, not_yet, recipients_of
from tailrace.pipeline.described import report_for
from tailrace.pipeline.encode import Encoded, Encoder, into_descriptor
from tailrace.pipeline.foreign import REPORT_IT, foreign_errors, undisclosed
from tailrace.pipeline.job import Job
from tailrace.pipeline.record import manifest_of
from tailrace.pipeline.redaction import RedactionProof
from tailrace.pipeline.reread import Reread
from tailrace.pipeline.sameness import data_digest
from tailrace.pipeline.transform import counted
from tailrace.plugins.kinds import Container, OutgoingTable, RereadCall, SearchCall, WriteCall
from tailrace.plugins.sinks import Parcel
from tailrace.vault.search import Watch

log = logging.getLogger(__name__)

_PHASES = ("opening", "writing", "syncing", "proving", "delivering")


@attrs.frozen
class Draft:
    """A file that is written but not yet proven.

    Args:
        name: What stands for ``{source}`` in its name.
        path: Where it lies, under a temporary name.
        tables: The tables in it, as the source gave them.
        outgoing: The same, as the format got them.
        written: Rows the format got, by table.
        encoded: Sizes and checksums of what was written.
        notes: What the format had to say.
    """

    name: str
    path: Path
    tables: tuple[Table, ...]
    outgoing: tuple[OutgoingTable, ...]
    written: Mapping[str, int]
    encoded: Encoded
    notes: tuple[str, ...]


@attrs.frozen
class Proven(Draft):
    """A file that was read back and is complete.

    Args:
        counts: The proof, by table.
        digests: SHA-256 of the plain bytes and of the bytes in the file.
        redaction: What it was searched for.
    """

    counts: Mapping[str, RowCounts]
    digests: tuple[str, str]
    redaction: RedactionRecord | None


class Guard(Protocol):
    """Who is asked on the way whether the export may go on: whoever remembers it, and may have given it to another."""

    @property
    def tag(self) -> FileTag:
        """What its files are called, while they are made."""
        ...

    def clear_away(self) -> None:
        """Take back what attempts before this one left, so that nothing of it is in the way."""
        ...

    def begin(self, folders: Sequence[Path]) -> str:
        """Take note of where files are going to be made; gives the newest hash of the audit trail."""
        ...

    @property
    def compares_by(self) -> bytes | None:
        """The key under which data is told from other, where that may be a reason not to send it; None otherwise."""
        ...

    def left_unsent(self, manifests: Sequence[Manifest], digest: str) -> str:
        """Why what is finished is not sent, in a sentence; empty where it is. Asked where it compares.

        Args:
            manifests: What is finished.
            digest: What tells its data from other.
        """
        ...

    def may_deliver(self) -> None:
        """Return while what is finished may be published."""
        ...

    def commit(self, made: Made) -> None:
        """Record what was published, while the files in the making are still there to tell."""
        ...

    def take_back(self) -> None:
        """Take back what was published and could not be recorded; never raises."""
        ...


def run(
    job: Job,
    *,
    context: Context,
    scratch: Path,
    outbox: Path | None = None,
    estimate: Estimate | None = None,
    guard: Guard | None = None,
) -> Made:
    """Carry out an export.

    Either every file is written, proven complete and handed to the sinks, or nothing is published.
    What one sink fails to deliver does not keep the others from it: see the receipts.

    Args:
        job: What to do.
        context: Progress, cancellation, deadline.
        scratch: Folder for files in the making, where no sink offers one.
        outbox: Folder in which files are kept that are delivered afterwards; None to deliver everything at once.
        estimate: What it will probably take; refused early when the disk has less.
        guard: Whom to ask before files are made, published and forgotten about; None to ask nobody.

    Raises:
        TailraceError: Nothing was published.
    """
    if guard is not None:
        guard.clear_away()
    # Each gets the chance to refuse its target before anything is read.
    offered = [job.offered_folder(number) for number in range(len(job.destinations))]
    recipients = [recipients_of(job, number) for number in range(len(job.destinations))]
    later = set() if outbox is None else {number for number, place in enumerate(offered) if place is None}
    folder = next((folder for folder in offered if folder is not None), outbox if later and outbox else scratch)
    _prepare(folder, estimate)
    clock = _Clock()
    with ExitStack() as stack:
        places = [folder, *(other for other in offered if other is not None), *([outbox] if outbox else [])]
        folders = list(dict.fromkeys(places))
        tag, audit = stack.enter_context(_guarded(guard, folders))
        stack.enter_context(small_buffers())
        dataset = stack.enter_context(_opened(job, guard, context))
        job = job.reading(dataset)
        notes = [*dataset.notes, *job.selection.check(dataset.tables)]
        clock.lap("opening")
        drafts = []
        for name, tables in job.files(dataset.tables):
            descriptor, path = stack.enter_context(staged_file(folder, tag=tag))
            drafts.append(_write(job, dataset, name, tables, descriptor, path, context, estimate))
            clock.lap("writing")
            with storage_errors(folder):
                os.fsync(descriptor)
            clock.lap("syncing")
        redaction = RedactionProof.of(job, dataset)
        finished = [_prove(job, draft, redaction, context) for draft in drafts]
        manifests = _described(job, dataset, finished, notes, redaction, audit)
        unsent = _unsent(job, guard, finished, manifests)
        clock.lap("proving")
        context.phase("delivering")
        if guard is not None:
            guard.may_deliver()
        if guard is not None and unsent:
            made = nothing_made(job, [unsent, *notes], clock.laps)
            guard.commit(made)
            return made
        parcels = [
            Parcel(proven.path, manifest, job.fields(proven.name, proven.tables))
            for proven, manifest in zip(finished, manifests, strict=True)
        ]
        handovers = _hand_over(job, parcels, recipients, later, context)
        kept = _kept(parcels, handovers, outbox)
        clock.lap("delivering")
        result = JobResult(
            export_id=job.export_id,
            started=job.now,
            finished=job.host.clock().astimezone(UTC),
            artifacts=_artifacts(job, manifests, handovers),
            timings=Timings(**clock.laps),
            notes=tuple(dict.fromkeys([*notes, *(note for proven in finished for note in proven.notes)])),
        )
        made = Made(result, tuple(_lasting(parcels, handovers, kept)), tuple(handovers), tuple(kept.values()))
        if guard is not None:
            _take_back_undelivered(guard.tag, folders, made)
            guard.commit(made)
    if tag is not None:
        _forget(tag, _places(folders, result))
    _finish(job, made, context)
    return made


def _opened(job: Job, guard: Guard | None, context: Context) -> AbstractContextManager[Dataset]:
    """Open the source; what is sealed on the way is taken note of, where its data is going to be compared."""
    if guard is not None and guard.compares_by is not None and job.vault is not None:
        job.vault.take_note(guard.compares_by)
    return job.open(context)


def _described(
    job: Job,
    dataset: Dataset,
    finished: Iterable[Proven],
    notes: Sequence[str],
    redaction: RedactionProof | None,
    audit: str | None,
) -> list[Manifest]:
    """The manifests of what is finished, searched like the files."""
    manifests = [manifest_of(job, dataset, proven, notes, audit=audit) for proven in finished]
    if redaction is not None:
        for manifest in manifests:
            redaction.check_manifest(manifest)
    return manifests


def _unsent(job: Job, guard: Guard | None, finished: Sequence[Proven], manifests: Sequence[Manifest]) -> str:
    """Why what is finished is not sent; empty where it is."""
    if guard is None or guard.compares_by is None:
        return ""
    return guard.left_unsent(manifests, data_digest(job, finished))


def nothing_made(job: Job, notes: Iterable[str], laps: Mapping[str, float] | None = None) -> Made:
    """The outcome of an export that has nothing to send.

    Args:
        job: The export.
        notes: Why, and what else people should know.
        laps: Seconds by phase.
    """
    timings = Timings(**(laps or dict.fromkeys(_PHASES, 0.0)))
    result = JobResult(
        job.export_id, job.now, job.host.clock().astimezone(UTC), (), timings, tuple(dict.fromkeys(notes))
    )
    return Made(result, (), ())


def _finish(job: Job, made: Made, context: Context) -> None:
    """Let sinks do what they do once it is recorded that a file is in its place."""
    for one in made.handovers:
        if one.receipt is not None and one.receipt.delivered:
            finish(job, one.destination, made.parcels[one.file], one.receipt, context)


def _artifacts(job: Job, manifests: Sequence[Manifest], handovers: Iterable[Handover]) -> tuple[Artifact, ...]:
    receipts: list[list[Receipt]] = [[] for _ in manifests]
    for one in handovers:
        sink = job.destinations[one.destination].plugin.name
        receipts[one.file].append(one.receipt or not_yet(sink, one.recipient))
    return tuple(Artifact(manifest, tuple(own)) for manifest, own in zip(manifests, receipts, strict=True))


def _kept(parcels: Sequence[Parcel], handovers: Sequence[Handover], outbox: Path | None) -> dict[int, Receipt]:
    """Keep a copy of each file that is delivered later and that no sink put on this machine, by number."""
    waiting = {one.file for one in handovers if one.receipt is None or not one.receipt.delivered}
    there = {one.file for one in handovers if one.receipt is not None and one.receipt.path}
    kept = {}
    for number in sorted(waiting - there):
        if outbox is not None:
            with storage_errors(outbox):
                outbox.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept[number] = keep(parcels[number], outbox)
    return kept


def _lasting(parcels: Iterable[Parcel], handovers: Sequence[Handover], kept: Mapping[int, Receipt]) -> Iterator[Parcel]:
    """The files, where they stay."""
    for number, parcel in enumerate(parcels):
        receipts = [one.receipt for one in handovers if one.file == number and one.receipt is not None]
        paths = [receipt.path for receipt in (*receipts, *filter(None, [kept.get(number)])) if receipt.path]
        yield attrs.evolve(parcel, path=paths[0]) if paths else parcel


def _take_back_undelivered(tag: FileTag, folders: Iterable[Path], made: Made) -> None:
    """Take back what a sink published before it failed, where nothing else of the export is."""
    receipts = [one.receipt for one in made.handovers if one.receipt is not None]
    if all(receipt.delivered for receipt in receipts):
        return
    kept = {receipt.path.parent for receipt in (*receipts, *made.kept) if receipt.delivered and receipt.path}
    for folder in folders:
        if folder not in kept:
            revoke(folder, tag.job, below=tag.fence + 1)


def _forget(tag: FileTag, folders: Iterable[Path]) -> None:
    """Remove the names that files had while they were made, now that it is recorded what was published."""
    for folder in folders:
        try:
            settle(folder, tag)
        except StorageError as error:
            # A second name of a file that is in its place; a worker that starts removes it.
            log.warning("unfinished files are left: %s", error.message)


@contextmanager
def _guarded(guard: Guard | None, folders: Sequence[Path]) -> Iterator[tuple[FileTag | None, str | None]]:
    """Ask before files are made in these folders; what was published is taken back when something is raised."""
    if guard is None:
        yield None, None
        return
    audit = guard.begin(folders)
    try:
        yield guard.tag, audit
    except BaseException:
        guard.take_back()
        raise


def _places(folders: Iterable[Path], result: JobResult) -> list[Path]:
    """Folders in which something of an export is."""
    paths = [receipt.path for artifact in result.artifacts for receipt in artifact.receipts if receipt.path]
    return list(dict.fromkeys([*folders, *(path.parent for path in paths)]))


@attrs.define
class _Clock:
    laps: dict[str, float] = attrs.field(factory=lambda: dict.fromkeys(_PHASES, 0.0))
    _last: float = attrs.field(factory=time.perf_counter)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] += now - self._last
        self._last = now


def _prepare(folder: Path, estimate: Estimate | None) -> None:
    """Make the folder for files in the making ready: it is there, tidy, and large enough as far as is known."""
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    sweep(folder)
    if estimate is not None:
        _check_space(folder, estimate)


def _check_space(folder: Path, estimate: Estimate) -> None:
    free = shutil.disk_usage(folder).free
    if estimate.bytes > free:
        message = f"The export takes about {estimate.bytes:,} bytes, and {folder} has {free:,} free."
        raise NoSpaceError(message, hint="Free some space, or narrow the export (--columns, --since, --where).")


def _write(
    job: Job,
    dataset: Dataset,
    name: str,
    tables: tuple[Table, ...],
    descriptor: int,
    path: Path,
    context: Context,
    estimate: Estimate | None,
) -> Draft:
    expected = {table.table: table.rows for table in estimate.tables} if estimate else {}
    context.phase("writing", total_rows=sum(expected[table.name] for table in tables) if expected else None)
    tallies = {table.name: _Tally(context) for table in tables}
    outgoing = []
    for table in tables:
        frame, columns = job.selection.apply(table)
        outgoing.append(
            OutgoingTable(
                table.name,
                counted(frame, tallies[table.name].add),
                columns,
                job.selection.zone.key,
                job.selection.time_column(table),
            )
        )
    notes: list[str] = []
    vault = job.vault
    into = into_descriptor(descriptor)
    with Encoder(into, level=job.level, context=context, digest=vault is not None) as encoder:
        try:
            with foreign_errors("format", job.format.name, during_reading=job.source.name, private=dataset.private):
                call = WriteCall(
                    tuple(outgoing),
                    encoder,
                    job.format_options,
                    job.embedded(tables),
                    notes.append,
                    context,
                    None if vault is None else lambda: unstructure(vault.seal_content(encoder.plain_sha256)),
                    job.now,
                    report_for(job, dataset, tables, outgoing),
                    job.brand,
                    job.user.id,
                    job.selection.zone.key,
                )
                job.format.object.write(call)
            encoded = encoder.finish()
        except BaseException as error:
            original = _original(error, encoder, tallies.values(), path)
            if dataset.private:
                undisclosed(original)
                raise original from None
            if original is error:
                raise
            raise original from error
    context.check()
    written = {table: tally.rows for table, tally in tallies.items()}
    return Draft(name, path, tables, tuple(outgoing), written, encoded, tuple(dict.fromkeys(notes)))


@attrs.define
class _Tally:
    """Counts what passes, and stops the export where it must; remembers why, because polars may reword it."""

    context: Context
    rows: int = 0
    failure: BaseException | None = None
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def add(self, rows: int) -> None:
        try:
            self.context.advance(rows=rows)
        except BaseException as error:
            self.failure = error
            raise
        with self._lock:
            self.rows += rows


def _original(error: BaseException, encoder: Encoder, tallies: Iterable["_Tally"], path: Path) -> BaseException:
    """The error that started it, where polars or a format wrapped it in another."""
    if isinstance(encoder.failure, OSError):
        return storage_error(encoder.failure, path.parent)
    causes = (encoder.failure, *(tally.failure for tally in tallies))
    return next((cause for cause in causes if cause is not None), error)


def _prove(job: Job, draft: Draft, redaction: RedactionProof | None, context: Context) -> Proven:
    """Re-read the finished file and compare: rows of the source, rows written, rows in the file.

    Raises:
        LeakError: A secret is in the file.
        IncompleteError: They differ.
        IntegrityError: The file is not what was written.
    """
    context.phase("proving", total_rows=sum(draft.written.values()))
    names = [table.name for table in draft.outgoing]
    widths = {table.name: len(table.columns) for table in draft.outgoing}
    reread = Reread(draft.path, draft.encoded, context)
    watches = [] if redaction is None else [redaction.watch(reread.blocks())]
    blocks = iter(watches[0]) if watches else reread.blocks()
    with foreign_errors("format", job.format.name), storage_errors(draft.path.parent):
        call = RereadCall(blocks, job.format_options, names, thorough=False, columns=widths)
        found = dict(job.format.object.count_rows(call))
        if next(blocks, None) is not None or not reread.finished:
            message = f"Format {job.format.name} stopped counting before the end of the file."
            raise PluginContractError(job.format.name, message, hint=REPORT_IT)
    searched = None
    if redaction is not None:
        watches += _unpacked(job, draft, redaction, context)
        searched = redaction.settle(job.source.name, draft.tables, *watches)
    counts = {
        table.name: _counts(job, table, draft.written[table.name], found.get(table.name, -1)) for table in draft.tables
    }
    notes = (*draft.notes, *(_left_out(table) for table in draft.tables if table.bad_rows.count))
    draft = attrs.evolve(draft, notes=notes)
    return Proven(**attrs.asdict(draft, recurse=False), counts=counts, digests=reread.digests, redaction=searched)


def _unpacked(job: Job, draft: Draft, redaction: RedactionProof, context: Context) -> list[Watch]:
    """What is inside of a container, searched; nothing where the bytes of the file say it all."""
    container = job.format.object
    if not isinstance(container, Container):
        return []
    with foreign_errors("format", job.format.name), storage_errors(draft.path.parent):
        blocks = Reread(draft.path, draft.encoded, context).blocks()
        watch = redaction.watch(container.searchable(SearchCall(blocks, job.format_options)))
        watch.drain()
    return [watch]


def _left_out(table: Table) -> str:
    count, listed = table.bad_rows.count, len(table.bad_rows.examples)
    if count == 1:
        return f"1 row of table {table.name} could not be read and was left out; the manifest says which."
    which = "which" if listed == count else f"the first {listed}"
    return f"{count:,} rows of table {table.name} could not be read and were left out; the manifest says {which}."


def _counts(job: Job, table: Table, written: int, reread: int) -> RowCounts:
    with foreign_errors("source", job.source.name):
        source = table.count_rows() if table.count_rows is not None else None
    if source is not None and not isinstance(source, int):
        message = f"Source {job.source.name} counts {type(source).__name__} instead of rows."
        raise PluginContractError(job.source.name, message, hint=REPORT_IT)
    rejected = table.bad_rows.count
    complete = written == reread
    if source is not None:
        readable = source - rejected
        complete = complete and (written <= readable if job.selection.narrows(table) else written == readable)
    if not complete:
        told = "" if source is None else f"{source} in the source, {rejected} of them unreadable, "
        message = f"Table {table.name} is not complete: {told}{written} written, {reread} in the file."
        raise IncompleteError(message, hint="The file was thrown away. Please report this, with the source's version.")
    return RowCounts(source, rejected, written, reread)


def _hand_over(
    job: Job,
    parcels: Sequence[Parcel],
    recipients: Sequence[Sequence[str]],
    later: Collection[int],
    context: Context,
) -> list[Handover]:
    """Deliver every file at every destination but those whose turn comes later.

    Raises:
        TailraceError: Nobody got anything, and nobody gets anything later.
    """
    handovers: list[Handover] = []
    failures: list[TailraceError] = []
    for file, parcel in enumerate(parcels):
        # One sink's files of this export are not replaced by another's; what it delivers to several places is.
        there = frozenset(one.receipt.path for one in handovers if one.receipt and one.receipt.path)
        for number, destination in enumerate(job.destinations):
            names = recipients[number]
            if number in later:
                handovers += [Handover(file, number, name) for name in names]
                continue
            sink = destination.plugin.name
            called = delivery_name(job.export_id, file, number)
            try:
                receipts = deliver(job, number, parcel, context, recipients=names, name=called, delivered=there)
            except TailraceError as error:
                # With one sink and nothing delivered so far, there is nobody else to serve: its error is the export's.
                if len(job.destinations) == 1 and not file:
                    raise
                failures.append(error)
                log.warning("sink %s did not deliver %s: %s", sink, parcel.manifest.file.name, error.message)
                receipts = failed(sink, error, names)
            pairs = zip(names, receipts, strict=True)
            handovers += [Handover(file, number, name, receipt) for name, receipt in pairs]
    if not later and not any(one.receipt and one.receipt.delivered for one in handovers):
        raise _nothing_delivered(handovers, failures)
    return handovers


def _nothing_delivered(handovers: Iterable[Handover], failures: Sequence[TailraceError]) -> TailraceError:
    """Why nobody got anything; where one of them may work later, that is said, so that all are tried again."""
    transient = (error for error in failures if isinstance(error, TransientError))
    if error := next(transient, None) or next(iter(failures), None):
        return error
    receipts = [one.receipt for one in handovers if one.receipt is not None]
    told = next((receipt for receipt in receipts if receipt.transient), receipts[0])
    message = f"Sink {told.sink} did not deliver: {told.error or 'it does not say why'}"
    return (TransientError if told.transient else PermanentError)(message)

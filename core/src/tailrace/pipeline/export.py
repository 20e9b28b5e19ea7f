"""One export from end to end: open, write, prove, deliver."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import attrs

from tailrace.files.staging import staged_file, sweep
from tailrace.files.storage import storage_error, storage_errors
from tailrace.model.context import Context
from tailrace.model.convert import unstructure
from tailrace.model.dataset import Table
from tailrace.model.errors import (
    IncompleteError,
    NoSpaceError,
    PluginContractError,
    TailraceError,
    TransientError,
)
from tailrace.model.job import Artifact, Estimate, JobResult, Receipt, Timings
from tailrace.model.manifest import Manifest, RedactionRecord, RowCounts
from tailrace.pipeline.buffers import small_buffers
from tailrace.pipeline.encode import Encoded, Encoder, into_descriptor
from tailrace.pipeline.foreign import REPORT_IT, foreign_errors
from tailrace.pipeline.job import Job
from tailrace.pipeline.record import manifest_of
from tailrace.pipeline.redaction import RedactionProof
from tailrace.pipeline.reread import Reread
from tailrace.pipeline.transform import counted
from tailrace.plugins.kinds import (
    Container,
    DeliverCall,
    OutgoingTable,
    Parcel,
    RereadCall,
    SearchCall,
    StagingCall,
    WriteCall,
)
from tailrace.reading.userinfo import redacted
from tailrace.vault.search import Watch

log = logging.getLogger(__name__)


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


def run(job: Job, *, context: Context, scratch: Path, estimate: Estimate | None = None) -> JobResult:
    """Carry out an export.

    Either every file is written, proven complete and handed to the sinks, or nothing is published.
    What one sink fails to deliver does not keep the others from it: see the receipts.

    Args:
        job: What to do.
        context: Progress, cancellation, deadline.
        scratch: Folder for files in the making, where no sink offers one.
        estimate: What it will probably take; refused early when the disk has less.

    Raises:
        TailraceError: Nothing was published.
    """
    folder = _staging_folder(job, scratch)
    sweep(folder)
    if estimate is not None:
        _check_space(folder, estimate)
    clock = _Clock()
    with ExitStack() as stack:
        stack.enter_context(small_buffers())
        dataset = stack.enter_context(job.open(context))
        notes = [*dataset.notes, *job.selection.check(dataset.tables)]
        clock.lap("opening")
        drafts = []
        for name, tables in job.files(dataset.tables):
            descriptor, path = stack.enter_context(staged_file(folder))
            drafts.append(_write(job, name, tables, descriptor, path, context, estimate))
            clock.lap("writing")
            with storage_errors(folder):
                os.fsync(descriptor)
            clock.lap("syncing")
        redaction = RedactionProof.of(job, dataset)
        finished = [_prove(job, draft, redaction, context) for draft in drafts]
        manifests = [manifest_of(job, dataset, proven, notes) for proven in finished]
        if redaction is not None:
            for manifest in manifests:
                redaction.check_manifest(manifest)
        clock.lap("proving")
        context.phase("delivering")
        artifacts: list[Artifact] = []
        for proven, manifest in zip(finished, manifests, strict=True):
            artifacts.append(_deliver(job, proven, manifest, context, earlier=artifacts))
        clock.lap("delivering")
    return JobResult(
        export_id=job.export_id,
        started=job.now,
        finished=datetime.now(UTC),
        artifacts=tuple(artifacts),
        timings=Timings(**clock.laps),
        notes=tuple(dict.fromkeys([*notes, *(note for proven in finished for note in proven.notes)])),
    )


@attrs.define
class _Clock:
    laps: dict[str, float] = attrs.field(
        factory=lambda: dict.fromkeys(("opening", "writing", "syncing", "proving", "delivering"), 0.0)
    )
    _last: float = attrs.field(factory=time.perf_counter)

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] += now - self._last
        self._last = now


def _staging_folder(job: Job, scratch: Path) -> Path:
    """Where to make the files; every sink gets the chance to refuse its target before anything is read."""
    offered = []
    for destination in job.destinations:
        call = StagingCall(destination.target, destination.options, job.fields(job.source.name))
        name = destination.plugin.name
        with foreign_errors("sink", name):
            folder = destination.plugin.object.staging(call)
        if folder is not None and not isinstance(folder, Path):
            message = f"Sink {name} offers {type(folder).__name__} instead of a folder to make the file in."
            raise PluginContractError(name, message, hint=REPORT_IT)
        offered.append(folder)
    folder = next((folder for folder in offered if folder is not None), scratch)
    with storage_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _check_space(folder: Path, estimate: Estimate) -> None:
    free = shutil.disk_usage(folder).free
    if estimate.bytes > free:
        message = f"The export takes about {estimate.bytes:,} bytes, and {folder} has {free:,} free."
        raise NoSpaceError(message, hint="Free some space, or narrow the export (--columns, --since, --where).")


def _write(
    job: Job,
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
            with foreign_errors("format", job.format.name, during_reading=job.source.name):
                call = WriteCall(
                    tuple(outgoing),
                    encoder,
                    job.format_options,
                    job.embedded(tables),
                    notes.append,
                    context,
                    None if vault is None else lambda: unstructure(vault.seal_content(encoder.plain_sha256)),
                    job.now,
                )
                job.format.object.write(call)
            encoded = encoder.finish()
        except BaseException as error:
            original = _original(error, encoder, tallies.values(), path)
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


def _deliver(
    job: Job, proven: Proven, manifest: Manifest, context: Context, *, earlier: Sequence[Artifact]
) -> Artifact:
    receipts: list[Receipt] = []
    delivered = frozenset(receipt.path for artifact in earlier for receipt in artifact.receipts if receipt.path)
    for destination in job.destinations:
        name = destination.plugin.name
        call = DeliverCall(
            Parcel(proven.path, manifest, job.fields(proven.name)),
            destination.target,
            destination.options,
            context,
            delivered,
        )
        try:
            context.check()
            with foreign_errors("sink", name):
                receipt = destination.plugin.object.deliver(call)
                if not isinstance(receipt, Receipt):
                    message = f"Sink {name} returned {type(receipt).__name__} instead of a receipt."
                    raise PluginContractError(name, message, hint=REPORT_IT)
            # The sink's own words: an address to which it delivers may hold a password.
            place = receipt.place if receipt.path else redacted(receipt.place)
            receipt = attrs.evolve(receipt, place=place, error=redacted(receipt.error))
        except TailraceError as error:
            # With one sink and nothing delivered so far, there is nobody else to serve: its error is the export's.
            if len(job.destinations) == 1 and not earlier:
                raise
            log.warning("sink %s did not deliver %s: %s", name, manifest.file.name, error.message)
            receipt = Receipt(name, delivered=False, error=error.message, transient=isinstance(error, TransientError))
        receipts.append(receipt)
    return Artifact(manifest, tuple(receipts))

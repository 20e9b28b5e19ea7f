"""Delivering what is made: every row of the ledger whose turn it is, and what becomes of the job by that.

Each try ends in a row of the ledger before the job is let go; what died in between is tried again, under the same name,
so that the other side can tell. Tries of one export run side by side, and what they say is written down together as it
comes in: one transaction for whatever arrived meanwhile, and never more under way, or not written down, than so many.

A worker that was stopped past its lease and goes on must not send what another one sends by now. Before each try it is
asked whether the lease can have run out: by this machine's clock first, and only then in the store.
"""

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import attrs

from tailrace.files.attempts import settle
from tailrace.model.convert import structure
from tailrace.model.delivery import Delivery
from tailrace.model.errors import (
    CancelledError,
    DeadlineError,
    InterruptedExportError,
    PluginContractError,
    StorageError,
    TailraceError,
    TransientError,
)
from tailrace.model.job import Receipt
from tailrace.model.manifest import Manifest
from tailrace.pipeline.deliver import deliver, failed, finish, recipients_of, staged_again
from tailrace.pipeline.job import Job
from tailrace.plugins.sinks import Parcel
from tailrace.store import artifacts, deliveries
from tailrace.store.database import Store
from tailrace.work.attempt import Attempt, take_back, uptime
from tailrace.work.crew import Crew
from tailrace.work.keepsakes import whole_copy
from tailrace.work.recording import Recorder, Said, told

log = logging.getLogger(__name__)

_SURE = 0.5
"""Share of a lease during which nobody has to be asked whether it still holds."""


@attrs.frozen
class _Try:
    """Some recipients of one file at one destination, who get it in one try.

    Args:
        delivery: What the other side knows it by.
        file: Which file, from 0.
        destination: Which of the request's sinks, from 0.
        rows: A row of the ledger for each recipient.
    """

    delivery: str
    file: int
    destination: int
    rows: tuple[Delivery, ...]

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(row.recipient for row in self.rows)

    def said(self, receipts: Iterable[Receipt]) -> list[Said]:
        return list(zip(self.rows, receipts, strict=True))


def deliver_waiting(job: Job, attempt: Attempt, store: Store, *, parallel: int) -> dict[str, Receipt]:
    """Try each delivery of a job whose turn it is, once, and record how its job stands by that.

    Args:
        job: The export, made ready.
        attempt: Holds the job, whose files are made.
        store: Where the ledger is.
        parallel: Tries at a time.

    Returns:
        What the sinks said, by the id of the delivery.

    Raises:
        LeaseLostError: Somebody else has the job.
        InterruptedExportError: It was stopped; what was tried is recorded.
    """
    attempt.context.phase("delivering")
    run = _Run(job, attempt, store)
    run.plan()
    run.send(parallel)
    run.publish()
    run.recorder.end()
    return run.recorder.receipts


@attrs.define(eq=False)
class _Run:
    job: Job
    attempt: Attempt
    store: Store
    recorder: Recorder = attrs.field(init=False)
    _parcels: dict[int, Parcel | TailraceError] = attrs.field(factory=dict, init=False)
    """The files, or why there are none to deliver."""
    _unwanted: dict[str, str] = attrs.field(factory=dict, init=False)
    _to_send: list[_Try] = attrs.field(factory=list, init=False)
    _to_publish: list[tuple[_Try, Path]] = attrs.field(factory=list, init=False)
    _published: dict[int, set[Path]] = attrs.field(factory=dict, init=False)
    """Files of the job on this machine, by number."""
    _known: dict[int, frozenset[str]] = attrs.field(factory=dict, init=False)

    # What is to be done.

    def plan(self) -> None:
        """See which tries are to be made, and how; write down which cannot be."""
        claim = self.attempt.claim
        with self.store.reading() as connection:
            rows = deliveries.due(connection, claim.id, now=self.store.now(connection))
            kept = deliveries.files_of(connection, claim.id)
            there = [file for file in artifacts.of_job(connection, claim.id) if file.removed is None]
            self._unwanted = dict(told(connection))
        manifests = {
            number: structure(file.manifest, Manifest, what="The stored manifest") for number, file in kept.items()
        }
        self.recorder = Recorder(self.attempt, self.store, manifests)
        here = [file for file in there if file.place == self.attempt.place]
        for file in here:
            self._published.setdefault(file.file, set()).add(file.path)
        for number in sorted({row.file for row in rows}):
            copies = [file for file in here if file.file == number]
            try:
                # What this attempt made itself was read and proven a moment ago.
                prove = claim.made is not None
                path = whole_copy(manifests[number], copies, prove=prove, context=self.attempt.context)
                self._parcels[number] = Parcel(path, manifests[number], kept[number].fields)
            except InterruptedExportError:
                raise
            except TailraceError as error:
                self._parcels[number] = error
        self.recorder.record([pair for one in _tries(rows) for pair in self._planned(one)])

    def _planned(self, one: _Try) -> list[Said]:
        """Decide how a try is made; gives what can be said of it already."""
        said = [self._refused(row) for row in one.rows if row.addressee in self._unwanted]
        one = attrs.evolve(one, rows=tuple(row for row in one.rows if row.addressee not in self._unwanted))
        if not one.rows:
            return said
        try:
            parcel = self._parcels[one.file]
            if isinstance(parcel, TailraceError):
                raise parcel
            folder = self._offered(one)
        except TailraceError as error:
            return [*said, *one.said(failed(self._sink(one), error, one.recipients))]
        if folder is None:
            self._to_send.append(one)
        elif self.attempt.claim.made is not None:
            # Otherwise later: of the attempt that made the files, nothing is taken back any more.
            self._to_publish.append((one, folder))
        return said

    def _refused(self, row: Delivery) -> Said:
        error = self._unwanted[row.addressee]
        return row, Receipt(row.sink, delivered=False, error=error, recipient=row.recipient)

    def _offered(self, one: _Try) -> Path | None:
        """The folder that the sink offers; it may refuse its target, or not know its recipients any more."""
        if one.destination not in self._known:
            self._known[one.destination] = frozenset(recipients_of(self.job, one.destination))
        if missing := set(one.recipients) - self._known[one.destination]:
            message = f"Sink {self._sink(one)} does not know {', '.join(sorted(missing))} any more."
            hint = "Its settings, or the plugin, changed since: export again."
            raise PluginContractError(self._sink(one), message, hint=hint)
        return self.job.offered_folder(one.destination)

    def _sink(self, one: _Try) -> str:
        return self.job.destinations[one.destination].plugin.name

    # Sinks that offer no folder.

    def send(self, parallel: int) -> None:
        """Make the tries of sinks that offer no folder, several at a time where those on the other side take theirs."""
        crew = Crew(self._sent, self._to_send, parallel)
        stopped: BaseException | None = None
        with crew:
            while said := crew.said():
                stopped = stopped or next((one for one in said if isinstance(one, BaseException)), None)
                self.recorder.record([pair for one in said if isinstance(one, list) for pair in one])
                crew.recorded(len(said))
        if stopped is not None:
            raise stopped

    def _sent(self, one: _Try) -> list[Said]:
        self._make_sure()
        said = [self._refused(row) for row in one.rows if row.addressee in self._unwanted]
        one = attrs.evolve(one, rows=tuple(row for row in one.rows if row.addressee not in self._unwanted))
        parcel = self._parcels[one.file]
        if not one.rows or isinstance(parcel, TailraceError):
            return said
        receipts = self._tried(one, parcel)
        for row, receipt in one.said(receipts):
            if receipt.unwanted:
                # There may be other files for it.
                self._unwanted[row.addressee] = receipt.error
        return [*said, *one.said(receipts)]

    def _tried(self, one: _Try, parcel: Parcel, *, delivered: frozenset[Path] = frozenset()) -> tuple[Receipt, ...]:
        context = self.attempt.context.quiet()
        try:
            return deliver(
                self.job,
                one.destination,
                parcel,
                context,
                recipients=one.recipients,
                name=one.delivery,
                delivered=delivered,
            )
        except DeadlineError as error:
            # It counts as a try of this one; those that were not begun keep theirs.
            return failed(self._sink(one), TransientError(error.message), one.recipients)
        except InterruptedExportError:
            raise
        except TailraceError as error:
            log.info("sink %s did not deliver %s: %s", self._sink(one), parcel.manifest.file.name, error.message)
            return failed(self._sink(one), error, one.recipients)

    def _make_sure(self) -> None:
        """Return while this attempt has the job.

        Raises:
            LeaseLostError: It does not.
            InterruptedExportError: It is to stop.
        """
        self.attempt.context.check()
        if self.attempt.closing:
            self.attempt.given_back = True
            raise CancelledError("Its worker ends.", hint="Another one goes on.")
        if uptime() - self.attempt.renewed > self.attempt.lease * _SURE:
            self.attempt.may_deliver()

    # Sinks that offer one: what they publish is fenced like that of an export.

    def publish(self) -> None:
        """Make the tries of sinks that publish files on this machine."""
        if not self._to_publish:
            return
        self.attempt.begin([folder for _try, folder in self._to_publish])
        places = {folder for _try, folder in self._to_publish}
        try:
            with ExitStack() as stack:
                for one, folder in self._to_publish:
                    self._make_sure()
                    receipts = self._put(one, folder, stack)
                    self.recorder.record(one.said(receipts))
                    places |= {receipt.path.parent for receipt in receipts if receipt.path}
        except BaseException:
            self.attempt.take_back()
            raise
        for place in places:
            try:
                settle(place, self.attempt.tag)
            except StorageError as error:
                log.warning("unfinished files are left: %s", error.message)
        self._finish()

    def _put(self, one: _Try, folder: Path, stack: ExitStack) -> tuple[Receipt, ...]:
        parcel = self._parcels[one.file]
        if isinstance(parcel, TailraceError):
            return failed(self._sink(one), parcel, one.recipients)
        others = frozenset(path for number, paths in self._published.items() if number != one.file for path in paths)
        try:
            path = stack.enter_context(staged_again(parcel, folder, self.attempt.tag))
        except TailraceError as error:
            return failed(self._sink(one), error, one.recipients)
        self.attempt.may_deliver()
        receipts = self._tried(one, attrs.evolve(parcel, path=path), delivered=others)
        self._published.setdefault(one.file, set()).update(receipt.path for receipt in receipts if receipt.path)
        if not any(receipt.delivered for receipt in receipts):
            # It may have published before it failed.
            claim = self.attempt.claim
            take_back(self.store, [folder], claim.id, below=claim.fence + 1)
        return receipts

    def _finish(self) -> None:
        for one, _folder in self._to_publish:
            for row in one.rows:
                receipt, parcel = self.recorder.receipts.get(row.id), self._parcels[one.file]
                if receipt is not None and receipt.delivered and isinstance(parcel, Parcel):
                    finish(self.job, one.destination, parcel, receipt, self.attempt.context)


def _tries(rows: Iterable[Delivery]) -> list[_Try]:
    """Deliveries that are made in one try: one file, one destination, one name."""
    grouped: dict[tuple[int, int, str], list[Delivery]] = {}
    for row in rows:
        grouped.setdefault((row.file, row.destination, row.name), []).append(row)
    return [_Try(name, file, number, tuple(own)) for (file, number, name), own in grouped.items()]

"""Carrying out exports: those of this process's own, and those that were claimed by a worker."""

import logging
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import sqlalchemy as sa

from tailrace.model.context import Context
from tailrace.model.convert import structure, unstructure
from tailrace.model.delivery import Delivery, DeliveryState
from tailrace.model.errors import CancelledError, DeadlineError, LeaseLostError, TailraceError, UndeliveredError
from tailrace.model.job import Estimate, JobResult, Receipt, User
from tailrace.model.manifest import Manifest
from tailrace.model.request import ExportRequest
from tailrace.model.work import RetryPolicy
from tailrace.pipeline.deliver import OUTBOX, Made
from tailrace.pipeline.estimate import estimate
from tailrace.pipeline.export import nothing_made, run
from tailrace.plugins.catalogue import first_party_distribution
from tailrace.plugins.kinds import ExportEvent
from tailrace.settings import DeliverySettings, Settings
from tailrace.store import artifacts, deliveries, schedules
from tailrace.store.database import Store
from tailrace.store.jobs import Claim, held_claim, lost, own_claim
from tailrace.work.apart import run_attempt_apart
from tailrace.work.attempt import Attempt
from tailrace.work.delivering import deliver_waiting
from tailrace.work.desk import Desk
from tailrace.work.leases import LeaseKeeper
from tailrace.work.ledger import receipt_of
from tailrace.work.outcome import Outcome, next_delay, settle
from tailrace.work.preparation import Preparation
from tailrace.work.recovery import recover
from tailrace.work.retention import Retention
from tailrace.work.runner import Order
from tailrace.work.slot_task import SlotTask, of_removed
from tailrace.work.watching import Watch

if TYPE_CHECKING:
    from tailrace.pipeline.job import Job

log = logging.getLogger(__name__)

_WORKER = "tailrace worker"

Tell = Callable[[ExportEvent], None]
"""Lets observers know; raises nothing."""


@attrs.frozen(slots=False)
class Carrier:
    """Carries out exports that are made ready.

    Args:
        settings: The engine's.
        store: Where jobs are.
        desk: Gives out requests.
        preparation: Makes them ready.
        tell: Lets observers know.
        is_plain: Says whether another process can have the same engine: everything that it has comes from its settings.
        place: Where the files are that it makes; see :class:`tailrace.model.work.OutputFile`.
        retention: Removes files that newer ones take the place of, where a sink says so.
        order: What the jobs of a schedule are to do by now, by its id.
    """

    settings: Settings
    store: Store
    desk: Desk
    preparation: Preparation
    tell: Tell = attrs.field(repr=False)
    is_plain: Callable[[], bool] = attrs.field(repr=False)
    place: str
    retention: Retention
    order: Callable[[str], ExportRequest] = attrs.field(repr=False)
    # Made with it, rather than when first needed: two threads would get two of each.
    _leases: LeaseKeeper = attrs.field(init=False, repr=False, eq=False)
    _id: str = attrs.field(init=False, repr=False, eq=False, factory=lambda: str(uuid.uuid4()))
    """As the holder of what it carries out itself."""

    @_leases.default
    def _keeper(self) -> LeaseKeeper:
        return LeaseKeeper(self.store, self.settings.jobs.lease)

    def rest(self) -> None:
        """Wait until nothing looks at the store any more; called when nothing is carried out."""
        self._leases.rest()

    @property
    def scratch(self) -> Path:
        """The folder for files in the making, where no sink offers one."""
        return self.settings.home / "staging"

    def at_once(
        self,
        prepared: "Job",
        context: Context,
        *,
        estimate: Estimate | None = None,
        template: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> JobResult:
        """Carry out an export as a job of this process's own.

        Args:
            prepared: The export.
            context: Progress, cancellation and deadline.
            estimate: What it will probably take.
            template: Name of the template that it was made from.
            retry: How often to try when it fails for now; once by default.
        """
        # Where no worker runs, nobody else finds out what became of an export that was killed.
        recover(self.store, most_losses=self.settings.jobs.most_losses)
        retry = retry or RetryPolicy(attempts=1)
        job = self.desk.enter(
            prepared,
            template=template,
            timeout=context.timeout,
            retry=retry,
            estimate=estimate,
            holder=self._id,
            lease=self.settings.jobs.lease,
        )
        attempt = self._attempt(own_claim(job, retry), prepared.user, context, inline=True)
        watch = self._watched(attempt)
        with self._leases.holding(attempt):
            return self._tried(prepared, attempt, estimate, watch)

    def here(self, attempt: Attempt) -> Outcome:
        """Carry out a claimed attempt in this thread."""
        claim, watch = attempt.claim, self._watched(attempt)
        try:
            # Before anything else: what a dead attempt left must not stay because this one cannot even begin.
            attempt.clear_away()
            request = self.desk.request_of(claim) or self._ordered(claim)
            if claim.made is not None:
                attempt.made = True
                with self.store.reading() as connection:
                    kept = deliveries.files_of(connection, claim.id)
                began = structure(kept[0].manifest, Manifest, what="The stored manifest").created
                prepared = self.preparation.delivering(request, attempt.user, claim.id, claim.folder, began)
                self._deliver(prepared, attempt)
                return Outcome(completed=True)
            ready = self._made_ready(request, attempt)
            if ready is None:
                return Outcome(completed=True)
            self._run(ready, attempt, partial(self._expected, ready, attempt), watch)
        except BaseException as error:
            if claim.made is None and not watch.ended:
                watch.failed(error)
            log.debug("attempt %d at job %s failed", claim.fence, claim.id, exc_info=True)
            return Outcome.of(error)
        return Outcome(completed=True)

    def _expected(self, ready: "Job", attempt: Attempt) -> Estimate | None:
        """What a claimed export will probably take; None where only reading all of it could tell."""
        claim = attempt.claim
        if claim.estimate is not None:
            return structure(claim.estimate, Estimate, what="The stored estimate")
        if claim.needs is not None:
            # The application would be asked for its data twice.
            return None
        return estimate(ready, context=attempt.context.quiet(), exact=False)

    def _made_ready(self, request: ExportRequest, attempt: Attempt) -> "Job | None":
        """A claimed export, ready to be carried out, as its slot asks where a schedule did; None where that is done.

        Raises:
            TailraceError: It cannot be, or its schedule was removed.
        """
        claim = attempt.claim
        ready = partial(self.preparation.ready, user=attempt.user, export_id=claim.id, folder=claim.folder)
        if claim.slot is None:
            return ready(request)
        with self.store.reading() as connection:
            found = _slot(connection, claim)
            there = self._is_there(connection, found.delivered)
        task = attempt.task = SlotTask(found, self.desk.sealer.key, request, there)
        if task.is_drill:
            return ready(request, registry=self.preparation.inner_registry())
        if covered := task.covered():
            prepared = ready(request)
            attempt.begin(())
            attempt.commit(nothing_made(prepared, [covered]))
            return None
        return task.marked(ready(task.narrowed()))

    def _is_there(self, connection: sa.Connection, delivered: schedules.Delivered | None) -> bool:
        """Whether the files that everybody has are where they were put, as far as can be seen from here."""
        if delivered is None or delivered.job is None:
            return False
        files = [file for file in artifacts.of_job(connection, delivered.job) if file.sink != OUTBOX]
        return all(file.removed is None and (file.place != self.place or file.path.exists()) for file in files)

    def _ordered(self, claim: Claim) -> ExportRequest:
        """The request of a job that had none when it was entered, as its schedule and its template say it by now.

        Raises:
            TailraceError: They cannot say it now either.
        """
        with self.store.reading() as connection:
            found = _slot(connection, claim)
        return self.order(found.schedule.id)

    def apart(self, attempt: Attempt) -> Outcome:
        """Carry out a claimed attempt in a process of its own."""
        limits = self.settings.jobs
        order = Order(
            settings=unstructure(self.settings),
            job=attempt.claim.id,
            fence=attempt.claim.fence,
            lease=limits.lease,
            memory=limits.memory or None,
        )
        return run_attempt_apart(attempt, order)

    def ordered(self, order: Order, context: Context) -> Outcome:
        """Carry out an attempt that a worker in another process claimed.

        Args:
            order: The attempt.
            context: Progress and cancellation.
        """
        with self.store.reading() as connection:
            claim = held_claim(connection, order.job, order.fence)
        if claim is None:
            return Outcome.of(lost(order.job))
        return self.here(self._attempt(claim, User(claim.creator, agent=_WORKER), context))

    def isolated(self, attempt: Attempt) -> bool:
        """Whether a claimed attempt takes a process of its own."""
        mode, is_plain = self.settings.jobs.isolate, self.is_plain()
        if mode != "auto" or not is_plain:
            return mode == "always" and is_plain
        request = self.desk.request_of(attempt.claim)
        return attempt.claim.losses > 0 or request is None or not self._is_trusted(request)

    def _is_trusted(self, request: ExportRequest) -> bool:
        """Whether only plugins of ours take part, and none that may run wild; others are not even imported here."""
        names = {
            ("source", request.source),
            ("format", request.format),
            *(("sink", sink.name) for sink in request.sinks),
        }
        registry = self.preparation.registry
        taking_part = [entry for entry in registry.entries() if (entry.kind, entry.name) in names and not entry.reason]
        if any(first_party_distribution(entry.kind, entry.name) != entry.distribution for entry in taking_part):
            return False
        return not getattr(registry.format(request.format).object, "may_run_wild", False)

    def claimed(self, claim: Claim) -> Attempt:
        """An attempt at a job that a worker claimed."""
        return self._attempt(claim, User(claim.creator, agent=_WORKER), Context(timeout=claim.timeout or None))

    def _attempt(self, claim: Claim, user: User, context: Context, *, inline: bool = False) -> Attempt:
        attempt = Attempt(
            store=self.store,
            claim=claim,
            lease=self.settings.jobs.lease,
            user=user,
            context=context,
            place=self.place,
            inline=inline,
            redelivery=redelivery(self.settings.delivery),
        )
        attempt.context = context.observed(attempt.observe)
        return attempt

    def _watched(self, attempt: Attempt) -> Watch:
        """Lets observers see an attempt from now on."""
        watch = Watch(self.tell, self.preparation.host.clock, attempt.claim)
        attempt.context = attempt.context.observed(watch.progress)
        return watch

    def _tried(self, prepared: "Job", attempt: Attempt, estimate: Estimate | None, watch: Watch) -> JobResult:
        """Carry out an attempt of this process's own: again, when it fails for now, as often as its policy says."""
        failed = 0
        while True:
            try:
                return self._run(prepared, attempt, lambda: estimate, watch)
            except BaseException as error:
                failed += 1
                outcome = Outcome.of(error)
                delay = next_delay(attempt.claim.retry, failed, outcome.error)
                # What is made is not made again: what could not be delivered now, a worker delivers.
                if delay is None or attempt.context.cancelled or attempt.made:
                    settle(attempt, outcome, most_losses=1)
                    raise
                log.warning("It failed for now: %s Trying again in %.1f seconds.", outcome.message, delay)
                try:
                    attempt.context.sleep(delay)
                except TailraceError as stopped:
                    settle(attempt, Outcome.of(stopped), most_losses=1)
                    raise stopped from error

    def _run(
        self, prepared: "Job", attempt: Attempt, expected: Callable[[], Estimate | None], watch: Watch
    ) -> JobResult:
        """Carry out an attempt, and let observers know."""
        watch.started()
        attempt.sinks = tuple(destination.plugin.name for destination in prepared.destinations)
        try:
            made = run(
                prepared,
                context=attempt.context,
                scratch=self.scratch,
                outbox=self.settings.home / OUTBOX,
                estimate=expected(),
                guard=attempt,
            )
            result = self._delivered(prepared, attempt, made)
            receipts = [receipt for artifact in made.result.artifacts for receipt in artifact.receipts]
            self._thin_out(attempt, receipts)
        except BaseException as error:
            watch.failed(error)
            if attempt.made and isinstance(error, CancelledError | DeadlineError):
                hint = f"The file is kept: tailrace jobs deliveries {attempt.claim.id}"
                what = "was cancelled" if isinstance(error, CancelledError) else "took longer than it may"
                raise type(error)(f"It {what} while it was being delivered.", hint=hint) from error
            if attempt.lost and not isinstance(error, LeaseLostError):
                # It was stopped for that reason, and only knows that it was.
                raise lost(attempt.claim.id) from error
            raise
        watch.finished(result)
        return result

    def _delivered(self, prepared: "Job", attempt: Attempt, made: Made) -> JobResult:
        """Deliver what waits for it, and tell what came of it.

        Raises:
            TailraceError: Nobody got anything, and nothing is tried again.
        """
        if attempt.settled:
            return made.result
        said = self._deliver(prepared, attempt)
        with self.store.reading() as connection:
            rows = deliveries.of_job(connection, attempt.claim.id)
        if attempt.inline and all(row.state is DeliveryState.FAILED for row in rows):
            raise _nobody_has_it(rows[0])
        before = {(one.file, one.destination, one.recipient): one.receipt for one in made.handovers}
        receipts: list[list[Receipt]] = [[] for _ in made.result.artifacts]
        for row in rows:
            known = said.get(row.id) or before[row.file, row.destination, row.recipient]
            receipts[row.file].append(receipt_of(row, known))
        pairs = zip(made.result.artifacts, receipts, strict=True)
        artifacts = tuple(attrs.evolve(artifact, receipts=tuple(own)) for artifact, own in pairs)
        return attrs.evolve(made.result, artifacts=artifacts, finished=prepared.host.clock().astimezone(UTC))

    def _deliver(self, prepared: "Job", attempt: Attempt) -> dict[str, Receipt]:
        said = deliver_waiting(prepared, attempt, self.store, parallel=self.settings.delivery.parallel)
        self._thin_out(attempt, said.values())
        return said

    def _thin_out(self, attempt: Attempt, receipts: Iterable[Receipt]) -> None:
        """Remove older files where a sink keeps only the newest; that it fails keeps nothing from being delivered."""
        for receipt in receipts:
            if receipt.delivered and receipt.keep and receipt.path is not None:
                try:
                    self.retention.keep_newest(attempt.claim.id, receipt.path.parent, receipt.keep, attempt.user)
                except TailraceError as error:
                    log.warning("older files in %s stay: %s", receipt.path.parent, error.message)


def _slot(connection: sa.Connection, claim: Claim) -> schedules.JobSlot:
    found = schedules.slot_of(connection, claim.id)
    if found is None:
        raise of_removed(claim.schedule or "")
    return found


def _nobody_has_it(row: Delivery) -> TailraceError:
    message = f"It could not be delivered by {row.sink}: {row.error}"
    hint = f"The file is kept. When the cause is gone: tailrace jobs resend {row.job} --failed"
    return UndeliveredError(message, export_id=row.job, hint=hint)


def redelivery(settings: DeliverySettings) -> RetryPolicy:
    """How often what is made is delivered when that fails for now."""
    return RetryPolicy(settings.attempts, settings.first_delay, settings.longest_delay, settings.jitter)

"""Entering the jobs of slots that are due: one for each, whoever looks at the clock, and however often.

Any number of workers do this on one store. What makes it once is in one transaction: the schedule is locked as it was
seen, the slot gets its only row, the job is entered, and the schedule notes up to where it is dealt with. Whoever dies
before that transaction ends has done nothing; whoever comes second finds another schedule than the one it saw. Clocks
may go back: a schedule's slots count from the last one that was dealt with, and not from now.
"""

import hashlib
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import attrs
import sqlalchemy as sa

from tailrace.model.audit import AuditEntry
from tailrace.model.errors import NotAllowedError, RequestError, TailraceError
from tailrace.model.request import ExportRequest
from tailrace.model.schedule import Misfire, Overlap, Schedule, SlotRecord, SlotState
from tailrace.model.states import JobState
from tailrace.model.timing import Due, Slot
from tailrace.model.work import ExportJob, RetryPolicy
from tailrace.settings import ScheduleSettings
from tailrace.store import audit, jobs, schedules
from tailrace.store.database import Store
from tailrace.store.errors import StoreBusyError
from tailrace.store.schedules import DueSchedule
from tailrace.vault.requests import RequestSealer
from tailrace.work.access import Operation
from tailrace.work.request_forms import from_whole_form
from tailrace.work.slot_orders import Order, order_of
from tailrace.work.slot_rules import MOST_AT_ONCE, Predecessor, Step, decide
from tailrace.work.slots import due_between, slot_name, slots_after
from tailrace.work.telling import tell

log = logging.getLogger(__name__)

MISSED = "schedule.missed"
"""As which the audit trail has slots that nobody was there for."""
SKIPPED = "schedule.skipped"
"""As which it has slots that came while the job before was still being made."""

_AGENT = "tailrace worker"
_TOGETHER = 100
"""Schedules that are dealt with in one transaction."""
_SOON = 0.1
"""Seconds after which those are looked at again that somebody else had."""


@attrs.frozen
class Turn:
    """What a look at the clock came to.

    Args:
        entered: How many jobs were entered.
        following: Seconds until the next slot is due; None where none is known of.
    """

    entered: int
    following: float | None


_Plan: TypeAlias = tuple[Schedule, Due, Order]


@attrs.frozen
class _Entered:
    """What was made of plans.

    Args:
        entered: How many jobs were entered.
        left: How many schedules another transaction had at that moment, or stood otherwise than they were seen.
    """

    entered: int
    left: int


@attrs.frozen
class Firing:
    """Enters the jobs of schedules.

    Args:
        store: Where they are.
        sealer: Seals requests.
        for_background: A request fit for a worker, its keys as seen from a folder.
        settings: How schedules are kept to.
        retry: How often their jobs are tried.
        timeout: Seconds that an attempt at one may take; None for no limit.
    """

    store: Store
    sealer: Callable[[], RequestSealer] = attrs.field(repr=False)
    for_background: Callable[[ExportRequest, Path], ExportRequest] = attrs.field(repr=False)
    settings: ScheduleSettings
    retry: RetryPolicy
    timeout: float | None
    _lamented: dict[str, str] = attrs.field(factory=dict, init=False, repr=False, eq=False)

    def turn(self, *, upto: datetime | None = None) -> Turn:
        """Enter the jobs of all slots that are due.

        Args:
            upto: Only of those that were due by then; by now where it is not given.

        Raises:
            StoreBusyError: The store is away; nothing is lost.
        """
        entered, left, began, behind = 0, 0, upto, None
        # Before the store is read: who makes it writes into it, and would wait for this transaction.
        sealer = self.sealer()
        while True:
            with self.store.reading() as connection:
                # All of one moment: else it might never come to an end.
                began = began or self.store.now(connection)
                found = schedules.due(connection, now=began, limit=_TOGETHER, behind=behind)
                orders = [order_of(connection, one, sealer, self.for_background) for one in found]
            for portion in _portions(self._plans(found, orders, began)):
                done = self._entered(portion)
                entered, left = entered + done.entered, left + done.left
            if len(found) < _TOGETHER or found[-1].schedule.next is None:
                break
            # Those that wait for their jobs stay due: they must not keep those behind them from their turn.
            behind = found[-1].schedule.next, found[-1].schedule.id
        with self.store.reading() as connection:
            now = self.store.now(connection)
            # After the look, not after now: what came due in between was not seen.
            following = schedules.next_due(connection, after=began)
        # A schedule may wait for a job that has just ended elsewhere: nobody tells.
        wait = None if following is None else max(0.0, (following - now).total_seconds())
        if left:
            # Whoever had it may have dealt with something else of it than its slots.
            wait = _SOON if wait is None else min(wait, _SOON)
        return Turn(entered, wait)

    def by_hand(self, schedule: str) -> ExportJob:
        """Enter a job of a schedule now, whatever the clock says; its slots stay as they are.

        Args:
            schedule: Its id.

        Raises:
            TailraceError: It can have none.
        """
        due, order = self._ordered(schedule)
        with self.store.writing() as connection:
            if schedules.get(connection, schedule, lock=True) is None:
                raise gone()
            now = self.store.now(connection)
            job, moment, trail = None, now, list[AuditEntry]()
            while job is None:
                # Not twice but for somebody else's of the very same microsecond.
                slot = Slot(moment, slot_name(moment, ZoneInfo(due.schedule.timing.zone)))
                step = Step(SlotState.ENTERED, slot, 1, moment)
                job = self._enter_job(connection, due.schedule, order, step, trail, now=now, by_hand=True)
                moment += timedelta(microseconds=1)
            audit.append_all(connection, trail, now=now)
        return job

    def request_of(self, schedule: str) -> ExportRequest:
        """What the jobs of a schedule are to do, as its template says by now.

        Args:
            schedule: Its id.

        Raises:
            TailraceError: It can have none.
        """
        _due, order = self._ordered(schedule)
        return from_whole_form(order.whole, "The request of the schedule")

    def _ordered(self, schedule: str) -> "tuple[DueSchedule, Order]":
        sealer = self.sealer()
        with self.store.reading() as connection:
            found = schedules.get(connection, schedule)
            if found is None:
                raise gone()
            due = DueSchedule(found.schedule, found.template, found.sealed)
            order = order_of(connection, due, sealer, self.for_background)
        if order.problem is not None:
            raise RequestError(order.problem.message, hint=order.problem.hint)
        return due, order

    def _due(self, schedule: Schedule, now: datetime) -> Due:
        # One more than are made up for, to stand for those that are given up.
        return due_between(schedule.timing, schedule.last, now, keep=self.settings.catch_up + 1)

    def _plans(self, found: Sequence[DueSchedule], orders: Sequence[Order], now: datetime) -> Iterator[_Plan]:
        for one, order in zip(found, orders, strict=True):
            try:
                due = self._due(one.schedule, now)
            except Exception as error:  # noqa: BLE001 - what is wrong with one must not keep the others from their turn
                self._lament(one.schedule, error)
            else:
                yield one.schedule, due, order

    def _entered(self, plans: Sequence[_Plan]) -> _Entered:
        """Enter what is due, where something is wrong with one of them without that one."""
        try:
            return self._enter(plans)
        except StoreBusyError:
            raise
        except Exception as error:  # noqa: BLE001 - as above, but which of them it is has to be found out
            log.debug("schedules are dealt with one by one: %s", type(error).__name__)
        entered, failed = [], []
        for plan in plans:
            try:
                entered.append(self._enter([plan]))
            except StoreBusyError:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                failed.append(error)
                self._lament(plan[0], error)
        if len(failed) == len(plans) > 1:
            # It is the store rather than each of them.
            raise failed[0]
        return _Entered(sum(one.entered for one in entered), sum(one.left for one in entered))

    def _enter(self, plans: Iterable[_Plan]) -> _Entered:
        entered, left, trail = 0, 0, list[AuditEntry]()
        with self.store.writing() as connection:
            now = self.store.now(connection)
            for schedule, due, order in plans:
                if not schedules.hold(connection, schedule):
                    left += 1
                    continue
                done = self._carry_out(connection, schedule, due, order, trail, now)
                entered, left = entered + done.entered, left + done.left
            if trail:
                # Last of all: whoever else has something for the trail waits from then on.
                audit.append_all(connection, trail, now=now)
        return _Entered(entered, left)

    def _lament(self, schedule: Schedule, error: Exception) -> None:
        """Log why a schedule cannot be dealt with here; once, though it is tried again and again."""
        said = error.message if isinstance(error, TailraceError) else type(error).__name__
        if self._lamented.get(schedule.id) != said:
            self._lamented[schedule.id] = said
            unexpected = None if isinstance(error, TailraceError) else error
            log.warning("schedule %s cannot be dealt with here: %s", schedule.label, said, exc_info=unexpected)

    def _carry_out(
        self,
        connection: sa.Connection,
        schedule: Schedule,
        due: Due,
        order: Order,
        trail: list[AuditEntry],
        now: datetime,
    ) -> _Entered:
        if not due.count:
            # Its time was changed by hand, or the rules of its zone.
            schedules.advance(connection, schedule.id, last=schedule.last, following=_next(schedule, schedule.last))
            return _Entered(0, 0)
        before = _predecessor(connection, schedule, now)
        decided = decide(schedule, due, before, now=now, settings=self.settings)
        if decided is None:
            return _Entered(0, 0)
        steps, last = decided
        entered = 0
        for step in steps:
            if step.state is not SlotState.ENTERED:
                self._leave_out(connection, schedule, order, step, trail, now)
                continue
            entered += self._enter_job(connection, schedule, order, step, trail, now=now) is not None
            if order.problem is not None and not schedules.is_enabled(connection, schedule.id):
                # It failed so often by now that it is paused: what would come next is none of those that fail.
                last = step.slot.moment
                break
        following = _next(schedule, last)
        schedules.advance(connection, schedule.id, last=last, following=following)
        # Those of one schedule that are many are entered in several transactions.
        more = entered == MOST_AT_ONCE and following is not None and following <= now
        return _Entered(entered, int(more))

    def _leave_out(
        self,
        connection: sa.Connection,
        schedule: Schedule,
        order: Order,
        step: Step,
        trail: list[AuditEntry],
        now: datetime,
    ) -> None:
        skipped = step.state is SlotState.SKIPPED
        note = f"Job {schedule.job} was still being made." if skipped else "Nobody was there to begin it in time."
        if not schedules.enter_slot(connection, _slot(schedule, step, now, note=note)):
            return
        log.warning("schedule %s: %d slot(s) up to %s %s", schedule.label, step.stands_for, step.slot.name, step.state)
        entry = AuditEntry(
            user=schedule.owner,
            operation=SKIPPED if skipped else MISSED,
            outcome="failed",
            thing=schedule.label,
            source=order.source,
            format=order.format,
            error=note,
            parameters={"slot": step.slot.name, "slots": step.stands_for},
            agent=_AGENT,
        )
        trail.append(entry)

    def _enter_job(
        self,
        connection: sa.Connection,
        schedule: Schedule,
        order: Order,
        step: Step,
        trail: list[AuditEntry],
        *,
        now: datetime,
        by_hand: bool = False,
    ) -> ExportJob | None:
        """Enter the job of a slot; None where the slot was dealt with before. What the trail is to have is added."""
        job = str(uuid.uuid4())
        if not schedules.enter_slot(connection, _slot(schedule, step, now, job=job, by_hand=by_hand)):
            return None
        schedules.note_job(connection, schedule.id, job)
        new = jobs.NewJob(
            id=job,
            creator=schedule.owner,
            source=order.source,
            format=order.format,
            template=order.template,
            request=order.shown,
            sealed=self.sealer().seal("job", job, order.whole),
            folder=str(schedule.folder),
            timeout=self.timeout,
            retry=self.retry,
            schedule=schedule.name,
            slot=step.slot.moment,
        )
        due = now if by_hand else max(now, step.slot.moment + _jitter(schedule, step.slot.moment))
        failed = order.problem is not None
        entered = jobs.enter(connection, new, now=now, due=due, holder=schedule.id if failed else None)
        entry = AuditEntry(
            user=schedule.owner,
            operation=Operation.JOB_SUBMIT.value,
            outcome="ok",
            job=job,
            thing=f"schedule {schedule.label}",
            source=order.source,
            format=order.format,
            parameters={"slot": step.slot.name, "stands_for": step.stands_for},
            agent=_AGENT,
        )
        trail.append(entry)
        if order.problem is not None:
            # It has a job all the same: admins are told of it, and it is in the history, as of any that failed.
            audit.append_all(connection, trail, now=now)
            trail.clear()
            jobs.end(connection, job, entered.fence, "failed", now=now, error=order.problem)
            tell(connection, entered, JobState.FAILED, f"failed: {order.problem.message}", now=now)
        return entered


def forget_history(store: Store, days: float) -> int:
    """Remove the slots of all schedules that are older than so many days; returns how many."""
    with store.writing() as connection:
        return schedules.forget(connection, before=store.now(connection) - timedelta(days=days))


def gone() -> NotAllowedError:
    """The error for a schedule that was removed this very moment."""
    return NotAllowedError("The schedule was removed this very moment.", hint="See: tailrace schedules list")


def _portions(plans: Iterable[_Plan]) -> Iterator[list[_Plan]]:
    """Plans in portions that are dealt with in one transaction: nobody waits long for it to end."""
    portion, weight = list[_Plan](), 0
    for plan in plans:
        schedule, due, _order = plan
        each = schedule.rules.misfire is Misfire.ALL and schedule.rules.overlap is Overlap.BESIDE
        own = min(due.count, MOST_AT_ONCE) if each else 1
        if portion and weight + own > MOST_AT_ONCE:
            yield portion
            portion, weight = [], 0
        portion.append(plan)
        weight += own
    if portion:
        yield portion


def _predecessor(connection: sa.Connection, schedule: Schedule, now: datetime) -> Predecessor:
    # Also one that is older than the newest: somebody may have asked for that by hand.
    if schedules.unmade(connection, schedule.id):
        return Predecessor(making=True)
    newest = None if schedule.job is None else jobs.get(connection, schedule.job)
    if newest is None:
        return Predecessor()
    if newest.state.is_final or newest.made is None:
        return Predecessor(ended=newest.finished)
    # It is only delivered: what counts is when it was made.
    return Predecessor(ended=jobs.ended(connection, newest.id, newest.made) or now)


def _next(schedule: Schedule, after: datetime) -> datetime | None:
    return next((slot.moment for slot in slots_after(schedule.timing, after)), None)


def _jitter(schedule: Schedule, moment: datetime) -> timedelta:
    """By how much the job of a slot begins later: the same whoever asks, and spread evenly."""
    chosen = hashlib.blake2b(f"{schedule.id} {moment.isoformat()}".encode(), digest_size=8).digest()
    return timedelta(seconds=schedule.rules.jitter * int.from_bytes(chosen, "big") / 2**64)


def _slot(
    schedule: Schedule,
    step: Step,
    now: datetime,
    *,
    job: str | None = None,
    by_hand: bool = False,
    note: str = "",
) -> SlotRecord:
    return SlotRecord(
        schedule=schedule.id,
        moment=step.slot.moment,
        name=step.slot.name,
        by_hand=by_hand,
        state=step.state,
        stands_for=step.stands_for,
        first=step.first,
        seen=now,
        job=job,
        note=note,
    )

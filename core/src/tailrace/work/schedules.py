"""Schedules: what users do with them. What the clock does with them is in :mod:`tailrace.work.firing`."""

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import sqlalchemy as sa

from tailrace.model.audit import AuditEntry
from tailrace.model.convert import unstructure
from tailrace.model.errors import NotAllowedError, RequestError, TransientError, UnknownNameError
from tailrace.model.job import User
from tailrace.model.notify import Notify
from tailrace.model.request import ExportRequest, SinkRequest
from tailrace.model.schedule import Schedule, ScheduleDraft, ScheduleKind, ScheduleRules, SlotRecord
from tailrace.model.timing import Slot, Timing
from tailrace.model.work import ExportJob, ExportTemplate
from tailrace.store import audit, jobs, schedules, users
from tailrace.store.database import Store
from tailrace.store.messages import MAIL
from tailrace.store.schedules import NewSchedule
from tailrace.vault.requests import RequestSealer
from tailrace.work.access import Access, Operation
from tailrace.work.firing import Firing, gone
from tailrace.work.names import check_name, read_name
from tailrace.work.request_forms import shown_form, whole_form
from tailrace.work.slot_orders import SEALED_FOR
from tailrace.work.slot_task import check_increments
from tailrace.work.slots import read_timing, slots_after
from tailrace.work.telling import ALARM
from tailrace.work.templates import Templates

if TYPE_CHECKING:
    from tailrace.pipeline.job import Job

_KIND = "schedule"
_WRONG_CLOCK = timedelta(hours=25)
_MOST_OFFERED = 30
"""Names that an error lists."""


@attrs.frozen
class Schedules:
    """The schedules of one store.

    Every method takes the user who asks, and raises :class:`~tailrace.model.errors.NotAllowedError` where the table in
    :mod:`tailrace.work.access` does not let that user do it: whoever made a schedule, and admins, may do everything
    with it. Each thing that is done is in the audit trail, and so is each that is refused.

    A schedule is called by its name; ``owner/name`` says whose.

    Args:
        store: Where they are.
        access: Who may do what.
        sealer: Seals where they deliver and whom they tell, since both may be secret.
        templates: Where their templates are.
        firing: Enters their jobs.
        for_background: A request fit for a worker, its keys as seen from a folder; raises where somebody would have to
            type a password.
        shown: A wish to be told as it is shown; raises where nobody can be told like that.
    """

    store: Store
    access: Access
    sealer: RequestSealer = attrs.field(repr=False)
    templates: Templates
    firing: Firing
    for_background: Callable[[ExportRequest, Path], ExportRequest] = attrs.field(repr=False)
    shown: Callable[[Notify], Notify] = attrs.field(repr=False)

    def now(self) -> datetime:
        """What time it is by the clock that schedules go by, UTC: that of the store."""
        with self.store.reading() as connection:
            return self.store.now(connection)

    def timing(
        self,
        *,
        cron: str | None = None,
        every: str | None = None,
        zone: str = "UTC",
        start: str | None = None,
        until: str | None = None,
    ) -> Timing:
        """The timing that somebody writes, checked; either ``cron`` or ``every`` says it.

        Args:
            cron: A cron expression of five fields: ``"0 2 * * *"``.
            every: A phrase: ``"6h"``, ``"monday at 09:00"``.
            zone: IANA name of the time zone whose clock is meant.
            start: From when on, a date or time in that zone; from now on by default.
            until: Up to when, exclusive, a date or time in that zone; for ever by default.

        Raises:
            RequestError: Something of it cannot be, or it would never be due.
        """
        return read_timing(cron=cron, every=every, zone=zone, now=self.now(), start=start, until=until)

    def add(self, name: str, draft: ScheduleDraft, *, user: User, folder: Path | None = None) -> Schedule:
        """Make a schedule of the user's own; it runs from now on.

        Args:
            name: 1 to 100 letters, digits, ``.``, ``_`` and ``-``; the first one is neither ``.`` nor ``-``.
            draft: What it shall be.
            user: Who makes it, and owns it from then on.
            folder: What relative paths count from; the working folder by default.

        Raises:
            AlreadyExistsError: The user has one of that name.
            RequestError: Something in it cannot be, or it would never be due.
            NotAllowedError: Its template is somebody else's and not public, or it would deliver where it may not.
        """
        check_name(_KIND, name)
        thing = f"{user.id}/{name}"
        self.access.require(Operation.SCHEDULE_SAVE, user, owner=user.id, thing=thing)
        here = (folder or Path()).absolute()
        draft = _once(draft)
        template, sinks = self._checked(draft, user, user.id, here, Operation.SCHEDULE_SAVE, thing)
        with self.store.writing() as connection:
            now = self.store.now(connection)
            schedule = Schedule(
                id=str(uuid.uuid4()),
                name=name,
                owner=user.id,
                kind=draft.kind,
                template=draft.template,
                timing=draft.timing,
                rules=draft.rules,
                sinks=sinks,
                folder=here,
                enabled=True,
                paused="",
                last=now,
                next=_first(draft, now),
                job=None,
                failures=0,
                increments=0,
                increment_until=None,
                created=now,
                changed=now,
            )
            schedules.add(connection, self._sealed(schedule, draft, template.id))
            users.note(connection, user, now=now)
            self._record(connection, user, Operation.SCHEDULE_SAVE, schedule, _facts(schedule))
            return _current(connection, schedule.id)

    def list(self, user: User, *, everybody: bool = False) -> tuple[Schedule, ...]:
        """List the user's own schedules, by name.

        Args:
            user: Who asks.
            everybody: Those of everybody, for admins.
        """
        operation = Operation.SCHEDULE_LIST_ALL if everybody else Operation.SCHEDULE_LIST
        self.access.require(operation, user, owner=user.id)
        with self.store.writing() as connection:
            found = schedules.listing(connection, owner=None if everybody else user.id)
            audit.append(connection, _entry(user, operation), now=self.store.now(connection))
        return tuple(sorted(found, key=lambda one: (one.owner != user.id, one.name, one.owner)))

    def show(self, name: str, user: User) -> Schedule:
        """Look at a schedule.

        Args:
            name: Its name, or ``owner/name``.
            user: Who asks.

        Raises:
            UnknownNameError: There is none of that name.
        """
        return self._allowed(Operation.SCHEDULE_SHOW, name, user)

    def next(self, name: str, user: User, *, count: int = 10) -> tuple[Slot, ...]:
        """When a schedule is due next; of one that is paused, when it would be. Raises as :meth:`show` does.

        Args:
            name: Its name, or ``owner/name``.
            user: Who asks.
            count: How many slots.
        """
        schedule = self._allowed(Operation.SCHEDULE_SHOW, name, user)
        now = self.now()
        # What is due already, and waits, is among them.
        after = schedule.last if schedule.next is not None and schedule.next <= now else max(schedule.last, now)
        return tuple(islice(slots_after(schedule.timing, after), count))

    def history(self, name: str, user: User, *, limit: int = 20) -> tuple[SlotRecord, ...]:
        """What became of the slots of a schedule, the newest first. Raises as :meth:`show` does.

        Args:
            name: Its name, or ``owner/name``.
            user: Who asks.
            limit: How many at most.
        """
        schedule = self._allowed(Operation.SCHEDULE_SHOW, name, user)
        with self.store.reading() as connection:
            return tuple(schedules.history(connection, schedule.id, limit=limit))

    def pause(self, name: str, user: User) -> Schedule:
        """Let a schedule run no more, until :meth:`resume`; a job that runs goes on. Raises as :meth:`show` does."""
        schedule = self._allowed(Operation.SCHEDULE_PAUSE, name, user)
        with self.store.writing() as connection:
            schedules.pause(connection, schedule.id, now=self.store.now(connection))
            self._record(connection, user, Operation.SCHEDULE_PAUSE, schedule)
            return _current(connection, schedule.id)

    def resume(self, name: str, user: User) -> Schedule:
        """Let a schedule run again; what came while it was paused is not made up for. Raises as :meth:`show` does.

        Raises:
            RequestError: It is never due any more.
        """
        schedule = self._allowed(Operation.SCHEDULE_RESUME, name, user)
        with self.store.writing() as connection:
            now = self.store.now(connection)
            current = _current(connection, schedule.id)
            if not current.enabled:
                last = _not_before(current, now)
                schedules.resume(connection, current, last=last, following=_first(current, last), now=now)
                self._record(connection, user, Operation.SCHEDULE_RESUME, schedule)
            return _current(connection, schedule.id)

    def edit(
        self,
        name: str,
        user: User,
        change: Callable[[ScheduleDraft], ScheduleDraft] = lambda draft: draft,
        *,
        new_name: str | None = None,
    ) -> Schedule:
        """Change a schedule; raises as :meth:`show` and :meth:`add` do.

        With another timing, it is due by that from now on. The increments that it made go on from where they are.

        Args:
            name: Its name, or ``owner/name``.
            user: Who asks.
            change: Makes what it shall be out of what it is.
            new_name: What it shall be called from now on.
        """
        if new_name is not None:
            check_name(_KIND, new_name)
        schedule = self._allowed(Operation.SCHEDULE_EDIT, name, user)
        with self.store.reading() as connection:
            before = self._draft(connection, schedule.id)
        draft = _once(change(before))
        template, sinks = self._checked(
            draft, user, schedule.owner, schedule.folder, Operation.SCHEDULE_EDIT, schedule.label
        )
        with self.store.writing() as connection:
            now = self.store.now(connection)
            current = _current(connection, schedule.id, lock=True)
            if current.changed != schedule.changed:
                raise _changed(current)
            changed = attrs.evolve(
                current,
                name=new_name or current.name,
                kind=draft.kind,
                template=draft.template,
                timing=draft.timing,
                rules=draft.rules,
                sinks=sinks,
                changed=now,
            )
            if draft.timing != current.timing:
                last = _not_before(current, now)
                changed = attrs.evolve(changed, last=last, next=_first(draft, last) if current.enabled else None)
            schedules.change(connection, self._sealed(changed, draft, template.id))
            self._record(connection, user, Operation.SCHEDULE_EDIT, current, _facts(changed))
            return _current(connection, schedule.id)

    def remove(self, name: str, user: User) -> None:
        """Remove a schedule and its history; jobs of it that are not made yet are cancelled, files of others stay.

        Raises as :meth:`show` does.
        """
        schedule = self._allowed(Operation.SCHEDULE_REMOVE, name, user)
        with self.store.writing() as connection:
            now = self.store.now(connection)
            for job in schedules.unmade(connection, schedule.id):
                jobs.ask_to_cancel(connection, job, now=now)
            schedules.remove(connection, schedule.id)
            self._record(connection, user, Operation.SCHEDULE_REMOVE, schedule)

    def run_now(self, name: str, user: User) -> ExportJob:
        """Have a job of a schedule carried out by a worker, now; its slots stay as they are.

        It is the schedule's: it counts among its failures, and an increment goes on from the one before. What has not
        changed is sent all the same.

        Raises as :meth:`show` does.
        """
        schedule = self._allowed(Operation.SCHEDULE_RUN, name, user)
        with self.store.writing() as connection:
            self._record(connection, user, Operation.SCHEDULE_RUN, schedule)
        return self.firing.by_hand(schedule.id)

    def trial(self, name: str, user: User, sinks: Sequence[SinkRequest]) -> tuple[Schedule, ExportRequest, Path]:
        """What a schedule would export, for whoever tries it: delivered as they say, and nobody else is told.

        Args:
            name: Its name, or ``owner/name``.
            user: Who asks.
            sinks: Where to deliver instead.

        Returns:
            The schedule, the request, and what relative paths in it count from. Raises as :meth:`show` does.
        """
        schedule = self._allowed(Operation.SCHEDULE_TEST, name, user)
        with self.store.writing() as connection:
            self._record(connection, user, Operation.SCHEDULE_TEST, schedule)
        request = self.firing.request_of(schedule.id)
        return schedule, attrs.evolve(request, sinks=tuple(sinks), notify=()), schedule.folder

    def _allowed(self, operation: Operation, name: str, user: User) -> Schedule:
        """The schedule that is meant, if this user may do that with it."""
        with self.store.reading() as connection:
            found = _find(connection, name, user)
        # Outside of any transaction: a refusal is recorded in one of its own.
        self.access.require(operation, user, owner=found.owner, thing=found.label)
        return found

    def _checked(
        self, draft: ScheduleDraft, user: User, owner: str, folder: Path, operation: Operation, thing: str
    ) -> tuple[ExportTemplate, tuple[dict[str, Any], ...] | None]:
        """See that a schedule can be what somebody wishes: gives its template, and where it delivers as that is shown.

        Raises:
            TailraceError: It cannot.
        """
        template, request = self.templates.opened(draft.template, user)
        if not template.public and template.owner != owner:
            message = f"The template {draft.template!r} is not {owner}'s, and not public."
            raise NotAllowedError(message, hint="Save one of your own, or let its owner make it public.")
        if draft.kind is ScheduleKind.DRILL and request.source != "pool":
            message = f"A restore drill is for backups of a pool, and {draft.template!r} exports {request.source}."
            raise RequestError(message, hint="Name the template that makes the backups.")
        _check_rules(draft, request)
        if draft.sinks is not None:
            request = attrs.evolve(request, sinks=draft.sinks)
        prepared: Job = self.templates.judged(request, user, operation, thing)
        self.for_background(request, folder)
        for address in draft.rules.notify_failure:
            self.shown(Notify(MAIL, address))
        sinks = None if draft.sinks is None else tuple(shown_form(prepared, self.shown)["sinks"])
        return template, sinks

    def _sealed(self, schedule: Schedule, draft: ScheduleDraft, template: str) -> NewSchedule:
        sinks = None if draft.sinks is None else whole_form(ExportRequest("", "", "", sinks=draft.sinks))["sinks"]
        return NewSchedule(
            schedule,
            template,
            self.sealer.seal(SEALED_FOR, schedule.id, sinks),
            self.sealer.seal(ALARM, schedule.owner, list(draft.rules.notify_failure)),
        )

    def _draft(self, connection: sa.Connection, schedule: str) -> ScheduleDraft:
        """What a schedule is, as somebody would wish it."""
        found = schedules.get(connection, schedule)
        if found is None:
            raise gone()
        from tailrace.model.convert import structure

        current = found.schedule
        sinks = self.sealer.open(SEALED_FOR, current.id, found.sealed)
        return ScheduleDraft(
            # Whoever changes it may have another one of that name.
            template=current.template if "/" in current.template else f"{current.owner}/{current.template}",
            timing=current.timing,
            kind=current.kind,
            rules=current.rules,
            sinks=None if sinks is None else structure(sinks, tuple[SinkRequest, ...], what="A stored schedule"),
        )

    def _record(
        self,
        connection: sa.Connection,
        user: User,
        operation: Operation,
        schedule: Schedule,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        entry = _entry(user, operation, thing=schedule.label, parameters=parameters or {})
        audit.append(connection, entry, now=self.store.now(connection))


def _entry(user: User, operation: Operation, **facts: Any) -> AuditEntry:
    return AuditEntry(
        user=user.id, operation=operation.value, outcome="ok", address=user.address, agent=user.agent, **facts
    )


def _facts(schedule: Schedule) -> dict[str, Any]:
    named = {"name": schedule.name, "kind": schedule.kind.value, "template": schedule.template}
    rules: ScheduleRules = schedule.rules
    return {**named, "timing": unstructure(schedule.timing), "rules": unstructure(rules)}


def _once(draft: ScheduleDraft) -> ScheduleDraft:
    """The same, with each address once."""
    addresses = tuple(dict.fromkeys(draft.rules.notify_failure))
    return attrs.evolve(draft, rules=attrs.evolve(draft.rules, notify_failure=addresses))


def _check_rules(draft: ScheduleDraft, request: ExportRequest) -> None:
    """Refuse rules that do not go with what is exported."""
    rules = draft.rules
    if draft.kind is ScheduleKind.DRILL and (rules.incremental or rules.skip_unchanged):
        message = "A restore drill looks at the newest backup as a whole, and always reports."
        raise RequestError(message, hint="Leave --incremental and --skip-unchanged out.")
    if rules.incremental:
        check_increments(request)


def _not_before(schedule: Schedule, now: datetime) -> datetime:
    """Up to when the slots of a schedule are dealt with, where somebody sets it going anew.

    A little in the future, a clock was put back. By more, it had been wrong, and the schedule would stand still until
    it is so late.
    """
    return schedule.last if now < schedule.last < now + _WRONG_CLOCK else now


def _first(wanted: ScheduleDraft | Schedule, after: datetime) -> datetime:
    """When a schedule is due first after a moment.

    Raises:
        RequestError: Never.
    """
    found = next((slot.moment for slot in slots_after(wanted.timing, after)), None)
    if found is None:
        message = "The schedule would never be due."
        raise RequestError(message, hint="Let it end later (--until), or give it another time.")
    return found


def _find(connection: sa.Connection, name: str, user: User) -> Schedule:
    meant = read_name(name, user.id)
    found = None if meant is None else schedules.of_owner(connection, *meant)
    if found is None:
        seen = schedules.listing(connection, owner=None if user.is_admin else user.id)
        known = [one.name if one.owner == user.id else one.label for one in seen]
        hint = "" if known else "There is none yet. Make one: tailrace schedules add NAME --template T --every …"
        raise UnknownNameError(_KIND, name, known[:_MOST_OFFERED], hint=hint)
    return found


def _current(connection: sa.Connection, schedule: str, *, lock: bool = False) -> Schedule:
    found = schedules.get(connection, schedule, lock=lock)
    if found is None:
        raise gone()
    return found.schedule


def _changed(schedule: Schedule) -> TransientError:
    message = f"The schedule {schedule.name!r} was changed by somebody this very moment."
    return TransientError(message, hint="Look at it, and try again.")

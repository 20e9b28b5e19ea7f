"""Removing the files of finished exports that no rule keeps, in an order that survives being killed anywhere.

1. The files of a job are looked at and locked. Where somebody downloads or writes one, the job is left as it is.
2. In one transaction the job is marked as expired, unless it was pinned or taken care of meanwhile, and the audit trail
   gets its entry.
3. The files are deleted: see :mod:`tailrace.work.disposal`.
4. That they are gone is written down.

Killed behind the second step, the job is expired and its files are not noted as removed: every run finishes those
first. What cannot be deleted stays noted like this as well, with the reason, and is tried again by the next run.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from itertools import groupby
from pathlib import Path

import attrs
import sqlalchemy as sa

from tailrace.model.audit import AuditEntry
from tailrace.model.context import Context
from tailrace.model.errors import CancelledError, RequestError, UnknownNameError
from tailrace.model.job import User
from tailrace.model.retention import RetentionPlan, RetentionResult
from tailrace.model.states import JobState
from tailrace.model.work import OutputFile
from tailrace.settings import RetentionSettings
from tailrace.store import artifacts, audit
from tailrace.store.artifacts import Keeping
from tailrace.store.database import Store
from tailrace.work.access import Access, Operation
from tailrace.work.disposal import FolderBusyError, Found, Held, ReplacedError, delete, holding, prune, reason
from tailrace.work.keeping import decide

log = logging.getLogger(__name__)


@attrs.frozen
class Retention:
    """Keeps what is to be kept of the files that the jobs of a store made, and removes the rest.

    Args:
        store: Where the jobs are.
        access: Who may do what.
        rules: The rules that hold where nobody gives others.
        place: Only files at this place are its business: see :class:`tailrace.model.work.OutputFile`.
    """

    store: Store
    access: Access
    rules: RetentionSettings
    place: str

    def show(self, user: User) -> RetentionSettings:
        """The rules in force.

        Raises:
            NotAllowedError: The user may not know them.
        """
        self.access.require(Operation.RETENTION_SHOW, user)
        return self.rules

    def plan(self, user: User, *, rules: RetentionSettings | None = None) -> RetentionPlan:
        """Say what applying the rules would do, without doing it.

        Args:
            user: Who asks.
            rules: Rules instead of those in force.

        Raises:
            NotAllowedError: The user may not know.
            ConfigurationError: The rules make no sense.
        """
        self.access.require(Operation.RETENTION_SHOW, user)
        return self._plan(rules or self.rules)

    def apply(
        self, user: User, *, rules: RetentionSettings | None = None, context: Context | None = None
    ) -> RetentionResult:
        """Remove what no rule keeps; what cannot be deleted keeps nothing else from it.

        Args:
            user: Who asks.
            rules: Rules instead of those in force.
            context: Cancellation; it is heeded between two jobs.

        Raises:
            NotAllowedError: The user may not remove anything.
            ConfigurationError: The rules make no sense; nothing was removed.
            CancelledError: Somebody asked it to stop.
            StoreBusyError: The store went away; the next run finishes it.
        """
        self.access.require(Operation.RETENTION_APPLY, user)
        context = context or Context()
        plan = self._plan(rules or self.rules)
        run = _Run(self.store, user, Operation.RETENTION_APPLY)
        for job, files in groupby(sorted(plan.unfinished, key=lambda file: file.job), key=lambda file: file.job):
            run.check(context)
            run.finish(job, tuple(files))
        # The oldest first: where it is stopped, the newest are still there.
        for decision in reversed(plan.removed):
            run.check(context)
            run.remove(decision.export.job, decision.export.files, why=decision.why)
        return run.result(plan)

    def keep_newest(self, job: str, folder: Path, count: int, user: User) -> RetentionResult:
        """Of the files of one kind of export in a folder, keep the newest; what else those exports made stays.

        Whoever may put files there may have the older ones of the same kind replaced by them: they are the same user's.

        Args:
            job: An export of that kind.
            folder: The folder.
            count: How many exports' files are kept there; pinned ones stay besides.
            user: For whom.
        """
        with self.store.reading() as connection:
            there = artifacts.finished(connection, self.place, within=folder, also=job)
        kinds = {export.job: export.group for export in there}
        same = [export for export in there if export.group == kinds.get(job) and not export.pinned]
        same.sort(key=lambda export: (export.created, export.job), reverse=True)
        run = _Run(self.store, user, Operation.RETENTION_APPLY)
        for export in same[count:]:
            if export.job == job:
                continue
            files = [file for file in export.files if file.path.parent == folder]
            why = f"not one of the newest {count} in its folder"
            with self.store.reading() as connection:
                others = [file for file in artifacts.of_job(connection, export.job) if file.removed is None]
            if len(others) == len(files):
                run.remove(export.job, files, why=why)
            elif files:
                run.thin(export.job, files, why=why)
        return run.result(RetentionPlan((), 0))

    def remove_files(self, job: str, user: User) -> tuple[OutputFile, ...]:
        """Remove the files of one job, as safely as the rules do; that the user may do it was asked before.

        Returns:
            Files of the job that could not be removed, now or ever; ``problem`` says why.

        Raises:
            RequestError: The job is pinned.
            UnknownNameError: There is no such job.
        """
        with self.store.reading() as connection:
            found = _known(artifacts.keeping(connection, job), job)
            there = tuple(file for file in artifacts.of_job(connection, job) if file.removed is None)
        if found.pinned:
            raise _pinned(job)
        files = tuple(file for file in there if file.place == self.place)
        if len(files) < len(there):
            away = "it lies on another machine, or beside another home: remove the job there"
            return tuple(attrs.evolve(file, problem=away) for file in there if file.place != self.place)
        if not files:
            return ()
        run = _Run(self.store, user, Operation.JOB_REMOVE)
        if found.state is JobState.EXPIRED:
            run.finish(job, files)
        elif not run.remove(job, files, why="removed with its job"):
            with self.store.reading() as connection:
                now = _known(artifacts.keeping(connection, job), job)
            if now.pinned:
                raise _pinned(job)
            if now.state is not JobState.EXPIRED:
                raise RequestError(f"Job {job} is {now.state.value} again.", hint="Try again when it has ended.")
            # Retention came first by a moment.
            run.finish(job, files)
        # What took the place of a file is nothing that stands in the way of forgetting the job.
        return (*run.skipped, *(file for file in run.problems if file.removed is None))

    def set_pinned(self, job: str, user: User, *, pinned: bool) -> None:
        """Keep the files of a job whatever the rules say, or no longer.

        Raises:
            UnknownNameError: There is no such job.
            NotAllowedError: The user may not do that with it.
            RequestError: Its files are gone already.
        """
        with self.store.reading() as connection:
            found = _known(artifacts.keeping(connection, job), job)
        operation = Operation.JOB_PIN if pinned else Operation.JOB_UNPIN
        self.access.require(operation, user, owner=found.creator, job=job)
        with self.store.writing() as connection:
            if not artifacts.set_pinned(connection, job, pinned=pinned):
                message = f"Job {job} has expired: its files were removed."
                raise RequestError(message, hint="Export again, and pin that.")
            audit.append(connection, _entry(user, operation, job, found), now=self.store.now(connection))

    def _plan(self, rules: RetentionSettings) -> RetentionPlan:
        with self.store.reading() as connection:
            exports = artifacts.finished(connection, self.place)
            unfinished = artifacts.unfinished(connection, self.place)
            plan = decide(exports, rules, self.store.now(connection))
        return attrs.evolve(plan, unfinished=tuple(unfinished))


@attrs.define
class _Run:
    """One run over some jobs, and what came of it.

    Args:
        store: Where the jobs are.
        user: Who asks.
        operation: What the audit trail calls it.
    """

    store: Store
    user: User
    operation: Operation
    removed: list[OutputFile] = attrs.field(factory=list, init=False)
    size: int = attrs.field(default=0, init=False)
    skipped: list[OutputFile] = attrs.field(factory=list, init=False)
    problems: list[OutputFile] = attrs.field(factory=list, init=False)
    replaced: list[OutputFile] = attrs.field(factory=list, init=False)

    def result(self, plan: RetentionPlan) -> RetentionResult:
        """What came of it."""
        return RetentionResult(
            plan=plan,
            removed=tuple(self.removed),
            size=self.size,
            replaced=tuple(self.replaced),
            skipped=tuple(self.skipped),
            problems=tuple(self.problems),
        )

    def check(self, context: Context) -> None:
        """Return while the run may go on.

        Raises:
            CancelledError: Somebody asked it to stop.
        """
        if context.cancelled:
            message = f"It was stopped; {len(self.removed)} files had been removed."
            raise CancelledError(message, hint="The next run goes on where this one ended.")

    def remove(self, job: str, files: Sequence[OutputFile], *, why: str) -> bool:
        """Give up a completed job and delete its files, where nobody uses them.

        Returns:
            False where it is no longer for us to decide: it was pinned meanwhile, or somebody else gave it up.
        """
        with ExitStack() as stack:
            held = [stack.enter_context(holding(file)) for file in files]
            locked = [one for one in held if one.found is Found.LOCKED]
            if locked:
                self._skip(locked)
                return True
            if all(one.found is Found.REFUSED for one in held):
                # Not one of them would be gone: the job is what it was.
                self._record(job, [_Fate(one.file, problem=one.problem) for one in held])
                return True
            if not self._expire(job, files, why):
                return False
            self._delete(job, held)
        return True

    def finish(self, job: str, files: Sequence[OutputFile]) -> None:
        """Delete the files of a job that was given up already."""
        with ExitStack() as stack:
            held = [stack.enter_context(holding(file)) for file in files]
            self._skip([one for one in held if one.found is Found.LOCKED])
            self._delete(job, [one for one in held if one.found is not Found.LOCKED])

    def thin(self, job: str, files: Sequence[OutputFile], *, why: str) -> None:
        """Delete some files of a job that keeps others."""
        with self.store.writing() as connection:
            found = artifacts.keeping(connection, job)
            if found is None or not artifacts.has_files(connection, job):
                # Pinned meanwhile, or sent again.
                return
            audit.append(connection, self._given_up(job, found, files, why), now=self.store.now(connection))
        self.finish(job, files)

    def _given_up(self, job: str, found: Keeping, files: Sequence[OutputFile], why: str) -> AuditEntry:
        return attrs.evolve(
            _entry(self.user, self.operation, job, found),
            file=", ".join(str(file.path) for file in files),
            size=sum(file.size for file in files),
            parameters={"why": why},
        )

    def _expire(self, job: str, files: Sequence[OutputFile], why: str) -> bool:
        with self.store.writing() as connection:
            found = artifacts.keeping(connection, job)
            if found is None or not artifacts.expire(connection, job, by_hand=self.operation is Operation.JOB_REMOVE):
                return False
            audit.append(connection, self._given_up(job, found, files, why), now=self.store.now(connection))
        return True

    def _delete(self, job: str, held: Sequence[Held]) -> None:
        fates = [_fate(one) for one in held]
        self._record(job, fates)
        gone = [fate.file for fate in fates if fate.gone and not fate.problem]
        if gone:
            with self.store.reading() as connection:
                spared = artifacts.folders_in_use(connection)
            for file in gone:
                prune(file, spared)

    def _skip(self, locked: Sequence[Held]) -> None:
        for one in locked:
            log.info("%s %s; it is left for the next time", one.file.path, one.problem)
            self.skipped.append(attrs.evolve(one.file, problem=one.problem))

    def _record(self, job: str, fates: Sequence["_Fate"]) -> None:
        """Write down what became of the files of a job."""
        with self.store.writing() as connection:
            now = self.store.now(connection)
            found = artifacts.keeping(connection, job)
            noted = [_noted(connection, fate, now) for fate in fates]
            failed = [fate.file for fate in noted if fate.problem and not fate.later]
            for file in failed:
                entry = _entry(self.user, self.operation, job, found)
                entry = attrs.evolve(entry, outcome="failed", file=str(file.path), size=file.size, error=file.problem)
                audit.append(connection, entry, now=now)
        self.problems += failed
        for fate in noted:
            if fate.later:
                self.skipped.append(fate.file)
            elif fate.replaced:
                self.replaced.append(fate.file)
            elif not fate.problem:
                self.removed.append(fate.file)
                self.size += fate.freed
        for file in failed:
            log.warning("%s %s", file.path, file.problem)


@attrs.frozen
class _Fate:
    """What became of a file that was to be deleted.

    Args:
        file: The file.
        gone: Whether it is no longer there, by us or by somebody else.
        problem: Why not, or what is there instead.
        later: Whether that is no problem: it is in use.
        freed: Bytes that this freed.
        replaced: Whether a later export put its own in the place of it.
    """

    file: OutputFile
    gone: bool = False
    problem: str = ""
    later: bool = False
    freed: int = 0
    replaced: bool = False


def _fate(held: Held) -> _Fate:
    """Delete a file, if it is the one."""
    if held.found is Found.REFUSED:
        return _Fate(held.file, problem=held.problem)
    if held.found is Found.FOREIGN:
        return _Fate(held.file, gone=True, problem=held.problem)
    try:
        return _Fate(held.file, gone=True, freed=delete(held))
    except ReplacedError as error:
        return _Fate(held.file, gone=True, problem=str(error))
    except FolderBusyError as error:
        return _Fate(held.file, problem=str(error), later=True)
    except OSError as error:
        return _Fate(held.file, problem=f"cannot be deleted: {reason(error)}")


def _noted(connection: sa.Connection, fate: _Fate, now: datetime) -> _Fate:
    """Write down what became of a file, and give it as it is now."""
    file = attrs.evolve(fate.file, problem=fate.problem, removed=now if fate.gone else None)
    if fate.later:
        return attrs.evolve(fate, file=file)
    if not fate.gone:
        artifacts.note_problem(connection, file.id, fate.problem)
        return attrs.evolve(fate, file=file)
    # Nothing to worry about where a later export was told to overwrite it.
    replaced = bool(fate.problem) and artifacts.was_replaced(connection, file)
    problem = "" if replaced else fate.problem
    artifacts.note_removed(connection, file.id, now=now, problem=problem)
    return attrs.evolve(fate, file=attrs.evolve(file, problem=problem), problem=problem, replaced=replaced)


def _entry(user: User, operation: Operation, job: str, found: Keeping | None) -> AuditEntry:
    return AuditEntry(
        user=user.id,
        operation=operation.value,
        outcome="ok",
        job=job,
        source=found.source if found else "",
        format=found.format if found else "",
        address=user.address,
        agent=user.agent,
    )


def _known(found: Keeping | None, job: str) -> Keeping:
    if found is None:
        raise UnknownNameError("job", job, (), hint="tailrace jobs list says which there are.")
    return found


def _pinned(job: str) -> RequestError:
    return RequestError(f"Job {job} is pinned.", hint=f"tailrace jobs unpin {job}")

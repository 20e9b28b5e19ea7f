"""Jobs for those who asked for them: list, look at, cancel, try again, remove, fetch the file."""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import IO

import attrs
import sqlalchemy as sa

from tailrace.files.storage import storage_errors
from tailrace.model.audit import AuditEntry, one_line
from tailrace.model.context import Context
from tailrace.model.delivery import Delivery, Standing
from tailrace.model.errors import IntegrityError, RequestError, UnknownNameError
from tailrace.model.job import User
from tailrace.model.states import JobState
from tailrace.model.work import ExportJob, OutputFile
from tailrace.store import artifacts, audit, deliveries, jobs, notifications, schedules, workers
from tailrace.store.database import Store
from tailrace.store.notifications import Notification
from tailrace.work.access import Access, Operation
from tailrace.work.attempt import take_back
from tailrace.work.ending import stop_delivering
from tailrace.work.recovery import recover
from tailrace.work.retention import Retention

_SHORTEST_PREFIX = 4
_LOOK_EVERY = 0.3


@attrs.frozen
class AttemptRecord:
    """A try of a job.

    Args:
        fence: Its number.
        worker: Who made it.
        started: When it began, UTC.
        ended: When it ended; None while it runs.
        outcome: How: see :data:`tailrace.store.jobs.Ending`; None while it runs.
    """

    fence: int
    worker: str
    started: datetime
    ended: datetime | None
    outcome: str | None


@attrs.frozen
class JobPage:
    """Some jobs, and where the next ones begin.

    Args:
        jobs: The jobs, the newest first.
        next: Id of the last one, to ask for what comes behind it; None where there is no more.
    """

    jobs: tuple[ExportJob, ...]
    next: str | None


@attrs.frozen
class Jobs:
    """The jobs of one store.

    Every method takes the user who asks, and raises :class:`~tailrace.model.errors.NotAllowedError` where the table in
    :mod:`tailrace.work.access` does not let that user do it. Ids may be cut to their beginning, as long as one job of
    that beginning is meant.

    Args:
        store: Where they are.
        access: Who may do what.
        retention: Removes their files.
        place: Where files can be read; see :class:`tailrace.model.work.OutputFile`.
        most_losses: How many workers a job may take with it.
    """

    store: Store
    access: Access
    retention: Retention
    place: str
    most_losses: int

    def list(
        self,
        user: User,
        *,
        everybody: bool = False,
        states: Sequence[JobState] = (),
        before: str | None = None,
        limit: int = 50,
    ) -> JobPage:
        """List jobs, the newest first.

        Args:
            user: Who asks.
            everybody: Those of all users, rather than one's own.
            states: Only those in one of these states.
            before: Only those behind the one with this id, to turn pages.
            limit: How many.

        Raises:
            UnknownNameError: There is no job ``before``.
        """
        self.access.require(Operation.JOB_LIST_ALL if everybody else Operation.JOB_LIST_OWN, user, owner=user.id)
        with self.store.reading() as connection:
            last = None if before is None else _find(connection, before, user)
            found = jobs.listing(
                connection,
                creator=None if everybody else user.id,
                states=states,
                before=None if last is None else (last.created, last.id),
                limit=limit + 1,
            )
        shown = found[:limit]
        return JobPage(tuple(shown), shown[-1].id if len(found) > limit else None)

    def show(self, job: str, user: User) -> ExportJob:
        """Look at a job.

        Raises:
            UnknownNameError: There is no such job.
        """
        return self._mine(job, user, Operation.JOB_SHOW)

    def attempts(self, job: str, user: User) -> tuple[AttemptRecord, ...]:
        """The tries of a job, the first one first."""
        found = self._mine(job, user, Operation.JOB_SHOW)
        with self.store.reading() as connection:
            return tuple(AttemptRecord(*row) for row in jobs.attempts_of(connection, found.id))

    def files(self, job: str, user: User) -> tuple[OutputFile, ...]:
        """The files that a job made on this machine, those that were removed since included."""
        found = self._mine(job, user, Operation.JOB_SHOW)
        with self.store.reading() as connection:
            return tuple(artifacts.of_job(connection, found.id))

    def cancel(self, job: str, user: User) -> ExportJob:
        """Cancel a job: at once where it waits, within a second where it is carried out.

        What is about to be published already is published.

        Raises:
            RequestError: It has come to its end.
        """
        found = self._mine(job, user, Operation.JOB_CANCEL)
        with self.store.writing() as connection:
            now = self.store.now(connection)
            state = jobs.ask_to_cancel(connection, found.id, now=now)
            # It is locked now: it may have been made since it was looked at.
            current = jobs.get(connection, found.id)
            if state is JobState.PENDING and current is not None and current.made is not None:
                # What is made stays: it is only not delivered any more.
                left = stop_delivering(connection, current, f"{one_line(user.id)} cancelled it.", now=now)
                jobs.settle_waiting(connection, found.id, left, now=now)
            if state is not None and not state.is_final:
                self._audit(connection, user, Operation.JOB_CANCEL, found, now)
        if state is None:
            raise _unknown(job)
        if state.is_final:
            raise RequestError(f"Job {found.id} is {state.value}: there is nothing to cancel.")
        # Where its holder is not heard of any more, nobody else would stop it, or clear away what it left.
        recover(self.store, most_losses=self.most_losses)
        if state is JobState.PENDING:
            self._clear(found)
        return self.show(found.id, user)

    def retry(self, job: str, user: User) -> ExportJob:
        """Let a job that failed, was put aside or cancelled wait for a worker again.

        Raises:
            RequestError: It did not fail.
        """
        found = self._mine(job, user, Operation.JOB_RETRY)
        if found.state not in {JobState.FAILED, JobState.CANCELLED}:
            hint = "Only jobs that failed or were cancelled can be tried again."
            raise RequestError(f"Job {found.id} is {found.state.value}.", hint=hint)
        with self.store.writing() as connection:
            now = self.store.now(connection)
            jobs.try_again(connection, found.id, now=now)
            schedules.reopen(connection, found.id)
            self._audit(connection, user, Operation.JOB_RETRY, found, now)
        return self.show(found.id, user)

    def deliveries(self, job: str, user: User) -> tuple[Delivery, ...]:
        """Who is to have which file of a job, and whether they have it."""
        found = self._mine(job, user, Operation.JOB_SHOW)
        with self.store.reading() as connection:
            return tuple(deliveries.of_job(connection, found.id))

    def standing(self, jobs: Sequence[ExportJob]) -> dict[str, Standing]:
        """How the deliveries of jobs stand that this user was shown; jobs whose files are not made are left out."""
        with self.store.reading() as connection:
            return deliveries.standing(connection, [job.id for job in jobs])

    def resend(self, job: str, user: User, *, failed_only: bool = False) -> ExportJob:
        """Have the files of a job delivered again, without making them anew; a worker does it.

        What had arrived is another delivery for the other side, with another id. What was given up keeps its id.

        Args:
            job: The job.
            user: Who asks.
            failed_only: Only what was given up.

        Raises:
            RequestError: It has no files, or still delivers them; or there is nothing to send again.
        """
        found = self._mine(job, user, Operation.JOB_RESEND)
        if found.made is not None and not found.state.is_final:
            self._hasten(found, user, failed_only=failed_only)
            return self.show(found.id, user)
        if not found.state.has_files:
            hint = "Its files were removed: export again." if found.made is not None else "It has made no files."
            raise RequestError(f"Job {found.id} is {found.state.value}: there is nothing to send.", hint=hint)
        with self.store.writing() as connection:
            now = self.store.now(connection)
            if not jobs.send_again(connection, found.id, now=now):
                raise RequestError(f"Job {found.id} has just changed.", hint=f"See: tailrace jobs show {found.id}")
            there = [file for file in artifacts.of_job(connection, found.id) if file.removed is None]
            if not there:
                raise RequestError(f"The files of job {found.id} were removed.", hint="Export again.")
            # What lies in its folder is where it belongs.
            places = {(file.sink, str(file.path)) for file in there if self._lies(file)}
            rows = deliveries.of_job(connection, found.id)
            lying = [row.id for row in rows if row.delivered and (row.sink, row.place) in places]
            at_hand = {file.file for file in there if self._lies(file)}
            meant = [row for row in rows if row.id not in lying and not (failed_only and row.delivered)]
            if missing := {row.file + 1 for row in meant} - {number + 1 for number in at_hand}:
                which = ", ".join(map(str, sorted(missing)))
                message = f"File {which} of job {found.id} is not where it was put, or is another one by now."
                raise RequestError(message, hint="Export again.")
            if deliveries.again(connection, found.id, failed_only=failed_only, but=lying, now=now) == 0:
                raise RequestError(f"Everything of job {found.id} arrived: there is nothing to send again.")
            schedules.reopen(connection, found.id)
            self._note_resent(connection, user, found, now, failed_only=failed_only)
        return self.show(found.id, user)

    def _hasten(self, job: ExportJob, user: User, *, failed_only: bool) -> None:
        """Have what waits of a job tried now, and what was given up once more."""
        if not failed_only:
            message = f"Job {job.id} is still being delivered."
            raise RequestError(
                message, hint=f"What has not arrived is tried now by: tailrace jobs resend {job.id} --failed"
            )
        with self.store.writing() as connection:
            now = self.store.now(connection)
            if not jobs.hasten(connection, job.id, now=now):
                message = f"Job {job.id} is being delivered at this moment."
                raise RequestError(message, hint=f"See: tailrace jobs deliveries {job.id}")
            deliveries.again(connection, job.id, failed_only=True, now=now)
            deliveries.hasten(connection, job.id, now=now)
            self._note_resent(connection, user, job, now, failed_only=True)

    def _note_resent(
        self, connection: sa.Connection, user: User, job: ExportJob, now: datetime, *, failed_only: bool
    ) -> None:
        entry = attrs.evolve(self._entry(user, Operation.JOB_RESEND, job), parameters={"failed": failed_only})
        audit.append(connection, entry, now=now)

    def _lies(self, file: OutputFile) -> bool:
        """Whether a file is where it was put, as far as can be seen from here."""
        try:
            return file.place != self.place or file.path.stat().st_size == file.size
        except OSError:
            return False

    def unwanted(self, user: User) -> dict[str, tuple[datetime, str]]:
        """Recipients to whom nothing is sent any more because they said so: since when, and what they said."""
        self.access.require(Operation.RECIPIENT_LIST, user)
        with self.store.reading() as connection:
            return dict(deliveries.unwanted(connection))

    def allow(self, recipient: str, user: User) -> None:
        """Let a recipient that wanted nothing any more have deliveries again.

        Args:
            recipient: As :meth:`unwanted` names it.
            user: Who asks.

        Raises:
            UnknownNameError: It is none of those.
        """
        self.access.require(Operation.RECIPIENT_ALLOW, user, thing=recipient)
        with self.store.writing() as connection:
            known = deliveries.unwanted(connection)
            if not deliveries.allow(connection, recipient):
                raise UnknownNameError("recipient", recipient, known, where="those that want nothing any more")
            entry = AuditEntry(
                user=user.id,
                operation=Operation.RECIPIENT_ALLOW.value,
                outcome="ok",
                thing=recipient,
                address=user.address,
                agent=user.agent,
            )
            audit.append(connection, entry, now=self.store.now(connection))

    def remove(self, job: str, user: User) -> tuple[OutputFile, ...]:
        """Remove a job that has come to its end, and its files; the audit trail keeps what it says about it.

        Returns:
            Files that could not be removed, with the reason. Where there are any, the job stays.

        Raises:
            RequestError: It has not come to its end.
        """
        found = self._mine(job, user, Operation.JOB_REMOVE)
        if not found.state.is_final:
            raise RequestError(f"Job {found.id} is {found.state.value}.", hint=f"tailrace jobs cancel {found.id}")
        self._clear(found)
        problems = tuple(self.retention.remove_files(found.id, user))
        if problems:
            return problems
        with self.store.writing() as connection:
            if jobs.remove(connection, found.id):
                self._audit(connection, user, Operation.JOB_REMOVE, found, self.store.now(connection))
        return ()

    def pin(self, job: str, user: User, *, pinned: bool = True) -> ExportJob:
        """Keep the files of a job whatever the rules of retention say, or no longer."""
        found = self._mine(job, user, Operation.JOB_PIN if pinned else Operation.JOB_UNPIN)
        self.retention.set_pinned(found.id, user, pinned=pinned)
        return self.show(found.id, user)

    def wait(self, job: str, user: User, *, context: Context | None = None) -> Iterator[ExportJob]:
        """Follow a job until it has come to its end: it is yielded again and again, the last time at its end.

        Args:
            job: The job.
            user: Who asks.
            context: Cancellation and deadline of the waiting.
        """
        context = context or Context()
        found = self.show(job, user)
        yield found
        while not found.state.is_final:
            context.check()
            time.sleep(_LOOK_EVERY)
            with self.store.reading() as connection:
                current = jobs.get(connection, found.id)
            if current is None:
                raise _unknown(job)
            found = current
            yield found

    @contextmanager
    def download(self, job: str, user: User, *, number: int = 1) -> Iterator[tuple[OutputFile, IO[bytes]]]:
        """Open a file of a job to read it; while it is open, retention leaves it alone.

        Args:
            job: The job.
            user: Who asks.
            number: Which of its files, from 1.

        Raises:
            RequestError: It has no such file, or has it no longer.
            IntegrityError: What lies there is another file by now.
            StorageError: It cannot be read.
        """
        found = self._mine(job, user, Operation.FILE_DOWNLOAD)
        with self.store.reading() as connection:
            files = artifacts.of_job(connection, found.id)
        if not 0 < number <= len(files):
            where = "none on this machine" if not files else f"{len(files)}"
            raise RequestError(f"Job {found.id} ({found.state.value}) has no file {number}: it has {where}.")
        file = files[number - 1]
        if file.removed is not None:
            raise RequestError(f"{file.path.name} was removed on {file.removed:%Y-%m-%d}.", hint="Export again.")
        if file.place != self.place:
            message = f"{file.path.name} lies on another machine, or beside another home."
            raise RequestError(message, hint="Download it there.")
        if not file.path.exists():
            raise RequestError(f"{file.path.name} is not where it was put.", hint="Export again.")
        if file.path.is_symlink():
            raise IntegrityError(f"{file.path.name} is a link by now.", hint="Look at what happened there.")
        with storage_errors(file.path):
            # A link that somebody put in its place is not followed.
            stream = os.fdopen(os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")
        with stream:
            fcntl.flock(stream, fcntl.LOCK_SH)
            there = os.fstat(stream.fileno())
            if there.st_nlink == 0:
                raise RequestError(f"{file.path.name} has just been removed.", hint="Export again.")
            if there.st_size != file.size:
                message = f"{file.path} is not the file that was exported: it has another size."
                raise IntegrityError(message, hint=f"Look at what happened there; tailrace verify {file.path}")
            with self.store.writing() as connection:
                entry = self._entry(user, Operation.FILE_DOWNLOAD, found)
                entry = attrs.evolve(entry, file=str(file.path), size=file.size, rows=file.rows)
                audit.append(connection, entry, now=self.store.now(connection))
            yield file, stream

    def workers_alive(self, *, within: float = 30.0) -> int:
        """How many workers were heard of within so many seconds."""
        with self.store.reading() as connection:
            return workers.alive(connection, since=self.store.now(connection) - timedelta(seconds=within))

    def unfinished(self) -> dict[JobState, int]:
        """How many jobs wait, and how many are being carried out."""
        with self.store.reading() as connection:
            return jobs.counts(connection)

    def notifications(self, user: User, *, unread: bool = False, limit: int = 100) -> tuple[Notification, ...]:
        """What a user was told, the newest first."""
        self.access.require(Operation.NOTIFICATION_LIST, user, owner=user.id)
        with self.store.reading() as connection:
            return tuple(notifications.of_user(connection, user.id, unread=unread, limit=limit))

    def mark_read(self, user: User, numbers: Sequence[int] | None) -> int:
        """Note that a user has read notifications, or all where no numbers are given; returns how many were new."""
        self.access.require(Operation.NOTIFICATION_READ, user, owner=user.id)
        with self.store.writing() as connection:
            return notifications.mark_read(connection, user.id, numbers, now=self.store.now(connection))

    def _clear(self, job: ExportJob) -> None:
        """Take back what attempts left that nobody goes on with: where it was is forgotten with the job."""
        with self.store.reading() as connection:
            # Also where its files are: who made them may have died before the names went that they had meanwhile.
            folders = jobs.all_folders_of(connection, job.id)
        take_back(self.store, folders, job.id, below=job.fence + 1)

    def _mine(self, job: str, user: User, operation: Operation) -> ExportJob:
        """The job, if this user may do that with it."""
        with self.store.reading() as connection:
            found = _find(connection, job, user)
        self.access.require(operation, user, owner=found.creator, thing=found.id, job=found.id)
        return found

    def _audit(
        self, connection: sa.Connection, user: User, operation: Operation, job: ExportJob, now: datetime
    ) -> None:
        audit.append(connection, self._entry(user, operation, job), now=now)

    @staticmethod
    def _entry(user: User, operation: Operation, job: ExportJob) -> AuditEntry:
        return AuditEntry(
            user=user.id,
            operation=operation.value,
            outcome="ok",
            job=job.id,
            source=job.source,
            format=job.format,
            address=user.address,
            agent=user.agent,
        )


def _find(connection: sa.Connection, job: str, user: User) -> ExportJob:
    """A job by its id; by the beginning of it only where that tells nothing of what is not this user's."""
    found = jobs.get(connection, job)
    if found is None and len(job) >= _SHORTEST_PREFIX:
        meant = jobs.starting_with(connection, job, creator=None if user.is_admin else user.id, limit=2)
        if len(meant) > 1:
            raise RequestError(f"Several jobs begin with {job}.", hint="Write more of the id.")
        found = jobs.get(connection, meant[0]) if meant else None
    if found is None:
        raise _unknown(job)
    return found


def _unknown(job: str) -> UnknownNameError:
    return UnknownNameError("job", job, (), hint="tailrace jobs list says which there are.")

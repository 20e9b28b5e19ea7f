"""Jobs in the store: entered, claimed, renewed, ended, taken over, listed.

Whoever has a job holds a *lease*: until ``lease_until`` nobody else takes it. Each time that it is claimed its *fence*
rises, and whatever is written for an attempt says under which fence: what an attempt writes that lost the job meanwhile
changes nothing, and raises :class:`~tailrace.model.errors.LeaseLostError`.

All functions work inside of the caller's transaction; those that change something need one for writing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import attrs
import sqlalchemy as sa

from tailrace.model.convert import structure, unstructure
from tailrace.model.errors import LeaseLostError
from tailrace.model.states import JobState
from tailrace.model.work import ExportJob, JobError, OutputFile, RetryPolicy
from tailrace.store.tables import artifacts, attempts, jobs

Ending = Literal["completed", "failed", "cancelled", "retried", "returned", "lost", "crashed", "waiting"]
"""How an attempt ends; ``returned`` is given back by a worker that shuts down, ``lost`` taken from one that died, and
``waiting`` ended with deliveries that are tried again later."""

NEEDS = "needs"
"""What a request that is shown calls what only some applications have, such as ``"source orders"``."""
_COUNTS = ("rows", "bytes", "total_rows")
_PUBLIC = [column for column in jobs.c if column.name not in {"sealed", "timeout", "estimate", "needs"}]


@attrs.frozen
class NewJob:
    """A job to be entered.

    Args:
        id: Unique.
        creator: The user who asks.
        source: Name of the source.
        format: Name of the format.
        template: Name of the template that it is made from.
        request: What is asked, without anything secret.
        sealed: All of it, sealed.
        folder: What relative paths count from.
        timeout: Seconds that an attempt may take.
        retry: How often it is tried.
        estimate: What it will probably take, as JSON-like values.
        schedule: The schedule that asks for it; None where somebody does.
        slot: Which slot of it, where it is one that the store has.
    """

    id: str
    creator: str
    source: str
    format: str
    template: str | None
    request: Mapping[str, Any] = attrs.field(repr=False)
    sealed: bytes = attrs.field(repr=False)
    folder: str
    timeout: float | None
    retry: RetryPolicy
    estimate: Any = attrs.field(repr=False, default=None)
    schedule: str | None = None
    slot: datetime | None = None


@attrs.frozen
class Claim:
    """A job that was claimed: all that is needed to carry it out.

    Args:
        id: Its id.
        fence: Under which this attempt writes.
        worker: Who claimed it.
        creator: The user who asked.
        source: Name of the source.
        format: Name of the format.
        sealed: The request, sealed.
        folder: What relative paths count from.
        timeout: Seconds that an attempt may take.
        retry: How often it is tried.
        estimate: What it will probably take, as JSON-like values.
        tries: Attempts before that ended in an error.
        losses: Attempts before that took their worker with them.
        leftovers: Folders in which attempts before may have left something.
        made: Under which fence its files were made; None while they are not. From then on it is only delivered.
        schedule: The schedule that asked for it; None where somebody did.
        slot: Which slot of it, where it is one that the store has.
        needs: What only some applications give to their workers; None where any worker will do.
    """

    id: str
    fence: int
    worker: str
    creator: str
    source: str
    format: str
    sealed: bytes = attrs.field(repr=False)
    folder: Path
    timeout: float | None
    retry: RetryPolicy
    estimate: Any = attrs.field(repr=False, default=None)
    tries: int = 0
    losses: int = 0
    leftovers: tuple[Path, ...] = ()
    made: int | None = None
    schedule: str | None = None
    slot: datetime | None = None
    needs: str | None = None


@attrs.frozen
class Pulse:
    """How a held job is, for the one who holds it.

    Args:
        cancel_requested: Whether somebody asked it to stop.
        held: Whether this attempt still has it.
    """

    cancel_requested: bool
    held: bool


@attrs.frozen
class Progressed:
    """How far an attempt is: see :class:`tailrace.model.work.ExportJob`."""

    phase: str
    progress: int
    rows: int
    bytes: int
    total_rows: int | None


def enter(
    connection: sa.Connection,
    job: NewJob,
    *,
    now: datetime,
    due: datetime | None = None,
    holder: str | None = None,
    lease: float = 0.0,
) -> ExportJob:
    """Enter a job: waiting, or held at once by the process that carries it out itself.

    Args:
        connection: For writing.
        job: The job.
        now: What time it is.
        due: When it may be begun; now by default.
        holder: Id of the process that carries it out itself; None for a job that waits for a worker.
        lease: Seconds that the holder has it without being heard of.
    """
    values: dict[str, Any] = attrs.asdict(job, recurse=False) | {
        "retry": unstructure(job.retry),
        "state": JobState.PENDING,
        "inline": holder is not None,
        "needs": job.request.get(NEEDS),
        "created": now,
        "due": due or now,
    }
    if holder is not None:
        held = {"state": JobState.PROCESSING, "worker": holder, "fence": 1, "started": now}
        values |= held | {"lease_until": now + timedelta(seconds=lease)}
    row = connection.execute(sa.insert(jobs).values(values).returning(*_PUBLIC)).mappings().one()
    if holder is not None:
        _begin_attempts(connection, [(job.id, 1)], holder, now)
    return _job(row)


def claim(
    connection: sa.Connection,
    worker: str,
    *,
    now: datetime,
    lease: float,
    limit: int,
    place: str | None = None,
    offers: Collection[str] = (),
) -> list[Claim]:
    """Claim jobs that wait, the longest due first.

    Args:
        connection: For writing. On PostgreSQL, jobs that another transaction is about to claim are passed over.
        worker: Who claims.
        now: What time it is.
        lease: Seconds that the worker has them without being heard of.
        limit: How many at most.
        place: Where the worker is: what is made already can only be delivered there. None for anywhere.
        offers: What the worker's application gave to it. What needs something else is left to others.
    """
    waiting = (
        sa.select(jobs.c.id)
        .where(_is(JobState.PENDING), jobs.c.due <= now, *_within_reach(place, offers))
        .order_by(jobs.c.due, jobs.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    picked = connection.execute(waiting).scalars().all()
    if not picked:
        return []
    taken = (
        sa.update(jobs)
        # They are locked, or nobody else writes: to ask for their state again would lead away from the primary key.
        .where(jobs.c.id.in_(picked))
        .values(
            state=JobState.PROCESSING,
            worker=worker,
            fence=jobs.c.fence + 1,
            lease_until=now + timedelta(seconds=lease),
            started=now,
            phase="",
            progress=0,
            **_nothing_yet(),
        )
        .returning(jobs)
    )
    rows = connection.execute(taken).mappings().all()
    left = _folders_left(connection, picked)
    _begin_attempts(connection, [(row["id"], row["fence"]) for row in rows], worker, now)
    return [_claim(row, left.get(row["id"], ())) for row in sorted(rows, key=lambda row: (row["due"], row["id"]))]


def own_claim(job: ExportJob, retry: RetryPolicy) -> Claim:
    """The claim of a job that was entered by its holder, who has the request and everything else at hand."""
    return Claim(
        id=job.id,
        fence=job.fence,
        worker=job.worker or "",
        creator=job.creator,
        source=job.source,
        format=job.format,
        sealed=b"",
        folder=job.folder,
        timeout=None,
        retry=retry,
        schedule=job.schedule,
        slot=job.slot,
    )


def held_claim(connection: sa.Connection, job: str, fence: int) -> Claim | None:
    """The claim of an attempt that has its job; None where it has it no longer."""
    row = connection.execute(sa.select(jobs).where(*_held(job, fence))).mappings().one_or_none()
    return None if row is None else _claim(row, _folders_left(connection, [job], below=fence).get(job, ()))


def pulse(connection: sa.Connection, held: Mapping[str, int]) -> dict[str, Pulse]:
    """How held jobs are.

    Args:
        connection: Any.
        held: Fences by job.
    """
    asked = sa.select(jobs.c.id, jobs.c.fence, jobs.c.state, jobs.c.cancel_requested).where(jobs.c.id.in_(held))
    found = {row.id: row for row in connection.execute(asked)}
    return {
        job: Pulse(
            cancel_requested=job in found and bool(found[job].cancel_requested),
            # Under the same fence and not carried out any more: it has come to its end this very moment.
            held=job in found and found[job].fence == fence,
        )
        for job, fence in held.items()
    }


def renew(connection: sa.Connection, job: str, fence: int, *, until: datetime, progress: Progressed | None) -> bool:
    """Renew a lease, and write down how far the attempt is; progress never falls.

    Returns:
        Whether the attempt still has the job.
    """
    values: dict[str, Any] = {"lease_until": until}
    if progress is not None:
        # What is made stays what it is, whoever delivers it.
        told = attrs.asdict(progress)
        counted = {name: sa.case((jobs.c.made.is_(None), told.pop(name)), else_=jobs.c[name]) for name in _COUNTS}
        values |= told | counted
        higher = sa.case((jobs.c.progress > progress.progress, jobs.c.progress), else_=progress.progress)
        values["progress"] = higher
    return connection.execute(sa.update(jobs).where(*_held(job, fence)).values(values)).rowcount == 1


def note_folders(connection: sa.Connection, job: str, fence: int, folders: Sequence[Path]) -> None:
    """Write down where an attempt is going to make files, before it does.

    Raises:
        LeaseLostError: It lost the job.
    """
    _still(connection, job, fence)
    where = (attempts.c.job == job, attempts.c.fence == fence)
    connection.execute(sa.update(attempts).where(*where).values(folders=[str(folder) for folder in folders]))


def may_deliver(connection: sa.Connection, job: str, fence: int) -> bool:
    """Whether an attempt may publish: False where somebody asked the job to stop.

    Raises:
        LeaseLostError: It lost the job.
    """
    row = connection.execute(sa.select(jobs.c.cancel_requested).where(*_held(job, fence))).one_or_none()
    if row is None:
        raise lost(job)
    return not row.cancel_requested


def complete(
    connection: sa.Connection,
    job: str,
    fence: int,
    *,
    now: datetime,
    result: Any,
    files: Iterable[OutputFile],
    place: str | None = None,
    state: JobState = JobState.COMPLETED,
) -> None:
    """Record what an attempt made, and that the job has come to its end by it.

    Args:
        connection: For writing.
        job: The job.
        fence: The attempt's.
        now: What time it is.
        result: What is to be known about it, as JSON-like values.
        files: The files that are on this machine.
        place: Where that is.
        state: ``COMPLETED``, or ``PARTLY_DELIVERED``.

    Raises:
        LeaseLostError: It lost the job.
    """
    values = _made(fence, result, list(files), place) | {"state": state, "progress": 100, "finished": now}
    _record(connection, job, fence, values, files)
    _end_attempt(connection, job, fence, "completed", now)


def made(
    connection: sa.Connection, job: str, fence: int, *, result: Any, files: Iterable[OutputFile], place: str
) -> None:
    """Record what an attempt made; it goes on with delivering it. Arguments as for :func:`complete`.

    Raises:
        LeaseLostError: It lost the job.
    """
    # Who comes after it if it dies takes nothing back any more, and another process than the one that asked may go on.
    values = _made(fence, result, list(files), place) | {"inline": False}
    _record(connection, job, fence, values, files)


def _made(fence: int, result: Any, files: Sequence[OutputFile], place: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {"made": fence, "place": place, "result": result, "error": None}
    if files:
        rows = {file.file: file.rows for file in files}
        values |= {"rows": sum(rows.values()), "bytes": sum(file.size for file in files)}
    return values


def _record(
    connection: sa.Connection, job: str, fence: int, values: Mapping[str, Any], files: Iterable[OutputFile]
) -> None:
    if connection.execute(sa.update(jobs).where(*_held(job, fence)).values(values)).rowcount != 1:
        raise lost(job)
    add_files(connection, files)


def add_files(connection: sa.Connection, files: Iterable[OutputFile]) -> None:
    """Enter files that are on this machine; one that took the place of another of its job takes its row as well."""
    rows = {file.path: attrs.asdict(file) | {"path": str(file.path), "root": str(file.root)} for file in files}
    for row in rows.values():
        row["problem"] = row["problem"] or None
        same = [artifacts.c[name] == row[name] for name in ("job", "place", "path")]
        known = sa.update(artifacts).where(*same, artifacts.c.removed.is_(None))
        if connection.execute(known.values(row | {"id": artifacts.c.id})).rowcount == 0:
            connection.execute(sa.insert(artifacts).values(row))


def delivered(
    connection: sa.Connection,
    job: str,
    fence: int,
    state: JobState,
    *,
    now: datetime,
    due: datetime | None = None,
    error: JobError | None = None,
    ending: Ending | None = None,
) -> None:
    """End an attempt that delivered what is made.

    Args:
        connection: For writing.
        job: The job.
        fence: The attempt's.
        state: ``COMPLETED`` or ``PARTLY_DELIVERED`` where nothing waits any more; ``PENDING`` where something does.
        now: What time it is.
        due: When the next delivery is tried, where one waits.
        error: Why it ended early.
        ending: How the attempt ended, where it did early.

    Raises:
        LeaseLostError: It lost the job.
    """
    values: dict[str, Any] = {"state": state, "error": None if error is None else unstructure(error)}
    if state is JobState.PENDING:
        values |= {"due": due or now, "phase": "", "progress": 0, "inline": False}
    else:
        values |= {"progress": 100, "finished": now}
    if connection.execute(sa.update(jobs).where(*_held(job, fence)).values(values)).rowcount != 1:
        raise lost(job)
    usual: Ending = "waiting" if state is JobState.PENDING else "completed"
    _end_attempt(connection, job, fence, ending or usual, now, error)


def send_again(connection: sa.Connection, job: str, *, now: datetime) -> bool:
    """Let a job whose files are there wait for a worker that delivers them again; False where they are not."""
    fresh = {"state": JobState.PENDING, "due": now, "finished": None, "cancel_requested": False, "inline": False}
    fresh |= {"tries": 0, "losses": 0, "quarantined": False, "error": None, "progress": 0, "phase": ""}
    there = jobs.c.state.in_([JobState.COMPLETED, JobState.PARTLY_DELIVERED])
    return connection.execute(sa.update(jobs).where(jobs.c.id == job, there).values(fresh)).rowcount == 1


def is_made(connection: sa.Connection, job: str) -> bool:
    """Whether a job's files are made."""
    made_one = (jobs.c.id == job, jobs.c.made.is_not(None))
    return connection.execute(sa.select(sa.literal(1)).where(*made_one)).first() is not None


def hasten(connection: sa.Connection, job: str, *, now: datetime) -> bool:
    """Let a job that waits to be delivered have its turn now; False where it does not wait."""
    waits = (jobs.c.id == job, jobs.c.state == JobState.PENDING, jobs.c.made.is_not(None))
    return connection.execute(sa.update(jobs).where(*waits).values(due=now)).rowcount == 1


def made_under(connection: sa.Connection, job: str, fence: int) -> bool:
    """Whether a job's files were made by the attempt with this fence."""
    done = (jobs.c.id == job, jobs.c.made == fence)
    return connection.execute(sa.select(sa.literal(1)).where(*done)).first() is not None


def has_ended(connection: sa.Connection, job: str, fence: int) -> bool:
    """Whether the end of an attempt is recorded."""
    asked = sa.select(attempts.c.outcome).where(attempts.c.job == job, attempts.c.fence == fence)
    return connection.execute(asked).scalar() is not None


def ended(connection: sa.Connection, job: str, fence: int) -> datetime | None:
    """When an attempt ended; None where it has not."""
    asked = sa.select(attempts.c.ended).where(attempts.c.job == job, attempts.c.fence == fence)
    moment: datetime | None = connection.execute(asked).scalar()
    return moment


def still_held(connection: sa.Connection, job: str, fence: int) -> None:
    """Return while an attempt has its job, and keep it so until the end of the transaction.

    Raises:
        LeaseLostError: It lost the job.
    """
    asked = sa.select(sa.literal(1)).where(*_held(job, fence)).with_for_update()
    if connection.execute(asked).first() is None:
        raise lost(job)


def end(
    connection: sa.Connection,
    job: str,
    fence: int,
    ending: Ending,
    *,
    now: datetime,
    error: JobError | None = None,
    due: datetime | None = None,
) -> None:
    """End an attempt that came to nothing, or not to its end.

    Args:
        connection: For writing.
        job: Its job.
        fence: Its fence.
        ending: ``failed`` and ``cancelled`` end the job, too; after the others it waits again.
        now: What time it is.
        error: What happened.
        due: When it may be tried again; as soon as it is its turn by default.

    Raises:
        LeaseLostError: It lost the job.
    """
    changes = _after(ending, now, due) | ({} if error is None else {"error": unstructure(error)})
    if connection.execute(sa.update(jobs).where(*_held(job, fence)).values(changes)).rowcount != 1:
        raise lost(job)
    _end_attempt(connection, job, fence, ending, now, error)


def overdue(connection: sa.Connection, *, now: datetime, limit: int = 100) -> list[ExportJob]:
    """Jobs whose holders were not heard of for longer than their lease, locked for this transaction."""
    asked = (
        sa.select(*_PUBLIC)
        .where(_is(JobState.PROCESSING), jobs.c.lease_until < now)
        .order_by(jobs.c.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_job(row) for row in connection.execute(asked).mappings()]


def take_away(
    connection: sa.Connection, job: ExportJob, state: JobState, *, now: datetime, error: JobError, quarantined: bool
) -> None:
    """Take a job from a holder that was not heard of.

    Args:
        connection: For writing; the job comes from :func:`overdue` in the same transaction.
        job: The job.
        state: What becomes of it: it waits again, failed, is cancelled, or is no longer delivered.
        now: What time it is.
        error: What happened.
        quarantined: Whether it is put aside.
    """
    if state.has_files:
        changes: dict[str, Any] = {"state": state, "progress": 100, "finished": now}
    else:
        ending: Ending = "cancelled" if state is JobState.CANCELLED else "failed"
        changes = _after("lost" if state is JobState.PENDING else ending, now, None)
    # An attempt that is given up here may still run somewhere: only a higher fence keeps it out for certain.
    changes |= {"fence": jobs.c.fence + 1, "losses": jobs.c.losses + 1, "quarantined": quarantined}
    changes |= {"error": unstructure(error)}
    connection.execute(sa.update(jobs).where(*_held(job.id, job.fence)).values(changes))
    _end_attempt(connection, job.id, job.fence, "lost", now, error)


def quarantine(connection: sa.Connection, job: str) -> None:
    """Put a job aside that took too many processes with it."""
    connection.execute(sa.update(jobs).where(jobs.c.id == job).values(quarantined=True))


def get(connection: sa.Connection, job: str) -> ExportJob | None:
    """A job; None where there is none of that id."""
    row = connection.execute(sa.select(*_PUBLIC).where(jobs.c.id == job)).mappings().one_or_none()
    return None if row is None else _job(row)


def attempts_of(connection: sa.Connection, job: str) -> list[tuple[Any, ...]]:
    """The attempts at a job: fence, worker, start, end and how it ended."""
    columns = (attempts.c.fence, attempts.c.worker, attempts.c.started, attempts.c.ended, attempts.c.outcome)
    asked = sa.select(*columns).where(attempts.c.job == job).order_by(attempts.c.fence)
    return [tuple(row) for row in connection.execute(asked)]


def starting_with(connection: sa.Connection, prefix: str, *, creator: str | None, limit: int) -> list[str]:
    """Ids that begin with a text, so that nobody has to type all of one; of one creator, where one is given."""
    # A range, so that the index is used whatever the collation makes of LIKE.
    within = [jobs.c.id >= prefix, jobs.c.id < prefix + "~"]
    if creator is not None:
        # Something is added, so that no index on it is used: one's own jobs may be many, those of a prefix are few.
        within.append(jobs.c.creator.concat("") == creator)
    return list(connection.execute(sa.select(jobs.c.id).where(*within).limit(limit)).scalars())


def listing(
    connection: sa.Connection,
    *,
    creator: str | None = None,
    states: Sequence[JobState] = (),
    before: tuple[datetime, str] | None = None,
    limit: int = 50,
) -> list[ExportJob]:
    """Jobs, the newest first.

    Args:
        connection: Any.
        creator: Only those of this user.
        states: Only those in one of these states.
        before: Only those older than the one with this time of creation and id, to turn pages.
        limit: How many at most.
    """
    if len(states) > 1:
        # One query each: the index has those of one state in the order of time, and not those of two.
        found = [
            job
            for state in dict.fromkeys(states)
            for job in listing(connection, creator=creator, states=[state], before=before, limit=limit)
        ]
        return sorted(found, key=lambda job: (job.created, job.id), reverse=True)[:limit]
    asked = sa.select(*_PUBLIC).order_by(jobs.c.created.desc(), jobs.c.id.desc()).limit(limit)
    if creator is not None:
        asked = asked.where(jobs.c.creator == creator)
    if states:
        asked = asked.where(jobs.c.state == states[0])
    if before is not None:
        asked = asked.where(sa.tuple_(jobs.c.created, jobs.c.id) < before)
    return [_job(row) for row in connection.execute(asked).mappings()]


def ask_to_cancel(connection: sa.Connection, job: str, *, now: datetime) -> JobState | None:
    """Cancel a job that waits, or ask the one who has it to stop; it is locked until the end of the transaction.

    One whose files are made, and that waits to deliver them, stays as it is: see :func:`settle_waiting`.

    Returns:
        Its state before; None where there is no such job.
    """
    current = connection.execute(sa.select(jobs.c.state).where(jobs.c.id == job).with_for_update()).scalar()
    if current == JobState.PENDING:
        connection.execute(
            sa.update(jobs)
            .where(jobs.c.id == job, jobs.c.state == JobState.PENDING, jobs.c.made.is_(None))
            .values(state=JobState.CANCELLED, finished=now, cancel_requested=True)
        )
    elif current == JobState.PROCESSING:
        connection.execute(sa.update(jobs).where(jobs.c.id == job).values(cancel_requested=True))
    return None if current is None else JobState(current)


def settle_waiting(connection: sa.Connection, job: str, state: JobState, *, now: datetime) -> None:
    """Let a job whose files are made come to its end while it waits: nothing of it is delivered any more.

    Args:
        connection: For writing; the job is locked in the same transaction.
        job: The job.
        state: ``COMPLETED`` or ``PARTLY_DELIVERED``.
        now: What time it is.
    """
    values = {"state": state, "finished": now, "progress": 100}
    connection.execute(sa.update(jobs).where(jobs.c.id == job, jobs.c.state == JobState.PENDING).values(values))


def try_again(connection: sa.Connection, job: str, *, now: datetime) -> None:
    """Let a job that failed or was cancelled wait again, as if it had never been tried; a worker carries it out."""
    fresh = {"state": JobState.PENDING, "due": now, "finished": None, "cancel_requested": False, "inline": False}
    fresh |= {"tries": 0, "losses": 0, "quarantined": False, "error": None, "progress": 0, "rows": 0, "bytes": 0}
    again = jobs.c.state.in_([JobState.FAILED, JobState.CANCELLED])
    connection.execute(sa.update(jobs).where(jobs.c.id == job, again).values(**fresh, phase=""))


def remove(connection: sa.Connection, job: str) -> bool:
    """Remove a job that has come to its end, with its attempts; False where it has not, or is not there."""
    over = jobs.c.state.not_in([JobState.PENDING, JobState.PROCESSING])
    return connection.execute(sa.delete(jobs).where(jobs.c.id == job, over)).rowcount == 1


def any_due(
    connection: sa.Connection, *, now: datetime, place: str | None = None, offers: Collection[str] | None = None
) -> bool:
    """Whether something waits to be claimed, or to be taken from a holder that was not heard of."""
    due = (_is(JobState.PENDING), jobs.c.due <= now, *_within_reach(place, offers))
    waiting = sa.select(sa.literal(1)).where(*due).limit(1)
    silent = sa.select(sa.literal(1)).where(_is(JobState.PROCESSING), jobs.c.lease_until < now).limit(1)
    return connection.execute(waiting).first() is not None or connection.execute(silent).first() is not None


def counts(
    connection: sa.Connection, *, place: str | None = None, offers: Collection[str] | None = None
) -> dict[JobState, int]:
    """How many jobs wait, and how many are being carried out; of those that are made already, those at this place.

    Args:
        connection: Any.
        place: Where it is asked from; None for anywhere.
        offers: Without those that need something else; None for all.
    """
    unfinished = [JobState.PENDING, JobState.PROCESSING]
    # One query each: every one is answered by a partial index alone, however many jobs are finished.
    return {
        state: connection.execute(
            sa.select(sa.func.count()).where(_is(state), *_within_reach(place, offers))
        ).scalar_one()
        for state in unfinished
    }


def lost(job: str) -> LeaseLostError:
    """The error for an attempt that writes although it has the job no longer."""
    message = f"Job {job} was taken from this process, which had not been heard of for too long."
    return LeaseLostError(message, hint="Another one carries it out; nothing of this attempt was published.")


def recent_folders(connection: sa.Connection, *, since: datetime) -> list[Path]:
    """Folders in which attempts made files since then, and may have left something."""
    # Also of those that were completed: a file that was published keeps the name that it had while it was made until
    # that is recorded, and for a moment more.
    recent = (attempts.c.started >= since, attempts.c.folders.is_not(None))
    asked = sa.select(attempts.c.folders).where(*recent).distinct()
    return sorted({Path(folder) for (folders,) in connection.execute(asked) for folder in folders})


def folders_of(connection: sa.Connection, job: str) -> tuple[Path, ...]:
    """Folders in which attempts at a job may have left something."""
    return _folders_left(connection, [job]).get(job, ())


def all_folders_of(connection: sa.Connection, job: str) -> tuple[Path, ...]:
    """Folders in which attempts at a job made files, that of the one which made the job's files included."""
    asked = sa.select(attempts.c.folders).where(attempts.c.job == job, attempts.c.folders.is_not(None))
    return tuple(dict.fromkeys(Path(folder) for (folders,) in connection.execute(asked) for folder in folders))


def _is(state: JobState) -> sa.ColumnElement[bool]:
    """Jobs in a state, written out: for a parameter, SQLite does not use the indexes that are of one state only."""
    return jobs.c.state == sa.literal_column(f"'{state.value}'")


def _within_reach(place: str | None, offers: Collection[str] | None) -> Iterator[sa.ColumnElement[bool]]:
    """Jobs whose files are not made yet, or are at this place; and which need nothing that is not offered."""
    if place is not None:
        yield sa.or_(jobs.c.place.is_(None), jobs.c.place == place)
    if offers is not None:
        yield sa.or_(jobs.c.needs.is_(None), jobs.c.needs.in_(sorted(offers))) if offers else jobs.c.needs.is_(None)


def _held(job: str, fence: int) -> tuple[sa.ColumnElement[bool], ...]:
    return jobs.c.id == job, jobs.c.fence == fence, jobs.c.state == JobState.PROCESSING


def _still(connection: sa.Connection, job: str, fence: int) -> None:
    if connection.execute(sa.select(sa.literal(1)).where(*_held(job, fence))).first() is None:
        raise lost(job)


def _after(ending: Ending, now: datetime, due: datetime | None) -> dict[str, Any]:
    """What changes in a job when an attempt ends like this."""
    if ending in {"failed", "cancelled"}:
        tried = {"tries": jobs.c.tries + 1} if ending == "failed" else {}
        return {"state": JobState(ending), "finished": now, **tried}
    waits: dict[str, Any] = {"state": JobState.PENDING, "phase": "", "progress": 0, **_nothing_yet()}
    if due is not None:
        # Otherwise it keeps its turn: it has waited already.
        waits["due"] = due
    if ending == "retried":
        waits["tries"] = jobs.c.tries + 1
    if ending == "crashed":
        waits["losses"] = jobs.c.losses + 1
    return waits


def _nothing_yet() -> dict[str, Any]:
    """Rows and bytes of a job that begins anew; what is made stays what it is."""
    return {column.name: sa.case((jobs.c.made.is_(None), 0), else_=column) for column in (jobs.c.rows, jobs.c.bytes)}


def _begin_attempts(connection: sa.Connection, fences: Sequence[tuple[str, int]], worker: str, now: datetime) -> None:
    rows = [{"job": job, "fence": fence, "worker": worker, "started": now} for job, fence in fences]
    connection.execute(sa.insert(attempts), rows)


def _end_attempt(
    connection: sa.Connection, job: str, fence: int, ending: Ending, now: datetime, error: JobError | None = None
) -> None:
    values = {"ended": now, "outcome": ending, "error": None if error is None else unstructure(error)}
    where = (attempts.c.job == job, attempts.c.fence == fence)
    connection.execute(sa.update(attempts).where(*where).values(values))


def _folders_left(
    connection: sa.Connection, ids: Sequence[str], *, below: int | None = None
) -> dict[str, tuple[Path, ...]]:
    """Folders by job in which attempts made files that were not completed."""
    asked = sa.select(attempts.c.job, attempts.c.folders).where(
        attempts.c.job.in_(ids),
        attempts.c.folders.is_not(None),
        _unclean(),
    )
    if below is not None:
        asked = asked.where(attempts.c.fence < below)
    left: dict[str, tuple[Path, ...]] = {}
    for job, folders in connection.execute(asked):
        left[job] = tuple(dict.fromkeys([*left.get(job, ()), *map(Path, folders)]))
    return left


def _unclean() -> sa.ColumnElement[bool]:
    """Attempts that may have left something: also one that cleans up behind itself may be killed as it does.

    Of the one that made the job's files, nothing is to be taken back.
    """
    unfinished = sa.or_(attempts.c.outcome != "completed", attempts.c.outcome.is_(None))
    maker = sa.select(jobs.c.made).where(jobs.c.id == attempts.c.job).scalar_subquery()
    return sa.and_(unfinished, sa.func.coalesce(maker, -1) != attempts.c.fence)


def _claim(row: sa.RowMapping, leftovers: tuple[Path, ...]) -> Claim:
    values: dict[str, Any] = {field.name: row[field.name] for field in attrs.fields(Claim) if field.name in row}
    retry = structure(row["retry"], RetryPolicy)
    return Claim(**values | {"folder": Path(row["folder"]), "retry": retry, "leftovers": leftovers})


def _job(row: sa.RowMapping) -> ExportJob:
    values: dict[str, Any] = dict(row)
    result = values.pop("result") or {}
    values.pop("place")
    retry, state, error = values.pop("retry"), values.pop("state"), values.pop("error")
    return ExportJob(
        **values | {"folder": Path(values["folder"])},
        state=JobState(state),
        attempts=structure(retry, RetryPolicy).attempts,
        error=None if error is None else structure(error, JobError),
        notes=tuple(result.get("notes", ())),
        complete={JobState.COMPLETED: True, JobState.PARTLY_DELIVERED: False}.get(JobState(state)),
    )

"""Taking jobs from holders that were not heard of, and clearing away what died attempts left on disk."""

import logging
from datetime import datetime, timedelta
from pathlib import Path

import attrs
import sqlalchemy as sa

from tailrace.files.attempts import Leftover, leftovers, release, revoke, settle_recorded
from tailrace.files.scratch import sweep_scratch
from tailrace.files.staging import sweep
from tailrace.files.storage import storage_errors
from tailrace.model.audit import AuditEntry
from tailrace.model.errors import TailraceError
from tailrace.model.states import JobState
from tailrace.model.work import ExportJob, JobError
from tailrace.store import audit, jobs
from tailrace.store.database import Store
from tailrace.work.access import Operation
from tailrace.work.attempt import recorded_files, take_back
from tailrace.work.ending import STOPPED, stop_delivering
from tailrace.work.telling import tell

log = logging.getLogger(__name__)

_REMEMBERED = timedelta(days=7)
"""How long ago an attempt may have been lost for its folders to be looked through when a worker starts."""


@attrs.frozen
class Recovered:
    """A job that was taken from a holder that was not heard of, and what became of it."""

    job: ExportJob
    state: JobState
    quarantined: bool
    folders: tuple[Path, ...]


def recover(store: Store, *, most_losses: int) -> list[Recovered]:
    """Take every job whose lease is over from its holder: it waits again, or is put aside when it killed too many.

    What it published without recording it is taken back: it cannot record it any more, as the fence was raised. Where
    that fails, whoever carries the job out next does it, or a worker that starts.

    Args:
        store: Where the jobs are.
        most_losses: How many workers a job may take with it.
    """
    with store.reading() as connection:
        if not jobs.any_due(connection, now=store.now(connection)):
            return []
    with store.writing() as connection:
        now = store.now(connection)
        taken = [_take(connection, job, now, most_losses) for job in jobs.overdue(connection, now=now)]
    for recovered in taken:
        log.warning(
            "job %s was not heard of any more from worker %s: %s",
            recovered.job.id,
            recovered.job.worker,
            "it is put aside" if recovered.quarantined else f"it is {recovered.state.value} now",
        )
        take_back(store, recovered.folders, recovered.job.id, below=recovered.job.fence + 1)
    return taken


def _take(connection: sa.Connection, job: ExportJob, now: datetime, most_losses: int) -> Recovered:
    quarantined = not job.inline and job.losses + 1 >= most_losses and not job.cancel_requested
    state = JobState.PENDING
    if job.cancel_requested:
        state = JobState.CANCELLED
    elif job.inline or quarantined:
        state = JobState.FAILED
    error = _error(job, quarantined=quarantined)
    folders = jobs.folders_of(connection, job.id)
    if job.made is not None and state is not JobState.PENDING:
        # What is made stays: it is only not delivered any more.
        state = stop_delivering(connection, job, STOPPED if job.cancel_requested else error.message, now=now)
    jobs.take_away(connection, job, state, now=now, error=error, quarantined=quarantined)
    if state in {JobState.FAILED, JobState.CANCELLED}:
        words = "was cancelled." if state is JobState.CANCELLED else f"failed: {error.message}"
        tell(connection, job, state, words, now=now, waited_for=job.inline)
        entry = AuditEntry(
            user=job.creator,
            operation=Operation.EXPORT.value,
            outcome="failed",
            job=job.id,
            source=job.source,
            format=job.format,
            error=error.message,
        )
        audit.append(connection, entry, now=now)
    return Recovered(job, state, quarantined, folders)


def _error(job: ExportJob, *, quarantined: bool) -> JobError:
    if job.inline:
        message = "The process that carried it out ended before the export did."
        return JobError("Lost", message, hint="Nothing was published. Export again.")
    if quarantined:
        message = f"It was put aside: {job.losses + 1} workers ended while they carried it out."
        hint = f"Find out why first; then let it be tried again: tailrace jobs retry {job.id}"
        return JobError("Quarantined", message, hint=hint)
    return JobError("Lost", f"Worker {job.worker} ended, or was stopped, while it carried it out.")


def clear_folders(store: Store, scratch: Path) -> int:
    """Remove unfinished files of attempts without a live lease, where a worker starts.

    Args:
        store: Where the jobs are.
        scratch: The engine's own folder for files in the making.

    Returns:
        How many were removed.
    """
    with store.reading() as connection:
        since = store.now(connection) - _REMEMBERED
        folders = [scratch, *jobs.recent_folders(connection, since=since)]
    removed = 0
    if scratch.is_dir():
        # Of drills: copies of pools, with their credentials.
        with storage_errors(scratch):
            removed += sweep_scratch(scratch)
    for folder in dict.fromkeys(folders):
        removed += sweep(folder)
        for leftover in list(leftovers(folder)):
            try:
                removed += _clear(store, folder, leftover)
            except TailraceError as error:
                log.warning("%s is left where it is: %s", leftover.path, error.message)
    return removed


def _clear(store: Store, folder: Path, leftover: Leftover) -> int:
    """Decide about one file that an attempt left: what the store says of its job decides."""
    tag = leftover.tag
    with store.reading() as connection:
        job = jobs.get(connection, tag.job)
    if job is not None and job.made == tag.fence:
        release(leftover.path)
        return 1
    if job is not None and job.state is JobState.PROCESSING and job.fence <= tag.fence:
        # At work; or not heard of, and then its fence is raised before anything of it is taken back.
        return 0
    if job is None and leftover.alive:
        # A job of another store, whose process is at work: none of our business.
        return 0
    settle_recorded(folder, tag.job, recorded_files(store, tag.job))
    revoke(folder, tag.job, below=tag.fence + 1)
    return 1

"""How an attempt came out, and what becomes of its job: the one place that decides whether it is tried again."""

import random
from datetime import datetime, timedelta

import attrs
import sqlalchemy as sa

from tailrace.model.audit import AuditEntry
from tailrace.model.errors import (
    CancelledError,
    DeadlineError,
    LeaseLostError,
    PluginError,
    RefusedError,
    TailraceError,
    TransientError,
)
from tailrace.model.states import JobState
from tailrace.model.work import JobError, RetryPolicy
from tailrace.reading.userinfo import redacted
from tailrace.store import audit, jobs
from tailrace.store.errors import StoreError
from tailrace.work.access import Operation
from tailrace.work.attempt import Attempt, take_back
from tailrace.work.ending import STOPPED, end_delivering
from tailrace.work.telling import tell


@attrs.frozen
class Outcome:
    """How an attempt came out.

    Args:
        completed: Whether it came to its end, and that is recorded.
        error: What happened otherwise.
        cancelled: Whether it was stopped, by somebody or because the worker ends.
        refused: Whether a rule forbade it.
        crashed: Whether the process that it had for itself died of it.
        late: Whether it could not go on for a reason of its own, its time or the store: what waits is no worse for it.
    """

    completed: bool = False
    error: JobError | None = None
    cancelled: bool = False
    refused: bool = False
    crashed: bool = False
    late: bool = False

    @property
    def message(self) -> str:
        """What happened, in words; empty where all went well."""
        return "" if self.error is None else self.error.message

    @classmethod
    def of(cls, error: BaseException) -> "Outcome":
        """The outcome of an attempt that raised something."""
        return cls(
            error=job_error(error),
            # As a host's own Ctrl-C: whoever pressed it does not want it to be tried again.
            cancelled=isinstance(error, CancelledError | KeyboardInterrupt),
            late=isinstance(error, DeadlineError | StoreError),
            refused=isinstance(error, RefusedError),
        )


def job_error(error: BaseException) -> JobError:
    """An error as it is remembered: the texts of foreign ones, which could quote anything, are not."""
    cause = error.__cause__
    said = "" if cause is None else cause.message if isinstance(cause, TailraceError) else type(cause).__name__
    if not isinstance(error, TailraceError):
        message = f"Something unexpected happened: {type(error).__name__}."
        return JobError(type(error).__name__, message, hint="Please report it; the worker's log has more.", cause=said)
    plugin = error.origin or (error.plugin if isinstance(error, PluginError) else "")
    return JobError(
        kind=type(error).__name__,
        message=redacted(error.message),
        hint=redacted(error.hint),
        cause=redacted(said),
        plugin=plugin,
        transient=isinstance(error, TransientError),
    )


def settle(attempt: Attempt, outcome: Outcome, *, most_losses: int) -> jobs.Ending | None:
    """Record how an attempt ended that was not completed.

    Args:
        attempt: The attempt.
        outcome: How it came out.
        most_losses: How many processes a job may take with it before it is put aside.

    Returns:
        What was recorded; None where nothing had to be, or somebody else has the job.
    """
    # Whoever keeps the lease does it, too, where an attempt does not stop.
    with attempt.settling:
        ending = None
        if not (outcome.completed or attempt.lost or attempt.settled):
            ending = _recorded(attempt, outcome, most_losses)
        if attempt.settled and (attempt.died or attempt.unknown):
            # It could not clean up behind itself; and it cannot be recorded any more.
            with attempt.store.reading() as connection:
                folders = jobs.folders_of(connection, attempt.claim.id)
            take_back(attempt.store, folders, attempt.claim.id, below=attempt.claim.fence + 1)
    return ending


def _recorded(attempt: Attempt, outcome: Outcome, most_losses: int) -> jobs.Ending | None:
    claim, store = attempt.claim, attempt.store
    ending, delay = _ending(attempt, outcome, most_losses)
    # Given back, it is as if it had not been tried.
    error = None if ending == "returned" else outcome.error
    try:
        with store.writing() as connection:
            now = store.now(connection)
            due = now + timedelta(seconds=delay) if delay else None
            ends = ending in {"failed", "cancelled"}
            if ends and jobs.is_made(connection, claim.id):
                # What is made stays: it is only not delivered any more; or later, where only the time was up.
                why = STOPPED if ending == "cancelled" else "" if outcome.late else outcome.message
                end_delivering(connection, attempt, give_up=why, now=now, error=error, ending=ending)
            else:
                jobs.end(connection, claim.id, claim.fence, ending, now=now, error=error, due=due)
                if ends:
                    _tell(attempt, outcome, ending, connection, now)
            if ending == "failed" and outcome.crashed:
                jobs.quarantine(connection, claim.id)
    except LeaseLostError:
        attempt.lost = True
        return None
    attempt.settled = True
    return ending


def _ending(attempt: Attempt, outcome: Outcome, most_losses: int) -> tuple[jobs.Ending, float]:
    """What becomes of the job, and after how many seconds it may be tried again."""
    if outcome.cancelled:
        return ("returned" if attempt.given_back else "cancelled"), 0.0
    if outcome.crashed:
        return ("failed" if attempt.claim.losses + 1 >= most_losses else "crashed"), 0.0
    delay = next_delay(attempt.claim.retry, attempt.claim.tries + 1, outcome.error)
    # What is made already, another process than the one that waits for it may deliver.
    ends = delay is None or (attempt.inline and not attempt.made)
    return ("failed", 0.0) if ends else ("retried", delay or 0.0)


def next_delay(retry: RetryPolicy, failed: int, error: JobError | None) -> float | None:
    """Seconds until something is tried again; None when it is not: it cannot help, or was tried often enough.

    Args:
        retry: The policy.
        failed: Tries that failed so far.
        error: How the last one did.
    """
    if error is None or not error.transient:
        return None
    return retry.delay(failed, random.random())  # noqa: S311 - no secret


def _tell(attempt: Attempt, outcome: Outcome, ending: jobs.Ending, connection: sa.Connection, now: datetime) -> None:
    claim, message = attempt.claim, outcome.message
    words = f"failed: {message}" if ending == "failed" else "was cancelled."
    tell(connection, claim, JobState(ending), words, now=now, waited_for=attempt.inline)
    entry = AuditEntry(
        user=attempt.user.id,
        operation=Operation.EXPORT.value,
        outcome="refused" if outcome.refused else "failed",
        job=claim.id,
        source=claim.source,
        format=claim.format,
        error=message,
        address=attempt.user.address,
        agent=attempt.user.agent,
    )
    audit.append(connection, entry, now=now)

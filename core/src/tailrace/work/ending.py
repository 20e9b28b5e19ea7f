"""What becomes of a job whose files are made, by how its deliveries stand."""

from datetime import datetime
from typing import Final

import sqlalchemy as sa

from tailrace.model.delivery import Delivery
from tailrace.model.job import User
from tailrace.model.states import JobState
from tailrace.model.work import ExportJob, JobError
from tailrace.store import audit, deliveries, jobs
from tailrace.work.announcing import About
from tailrace.work.attempt import Attempt, delivery_entry, words_of
from tailrace.work.ledger import state_of
from tailrace.work.telling import tell

STOPPED: Final = "It was cancelled. What was under way by then may have arrived."
"""Why something is given up that somebody stopped."""


def end_delivering(
    connection: sa.Connection,
    attempt: Attempt,
    *,
    now: datetime,
    give_up: str = "",
    error: JobError | None = None,
    ending: jobs.Ending | None = None,
) -> JobState:
    """End an attempt at a job whose files are made.

    Args:
        connection: For writing.
        attempt: The attempt.
        now: What time it is.
        give_up: Why nothing is tried again; empty where it is.
        error: Why the attempt ended early.
        ending: How the attempt ended, where it did early.

    Returns:
        Where the job is now.

    Raises:
        LeaseLostError: Somebody else has it.
    """
    claim = attempt.claim
    jobs.still_held(connection, claim.id, claim.fence)
    found = jobs.get(connection, claim.id)
    if found is not None and found.cancel_requested:
        # Somebody asked in the last moment.
        give_up = give_up or STOPPED
    given_up = deliveries.give_up(connection, claim.id, give_up, now=now) if give_up else []
    standing = deliveries.standing(connection, [claim.id])[claim.id]
    state = state_of(standing)
    due, why = standing.next_due, None if state is JobState.COMPLETED else error
    jobs.delivered(connection, claim.id, claim.fence, state, now=now, due=due, error=why, ending=ending)
    if state is not JobState.PENDING:
        words = words_of(standing, found.rows if found else 0)
        tell(connection, claim, state, words, now=now, waited_for=attempt.inline)
    _write_down(connection, claim, attempt.user, given_up, give_up, now)
    return state


def stop_delivering(connection: sa.Connection, job: ExportJob, why: str, *, now: datetime) -> JobState:
    """Give up what still waits of a job that nobody holds, and tell its creator.

    Args:
        connection: For writing; the job is locked, or taken, in the same transaction.
        job: The job.
        why: Why nothing is tried again.
        now: What time it is.

    Returns:
        What the job has to be now.
    """
    given_up = deliveries.give_up(connection, job.id, why, now=now)
    standing = deliveries.standing(connection, [job.id])[job.id]
    state = state_of(standing)
    tell(connection, job, state, words_of(standing, job.rows), now=now)
    _write_down(connection, job, User(job.creator), given_up, why, now)
    return state


def _write_down(
    connection: sa.Connection,
    job: About,
    user: User,
    given_up: list[Delivery],
    why: str,
    now: datetime,
) -> None:
    entries = [
        delivery_entry(job, user, row.addressee, why, parameters={"delivery": row.name, "failed_tries": row.tries})
        for row in given_up
    ]
    audit.append_all(connection, entries, now=now)

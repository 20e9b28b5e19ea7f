"""Files that jobs made on this machine, in the store, and what retention writes down about them.

All functions work inside of the caller's transaction; those that change something need one for writing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import attrs
import sqlalchemy as sa

from tailrace.model.retention import FinishedExport
from tailrace.model.states import JobState
from tailrace.model.work import OutputFile
from tailrace.store.tables import artifacts, attempts, jobs, schedules, slots

_WITH_FILES = [state for state in JobState if state.has_files]
_ORDER = (artifacts.c.created, artifacts.c.path, artifacts.c.id)


@attrs.frozen
class Keeping:
    """What retention wants to know about a job.

    Args:
        state: Where it is.
        creator: The user who asked for it.
        source: Name of its source.
        format: Name of its format.
        pinned: Whether its files are kept whatever the rules say.
    """

    state: JobState
    creator: str
    source: str
    format: str
    pinned: bool


@attrs.frozen
class MadeBy:
    """A file, and what was asked for to make it.

    Args:
        file: The file.
        request: The request of its job, without anything secret.
        folder: What relative paths in there count from.
    """

    file: OutputFile
    request: Mapping[str, Any] = attrs.field(repr=False)
    folder: Path


def of_job(connection: sa.Connection, job: str) -> list[OutputFile]:
    """The files of a job, removed ones included, in an order that stays."""
    asked = sa.select(artifacts).where(artifacts.c.job == job).order_by(*_ORDER)
    return [_file(row) for row in connection.execute(asked).mappings()]


def newest_by_templates(
    connection: sa.Connection, place: str, *, creator: str, source: str, limit: int
) -> list[MadeBy]:
    """Files at a place that a user's exports of a source by templates made, and that nobody removed, the newest first.

    Args:
        connection: Any.
        place: The place.
        creator: The user.
        source: Name of the source.
        limit: How many at most.
    """
    theirs = (jobs.c.creator == creator, jobs.c.source == source, jobs.c.template.is_not(None))
    there = (artifacts.c.place == place, artifacts.c.removed.is_(None))
    asked = (
        sa.select(artifacts, jobs.c.request, jobs.c.folder)
        .join(jobs, jobs.c.id == artifacts.c.job)
        .where(*theirs, *there)
        .order_by(artifacts.c.created.desc(), artifacts.c.file, artifacts.c.id)
        .limit(limit)
    )
    rows = connection.execute(asked).mappings()
    return [MadeBy(_file(row), row["request"], Path(row["folder"])) for row in rows]


def finished(
    connection: sa.Connection, place: str, *, within: Path | None = None, also: str = ""
) -> list[FinishedExport]:
    """Jobs that have come to their end with files, which are there, at this place, as far as the store knows.

    Args:
        connection: Any.
        place: The place.
        within: Only with files that are in this folder, or below; they have no others then.
        also: A job that is looked at although it is still being delivered.
    """
    known = (jobs.c.creator, jobs.c.source, jobs.c.format, jobs.c.template, _pinned().label("pinned"), jobs.c.request)
    # Over all files that ever were: what replaced another one may be gone by now, and the other one with it.
    newest_first = (artifacts.c.created.desc(), artifacts.c.job.desc(), artifacts.c.id.desc())
    rank = sa.func.row_number().over(partition_by=artifacts.c.path, order_by=newest_first)
    # A range, so that the index is used; "0" comes behind "/".
    below = () if within is None else (artifacts.c.path > f"{within}/", artifacts.c.path < f"{within}0")
    ranked = sa.select(artifacts.c.id, rank.label("rank")).where(artifacts.c.place == place, *below).subquery()
    asked = (
        sa.select(artifacts, *known, ranked.c.rank)
        .join(jobs, jobs.c.id == artifacts.c.job)
        .join(ranked, ranked.c.id == artifacts.c.id)
        .where(artifacts.c.removed.is_(None), sa.or_(jobs.c.state.in_(_WITH_FILES), jobs.c.id == also))
        .order_by(artifacts.c.job, *_ORDER)
    )
    by_job = groupby(connection.execute(asked).mappings(), key=lambda row: row["job"])
    return [_export(list(rows)) for _job, rows in by_job]


def unfinished(connection: sa.Connection, place: str) -> list[OutputFile]:
    """Files of expired jobs at this place that were not removed yet."""
    asked = (
        sa.select(artifacts)
        .join(jobs, jobs.c.id == artifacts.c.job)
        .where(artifacts.c.removed.is_(None), artifacts.c.place == place, jobs.c.state == JobState.EXPIRED)
        .order_by(*_ORDER)
    )
    return [_file(row) for row in connection.execute(asked).mappings()]


def has_files(connection: sa.Connection, job: str) -> bool:
    """Whether a job has come to its end with files, and is not pinned; it stays so until the end of the transaction."""
    asked = sa.select(sa.literal(1)).where(
        jobs.c.id == job, jobs.c.state.in_(_WITH_FILES), jobs.c.pinned.is_(sa.false())
    )
    return connection.execute(asked.with_for_update()).first() is not None


def keeping(connection: sa.Connection, job: str) -> Keeping | None:
    """What retention wants to know about a job; None where there is none."""
    asked = sa.select(jobs.c.state, jobs.c.creator, jobs.c.source, jobs.c.format, jobs.c.pinned)
    row = connection.execute(asked.where(jobs.c.id == job)).mappings().one_or_none()
    return None if row is None else Keeping(**{**row, "state": JobState(row["state"])})


def expire(connection: sa.Connection, job: str, *, by_hand: bool = False) -> bool:
    """Give up the files of a job, if it is completed and not pinned at this moment.

    Args:
        connection: For writing.
        job: The job.
        by_hand: Whether somebody wishes so, who needs not care what a schedule compares with.

    Returns:
        Whether it is expired now by this.
    """
    may_go = (jobs.c.id == job, jobs.c.state.in_(_WITH_FILES), sa.not_(jobs.c.pinned if by_hand else _pinned()))
    return connection.execute(sa.update(jobs).where(*may_go).values(state=JobState.EXPIRED)).rowcount == 1


def set_pinned(connection: sa.Connection, job: str, *, pinned: bool) -> bool:
    """Pin a job, or no longer.

    Returns:
        False where it is expired, or not there: there is nothing left to keep.
    """
    there = (jobs.c.id == job, jobs.c.state != JobState.EXPIRED)
    return connection.execute(sa.update(jobs).where(*there).values(pinned=pinned)).rowcount == 1


def note_removed(connection: sa.Connection, file: str, *, now: datetime, problem: str = "") -> None:
    """Write down that a file of ours is no longer there; with a problem, what is there instead."""
    values = {"removed": now, "problem": problem or None}
    connection.execute(sa.update(artifacts).where(artifacts.c.id == file, artifacts.c.removed.is_(None)).values(values))


def note_problem(connection: sa.Connection, file: str, problem: str) -> None:
    """Write down why a file could not be deleted."""
    connection.execute(sa.update(artifacts).where(artifacts.c.id == file).values(problem=problem))


def was_replaced(connection: sa.Connection, file: OutputFile) -> bool:
    """Whether a later job put its file at the same place."""
    later = (
        artifacts.c.path == str(file.path),
        artifacts.c.place == file.place,
        artifacts.c.created >= file.created,
        artifacts.c.job != file.job,
    )
    return connection.execute(sa.select(sa.literal(1)).where(*later).limit(1)).first() is not None


def folders_in_use(connection: sa.Connection) -> frozenset[Path]:
    """Folders in which jobs that are being carried out make files."""
    same = (attempts.c.job == jobs.c.id, attempts.c.fence == jobs.c.fence)
    asked = (
        sa.select(attempts.c.folders)
        .join(jobs, sa.and_(*same))
        .where(jobs.c.state == JobState.PROCESSING, attempts.c.folders.is_not(None))
    )
    return frozenset(Path(folder) for (folders,) in connection.execute(asked) for folder in folders)


def _pinned() -> sa.ColumnElement[bool]:
    """Whether the files of a job are kept whatever the rules say: somebody wishes so, or a schedule compares with them.

    What a schedule leaves unsent because it is the same, recipients have from there, and from nowhere else.
    """
    compared = (slots.c.job == jobs.c.id, schedules.c.delivered == slots.c.moment)
    by_schedule = sa.select(sa.literal(1)).join(schedules, schedules.c.id == slots.c.schedule).where(*compared)
    return sa.or_(jobs.c.pinned, by_schedule.exists())


def _file(row: sa.RowMapping) -> OutputFile:
    values = {field.name: row[field.name] for field in attrs.fields(OutputFile)}
    places = {"path": Path(row["path"]), "root": Path(row["root"])}
    return OutputFile(**values | places | {"problem": row["problem"] or ""})


def _export(rows: Sequence[sa.RowMapping]) -> FinishedExport:
    first = rows[0]
    request = first["request"]
    return FinishedExport(
        job=first["job"],
        creator=first["creator"],
        source=first["source"],
        location=str(request.get("location") or "") if isinstance(request, dict) else "",
        format=first["format"],
        template=first["template"],
        pinned=first["pinned"],
        files=tuple(_file(row) for row in rows),
        replaced=frozenset(row["id"] for row in rows if row["rank"] > 1),
    )

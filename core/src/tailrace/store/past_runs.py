"""Earlier runs of a template: how large they were expected to be, and how large they became.

What a run wrote is read from the files that are recorded for it, and not from the job's ``bytes``: those count every
copy, and an export that went to two folders has two.
"""

from collections.abc import Mapping
from typing import Any

import attrs
import sqlalchemy as sa

from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.job import Estimate
from tailrace.model.request import ExportRequest
from tailrace.model.states import JobState
from tailrace.store.tables import artifacts, jobs

AMONG = 100
"""Latest runs of a template that are looked through: what came before them was made of other data."""

_HAD_FILES = [state for state in JobState if state.has_files or state is JobState.EXPIRED]
_COMPRESSION = ("compress", "compress_level")


@attrs.frozen
class PastRun:
    """A run that came to its end with files.

    Args:
        estimated: Bytes that the sample spoke for, before any correction.
        actual: Bytes of its files, each counted once.
    """

    estimated: int
    actual: int


def past_runs(
    connection: sa.Connection, *, creator: str, template: str, request: ExportRequest, most: int
) -> list[PastRun]:
    """The latest runs of a template by one user that a request can learn from, the latest first.

    These have the source, the format and the compression of the request, and an estimate that was written down.

    Args:
        connection: Any.
        creator: The user.
        template: Its name as the user wrote it.
        request: What is going to be exported.
        most: How many at most.
    """
    latest = (
        sa.select(jobs)
        # The second is what the first implies, for SQLite, which has no other way to know that the index serves.
        .where(jobs.c.creator == creator, jobs.c.template == template, jobs.c.template.is_not(None))
        .order_by(jobs.c.created.desc(), jobs.c.id.desc())
        .limit(AMONG)
        .subquery()
    )
    alike = (
        latest.c.source == request.source,
        latest.c.format == request.format,
        latest.c.state.in_(_HAD_FILES),
        latest.c.estimate.is_not(None),
    )
    asked = (
        sa.select(latest.c.id, latest.c.request, latest.c.estimate, artifacts.c.sha256, artifacts.c.size)
        .join(artifacts, artifacts.c.job == latest.c.id)
        .where(*alike)
        .order_by(latest.c.created.desc(), latest.c.id.desc())
    )
    compression = _compression(unstructure(request))
    estimated: dict[str, int] = {}
    # Copies of one file have one digest.
    files: dict[str, dict[str, int]] = {}
    for row in connection.execute(asked):
        if row.id not in files:
            expected = _raw_bytes(row.estimate) if _compression(row.request) == compression else 0
            if expected <= 0:
                continue
            if len(files) == most:
                break
            estimated[row.id], files[row.id] = expected, {}
        files[row.id][row.sha256] = row.size
    return [PastRun(estimated[job], sum(sizes.values())) for job, sizes in files.items()]


def _compression(request: Mapping[str, Any]) -> tuple[Any, ...]:
    given = tuple(request.get(name) for name in _COMPRESSION)
    # Without compression its level says nothing.
    return given if given[0] else given[:1]


def _raw_bytes(document: Any) -> int:
    try:
        return structure(document, Estimate).raw_bytes
    except StructureError:
        # A newer program wrote it: what it says there is not known here.
        return 0

"""Jobs and templates as they are remembered: what was asked, how far it is, how it ended."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs

from tailrace.model.states import JobState


@attrs.frozen
class JobError:
    """Why a job, or one try of it, failed.

    Args:
        kind: Name of the error's class, such as ``"SourceError"``.
        message: What happened.
        hint: What to do about it; may be empty.
        cause: What was behind it, as ``"ValueError"`` or a message of ours; empty where nothing was.
        plugin: The plugin in which it happened; empty where it was none, or is not known.
        transient: Whether trying again may help.
    """

    kind: str
    message: str
    hint: str = ""
    cause: str = ""
    plugin: str = ""
    transient: bool = False


@attrs.frozen
class RetryPolicy:
    """How often something that fails for now is tried, and when again.

    Args:
        attempts: Tries altogether, at least 1.
        first_delay: Seconds before the second; doubled for each further one.
        longest_delay: Seconds at most.
        jitter: Share of a delay that is left to chance, 0 to 1.
    """

    attempts: int = 5
    first_delay: float = 2.0
    longest_delay: float = 300.0
    jitter: float = 0.5

    def delay(self, failed: int, chance: float) -> float | None:
        """Seconds until the next try; None when there is none.

        The delay before try n + 1 is ``min(longest_delay, first_delay * 2 ** (n - 1))``, less up to the share of
        ``jitter`` of it.

        Args:
            failed: Tries that failed so far, at least 1.
            chance: A random number from 0 to 1.
        """
        if failed >= self.attempts:
            return None
        # Beyond 2 ** 60 every delay is the longest.
        full = min(self.longest_delay, self.first_delay * 2.0 ** min(failed - 1, 60))
        return full * (1 - self.jitter * chance)


@attrs.frozen
class OutputFile:
    """A file on this machine that a job made.

    Args:
        id: Unique.
        job: The job.
        sink: The sink that put it there.
        place: Id of the engine's home beside which it was put: elsewhere its path says nothing.
        path: Where it is, or was.
        root: The folder that it is kept below.
        size: Bytes.
        sha256: SHA-256 of it, hexadecimal.
        rows: Rows of all tables in it.
        created: When, UTC.
        removed: When retention, or somebody, removed it; None while it is there.
        problem: Why it could not be removed, the last time that was tried; empty otherwise.
        file: Which of the job's files it is, or a copy of, from 0.
    """

    id: str
    job: str
    sink: str
    place: str
    path: Path
    root: Path
    size: int
    sha256: str
    rows: int
    created: datetime
    removed: datetime | None = None
    problem: str = ""
    file: int = 0


@attrs.frozen
class ExportJob:
    """An export as the store remembers it.

    Args:
        id: Unique; also the ``export_id`` in the manifests of its files.
        state: Where it is.
        creator: The user who asked.
        source: Name of the source.
        format: Name of the format.
        template: Name of the template that it was made from; None for none.
        request: What was asked, without anything secret.
        folder: What its relative paths count from.
        created: When it was asked, UTC.
        due: When it may be begun, UTC.
        started: When its last attempt began.
        finished: When it ended.
        inline: Whether the process that asked carries it out itself.
        worker: Id of the worker that has it, or had it last.
        fence: Number of its attempt; only rises.
        lease_until: Until when the worker has it without being heard of.
        cancel_requested: Whether somebody asked it to stop.
        tries: Attempts that ended in an error.
        losses: Attempts that took their worker with them.
        attempts: Tries that it gets.
        quarantined: Whether it was put aside because it took too many workers with it.
        pinned: Whether its files are kept whatever the rules say.
        phase: ``"reading"``, ``"writing"``, ``"proving"``, ``"delivering"``; empty before.
        progress: 0 to 100.
        rows: Rows done in this phase.
        bytes: Bytes of output so far.
        total_rows: Rows expected; None where that is not known.
        error: Why it failed, or failed the last time.
        notes: What people should know about its result.
        complete: Whether everybody has every file; None while that is not known.
        schedule: Name of the schedule that asked for it; None where somebody did.
        slot: When that was due, UTC, where it is one of the store's schedules.
        made: Under which fence its files were made; None while they are not. From then on it is only delivered.
    """

    id: str
    state: JobState
    creator: str
    source: str
    format: str
    template: str | None
    request: Mapping[str, Any] = attrs.field(repr=False)
    folder: Path
    created: datetime
    due: datetime
    started: datetime | None
    finished: datetime | None
    inline: bool
    worker: str | None
    fence: int
    lease_until: datetime | None
    cancel_requested: bool
    tries: int
    losses: int
    attempts: int
    quarantined: bool
    pinned: bool
    phase: str
    progress: int
    rows: int
    bytes: int
    total_rows: int | None
    error: JobError | None
    notes: tuple[str, ...] = ()
    complete: bool | None = None
    schedule: str | None = None
    slot: datetime | None = None
    made: int | None = None

    def _repr_html_(self) -> str:
        from tailrace.notebook import job_html

        return job_html(self)


@attrs.frozen
class ExportTemplate:
    """A saved request.

    Args:
        id: Unique.
        name: Unique among those of its owner.
        owner: The user who saved it.
        public: Whether everybody may use it.
        description: What it is for.
        request: The request, without anything secret.
        created: When it was saved, UTC.
        changed: When it was changed last, UTC.
    """

    id: str
    name: str
    owner: str
    public: bool
    description: str
    request: Mapping[str, Any] = attrs.field(repr=False)
    created: datetime
    changed: datetime

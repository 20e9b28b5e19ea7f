"""Schedules: what runs by the clock, by which rules, and what became of each time that it was due."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import attrs

from tailrace.model.errors import RequestError
from tailrace.model.request import SinkRequest
from tailrace.model.timing import Timing


class ScheduleKind(StrEnum):
    """What a schedule does."""

    EXPORT = "export"
    """It exports by its template."""
    DRILL = "drill"
    """It checks that the newest export of its template, of a pool, can be restored."""


class Misfire(StrEnum):
    """What becomes of slots that came while nobody was there to begin them."""

    LATEST = "latest"
    """The newest is begun, and stands for those before it."""
    SKIP = "skip"
    """None is begun."""
    ALL = "all"
    """Each is begun, one after another, up to a limit."""


class Overlap(StrEnum):
    """What becomes of a slot while the job of the one before is still being made."""

    WAIT = "wait"
    """It waits for that job."""
    SKIP = "skip"
    """It is left out."""
    BESIDE = "beside"
    """Its job runs beside that one."""


class SlotState(StrEnum):
    """What became of a slot."""

    ENTERED = "entered"
    """It has a job."""
    SKIPPED = "skipped"
    """The job before was still being made."""
    MISSED = "missed"
    """It came while nobody was there to begin it."""


def _not_negative(_instance: object, attribute: "attrs.Attribute[float]", value: float) -> None:
    if not 0 <= value <= _LONGEST:
        message = f"The {attribute.name} of a schedule is 0 to {_LONGEST // 86_400} days."
        raise RequestError(message, hint="Write 30s, 5m or 2h.")


_LONGEST = 31 * 86_400


@attrs.frozen
class ScheduleRules:
    """By which rules a schedule runs.

    Args:
        misfire: What becomes of slots that came while nobody was there.
        overlap: What becomes of a slot while the job of the one before is still being made.
        jitter: Seconds within which a job begins after its slot, by chance, so that not all begin at once.
        skip_unchanged: Whether what has the same data as what was delivered last is not sent.
        incremental: Whether only what came since the slot before is exported.
        lag: Seconds that rows may come late: an increment ends so long before its slot.
        most_failures: After how many failures in a row it is paused; 0 for never.
        notify_failure: Mail addresses that are told of failures besides the admins.
    """

    misfire: Misfire = Misfire.LATEST
    overlap: Overlap = Overlap.WAIT
    jitter: float = attrs.field(default=0.0, validator=_not_negative)
    skip_unchanged: bool = False
    incremental: bool = False
    lag: float = attrs.field(default=300.0, validator=_not_negative)
    most_failures: int = 5
    notify_failure: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if self.most_failures < 0:
            raise RequestError("most_failures is 0 or more.", hint="0 never pauses a schedule.")
        if self.incremental and self.overlap is Overlap.BESIDE:
            message = "Increments follow one another: they cannot be made beside each other."
            raise RequestError(message, hint="Let them wait (--overlap wait), or leave them out (--overlap skip).")


@attrs.frozen
class ScheduleDraft:
    """A schedule as somebody wishes it.

    Args:
        template: Name of its template, ``owner/name`` for somebody else's, which is public then.
        timing: When it is due.
        kind: What it does.
        rules: By which rules it runs.
        sinks: Where it delivers; None for where its template says.
    """

    template: str
    timing: Timing
    kind: ScheduleKind = ScheduleKind.EXPORT
    rules: ScheduleRules = attrs.field(factory=ScheduleRules)
    sinks: tuple[SinkRequest, ...] | None = attrs.field(default=None, repr=False)


@attrs.frozen
class Schedule:
    """A schedule as the store remembers it.

    Args:
        id: Unique.
        name: Unique among those of its owner.
        owner: The user who made it; its exports are that user's.
        kind: What it does.
        template: Name of its template; ``owner/name`` where that is somebody else's.
        timing: When it is due.
        rules: By which rules it runs.
        sinks: Where it delivers, as that is shown; None for where its template says.
        folder: What relative paths count from.
        enabled: Whether it runs; paused otherwise.
        paused: Why it does not, in a sentence; empty where somebody paused it, or it runs.
        last: Slots up to here are dealt with, UTC.
        next: When it is due next, UTC; None where it is not any more, or is paused.
        job: The newest job that it asked for; None for none.
        failures: Jobs of it that failed in a row.
        increments: How many increments it made.
        increment_until: Up to when they go, exclusive, UTC; None for none.
        created: When it was made, UTC.
        changed: When it was changed last, UTC.
    """

    id: str
    name: str
    owner: str
    kind: ScheduleKind
    template: str
    timing: Timing
    rules: ScheduleRules
    sinks: tuple[Mapping[str, Any], ...] | None = attrs.field(repr=False)
    folder: Path
    enabled: bool
    paused: str
    last: datetime
    next: datetime | None
    job: str | None
    failures: int
    increments: int
    increment_until: datetime | None
    created: datetime
    changed: datetime

    @property
    def label(self) -> str:
        """Whose it is, and its name."""
        return f"{self.owner}/{self.name}"


SlotOutcome = Literal["", "completed", "partly delivered", "failed", "cancelled"]
"""How the job of a slot ended; empty while it has not."""


@attrs.frozen
class SlotRecord:
    """What became of a slot.

    Args:
        schedule: Id of the schedule.
        moment: When it was due, UTC; of what somebody asked for by hand, when that was.
        name: The same in local time, with its offset.
        by_hand: Whether somebody asked for it.
        state: What became of it.
        stands_for: For how many slots it stands, itself included.
        first: When the first of them was due.
        seen: When it was dealt with.
        job: Its job; None for none.
        outcome: How that ended.
        note: What is to be known about it: why it failed, that nothing had changed, what a drill found.
        ended: When it ended.
        digest: What tells its data from other; None where nobody asked for that.
        unchanged: Whether it was not sent because it was the same as before.
    """

    schedule: str
    moment: datetime
    name: str
    by_hand: bool
    state: SlotState
    stands_for: int
    first: datetime
    seen: datetime
    job: str | None = None
    outcome: SlotOutcome = ""
    note: str = ""
    ended: datetime | None = None
    digest: str | None = None
    unchanged: bool = False

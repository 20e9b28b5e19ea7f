"""The words in which people are told how an export ended."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from tailrace.model.announcement import Announcement
from tailrace.model.audit import one_line
from tailrace.model.delivery import Standing
from tailrace.model.manifest import Manifest
from tailrace.model.notify import NotifyOn
from tailrace.model.quantities import readable_size

_SUBJECTS: Final = {
    NotifyOn.COMPLETED: "is ready",
    NotifyOn.FAILED: "failed",
    NotifyOn.PARTLY_DELIVERED: "did not reach everybody",
}
_COMMANDS: Final = {
    NotifyOn.COMPLETED: "Get it: tailrace jobs download {job}",
    NotifyOn.FAILED: "Run it again: tailrace jobs retry {job}",
    NotifyOn.PARTLY_DELIVERED: "Send what did not arrive: tailrace jobs resend {job} --failed",
}
_MOST_FILES: Final = 5
"""Files whose names are told."""


class About(Protocol):
    """What is told about: a job, or the claim of one."""

    @property
    def id(self) -> str:
        """The job's id."""
        ...

    @property
    def creator(self) -> str:
        """Who asked for it."""
        ...

    @property
    def source(self) -> str:
        """Name of its source."""
        ...

    @property
    def format(self) -> str:
        """Name of its format."""
        ...

    @property
    def schedule(self) -> str | None:
        """The schedule that asked for it; None where somebody did."""
        ...


def sentence(job: About, words: str) -> str:
    """One sentence about the end of a job.

    Args:
        job: The job.
        words: The rest of the sentence that begins with ``Your export of … as …``.
    """
    return f"Your export of {job.source} as {job.format} {words}"


def announcement(
    job: About,
    event: NotifyOn,
    words: str,
    *,
    files: Sequence[Manifest],
    standing: Standing,
    now: datetime,
) -> Announcement:
    """What whoever asked for an export is told about its end.

    Args:
        job: The job.
        event: How it ended.
        words: As for :func:`sentence`.
        files: The manifests of its files; none where it made none.
        standing: How its deliveries stand.
        now: What time it is.
    """
    return Announcement(
        event=event,
        subject=f"Tailrace: your export of {job.source} as {job.format} {_SUBJECTS[event]}",
        text=sentence(job, words),
        command=_COMMANDS[event].format(job=job.id),
        facts=_facts(job, files, standing),
        moment=now,
    )


def alarm(
    job: About,
    event: NotifyOn,
    words: str,
    *,
    files: Sequence[Manifest],
    standing: Standing,
    paused: bool,
    reasons: str = "",
    now: datetime,
) -> Announcement:
    """What admins are told when scheduled work did not come to its full end.

    Args:
        job: The job.
        event: How it ended.
        words: As for :func:`sentence`.
        files: The manifests of its files; none where it made none.
        standing: How its deliveries stand.
        paused: Whether the schedule was paused because of it.
        reasons: Who did not get it, and why; empty where that is not it.
        now: What time it is.
    """
    name = one_line(job.schedule or "")
    how = "failed" if event is NotifyOn.FAILED else _SUBJECTS[event]
    owner = one_line(job.creator)
    again = f"tailrace schedules resume {owner}/{name}"
    why = {"undelivered": reasons} if reasons else {}
    more = f" It failed too often in a row, so the schedule is paused. Let it run again: {again}" if paused else ""
    return Announcement(
        event=event,
        subject=f"Tailrace: the scheduled export {name} {how}",
        text=f"The export of {job.source} as {job.format} by the schedule {name} of {owner} {words}{more}",
        command=_COMMANDS[event].format(job=job.id),
        facts={"schedule": name, "owner": owner, **_facts(job, files, standing), **why},
        moment=now,
    )


def _facts(job: About, files: Sequence[Manifest], standing: Standing) -> dict[str, str]:
    facts = {"job": job.id, "source": job.source, "format": job.format}
    if files:
        names = [one.file.name for one in files[:_MOST_FILES]]
        more = f" and {len(files) - _MOST_FILES} more" if len(files) > _MOST_FILES else ""
        facts["rows"] = f"{sum(table.rows.written for one in files for table in one.tables):,}"
        facts["size"] = readable_size(sum(one.file.size for one in files))
        facts["files"] = f"{', '.join(names)}{more}"
    if standing.total:
        facts["delivered"] = f"{standing.delivered} of {standing.total}"
    return facts

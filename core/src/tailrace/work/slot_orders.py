"""What the jobs of schedules are to do: the request of a template by now, delivered where the schedule says."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import sqlalchemy as sa

from tailrace.model.errors import NotAllowedError, TailraceError
from tailrace.model.request import ExportRequest, SinkRequest
from tailrace.model.schedule import Schedule, ScheduleKind
from tailrace.model.work import ExportTemplate, JobError
from tailrace.store import templates
from tailrace.store.schedules import DueSchedule
from tailrace.vault.requests import RequestSealer
from tailrace.work.outcome import job_error
from tailrace.work.request_forms import from_whole_form, whole_form

SEALED_FOR = "schedule"
"""The kind of thing that is sealed for a schedule, by its id: where it delivers."""
DRILL_SINK = SinkRequest("disk", "drills")
"""Where the reports of drills go, where their schedule does not say."""
DRILL_FORMAT = "json"


@attrs.frozen
class Order:
    """What the jobs of a schedule are to do.

    Args:
        source: Name of the source.
        format: Name of the format.
        template: Name of the template.
        shown: The request, without anything secret.
        whole: All of it.
        problem: Why there can be no job that does it; None where there can.
    """

    source: str
    format: str
    template: str
    shown: Mapping[str, Any] = attrs.field(repr=False)
    whole: Any = attrs.field(repr=False)
    problem: JobError | None = None


def order_of(
    connection: sa.Connection,
    due: DueSchedule,
    sealer: RequestSealer,
    for_background: Callable[[ExportRequest, Path], ExportRequest],
) -> Order:
    """What the jobs of a schedule are to do: as its template says by now.

    Args:
        connection: Any.
        due: The schedule.
        sealer: Opens what is sealed.
        for_background: A request fit for a worker, its keys as seen from a folder.
    """
    schedule = due.schedule
    template, sealed = templates.get(connection, due.template), templates.sealed_request(connection, due.template)
    shown = {} if template is None else _shown(schedule, template)
    order = Order(
        source=str(shown.get("source", "")),
        format=str(shown.get("format", "")),
        template=schedule.template,
        shown=shown,
        whole={},
    )
    try:
        if template is None or sealed is None or not (template.public or template.owner == schedule.owner):
            raise _not_theirs(schedule)
        values = sealer.open("template", template.id, sealed)
        request = for_background(from_whole_form(values, f"The template {template.name!r}"), schedule.folder)
        sinks = sealer.open(SEALED_FOR, schedule.id, due.sealed)
        if sinks is not None:
            request = from_whole_form(whole_form(request) | {"sinks": sinks}, f"The schedule {schedule.name!r}")
        if schedule.kind is ScheduleKind.DRILL:
            request = drill_request(request, due.template, schedule.owner, to=sinks is not None)
    except TailraceError as error:
        return attrs.evolve(order, problem=job_error(error))
    return attrs.evolve(order, whole=whole_form(request))


def drill_request(backup: ExportRequest, template: str, creator: str, *, to: bool) -> ExportRequest:
    """The request of a drill: an export of what differs between the newest backup and the pool.

    Args:
        backup: The request that makes the backups.
        template: Id of its template.
        creator: Whose backups are meant.
        to: Whether it says where the report goes, rather than where the backups go.
    """
    return ExportRequest(
        source=ScheduleKind.DRILL.value,
        location=backup.location,
        format=DRILL_FORMAT,
        sinks=backup.sinks if to else (DRILL_SINK,),
        options={"template": template, "creator": creator},
        notify=backup.notify,
    )


def _shown(schedule: Schedule, template: ExportTemplate) -> Mapping[str, Any]:
    shown = dict(template.request)
    if schedule.kind is ScheduleKind.DRILL:
        plain = whole_form(drill_request(ExportRequest("pool", "", "json"), template.id, schedule.owner, to=False))
        shown = plain | {"location": shown.get("location"), "notify": shown.get("notify")}
        del shown["openers"]
    if schedule.sinks is not None:
        shown["sinks"] = list(schedule.sinks)
    return shown


def _not_theirs(schedule: Schedule) -> NotAllowedError:
    message = f"The template {schedule.template} is {schedule.owner}'s to use no more."
    return NotAllowedError(message, hint="Let its owner make it public, or let the schedule use another one.")

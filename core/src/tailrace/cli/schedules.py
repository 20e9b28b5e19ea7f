"""``tailrace schedules``: exports by the clock, made, changed and tried."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import attrs
from cyclopts import Group, Parameter

from tailrace.cli.deliveries import remind_of_worker
from tailrace.cli.request import NOT_GIVEN, Texts, sink_of
from tailrace.cli.running import run
from tailrace.cli.schedule_options import (
    NOTHING_SAID,
    WHAT,
    ScheduleOptions,
    WithoutPart,
    changed_draft,
    new_draft,
)
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.cli.slots import called, document_of, standing_of
from tailrace.model.errors import RequestError
from tailrace.model.request import SinkRequest

if TYPE_CHECKING:
    from tailrace.model.schedule import Schedule

_SAVE = Group.create_ordered("How to keep it")


def add(
    name: str,
    /,
    *,
    schedule: ScheduleOptions = NOTHING_SAID,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Make a schedule: a template, and when to export by it. Workers carry it out.

    It says when with --cron or with --every. Relative paths count from the folder in which it is made.

    Args:
        name: What to call it: letters, digits, dots, hyphens and underscores.
    """
    schedules = session.engine.schedules
    made = schedules.add(name, new_draft(schedule, session), user=session.user)
    _tell(session, made, f"Made the schedule {made.name}:")
    if not common.json:
        session.terminal.line(f"Try it: tailrace schedules test {made.name}")
    remind_of_worker(session)
    return 0


def edit(
    name: str,
    /,
    *,
    schedule: ScheduleOptions = NOTHING_SAID,
    without: Annotated[tuple[WithoutPart, ...], Parameter(group=WHAT, negative=())] = (),
    rename: Annotated[str, Parameter(group=_SAVE)] = NOT_GIVEN,
    common: Common = COMMON,  # noqa: ARG001 - read from the session
    session: Shared,
) -> int:
    """Change a schedule; what is not given stays.

    Args:
        name: Its name; OWNER/NAME for somebody else's, which admins may change.
        without: What of it to take away; as often as needed.
        rename: What to call it from now on.
    """
    if schedule == NOTHING_SAID and not without and rename is None:
        raise RequestError("There is nothing to change.", hint="See: tailrace schedules edit --help")
    changed = session.engine.schedules.edit(
        name,
        session.user,
        lambda draft: changed_draft(draft, schedule, without, session),
        new_name=rename,
    )
    return _tell(session, changed, f"Changed the schedule {called(session, changed)}:")


def pause(name: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Let a schedule run no more, until it is resumed; a job of it that is being made is made.

    Args:
        name: Its name; OWNER/NAME for somebody else's.
    """
    paused = session.engine.schedules.pause(name, session.user)
    if common.json:
        return _tell(session, paused, "")
    own_name = called(session, paused)
    session.terminal.line(f"Paused the schedule {own_name}.", "bold")
    session.terminal.line(f"Let it run again: tailrace schedules resume {own_name}")
    return 0


def resume(
    name: str,
    /,
    *,
    common: Common = COMMON,  # noqa: ARG001 - read from the session
    session: Shared,
) -> int:
    """Let a schedule run again; what came while it was paused is not made up for.

    Args:
        name: Its name; OWNER/NAME for somebody else's.
    """
    resumed = session.engine.schedules.resume(name, session.user)
    _tell(session, resumed, f"The schedule {called(session, resumed)} runs:")
    remind_of_worker(session)
    return 0


def run_now(
    name: str,
    /,
    *,
    common: Common = COMMON,  # noqa: ARG001 - read from the session
    session: Shared,
) -> int:
    """Have a worker carry a schedule out now, besides its slots: everybody who is to have it gets it.

    Args:
        name: Its name; OWNER/NAME for somebody else's.
    """
    from tailrace.cli.export import tell_job

    tell_job(session, session.engine.schedules.run_now(name, session.user))
    return 0


def try_out(
    name: str,
    /,
    *,
    to: Annotated[Texts, Parameter(negative=())] = (),
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Carry a schedule out here and now, for you only: into the working folder, or where --to says.

    Nobody is told, and its history stays as it is. Of one with increments, all of the data is exported.

    Args:
        name: Its name; OWNER/NAME for somebody else's.
        to: Where to deliver: a folder, or SINK:TARGET; as often as needed. The working folder if not given.
    """
    from tailrace.cli.export import as_document, exit_code, tell_result

    sinks = tuple(_from_here(sink_of(text, session)) for text in to or ("disk:.",))
    who, engine = session.user, session.engine
    result = run(session, lambda context: engine.test_schedule(name, sinks=sinks, user=who, context=context))
    if common.json:
        session.terminal.document(as_document(result, None))
    else:
        tell_result(session, f"what the schedule {name} makes", result)
    return exit_code(result)


def remove(name: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Remove a schedule and its history. What it exported stays; what waits to be made is cancelled.

    Args:
        name: Its name; OWNER/NAME for somebody else's, which admins may remove.
    """
    session.engine.schedules.remove(name, session.user)
    if common.json:
        session.terminal.document({"removed": name})
    else:
        session.terminal.line(f"Removed the schedule {name} and its history.", "bold")
        session.terminal.line("What it exported stays: tailrace jobs list")
    return 0


def _tell(session: Session, schedule: "Schedule", words: str) -> int:
    """Print when it runs."""
    from tailrace.work.slots import words_of

    if session.common.json:
        session.terminal.document({"schedule": document_of(session, schedule)})
        return 0
    session.terminal.line(words, "bold")
    session.terminal.text(words_of(schedule.timing), indent="  ")
    session.terminal.text(standing_of(session, schedule).sentence, indent="  ")
    return 0


def _from_here(sink: SinkRequest) -> SinkRequest:
    """The same, its folder as seen from anywhere: a schedule has another working folder than whoever tries it."""
    if sink.name != "disk" or sink.target is None:
        return sink
    return attrs.evolve(sink, target=str(Path.cwd() / sink.target))

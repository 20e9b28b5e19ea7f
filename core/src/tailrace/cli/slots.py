"""``tailrace schedules list``, ``show``, ``next`` and ``history``: when schedules are due, and what became of it."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import attrs
from cyclopts import Parameter
from cyclopts.validators import Number

from tailrace.cli.layout import Styled
from tailrace.cli.quantities import counted, roughly, span
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import TailraceError
from tailrace.model.schedule import Misfire, Overlap, ScheduleKind, SlotState

if TYPE_CHECKING:
    from tailrace.model.schedule import Schedule, SlotRecord
    from tailrace.model.timing import Timing

_SHORT = 8
"""Characters of a job's id that are shown."""
_LATE = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
_STYLES: Final = {
    "completed": "green",
    "unchanged": "green",
    "partly delivered": "yellow",
    "failed": "red",
    "cancelled": "yellow",
    "skipped": "yellow",
    "missed": "yellow",
}
_MISFIRES: Final = {
    Misfire.LATEST: "the latest is made up for, and stands for all of them",
    Misfire.SKIP: "none is made up for",
    Misfire.ALL: "each is made up for, one after another",
}
_OVERLAPS: Final = {
    Overlap.WAIT: "it waits for the slot before",
    Overlap.SKIP: "it is left out while the slot before is being made",
    Overlap.BESIDE: "it runs beside the slot before",
}


@attrs.frozen
class Standing:
    """How a schedule stands.

    Args:
        word: ``"due"``, ``"waits"``, ``"paused"`` or ``"ended"``.
        sentence: The same for people, with when, or why.
    """

    word: str
    sentence: str


def list_schedules(
    *,
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """List your schedules: when they run, when they are due next, what came of the last slot.

    Args:
        all_: Those of all users, not only your own; for admins.
    """
    from tailrace.work.slots import words_of

    schedules, user, terminal = session.engine.schedules, session.user, session.terminal
    found = schedules.list(user, everybody=all_)
    newest = [next(iter(schedules.history(one.label, user, limit=1)), None) for one in found]
    if common.json:
        listed = [_listed(session, one, slot) for one, slot in zip(found, newest, strict=True)]
        terminal.document({"schedules": listed})
        return 0
    if not found:
        terminal.text("There is no schedule. Make one: tailrace schedules add NAME --template T --every …")
        return 0
    rows = [
        (
            called(session, one),
            words_of(one.timing),
            _next_in_short(one),
            "" if slot is None else _became(slot),
        )
        for one, slot in zip(found, newest, strict=True)
    ]
    terminal.table(("schedule", "runs", "next", "last"), rows)
    return 0


def show(name: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Show a schedule: when it runs, how it stands, what it does, and by which rules.

    Args:
        name: Its name; OWNER/NAME for somebody else's.
    """
    from tailrace.work.slots import words_of

    schedules, user, terminal = session.engine.schedules, session.user, session.terminal
    found = schedules.show(name, user)
    newest = next(iter(schedules.history(found.label, user, limit=1)), None)
    if common.json:
        terminal.document({"schedule": _listed(session, found, newest)})
        return 0
    terminal.line(found.label, "bold")
    terminal.text(words_of(found.timing))
    terminal.text(standing_of(session, found).sentence)
    terminal.line()
    terminal.table((), list(_facts(found, newest)), indent="  ")
    return 0


def next_slots(
    name: str,
    /,
    *,
    count: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 10,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Say when a schedule is due next, and on which of these days the clocks are changed.

    Args:
        name: Its name; OWNER/NAME for somebody else's.
        count: How many slots; 10 if not given.
    """
    from tailrace.model.convert import unstructure

    schedules, user, terminal = session.engine.schedules, session.user, session.terminal
    found = schedules.show(name, user)
    coming = schedules.next(found.label, user, count=count)
    if common.json:
        terminal.document({"schedule": document_of(session, found), "slots": unstructure(coming)})
        return 0
    if not found.enabled:
        terminal.text("It is paused. If it ran, it would be due:" if coming else "It is paused.")
    if not coming:
        terminal.text("It is not due any more.")
        return 0
    if found.timing.zone == "UTC":
        terminal.table(("slot (UTC)",), [(slot.name,) for slot in coming])
    else:
        rows = [(slot.name, _utc(slot.moment), slot.note) for slot in coming]
        terminal.table((f"slot ({found.timing.zone})", "UTC", ""), rows)
    return 0


def history(
    name: str,
    /,
    *,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 20,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Say what became of the slots of a schedule, the newest first.

    Args:
        name: Its name; OWNER/NAME for somebody else's.
        limit: How many; 20 if not given.
    """
    schedules, user, terminal = session.engine.schedules, session.user, session.terminal
    found = schedules.show(name, user)
    slots = schedules.history(found.label, user, limit=limit)
    if common.json:
        from tailrace.model.convert import unstructure

        terminal.document({"schedule": document_of(session, found), "slots": unstructure(slots)})
        return 0
    if not slots:
        terminal.text(f"Nothing came of it yet. When it is due: tailrace schedules next {name}")
    for slot in slots:
        words = _became(slot)
        job = "" if slot.job is None else f"  job {slot.job[:_SHORT]}"
        terminal.line(f"{slot.name}  {words.text}{', by hand' if slot.by_hand else ''}{job}{_late(slot)}", words.style)
        if slot.stands_for > 1:
            terminal.text(
                f"It stands for {counted(slot.stands_for, 'slot')} since {_utc(slot.first)} UTC.", indent="  "
            )
        note = slot.note.removeprefix(f"{words.text}: ")
        if note:
            terminal.text(f"{note[:1].upper()}{note[1:]}", indent="  ")
    if slots and slots[0].outcome == "failed" and slots[0].job is not None:
        terminal.line()
        terminal.line(f"Run it again: tailrace jobs retry {slots[0].job[:_SHORT]}")
    return 0


def called(session: Session, schedule: "Schedule") -> str:
    """The name by which whoever asks can call a schedule."""
    return schedule.name if schedule.owner == session.user.id else schedule.label


def document_of(session: Session, schedule: "Schedule") -> dict[str, Any]:
    """A schedule as a JSON document: all that is known of it, and how it stands."""
    from tailrace.model.convert import unstructure
    from tailrace.work.slots import words_of

    standing = standing_of(session, schedule)
    document: dict[str, Any] = unstructure(schedule)
    return document | {
        "words": words_of(schedule.timing),
        "next_slot": None if schedule.next is None else _name(schedule.timing, schedule.next),
        "state": standing.word,
        "sentence": standing.sentence,
    }


def standing_of(session: Session, schedule: "Schedule") -> Standing:
    """How a schedule stands: when it is due next, or why it is not."""
    if not schedule.enabled:
        # The store has the reason as a sentence of its own.
        why = f": {schedule.paused[:1].lower()}{schedule.paused[1:]}" if schedule.paused else "."
        again = f"tailrace schedules resume {called(session, schedule)}"
        return Standing("paused", f"Paused{why} Let it run again: {again}")
    if schedule.next is None:
        return Standing("ended", "Ended: it is not due any more.")
    name, wait = _name(schedule.timing, schedule.next), schedule.next - session.engine.schedules.now()
    if wait > timedelta():
        return Standing("due", f"Due next on {name}, in {roughly(wait.total_seconds())}.")
    before = _being_made(session, schedule)
    if before is not None and schedule.rules.overlap is Overlap.WAIT:
        words = f"Waits: job {before[:_SHORT]} of the slot before {name} is still being made."
        return Standing("waits", words)
    return Standing("due", f"Due since {name}: the next worker that looks begins it.")


def _being_made(session: Session, schedule: "Schedule") -> str | None:
    """The job of a schedule that still keeps others of it waiting; None for none."""
    if schedule.job is None:
        return None
    try:
        job = session.engine.jobs.show(schedule.job, session.user)
    except TailraceError:
        # It was removed.
        return None
    return None if job.state.is_final or job.made is not None else job.id


def _listed(session: Session, schedule: "Schedule", newest: "SlotRecord | None") -> dict[str, Any]:
    from tailrace.model.convert import unstructure

    return document_of(session, schedule) | {"last_slot": unstructure(newest)}


def _facts(schedule: "Schedule", newest: "SlotRecord | None") -> Iterator[tuple[str, str | Styled]]:
    rules, drill = schedule.rules, schedule.kind is ScheduleKind.DRILL
    yield "does", "checks that the newest backup can be restored" if drill else "exports"
    yield "template", schedule.template
    for sink in schedule.sinks or ():
        yield "to", sink["name"] if sink["target"] is None else f"{sink['name']}:{sink['target']}"
    if schedule.sinks is None:
        yield "to", "disk:drills" if drill else "where the template says"
    yield "in", str(schedule.folder)
    if newest is not None:
        job = "" if newest.job is None else f", job {newest.job[:_SHORT]}"
        yield "last", f"{newest.name}: {_became(newest).text}{job}"
    yield "misfire", f"{rules.misfire}: {_MISFIRES[rules.misfire]}"
    yield "overlap", f"{rules.overlap}: {_OVERLAPS[rules.overlap]}"
    if rules.jitter:
        yield "jitter", f"it begins up to {_whole(rules.jitter)} later"
    if rules.skip_unchanged:
        yield "unchanged", "what is the same as before is not sent"
    if rules.incremental:
        yield "increments", _increments(schedule)
    failures = f"{schedule.failures} in a row; " if schedule.failures else ""
    yield "failures", failures + (f"paused after {rules.most_failures}" if rules.most_failures else "never paused")
    yield "told", ", ".join(["the admins", *rules.notify_failure])
    yield "made", f"{_utc(schedule.created)} UTC"
    if schedule.changed != schedule.created:
        yield "changed", f"{_utc(schedule.changed)} UTC"


def _increments(schedule: "Schedule") -> str:
    late = f"rows may come {_whole(schedule.rules.lag)} late"
    if schedule.increment_until is None:
        return f"none yet; {late}"
    return f"{schedule.increments:,}, up to {_utc(schedule.increment_until)} UTC; {late}"


def _next_in_short(schedule: "Schedule") -> str | Styled:
    if not schedule.enabled:
        return Styled("paused", "yellow")
    return "ended" if schedule.next is None else _name(schedule.timing, schedule.next)


def _became(slot: "SlotRecord") -> Styled:
    """What became of a slot, in a word or two."""
    words = str(slot.state)
    if slot.state is SlotState.ENTERED:
        words = "unchanged" if slot.unchanged else slot.outcome or "under way"
    return Styled(words, _STYLES.get(words, ""))


def _late(slot: "SlotRecord") -> str:
    late = slot.seen - slot.moment
    if slot.by_hand or slot.state is not SlotState.ENTERED or late <= _LATE:
        return ""
    return f"  {span(late.total_seconds())} late"


def _whole(seconds: float) -> str:
    """A span of time that somebody wrote, most often in one unit: ``"5 min"``."""
    return span(seconds).removesuffix(" 00 s").removesuffix(" 00 min")


def _name(timing: "Timing", moment: datetime) -> str:
    """A slot in the time of its schedule, with the offset."""
    from tailrace.work.slots import slots_after

    return next(slots_after(timing, moment - _TICK)).name


def _utc(moment: datetime) -> str:
    seconds = ":%S" if moment.second else ""
    return f"{moment:%Y-%m-%d %H:%M{seconds}}"

"""What a schedule is told on the command line: when it runs, what it does, and by which rules."""

from collections.abc import Collection
from typing import Annotated, Any, Literal, cast

import attrs
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from tailrace.cli.request import NOT_GIVEN, Texts, sink_of
from tailrace.cli.session import Session
from tailrace.model.errors import OptionError, RequestError
from tailrace.model.schedule import Misfire, Overlap, ScheduleDraft, ScheduleKind
from tailrace.model.timing import Timing

WHEN = Group.create_ordered("When it runs")
WHAT = Group.create_ordered("What it does")
_HOW = Group.create_ordered("How it runs")
_FAILURE = Group.create_ordered("When it fails")

WithoutPart = Literal["until", "to", "notify-failure"]
"""What ``--without`` takes from a schedule."""

_NO_ANSWER = cast("bool", None)
_NO_NUMBER = cast("int", None)
_NO_MISFIRE = cast("Misfire", None)
_NO_OVERLAP = cast("Overlap", None)
_SPAN_HINT = "Write a span of time: 30s, 5m, 1h30m, 2d; or 0."


@Parameter(name="*")
@attrs.frozen
class ScheduleOptions:
    """What was said about a schedule; None, and nothing at all, where nothing was."""

    cron: Annotated[str, Parameter(group=WHEN)] = NOT_GIVEN
    """Five fields: minute, hour, day of the month, month, day of the week. "0 2 * * *" is every night at 02:00."""
    every: Annotated[str, Parameter(group=WHEN)] = NOT_GIVEN
    """A phrase: 6h, "day at 02:30", "monday 09:00", "weekday at 09:00", "2 days at 09:00", "hour at :15"."""
    tz: Annotated[str, Parameter(group=WHEN)] = NOT_GIVEN
    """Time zone whose clock is meant: Europe/Berlin. UTC if not given."""
    start: Annotated[str, Parameter(group=WHEN)] = NOT_GIVEN
    """From this date or time on; an interval such as 6h begins there. From now on if not given."""
    until: Annotated[str, Parameter(group=WHEN)] = NOT_GIVEN
    """Up to this date or time, which is itself not part of it. For ever if not given."""
    template: Annotated[str, Parameter(group=WHAT)] = NOT_GIVEN
    """The template that it exports by, NAME or OWNER/NAME, as that says at the time."""
    drill: Annotated[bool, Parameter(group=WHAT)] = _NO_ANSWER
    """Do not export: check that the newest backup that the template made can be restored, and report."""
    to: Annotated[Texts, Parameter(group=WHAT, negative=())] = ()
    """Where to deliver instead of where the template says: a folder, or SINK:TARGET; as often as needed."""
    skip_unchanged: Annotated[bool, Parameter(group=WHAT)] = _NO_ANSWER
    """Send nothing where the data is the same as what was delivered last."""
    incremental: Annotated[bool, Parameter(group=WHAT)] = _NO_ANSWER
    """Export only what came since the slot before; for sources with times."""
    lag: Annotated[str, Parameter(group=WHAT)] = NOT_GIVEN
    """How late rows may come that belong to an increment: it ends so long before its slot. 5m if not given."""
    misfire: Annotated[Misfire, Parameter(group=_HOW)] = _NO_MISFIRE
    """What becomes of slots that came while no worker was there: the latest is made and stands for those before it (the
    default), skip makes none, all makes each, one after another."""
    overlap: Annotated[Overlap, Parameter(group=_HOW)] = _NO_OVERLAP
    """What becomes of a slot while the one before is still being made: it has to wait (the default), it is left out
    (skip), or runs beside it."""
    jitter: Annotated[str, Parameter(group=_HOW)] = NOT_GIVEN
    """Begin up to so much later, by chance, so that not everything begins at once: 30s, 5m."""
    pause_after: Annotated[int, Parameter(group=_FAILURE, validator=Number(gte=0))] = _NO_NUMBER
    """Pause it after so many failures in a row; 0 for never. 5 if not given."""
    notify_failure: Annotated[Texts, Parameter(group=_FAILURE, negative=())] = ()
    """Mail address that is told of failures, besides the admins; as often as needed."""

    @property
    def says_when(self) -> bool:
        """Whether anything was said about when it runs."""
        return any(text is not None for text in (self.cron, self.every, self.tz, self.start, self.until))


NOTHING_SAID = ScheduleOptions()


def new_draft(options: ScheduleOptions, session: Session) -> ScheduleDraft:
    """The schedule that was described on the command line.

    Args:
        options: What was said.
        session: The command that asks.

    Raises:
        RequestError: Something is missing, or cannot be.
    """
    if options.template is None:
        hint = "See: tailrace schedules add --help, and for the templates that there are: tailrace templates list"
        raise RequestError("tailrace schedules add needs --template.", hint=hint)
    timing = session.engine.schedules.timing(
        cron=options.cron,
        every=options.every,
        zone="UTC" if options.tz is None else options.tz,
        start=options.start,
        until=options.until,
    )
    return _with_said(ScheduleDraft(options.template, timing), options, session)


def changed_draft(
    draft: ScheduleDraft, options: ScheduleOptions, without: Collection[WithoutPart], session: Session
) -> ScheduleDraft:
    """A schedule with what was given on the command line in place of what it is.

    Args:
        draft: What it is.
        options: What was said.
        without: What is taken away from it first.
        session: The command that asks.

    Raises:
        RequestError: Something cannot be.
    """
    if "to" in without:
        draft = attrs.evolve(draft, sinks=None)
    if "notify-failure" in without:
        draft = attrs.evolve(draft, rules=attrs.evolve(draft.rules, notify_failure=()))
    if options.says_when or "until" in without:
        draft = attrs.evolve(draft, timing=_changed_timing(draft.timing, options, without, session))
    return _with_said(draft, options, session)


def _changed_timing(
    timing: Timing, options: ScheduleOptions, without: Collection[WithoutPart], session: Session
) -> Timing:
    kept_until = timing.until.isoformat() if timing.until and "until" not in without else None
    # With another rule it begins anew; otherwise intervals go on from where they are counted.
    same_rule = options.cron is None and options.every is None
    kept_start = timing.start.isoformat() if same_rule else None
    return session.engine.schedules.timing(
        cron=(timing.cron or None) if same_rule else options.cron,
        every=(timing.every or None) if same_rule else options.every,
        zone=timing.zone if options.tz is None else options.tz,
        start=kept_start if options.start is None else options.start,
        until=kept_until if options.until is None else options.until,
    )


def _with_said(draft: ScheduleDraft, options: ScheduleOptions, session: Session) -> ScheduleDraft:
    rules = attrs.evolve(draft.rules, **_rules(options))
    if options.lag is not None and not rules.incremental:
        raise RequestError(
            "--lag is how late rows may come to an increment, and this makes none.", hint="Add --incremental."
        )
    changes: dict[str, Any] = {"rules": rules}
    if options.template is not None:
        changes["template"] = options.template
    if options.drill is not None:
        changes["kind"] = ScheduleKind.DRILL if options.drill else ScheduleKind.EXPORT
    if options.to:
        changes["sinks"] = tuple(sink_of(text, session) for text in options.to)
    return attrs.evolve(draft, **changes)


def _rules(options: ScheduleOptions) -> dict[str, Any]:
    """What was said about rules, by the names of :class:`~tailrace.model.schedule.ScheduleRules`."""
    said: dict[str, Any] = {
        "misfire": options.misfire,
        "overlap": options.overlap,
        "jitter": _seconds(options.jitter, "--jitter"),
        "skip_unchanged": options.skip_unchanged,
        "incremental": options.incremental,
        "lag": _seconds(options.lag, "--lag"),
        "most_failures": options.pause_after,
        "notify_failure": options.notify_failure or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _seconds(text: str, flag: str) -> float | None:
    """A span of time in seconds; None where none was given."""
    from tailrace.work.phrases import read_phrase

    if text is None or text.strip() in {"0", "0s"}:
        return None if text is None else 0.0
    try:
        phrase = read_phrase(text)
    except RequestError:
        phrase = None
    if phrase is None or phrase.weekdays or phrase.at is not None:
        raise OptionError(flag, f"{text!r} is no span of time.", hint=_SPAN_HINT)
    return float(phrase.seconds)

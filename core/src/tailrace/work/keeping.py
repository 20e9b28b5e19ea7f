"""The rules of retention: pure functions of what there is, the settings, and the time.

An export is looked at among those of its kind (see :attr:`~tailrace.model.retention.FinishedExport.group`). The rules
``keep_…`` *protect* the newest of each period, counted over periods in which there was an export; pins protect as well.
What is not protected and old enough goes. Where all files together are still too large, what is not protected goes, the
oldest first, however young it is.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import attrs

from tailrace.model.retention import Decision, FinishedExport, Reason, RetentionPlan, Rule
from tailrace.settings import RetentionSettings

_DAY = 86_400

_Period = Callable[[datetime], str]
_PERIODS: tuple[tuple[Rule, Callable[[RetentionSettings], int], _Period], ...] = (
    (Rule.DAILY, lambda rules: rules.keep_daily, lambda moment: f"{moment:%Y-%m-%d}"),
    (Rule.WEEKLY, lambda rules: rules.keep_weekly, lambda moment: f"week {moment:%G-W%V}"),
    (Rule.MONTHLY, lambda rules: rules.keep_monthly, lambda moment: f"{moment:%Y-%m}"),
    (Rule.YEARLY, lambda rules: rules.keep_yearly, lambda moment: f"{moment:%Y}"),
)


def decide(exports: Iterable[FinishedExport], rules: RetentionSettings, now: datetime) -> RetentionPlan:
    """Decide which exports are kept.

    Args:
        exports: All whose files are there.
        rules: The rules.
        now: What time it is.
    """
    newest_first = sorted(exports, key=_age_order, reverse=True)
    protected = _protected(newest_first, rules)
    decisions = [_by_age(export, protected.get(export.job, ()), rules, now) for export in newest_first]
    return RetentionPlan(tuple(_by_size(decisions, rules)), rules.total_size)


def _age_order(export: FinishedExport) -> tuple[datetime, str]:
    return export.created, export.job


def _protected(newest_first: Sequence[FinishedExport], rules: RetentionSettings) -> Mapping[str, tuple[Reason, ...]]:
    """Why exports are protected, by job."""
    reasons: dict[str, list[Reason]] = defaultdict(list)
    groups: dict[tuple[str, ...], list[FinishedExport]] = defaultdict(list)
    for export in newest_first:
        if export.pinned:
            reasons[export.job].append(Reason(Rule.PINNED, "pinned"))
        # What was replaced must not take the place of something that can still be kept.
        if export.present:
            groups[export.group].append(export)
    for group in groups.values():
        for export in group[: rules.keep_last]:
            reasons[export.job].append(Reason(Rule.LAST, f"one of the newest {rules.keep_last}"))
        for rule, number, period in _PERIODS:
            for name, export in _newest_of(group, period, number(rules)).items():
                reasons[export.job].append(Reason(rule, f"newest of {name}"))
    return {job: tuple(found) for job, found in reasons.items()}


def _newest_of(newest_first: Sequence[FinishedExport], period: _Period, number: int) -> Mapping[str, FinishedExport]:
    """The newest export of each of the last so many periods that have one."""
    found: dict[str, FinishedExport] = {}
    for export in newest_first:
        name = period(export.created.astimezone(UTC))
        if name not in found:
            if len(found) == number:
                break
            found[name] = export
    return found


def _by_age(
    export: FinishedExport, protection: tuple[Reason, ...], rules: RetentionSettings, now: datetime
) -> Decision:
    if protection:
        return Decision(export, kept=True, reasons=protection, protected=True)
    old = rules.days > 0 and (now - export.created).total_seconds() >= rules.days * _DAY
    if rules.days == 0:
        text = "no limit of age"
    else:
        text = f"{'older' if old else 'younger'} than {rules.days:g} day{'' if rules.days == 1 else 's'}"
    return Decision(export, kept=not old, reasons=(Reason(Rule.DAYS, text),), protected=False)


def _by_size(newest_first: Sequence[Decision], rules: RetentionSettings) -> Sequence[Decision]:
    """Remove what is too much: the oldest first."""
    if not rules.total_size:
        return newest_first
    total = sum(decision.export.size for decision in newest_first if decision.kept)
    decided = list(newest_first)
    for index in reversed(range(len(decided))):
        decision = decided[index]
        if total <= rules.total_size:
            break
        # Removing what takes no room would help nobody.
        if decision.kept and not decision.protected and decision.export.size:
            reason = Reason(Rule.TOTAL_SIZE, "over the total size")
            decided[index] = attrs.evolve(decision, kept=False, reasons=(reason,))
            total -= decision.export.size
    return decided

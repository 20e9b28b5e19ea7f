"""``tailrace retention``: which files of finished exports are kept, and removing the rest."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import attrs
from cyclopts import Parameter

from tailrace.cli.quantities import counted, size
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import OptionError

if TYPE_CHECKING:
    from tailrace.model.retention import Decision, RetentionPlan, RetentionResult
    from tailrace.model.work import OutputFile
    from tailrace.settings import RetentionSettings

FAILED = 1

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kMGT]?)B?\s*", re.IGNORECASE)
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_PERIODS = {"daily": "day", "weekly": "week", "monthly": "month", "yearly": "year"}


@Parameter(name="*", group="Rules instead of those in force")
@attrs.frozen
class Rules:
    """Rules for one run; those that are not given hold as they are set, and 0 turns one off."""

    days: float | None = None
    """Remove what is older than so many days."""
    total_size: str | None = None
    """Remove the oldest until all files together are not larger: 500MB, 5GB."""
    keep_last: int | None = None
    """Of each kind of export, keep the newest."""
    keep_daily: int | None = None
    """Keep the newest of each of so many days."""
    keep_weekly: int | None = None
    """Keep the newest of each of so many weeks."""
    keep_monthly: int | None = None
    """Keep the newest of each of so many months."""
    keep_yearly: int | None = None
    """Keep the newest of each of so many years."""

    def over(self, rules: "RetentionSettings") -> "RetentionSettings":
        """Those rules, with what is given here instead."""
        given: dict[str, Any] = {name: value for name, value in attrs.asdict(self).items() if value is not None}
        if self.total_size is not None:
            given["total_size"] = _bytes(self.total_size)
        return attrs.evolve(rules, **given)


_AS_SET = Rules()


def apply(
    *,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    rules: Rules = _AS_SET,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Remove files of finished exports that no rule keeps; say what goes, what stays, and why.

    Args:
        dry_run: Say it only, and remove nothing.
    """
    in_force = rules.over(session.settings.retention)
    retention = session.engine.retention
    if dry_run:
        _tell_plan(session, common, retention.plan(session.user, rules=in_force))
        return 0
    done = run(session, lambda context: retention.apply(session.user, rules=in_force, context=context))
    _tell_result(session, common, done)
    return FAILED if done.problems else 0


def show(*, common: Common = COMMON, session: Shared) -> int:
    """Show the rules in force."""
    from tailrace.model.convert import unstructure

    rules = session.engine.retention.show(session.user)
    terminal = session.terminal
    if common.json:
        terminal.document(unstructure(rules))
        return 0
    limits = [
        ("days", f"removed when older than {rules.days:g} days" if rules.days else "no limit of age"),
        (
            "total_size",
            f"the oldest removed over {size(rules.total_size)}" if rules.total_size else "no limit of size",
        ),
        ("keep_last", f"the newest {rules.keep_last} of each kind kept" if rules.keep_last else "none kept by number"),
    ]
    for name, period in _PERIODS.items():
        number = getattr(rules, f"keep_{name}")
        said = f"the newest of each of {counted(number, period)} kept" if number else f"none kept by {period}"
        limits.append((f"keep_{name}", said))
    limits.append(("daily", "applied by workers once a day" if rules.daily else "applied by hand only"))
    terminal.table(("setting", "what it says"), limits)
    return 0


def _bytes(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise OptionError("total-size", f"{text!r} is no size.", hint="Write 500MB, or 5GB.")
    return round(float(found[1]) * _UNITS[found[2].upper()])


def _tell_plan(session: Session, common: Common, plan: "RetentionPlan") -> None:
    terminal = session.terminal
    if common.json:
        terminal.document({"dry_run": True, **_plan_document(plan)})
        return
    if plan.removed:
        number = counted(len(plan.removed), "export")
        terminal.line(f"Would remove {number}, {size(plan.removed_size)}:", "bold")
        for decision in reversed(plan.removed):
            for file in decision.export.files:
                replaced = "replaced by a later export, which stays; " if file.id in decision.export.replaced else ""
                terminal.line(f"  {file.path} ({_made(file)}): {replaced}{decision.why}")
    else:
        terminal.line("Would remove nothing.", "bold")
    if plan.unfinished:
        terminal.line("Left by an earlier run, and tried again:")
        _tell_files(session, plan.unfinished)
    _tell_kept(session, plan, "Would keep")


def _tell_result(session: Session, common: Common, done: "RetentionResult") -> None:
    terminal = session.terminal
    if common.json:
        document = {
            "dry_run": False,
            **_plan_document(done.plan),
            "removed": [_file_document(file) for file in done.removed],
            "freed": done.size,
            "replaced": [_file_document(file) for file in done.replaced],
            "skipped": [_file_document(file) for file in done.skipped],
            "problems": [_file_document(file) for file in done.problems],
        }
        terminal.document(document)
        return
    if done.removed:
        why = {file.id: decision.why for decision in done.plan.removed for file in decision.export.files}
        terminal.line(f"Removed {counted(len(done.removed), 'file')}, {size(done.size)} freed:", "bold")
        for file in done.removed:
            terminal.line(f"  {file.path} ({_made(file)}): {why.get(file.id, 'left by an earlier run')}")
    else:
        terminal.line("Removed nothing.", "bold")
    if done.replaced:
        terminal.line(f"{counted(len(done.replaced), 'file')} had been replaced by later exports, which stay.")
    _tell_kept(session, done.plan, "Kept")
    if done.skipped:
        terminal.line("In use, and left for the next time:", "yellow")
        _tell_files(session, done.skipped)
    if done.problems:
        terminal.line("Could not be removed:", "bold red")
        _tell_files(session, done.problems)


def _tell_kept(session: Session, plan: "RetentionPlan", verb: str) -> None:
    terminal = session.terminal
    if plan.kept:
        terminal.line(f"{verb} {counted(len(plan.kept), 'export')}, {size(plan.kept_size)}:", "bold")
        for why, number in Counter(map(_in_short, plan.kept)).most_common():
            terminal.line(f"  {number:,} {why}")
    if plan.excess:
        more = f"What must be kept is {size(plan.excess)} more than the total size of {size(plan.total_size)}."
        terminal.text(f"Note: {more} Unpin exports, keep fewer, or allow more.")


def _tell_files(session: Session, files: "Iterable[OutputFile]") -> None:
    for file in files:
        session.terminal.line(f"  {file.path} {file.problem}".rstrip())


def _in_short(decision: "Decision") -> str:
    """Why an export is kept, by the first rule that says so; the days and weeks are left out."""
    reason = decision.reasons[0]
    return f"by {reason.rule}" if reason.rule.startswith("keep-") else reason.text


def _made(file: "OutputFile") -> str:
    return f"{size(file.size)}, {file.created:%Y-%m-%d %H:%M}"


def _plan_document(plan: "RetentionPlan") -> dict[str, Any]:
    return {
        "remove": [_decision_document(decision) for decision in reversed(plan.removed)],
        "keep": [_decision_document(decision) for decision in plan.kept],
        "unfinished": [_file_document(file) for file in plan.unfinished],
        "kept_size": plan.kept_size,
        "total_size": plan.total_size or None,
        "excess": plan.excess,
    }


def _decision_document(decision: "Decision") -> dict[str, Any]:
    return {
        "job": decision.export.job,
        "creator": decision.export.creator,
        "source": decision.export.source,
        "format": decision.export.format,
        "template": decision.export.template,
        "created": decision.export.created.isoformat(),
        "size": decision.export.size,
        "pinned": decision.export.pinned,
        "files": [
            {"path": str(file.path), "size": file.size, "replaced": file.id in decision.export.replaced}
            for file in decision.export.files
        ],
        "why": [{"rule": reason.rule.value, "text": reason.text} for reason in decision.reasons],
    }


def _file_document(file: "OutputFile") -> dict[str, Any]:
    return {
        "job": file.job,
        "path": str(file.path),
        "size": file.size,
        "created": file.created.isoformat(),
        "problem": file.problem or None,
    }

"""Retention: which files of finished exports are kept, which are removed and why, and what became of them."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

import attrs

from tailrace.model.work import OutputFile


class Rule(StrEnum):
    """What decides over an export."""

    PINNED = "pinned"
    LAST = "keep-last"
    DAILY = "keep-daily"
    WEEKLY = "keep-weekly"
    MONTHLY = "keep-monthly"
    YEARLY = "keep-yearly"
    DAYS = "days"
    TOTAL_SIZE = "total-size"


@attrs.frozen
class FinishedExport:
    """A completed job and its files on this machine that were not removed; all of them are kept, or none.

    Args:
        job: Id of the job.
        creator: The user who asked for it.
        source: Name of the source.
        location: Where the source read, without anything secret.
        format: Name of the format.
        template: Name of the template that it was made from; None for none.
        pinned: Whether it is kept whatever the rules say.
        files: The files, at least one.
        replaced: Ids of those in whose place a later export put its own.
    """

    job: str
    creator: str
    source: str
    location: str
    format: str
    template: str | None
    pinned: bool
    files: tuple[OutputFile, ...] = attrs.field(validator=attrs.validators.min_len(1))
    replaced: frozenset[str] = frozenset()

    @property
    def present(self) -> tuple[OutputFile, ...]:
        """The files that are still there, as far as the store knows."""
        return tuple(file for file in self.files if file.id not in self.replaced)

    @property
    def size(self) -> int:
        """Bytes of the files that are still there."""
        return sum(file.size for file in self.present)

    @property
    def group(self) -> tuple[str, ...]:
        """What it has in common with exports of its kind: of those the rules keep the newest."""
        if self.template is not None:
            return self.creator, self.template
        return self.creator, self.source, self.location, self.format

    @property
    def created(self) -> datetime:
        """When its last file was made, UTC."""
        return max(file.created for file in self.files)


@attrs.frozen
class Reason:
    """Why an export is kept, or removed.

    Args:
        rule: The rule.
        text: The same for people, such as ``"newest of 2026-11-29"``.
    """

    rule: Rule
    text: str


@attrs.frozen
class Decision:
    """What the rules say about an export.

    Args:
        export: The export.
        kept: Whether it is kept.
        reasons: Why; for what is protected, every rule that protects it.
        protected: Whether nothing may remove it.
    """

    export: FinishedExport
    kept: bool
    reasons: tuple[Reason, ...]
    protected: bool

    @property
    def why(self) -> str:
        """The reasons in words."""
        return ", ".join(reason.text for reason in self.reasons)


@attrs.frozen
class RetentionPlan:
    """What applying the rules would do.

    Args:
        decisions: One per finished export, the newest first.
        total_size: Bytes that all files together may have; 0 for no limit.
        unfinished: Files of exports that an earlier run gave up, and could not delete yet.
    """

    decisions: tuple[Decision, ...]
    total_size: int
    unfinished: tuple[OutputFile, ...] = ()

    @property
    def kept(self) -> tuple[Decision, ...]:
        """Exports that stay."""
        return tuple(decision for decision in self.decisions if decision.kept)

    @property
    def removed(self) -> tuple[Decision, ...]:
        """Exports that go."""
        return tuple(decision for decision in self.decisions if not decision.kept)

    @property
    def excess(self) -> int:
        """Bytes by which what must be kept exceeds the total size; 0 where it fits."""
        return max(0, _size(self.kept) - self.total_size) if self.total_size else 0

    @property
    def kept_size(self) -> int:
        """Bytes that stay."""
        return _size(self.kept)

    @property
    def removed_size(self) -> int:
        """Bytes that go."""
        return _size(self.removed)


@attrs.frozen
class RetentionResult:
    """What applying the rules did.

    Args:
        plan: What was to be done.
        removed: Files that are gone, those that were gone already included.
        size: Bytes that this freed.
        replaced: Files in whose place a later export had put its own, which stays.
        skipped: Files that are left for the next time, as somebody downloads or writes them; ``problem`` says so.
        problems: Files that could not be deleted; ``problem`` says why.
    """

    plan: RetentionPlan
    removed: tuple[OutputFile, ...] = ()
    size: int = 0
    replaced: tuple[OutputFile, ...] = ()
    skipped: tuple[OutputFile, ...] = ()
    problems: tuple[OutputFile, ...] = ()

    @property
    def kept(self) -> int:
        """How many exports the rules keep."""
        return len(self.plan.kept)


def _size(decisions: Iterable[Decision]) -> int:
    return sum(decision.export.size for decision in decisions)

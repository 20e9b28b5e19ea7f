"""Entries of the audit trail: who did what, how it ended, and what chains each to the one before."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

import attrs

Outcome = Literal["ok", "refused", "failed"]
"""How an operation ended: done, forbidden by a rule, or gone wrong."""

BEGINNING: Final = "0" * 64
"""What stands for the hash of the entry before the first one."""

_MARK = 16
"""Hexadecimal digits that stand for the rest of a text that was cut."""


@attrs.frozen
class AuditEntry:
    """Something that somebody did, or tried to do.

    Args:
        user: Who; empty where nobody said who they are.
        operation: What, as in :class:`tailrace.work.access.Operation`.
        outcome: How it ended.
        job: The job that it was about; None for none.
        thing: What else it was about, in words: the name of a template, of a worker.
        source: Name of the source of an export: the type of its data.
        format: Name of the format of an export.
        since: Start of the time range of an export, inclusive; None for none.
        until: End of it, exclusive.
        rows: Rows of all files; None where there are none.
        size: Bytes of all files on disk.
        file: The file, or several, as paths or names.
        error: What went wrong, or which rule forbade it; empty where nothing did.
        parameters: What else is worth knowing, JSON-like, never with anything secret.
        address: Where it was asked from, such as an IP address.
        agent: With what, such as ``"tailrace export"``.
    """

    user: str
    operation: str
    outcome: Outcome
    job: str | None = None
    thing: str = ""
    source: str = ""
    format: str = ""
    since: datetime | None = None
    until: datetime | None = None
    rows: int | None = None
    size: int | None = None
    file: str = ""
    error: str = ""
    parameters: Mapping[str, Any] = attrs.field(factory=dict)
    address: str = ""
    agent: str = ""


@attrs.frozen(kw_only=True)
class AuditRecord(AuditEntry):
    """An entry as the trail has it.

    Args:
        number: Counts up from 1, without gaps.
        moment: When, UTC.
        previous: Hash of the entry before; :data:`BEGINNING` in the first.
        hash: SHA-256 of everything else in it, hexadecimal: see :mod:`tailrace.store.audit`.
    """

    number: int
    moment: datetime
    previous: str
    hash: str


@attrs.frozen
class AuditFilter:
    """Which entries are asked for; None does not matter.

    Args:
        user: Of this user.
        operation: Of this operation.
        outcome: That ended like this.
        job: About this job.
        since: From this moment on, UTC.
        until: Before this moment, UTC.
        before: With a number below this one: the last of a page gives the next page.
    """

    user: str | None = None
    operation: str | None = None
    outcome: Outcome | None = None
    job: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None


def one_line(text: str) -> str:
    r"""The text with whatever does not print as itself shown as an escape: one line, in lists and in exports.

    Line ends, control characters (those that command a terminal too), characters without width, those that turn the
    order of letters, blanks other than the blank, and half characters become ``\n``, ``\x1b``, ``\u202e`` … A
    backslash becomes two, so that no two texts become one.
    """
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        character if character.isprintable() and character != "\\" else ascii(character)[1:-1] for character in text
    )


def shortened(text: str, most: int) -> str:
    """The text, cut where it has more characters: it then ends in ``…`` and the first 16 digits of its SHA-256.

    Args:
        text: Without half characters.
        most: Characters that it may have, more than 17.
    """
    if len(text) <= most:
        return text
    return f"{text[: most - _MARK - 1]}…{hashlib.sha256(text.encode()).hexdigest()[:_MARK]}"


@attrs.frozen
class ChainReport:
    """What a walk along the whole trail found.

    Args:
        entries: How many there are.
        newest: Hash of the newest; :data:`BEGINNING` where there is none.
        moment: When that was, UTC; None where there is none, or its time cannot be read.
        gaps: First and last number of entries that are missing; the first hundred, as of all faults.
        changed: Numbers of entries whose hash is not that of what they say.
        unlinked: Numbers of entries that do not go on from the one before: one of the two was replaced.
        faults: How many of all these there are.
        first: The lowest number at which something is wrong; None where nothing is.
    """

    entries: int
    newest: str
    moment: datetime | None
    gaps: tuple[tuple[int, int], ...] = ()
    changed: tuple[int, ...] = ()
    unlinked: tuple[int, ...] = ()
    faults: int = 0
    first: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the trail holds together."""
        return not self.faults

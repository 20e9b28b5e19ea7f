"""Checking that increments join: that nothing between them is missing or there twice, and none was replaced.

A manifest says which part of a chain its file is (:class:`~tailrace.model.manifest.IncrementRecord`). From that alone
follows what belongs before and behind it; no store is asked, so that whoever has nothing but the files can check them.

What came behind the last increment, and before the first that is here, no file can tell.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import attrs

from tailrace.files.publish import manifest_path, manifests_below
from tailrace.model.errors import RefusedError, SourceError
from tailrace.model.manifest import IncrementRecord, Manifest
from tailrace.pipeline.verify import Inspection, Verification, inspect
from tailrace.vault.trust import Judgement, Trust

ProblemKind = Literal["unreadable", "damaged", "missing", "gap", "overlap", "twice", "replaced", "range", "differs"]
"""What is wrong.

``unreadable``: what it is cannot be told; ``damaged``: a file fails its own verification; ``missing``: a number is not
there; ``gap``, ``overlap``: an increment does not begin where the one before ends; ``twice``: different files of one
number; ``replaced``: the file before is not the one that the increment goes on from; ``range``: the range of time that
was applied is not the increment's; ``differs``: it was made of other rows or columns than the one before.
"""
NoteKind = Literal["begins", "ends", "copies", "form"]
"""What is worth knowing.

``begins``, ``ends``: earlier or later increments are not here; ``copies``: the same file is there several times;
``form``: it was made of the same rows and columns as the one before, and looks otherwise.
"""


@attrs.frozen
class Problem:
    """Something that is wrong with a chain.

    Args:
        kind: What.
        detail: Facts, in words.
        files: The files that it is about.
    """

    kind: ProblemKind
    detail: str
    files: tuple[Path, ...] = ()


@attrs.frozen
class Note:
    """Something about a chain that is worth knowing, and not wrong.

    Args:
        kind: What.
        detail: Facts, in words.
        files: The files that it is about.
    """

    kind: NoteKind
    detail: str
    files: tuple[Path, ...] = ()


@attrs.frozen
class Increment:
    """An increment as it was found.

    Args:
        number: Its number in the chain.
        since: Where it begins; None for the beginning of the data.
        until: Where it ends, exclusive.
        rows: Rows in it.
        file: The file.
        copies: Where else it is, the same byte for byte.
        ok: Whether file and copies are what their manifests say, by themselves.
        trust: On what ground it is believed to come from whom it says; None where that could not be told.
    """

    number: int
    since: datetime | None
    until: datetime
    rows: int
    file: Path
    copies: tuple[Path, ...]
    ok: bool
    trust: Judgement | None


@attrs.frozen
class Chain:
    """The increments of one chain that hold the same tables.

    Args:
        id: Id of the chain.
        tables: Names of the tables.
        since: Where the first increment begins; None for the beginning of the data.
        until: Where the last one ends, exclusive.
        rows: Rows in all of them, each number counted once.
        increments: The increments, by number.
        problems: What is wrong.
        notes: What is worth knowing.
    """

    id: str
    tables: tuple[str, ...]
    since: datetime | None
    until: datetime
    rows: int
    increments: tuple[Increment, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the increments join, and each is what it says."""
        return not self.problems


@attrs.frozen
class ChainVerification:
    """What came out of checking chains.

    Args:
        chains: The chains.
        unreadable: Files of which it cannot be told whether they are increments.
        others: Exports that are none, and were left aside.
    """

    chains: tuple[Chain, ...]
    unreadable: tuple[Problem, ...] = ()
    others: tuple[Path, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there is a chain, and nothing is wrong with any."""
        return bool(self.chains) and not self.unreadable and all(chain.ok for chain in self.chains)


@attrs.frozen
class _Part:
    """An increment with all that its manifest says."""

    file: Path
    manifest: Manifest
    record: IncrementRecord
    trust: Judgement | None
    damage: str
    copies: "tuple[_Part, ...]" = ()

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(sorted(table.name for table in self.manifest.tables))

    @property
    def rows(self) -> int:
        return sum(table.rows.written for table in self.manifest.tables)

    @property
    def everywhere(self) -> "tuple[_Part, ...]":
        return (self, *self.copies)


def verify_chain(places: Sequence[Path], *, check: Callable[[Path], Verification]) -> ChainVerification:
    """Check each increment against its manifest, and that they join.

    Args:
        places: Exports, their manifests, or folders that are looked through for manifests, with the folders in them.
        check: Verifies one file.

    Raises:
        SourceError: A place does not exist or cannot be read, or no increment is there.
    """
    groups: dict[tuple[str, tuple[str, ...]], list[_Part]] = {}
    unreadable: list[Problem] = []
    others: list[Path] = []
    for found in _exports(places):
        if isinstance(found, Problem):
            unreadable.append(found)
        elif found.manifest.increment is None:
            others.append(found.file)
        else:
            part = _checked(found, found.manifest.increment, check)
            groups.setdefault((part.record.chain, part.tables), []).append(part)
    if not groups and not unreadable:
        what = f"None of the {len(others):,} exports" if len(others) > 1 else "Nothing"
        message = f"{what} in {', '.join(map(str, places))} is an increment."
        raise SourceError(message, hint="Name increments, or the folder that they are in.")
    chains = [_chain(name, tables, parts) for (name, tables), parts in sorted(groups.items())]
    return ChainVerification(tuple(_beside_each_other(chains)), tuple(unreadable), tuple(others))


def readable_moment(moment: datetime | None) -> str:
    """A moment in UTC, as exact as it is: ``"2026-11-01 00:00Z"``, or the beginning of the data."""
    if moment is None:
        return "the beginning"
    utc = moment.astimezone(UTC)
    exact = "microseconds" if utc.microsecond else "seconds" if utc.second else "minutes"
    return f"{utc.replace(tzinfo=None).isoformat(sep=' ', timespec=exact)}Z"


def _exports(places: Iterable[Path]) -> Iterator[Inspection | Problem]:
    """What lies there, each file once, by whatever names and links it is reached."""
    seen = set()
    for place in places:
        for named in manifests_below(place, unreadable=_cannot_look):
            try:
                found = inspect(named)
            except (RefusedError, SourceError) as error:
                if not os.path.lexists(named):
                    # A slip of the pen, and no finding about files.
                    raise
                yield Problem("unreadable", f"{named.name}: {error.message}", (named,))
                continue
            real = os.path.realpath(manifest_path(found.file))
            if real not in seen:
                seen.add(real)
                yield found


def _cannot_look(error: OSError) -> None:
    message = f"{error.filename} cannot be looked through: {error.strerror}."
    # What is in there could be what is missing elsewhere.
    raise SourceError(message, hint="Let this user read it.") from error


def _checked(found: Inspection, record: IncrementRecord, check: Callable[[Path], Verification]) -> _Part:
    try:
        verification = check(found.file)
    except (RefusedError, SourceError) as error:
        # What is not there, or forged, has its place in the chain all the same.
        return _Part(found.file, found.manifest, record, None, error.message)
    wrong = [f"{one.name}: {one.detail}" for one in verification.checks if not one.ok]
    trust = verification.trust
    if trust.trust is Trust.DISTRUSTED:
        wrong.append(f"{trust.trust}: {trust.detail}")
    return _Part(found.file, found.manifest, record, trust, "; ".join(wrong))


def _chain(name: str, tables: tuple[str, ...], parts: Iterable[_Part]) -> Chain:
    variants = _variants(parts)
    line = _line(variants)
    problems = [
        *(problem for part in variants for one in part.everywhere for problem in _by_itself(one)),
        *_twice(variants),
        *(problem for before, part in pairwise(line) for problem in _joint(before, part)),
        *_differences(variants),
    ]
    first = line[0]
    notes = [
        *([_begins(first)] if first.record.number > 1 else ()),
        *(_copies(part) for part in variants if part.copies),
        *_other_forms(variants),
    ]
    return Chain(
        id=name,
        tables=tables,
        since=first.record.since,
        until=line[-1].record.until,
        rows=sum(part.rows for part in line),
        increments=tuple(_increment(part) for part in variants),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _increment(part: _Part) -> Increment:
    return Increment(
        number=part.record.number,
        since=part.record.since,
        until=part.record.until,
        rows=part.rows,
        file=part.file,
        copies=tuple(copy.file for copy in part.copies),
        ok=not any(True for one in part.everywhere for _problem in _by_itself(one)),
        trust=part.trust,
    )


def _variants(parts: Iterable[_Part]) -> list[_Part]:
    """Each file once, with its copies, by number: a sound one stands for all that are equal."""
    equal: dict[tuple[IncrementRecord, str], list[_Part]] = {}
    for part in sorted(parts, key=lambda part: (part.record.number, bool(part.damage), part.file)):
        equal.setdefault((part.record, part.manifest.file.sha256), []).append(part)
    return [attrs.evolve(one, copies=tuple(copies)) for one, *copies in equal.values()]


def _line(variants: Sequence[_Part]) -> list[_Part]:
    """One file of each number: of several the one that the next goes on from, where there is one."""
    line: list[_Part] = []
    for part in reversed(variants):
        if not line or line[-1].record.number != part.record.number:
            line.append(part)
        elif len(line) == 1 or _goes_on_from(line[-2], part) or not _goes_on_from(line[-2], line[-1]):
            line[-1] = part
    return line[::-1]


def _goes_on_from(part: _Part, before: _Part) -> bool:
    return before.manifest.file.sha256 in {file.sha256 for file in part.record.previous}


def _by_itself(part: _Part) -> Iterator[Problem]:
    here = partial(Problem, files=(part.file,))
    if part.damage:
        yield here("damaged", f"{part.file.name}: {part.damage}")
    record, applied = part.record, part.manifest.time_range
    said = f"increment {record.number}, from {_span(record.since, record.until)}"
    if record.since is not None and record.since > record.until:
        yield here("range", f"{part.file.name} is {said}: it ends before it begins.")
    if applied is None:
        yield here("range", f"{part.file.name} is {said}, and holds rows of any time: no range was applied.")
    elif (applied.since, applied.until) != (record.since, record.until):
        held = _span(applied.since, applied.until)
        yield here("range", f"{part.file.name} is {said}, and holds rows from {held}.")


def _twice(variants: Sequence[_Part]) -> Iterator[Problem]:
    numbers: dict[int, list[_Part]] = {}
    for part in variants:
        numbers.setdefault(part.record.number, []).append(part)
    for number, parts in numbers.items():
        if len(parts) > 1:
            files = tuple(part.file for part in parts)
            detail = f"Increment {number} is here as {len(parts)} files that differ: {_names(files)}"
            yield Problem("twice", detail, files)


def _joint(before: _Part, part: _Part) -> Iterator[Problem]:
    """What is wrong where two increments meet that follow each other here."""
    here = partial(Problem, files=(before.file, part.file))
    earlier, later = before.record, part.record
    begins, ends = later.since, earlier.until
    missing = range(earlier.number + 1, later.number)
    between = _span(ends, begins)
    if missing:
        which = f"Increment {missing[0]} is" if len(missing) == 1 else f"Increments {missing[0]} to {missing[-1]} are"
        if begins is not None and begins > ends:
            yield here("missing", f"{which} missing: nothing is here from {between}.")
        else:
            yield here("missing", f"{which} missing, although {later.number} does not begin behind {earlier.number}.")
    elif begins is not None and begins > ends:
        yield here("gap", f"{later.number} does not begin where {earlier.number} ends: nothing is here from {between}.")
    if begins is None or begins < ends:
        twice = _span(begins, min(ends, later.until))
        yield here("overlap", f"{later.number} begins before {earlier.number} ends: what is from {twice} is in both.")
    if not missing and not _goes_on_from(part, before):
        found = f"{before.file.name} with SHA-256 {before.manifest.file.sha256}"
        named = ", ".join(f"{file.name} with SHA-256 {file.sha256}" for file in later.previous) or "no file"
        detail = f"Before {part.file.name} was {named}, and here is {found}: replaced, or made again."
        yield here("replaced", detail)


def _differences(variants: Sequence[_Part]) -> Iterator[Problem]:
    for before, part, names in _changes(variants, _content):
        yield Problem("differs", f"{_changed(before, part, names)}: together they are no table.", (part.file,))


def _other_forms(variants: Sequence[_Part]) -> Iterator[Note]:
    for before, part, names in _changes(variants, _form):
        yield Note("form", f"{_changed(before, part, names)}.", (part.file,))


def _changes(
    variants: Sequence[_Part], look: Callable[[Manifest], dict[str, Any]]
) -> Iterator[tuple[_Part, _Part, list[str]]]:
    every = [one for part in variants for one in part.everywhere]
    for before, part in pairwise(every):
        old, new = look(before.manifest), look(part.manifest)
        names = [name for name in old if old[name] != new[name]]
        if names:
            yield before, part, names


def _content(manifest: Manifest) -> dict[str, Any]:
    """What says which rows and columns of which data are in a file, by what it is called."""
    asked = manifest.parameters
    return {
        "source": (manifest.source.plugin.name, manifest.source.location),
        "columns": (asked.get("columns"), [(table.name, _columns(table)) for table in _tables(manifest)]),
        "column of times": manifest.time_range and manifest.time_range.column,
        "filters": asked.get("where"),
        "limit": asked.get("limit"),
        "options of the source": asked.get("options"),
        "time zone": manifest.time_zone,
        "credential mode": manifest.credentials,
    }


def _form(manifest: Manifest) -> dict[str, Any]:
    """What says how a file looks, by what it is called."""
    return {
        "format": manifest.format.name,
        "options of the format": manifest.format_options,
        "order": manifest.parameters.get("sort"),
        "types of columns": [[column.type for column in table.columns] for table in _tables(manifest)],
    }


def _tables(manifest: Manifest) -> list[Any]:
    return sorted(manifest.tables, key=lambda table: table.name)


def _columns(table: Any) -> list[str]:
    return [column.name for column in table.columns]


def _changed(before: _Part, part: _Part, names: Sequence[str]) -> str:
    # Names only: filters and options are long, and shown by tailrace inspect --json.
    return f"{part.file.name} was made with other {' and '.join(names)} than {before.file.name}"


def _begins(first: _Part) -> Note:
    number, since = first.record.number, readable_moment(first.record.since)
    detail = f"The chain begins with increment {number}: what was before {since} is not here."
    return Note("begins", detail, (first.file,))


def _copies(part: _Part) -> Note:
    files = tuple(one.file for one in part.everywhere)
    detail = f"Increment {part.record.number} is here {len(files)} times, the same each time: "
    return Note("copies", detail + _names(files), files)


def _names(files: Sequence[Path]) -> str:
    """Names of files; with their folders, where the names do not tell them apart."""
    names = [file.name for file in files]
    return ", ".join(names if len(set(names)) == len(names) else map(str, files))


def _beside_each_other(chains: Sequence[Chain]) -> Iterator[Chain]:
    """The chains; where other tables of the same chain go on, that is told."""
    newest: dict[str, int] = {}
    for chain in chains:
        newest[chain.id] = max(newest.get(chain.id, 0), chain.increments[-1].number)
    for chain in chains:
        last = chain.increments[-1]
        if last.number == newest[chain.id]:
            yield chain
        else:
            detail = f"It ends with increment {last.number}; other tables are here up to {newest[chain.id]}."
            yield attrs.evolve(chain, notes=(*chain.notes, Note("ends", detail, (last.file,))))


def _span(since: datetime | None, until: datetime | None) -> str:
    return f"{readable_moment(since)} to {readable_moment(until)}"

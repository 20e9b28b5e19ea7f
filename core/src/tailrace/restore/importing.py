"""Importing: plan it, apply it, take it back; what the engine calls.

An import is applied in this order: the undo record is on disk, the pool is written to (all of it or nothing), the
record is completed. So whatever interrupts it, the pool is as it was or as it was to be, and the record is enough to
tell which.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import attrs
import polars as pl

from tailrace.model.context import Context
from tailrace.model.errors import PluginContractError, RefusedError, RequestError
from tailrace.plugins.pools import HOST_PREFIX, ChoosyTarget, Loss, OpenPoolCall, PoolFile, PoolKeeper, PoolTarget
from tailrace.reading.userinfo import redacted
from tailrace.restore.digests import pool_digest
from tailrace.restore.document import (
    SCHEMA_VERSION,
    ImportPlan,
    PlannedFile,
    PlannedTarget,
    decisions_digest,
    planned_proxies,
)
from tailrace.restore.errors import ClashError, InvalidImportError
from tailrace.restore.fields import typed
from tailrace.restore.identity import Identify
from tailrace.restore.keys import ImportKeys, import_keys
from tailrace.restore.plan import Counts, Plan
from tailrace.restore.planner import plan as planned
from tailrace.restore.records import Frames, ImportRecord, UndoRecords, new_id
from tailrace.restore.request import ImportRequest
from tailrace.restore.undoing import find_out, taking_back, touched_after, touched_before

FOLDER = "imports"
"""Folder of the undo records in the engine's home."""
_SCHEME = "proxywhirl://"


@attrs.frozen
class ImportResult:
    """An import that was made.

    Args:
        import_id: Its id, to take it back; None where there was nothing to write.
        target: The pool, as it is now; see :class:`~tailrace.restore.document.PlannedTarget`.
        counts: How many proxies.
        losses: What the pool cannot hold.
        notes: What people should know.
    """

    import_id: str | None
    target: PlannedTarget
    counts: Counts
    losses: tuple[Loss, ...]
    notes: tuple[str, ...]


@attrs.frozen
class UndoResult:
    """An import that was taken back.

    Args:
        import_id: Its id.
        outcome: ``"undone"``; ``"nothing"``: it never changed the pool, or the pool is as before already;
            ``"already"``: it was taken back earlier.
        removed: Entries that were removed.
        restored: Entries that are again as they were.
        undone: When it was taken back, UTC.
    """

    import_id: str
    outcome: Literal["undone", "nothing", "already"]
    removed: int
    restored: int
    undone: datetime


def plan_import(
    request: ImportRequest,
    file: PoolFile,
    *,
    keeper: PoolKeeper,
    reference: Identify,
    home: Path,
    now: datetime,
    context: Context,
) -> ImportPlan:
    """Say what an import would do; nothing is changed.

    Args:
        request: The import.
        file: The file as it was read, its credentials in clear.
        keeper: Opens the pool.
        reference: Makes keyed ids of identities.
        home: Folder of the engine.
        now: When it is, UTC.
        context: Cancellation and deadline.

    Raises:
        InvalidImportError: The file has problems; all of them.
        TailraceError: Whatever opening the pool raises.
    """
    _refuse_problems(request, file)
    with _opened(request, keeper, write=False, context=context) as target:
        case = _Case.of(request, file, target, import_keys(home), context)
        return case.document(reference, now)


def apply_import(
    request: ImportRequest,
    file: PoolFile,
    plan: ImportPlan | None,
    *,
    keeper: PoolKeeper,
    reference: Identify,
    home: Path,
    now: datetime,
    context: Context,
) -> ImportResult:
    """Carry out an import: all of it or nothing.

    Args:
        request: The import.
        file: The file as it was read, its credentials in clear.
        plan: The plan that it must be the import of; None where there is none.
        keeper: Opens the pool.
        reference: Makes keyed ids of identities.
        home: Folder of the engine.
        now: When it is, UTC.
        context: Cancellation and deadline, up to the moment when the pool is written to.

    Raises:
        InvalidImportError: The file has problems; all of them.
        RefusedError: File, pool or options are not those that were planned.
        ClashError: Proxies that the pool cannot hold, and leaving them out was not asked for.
        TailraceError: Whatever opening or writing the pool raises.
    """
    _refuse_problems(request, file)
    if plan is not None:
        _refuse_other_request(plan, request, file)
    with _opened(request, keeper, write=True, context=context) as target:
        keys = import_keys(home)
        case = _Case.of(request, file, target, keys, context)
        if plan is not None:
            _refuse_other_plan(plan, case, reference)
        if case.plan.counts.clash and not request.leave_out_clashes:
            raise ClashError(case.plan.clashes())
        if not case.plan.changes.count:
            return case.result(None, case.before)
        context.check()
        records = UndoRecords(home / FOLDER, keys.records)
        record, frames = case.undo_record(now)
        records.write(record, frames)
        try:
            added = target.write(case.plan.changes)
        except BaseException:
            with suppress(Exception):
                _forget_if_unchanged(records, record, target, keys)
            raise
        pool = typed(target.read(), whose="the pool")
        after = touched_after(frames.touched, pl.Series(added, dtype=pl.String), pool, keys.digests)
        records.write(attrs.evolve(record, state="applied"), _completed(frames, after))
        _refuse_unwritten(record, case.plan, added, after)
        return case.result(record.import_id, pool_digest(pool, keys.digests))


def undo_import(
    import_id: str,
    *,
    target: PoolTarget | None,
    keeper: PoolKeeper,
    home: Path,
    now: datetime,
    context: Context,
) -> UndoResult:
    """Take an import back: what it added is removed, what it changed is as it was.

    Args:
        import_id: Its id.
        target: The pool, where it is one of the host.
        keeper: Opens other pools.
        home: Folder of the engine.
        now: When it is, UTC.
        context: Cancellation and deadline, up to the moment when the pool is written to.

    Raises:
        RequestError: No such import, or the host's pool is needed and not given.
        RefusedError: What the import touched was changed since.
        TamperedError: The record was changed or damaged.
        TailraceError: Whatever opening or writing the pool raises.
    """
    keys = import_keys(home)
    records = UndoRecords(home / FOLDER, keys.records)
    record, frames = records.read(import_id)
    if record.undone is not None:
        return UndoResult(import_id, "already", 0, 0, record.undone)
    if target is None and record.location is None:
        message = f"Import {import_id} went into a pool of the application ({record.kind})."
        raise RequestError(message, hint="Undo it from there: Engine.undo(import_id, target=…)")
    with _opened_again(record, target, keeper, context) as pool:
        if pool.kind != record.kind:
            message = f"Import {import_id} went into {record.kind}, and there is {pool.kind} now."
            raise RefusedError(message, hint="Nothing was changed. Put the pool back where it was.")
        finding = find_out(record, frames, typed(pool.read(), whose="the pool"), keys.digests)
        undone = attrs.evolve(record, state="undone", undone=now)
        kept = _completed(frames, finding.touched)
        if finding.state == "changed":
            touched = record.added + record.updated
            message = f"{finding.changed:,} of {touched:,} proxies that import {import_id} touched were changed since."
            raise RefusedError(message, hint="Nothing was changed: undoing it would take away those changes, too.")
        if finding.state == "before":
            records.write(undone, kept)
            return UndoResult(import_id, "nothing", 0, 0, now)
        context.check()
        changes = taking_back(finding, frames)
        pool.write(changes)
        records.write(undone, kept)
        return UndoResult(import_id, "undone", len(changes.remove), changes.update.height, now)


def imports_of(home: Path) -> tuple[ImportRecord, ...]:
    """The imports of an engine, the latest first."""
    folder = home / FOLDER
    return tuple(UndoRecords(folder, import_keys(home).records).all()) if folder.is_dir() else ()


@attrs.frozen
class _Case:
    """An import into an opened pool, planned.

    Args:
        request: The import.
        file: The file.
        target: The pool.
        pool: All proxies in it.
        plan: What is going to be done.
        before: Keyed digest of the pool.
        keys: Of the digests.
    """

    request: ImportRequest
    file: PoolFile
    target: PoolTarget
    pool: pl.DataFrame = attrs.field(repr=False)
    plan: Plan
    before: str
    keys: ImportKeys

    @classmethod
    def of(
        cls, request: ImportRequest, file: PoolFile, target: PoolTarget, keys: ImportKeys, context: Context
    ) -> "_Case":
        pool = typed(target.read(), whose="the pool")
        context.check()
        plan = planned(
            file.frame,
            pool,
            on_duplicate=request.on_duplicate,
            holds=frozenset(target.holds),
            unique=target.unique,
            refuses=target.refusals if isinstance(target, ChoosyTarget) else None,
        )
        context.check()
        return cls(request, file, target, pool, plan, pool_digest(pool, keys.digests), keys)

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.file.notes, *self.target.notes, *self.plan.notes]))

    def document(self, reference: Identify, now: datetime) -> ImportPlan:
        from tailrace import __version__

        return ImportPlan(
            schema_version=SCHEMA_VERSION,
            tailrace_version=__version__,
            created=now,
            file=PlannedFile(str(self.request.path), self.file.digest),
            target=self.described(self.before),
            on_duplicate=self.request.on_duplicate,
            leave_out_clashes=self.request.leave_out_clashes,
            counts=self.plan.counts,
            losses=self.plan.losses,
            notes=self.notes,
            proxies=planned_proxies(self.plan, self.file.frame, reference),
            decisions=self.decisions(),
        )

    def decisions(self) -> str:
        return decisions_digest(self.plan, self.keys.digests)

    def described(self, digest: str) -> PlannedTarget:
        into = self.request.into
        return PlannedTarget(redacted(into) if isinstance(into, str) else None, self.target.kind, digest)

    def undo_record(self, now: datetime) -> tuple[ImportRecord, Frames]:
        changes, into = self.plan.changes, self.request.into
        previous = changes.update.select("key", "changed").join(self.pool, on="key", how="left", maintain_order="left")
        # A column that no proxy of the pool had: taking it back takes its values away.
        missing = {name: dtype for name, dtype in changes.update.schema.items() if name not in previous.columns}
        previous = previous.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in missing.items())
        record = ImportRecord(
            import_id=new_id(now),
            created=now,
            location=absolute_location(into, Path.cwd()) if isinstance(into, str) else None,
            kind=self.target.kind,
            file=str(self.request.path),
            added=changes.add.height,
            updated=changes.update.height,
            state="prepared",
            before=self.before,
            dialect=self.request.into_dialect,
            template=self.request.template,
        )
        touched = touched_before(previous, self.keys.digests)
        return record, Frames(previous, touched, self.pool.select("key"), changes.add, changes.update)

    def result(self, import_id: str | None, digest: str) -> ImportResult:
        return ImportResult(import_id, self.described(digest), self.plan.counts, self.plan.losses, self.notes)


def absolute_location(location: str, folder: Path) -> str:
    """A location that means the same in whatever folder it is used.

    Args:
        location: A path, ``proxywhirl://relative/path``, or another URI or ``host:NAME``, which stay as they are.
        folder: Where relative paths begin.
    """
    if location.startswith(HOST_PREFIX):
        return location
    if location.startswith(_SCHEME):
        rest = location.removeprefix(_SCHEME)
        return location if rest.startswith("/") else f"{_SCHEME}{quote(str(folder))}/{rest}"
    return location if "://" in location else str(folder / location)


@contextmanager
def _opened(request: ImportRequest, keeper: PoolKeeper, *, write: bool, context: Context) -> Iterator[PoolTarget]:
    if not isinstance(request.into, str):
        yield request.into
        return
    call = OpenPoolCall(
        request.into,
        write=write,
        dialect=request.into_dialect,
        template=request.template,
        clear=request.clear,
        context=context,
    )
    with keeper.open_pool(call) as target:
        yield target


@contextmanager
def _opened_again(
    record: ImportRecord, target: PoolTarget | None, keeper: PoolKeeper, context: Context
) -> Iterator[PoolTarget]:
    if target is not None:
        yield target
        return
    # What is written back was stored there before, in clear or not.
    call = OpenPoolCall(
        record.location or "",
        write=True,
        dialect=record.dialect,
        template=record.template,
        clear=True,
        context=context,
        existing=record.state == "applied",
    )
    with keeper.open_pool(call) as opened:
        yield opened


def _forget_if_unchanged(records: UndoRecords, record: ImportRecord, target: PoolTarget, keys: ImportKeys) -> None:
    """Remove the record of an import that failed before it changed anything; otherwise it is kept to find out."""
    if pool_digest(typed(target.read(), whose="the pool"), keys.digests) == record.before:
        records.forget(record.import_id)


def _refuse_problems(request: ImportRequest, file: PoolFile) -> None:
    if file.problem_count:
        raise InvalidImportError(str(request.path), file.problems, count=file.problem_count)


def _refuse_other_request(plan: ImportPlan, request: ImportRequest, file: PoolFile) -> None:
    """Refuse what can be told from the request alone, before the pool is opened for writing."""
    into = redacted(request.into) if isinstance(request.into, str) else None
    wrong = []
    if plan.file.sha256 != file.digest:
        wrong.append("the file has changed since")
    if plan.target.location != into:
        wrong.append("it was made for another pool")
    if (plan.on_duplicate, plan.leave_out_clashes) != (request.on_duplicate, request.leave_out_clashes):
        wrong.append("it was made with other options")
    _refuse_stale(wrong)


def _refuse_other_plan(plan: ImportPlan, case: _Case, reference: Identify) -> None:
    if plan.target.digest != case.before or plan.target.kind != case.target.kind:
        _refuse_stale(["the pool has changed since"])
    if plan.decisions != case.decisions():
        _refuse_stale(["what would be done now is not what it says"])
    # Where the file lies, and what a target says about itself when it is opened to be read, decides nothing.
    fresh = attrs.evolve(
        case.document(reference, plan.created),
        file=plan.file,
        tailrace_version=plan.tailrace_version,
        notes=plan.notes,
    )
    if plan != fresh:
        _refuse_stale(["the plan itself was changed"])


def _refuse_stale(wrong: Sequence[str]) -> None:
    if wrong:
        message = f"The plan cannot be applied: {' and '.join(wrong)}."
        raise RefusedError(message, hint="Nothing was changed. Make a new plan, review it, and apply that one.")


def _refuse_unwritten(record: ImportRecord, plan: Plan, added: Sequence[str], after: pl.DataFrame) -> None:
    """Notice a target that says it wrote something, and did not."""
    if len(added) != plan.changes.add.height or after["after"].null_count():
        message = f"{record.kind} did not write what it was given: entries are missing after the import."
        raise PluginContractError(record.kind, message, hint=f"Take it back: tailrace undo {record.import_id}")


def _completed(frames: Frames, touched: pl.DataFrame) -> Frames:
    """The frames without what is only needed while nobody knows whether the pool was written to."""
    return attrs.evolve(
        frames, touched=touched, known=frames.known.clear(), add=frames.add.clear(), update=frames.update.clear()
    )

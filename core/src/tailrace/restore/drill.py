"""The restore drill: proves that a backup can be imported, and says what differs between it and the live pool.

Nothing happens to the pool. It is copied; the copy is read, and planned against; then all proxies are taken out of it,
and the backup is imported as ``tailrace import`` does it. So what is proven is an import into a pool of the same kind,
of the same make and encryption; it is read back and compared with the backup. The copy is removed whatever happens.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import attrs
import polars as pl

from tailrace.files.scratch import scratch_folder
from tailrace.model.audit import one_line
from tailrace.model.context import Context
from tailrace.model.errors import IntegrityError, NotAllowedError, RefusedError, RequestError, TamperedError
from tailrace.model.manifest import Manifest
from tailrace.model.request import CredentialMode
from tailrace.pipeline.verify import Verification, inspect
from tailrace.plugins.pools import ChoosyTarget, Loss, OpenPoolCall, PoolChanges, PoolFile, PoolKeeper, PoolTarget
from tailrace.reading.userinfo import redacted
from tailrace.restore.comparison import Comparison, compare, firsts, lost
from tailrace.restore.convert import in_words
from tailrace.restore.errors import InvalidImportError
from tailrace.restore.fields import typed
from tailrace.restore.identity import Identify
from tailrace.restore.importing import ImportResult, apply_import
from tailrace.restore.plan import Counts, Plan
from tailrace.restore.planner import plan as planned
from tailrace.restore.request import ImportRequest, OnDuplicate
from tailrace.restore.scratch import copied_pool, named_as, path_of
from tailrace.restore.unlocking import TABLE
from tailrace.vault.trust import Trust

if TYPE_CHECKING:
    from tailrace.restore.unlocking import Resolver

Verify = Callable[[Path, bool], Verification]
"""Checks a file against its manifest; with the keys at hand, where the second argument says that it is sealed."""

_LISTED: Final = 5
"""Columns, or places, that a sentence lists."""
_UNITS: Final = {"day": 24 * 60, "hour": 60, "minute": 1}
"""Of ages, in minutes."""


class OpenFile(Protocol):
    """Reads a pool file, checks who signed it, and brings its credentials into clear, as an engine does."""

    def __call__(self, path: Path, resolver: "Resolver | None") -> PoolFile:
        """Open it; references are resolved by the resolver."""
        ...


@attrs.frozen(eq=False)
class DrillResult:
    """A backup that can be restored, and what differs between it and the live pool.

    Nothing in it is secret.

    Args:
        path: The backup.
        export_id: The export that made it.
        created: When that began, UTC.
        age: How long ago that was.
        pool: Where the live pool is, without any password.
        kind: What it is: ``"proxywhirl-sqlite"``.
        credentials: Whether the backup has the credentials; without, the pool would come back without any.
        proxies: Proxies in the backup.
        pool_proxies: Proxies in the live pool.
        comparison: What differs, counted and listed.
        plan: What an import into the live pool would do now, proxies that are there being left as they are.
        losses: What an import into an empty pool does not bring back.
        notes: What people should know, in sentences.
    """

    path: Path
    export_id: str
    created: datetime
    age: timedelta
    pool: str
    kind: str
    credentials: bool
    proxies: int
    pool_proxies: int
    comparison: Comparison
    plan: Counts
    losses: tuple[Loss, ...]
    notes: tuple[str, ...]

    @property
    def differences(self) -> pl.DataFrame:
        """One row for each proxy that differs; its columns are those of :data:`~tailrace.restore.comparison.SCHEMA`."""
        return self.comparison.differences

    @property
    def sentence(self) -> str:
        """The result in one line, for people."""
        found = self.comparison
        without = "" if self.credentials else " without credentials"
        count = "1 difference" if found.count == 1 else f"{found.count:,} differences"
        parts = ", ".join(_parts(found))
        more = []
        if self.losses:
            more.append(f"not brought back: {in_words(self.losses, read=self.proxies)}")
        if found.running:
            more.append(f"running state differs for {found.running:,}")
        return (
            f"Restorable{without}, {count}{f' ({parts})' if parts else ''}: {_proxies(self.proxies)} of backup "
            f"{one_line(self.path.name)}, {_age(self.age)} old{''.join(f'; {text}' for text in more)}."
        )


def drill(
    path: Path,
    location: str,
    *,
    verify: Verify,
    open_file: OpenFile,
    keeper: PoolKeeper,
    identify: Identify,
    scratch: Path,
    now: datetime,
    context: Context,
) -> DrillResult:
    """Prove that a backup can be imported, and compare it with the live pool, to which nothing happens.

    Args:
        path: The backup, or its manifest.
        location: Where the live pool is: a path, or ``proxywhirl://`` and a path.
        verify: Checks the backup against its manifest.
        open_file: Opens it.
        keeper: Opens copies of the pool.
        identify: Makes keyed ids of identities.
        scratch: Folder below which the pool is copied, and imported into, for as long as this takes.
        now: When it is, UTC.
        context: Cancellation and deadline.

    Raises:
        SourceError: Backup, manifest or pool are not there, or cannot be read.
        IntegrityError: The backup is not what its manifest says.
        TamperedError: Something that is sealed was changed.
        UnknownKeyError: None of the keys opens it.
        NotAllowedError: It is not signed by whom it has to be.
        NewerVersionError: It takes a newer Tailrace.
        InvalidImportError: It has invalid values, each with its place.
        ClashError: The pool cannot hold some of its proxies.
        RefusedError: Some did not come back.
        RequestError: It is no backup of a pool; or the pool is of a kind that cannot be written to.
        TailraceError: Whatever else reading, copying or importing raises.
    """
    # What cannot be copied is told before a large backup is read.
    live_path = path_of(location)
    backup = _Backup.opened(path, verify, open_file, context)
    with scratch_folder(scratch) as folder:
        context.phase("copying the pool")
        into = folder / "pool"
        into.mkdir(mode=0o700)
        copy = copied_pool(location, into, context)
        with named_as(live_path, copy):
            scene = _Scene(backup, copy, keeper, context)
            live, plan, kind = scene.emptied()
            context.phase("comparing")
            comparison = compare(backup.frame, live, identify, credentials=backup.credentials)
            context.phase("importing")
            done, losses = scene.imported(kind, identify, folder / "home", now)
    manifest = backup.manifest
    return DrillResult(
        path=backup.path,
        export_id=manifest.export_id,
        created=manifest.created,
        age=max(now - manifest.created, timedelta(0)),
        pool=redacted(location),
        kind=kind,
        credentials=backup.credentials,
        proxies=backup.frame.height,
        pool_proxies=live.height,
        comparison=comparison,
        plan=plan.counts,
        losses=losses,
        notes=tuple(dict.fromkeys([*_notes(backup, comparison, plan), *_of_the_pool(done, backup)])),
    )


@attrs.frozen
class _Backup:
    """A backup that was verified and opened.

    Args:
        path: Where it is.
        manifest: What it says about itself.
        file: Its proxies, without what stands for credentials in the file.
        frame: They, typed.
        credentials: Whether they have their credentials.
    """

    path: Path
    manifest: Manifest = attrs.field(repr=False)
    file: PoolFile = attrs.field(repr=False)
    frame: pl.DataFrame = attrs.field(repr=False)
    credentials: bool

    @classmethod
    def opened(cls, path: Path, verify: Verify, open_file: OpenFile, context: Context) -> "_Backup":
        context.check()
        found = verify(path, inspect(path).manifest.vault is not None)
        _refuse_unverified(found)
        manifest = found.manifest
        if all(table.name != TABLE for table in manifest.tables):
            message = f"{found.file} is no backup of a pool: it holds no table {TABLE}."
            raise RequestError(message, hint="Name an export of the source pool.")
        context.phase("opening the backup")
        # Whoever restores from it may resolve the ids; here they are only known to stand for something.
        file = open_file(found.file, _itself if manifest.credentials is CredentialMode.REFERENCE else None)
        if file.digest != manifest.file.sha256:
            message = f"{found.file} was changed while it was looked at."
            raise TamperedError(message, hint="Let nobody write to backups, and try again.")
        if file.problem_count:
            raise InvalidImportError(str(found.file), file.problems, count=file.problem_count)
        context.check()
        without = {CredentialMode.SANITIZED, CredentialMode.REFERENCE}
        credentials = without.isdisjoint({manifest.credentials, file.credentials})
        frame = typed(file.frame, whose="the backup")
        if not credentials:
            frame = frame.with_columns(pl.lit(None, pl.String).alias(name) for name in ("username", "password"))
        return cls(found.file, manifest, attrs.evolve(file, frame=frame), frame, credentials)


@attrs.frozen
class _Scene:
    """A copy of the live pool, and what is to be imported into it.

    Args:
        backup: The backup.
        copy: Where the copy is.
        keeper: Opens it.
        context: Cancellation and deadline.
    """

    backup: _Backup
    copy: Path
    keeper: PoolKeeper = attrs.field(repr=False)
    context: Context = attrs.field(repr=False)

    def emptied(self) -> tuple[pl.DataFrame, Plan, str]:
        """Take all proxies out of the copy.

        Returns:
            The proxies; what an import into the pool would have done with them in it; and what the pool is.
        """
        call = OpenPoolCall(str(self.copy), write=True, clear=True, context=self.context, existing=True)
        with self.keeper.open_pool(call) as target:
            live = typed(target.read(), whose="the pool")
            self.context.check()
            plan = planned(
                self.backup.frame,
                live,
                on_duplicate=OnDuplicate.SKIP,
                holds=frozenset(target.holds),
                unique=target.unique,
                refuses=target.refusals if isinstance(target, ChoosyTarget) else None,
            )
            self.context.check()
            if live.height:
                none = live.clear()
                update = none.with_columns(changed=pl.lit(None, pl.List(pl.String)))
                target.write(PoolChanges(none.drop("key"), update, tuple(live["key"])))
            return live, plan, target.kind

    def imported(
        self, kind: str, identify: Identify, home: Path, now: datetime
    ) -> tuple[ImportResult, tuple[Loss, ...]]:
        """Import the backup into the emptied copy, and read it back.

        Args:
            kind: What the pool is.
            identify: Makes keyed ids of identities.
            home: Where the import may leave what it would be taken back with.
            now: When it is, UTC.

        Returns:
            What the import says, and what did not come back.

        Raises:
            RefusedError: Proxies that did not come back.
        """
        self.context.check()
        # What is empty does not say what it was.
        dialect = None if self.copy.stat().st_size else kind
        # Whether credentials may lie in the pool in clear is for whoever restores it to say; these are removed at once.
        request = ImportRequest(self.backup.path, str(self.copy), clear=True, into_dialect=dialect)
        done = apply_import(
            request,
            self.backup.file,
            None,
            keeper=self.keeper,
            reference=identify,
            home=home,
            now=now,
            context=self.context,
        )
        self.context.check()
        call = OpenPoolCall(str(self.copy), write=False, dialect=dialect, context=self.context, existing=True)
        with self.keeper.open_pool(call) as target:
            return done, self._lost(target, done)

    def _lost(self, target: PoolTarget, done: ImportResult) -> tuple[Loss, ...]:
        holds, frame = frozenset(target.holds), self.backup.frame
        once = firsts(frame, holds)
        missing, counts = lost(once, typed(target.read(), whose="the pool"), holds)
        if missing.len():
            more = f" and {missing.len() - _LISTED:,} more" if missing.len() > _LISTED else ""
            message = (
                f"{_proxies(missing.len())} of {self.backup.path} did not come back from a copy of the pool: "
                f"{', '.join(missing.head(_LISTED))}{more}."
            )
            raise RefusedError(message, hint="The pool cannot be restored from it as it is. Keep an older backup, too.")
        known = {loss.field for loss in done.losses}
        alike = frame.height - once.height
        return (
            *done.losses,
            *([Loss("proxies", alike, "taken for others of the backup", proxies=True)] if alike else []),
            *(Loss(name, count, "it comes back otherwise") for name, count in counts.items() if name not in known),
        )


def _itself(reference: str) -> str:
    return reference


def _refuse_unverified(found: Verification) -> None:
    wrong = [check for check in found.checks if not check.ok]
    if wrong:
        reasons = "; ".join(f"{check.name}: {check.detail}" for check in wrong)
        forged = [check.name for check in wrong] == ["seal"]
        message = f"{found.file} is not what its manifest says ({reasons})."
        raise (TamperedError if forged else IntegrityError)(message, hint="Restore it from another copy.")
    if found.trust.trust is Trust.DISTRUSTED:
        message = f"{found.file} is not trusted: {found.trust.detail}."
        raise NotAllowedError(message, hint="Ask its maker. Whom to trust is in the setting vault.trusted.")


def _notes(backup: _Backup, comparison: Comparison, plan: Plan) -> Iterator[str]:
    """What an operator has to know who may have to restore the pool."""
    for table in backup.manifest.tables:
        rows = table.rows
        if table.name != TABLE or rows.source is None:
            continue
        if rows.rejected:
            yield f"{_proxies(rows.rejected)} of the pool could not be read when the backup was made: not in it."
        if rows.written < rows.source - rows.rejected:
            yield (
                f"The backup holds {rows.written:,} of {_proxies(rows.source)} that the pool had: "
                "it was made with a filter, a range or a limit."
            )
    if not backup.credentials and "has_credentials" in backup.frame.columns:
        yield f"{_proxies(int(backup.frame['has_credentials'].sum()))} had a login that the backup does not hold."
    if comparison.unsaid:
        yield f"The backup has no columns {_listed(comparison.unsaid)}, in which the pool has values."
    counts = plan.counts
    if counts.add or counts.clash:
        clash = f", and clash with what is there for {counts.clash:,}" if counts.clash else ""
        yield f"Importing it into the pool as it is now would add {_proxies(counts.add)}{clash}."


def _of_the_pool(done: ImportResult, backup: _Backup) -> Iterator[str]:
    """What the import said, but for what it said of the file: that it is an export was the condition."""
    yield from (note for note in done.notes if note not in backup.file.notes)


def _parts(found: Comparison) -> Iterator[str]:
    """The differences by what they are: ``1 proxy only in the pool``."""
    named = False
    for count, what in (
        (found.only_in_backup, "only in the backup"),
        (found.only_in_pool, "only in the pool"),
        (found.other_credentials, "with other credentials"),
        (found.other_values, f"with other {_listed(found.value_columns)}"),
    ):
        if count:
            yield f"{count:,} {what}" if named else f"{_proxies(count)} {what}"
            named = True


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{', '.join(names[:_LISTED])}{more}"


def _proxies(count: int) -> str:
    return "1 proxy" if count == 1 else f"{count:,} proxies"


def _age(age: timedelta) -> str:
    """An age in the largest unit of which there are two: ``"3 hours"``."""
    minutes = int(age.total_seconds()) // 60
    for unit, length in _UNITS.items():
        if minutes >= 2 * length:
            return f"{minutes // length:,} {unit}s"
    return "1 minute" if minutes else "less than a minute"

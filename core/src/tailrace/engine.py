"""The engine: the one object that a host application needs."""

import getpass
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.model.context import Context
from tailrace.model.errors import (
    NotAllowedError,
    PluginContractError,
    RequestError,
    SourceError,
    TamperedError,
)
from tailrace.model.job import Estimate, JobResult, User
from tailrace.model.request import ExportRequest, SinkRequest
from tailrace.model.work import RetryPolicy
from tailrace.plugins.kinds import ExportEvent
from tailrace.plugins.registry import Registry
from tailrace.references import reference_ids
from tailrace.settings import Settings, load_settings

if TYPE_CHECKING:
    import polars as pl

    from tailrace.known_signers import TrustPolicy
    from tailrace.model.work import ExportJob
    from tailrace.pipeline.chain import ChainVerification
    from tailrace.pipeline.job import Job
    from tailrace.pipeline.verify import Inspection, Verification
    from tailrace.plugins.kinds import SourceCall
    from tailrace.plugins.pools import PoolFile, PoolKeeper, PoolTarget, ReadPoolCall
    from tailrace.rekeying import Rekeyed
    from tailrace.restore.document import ImportPlan
    from tailrace.restore.drill import DrillResult
    from tailrace.restore.importing import ImportResult, UndoResult
    from tailrace.restore.records import ImportRecord
    from tailrace.restore.request import ImportRequest
    from tailrace.restore.unlocking import Resolver
    from tailrace.store.database import Store
    from tailrace.vault.header import KeyHolder
    from tailrace.vault.keyring import Keyring
    from tailrace.vault.requests import RequestSealer
    from tailrace.work.access import Access, Operation
    from tailrace.work.carrier import Carrier
    from tailrace.work.desk import Desk
    from tailrace.work.firing import Firing
    from tailrace.work.jobs import Jobs
    from tailrace.work.links import Links
    from tailrace.work.messages import Post
    from tailrace.work.messengers import Messengers
    from tailrace.work.outcome import Outcome
    from tailrace.work.preferences import Preferences
    from tailrace.work.preparation import Preparation
    from tailrace.work.retention import Retention
    from tailrace.work.runner import Order, Runner
    from tailrace.work.schedules import Schedules
    from tailrace.work.templates import Templates
    from tailrace.work.trail import AuditTrail
    from tailrace.work.worker import Duty, Worker

log = logging.getLogger(__name__)

_LONGEST_USER = 255


class Engine:
    """Exports data: from sources, through polars, into formats, on to sinks.

    An engine has no global state; several live in one process. It prints nothing and configures no logging.

    Args:
        settings: Settings; by default those of ``tailrace.toml`` in the working folder and ``TAILRACE_…`` variables.
        plugins: Plugins to use, given by the host; see :class:`~tailrace.plugins.registry.Registry`.
        discover: Whether installed plugins are found by their entry points.
        clock: Says what time it is, with its zone.
        keyring: Finds keys by reference; by default in files, the environment and the system's keyring.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Sequence[Any] = (),
        discover: bool = True,
        clock: Callable[[], datetime] | None = None,
        keyring: "Keyring | None" = None,
    ) -> None:
        self.settings = load_settings() if settings is None else settings
        self.registry = Registry(self.settings.plugins, explicit=plugins, discover=discover)
        self._given_plugins, self._discover = plugins, discover
        self._given_clock = clock
        self._clock = clock or (lambda: datetime.now(UTC))
        self._given_keyring = keyring
        # What a host hands over as objects cannot be had in another process.
        self._is_plain = discover and not plugins and clock is None and keyring is None

    @cached_property
    def keyring(self) -> "Keyring":
        """Finds keys by reference."""
        from tailrace.vault.keyring import Keyring

        return self._given_keyring or Keyring()

    @cached_property
    def _reference(self) -> Callable[..., str]:
        return reference_ids(self.settings.home)

    def export(
        self,
        request: ExportRequest,
        *,
        user: User | None = None,
        context: Context | None = None,
        estimate: Estimate | None = None,
        template: str | None = None,
        retry: RetryPolicy | None = None,
    ) -> JobResult:
        """Carry out an export, here and now. The store has it as a job, like those that workers carry out.

        Args:
            request: What to export, as what, where to.
            user: Who asks; the operating system's user by default.
            context: Progress, cancellation and deadline.
            estimate: What :meth:`estimate` said, for progress and to refuse early when the disk has less space.
            template: Name of the template that it was made from.
            retry: How often to try when it fails for now; once by default.

        Returns:
            The files with their manifests, and a receipt of every sink for each.

        Raises:
            RequestError: The request cannot be carried out as it is.
            TailraceError: See :mod:`tailrace.model.errors`; nothing was published.
        """
        from tailrace.work.access import Operation

        who = self._user(user)
        prepared = self._prepared(request, who, Operation.EXPORT)
        try:
            return self._carrier.at_once(
                prepared, context or Context(), estimate=estimate, template=template, retry=retry
            )
        finally:
            if request.notify:
                self.post.send_about(prepared.export_id)

    def export_audit(
        self, request: ExportRequest, *, user: User | None = None, context: Context | None = None
    ) -> JobResult:
        """Export the audit trail, here and now, like any other data.

        Args:
            request: Its source is ``"audit"``, its location ``"store"``.
            user: Who asks; the operating system's user by default.
            context: Progress, cancellation and deadline.

        Raises:
            NotAllowedError: The user is no admin.
            TailraceError: As for :meth:`export`.
        """
        from tailrace.work.access import Operation

        registry = self._with_inner_sources()
        prepared = self._prepared(request, self._user(user), Operation.AUDIT_EXPORT, registry=registry)
        return self._carrier.at_once(prepared, context or Context())

    def submit(
        self,
        request: ExportRequest,
        *,
        user: User | None = None,
        template: str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        estimate: Estimate | None = None,
        folder: Path | None = None,
        schedule: str | None = None,
    ) -> "ExportJob":
        """Hand in an export for a worker to carry out, and return at once.

        What is wrong with the request itself is said now; what is wrong with the data, by the job.

        Args:
            request: What to export, as what, where to.
            user: Who asks; the operating system's user by default.
            template: Name of the template that it was made from.
            timeout: Seconds that an attempt may take over all its phases; those of the settings by default.
            retry: How often it is tried when it fails for now; as the settings say by default.
            estimate: What :meth:`estimate` said, for progress and to refuse early when the disk has less space.
            folder: What relative paths count from; the working folder by default.
            schedule: Name of the schedule that asks for it, where nobody does: admins are told when it fails.

        Returns:
            The job, which waits.

        Raises:
            RequestError: The request cannot be carried out as it is, or needs somebody to type a password.
            NotAllowedError: A rule forbids it.
            TailraceError: See :mod:`tailrace.model.errors`; nothing was handed in.
        """
        from tailrace.work.access import Operation

        here = (folder or Path()).absolute()
        wanted = self._preparation.for_background(request, here)
        prepared = self._prepared(wanted, self._user(user), Operation.JOB_SUBMIT, folder=here)
        prepared.check_targets()
        limits = self.settings.jobs
        return self.desk.enter(
            prepared,
            template=template,
            timeout=timeout or limits.timeout or None,
            retry=retry or self.retry_policy,
            estimate=estimate,
            schedule=schedule,
        )

    def asks_for_password(self, request: ExportRequest) -> bool:
        """Whether somebody has to type a password for an export, which nobody can in the background."""
        return self._preparation.asks_for_password(request)

    def for_background(self, request: ExportRequest) -> ExportRequest:
        """A request as :meth:`submit` hands it in: key files as absolute paths.

        Raises:
            RequestError: It needs somebody to type a password.
        """
        return self._preparation.for_background(request, Path().absolute())

    def estimate(
        self,
        request: ExportRequest,
        *,
        user: User | None = None,
        context: Context | None = None,
        exact: bool = True,
        template: str | None = None,
        fits: bool = False,
    ) -> Estimate:
        """Say how many rows and bytes an export will take, from the row count and a sample.

        Args:
            request: The export.
            user: Who asks.
            context: Cancellation and deadline.
            exact: Count the rows that filters keep; otherwise project their share from the sample.
            template: Name of the template that it was made from: earlier runs of it by this user correct the size.
            fits: Say as well whether it will fit mails, webhooks, the disk, Excel, and when retention removes it.

        Raises:
            TailraceError: The same problems that the export would meet before its first row.
        """
        from tailrace.pipeline.estimate import estimate

        who = self._user(user)
        prepared = self._preparation.ready(request, who)
        prepared.check_targets()
        expected = estimate(prepared, context=context or Context(), exact=exact)
        if template is not None:
            expected = self._forecast(expected, request, who, template)
        if not fits:
            return expected
        from tailrace.pipeline.preflight import preflight

        judged = preflight(prepared, expected, registry=self.registry, settings=self.settings)
        return attrs.evolve(expected, fits=judged)

    def _forecast(self, expected: Estimate, request: ExportRequest, user: User, template: str) -> Estimate:
        """An estimate, corrected by what this user's earlier runs of a template taught."""
        from tailrace.store.past_runs import past_runs
        from tailrace.work.forecast import MOST_RUNS, corrected, learn

        with self.store.reading() as connection:
            runs = past_runs(connection, creator=user.id, template=template, request=request, most=MOST_RUNS)
        return corrected(expected, learn(runs))

    def verify(self, path: Path, *, keys: Sequence[str] = (), context: Context | None = None) -> "Verification":
        """Check a finished export against its manifest: sizes, digests, every row; and who signed it.

        A signer that is seen for the first time is remembered in the engine's home.

        Args:
            path: The file, or its manifest.
            keys: References to keys that open its sealed credentials, to check that nothing in it was forged.
            context: Progress, cancellation, deadline.

        Raises:
            SourceError: File or manifest do not exist.
            IntegrityError: The manifest cannot be read, or its signature is not of it.
            UnknownKeyError: None of the keys opens it.
        """
        return self._verifier(keys, context)(Path(path))

    def verify_chain(
        self, places: Sequence[Path], *, keys: Sequence[str] = (), context: Context | None = None
    ) -> "ChainVerification":
        """Check increments like :meth:`verify`, and that they join: without gap, overlap or replaced file.

        Args:
            places: Increments, their manifests, or folders that are looked through, with the folders in them.
            keys: References to keys that open sealed credentials, to check that nothing in there was forged.
            context: Progress, cancellation, deadline.

        Raises:
            SourceError: A place does not exist or cannot be read, or no increment is there.
        """
        from tailrace.pipeline.chain import verify_chain

        return verify_chain([Path(place) for place in places], check=self._verifier(keys, context))

    def _verifier(self, keys: Sequence[str], context: Context | None) -> "Callable[[Path], Verification]":
        from tailrace.pipeline.verify import verify

        return partial(
            verify,
            registry=self.registry,
            context=context or Context(),
            judge=self._trust.judge,
            remember=self._trust.remember,
            keys=[self.keyring.holder(reference) for reference in keys],
        )

    def openers(self, path: Path, *, context: Context | None = None) -> tuple[str, ...]:
        """Ids of the keys that open an export's sealed credentials; ``"password"`` for a password.

        Raises:
            RequestError: It holds nothing that is sealed.
            TamperedError: Its header was changed.
        """
        from tailrace.rekeying import opener_ids, sealed_header

        return opener_ids(sealed_header(self._read_pool(path, context), Path(path)))

    def change_openers(
        self,
        path: Path,
        *,
        add: Sequence[str] = (),
        remove: Sequence[str] = (),
        keys: Sequence[str] = (),
        user: User | None = None,
        context: Context | None = None,
    ) -> "Rekeyed":
        """Let others open an export that exists, or some no longer; no row and no sealed value is touched.

        Args:
            path: The export.
            add: References to keys that shall open it.
            remove: Ids of keys that shall not, from now on; ``"password"`` for its passwords.
            keys: References to keys that open it now; those of the settings by default.
            user: Who asks, for the audit trail; the operating system's user by default.
            context: Cancellation and deadline.

        Raises:
            UnknownNameError: An id that the file does not have.
            UnknownKeyError: None of the keys opens it.
            WrongKeyError: The password is not the one.
            TamperedError: It was changed.
        """
        from tailrace.rekeying import change_openers

        with self.audit.recording("openers.change", self._user(user), file=str(path)) as facts:
            result = change_openers(
                self._trusted_file(path, context),
                Path(path),
                keys=self._holders(keys),
                add=[self.keyring.opener(reference) for reference in add],
                remove=remove,
                registry=self.registry,
                signing_key=self._preparation.signing_key(),
                context=context or Context(),
            )
            facts["parameters"] = {"openers": list(result.openers)}
        return result

    def rotate(
        self,
        path: Path,
        *,
        openers: Sequence[str] = (),
        keys: Sequence[str] = (),
        user: User | None = None,
        context: Context | None = None,
    ) -> "Rekeyed":
        """Seal every credential in an export anew, under another data key.

        Args:
            path: The export, a JSON document.
            openers: References to the keys that open it from now on; those of the settings by default.
            keys: References to keys that open it now; those of the settings by default.
            user: Who asks, for the audit trail; the operating system's user by default.
            context: Cancellation and deadline.

        Raises:
            RequestError: It is not a JSON document.
            UnknownKeyError: None of the keys opens it.
            WrongKeyError: The password is not the one.
            TamperedError: It was changed.
        """
        from tailrace.rekeying import rotate

        with self.audit.recording("openers.rotate", self._user(user), file=str(path)) as facts:
            result = rotate(
                self._trusted_file(path, context),
                Path(path),
                keys=self._holders(keys),
                openers=[self.keyring.opener(reference) for reference in openers or self.settings.vault.openers],
                registry=self.registry,
                signing_key=self._preparation.signing_key(),
                context=context or Context(),
            )
            facts["parameters"] = {"openers": list(result.openers), "resealed": result.resealed}
        return result

    def plan_import(self, request: "ImportRequest", *, context: Context | None = None) -> "ImportPlan":
        """Say what an import would do: everything is read, checked and compared, and nothing is changed.

        Args:
            request: The import.
            context: Cancellation and deadline.

        Raises:
            InvalidImportError: The file has problems; all of them.
            UnknownKeyError: None of the keys opens its credentials.
            WrongKeyError: The password is not the one.
            TamperedError: It was changed since it was sealed or signed.
            NewerVersionError: It needs a newer Tailrace.
            TailraceError: File or pool cannot be used.
        """
        from tailrace.restore.importing import plan_import

        context = context or Context()
        return plan_import(
            request,
            self._unlocked(request, context),
            keeper=self.keeper,
            reference=self._reference,
            home=self.settings.home,
            now=self._clock().astimezone(UTC),
            context=context,
        )

    def apply_import(
        self,
        request: "ImportRequest",
        *,
        plan: "ImportPlan | None" = None,
        user: User | None = None,
        context: Context | None = None,
    ) -> "ImportResult":
        """Import a pool file: all of it or nothing.

        Args:
            request: The import.
            plan: Import only if exactly this would happen.
            user: Who asks, for the audit trail; the operating system's user by default.
            context: Cancellation and deadline, up to the moment when the pool is written to.

        Raises:
            RefusedError: File, pool or options are not those that were planned.
            ClashError: Proxies that the pool cannot hold.
            TailraceError: As for :meth:`plan_import`.
        """
        from tailrace.restore.importing import apply_import

        context = context or Context()
        with self.audit.recording("import", self._user(user), source="pool", file=str(request.path)) as facts:
            result = apply_import(
                request,
                self._unlocked(request, context),
                plan,
                keeper=self.keeper,
                reference=self._reference,
                home=self.settings.home,
                now=self._clock().astimezone(UTC),
                context=context,
            )
            facts["thing"] = result.import_id or ""
            facts["rows"] = result.counts.written
        return result

    def undo(
        self,
        import_id: str,
        *,
        target: "PoolTarget | None" = None,
        user: User | None = None,
        context: Context | None = None,
    ) -> "UndoResult":
        """Take an import back: what it added is removed, what it changed is as it was.

        Args:
            import_id: Its id.
            target: The pool, where it is one of the host.
            user: Who asks, for the audit trail; the operating system's user by default.
            context: Cancellation and deadline, up to the moment when the pool is written to.

        Raises:
            RequestError: There is no such import.
            RefusedError: What it touched was changed since.
            TailraceError: The pool cannot be used.
        """
        from tailrace.restore.importing import undo_import

        with self.audit.recording("import.undo", self._user(user), source="pool", thing=import_id) as facts:
            result = undo_import(
                import_id,
                target=target,
                keeper=self.keeper,
                home=self.settings.home,
                now=self._clock().astimezone(UTC),
                context=context or Context(),
            )
            facts["parameters"] = {"outcome": result.outcome}
        return result

    def imports(self) -> "tuple[ImportRecord, ...]":
        """The imports that this engine made, the latest first."""
        from tailrace.restore.importing import imports_of

        return imports_of(self.settings.home)

    def read_pool_call(
        self,
        path: Path,
        *,
        dialect: str | None = None,
        scheme: str | None = None,
        template: str | None = None,
        context: Context | None = None,
    ) -> "ReadPoolCall":
        """A call to read a pool file with all that this engine has, such as formats that read workbooks.

        Args:
            path: The file.
            dialect: What it is, by a name of ``docs/reference/dialects.md``; None to tell by its content.
            scheme: Protocol of lines that name none.
            template: The line of dialect ``template``.
            context: Progress, cancellation, deadline.
        """
        from tailrace.plugins.pools import ReadPoolCall

        return ReadPoolCall(Path(path), dialect, scheme, template, context or Context(), self._read_tables)

    def _read_tables(self, path: Path, head: bytes, context: Context) -> "Mapping[str, pl.DataFrame] | None":
        """The tables of a file that a format reads; None where none of them does."""
        from tailrace.pipeline.foreign import foreign_errors
        from tailrace.plugins.kinds import ReadTablesCall

        reader = self.registry.table_reader(head)
        if reader is None:
            return None
        with foreign_errors("format", reader.name):
            return reader.object.read_tables(ReadTablesCall(path, context))

    def open_pool_file(
        self,
        call: "ReadPoolCall",
        *,
        keys: Sequence[str] = (),
        resolver: "str | Resolver | None" = None,
    ) -> "PoolFile":
        """Read a pool file and bring its credentials into clear.

        Args:
            call: Which, and what it is: :meth:`read_pool_call`.
            keys: References to keys that open it; those of the settings by default.
            resolver: Resolves references: ``"env"``, ``"file:PATH"``, or a function of the host.

        Raises:
            NotAllowedError: It is not signed by whom it has to be.
            TailraceError: As for :meth:`plan_import`.
        """
        from tailrace.restore.unlocking import resolver_of, unlock

        file = self.keeper.read_pool(call)
        self._check_signer(call.path, file.digest)
        resolve = resolver_of(resolver) if isinstance(resolver, str) else resolver
        return unlock(file, keys=lambda: self._holders(keys), resolver=resolve)

    def _unlocked(self, request: "ImportRequest", context: Context) -> "PoolFile":
        call = self.read_pool_call(
            request.path,
            dialect=request.dialect,
            scheme=request.scheme,
            template=request.template,
            context=context,
        )
        return self.open_pool_file(call, keys=request.keys, resolver=request.resolver)

    def _check_signer(self, path: Path, digest: str) -> None:
        """Refuse a file that is not signed by whom it has to be.

        Args:
            path: The file.
            digest: SHA-256 of the bytes of it that were read, hexadecimal.

        Raises:
            NotAllowedError: It is not, though trusted signers are set; or it is signed by another one than before.
            TamperedError: Its signature is not of its manifest, or the manifest beside it is of another file.
        """
        from tailrace.known_signers import FILE_NAME
        from tailrace.pipeline.verify import inspect
        from tailrace.vault.trust import Trust

        try:
            manifest = inspect(path).manifest
        except SourceError:
            if not self.settings.vault.trusted:
                return
            detail = "there is no manifest beside it"
        else:
            if manifest.file.sha256 != digest:
                message = f"The manifest beside {path.name} is that of another file."
                raise TamperedError(message, hint="Put the right one there, or take it away.")
            judgement = self._trust.judge(manifest)
            if judgement.trust is not Trust.DISTRUSTED:
                self._trust.remember(manifest, judgement)
                return
            detail = judgement.detail
        message = f"{path.name} is not trusted: {detail}."
        place = self.settings.home / FILE_NAME
        hint = f"Ask its maker. Whom to trust is in the setting vault.trusted; who was seen before, in {place}."
        raise NotAllowedError(message, hint=hint)

    @cached_property
    def keeper(self) -> "PoolKeeper":
        """The source that reads and writes pool files.

        Raises:
            PluginError: The source ``pool`` is not there, or cannot do that.
        """
        from tailrace.plugins.pools import PoolKeeper

        source = self.registry.source("pool")
        if not isinstance(source.object, PoolKeeper):
            message = f"The source pool of {source.distribution} reads pools, and cannot write them."
            raise PluginContractError(source.name, message, hint="Update its distribution.")
        return source.object

    def _read_pool(self, path: Path, context: Context | None) -> "PoolFile":
        return self.keeper.read_pool(self.read_pool_call(path, context=context))

    def _trusted_file(self, path: Path, context: Context | None) -> "PoolFile":
        """Read a file whose manifest is going to be signed anew: only one that is trusted as it is."""
        file = self._read_pool(path, context)
        self._check_signer(Path(path), file.digest)
        return file

    def _holders(self, references: Sequence[str]) -> "list[KeyHolder]":
        return [self.keyring.holder(reference) for reference in references or self.settings.vault.keys]

    @cached_property
    def _trust(self) -> "TrustPolicy":
        from tailrace.known_signers import TrustPolicy

        pinned = tuple(self.keyring.signer(reference) for reference in self.settings.vault.trusted)
        return TrustPolicy(self.settings.home, pinned, self._clock)

    def drill(
        self,
        backup: Path,
        location: str,
        *,
        keys: Sequence[str] = (),
        context: Context | None = None,
    ) -> "DrillResult":
        """Try whether a backup of a pool can be restored, and say what differs; the pool stays as it is.

        The backup is verified and opened, imported into an empty copy of the pool, read back and compared.

        Args:
            backup: The file.
            location: Where the pool is.
            keys: References to keys that open the backup; those of the settings by default.
            context: Cancellation and deadline.

        Raises:
            TailraceError: It cannot be restored, and why.
        """
        from tailrace.restore.drill import drill

        context, keys = context or Context(), tuple(keys) or self.settings.vault.keys
        return drill(
            Path(backup),
            location,
            verify=lambda path, sealed: self.verify(path, keys=keys if sealed else (), context=context),
            open_file=lambda path, resolver: self.open_pool_file(
                self.read_pool_call(path, context=context), keys=keys, resolver=resolver
            ),
            keeper=self.keeper,
            identify=self._reference,
            scratch=self._carrier.scratch,
            now=self._clock().astimezone(UTC),
            context=context,
        )

    def inspect(self, path: Path) -> "Inspection":
        """Say what is in a finished export, on the word of its manifest.

        Raises:
            SourceError: There is no manifest.
            IntegrityError: It cannot be read.
        """
        from tailrace.pipeline.verify import inspect

        return inspect(Path(path))

    def carry_out(self, order: "Order", context: Context) -> "Outcome":
        """Carry out an attempt that was claimed by a worker in another process.

        Args:
            order: The attempt.
            context: Progress and cancellation.
        """
        return self._carrier.ordered(order, context)

    def worker(self, *, concurrency: int | None = None, runner: "Runner | None" = None) -> "Worker":
        """A worker that carries out what is handed in to this engine's store, whose tables are brought up to date.

        Args:
            concurrency: Jobs at a time; as the settings say by default.
            runner: What carries them out; by default threads and processes on this machine.
        """
        from tailrace.work.local import LocalRunner
        from tailrace.work.worker import Duty, Worker

        self.store.upgrade()
        limits = self.settings.worker
        local = LocalRunner(
            here=self._carrier.here,
            apart=self._carrier.apart,
            isolated=self._carrier.isolated,
            concurrency=concurrency or limits.concurrency,
        )
        # By the rules that are set, and for everybody: not because this user asks.
        keeper = User(self.system_user.id, is_admin=True, agent="tailrace worker")
        keeping = Duty(f"retention {self._place}", timedelta(days=1), lambda: self.retention.apply(keeper))
        return Worker(
            store=self.store,
            runner=runner or local,
            claimed=self._carrier.claimed,
            jobs=self.settings.jobs,
            settings=limits,
            scratch=self._carrier.scratch,
            place=self._carrier.place,
            duties=(*((keeping,) if self.settings.retention.daily else ()), *self._forgetting()),
            post=self.post,
            firing=self._firing,
        )

    def _forgetting(self) -> "Iterator[Duty]":
        """What removes the history of schedules that is too old."""
        from tailrace.work.firing import forget_history
        from tailrace.work.worker import Duty

        days = self.settings.schedules.history
        if days:
            yield Duty("history of schedules", timedelta(days=1), lambda: forget_history(self.store, days))

    def upgrade_store(self, user: User | None = None) -> tuple[str | None, str]:
        """Make the tables of the store, or bring them up to date.

        Args:
            user: Who asks; the operating system's user by default.

        Returns:
            The revision before, None where there were no tables, and after.

        Raises:
            NewerVersionError: A newer program made them.
            NotAllowedError: The user may not.
        """
        from tailrace.work.access import Operation, decide

        decision = decide(Operation.STORE_UPGRADE, self._user(user))
        if not decision.allowed:
            raise NotAllowedError(decision.reason)
        return self.store.upgrade()

    @property
    def retry_policy(self) -> RetryPolicy:
        """How often exports are tried that fail for now, as the settings say."""
        limits = self.settings.jobs
        return RetryPolicy(limits.attempts, limits.first_delay, limits.longest_delay, limits.jitter)

    @cached_property
    def store(self) -> "Store":
        """Where jobs, templates and the audit trail are."""
        from tailrace.store.database import Store

        if self.settings.store.url:
            return Store(self.settings.store.url, clock=self._given_clock)
        return Store.in_home(self.settings.home, clock=self._given_clock)

    @cached_property
    def access(self) -> "Access":
        """Who may do what."""
        from tailrace.work.access import Access

        return Access(self.store)

    @cached_property
    def jobs(self) -> "Jobs":
        """The jobs of the store."""
        from tailrace.work.jobs import Jobs

        return Jobs(self.store, self.access, self.retention, self._place, self.settings.jobs.most_losses)

    @cached_property
    def audit(self) -> "AuditTrail":
        """The audit trail."""
        from tailrace.work.trail import AuditTrail

        return AuditTrail(self.store, self.access)

    @cached_property
    def retention(self) -> "Retention":
        """Which files are kept, and how the others are removed."""
        from tailrace.work.retention import Retention

        return Retention(self.store, self.access, self.settings.retention, self._place)

    @cached_property
    def templates(self) -> "Templates":
        """Saved requests."""
        from tailrace.work.templates import Templates

        return Templates(self.store, self.access, self.desk.sealer, self._preparation.judged, self._messengers.shown)

    @cached_property
    def schedules(self) -> "Schedules":
        """What runs by the clock."""
        from tailrace.work.schedules import Schedules

        return Schedules(
            self.store,
            self.access,
            self.desk.sealer,
            self.templates,
            self._firing,
            self._preparation.for_background,
            self._messengers.shown,
        )

    def test_schedule(
        self,
        name: str,
        *,
        sinks: Sequence[SinkRequest],
        user: User | None = None,
        context: Context | None = None,
    ) -> JobResult:
        """Carry out, here and now, what a schedule would export; it goes to nobody but whoever asks.

        Nothing is noted in its history. Of one with increments, all of the data is exported.

        Args:
            name: Its name, or ``owner/name``.
            sinks: Where to deliver.
            user: Who asks; the operating system's user by default.
            context: Progress, cancellation and deadline.

        Raises:
            UnknownNameError: There is none of that name.
            NotAllowedError: It is not theirs.
            TailraceError: As for :meth:`export`.
        """
        from tailrace.model.schedule import ScheduleKind
        from tailrace.work.access import Operation

        who = self._user(user)
        schedule, request, folder = self.schedules.trial(name, who, sinks)
        registry = self._with_inner_sources() if schedule.kind is ScheduleKind.DRILL else None
        prepared = self._prepared(request, who, Operation.SCHEDULE_TEST, folder=folder, registry=registry)
        return self._carrier.at_once(prepared, context or Context())

    @cached_property
    def _firing(self) -> "Firing":
        from tailrace.work.firing import Firing

        return Firing(
            self.store,
            lambda: self.desk.sealer,
            self._preparation.for_background,
            self.settings.schedules,
            self.retry_policy,
            self.settings.jobs.timeout or None,
        )

    @cached_property
    def preferences(self) -> "Preferences":
        """How users wish to be told what becomes of their exports."""
        from tailrace.work.preferences import Preferences

        return Preferences(self.store, self.access, self.desk.sealer, self._messengers.shown)

    @cached_property
    def links(self) -> "Links":
        """Links by which files can be downloaded."""
        from tailrace.vault.link_tokens import LinkTokens
        from tailrace.work.links import Links

        delivery = self.settings.delivery
        return Links(
            self.store,
            self.access,
            self.jobs,
            LinkTokens(self.desk.sealer.key),
            self.settings.admins,
            delivery.link,
            delivery.link_lifetime,
        )

    @cached_property
    def _messengers(self) -> "Messengers":
        from tailrace.work.messengers import Messengers

        return Messengers(
            self.registry,
            self.settings.sinks,
            lambda: self.keyring,
            self.settings.delivery.link,
        )

    @cached_property
    def post(self) -> "Post":
        """Sends what users are told by mail or webhook; workers do it all the time."""
        from tailrace.work.carrier import redelivery
        from tailrace.work.messages import Post

        return Post(
            self.store,
            self._messengers,
            lambda: self.desk.sealer,
            redelivery(self.settings.delivery),
            self.settings.notifications.admins,
        )

    @cached_property
    def desk(self) -> "Desk":
        """Where requests are handed in."""
        from tailrace.work.desk import Desk

        desk = Desk(self.store, self._sealer, self._messengers.shown)
        desk.check_key()
        return desk

    @cached_property
    def _sealer(self) -> "RequestSealer":
        from tailrace.local_keys import local_key
        from tailrace.vault.requests import RequestSealer

        named = self.settings.store.key
        path = Path(named).expanduser() if named else self.settings.home / "store.key"
        lost = "jobs that wait, and templates, cannot be opened any more"
        return RequestSealer(local_key(path, what="a store's key", lost=lost))

    @cached_property
    def _place(self) -> str:
        """Id of the home, as which the store knows where files are."""
        from tailrace.local_keys import local_key

        lost = "files that were made before are no longer removed by the rules of retention"
        return local_key(self.settings.home / "place", what="the id of this home", lost=lost)[:16].hex()

    @cached_property
    def _preparation(self) -> "Preparation":
        from tailrace.work.preparation import Preparation

        return Preparation(
            self.settings, self.registry, lambda: self.keyring, self._clock, self._reference, self._with_inner_sources
        )

    def _with_inner_sources(self) -> Registry:
        """The plugins, and among them the sources that are the engine's own."""
        from tailrace.restore.importing import absolute_location
        from tailrace.work.audit_source import NAME as AUDIT
        from tailrace.work.audit_source import AuditSource
        from tailrace.work.backups import newest_backup
        from tailrace.work.drill_source import NAME as DRILL
        from tailrace.work.drill_source import DrillSource

        def newest(call: "SourceCall") -> Path:
            folder = call.folder.absolute()
            return newest_backup(self.store, self._place, call.options.template, call.options.creator, folder)

        def tried(backup: Path, call: "SourceCall") -> "DrillResult":
            return self.drill(backup, absolute_location(call.location, call.folder.absolute()), context=call.context)

        # Not among the plugins of this engine: whoever may export anything may not therefore export these.
        inner = [(AUDIT, AuditSource(self.store)), (DRILL, DrillSource(newest, tried))]
        return Registry(self.settings.plugins, explicit=[*self._given_plugins, *inner], discover=self._discover)

    @cached_property
    def _carrier(self) -> "Carrier":
        from tailrace.work.carrier import Carrier

        return Carrier(
            self.settings,
            self.store,
            self.desk,
            self._preparation,
            self._tell,
            self._is_plain,
            self._place,
            self.retention,
            self._firing.request_of,
        )

    def _prepared(
        self,
        request: ExportRequest,
        user: User,
        operation: "Operation",
        *,
        folder: Path | None = None,
        registry: Registry | None = None,
    ) -> "Job":
        """A request of a user who may ask, made ready; what is wrong with it is audited."""
        self.access.require(operation, user, owner=user.id)
        what = {"source": request.source, "format": request.format}
        with self.audit.recording(operation.value, user, only_failures=True, **what):
            for wish in request.notify or ():
                self._messengers.shown(wish)
            return self._preparation.ready(request, user, folder=folder, registry=registry)

    def _user(self, given: User | None) -> User:
        user = given or self.system_user
        is_text = "\0" not in user.id and user.id.encode(errors="replace").decode() == user.id
        if not is_text or len(user.id) > _LONGEST_USER:
            message = f"The id of a user is valid text of up to {_LONGEST_USER} characters, without NUL."
            raise RequestError(message, hint="Give User another id: a name or a number.")
        return user

    @property
    def system_user(self) -> User:
        """Who works with this engine where nobody says who: as the settings say, or the operating system's user.

        That user is an admin where the settings say so, as root, and as the owner of the home in which the store is a
        file: whoever could change it by hand anyway.
        """
        admins = self.settings.admins
        if self.settings.user:
            return User(self.settings.user, is_admin=self.settings.user in admins)
        try:
            name = getpass.getuser()
        except (KeyError, OSError):
            # A container may run under a number that has no name.
            name = "unknown"
        return User(name, is_admin=name in admins or os.geteuid() == 0 or self._owns_store())

    def _owns_store(self) -> bool:
        home = self.settings.home
        return not self.settings.store.url and (not home.exists() or home.stat().st_uid == os.geteuid())

    def _tell(self, name: Any, job: "Job", error: BaseException | None = None) -> None:
        event = ExportEvent(
            name=name,
            export_id=job.export_id,
            source=job.source.name,
            format=job.format.name,
            user=job.user.id,
            moment=self._clock().astimezone(UTC),
            error=error,
        )
        self.registry.notify(event)

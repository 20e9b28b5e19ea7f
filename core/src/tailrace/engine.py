"""The engine: the one object that a host application needs."""

import getpass
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailrace.model.context import Context
from tailrace.model.errors import ConfigurationError, NotAllowedError, PluginContractError, SourceError, TamperedError
from tailrace.model.job import Estimate, JobResult, User
from tailrace.model.request import CredentialMode, ExportRequest
from tailrace.plugins.kinds import ExportEvent
from tailrace.plugins.registry import Registry
from tailrace.references import reference_ids
from tailrace.settings import Settings, load_settings

if TYPE_CHECKING:
    import polars as pl

    from tailrace.known_signers import TrustPolicy
    from tailrace.pipeline.job import Job
    from tailrace.pipeline.verify import Inspection, Verification
    from tailrace.plugins.pools import PoolFile, PoolKeeper, PoolTarget, ReadPoolCall
    from tailrace.rekeying import Rekeyed
    from tailrace.restore.document import ImportPlan
    from tailrace.restore.importing import ImportResult, UndoResult
    from tailrace.restore.records import ImportRecord
    from tailrace.restore.request import ImportRequest
    from tailrace.restore.unlocking import Resolver
    from tailrace.vault.header import KeyHolder
    from tailrace.vault.keyring import Keyring
    from tailrace.vault.keys import SigningKey
    from tailrace.vault.sealing import Vault


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
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        keyring: "Keyring | None" = None,
    ) -> None:
        self.settings = load_settings() if settings is None else settings
        self.registry = Registry(self.settings.plugins, explicit=plugins, discover=discover)
        self._clock = clock
        self._given_keyring = keyring

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
    ) -> JobResult:
        """Carry out an export, here and now.

        Args:
            request: What to export, as what, where to.
            user: Who asks; the operating system's user by default.
            context: Progress, cancellation and deadline.
            estimate: What :meth:`estimate` said, for progress and to refuse early when the disk has less space.

        Returns:
            The files with their manifests, and a receipt of every sink for each.

        Raises:
            RequestError: The request cannot be carried out as it is.
            TailraceError: See :mod:`tailrace.model.errors`; nothing was published.
        """
        from tailrace.pipeline.export import run

        who = user or self._default_user()
        job = self._job(request, who)
        self._tell("started", job)
        try:
            result = run(job, context=context or Context(), scratch=self.settings.home / "staging", estimate=estimate)
        except BaseException as error:
            self._tell("failed", job, error)
            raise
        self._tell("finished", job)
        return result

    def estimate(
        self, request: ExportRequest, *, user: User | None = None, context: Context | None = None, exact: bool = True
    ) -> Estimate:
        """Say how many rows and bytes an export will take, from the row count and a sample.

        Args:
            request: The export.
            user: Who asks.
            context: Cancellation and deadline.
            exact: Count the rows that filters keep; otherwise project their share from the sample.

        Raises:
            TailraceError: The same problems that the export would meet before its first row.
        """
        from tailrace.pipeline.estimate import estimate

        return estimate(self._job(request, user or self._default_user()), context=context or Context(), exact=exact)

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
        from tailrace.pipeline.verify import verify

        return verify(
            Path(path),
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
        context: Context | None = None,
    ) -> "Rekeyed":
        """Let others open an export that exists, or some no longer; no row and no sealed value is touched.

        Args:
            path: The export.
            add: References to keys that shall open it.
            remove: Ids of keys that shall not, from now on; ``"password"`` for its passwords.
            keys: References to keys that open it now; those of the settings by default.
            context: Cancellation and deadline.

        Raises:
            UnknownNameError: An id that the file does not have.
            UnknownKeyError: None of the keys opens it.
            WrongKeyError: The password is not the one.
            TamperedError: It was changed.
        """
        from tailrace.rekeying import change_openers

        return change_openers(
            self._trusted_file(path, context),
            Path(path),
            keys=self._holders(keys),
            add=[self.keyring.opener(reference) for reference in add],
            remove=remove,
            registry=self.registry,
            signing_key=self._signing_key(),
            context=context or Context(),
        )

    def rotate(
        self, path: Path, *, openers: Sequence[str] = (), keys: Sequence[str] = (), context: Context | None = None
    ) -> "Rekeyed":
        """Seal every credential in an export anew, under another data key.

        Args:
            path: The export, a JSON document.
            openers: References to the keys that open it from now on; those of the settings by default.
            keys: References to keys that open it now; those of the settings by default.
            context: Cancellation and deadline.

        Raises:
            RequestError: It is not a JSON document.
            UnknownKeyError: None of the keys opens it.
            WrongKeyError: The password is not the one.
            TamperedError: It was changed.
        """
        from tailrace.rekeying import rotate

        return rotate(
            self._trusted_file(path, context),
            Path(path),
            keys=self._holders(keys),
            openers=[self.keyring.opener(reference) for reference in openers or self.settings.vault.openers],
            registry=self.registry,
            signing_key=self._signing_key(),
            context=context or Context(),
        )

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
        self, request: "ImportRequest", *, plan: "ImportPlan | None" = None, context: Context | None = None
    ) -> "ImportResult":
        """Import a pool file: all of it or nothing.

        Args:
            request: The import.
            plan: Import only if exactly this would happen.
            context: Cancellation and deadline, up to the moment when the pool is written to.

        Raises:
            RefusedError: File, pool or options are not those that were planned.
            ClashError: Proxies that the pool cannot hold.
            TailraceError: As for :meth:`plan_import`.
        """
        from tailrace.restore.importing import apply_import

        context = context or Context()
        return apply_import(
            request,
            self._unlocked(request, context),
            plan,
            keeper=self.keeper,
            reference=self._reference,
            home=self.settings.home,
            now=self._clock().astimezone(UTC),
            context=context,
        )

    def undo(
        self, import_id: str, *, target: "PoolTarget | None" = None, context: Context | None = None
    ) -> "UndoResult":
        """Take an import back: what it added is removed, what it changed is as it was.

        Args:
            import_id: Its id.
            target: The pool, where it is one of the host.
            context: Cancellation and deadline, up to the moment when the pool is written to.

        Raises:
            RequestError: There is no such import.
            RefusedError: What it touched was changed since.
            TailraceError: The pool cannot be used.
        """
        from tailrace.restore.importing import undo_import

        return undo_import(
            import_id,
            target=target,
            keeper=self.keeper,
            home=self.settings.home,
            now=self._clock().astimezone(UTC),
            context=context or Context(),
        )

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

    def inspect(self, path: Path) -> "Inspection":
        """Say what is in a finished export, on the word of its manifest.

        Raises:
            SourceError: There is no manifest.
            IntegrityError: It cannot be read.
        """
        from tailrace.pipeline.verify import inspect

        return inspect(Path(path))

    def _job(self, request: ExportRequest, user: User) -> "Job":
        from tailrace.pipeline.job import Job

        self._check_mode(request.credentials)
        export_id = str(uuid.uuid4())
        return Job.prepare(
            request,
            registry=self.registry,
            export_id=export_id,
            user=user,
            now=self._clock().astimezone(UTC),
            reference=self._reference,
            vault=self._vault(request, export_id),
            signing_key=self._signing_key(),
        )

    def _check_mode(self, mode: CredentialMode) -> None:
        allowed = self.settings.credentials.allowed
        if allowed and mode not in allowed:
            message = f"Credential mode {mode.value!r} is not allowed here."
            raise NotAllowedError(message, hint=f"The setting credentials.allowed permits: {', '.join(allowed)}.")

    def _vault(self, request: ExportRequest, export_id: str) -> "Vault | None":
        if request.credentials is not CredentialMode.FULL:
            return None
        from tailrace.vault.sealing import Vault
        from tailrace.vault.values import DataKey

        references = request.openers or self.settings.vault.openers
        if not references:
            message = "Credential mode 'full' seals user names and passwords, and there is no key to seal them to."
            hint = "Make one with tailrace keys new master master.key, and name it: --opener file:master.key"
            raise ConfigurationError(message, hint=hint)
        return Vault(DataKey.generate(export_id), tuple(self.keyring.opener(reference) for reference in references))

    def _signing_key(self) -> "SigningKey | None":
        reference = self.settings.vault.signing_key
        return self.keyring.signing_key(reference) if reference else None

    def _default_user(self) -> User:
        if self.settings.user:
            return User(self.settings.user)
        try:
            return User(getpass.getuser())
        except (KeyError, OSError):
            # A container may run under a number that has no name.
            return User("unknown")

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

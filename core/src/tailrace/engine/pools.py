"""The way back: pool files are read, planned, imported and taken back; and whether a backup would do is tried."""

from collections.abc import Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING

from tailrace.engine.checking import Checking
from tailrace.model.context import Context
from tailrace.model.job import User

if TYPE_CHECKING:
    import polars as pl

    from tailrace.plugins.pools import PoolFile, PoolTarget, ReadPoolCall
    from tailrace.restore.document import ImportPlan
    from tailrace.restore.drill import DrillResult
    from tailrace.restore.importing import ImportResult, UndoResult
    from tailrace.restore.records import ImportRecord
    from tailrace.restore.request import ImportRequest
    from tailrace.restore.unlocking import Resolver


class Pools(Checking):
    """Imports pool files."""

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

        self._check_process()
        context = context or Context()
        return plan_import(
            request,
            self._unlocked(request, context),
            keeper=self._keeper,
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

        self._check_process()
        context = context or Context()
        with self.audit.recording("import", self._user(user), source="pool", file=str(request.path)) as facts:
            result = apply_import(
                request,
                self._unlocked(request, context),
                plan,
                keeper=self._keeper,
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

        self._check_process()
        with self.audit.recording("import.undo", self._user(user), source="pool", thing=import_id) as facts:
            result = undo_import(
                import_id,
                target=target,
                keeper=self._keeper,
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

        self._check_process()
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

        self._check_process()
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

    def _read_pool(self, path: Path, context: Context | None) -> "PoolFile":
        self._check_process()
        return self.keeper.read_pool(self.read_pool_call(path, context=context))

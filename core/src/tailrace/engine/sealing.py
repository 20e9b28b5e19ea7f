"""Who opens the sealed credentials of an export: asked, and changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tailrace.engine.pools import Pools
from tailrace.model.context import Context
from tailrace.model.job import User

if TYPE_CHECKING:
    from tailrace.plugins.pools import PoolFile
    from tailrace.rekeying import Rekeyed


class Sealing(Pools):
    """Changes who opens an export."""

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

    def _trusted_file(self, path: Path, context: Context | None) -> "PoolFile":
        """Read a file whose manifest is going to be signed anew: only one that is trusted as it is."""
        file = self._read_pool(path, context)
        self._check_signer(Path(path), file.digest)
        return file

"""Checking finished exports: that they are complete and unchanged, and who made them."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tailrace.engine.asking import Asking
from tailrace.model.context import Context
from tailrace.model.errors import NotAllowedError, SourceError, TamperedError

if TYPE_CHECKING:
    from tailrace.pipeline.chain import ChainVerification
    from tailrace.pipeline.verify import Inspection, Verification


class Checking(Asking):
    """Checks finished exports."""

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

        self._check_process()
        return partial(
            verify,
            registry=self.registry,
            context=context or Context(),
            judge=self._trust.judge,
            remember=self._trust.remember,
            keys=[self.keyring.holder(reference) for reference in keys],
        )

    def inspect(self, path: Path) -> "Inspection":
        """Say what is in a finished export, on the word of its manifest.

        Raises:
            SourceError: There is no manifest.
            IntegrityError: It cannot be read.
        """
        from tailrace.pipeline.verify import inspect

        return inspect(Path(path))

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

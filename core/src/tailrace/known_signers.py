"""Signers that were seen before, in ``<home>/known-signers.json``: what makes trust on first use."""

import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from tailrace.files.publish import publish
from tailrace.files.staging import staged_file
from tailrace.files.storage import storage_errors
from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.errors import ConfigurationError
from tailrace.model.manifest import Manifest
from tailrace.vault.keys import Signer
from tailrace.vault.signing import signer_of
from tailrace.vault.trust import Judgement, KnownSigner, Trust, judge

FILE_NAME = "known-signers.json"


@attrs.frozen
class TrustPolicy:
    """Judges signatures by the keys that are set as trusted, or by those seen before.

    Args:
        home: The engine's folder, where keys are remembered.
        pinned: Keys that are set as trusted.
        clock: Says what time it is.
    """

    home: Path
    pinned: tuple[Signer, ...]
    clock: Callable[[], datetime] = attrs.field(repr=False)

    def judge(self, manifest: Manifest) -> Judgement:
        """Say what the signature of a manifest is worth.

        Raises:
            TamperedError: The signature is not of this manifest.
            ConfigurationError: What was remembered cannot be read.
        """
        known = () if self.pinned else known_signers(self.home)
        return judge(signer_of(manifest), _source(manifest), pinned=self.pinned, known=known)

    def remember(self, manifest: Manifest, judgement: Judgement) -> None:
        """Remember a signer that was seen for the first time, once the file is known to be what the manifest says.

        Raises:
            ConfigurationError: What was remembered cannot be read.
            StorageError: The engine's folder cannot be written to.
        """
        signer = signer_of(manifest)
        if judgement.trust is Trust.FIRST_USE and signer is not None:
            seen = KnownSigner(_source(manifest), signer.text, self.clock().astimezone(UTC))
            _write(self.home, (*known_signers(self.home), seen))


def _source(manifest: Manifest) -> str:
    return f"{manifest.source.plugin.name} {manifest.source.location}"


def known_signers(home: Path) -> tuple[KnownSigner, ...]:
    """The keys that were seen before.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    path = home / FILE_NAME
    try:
        document: Any = json.loads(path.read_bytes())
        return tuple(structure(document, list[KnownSigner]))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, StructureError):
        message = f"{path} cannot be read, so it is not known whose signatures were seen before."
        raise ConfigurationError(message, hint="Restore it, or remove it to begin anew.") from None


def _write(home: Path, signers: Sequence[KnownSigner]) -> None:
    """Write down the keys that were seen, in place of those written before.

    Raises:
        StorageError: The engine's folder cannot be written to.
    """
    content = (json.dumps(unstructure(list(signers)), indent=2) + "\n").encode()
    with storage_errors(home):
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with staged_file(home) as (descriptor, staged):
            os.write(descriptor, content)
            os.fsync(descriptor)
            publish(staged, home / FILE_NAME, overwrite=True)

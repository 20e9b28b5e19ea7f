"""Signatures of manifests: who vouches for a file.

Signed is ``tailrace.manifest.1``, a zero byte, and the manifest as canonical JSON without its ``signature`` and without
``file.name``: the digests in the manifest cover the file, and a file may be renamed. Signatures are Ed25519 (RFC 8032).
"""

import base64
import binascii
import json
from typing import Any

import attrs

from tailrace.model.errors import ConfigurationError, TamperedError
from tailrace.model.manifest import Manifest, SignatureRecord, manifest_document
from tailrace.vault.canonical import canonical_json
from tailrace.vault.keys import Signer, SigningKey

_CONTEXT = b"tailrace.manifest.1\0"


def signed(manifest: Manifest, key: SigningKey) -> Manifest:
    """The manifest with a signature; one that it had before is replaced."""
    from nacl.signing import SigningKey as Ed25519

    signature = Ed25519(key.content).sign(_message(manifest)).signature
    record = SignatureRecord("ed25519", key.public.text, base64.b64encode(signature).decode())
    return attrs.evolve(manifest, signature=record)


def signer_of(manifest: Manifest) -> Signer | None:
    """Who signed it; None when nobody did.

    Raises:
        TamperedError: The signature is not of this manifest.
    """
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    record = manifest.signature
    if record is None:
        return None
    try:
        signer = Signer.from_text(record.signer)
        VerifyKey(signer.content).verify(_message(manifest), base64.b64decode(record.signature, validate=True))
    except (BadSignatureError, ConfigurationError, binascii.Error, ValueError):
        message = "The signature does not belong to this manifest: one of them was changed."
        raise TamperedError(message, hint="Do not use the file. Ask its maker for another copy.") from None
    return signer


def _message(manifest: Manifest) -> bytes:
    # Through JSON once, so that it is what a reader of the file sees: tuples are lists by then, and times texts.
    document: dict[str, Any] = json.loads(json.dumps(manifest_document(manifest)))
    document.pop("signature")
    document["file"].pop("name")
    return _CONTEXT + canonical_json(document)

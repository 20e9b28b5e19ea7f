"""Sealing requests in the store: a location may hold a password, and so may an option.

What is stored is a random nonce (24 bytes) and what libsodium's ``crypto_aead_xchacha20poly1305_ietf`` makes of the
request as JSON, under the store's key. The associated data are netstrings of ``tailrace.request.1``, the kind of thing
that the request belongs to, and its id: a request that is moved to another job does not open.
"""

import hashlib
import json
import secrets
from typing import Any, Final

import attrs

from tailrace.model.errors import TamperedError
from tailrace.vault.canonical import canonical_json, netstrings

_NONCE: Final = 24
_CONTEXT: Final = "tailrace.request.1"


@attrs.frozen(repr=False, eq=False)
class RequestSealer:
    """Seals and opens requests.

    Args:
        key: 32 bytes.
    """

    key: bytes

    @property
    def key_id(self) -> str:
        """What tells this key from another without telling anything about it; 32 hexadecimal digits."""
        return hashlib.blake2b(key=self.key, digest_size=16, person=b"tailrace-store").hexdigest()

    def seal(self, kind: str, thing: str, request: Any) -> bytes:
        """Seal a request.

        Args:
            kind: What it belongs to: ``"job"``, ``"template"``.
            thing: The id of that.
            request: JSON-like values.
        """
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

        nonce = secrets.token_bytes(_NONCE)
        sealed: bytes = encrypt(canonical_json(request), _place(kind, thing), nonce, self.key)
        return nonce + sealed

    def open(self, kind: str, thing: str, sealed: bytes) -> Any:
        """Open a request.

        Raises:
            TamperedError: It was changed, or belongs to something else.
        """
        from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
        from nacl.exceptions import CryptoError

        try:
            return json.loads(decrypt(sealed[_NONCE:], _place(kind, thing), sealed[:_NONCE], self.key))
        except CryptoError:
            message = f"The request of {kind} {thing} cannot be opened: it was changed, or sealed with another key."
        raise TamperedError(message, hint="All who use a store need the same key: see the setting store.key.")


def _place(kind: str, thing: str) -> bytes:
    return netstrings((_CONTEXT, kind, thing))

"""Tokens of download links: which file of which job, for whom, until when; signed, so that nobody can make one up.

A token is ``PAYLOAD.MAC``, both Base64 for URLs without padding. The payload is a version byte (1), the last second in
which the token can be used (8 bytes since 1970, big endian), the number of the file (2 bytes), the job (a UUID, 16
bytes) and the id of the user (UTF-8). The MAC is BLAKE2b with 32 bytes over the payload, under a key of its own that is
derived from the store's: BLAKE2b of the text ``tailrace.download-link.1`` under that. A token of another store, or of
another purpose, is none here.

What is signed is not secret: who has the token can read job and user in it.
"""

import base64
import binascii
import hashlib
import hmac
import struct
import uuid
from datetime import UTC, datetime
from typing import Final

import attrs

_VERSION: Final = 1
_HEAD: Final = struct.Struct(">BQH16s")
_MAC: Final = 32
_CONTEXT: Final = b"tailrace.download-link.1"
_LONGEST: Final = 2000
"""Characters of a token at most; one of the longest user id there can be has fewer."""


class InvalidTokenError(Exception):
    """A text that is no token of this store."""


@attrs.frozen
class LinkClaim:
    """What a token says.

    Args:
        job: The job, by its whole id.
        number: Which of its files, from 1.
        user: For whom.
        expires: Until when, UTC, to the second.
    """

    job: str
    number: int
    user: str
    expires: datetime


class LinkTokens:
    """Writes tokens and reads them.

    Args:
        key: The store's key, 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(_CONTEXT, key=key, digest_size=32).digest()

    def write(self, claim: LinkClaim) -> str:
        """The token that says this."""
        expires = int(claim.expires.timestamp())
        payload = _HEAD.pack(_VERSION, expires, claim.number, uuid.UUID(claim.job).bytes) + claim.user.encode()
        return f"{_text(payload)}.{_text(self._mac(payload))}"

    def read(self, token: str) -> LinkClaim:
        """What a token says; whether its time is over is not looked at.

        Raises:
            InvalidTokenError: It is none, of another store, or was changed in any way.
        """
        payload = self._verified(token)
        version, expires, number, job = _HEAD.unpack_from(payload)
        if version != _VERSION:
            raise InvalidTokenError
        user = payload[_HEAD.size :].decode()
        return LinkClaim(str(uuid.UUID(bytes=job)), number, user, datetime.fromtimestamp(expires, UTC))

    def _verified(self, token: str) -> bytes:
        """The payload of a token whose signature is right."""
        if len(token) > _LONGEST or not token.isascii():
            raise InvalidTokenError
        first, _dot, second = token.partition(".")
        payload, mac = _bytes(first), _bytes(second)
        # In a time that does not tell how much of it is right. Base64 has several texts for the same bytes, of which
        # one only is a token.
        genuine = hmac.compare_digest(mac, self._mac(payload))
        canonical = hmac.compare_digest(token, f"{_text(payload)}.{_text(mac)}")
        if not (genuine and canonical):
            raise InvalidTokenError
        return payload

    def _mac(self, payload: bytes) -> bytes:
        return hashlib.blake2b(payload, key=self._key, digest_size=_MAC).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise InvalidTokenError from None

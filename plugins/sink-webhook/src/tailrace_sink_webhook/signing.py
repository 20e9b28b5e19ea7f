"""Signatures as Standard Webhooks has them: HMAC-SHA256 over ``id.timestamp.body``.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime

from tailrace import ConfigurationError

_SHORTEST, _LONGEST = 24, 64
_OTHER = re.compile(r"[^A-Za-z0-9_-]")


def message_id(delivery: str) -> str:
    """The id of a message: the same for each try of a delivery."""
    return f"msg_{_OTHER.sub('-', delivery)}"


def check_secret(secret: str, position: int) -> str:
    """Return a secret that can sign.

    Args:
        secret: What stands behind the reference.
        position: Which of the secrets it is, from 1, for the error.

    Raises:
        ConfigurationError: It is not ``whsec_`` and the Base64 of 24 to 64 bytes.
    """
    text = secret.strip()
    encoded = text.removeprefix("whsec_")
    try:
        size = len(base64.b64decode(encoded, validate=True)) if encoded != text else 0
    except (binascii.Error, ValueError):
        size = 0
    if not _SHORTEST <= size <= _LONGEST:
        raise ConfigurationError(
            f"Secret {position} for webhooks is not whsec_ and the Base64 of {_SHORTEST} to {_LONGEST} bytes.",
            hint="Make a new one as the reference of webhooks says.",
        )
    return text


def signed_headers(secrets: Sequence[str], identity: str, moment: datetime, body: bytes) -> dict[str, str]:
    """The three headers that prove who sent a message, and when.

    Args:
        secrets: Each gives a signature; receivers accept a message when one of them is right.
        identity: Id of the message.
        moment: The time of this try.
        body: What is signed.
    """
    from standardwebhooks import Webhook

    text = body.decode()
    return {
        "webhook-id": identity,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(identity, moment, text) for secret in secrets),
    }

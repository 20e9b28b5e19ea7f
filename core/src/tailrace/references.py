"""Stable ids that stand for secrets: the same secret has the same id, and the id says nothing without the key."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

from tailrace.local_keys import local_key

_DIGEST_SIZE = 16
FILE_NAME = "reference.key"


def reference_ids(home: Path) -> Callable[..., str]:
    """A function that turns the parts that identify a secret into its id.

    The id is ``ref_`` and the BLAKE2b digest (16 bytes, base32) of the parts, each with its length before it, under a
    random key. The key is read, or made, when the first id is asked for.

    Args:
        home: Folder of the engine, where the key is kept in ``reference.key``, readable for its owner only.
    """
    key = b""

    def reference(*parts: str) -> str:
        nonlocal key
        key = key or local_key(home / FILE_NAME, what="a reference key", lost="ids will differ from then on")
        digest = hashlib.blake2b(key=key, digest_size=_DIGEST_SIZE, person=b"tailrace-ref")
        for part in parts:
            encoded = part.encode(errors="surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return "ref_" + base64.b32encode(digest.digest()).decode().rstrip("=").lower()

    return reference

"""Stable ids that stand for secrets: the same secret has the same id, and the id says nothing without the key."""

import base64
import hashlib
import logging
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tailrace.model.errors import AlreadyExistsError, ConfigurationError
from tailrace.pipeline.publish import publish
from tailrace.pipeline.staging import staged_file
from tailrace.pipeline.storage import storage_errors

log = logging.getLogger(__name__)

_KEY_SIZE = 32
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
        key = key or _key(home)
        digest = hashlib.blake2b(key=key, digest_size=_DIGEST_SIZE, person=b"tailrace-ref")
        for part in parts:
            encoded = part.encode(errors="surrogatepass")
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return "ref_" + base64.b32encode(digest.digest()).decode().rstrip("=").lower()

    return reference


def _key(home: Path) -> bytes:
    path = home / FILE_NAME
    try:
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            _make_key(path)
            key = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise ConfigurationError(message, hint="Let this user read it, or set another home.") from error
    if len(key) != _KEY_SIZE:
        message = f"{path} is not a reference key: it has {len(key)} bytes instead of {_KEY_SIZE}."
        raise ConfigurationError(message, hint="Restore it from a backup, or remove it: ids will differ from then on.")
    return key


def _make_key(path: Path) -> None:
    with storage_errors(path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with staged_file(path.parent) as (descriptor, staged), storage_errors(path):
        os.write(descriptor, secrets.token_bytes(_KEY_SIZE))
        os.fsync(descriptor)
        # Two processes may make one at the same moment: the first to publish wins, both use it.
        with suppress(AlreadyExistsError):
            publish(staged, path)
            log.info("made a new key for references in %s", path)

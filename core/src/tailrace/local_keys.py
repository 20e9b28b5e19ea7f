"""Keys that this installation keeps for itself: made once, at random, readable for their owner only."""

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from tailrace.files.publish import publish
from tailrace.files.staging import staged_file
from tailrace.files.storage import storage_errors
from tailrace.model.errors import AlreadyExistsError, ConfigurationError

log = logging.getLogger(__name__)

KEY_SIZE: Final = 32
"""Bytes of every such key."""


def local_key(path: Path, *, what: str, lost: str) -> bytes:
    """Read a key, or make it when it is not there.

    Args:
        path: Its file, in the engine's home.
        what: What it is a key for, with its article: ``"a reference key"``.
        lost: What follows when it is lost, as a clause.

    Raises:
        ConfigurationError: It cannot be read, or is no key.
        StorageError: It cannot be written.
    """
    try:
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            _make(path, what)
            key = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}."
        raise ConfigurationError(message, hint="Let this user read it, or set another home.") from error
    if len(key) != KEY_SIZE:
        message = f"{path} is not {what}: it has {len(key)} bytes instead of {KEY_SIZE}."
        raise ConfigurationError(message, hint=f"Restore it from a backup, or remove it: {lost}.")
    return key


def _make(path: Path, what: str) -> None:
    with storage_errors(path.parent):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with staged_file(path.parent) as (descriptor, staged), storage_errors(path):
        os.write(descriptor, secrets.token_bytes(KEY_SIZE))
        os.fsync(descriptor)
        # Two processes may make one at the same moment: the first to publish wins, both use it.
        with suppress(AlreadyExistsError):
            publish(staged, path, private=True)
            log.info("made %s in %s", what, path)

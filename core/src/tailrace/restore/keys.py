"""The key under which imports are remembered; it never leaves this installation."""

import hashlib
from pathlib import Path
from typing import Final

import attrs

from tailrace.local_keys import KEY_SIZE, local_key

FILE_NAME: Final = "undo.key"


@attrs.frozen(repr=False, eq=False)
class ImportKeys:
    """Two keys, derived from the one that is kept.

    Args:
        digests: For digests of pools, which could be guessed from weak passwords if they had no key.
        records: For sealing what an import replaced.
    """

    digests: bytes
    records: bytes


def import_keys(home: Path) -> ImportKeys:
    """Read the key in ``undo.key``, or make it.

    Args:
        home: Folder of the engine.

    Raises:
        ConfigurationError: It cannot be read, or is no key.
        StorageError: It cannot be written.
    """
    key = local_key(home / FILE_NAME, what="a key for undo records", lost="earlier imports cannot be undone then")
    return ImportKeys(digests=_derived(key, b"tlr-digests"), records=_derived(key, b"tlr-undo"))


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hashlib.blake2b(key=key, digest_size=KEY_SIZE, person=purpose).digest()

"""Putting another manifest into a finished document: when its keys are wrapped for others, not when its rows change."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tailrace import IntegrityError
from tailrace_format_json.document import DOCUMENT_END, SEAL_START, manifest_lines, seal_line

ChangeManifest = Callable[[Mapping[str, Any]], Mapping[str, Any]]
SealBytes = Callable[[bytes], Mapping[str, Any]]
_START = manifest_lines({}).removesuffix(b"{}")


def with_manifest(content: bytes, change: ChangeManifest, seal: SealBytes) -> bytes:
    """The same document with another manifest and seal; every byte between them stays.

    Args:
        content: A document with a seal.
        change: Gives the new manifest for the old one.
        seal: Gives the seal for the bytes before it.

    Raises:
        IntegrityError: The document is not built as it was written.
    """
    end_of_rows = content.rfind(SEAL_START)
    try:
        # The rows are not decoded: a manifest ends where its object does.
        head = content[: content.index(b"\n}", len(_START)) + len(b"\n}")]
        manifest = json.loads(head.removeprefix(_START).decode())
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or not content.startswith(_START) or end_of_rows < 0:
        message = "The JSON file is not as it was written: its manifest or its seal is missing."
        raise IntegrityError(message, hint="The file is damaged or was changed: export again.")
    sealed = manifest_lines(change(manifest)) + content[len(head) : end_of_rows]
    return sealed + seal_line(seal(sealed)) + DOCUMENT_END

"""Bytes that mean one thing only: what is authenticated or signed."""

import json
from collections.abc import Iterable
from typing import Any


def canonical_json(value: Any) -> bytes:
    """JSON in one form: members sorted by name, no blanks, everything beyond ASCII escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def netstrings(parts: Iterable[str]) -> bytes:
    """Texts one after the other, each as ``<bytes>:<UTF-8>,``: no two lists of texts give the same bytes."""
    return b"".join(b"%d:%b," % (len(part.encode()), part.encode()) for part in parts)

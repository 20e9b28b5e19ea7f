"""Finished files to deliver, and a message to carry, as the engine would hand them over."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from tailrace import Manifest, Message, Parcel, __version__, structure

NAME = "words_20261130T081500Z_ada.jsonl.gz"
"""Name of a file that is like those of the engine."""
EXPORT = "0198c0de-0000-7000-8000-000000000001"
MESSAGE = Message(
    event="success",
    subject="Your export words is ready",
    text="It has 3 rows.",
    facts={"job": "0198c0de", "rows": "3"},
    link="",
    moment=datetime(2026, 11, 30, 8, 15, tzinfo=UTC),
)


def manifest_of(name: str, size: int, sha256: str) -> Manifest:
    """A manifest as exports have it.

    Args:
        name: Name of the file.
        size: Its bytes.
        sha256: Their SHA-256, hexadecimal.
    """
    plugin = {"name": "lines", "distribution": "tailrace-sdk", "version": __version__}
    return structure(
        {
            "schema_version": 2,
            "tailrace_version": __version__,
            "export_id": EXPORT,
            "created": "2026-11-30T08:15:00+00:00",
            "user": "ada",
            "source": {"plugin": {**plugin, "name": "words"}, "location": "memory", "version": "1"},
            "format": plugin,
            "format_options": {},
            "parameters": {},
            "time_range": None,
            "time_zone": "UTC",
            "credentials": "sanitized",
            "tables": [
                {
                    "name": "words",
                    "columns": [{"name": "word", "type": "String", "meaning": "text"}],
                    "rows": {"source": 3, "rejected": 0, "written": 3, "reread": 3},
                }
            ],
            "file": {
                "name": name,
                "media_type": "application/x-ndjson",
                "plain_size": size,
                "plain_sha256": sha256,
                "size": size,
                "sha256": sha256,
                "compression": {"method": "gzip", "level": 6},
            },
        },
        Manifest,
    )


def fields_of(user: str = "ada") -> dict[str, str]:
    """Values for name patterns, as exports have them."""
    return {
        "source": "words",
        "table": "words",
        "timestamp": "20261130T081500Z",
        "user": user,
        "format": "lines",
        "ext": "jsonl.gz",
        "year": "2026",
        "month": "11",
        "day": "30",
        "id": EXPORT,
    }


def make_parcel(folder: Path, content: bytes, *, name: str = NAME, user: str = "ada", staged: str = "") -> Parcel:
    """A file, ready to be delivered.

    Args:
        folder: Where it lies, under a name that only the engine knows.
        content: What is in it.
        name: The name that it is to have.
        user: Who asked for it.
        staged: What tells its own name there from that of other files; made of its content by default.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = folder / f".tailrace-{staged or sha256[:16]}.part"
    path.write_bytes(content)
    return Parcel(path, manifest_of(name, len(content), sha256), fields_of(user))

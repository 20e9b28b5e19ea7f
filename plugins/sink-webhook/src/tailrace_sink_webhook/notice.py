"""What a receiver is told, as small JSON that is the same at every try."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tailrace import Manifest, Message

LONGEST = 4096
"""Bytes of a notice at most: as the header ``Tailrace-Notice`` it fits what usual servers take in a line, 8 KB."""
VERSION = 1
"""Version of the shape of ``data``; raised when something is taken away or changes its meaning."""

# More than would fit, so that not thousands have to be tried.
_MOST_TABLES = 200
_LONGEST_TEXT = 200
_LONGEST_PROSE = 1000


def file_notice(manifest: Manifest, link: str) -> bytes:
    """The notice of a file.

    Tables beyond those that fit are counted, not listed.

    Args:
        manifest: What the file is.
        link: Where it can be fetched; empty where that takes a command.
    """
    file = manifest.file
    tables = [{"name": _cut(table.name), "rows": table.rows.reread} for table in manifest.tables[:_MOST_TABLES]]
    applied = manifest.time_range
    data: dict[str, Any] = {
        "schema_version": VERSION,
        "export": _cut(manifest.export_id),
        "created": _moment(manifest.created),
        "user": _cut(manifest.user),
        "source": _cut(manifest.source.plugin.name),
        "format": _cut(manifest.format.name),
        "credentials": str(manifest.credentials),
        "time_range": applied
        and {
            "column": _cut(applied.column),
            "since": applied.since and _moment(applied.since),
            "until": _moment(applied.until),
        },
        "rows": sum(table.rows.reread for table in manifest.tables),
        "tables": tables,
        "tables_not_listed": len(manifest.tables) - len(tables),
        "file": {
            "name": _cut(file.name, 255),
            "media_type": _cut(file.media_type),
            "compression": file.compression and file.compression.method,
            "size": file.size,
            "sha256": file.sha256,
        },
        "fetch": {"link": link, "command": f"tailrace jobs download {_cut(manifest.export_id)}"},
    }
    while len(body := _encode("export.file_ready", manifest.created, data)) > LONGEST and tables:
        tables.pop()
        data["tables_not_listed"] += 1
    return body


def message_notice(message: Message) -> bytes:
    """The notice of what happened to a job; facts that do not fit are left out, the last ones first.

    Args:
        message: What somebody is told.
    """
    facts = {_cut(name): _cut(value) for name, value in message.facts.items()}
    data = {
        "schema_version": VERSION,
        "subject": _cut(message.subject),
        "text": _cut(message.text, _LONGEST_PROSE),
        "facts": facts,
        "link": message.link,
    }
    kind = "export." + "_".join(message.event.split())
    while len(body := _encode(kind, message.moment, data)) > LONGEST and facts:
        facts.popitem()
    return body


def _encode(kind: str, moment: datetime, data: Mapping[str, Any]) -> bytes:
    # ASCII only: the same bytes can be a header.
    return json.dumps({"type": kind, "timestamp": _moment(moment), "data": data}, separators=(",", ":")).encode()


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _cut(text: str, longest: int = _LONGEST_TEXT) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"

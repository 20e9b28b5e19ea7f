"""The audit trail in the store: entries are appended, listed and verified, never changed and never removed.

Each entry holds the hash of the one before. Its own is the SHA-256, hexadecimal, of the JSON object of all its other
columns, as :func:`tailrace.vault.canonical.canonical_json` writes it: members sorted by name, no blanks, everything
beyond ASCII escaped; times as ISO 8601 in microseconds (``2026-08-15T06:00:00.000000Z``), and ``parameters`` as the
text that is stored. ``docs/reference/audit.md`` tells how to compute it elsewhere.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import sqlalchemy as sa

from tailrace.model.audit import BEGINNING, AuditEntry, AuditFilter, AuditRecord, one_line, shortened
from tailrace.model.errors import TamperedError
from tailrace.reading.userinfo import redacted
from tailrace.store.tables import audit
from tailrace.vault.canonical import canonical_json

_APPENDERS: Final = int.from_bytes(b"tr_audi", "big")
"""Key of the advisory lock under which PostgreSQL is appended to."""
_LONGEST: Final = {
    "user": 255,
    "operation": 40,
    "job": 36,
    "thing": 1000,
    "source": 255,
    "format": 255,
    "file": 4000,
    "error": 4000,
    "address": 255,
    "agent": 500,
}
"""Characters of each text; one that is longer is cut, and still told from others."""
_NAMES: Final = frozenset({"user", "operation", "job", "source", "format", "address"})
"""Texts that identify something, and are kept as they are, whatever they look like."""
_LONGEST_PARAMETER: Final = 2000
_LONGEST_PARAMETERS: Final = 16_000

# Made once: building them takes longer than carrying them out.
_NEWEST: Final = sa.select(audit.c.number, audit.c.hash).order_by(audit.c.number.desc()).limit(1)
_INSERT: Final = sa.insert(audit)


def append(connection: sa.Connection, entry: AuditEntry, *, now: datetime) -> str:
    """Append an entry, as the last thing in a transaction: until that ends, whoever else appends waits.

    What does not print becomes an escape, what looks like credentials in an address is removed, and what is too long
    is cut, before it is stored.

    Args:
        connection: For writing.
        entry: The entry.
        now: What time it is.

    Returns:
        Its hash, the newest of the trail.
    """
    return append_all(connection, [entry], now=now)


def append_all(connection: sa.Connection, entries: Sequence[AuditEntry], *, now: datetime) -> str:
    """Append entries, one behind the other, as :func:`append` does; returns the newest hash of the trail."""
    if connection.dialect.name == "postgresql":
        # SQLite has one writer at a time anyway.
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_APPENDERS)))
    number, newest_hash = head(connection)
    rows = []
    for entry in entries:
        number += 1
        values = _tidied(entry) | {"number": number, "moment": now, "previous": newest_hash}
        hashed = {name: _iso(value) if isinstance(value, datetime) else value for name, value in values.items()}
        hashed["parameters"] = canonical_json(values["parameters"]).decode()
        newest_hash = digest(hashed)
        rows.append(values | {"hash": newest_hash})
    if rows:
        connection.execute(_INSERT, rows)
    return newest_hash


def newest(connection: sa.Connection) -> str:
    """The hash of the newest entry; :data:`~tailrace.model.audit.BEGINNING` where there is none."""
    return head(connection)[1]


def head(connection: sa.Connection) -> tuple[int, str]:
    """Number and hash of the newest entry; 0 and that of the beginning where there is none."""
    found = connection.execute(_NEWEST).one_or_none()
    return (0, BEGINNING) if found is None else (int(found.number), str(found.hash))


def listing(connection: sa.Connection, asked: AuditFilter, *, limit: int = 100) -> list[AuditRecord]:
    """Entries, the newest first.

    Args:
        connection: Any.
        asked: Which.
        limit: How many at most.

    Raises:
        TamperedError: One is such that it cannot have been written by this program.
    """
    names = {name: getattr(asked, name) for name in ("user", "operation", "outcome", "job")}
    wanted = [audit.c[name] == stored_name(name, text) for name, text in names.items() if text is not None]
    if asked.since is not None:
        wanted.append(audit.c.moment >= asked.since)
    if asked.until is not None:
        wanted.append(audit.c.moment < asked.until)
    if asked.before is not None:
        wanted.append(audit.c.number < asked.before)
    rows = connection.execute(sa.select(audit).where(*wanted).order_by(audit.c.number.desc()).limit(limit))
    try:
        return [AuditRecord(**row) for row in rows.mappings()]
    except (ValueError, TypeError) as error:
        # A time, or parameters, of another shape.
        message = "An entry of the audit trail cannot be read: it was changed since it was written."
        raise TamperedError(message, hint="Find out which: tailrace audit verify") from error


def stored_name(column: str, text: str) -> str:
    """A name as the trail has it: escaped, and cut where it is too long.

    Args:
        column: The column that it stands in: ``"user"``, ``"job"`` …
        text: The name.
    """
    return shortened(one_line(text), _LONGEST.get(column, 10))


def digest(values: Mapping[str, Any]) -> str:
    """The hash of an entry.

    Args:
        values: Its columns but ``hash``, times and parameters as texts.
    """
    return hashlib.sha256(canonical_json(values)).hexdigest()


def _tidied(entry: AuditEntry) -> dict[str, Any]:
    """The columns of an entry, with texts that can do no harm."""
    values = attrs.asdict(entry, recurse=False)
    for name in _LONGEST:
        if values[name] is not None:
            text = values[name] if name in _NAMES else redacted(values[name])
            values[name] = stored_name(name, text)
    parameters = _plain(entry.parameters)
    written = canonical_json(parameters)
    if len(written) > _LONGEST_PARAMETERS:
        parameters = {"left_out": len(written), "sha256": hashlib.sha256(written).hexdigest()}
    return values | {"parameters": dict(sorted(parameters.items()))}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, Mapping):
        # Sorted: what is stored is, letter for letter, what is hashed.
        plain = {_text(str(name)): _plain(inner) for name, inner in value.items()}
        return dict(sorted(plain.items()))
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return _iso(value)
    return _text(str(value))


def _text(text: str) -> str:
    return shortened(one_line(redacted(text)), _LONGEST_PARAMETER)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

"""From what the hash holds to columns, each value of the type that it should have."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import attrs

from tailrace import BadRow, BadRowError, BadRows, Context

_CHECK_EVERY = 1_000
_MOST = 2**63 - 1
_WHEN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_PORT = re.compile(r"[0-9]{1,5}")
_LAST_PORT = 65_535


class _WrongError(Exception):
    """A value that does not fit; says what was expected, and quotes nothing."""

    def __init__(self, column: str, expected: str) -> None:
        super().__init__(expected)
        self.column, self.expected = column, expected


@attrs.frozen(repr=False)
class Record:
    """A proxy as it is stored.

    Args:
        address: ``host:port``.
        username: User name of its login; None where there is none.
        password: Password, likewise.
        facts: What else is known of it, by column.
    """

    address: str
    username: str | None
    password: str | None
    facts: Mapping[str, Any]


@attrs.define(repr=False)
class Records:
    """The proxies of a pool, in the order of their addresses.

    Args:
        rows: Those that can be read.
        logins: Name and password of everybody, also of those that cannot be read.
        bad_rows: The others.
        further: How many have fields that are not known here.
    """

    rows: list[Record] = attrs.field(factory=list)
    logins: list[tuple[str | None, str | None]] = attrs.field(factory=list)
    bad_rows: BadRows = attrs.field(factory=BadRows)
    further: int = 0


@attrs.frozen(repr=False)
class _Entry:
    """A field of the hash, taken apart; its value is None where not even its name can be read."""

    address: str
    username: str | None = None
    password: str | None = None
    name: str = ""
    stored: bytes | None = None

    @classmethod
    def of(cls, field: bytes, stored: bytes) -> "_Entry":
        try:
            name = field.decode()
        except UnicodeDecodeError:
            return cls("")
        login, _at, address = name.rpartition("@")
        username, colon, password = login.partition(":")
        # A login without a colon is a token, and as secret as a password.
        if not colon:
            username, password = "", login
        return cls(address, username or None, password or None, name, stored)


def read_records(fields: Mapping[bytes, bytes], zone: ZoneInfo, *, report: bool, context: Context) -> Records:
    """Read what the hash holds.

    Args:
        fields: Its fields and values.
        zone: Zone of its times.
        report: Whether what cannot be read is left out and told, rather than raised.
        context: Cancellation and deadline.

    Raises:
        BadRowError: A proxy cannot be read.
    """
    records = Records()
    for number, entry in enumerate(_in_order(fields, context), start=1):
        if number % _CHECK_EVERY == 0:
            context.check()
        records.logins.append((entry.username, entry.password))
        try:
            facts, is_more = _facts(entry, zone)
        except _WrongError as error:
            if not report:
                message = f"Proxy {number} of the pool cannot be read: {error.column} is not {error.expected}."
                raise BadRowError(message, row=number, column=error.column) from None
            records.bad_rows.add([BadRow(number, error.column, f"it is not {error.expected}")])
        else:
            records.rows.append(Record(entry.address, entry.username, entry.password, facts))
            records.further += is_more
    return records


def _in_order(fields: Mapping[bytes, bytes], context: Context) -> list[_Entry]:
    """The fields by address, so that the order of rows says nothing about logins."""
    found = []
    for number, (field, stored) in enumerate(fields.items()):
        if number % _CHECK_EVERY == 0:
            context.check()
        found.append(_Entry.of(field, stored))
    found.sort(key=lambda entry: (entry.address, entry.name))
    return found


def _facts(entry: _Entry, zone: ZoneInfo) -> tuple[dict[str, Any], bool]:
    host, _colon, port = entry.address.rpartition(":")
    if entry.stored is None or not host or not _PORT.fullmatch(port) or not 0 < int(port) <= _LAST_PORT:
        raise _WrongError("proxy", "an address such as 192.0.2.1:8080")
    try:
        value = json.loads(entry.stored)
    except (ValueError, RecursionError):
        raise _WrongError("value", "a JSON object") from None
    if not isinstance(value, dict):
        raise _WrongError("value", "a JSON object")
    if value.pop("proxy", None) != entry.name:
        raise _WrongError("proxy", "the address that it is filed under")
    # In old versions, and never both.
    value.setdefault("anonymous", value.pop("type", None))
    facts = {name: read(name, value.pop(name, None)) for name, read in _READ.items()}
    facts["last_time"] = _moment("last_time", facts["last_time"], zone)
    return facts, bool(value)


def _text(column: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _WrongError(column, "a text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _WrongError(column, "a text of whole characters") from None
    return value


def _whole(column: str, value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not -_MOST <= value <= _MOST:
        raise _WrongError(column, "a whole number")
    return value


def _flag(column: str, value: object) -> bool | None:
    if value is None or value == "":
        return None
    if value not in (0, 1) or isinstance(value, float):
        raise _WrongError(column, "true or false")
    return bool(value)


def _moment(column: str, text: str | None, zone: ZoneInfo) -> datetime | None:
    """The moment, UTC. Of an hour that clocks show twice, it is the first."""
    if not text:
        return None
    try:
        shown = datetime.fromisoformat(text) if _WHEN.fullmatch(text) else None
    except ValueError:
        shown = None
    if shown is None:
        raise _WrongError(column, "a time such as 2026-08-15 06:30:00")
    try:
        moment = shown.replace(tzinfo=zone).astimezone(UTC)
        back = moment.astimezone(zone).replace(tzinfo=None)
    except OverflowError:
        back = None
    if back != shown:
        raise _WrongError(column, f"a time that clocks in {zone.key} have ever shown")
    return moment


_READ: Mapping[str, Callable[[str, object], Any]] = {
    "https": _flag,
    "fail_count": _whole,
    "region": _text,
    "anonymous": _text,
    "source": _text,
    "check_count": _whole,
    "last_status": _flag,
    "last_time": _text,
}

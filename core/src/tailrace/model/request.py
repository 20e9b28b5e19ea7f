"""What a caller asks for."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import attrs

from tailrace.model.errors import RequestError
from tailrace.model.notify import Notify

CompressionLevel = int | Literal["fast"]


class CredentialMode(StrEnum):
    """What happens to user names and passwords."""

    FULL = "full"
    """Sealed: unreadable without a key, restorable with one."""
    SANITIZED = "sanitized"
    """Removed."""
    REFERENCE = "reference"
    """Replaced by a stable keyed id."""


def _mode(value: CredentialMode | str) -> CredentialMode:
    """The mode, also by its name."""
    try:
        return CredentialMode(value)
    except ValueError:
        modes = ", ".join(mode.value for mode in CredentialMode)
        raise RequestError(f"There is no credentials mode {value!r}.", hint=f"There is: {modes}.") from None


def _texts(_instance: object, attribute: "attrs.Attribute[tuple[str, ...]]", value: object) -> None:
    if isinstance(value, str):
        raise RequestError(f"{attribute.name} are several texts, not one", hint=f'Write {attribute.name}=("…",).')


def _level(_instance: object, attribute: "attrs.Attribute[CompressionLevel]", value: CompressionLevel) -> None:
    if value != "fast" and value not in range(1, 10):
        raise RequestError(f"{attribute.name} is 1 to 9, or 'fast'")


_MOST_ROWS = 2**32 - 2
"""polars counts rows in 32 bits."""


def _row_count(_instance: object, attribute: "attrs.Attribute[int | None]", value: int | None) -> None:
    if value is not None and value < 0:
        raise RequestError(f"{attribute.name} is 0 or more")
    if value is not None and value > _MOST_ROWS:
        raise RequestError(f"{attribute.name} is at most {_MOST_ROWS:,}")


@attrs.frozen
class SinkRequest:
    """Where an export goes.

    Args:
        name: Name of the sink plugin.
        target: What the sink delivers to, in its own words (a folder, an address); None for its default.
        options: Options of the sink, by name.
    """

    name: str
    target: str | None = attrs.field(default=None, repr=False)
    options: Mapping[str, Any] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class ExportRequest:
    """One export: what, as what, where to.

    Its ``repr`` leaves out what may hold a password: location, options, and the targets of sinks.

    Args:
        source: Name of the source plugin (``"pool"``).
        location: Where the source reads: a URI, or a path to a file or folder.
        format: Name of the format plugin (``"csv"``).
        sinks: Where to deliver; each gets the same file.
        columns: Columns to keep, in this order; ``"new=old"`` renames. Empty: all.
        where: Filter expressions; a row is kept when all of them hold.
        since: Start of the time range, inclusive: ISO 8601, or a duration before now (``"7d"``).
        until: End of the time range, exclusive, in the same words. Fixed before the first row is read.
        time_zone: IANA zone that timestamps are displayed in; None for UTC.
        sort: Columns to sort by; a leading ``-`` sorts downwards. Empty: the order of the source.
        limit: Keep at most this many rows of each table.
        credentials: What happens to user names and passwords; the mode, or its name.
        compress: Whether formats that are not compressed by nature are gzipped.
        compress_level: 1 (quick) to 9 (small), or ``"fast"`` for ISA-L's quickest.
        openers: Who can open what mode ``full`` seals: references to keys (``"file:master.key"``), never keys; see
            :mod:`tailrace.vault.keyring`. Empty: those of the settings.
        options: Options of source and format, by name; texts are converted to the option's type. ``"csv.delimiter"``
            names the plugin where both have an option of that name.
        notify: Who is told how it ended; None for what the user generally prefers, empty for nobody.
    """

    source: str
    location: str = attrs.field(repr=False)
    format: str
    sinks: tuple[SinkRequest, ...] = (SinkRequest("disk"),)
    columns: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    where: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    since: str | None = None
    until: str | None = None
    time_zone: str | None = None
    sort: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    limit: int | None = attrs.field(default=None, validator=_row_count)
    credentials: CredentialMode = attrs.field(default=CredentialMode.SANITIZED, converter=_mode)
    compress: bool = True
    compress_level: CompressionLevel = attrs.field(default=6, validator=_level)
    openers: tuple[str, ...] = attrs.field(default=(), validator=_texts)
    options: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    notify: tuple[Notify, ...] | None = None


@attrs.frozen
class TimeRange:
    """A half-open range of time, ``since <= t < until``, both UTC.

    Args:
        since: First moment inside; None for no lower bound.
        until: First moment outside.
    """

    since: datetime | None
    until: datetime

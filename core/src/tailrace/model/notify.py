"""Who wishes to be told about what becomes of an export, and how."""

from enum import StrEnum
from typing import Final

import attrs

IN_APP: Final = "in-app"
"""The channel of what is kept in the store, for the application to show."""


class NotifyOn(StrEnum):
    """What somebody can be told about."""

    COMPLETED = "completed"
    """The export is made, and everybody has it who is to have it."""
    FAILED = "failed"
    """It came to nothing."""
    PARTLY_DELIVERED = "partly delivered"
    """It is made, and some of those who are to have it could not be given it."""


@attrs.frozen
class Notify:
    """A wish to be told.

    Args:
        channel: ``"in-app"``, or the name of a sink that carries messages: ``"email"``, ``"webhook"``.
        target: Address or URL, in the sink's own words; None for ``"in-app"``.
        on: About what.
    """

    channel: str
    target: str | None = attrs.field(default=None, repr=False)
    on: tuple[NotifyOn, ...] = tuple(NotifyOn)

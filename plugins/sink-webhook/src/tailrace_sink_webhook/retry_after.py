"""How long a receiver asks to wait: ``Retry-After`` (RFC 9110, section 10.2.3)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 30 * 86_400.0
"""Seconds that are believed at most."""

_SECONDS = re.compile(r"[+-]?[0-9]{1,20}")


def seconds_to_wait(text: str | None, now: datetime) -> float | None:
    """Seconds that a ``Retry-After`` asks for.

    Args:
        text: The header; None where there is none.
        now: The time at which it came.

    Returns:
        0 to :data:`LONGEST`; None when it is neither a number of seconds nor a date.
    """
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        # Dates without a zone are in GMT by the RFC.
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST)

"""What the answer of a receiver means."""

import re
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import urlsplit

import attrs

from tailrace_sink_webhook.retry_after import seconds_to_wait

_SUCCESS, _REDIRECTION, _SERVER = range(200, 300), range(300, 400), range(500, 600)
_GONE = 410
_FOR_NOW = {408, 425, 429}
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,100}")
_HINTS = {
    401: "It may know another secret, or want a header.",
    403: "It may know another secret, or want a header.",
    404: "Check its URL.",
    405: "It may not take this way of sending.",
    413: "The file is too large for it.",
    415: "It may not take this way of sending.",
}


@attrs.frozen
class Answer:
    """The head of an answer; nothing needs the rest.

    Args:
        status: The status code.
        headers: Values by names in lower case.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)


@attrs.frozen
class Verdict:
    """What became of a delivery.

    Args:
        delivered: Whether the receiver has it.
        text: What it answered, as the end of a sentence that begins with its place.
        transient: Whether trying again may help.
        unwanted: Whether it wants nothing any more.
        retry_after: Seconds that it asks to wait; None where it does not say.
    """

    delivered: bool
    text: str
    transient: bool = False
    unwanted: bool = False
    retry_after: float | None = None


def judge(answer: Answer, now: datetime) -> Verdict:
    """Judge an answer.

    Args:
        answer: The answer.
        now: The time at which it came.
    """
    status = answer.status
    if status in _SUCCESS:
        return Verdict(delivered=True, text=f"answered {status}")
    if status == _GONE:
        return Verdict(delivered=False, unwanted=True, text="answered 410: it wants nothing any more.")
    if status in _FOR_NOW or status in _SERVER:
        wait = seconds_to_wait(answer.headers.get("retry-after"), now)
        return Verdict(delivered=False, transient=True, retry_after=wait, text=f"answered {status}.")
    if status in _REDIRECTION:
        text = f"answered {status}, and redirections are not followed{_elsewhere(answer)}."
        return Verdict(delivered=False, text=f"{text} Set the URL that really answers.")
    return Verdict(delivered=False, text=f"answered {status}. {_HINTS.get(status, '')}".rstrip())


def _elsewhere(answer: Answer) -> str:
    """Where a redirection leads: the host alone, since a path may be a password, and only if it looks like one."""
    try:
        host = urlsplit(answer.headers.get("location", "")).hostname or ""
    except ValueError:
        return ""
    return f": it leads to {host}" if _HOST.fullmatch(host) else ""

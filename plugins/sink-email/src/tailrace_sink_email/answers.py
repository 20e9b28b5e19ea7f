"""What a mail server answered: whether to try again, and in which words it may be told."""

import base64
import re
from collections.abc import Sequence

import attrs

from tailrace import PermanentError, TailraceError, TransientError
from tailrace_sink_email.harmless import one_line

CLOSING = 421
"""The server is about to hang up, whatever the command was (RFC 5321, 3.8)."""

_MOST_WORDS = 200
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)")
_LATER = "Where it stays so, ask who runs the mail server."
_NEVER = "Ask who runs the mail server, or correct the address or the settings."


@attrs.frozen
class Answer:
    """An answer of the server.

    Args:
        code: Three digits: 2xx yes, 3xx go on, 4xx not now, 5xx no (RFC 5321, 4.2.1); -1 where there were none.
        text: What it said, as one harmless line without secrets.
    """

    code: int
    text: str

    @property
    def accepted(self) -> bool:
        """Whether it is a yes."""
        return 200 <= self.code < 300  # noqa: PLR2004 - RFC 5321: 2yz is a positive completion

    @property
    def transient(self) -> bool:
        """Whether trying again may help: it said so, or it is no answer of a mail server."""
        return not 500 <= self.code < 600  # noqa: PLR2004 - RFC 5321: 5yz is a permanent refusal

    @property
    def words(self) -> str:
        """Code and text for people."""
        return f"{self.code} {self.text}".strip() if self.code > 0 else "no answer of a mail server"

    @property
    def status(self) -> str:
        """Code and enhanced status (RFC 3463) only: for answers to a password, in which it could be repeated."""
        found = _STATUS.match(self.text)
        if self.code < 0:
            return self.words
        return f"{self.code} {found[0]}" if found else str(self.code)


def read(code: int, text: bytes, hidden: Sequence[str]) -> Answer:
    """An answer from what came over the wire.

    Args:
        code: The code.
        text: The lines behind it.
        hidden: What must not be shown even if the server repeats it.
    """
    words = text.decode(errors="replace")
    for secret in hidden:
        words = words.replace(secret, "***")
    return Answer(code, one_line(words, most=_MOST_WORDS))


def spellings(user: str, password: str) -> tuple[str, ...]:
    """What a password looks like on the wire, the longest first."""
    plain = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
    return tuple(sorted({plain, base64.b64encode(password.encode()).decode(), password} - {""}, key=len, reverse=True))


def failure(message: str, *, transient: bool) -> TailraceError:
    """An error of the kind that the engine decides by."""
    return TransientError(message, hint=_LATER) if transient else PermanentError(message, hint=_NEVER)

"""The names that users give to what they keep: templates and schedules."""

import re
import unicodedata

from tailrace.model.errors import RequestError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def check_name(kind: str, name: str) -> None:
    """Return where something can be called so.

    Args:
        kind: What it is: ``"template"``.
        name: The name.

    Raises:
        RequestError: It cannot.
    """
    if not _NAME.fullmatch(name):
        message = f"The name of a {kind} is 1 to 100 letters, digits, dots, hyphens and underscores."
        raise RequestError(message, hint="It begins with a letter, a digit or an underscore: nightly-log, pool.v2")


def read_name(name: str, user: str) -> tuple[str, str] | None:
    """Whose thing is meant by ``NAME`` or ``OWNER/NAME``, and its own name; None for what can be nobody's.

    Databases have errors of their own for some of what can be nobody's name.

    Args:
        name: The name.
        user: Who says it, whose it is where it says nobody.
    """
    owner, slash, own_name = name.rpartition("/")
    if not _NAME.fullmatch(own_name) or not is_plain(owner):
        return None
    return (owner if slash else user), own_name


def is_plain(text: str) -> bool:
    """Whether a text is one line without control characters, and can be written as UTF-8."""
    return not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text)

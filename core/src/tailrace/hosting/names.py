"""Names that an application gives to what it hands over."""

import re
from typing import Final

from tailrace.model.errors import RequestError

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?", re.ASCII)


def check_name(name: str, what: str) -> None:
    """Refuse what cannot stand in names of files, on command lines and in logs.

    Args:
        name: The name.
        what: What it is a name of.

    Raises:
        RequestError: It cannot be one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        message = f"That cannot be the name of a {what}."
        hint = "It has up to 64 small letters, digits, - and _, and begins and ends with a letter or digit."
        raise RequestError(message, hint=hint)

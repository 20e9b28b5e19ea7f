"""Where a Redis is."""

import os
import re
from urllib.parse import unquote, urlsplit

import attrs

from tailrace import RequestError

_HINT = "Write --from redis://HOST:PORT/DATABASE, such as redis://127.0.0.1:6379/0; rediss:// for TLS."
PASSWORD_FROM = "REDISCLI_AUTH"


@attrs.frozen
class RedisPlace:
    """A database of a Redis.

    Args:
        host: Name or address.
        port: Port.
        database: Number of the database.
        username: Whom to log in as; empty for the default user.
        password: With what; empty for none.
        tls: Whether by TLS.
    """

    host: str
    port: int
    database: int
    username: str = attrs.field(default="", repr=False)
    password: str = attrs.field(default="", repr=False)
    tls: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"


def read_place(location: str) -> RedisPlace:
    """The place that a location means. Its password is that in the location, or else that of the environment.

    Raises:
        RequestError: It means none. The text does not quote it: it may hold a password.
    """
    try:
        parts = urlsplit(location)
        port = parts.port or 6379
    except ValueError:
        raise RequestError("The location of the source redis is no URL.", hint=_HINT) from None
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname:
        raise RequestError("The location of the source redis is not the URL of a Redis.", hint=_HINT)
    if parts.query or parts.fragment:
        raise RequestError("The location of the source redis has something behind the database.", hint=_HINT)
    database = parts.path.strip("/") or "0"
    if not re.fullmatch(r"[0-9]{1,6}", database):
        raise RequestError("The database of the source redis is a number.", hint=_HINT)
    return RedisPlace(
        parts.hostname,
        port,
        int(database),
        unquote(parts.username or ""),
        unquote(parts.password or "") or os.environ.get(PASSWORD_FROM, ""),
        tls=parts.scheme == "rediss",
    )

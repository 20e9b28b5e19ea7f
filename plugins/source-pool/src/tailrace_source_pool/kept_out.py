"""What an export without logins must not hold, for the engine to search the finished file for it."""

import polars as pl

from tailrace import Secrets
from tailrace_source_pool.address import SCHEMES
from tailrace_source_pool.columns import AUTH_TYPES, HEALTH_STATES, ORIGINS
from tailrace_source_pool.logins import Logins
from tailrace_source_pool.redaction import REDACTED

_WORDS = (*SCHEMES, *HEALTH_STATES, *ORIGINS, *AUTH_TYPES.values(), "userpass", "none", REDACTED)
"""What columns of a pool hold whatever its logins are."""
_FOUND_ANYWHERE = 8
"""Characters from which on a secret is found wherever it stands, so that a pair that holds it needs no look-up."""


def kept_out(logins: Logins, hosts: pl.Series, urls: pl.Series) -> Secrets:
    """The logins of a pool, and what is public in it.

    Args:
        logins: The logins of everybody, also of proxies that are not shown.
        hosts: Hosts of the proxies that are shown.
        urls: Their URLs, as they are shown.
    """
    texts: dict[str, str] = {}
    for user, password in logins.in_clear():
        if user:
            texts.setdefault(user, "user name")
        if password:
            texts[password] = "password"
        if user and password and max(len(user), len(password)) < _FOUND_ANYWHERE:
            texts[f"{user}:{password}"] = "user name and password"
    return Secrets(texts, public=(*_WORDS, *hosts.drop_nulls().unique(), *urls.drop_nulls().unique()))

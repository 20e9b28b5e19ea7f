"""The names of the dialects, and which of them are made of lines."""

from tailrace import UnknownNameError
from tailrace_source_pool.address import SCHEMES

LINE_DIALECTS = ("hostport", "colon", "userinfo", "colon-userfirst", "url", "proxychains", "template")
"""One proxy on each line."""
DIALECTS = (*LINE_DIALECTS, "json", "csv", "clash")
DEFAULT_SCHEME = "http"
"""Protocol of lines that name none, where nothing else says it."""


def known_dialect(name: str) -> str:
    """The name itself.

    Raises:
        UnknownNameError: There is no such dialect.
    """
    if name not in DIALECTS:
        raise UnknownNameError("dialect", name, DIALECTS)
    return name


def known_scheme(name: str | None) -> str:
    """The scheme in lower case; the usual one for None.

    Raises:
        UnknownNameError: No proxy has such a scheme.
    """
    scheme = DEFAULT_SCHEME if name is None else name.lower()
    if scheme not in SCHEMES:
        raise UnknownNameError("scheme", scheme, SCHEMES)
    return scheme

"""URLs of receivers: read strictly, so that no two readers can take one for different hosts."""

import hashlib
import ipaddress
import re
from functools import lru_cache

import attrs

from tailrace import RequestError
from tailrace_sink_webhook.addresses import Address
from tailrace_sink_webhook.allowing import is_host_name

_PORTS = {"http": 80, "https": 443}
_LAST_PORT = 65535
_SHAPE = re.compile(r"(https?)://([^/?#]*)([/?][^#]*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")


@attrs.frozen
class Destination:
    """Where a request goes.

    Args:
        scheme: ``"https"`` or ``"http"``.
        host: Name in lower case, or address without brackets.
        port: The port.
        target: Path and query. They are a webhook's password: never shown.
        digest: The first 8 digits of the URL's SHA-256, to tell one from another.
    """

    scheme: str
    host: str
    port: int
    target: str = attrs.field(repr=False)
    digest: str

    @property
    def address(self) -> Address | None:
        """The host, where it is an address; None where it is a name."""
        try:
            return ipaddress.ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """Host, and port where it is not the usual one, as in a URL and in ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """What may be shown: everything before the path."""
        return f"{self.scheme}://{self.authority}/…"

    @property
    def name(self) -> str:
        """What may be shown and tells two URLs of one host apart."""
        return f"{self.place} #{self.digest}"


# Asked several times at each delivery: for the name of the receiver, its judgement, and the delivery itself.
@lru_cache(maxsize=1024)
def parse_destination(url: str) -> Destination:
    """Read a URL.

    Args:
        url: The URL.

    Raises:
        RequestError: It is none, or is written in a way that readers understand differently: with user info,
            backslashes, characters beyond ASCII, escapes in the host, or numbers that are no plain address.
    """
    if "\\" in url or not _VISIBLE.fullmatch(url):
        raise _unusable(
            "holds a backslash, or something that is no visible ASCII character",
            "Write other characters percent-encoded, and an international host name in its xn-- form.",
        )
    shape = _SHAPE.fullmatch(url)
    if shape is None:
        raise _unusable("is not http:// or https:// without a fragment", "Write https://host/path.")
    scheme, authority, target = shape[1].lower(), shape[2], shape[3] or "/"
    if "@" in authority:
        raise _unusable("holds a user or password", "Give them as a header: sinks.webhook.endpoints.NAME.headers.")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise _unusable("has a host that is neither a name nor an address", "Write https://host/path.")
    port = int(parts[2]) if parts[2] else _PORTS[scheme]
    if not 1 <= port <= _LAST_PORT:
        raise _unusable("has a port that does not exist", f"Ports are 1 to {_LAST_PORT}.")
    return Destination(
        scheme=scheme,
        host=_host(parts[1]),
        port=port,
        target=target if target.startswith("/") else f"/{target}",
        digest=hashlib.sha256(url.encode()).hexdigest()[:8],
    )


def _host(text: str) -> str:
    try:
        if text.startswith("["):
            return str(ipaddress.IPv6Address(text[1:-1]))
        name = text.lower().removesuffix(".")
        # Systems read "127.1", "0x7f.1" and "2130706433" as addresses, each in its own way.
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            return str(ipaddress.IPv4Address(name))
    except ValueError:
        raise _unusable(
            "has a host that looks like an address, and is none", "Write four decimal numbers, or IPv6 in brackets."
        ) from None
    if not is_host_name(name):
        raise _unusable("has a host that is neither a name nor an address", "Write https://host/path.")
    return name


def _unusable(what: str, hint: str) -> RequestError:
    return RequestError(f"The URL of the webhook {what}.", hint=hint)

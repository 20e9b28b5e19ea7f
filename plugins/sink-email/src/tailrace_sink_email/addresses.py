"""Mail addresses: which are taken, and how each is written, always the same.

Only the plain form of RFC 5321 is taken: ``local@domain`` with a dot-atom before the ``@``. Quoted local parts, address
literals and routes are legal and used by nobody but those who try what a program lets through.
"""

import re

import attrs

from tailrace import RequestError
from tailrace_sink_email.harmless import is_visible, one_line

MOST_RECIPIENTS = 100
"""Addresses of one target: what every server has to take in one transaction (RFC 5321, 4.5.3.1.8)."""

_MOST_BYTES = 254  # RFC 5321, 4.5.3.1.3: a path has 256 octets, two of which are its brackets
_MOST_LOCAL = 64  # 4.5.3.1.1
_MOST_DOMAIN = 253
_LOCAL = re.compile(r"[^.\s@]+(\.[^.\s@]+)*")
_SPECIAL = frozenset('()<>[]:;@\\,"')
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOT = re.compile("[.\u3002\uff0e\uff61]")  # RFC 3490, 3.1
_AMBIGUOUS = frozenset("ßς\u200c\u200d")
"""Characters that IDNA 2003 drops or replaces and IDNA 2008 keeps: two domains, of two owners."""

_NAMED = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]*)>")


@attrs.frozen
class Mailbox:
    """An address with the name of whom it belongs to.

    Args:
        address: The address.
        name: The name; may be empty.
    """

    address: str
    name: str = ""

    @property
    def domain(self) -> str:
        """What stands behind the ``@``."""
        return self.address.rpartition("@")[2]


def recipients(target: str | None) -> tuple[str, ...]:
    """The addresses that a target means, separated by commas, each once.

    Raises:
        RequestError: There is none, there are too many, or one is no address.
    """
    found = tuple(dict.fromkeys(normalised(part) for part in (target or "").split(",") if part.strip()))
    if not found:
        raise RequestError("There is nobody to send mail to.", hint="Name an address: email:ann@example.com")
    if len(found) > MOST_RECIPIENTS:
        raise RequestError(
            f"A mail goes to {MOST_RECIPIENTS} addresses at most, and these are {len(found)}.",
            hint="Use a mailing list, or several --to email:…",
        )
    return found


def normalised(text: str) -> str:
    """An address as it is stored, shown and sent: without spaces around it, its domain in lower-case ASCII.

    Domains of other scripts become what the DNS knows them by (IDNA, ``xn--…``). What stands before the ``@`` is left
    as it is: only its own server knows what it means.

    Raises:
        RequestError: It is no address.
    """
    address = text.strip(" \t")
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise _refused(address, "it has not the form name@domain")
    _check_local(address, local)
    whole = f"{local}@{_ascii_domain(address, domain)}"
    if len(whole.encode()) > _MOST_BYTES:
        raise _refused(address, f"it has more than {_MOST_BYTES} bytes")
    return whole


def mailbox(text: str) -> Mailbox:
    """Read ``ann@example.com`` or ``Ann Example <ann@example.com>``.

    Raises:
        RequestError: It is neither, or not ASCII before the ``@``: not every server could answer to it.
    """
    named = _NAMED.fullmatch(text.strip())
    name, address = (named["name"], named["address"]) if named else ("", text)
    box = Mailbox(normalised(address), one_line(name.strip().strip('"'), most=60))
    if not box.address.isascii():
        raise _refused(box.address, "what sends mail needs an address of ASCII characters")
    return box


def _check_local(address: str, local: str) -> None:
    if not all(map(is_visible, local)):
        raise _refused(address, "it holds a space, or a character that cannot be seen")
    if not _LOCAL.fullmatch(local) or not _SPECIAL.isdisjoint(local) or "=?" in local:
        raise _refused(address, "only letters, digits and simple signs may stand before the @")
    if len(local.encode()) > _MOST_LOCAL:
        raise _refused(address, f"more than {_MOST_LOCAL} bytes stand before the @")


def _ascii_domain(address: str, domain: str) -> str:
    if not _AMBIGUOUS.isdisjoint(domain):
        raise _refused(address, "its domain means different things by the old and the new rules", "Write it as xn--…")
    try:
        # What nameprep maps to dots and the like is checked afterwards, in what comes out.
        ascii_domain = (domain if domain.isascii() else domain.encode("idna").decode()).lower()
    except UnicodeError:
        raise _refused(address, "its domain cannot be a name in the DNS") from None
    labels = ascii_domain.split(".")
    # Some characters become a dot only by being normalised: who wrote ⒈com hardly meant 1.com.
    if (
        len(labels) != len(_DOT.split(domain))
        or len(ascii_domain) > _MOST_DOMAIN
        or not all(map(_LABEL.fullmatch, labels))
    ):
        raise _refused(address, "its domain cannot be a name in the DNS")
    return ascii_domain


def _refused(address: str, reason: str, hint: str = "Write it as ann@example.com") -> RequestError:
    return RequestError(f"{one_line(address, most=80)!r} is no mail address: {reason}.", hint=f"{hint}.")

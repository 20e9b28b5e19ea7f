"""What the operator sets for webhooks: ``[sinks.webhook]``."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from tailrace import ConfigurationError, RequestError
from tailrace_sink_webhook.allowing import AllowList
from tailrace_sink_webhook.destination import parse_destination

_REFERENCE = re.compile(r"(env|file|keyring):.+", re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OURS = {
    "accept-encoding", "connection", "content-digest", "content-length", "content-range", "content-type", "expect",
    "host", "repr-digest", "tailrace-notice", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
    "webhook-id", "webhook-signature", "webhook-timestamp",
}  # fmt: skip


def is_reference(text: str) -> bool:
    """Whether a text says where a secret is, rather than being one."""
    return _REFERENCE.fullmatch(text) is not None


# The texts of these errors never quote what was given: it may be the secret itself, in the wrong place.


def _references(_settings: object, attribute: "attrs.Attribute[Any]", value: tuple[str, ...]) -> None:
    if not all(is_reference(reference) for reference in value):
        raise ConfigurationError(f"{attribute.name} are references: env:NAME, file:PATH or keyring:NAME")


def _headers(_settings: object, attribute: "attrs.Attribute[Any]", value: Mapping[str, str]) -> None:
    if not all(_TOKEN.fullmatch(name) and name.lower() not in _OURS for name in value):
        raise ConfigurationError(
            f"{attribute.name} has a name that is not one of a header, or is one of Tailrace's own"
        )
    _references(_settings, attribute, tuple(value.values()))


def _url(_settings: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
    if not is_reference(value):
        try:
            parse_destination(value)
        except RequestError as error:
            raise ConfigurationError(f"{attribute.name}: {error.message} {error.hint}") from None


def _allow(_settings: object, attribute: "attrs.Attribute[Any]", value: tuple[str, ...]) -> None:
    try:
        AllowList.parse(value)
    except ValueError:
        raise ConfigurationError(
            f"{attribute.name} names networks, such as 10.1.0.0/16, and hosts, such as hooks.internal"
        ) from None


def _at_least(least: float) -> Callable[[object, "attrs.Attribute[Any]", float], None]:
    def check(_settings: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
        if value < least:
            raise ConfigurationError(f"{attribute.name} is at least {least:g}")

    return check


@attrs.frozen
class Endpoint:
    """A receiver that requests call by a name.

    Args:
        url: Its URL, or a reference to it where it is a secret.
        secrets: References to the secrets it knows; those of all endpoints when empty.
        headers: References to the values of further headers, such as ``Authorization``, by their names.
        resume: Whether uploads to it by PUT can be resumed.
    """

    url: str = attrs.field(repr=False, validator=_url)
    secrets: tuple[str, ...] = attrs.field(default=(), repr=False, validator=_references)
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False, validator=_headers)
    resume: bool = False


@attrs.frozen
class WebhookSettings:
    """Settings of the sink ``webhook``.

    Args:
        secrets: References to the secrets that sign, each ``whsec_`` and Base64. All of them sign, so that receivers
            can change from one to the next.
        endpoints: Receivers by name.
        allow: Networks and names of hosts that may be reached although they lead inside, or without TLS.
        timeout: Seconds that connecting, sending a block, or waiting for the next byte may take.
        total_timeout: Seconds that a delivery may take; with a file, a second more for each 100,000 bytes.
        limit: Bytes of the largest file that is sent.
        longest_answer: Bytes of an answer that are read; what is longer costs the connection, not the delivery.
        ca_file: File with certificates of authorities, in PEM, that are trusted besides the usual ones.
    """

    secrets: tuple[str, ...] = attrs.field(default=(), repr=False, validator=_references)
    endpoints: Mapping[str, Endpoint] = attrs.field(factory=dict)
    allow: tuple[str, ...] = attrs.field(default=(), validator=_allow)
    timeout: float = attrs.field(default=10.0, validator=_at_least(0.01))
    total_timeout: float = attrs.field(default=30.0, validator=_at_least(0.01))
    limit: int = attrs.field(default=100_000_000, validator=_at_least(0))
    longest_answer: int = attrs.field(default=65_536, validator=_at_least(0))
    ca_file: str = ""

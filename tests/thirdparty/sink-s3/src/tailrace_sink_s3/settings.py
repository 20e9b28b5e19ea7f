"""What the operator sets for the sink ``s3``: ``[sinks.s3]``."""

import re
from typing import Any, Literal
from urllib.parse import urlsplit

import attrs

from tailrace import ConfigurationError

_REFERENCE = re.compile(r"(env|file|keyring):.+", re.DOTALL)
_REGION = re.compile(r"[a-z0-9-]{1,63}")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
TEBIBYTE = 1 << 40
MEBIBYTE = 1 << 20
MOST_PARTS = 10_000
_LARGEST_PART = 5 << 30


# The texts of these errors never quote what was given: it may be a secret in the wrong place.


def _reference(_settings: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
    if value and not _REFERENCE.fullmatch(value):
        raise ConfigurationError(f"{attribute.name} is a reference: env:NAME, file:PATH or keyring:NAME")


def _endpoint(settings: "S3Settings", attribute: "attrs.Attribute[Any]", value: str) -> None:
    if not value:
        return
    try:
        parts = urlsplit(value)
        port_is_odd = parts.port == 0
    except ValueError:
        parts, port_is_odd = urlsplit(""), True
    if port_is_odd or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigurationError(f"{attribute.name} is the URL of a storage, such as https://s3.example.com")
    if "@" in parts.netloc:
        raise ConfigurationError(f"{attribute.name} has no user and password: access_key_id and secret_access_key do")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK and not settings.allow_http:
        raise ConfigurationError(f"{attribute.name} sends files in clear: use https, or set allow_http = true")


def _region(_settings: object, attribute: "attrs.Attribute[Any]", value: str) -> None:
    if not _REGION.fullmatch(value):
        raise ConfigurationError(f"{attribute.name} is the name of a region, such as eu-central-1")


def _part(_settings: object, attribute: "attrs.Attribute[Any]", value: int) -> None:
    if not 5 * MEBIBYTE <= value <= _LARGEST_PART:
        raise ConfigurationError(f"{attribute.name} is 5 MiB to 5 GiB, in bytes")


def _positive(_settings: object, attribute: "attrs.Attribute[Any]", value: float) -> None:
    if not value > 0:
        raise ConfigurationError(f"{attribute.name} is more than 0")


@attrs.frozen
class S3Settings:
    """Settings of the sink ``s3``.

    Args:
        access_key_id: Reference to the access key.
        secret_access_key: Reference to the secret that belongs to it.
        session_token: Reference to the token of temporary credentials; empty for lasting ones.
        allow_http: Whether the endpoint may be reached without TLS; it may on this machine in any case.
        endpoint: URL of the storage, without the bucket; empty for Amazon's in the region.
        region: The region that requests are signed for.
        addressing: Whether the bucket is in the path of a URL, or in the name of its host.
        buckets: The buckets that may be written to; empty for any that the credentials allow.
        ca_file: File with certificates of authorities, in PEM, that are trusted besides the usual ones.
        part_size: Bytes of a part, of which a few are in memory; files that would have more than 10,000 parts get
            larger ones. A file of one part is sent in one request.
        limit: Bytes of the largest object that the storage takes.
        timeout: Seconds that a single request may take.
    """

    access_key_id: str = attrs.field(default="", repr=False, validator=_reference)
    secret_access_key: str = attrs.field(default="", repr=False, validator=_reference)
    session_token: str = attrs.field(default="", repr=False, validator=_reference)
    allow_http: bool = False
    endpoint: str = attrs.field(default="", validator=_endpoint)
    region: str = attrs.field(default="us-east-1", validator=_region)
    addressing: Literal["path", "host"] = "path"
    buckets: tuple[str, ...] = ()
    ca_file: str = ""
    part_size: int = attrs.field(default=8 * MEBIBYTE, validator=_part)
    limit: int = attrs.field(default=5 * TEBIBYTE, validator=_positive)
    timeout: float = attrs.field(default=60.0, validator=_positive)

    def part_size_for(self, size: int) -> int:
        """Bytes of a part of a file of so many bytes: whole mebibytes where the usual ones would be too many."""
        least = -(-size // MOST_PARTS)
        return max(self.part_size, -(-least // MEBIBYTE) * MEBIBYTE)

"""A bucket, by obstore: reached as the settings say, and not as the environment would have it."""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import obstore
from obstore.store import S3Store

from tailrace import ConfigurationError
from tailrace_sink_s3.failures import STORAGE_ERRORS, failure
from tailrace_sink_s3.place import Place
from tailrace_sink_s3.settings import S3Settings

if TYPE_CHECKING:
    from obstore import PutMode
    from obstore.store import ClientConfig, S3Credential

TOGETHER = 2
"""Parts that are sent at once."""


@attrs.frozen
class Found:
    """An object that is there.

    Args:
        size: Its bytes.
        metadata: What whoever sent it noted, by lower-case names.
    """

    size: int
    metadata: Mapping[str, str]


@attrs.frozen
class Bucket:
    """A bucket to send objects to.

    Args:
        store: What speaks with the storage.
    """

    store: S3Store = attrs.field(repr=False)

    @classmethod
    def opened(cls, name: str, settings: S3Settings, secret: Callable[[str], str]) -> "Bucket":
        """A bucket by its name; nobody is contacted.

        Args:
            name: Its name.
            settings: Of the operator.
            secret: Reveals what references name.

        Raises:
            ConfigurationError: There are no credentials, or a file cannot be read.
        """
        credentials = _credentials(settings, secret)
        endpoint = settings.endpoint.rstrip("/") or f"https://s3.{settings.region}.amazonaws.com"
        if settings.addressing == "host":
            scheme, _, rest = endpoint.partition("://")
            endpoint = f"{scheme}://{name}.{rest}"
        options: ClientConfig = {
            "allow_http": endpoint.startswith("http://"),
            "timeout": timedelta(seconds=settings.timeout),
        }
        if settings.ca_file:
            options["root_certificate"] = _certificates(Path(settings.ca_file))
        store = S3Store(
            name,
            # obstore takes what is not said from the environment, where AWS_ENDPOINT_URL_S3 would win over endpoint.
            # Credentials that a function gives keep it from asking anybody else: files, or the machine it runs on.
            endpoint=endpoint,
            aws_endpoint_url_s3=endpoint,
            region=settings.region,
            virtual_hosted_style_request=settings.addressing == "host",
            skip_signature=False,
            checksum_algorithm="SHA256",
            credential_provider=lambda: credentials,
            client_options=options,
            # A part that is refused for now need not cost the whole file; the rest is the engine's business.
            retry_config={
                "max_retries": 2,
                "backoff": {"init_backoff": timedelta(seconds=0.1), "max_backoff": timedelta(seconds=1), "base": 2},
                "retry_timeout": timedelta(seconds=settings.timeout),
            },
        )
        return cls(store)

    def find(self, place: Place) -> Found | None:
        """The object of a key; None where there is none.

        Raises:
            TransientError: The storage does not say for now.
            PermanentError: It will not say.
        """
        try:
            found = obstore.get(self.store, place.key, options={"head": True})
        except FileNotFoundError:
            return None
        except STORAGE_ERRORS as error:
            raise failure(error, f"Looking for {place}") from None
        metadata = {str(name).lower(): str(value) for name, value in found.attributes.items()}
        return Found(int(found.meta["size"]), metadata)

    def put(self, place: Place, content: bytes, metadata: Mapping[str, str], *, mode: "PutMode") -> None:
        """Send an object in one request.

        Raises:
            BaseError: What obstore says, and the others of :data:`~tailrace_sink_s3.failures.STORAGE_ERRORS`.
        """
        obstore.put(
            self.store, place.key, content, attributes=dict(metadata), mode=mode, use_multipart=False,
        )  # fmt: skip

    def put_parts(self, place: Place, blocks: Iterator[bytes], metadata: Mapping[str, str], *, part_size: int) -> None:
        """Send an object in parts. It appears when all are there; where ``blocks`` raises, they are taken back.

        Raises:
            BaseError: What obstore says, and the others of :data:`~tailrace_sink_s3.failures.STORAGE_ERRORS`.
        """
        obstore.put(
            self.store, place.key, blocks, attributes=dict(metadata), use_multipart=True, chunk_size=part_size,
            max_concurrency=TOGETHER,
        )  # fmt: skip


def _credentials(settings: S3Settings, secret: Callable[[str], str]) -> "S3Credential":
    check_credentials(settings)
    return {
        "access_key_id": secret(settings.access_key_id).strip(),
        "secret_access_key": secret(settings.secret_access_key).strip(),
        "token": secret(settings.session_token).strip() if settings.session_token else None,
        "expires_at": None,
    }


def check_credentials(settings: S3Settings) -> None:
    """See that references to credentials are there.

    Raises:
        ConfigurationError: They are not.
    """
    if not settings.access_key_id or not settings.secret_access_key:
        raise ConfigurationError(
            "The sink s3 has no credentials.",
            hint="Set access_key_id and secret_access_key in [sinks.s3] to references, such as env:S3_SECRET.",
        )


def _certificates(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(f"The file of sinks.s3.ca_file cannot be read: {reason}.") from None

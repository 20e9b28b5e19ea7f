"""Whom the text behind ``--to webhook:`` means."""

from collections.abc import Callable

import attrs

from tailrace import ConfigurationError, RequestError, UnknownNameError
from tailrace_sink_webhook.allowing import AllowList, refuse_inward, refuse_plain
from tailrace_sink_webhook.destination import Destination, parse_destination
from tailrace_sink_webhook.failures import CannotDeliverError
from tailrace_sink_webhook.settings import Endpoint, WebhookSettings, is_reference


@attrs.frozen
class Receiver:
    """Somebody whom webhooks go to.

    Args:
        name: What is shown, stored and audited.
        endpoint: What is set for it.
    """

    name: str
    endpoint: Endpoint

    def destination(self, secret: Callable[[str], str]) -> Destination:
        """Where it is.

        Args:
            secret: Gives the text behind a reference.

        Raises:
            ConfigurationError: There is nothing behind the reference, or no URL.
        """
        url = self.endpoint.url
        if not is_reference(url):
            return parse_destination(url)
        try:
            return parse_destination(secret(url).strip())
        except RequestError as error:
            raise ConfigurationError(f"Endpoint {self.name}: {error.message}", hint=error.hint) from None


def find_receiver(target: str | None, settings: WebhookSettings) -> Receiver:
    """The receiver that a target means.

    Args:
        target: Name of an endpoint, or a URL.
        settings: The settings.

    Raises:
        RequestError: It means nobody.
    """
    if not target:
        raise RequestError("A webhook needs a receiver.", hint="Name one: --to webhook:NAME or --to webhook:https://…")
    if endpoint := settings.endpoints.get(target):
        return Receiver(target, endpoint)
    # Only what looks like a name is quoted: anything else may be a URL with a slip in it.
    if not target.replace("-", "").replace("_", "").isalnum():
        return Receiver(parse_destination(target).name, Endpoint(target))
    raise UnknownNameError("endpoint", target, settings.endpoints, where="sinks.webhook.endpoints")


def refuse_hopeless(receiver: Receiver, settings: WebhookSettings) -> None:
    """Refuse a receiver that no delivery could ever reach, as far as that can be said without asking anybody.

    Args:
        receiver: The receiver.
        settings: The settings.

    Raises:
        ConfigurationError: There is no secret to sign with.
        RequestError: Its address leads inside, or it would be reached without TLS.
    """
    secret_references(receiver, settings)
    if is_reference(receiver.endpoint.url):
        return
    destination = parse_destination(receiver.endpoint.url)
    allow, plain = AllowList.parse(settings.allow), destination.scheme == "http"
    address = destination.address
    try:
        if address is not None:
            refuse_inward(destination.host, [address], allow, plain=plain)
        elif plain and not allow.networks and destination.host not in allow.names:
            refuse_plain(destination.host)
    except CannotDeliverError as error:
        raise RequestError(error.message, hint=error.hint) from None


def secret_references(receiver: Receiver, settings: WebhookSettings) -> tuple[str, ...]:
    """References to the secrets that sign for a receiver.

    Raises:
        ConfigurationError: There is none: nothing goes out unsigned.
    """
    references = receiver.endpoint.secrets or settings.secrets
    if not references:
        raise ConfigurationError(
            "No secret is set for webhooks, and none goes out unsigned.",
            hint="Make one, whsec_ and the Base64 of 24 to 64 random bytes, and name it in sinks.webhook.secrets: "
            "see the reference of webhooks.",
        )
    return references

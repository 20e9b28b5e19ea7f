"""The sink ``webhook``."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from tailrace import (
    ConfigurationError,
    DeliverCall,
    Fit,
    FitCall,
    HttpClient,
    MessageCall,
    Receipt,
    StagingCall,
    __version__,
    readable_size,
)
from tailrace_sink_webhook.allowing import AllowList
from tailrace_sink_webhook.connecting import Connector, Dialler, Resolver, connect, resolve
from tailrace_sink_webhook.connections import KeptConnections, Route
from tailrace_sink_webhook.failures import CannotDeliverError
from tailrace_sink_webhook.notice import file_notice, message_notice
from tailrace_sink_webhook.options import WebhookOptions
from tailrace_sink_webhook.receivers import Receiver, find_receiver, refuse_hopeless, secret_references
from tailrace_sink_webhook.settings import WebhookSettings
from tailrace_sink_webhook.signing import check_secret, message_id

if TYPE_CHECKING:
    from pathlib import Path

    from httpcore import ConnectionPool

    from tailrace_sink_webhook.answers import Verdict
    from tailrace_sink_webhook.sending import Exchange, Sender

NAME = "webhook"
_VALUE = re.compile(r"[\x21-\x7e]+(?:[ \t]+[\x21-\x7e]+)*")


def _utc_now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen
class WebhookSink:
    """Tells HTTP endpoints about files, or sends them: signed, and never to addresses inside unless that is allowed.

    Args:
        resolver: Gives the addresses of a host.
        connector: Makes connections.
        now: Gives the time, UTC.
    """

    resolver: Resolver = resolve
    connector: Connector = connect
    now: Callable[[], datetime] = _utc_now
    _connections: KeptConnections = attrs.field(init=False, repr=False)

    summary = "HTTP endpoints: Standard Webhooks, signed, never redirected, never to inward addresses."
    options_type = WebhookOptions
    settings_type = WebhookSettings

    @_connections.default
    def _no_connections(self) -> KeptConnections:
        return KeptConnections(self._pool)

    def staging(self, call: StagingCall) -> "Path | None":
        """Nowhere in particular: the file is sent when it is finished.

        Raises:
            RequestError: The target cannot be used.
            ConfigurationError: There is no secret to sign with.
        """
        self.check_target(call)
        return None

    def check_target(self, call: StagingCall) -> None:
        """Refuse what no delivery could reach: an unknown name, an odd URL, an address inside.

        Raises:
            RequestError: The target cannot be used.
            ConfigurationError: There is no secret to sign with.
        """
        settings = _settings(call.settings)
        refuse_hopeless(find_receiver(call.target, settings), settings)

    def recipients(self, call: StagingCall) -> Sequence[str]:
        """The one receiver: the name of its endpoint, or its URL without the path.

        Raises:
            RequestError: The target means nobody.
        """
        return (find_receiver(call.target, _settings(call.settings)).name,)

    def addressee(self, target: str, settings: Any) -> str:
        """Whom a target means.

        Raises:
            RequestError: It means nobody.
        """
        return find_receiver(target, _settings(settings)).name

    def fits(self, call: FitCall) -> Fit:
        """Whether a file of that size is sent; a notice always is."""
        limit = _settings(call.settings).limit
        if call.options.send == "notice":
            return Fit(NAME, fits=True, text="A webhook gets a notice, however large the file is.")
        if call.size <= limit:
            return Fit(
                NAME, fits=True, text=f"It has {readable_size(call.size)}, and a webhook takes {readable_size(limit)}."
            )
        sizes = f"It has {readable_size(call.size)}, and a webhook takes {readable_size(limit)}"
        return Fit(NAME, fits=False, text=f"{sizes}: send=notice fits.")

    def deliver(self, call: DeliverCall) -> Receipt:
        """Deliver once.

        Raises:
            RequestError: The target cannot be used.
            ConfigurationError: A secret, or something else that is set, is missing or of no use.
        """
        return self._deliver(find_receiver(call.target, _settings(call.settings)), call)

    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        """Deliver once; what fails is said in the receipt.

        Raises:
            RequestError: The target cannot be used.
            ConfigurationError: A secret, or something else that is set, is missing or of no use.
        """
        receiver = find_receiver(call.target, _settings(call.settings))
        return (self._deliver(receiver, call),) if receiver.name in call.recipients else ()

    def send(self, call: MessageCall) -> Receipt:
        """Carry a message.

        Raises:
            RequestError: The target cannot be used.
            ConfigurationError: A secret, or something else that is set, is missing or of no use.
        """
        receiver = find_receiver(call.target, _settings(call.settings))
        notice = message_notice(call.message)
        return self._sent(receiver, call, call.delivery, lambda sender: sender.send_notice(notice))

    def _deliver(self, receiver: Receiver, call: DeliverCall) -> Receipt:
        options: WebhookOptions = call.options
        parcel = call.parcel
        notice = file_notice(parcel.manifest, call.link)

        def say(sender: "Sender") -> "Verdict":
            if options.send == "put":
                return sender.send_file(parcel, notice, resume=options.resume or receiver.endpoint.resume)
            if options.send == "multipart":
                return sender.send_form(parcel, notice)
            return sender.send_notice(notice)

        return self._sent(receiver, call, call.delivery or parcel.manifest.export_id, say)

    def _sent(
        self,
        receiver: Receiver,
        call: DeliverCall | MessageCall,
        delivery: str,
        say: "Callable[[Sender], Verdict]",
    ) -> Receipt:
        """Let something be said to a receiver, and write down what came of it."""
        from tailrace_sink_webhook.sending import Sender

        settings = _settings(call.settings)
        call.context.check()
        secrets = tuple(
            check_secret(call.secret(reference), position)
            for position, reference in enumerate(secret_references(receiver, settings), 1)
        )
        headers = _headers(receiver.endpoint.headers, call.secret)
        destination = receiver.destination(call.secret)
        route = Route(destination.scheme == "http", settings.allow, settings.ca_file)
        try:
            with self._exchange(route, call.http) as exchange:
                identity = message_id(delivery)
                verdict = say(
                    Sender(exchange, destination, settings, secrets, identity, headers, call.context, self.now)
                )
        except CannotDeliverError as failure:
            return Receipt(
                NAME, delivered=False, error=failure.text, transient=failure.transient, recipient=receiver.name
            )
        said = f"{destination.place} {verdict.text}"
        return Receipt(
            NAME,
            delivered=verdict.delivered,
            place=said if verdict.delivered else "",
            error="" if verdict.delivered else said,
            transient=verdict.transient,
            recipient=receiver.name,
            retry_after=verdict.retry_after,
            unwanted=verdict.unwanted,
        )

    @contextmanager
    def _exchange(self, route: Route, client: HttpClient | None) -> "Iterator[Exchange]":
        """What sends requests: connections of our own, or the application's client."""
        if client is None:
            from tailrace_sink_webhook.exchange import exchange

            with self._connections.using(route) as pool:
                yield partial(exchange, pool)
            return
        from tailrace_sink_webhook.given_client import exchange_by

        dialler = Dialler(AllowList.parse(route.allow), route.plain, self.resolver, self.connector)
        yield partial(exchange_by, client, dialler)

    def _pool(self, route: Route) -> "ConnectionPool":
        from tailrace_sink_webhook.exchange import make_pool

        return make_pool(route, self.resolver, self.connector)


def _settings(given: Any) -> WebhookSettings:
    return WebhookSettings() if given is None else given


def _headers(references: Mapping[str, str], secret: Callable[[str], str]) -> dict[str, str]:
    """What goes with each request besides the signature."""
    headers = {
        "User-Agent": f"Tailrace/{__version__}",
        "Accept": "*/*",
        # What is not packed need not be unpacked, and nothing here would.
        "Accept-Encoding": "identity",
    }
    for name, reference in references.items():
        value = secret(reference).strip()
        if not _VALUE.fullmatch(value):
            raise ConfigurationError(
                f"What is set for the header {name} of a webhook cannot be a header.",
                hint="It is one line of visible ASCII characters.",
            )
        headers[name] = value
    return headers

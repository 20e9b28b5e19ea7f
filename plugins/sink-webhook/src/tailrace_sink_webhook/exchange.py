"""One request and the head of its answer, over HTTP/1.1.

This uses httpcore, the part of httpx that speaks HTTP, and not httpx's client: that one writes whole URLs into its
log, and the path of a webhook is its password. There are neither proxies, redirections, cookies, .netrc nor
decompression at this level, so that none has to be turned off.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping

import attrs
import httpcore
import httpx

from tailrace import ConfigurationError
from tailrace_sink_webhook.allowing import AllowList
from tailrace_sink_webhook.answers import Answer
from tailrace_sink_webhook.connecting import Connector, Dialler, Resolver
from tailrace_sink_webhook.connections import IDLE_SECONDS, MOST_IDLE, Route
from tailrace_sink_webhook.destination import Destination
from tailrace_sink_webhook.failures import CannotDeliverError
from tailrace_sink_webhook.patience import Patience, with_patience
from tailrace_sink_webhook.streams import CheckedBackend

_DRAINING = 0.5
"""Seconds that the rest of an answer may take, once its status is known."""


@attrs.frozen
class Outgoing:
    """A request.

    Args:
        method: ``"POST"`` or ``"PUT"``.
        headers: Values by names; ``Content-Length`` is among them.
        body: Gives the body, block by block.
    """

    method: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: Callable[[], Iterator[bytes]] = attrs.field(repr=False)


def make_pool(route: Route, resolver: Resolver, connector: Connector) -> httpcore.ConnectionPool:
    """A pool of connections.

    Args:
        route: What kind of connections.
        resolver: Gives addresses.
        connector: Makes connections.

    Raises:
        ConfigurationError: The file with authorities cannot be used.
    """
    return httpcore.ConnectionPool(
        # Reading all authorities takes longer than a delivery.
        ssl_context=None if route.plain else _tls(route.ca_file),
        max_connections=None,
        max_keepalive_connections=MOST_IDLE,
        keepalive_expiry=IDLE_SECONDS,
        network_backend=CheckedBackend(Dialler(AllowList.parse(route.allow), route.plain, resolver, connector)),
    )


def _tls(ca_file: str) -> ssl.SSLContext:
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        # ssl.SSLError, for what is no certificate, is an OSError, too.
        except OSError:
            raise ConfigurationError(
                "The certificates in sinks.webhook.ca_file cannot be read.", hint="Name a file in PEM that is readable."
            ) from None
    return context


def exchange(
    pool: httpcore.ConnectionPool,
    destination: Destination,
    outgoing: Outgoing,
    patience: Patience,
    longest_answer: int,
) -> Answer:
    """Send a request, and return what it was answered.

    Args:
        pool: Gives the connection.
        destination: Where it goes.
        outgoing: The request.
        patience: How long it may take.
        longest_answer: Bytes of the answer's body that are read, to keep the connection.

    Raises:
        CannotDeliverError: There was no answer.
        CancelledError: Somebody asked to stop.
        DeadlineError: The time is up.
    """
    request = httpcore.Request(
        outgoing.method,
        httpcore.URL(
            scheme=destination.scheme.encode(),
            host=destination.host.encode(),
            port=destination.port,
            target=destination.target.encode(),
        ),
        headers=[(name.encode(), value.encode("latin-1")) for name, value in outgoing.headers.items()],
        content=outgoing.body(),
    )
    try:
        with with_patience(patience):
            response = pool.handle_request(request)
    except httpcore.ConnectError:
        text = f"{destination.host} broke off the connection before TLS was agreed."
    except httpcore.NetworkError:
        text = f"{destination.host} broke off the connection without an answer."
    except httpcore.ProtocolError:
        # Their texts quote what came, or what was to be sent.
        text = f"{destination.host} gave no answer, or one that is not HTTP/1.1."
    else:
        _drain(response, longest_answer)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        return Answer(response.status, headers)
    raise CannotDeliverError(text, transient=True)


def _drain(response: httpcore.Response, longest: int) -> None:
    """Read a little of the body, so that the connection can be used again; otherwise it is closed.

    Nothing that happens here changes the answer, not even somebody cancelling: the receiver has acknowledged already.
    """
    patience = Patience(_DRAINING, time.monotonic() + _DRAINING, check=lambda: None)
    try:
        with with_patience(patience):
            seen = 0
            for block in response.iter_stream():
                seen += len(block)
                if seen > longest:
                    break
    except (CannotDeliverError, httpcore.NetworkError, httpcore.ProtocolError):
        pass
    finally:
        response.close()

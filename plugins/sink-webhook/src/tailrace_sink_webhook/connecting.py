"""Connections to hosts: resolved once, checked, and made to exactly what was checked."""

import errno
import ipaddress
import os
import selectors
import socket
import threading
from collections.abc import Callable, Sequence

import attrs

from tailrace_sink_webhook.addresses import Address
from tailrace_sink_webhook.allowing import AllowList, refuse_inward
from tailrace_sink_webhook.failures import CannotDeliverError
from tailrace_sink_webhook.patience import Patience, current_patience

Resolver = Callable[[str], Sequence[str]]
"""Gives the addresses of a host, as text; raises OSError where it has none."""

Connector = Callable[[Address, int], socket.socket]
"""Connects to an address and port within the patience of this thread; raises OSError where nobody is there."""


def resolve(host: str) -> Sequence[str]:
    """The addresses of a host, as the system knows them, in its order.

    Raises:
        OSError: It knows none.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def connect(address: Address, port: int) -> socket.socket:
    """A connection to an address.

    Raises:
        OSError: Nobody is there.
        CannotDeliverError: It took too long.
    """
    patience = current_patience()
    end = patience.step()
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - the versions of IP
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(0)
        state = connection.connect_ex((str(address), port))
        if state == errno.EINPROGRESS:
            state = _outcome(connection, patience, end)
    except BaseException:  # whatever ends this, the socket is not left open
        connection.close()
        raise
    if state:
        connection.close()
        raise OSError(state, os.strerror(state))
    return connection


def _outcome(connection: socket.socket, patience: Patience, end: float) -> int:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_WRITE)
        while not selector.select(patience.wait(end)):
            pass
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


@attrs.frozen
class Dialler:
    """Connects to hosts that may be connected to.

    Args:
        allow: What may be reached although it leads inside.
        plain: Whether the connections are without TLS, for which only what is allowed will do.
        resolver: Gives addresses.
        connector: Makes connections.
    """

    allow: AllowList
    plain: bool
    resolver: Resolver = resolve
    connector: Connector = connect

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection to one of the addresses of a host, all of which were checked.

        Args:
            host: Name or address.
            port: The port.

        Raises:
            CannotDeliverError: The host is not found, refused, or does not answer.
        """
        addresses = self.check(host)
        reason = "it has no address"
        for address in addresses:
            try:
                return self.connector(address, port)
            except OSError as error:
                reason = (error.strerror or type(error).__name__).lower()
        raise CannotDeliverError(f"{host} cannot be reached: {reason}.", transient=True)

    def check(self, host: str) -> Sequence[Address]:
        """The addresses of a host, none of which leads where nothing may be sent.

        Raises:
            CannotDeliverError: The host is not found, or refused.
        """
        addresses = self._addresses(host)
        refuse_inward(host, addresses, self.allow, plain=self.plain)
        return addresses

    def _addresses(self, host: str) -> Sequence[Address]:
        try:
            return (ipaddress.ip_address(host),)
        except ValueError:
            pass
        try:
            return tuple(ipaddress.ip_address(text) for text in _resolved(self.resolver, host))
        except (OSError, UnicodeError) as error:
            # UnicodeError is how the codec for host names refuses one.
            reason = getattr(error, "strerror", None) or "that is no name"
        raise CannotDeliverError(f"{host} cannot be found: {reason.lower()}.", transient=True)


def _resolved(resolver: Resolver, host: str) -> Sequence[str]:
    """Ask the resolver in a thread, since nothing else can stop waiting for it; what comes too late goes nowhere."""
    answers: list[Sequence[str]] = []
    failures: list[OSError | UnicodeError] = []

    def ask() -> None:
        try:
            answers.append(resolver(host))
        except (OSError, UnicodeError) as error:
            failures.append(error)

    patience = current_patience()
    end = patience.step()
    thread = threading.Thread(target=ask, name="tailrace-resolver", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(patience.wait(end))
    if failures:
        raise failures[0]
    return answers[0]

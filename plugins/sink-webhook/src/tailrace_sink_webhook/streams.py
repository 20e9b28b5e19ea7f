"""The network as httpcore sees it: connections that were checked, and waits that can be cut short."""

import select
import socket
import ssl
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import httpcore

from tailrace_sink_webhook.connecting import Dialler
from tailrace_sink_webhook.failures import CannotDeliverError
from tailrace_sink_webhook.patience import current_patience

T = TypeVar("T")

# Codes of OpenSSL's verification, x509_vfy.h.
_REASONS = {
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    18: "its certificate is signed by itself",
    19: "its certificate is signed by an authority that is not trusted",
    20: "its certificate is signed by an authority that is not trusted",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}


class PatientStream(httpcore.NetworkStream):
    """A connection that waits in slices, by the patience of the thread that uses it.

    Args:
        connection: A connected socket, plain or with TLS.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Bytes as they come; empty at the end.

        Raises:
            ReadError: The connection broke.
            CannotDeliverError: Nothing came in time.
        """
        try:
            return _patiently(self._socket, partial(self._socket.recv, max_bytes))
        except OSError as error:
            raise httpcore.ReadError from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it.

        Raises:
            WriteError: The connection broke.
            CannotDeliverError: A part was not taken in time.
        """
        left = memoryview(buffer)
        try:
            while left:
                left = left[_patiently(self._socket, partial(self._socket.send, left)) :]
        except OSError as error:
            raise httpcore.WriteError from error

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """The same connection with TLS, the other side's name verified.

        Raises:
            CannotDeliverError: It cannot prove who it is, or does not speak TLS; nothing was sent.
        """
        connection = self._socket
        try:
            connection = ssl_context.wrap_socket(
                connection, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            _patiently(connection, connection.do_handshake)
        except OSError as error:
            connection.close()
            raise _without_tls(error, server_hostname or "") from None
        except BaseException:  # whatever ends this, the socket is not left open
            connection.close()
            raise
        return PatientStream(connection)

    def get_extra_info(self, info: str) -> Any:
        """``is_readable`` tells whether an idle connection was closed by the other side, or has something to say."""
        if info != "is_readable":
            return None
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))


class CheckedBackend(httpcore.NetworkBackend):
    """Gives httpcore connections that were checked.

    Args:
        dialler: Makes them.
    """

    def __init__(self, dialler: Dialler) -> None:
        self._dialler = dialler

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the host.

        Raises:
            CannotDeliverError: The host is not found, refused, or does not answer.
        """
        return PatientStream(self._dialler.dial(host, port))


def _without_tls(error: OSError, host: str) -> Exception:
    """Why there is no TLS: for good, unless the connection broke."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _REASONS.get(error.verify_code, f"its certificate is refused (code {error.verify_code})")
        return CannotDeliverError(
            f"{host} did not prove who it is: {reason}. Nothing was sent.",
            hint="Have it mended there; an authority of your own goes into sinks.webhook.ca_file.",
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        reason = (error.reason or "unknown reason").lower().replace("_", " ")
        return CannotDeliverError(f"{host} and Tailrace found no way to use TLS: {reason}.")
    return httpcore.ConnectError()


def _patiently(connection: socket.socket, operation: Callable[[], T]) -> T:
    """Carry out one operation of a socket, again and again until it does something or the patience ends."""
    patience = current_patience()
    end = patience.step()
    while True:
        connection.settimeout(patience.wait(end))
        try:
            return operation()
        except TimeoutError:
            continue

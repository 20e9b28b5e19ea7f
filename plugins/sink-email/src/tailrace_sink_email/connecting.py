"""Connecting to a mail server, in slices, so that it can be given up."""

import errno
import os
import selectors
import socket
import time
from collections.abc import Callable

_SLICE = 0.2


def connected(host: str, port: int, seconds: float, check: Callable[[], None]) -> socket.socket:
    """A connection to the first address of a host that answers.

    Args:
        host: Its name or address. The system is asked for its addresses, which cannot be cut short.
        port: The port.
        seconds: Time that each address has.
        check: Raises what is to end the waiting.

    Raises:
        OSError: None of them answers; ``gaierror`` where there is none, ``TimeoutError`` where the last was silent.
    """
    failure = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for family, kind, protocol, _name, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            sock = socket.socket(family, kind, protocol)
        except OSError as error:  # such as for a family that this machine does not have
            failure = error
            continue
        try:
            sock.settimeout(0)
            _connect(sock, address, time.monotonic() + seconds, check)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:  # whatever ends this, the socket is not left open
            sock.close()
            raise
        else:
            return sock
    raise failure


def _connect(sock: socket.socket, address: object, end: float, check: Callable[[], None]) -> None:
    state = sock.connect_ex(address)  # type: ignore[arg-type]  # what getaddrinfo gave
    if state == errno.EINPROGRESS:
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_WRITE)
            while not selector.select(min(_SLICE, max(0.0, end - time.monotonic()))):
                check()
                if time.monotonic() >= end:
                    raise TimeoutError
        state = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if state:
        raise OSError(state, os.strerror(state))

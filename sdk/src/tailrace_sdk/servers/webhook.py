"""An HTTP server that keeps what it is sent, and can be slow, refuse, lie, double, hang up or babble."""

import contextlib
import email
import email.policy
import json
import re
import socket
import struct
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Self, cast

import attrs

from tailrace_sdk.servers.faults import Fault, Temper
from tailrace_sdk.servers.listening import Listener

_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")
_NO_LINGERING = struct.pack("ii", 1, 0)
_BLOCK = 64 * 1024


@attrs.frozen
class WebhookRequest:
    """A request that arrived whole.

    Args:
        method: ``"POST"``, ``"PUT"`` …
        path: Path and query.
        headers: Values by names in lower case.
        body: The body; of an upload in parts, all of them together.
    """

    method: str
    path: str = attrs.field(repr=False)
    headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: It is none.
        """
        return json.loads(self.body)

    @property
    def parts(self) -> Mapping[str, tuple[str, bytes]]:
        """File name and content by name of the part, where it is a form; empty otherwise."""
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            return {}
        head = f"Content-Type: {kind}\r\nMIME-Version: 1.0\r\n\r\n".encode()
        form = email.message_from_bytes(head + self.body, policy=email.policy.HTTP)
        found = {}
        for part in form.iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            found[name] = (part.get_filename() or "", cast("bytes | None", part.get_payload(decode=True)) or b"")
        return found


class WebhookServer:
    """An HTTP/1.1 server on 127.0.0.1, for the time of a ``with`` block.

    Args:
        resumable: Whether it keeps what arrived of an upload that broke off, and says how much that is when it is asked
            by ``PUT`` with ``Content-Range: bytes */TOTAL``, as Google Cloud Storage does.
    """

    def __init__(self, *, resumable: bool = False) -> None:
        self.requests: list[WebhookRequest] = []
        self._resumable = resumable
        self._parts: dict[str, bytearray] = {}
        self._temper = Temper()
        self._listener = Listener(self._serve)

    def __enter__(self) -> Self:
        self._listener.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._temper.change(None)
        self._listener.close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._listener.port

    def url(self, path: str = "/") -> str:
        """The URL of a path; everything that is sent to any path arrives."""
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def contacts(self) -> int:
        """How many connections there were."""
        return self._temper.contacts

    def be(self, fault: Fault, *, times: int | None = None, retry_after: float | None = None) -> None:
        """From now on, something is wrong.

        Args:
            fault: What.
            times: How many requests get to feel it, before all is well again; None for all until :meth:`recover`. It
                means nothing to :attr:`Fault.AWAY`.
            retry_after: Seconds for ``Retry-After``, where it is busy.
        """
        self._temper.change(fault, times=times, retry_after=retry_after)
        if fault is Fault.AWAY:
            self._listener.close()

    def recover(self) -> None:
        """All is well again; whoever is kept waiting is cut off."""
        self._temper.change(None)
        self._listener.open()

    def wait_until_stalled(self, seconds: float = 10.0) -> bool:
        """Wait until somebody is kept waiting; False where nobody came in time."""
        return self._temper.stalled.wait(seconds)

    def _serve(self, connection: socket.socket) -> None:
        self._temper.met()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(_BLOCK)
                if not (self.raw_requestline and self.parse_request()):
                    self.close_connection = True
                    return
                keep = not self.close_connection
                # Whatever is wrong ends the connection.
                self.close_connection = True
                self.close_connection = not (server._answer(self) and keep)

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name it has
                """Say nothing."""

        # Whatever the client does to the connection is no failure of the server's.
        with contextlib.suppress(OSError):
            Handler(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]  # it asks nothing of its server

    def _answer(self, handler: BaseHTTPRequestHandler) -> bool:
        """Answer a request; returns whether the connection can go on."""
        if handler.headers.get("Expect", "").lower() == "100-continue":
            handler.send_response_only(100)
            handler.end_headers()
        asked = _RANGE.fullmatch(handler.headers.get("Content-Range", ""))
        asks_how_much = asked is not None and asked[1] is None
        fault = self._temper.take()
        # In the middle of what is sent: there has to be something.
        if fault in {Fault.SLOW, Fault.BABBLING} or (fault is Fault.DROPPING and not asks_how_much):
            self._misbehave(handler, fault)
            return False
        body = _body(handler)
        if fault is Fault.BUSY:
            _reply(handler, 503, retry_after=self._temper.retry_after)
        elif fault is Fault.REFUSING:
            # Servers do repeat what they were sent: who quotes them quotes secrets.
            _reply(handler, 403, f"No {handler.path} for you:\n{handler.headers}".encode())
        elif self._resumable and asked and asks_how_much:
            self._say_how_much(handler, int(asked[2]))
        else:
            self._keep(handler, body, int(asked[1]) if asked and asked[1] else 0, fault)
            if fault is Fault.MUTE:
                return False
            _reply(handler, 201 if handler.command == "PUT" else 204)
        return True

    def _misbehave(self, handler: BaseHTTPRequestHandler, fault: Fault | None) -> None:
        if fault is Fault.SLOW:
            self._temper.stall()
        elif fault is Fault.BABBLING:
            handler.wfile.write(b"\x00\xff\xfe this is no HTTP\r\n\r\n")
        else:
            self._take_half(handler)

    def _keep(self, handler: BaseHTTPRequestHandler, body: bytes, offset: int, fault: Fault | None) -> None:
        name = _name_of(handler)
        before = bytes(self._parts.get(name, b"")[:offset])
        if fault is Fault.LYING:
            return
        headers = {key.lower(): value for key, value in handler.headers.items()}
        request = WebhookRequest(handler.command, handler.path, headers, before + body)
        if self._resumable:
            self._parts[name] = bytearray(request.body)
        self.requests.extend([request] * (2 if fault is Fault.DOUBLING else 1))

    def _take_half(self, handler: BaseHTTPRequestHandler) -> None:
        left = int(handler.headers.get("Content-Length", "0")) // 2
        kept = self._parts.setdefault(_name_of(handler), bytearray())
        while left > 0 and (block := handler.rfile.read(min(left, _BLOCK))):
            kept += block
            left -= len(block)
        # A reset, and no orderly end.
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)

    def _say_how_much(self, handler: BaseHTTPRequestHandler, total: int) -> None:
        name = _name_of(handler)
        kept = len(self._parts.get(name, b""))
        handler.send_response_only(200 if name in self._parts and kept == total else 308)
        if kept:
            handler.send_header("Range", f"bytes=0-{kept - 1}")
        handler.send_header("Content-Length", "0")
        handler.end_headers()


def _name_of(handler: BaseHTTPRequestHandler) -> str:
    """What tells an upload from others."""
    return f"{handler.path} {handler.headers.get('Repr-Digest', '')}"


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    if "chunked" in handler.headers.get("Transfer-Encoding", "").lower():
        blocks: list[bytes] = []
        while size := int(handler.rfile.readline(_BLOCK).split(b";")[0], 16):
            blocks.append(handler.rfile.read(size))
            handler.rfile.readline(_BLOCK)
        while handler.rfile.readline(_BLOCK).strip():
            pass
        return b"".join(blocks)
    length = int(handler.headers.get("Content-Length", "0"))
    body = handler.rfile.read(length)
    if len(body) < length:
        # Whoever sent it is gone: what is not whole has not arrived.
        raise ConnectionError
    return body


def _reply(
    handler: BaseHTTPRequestHandler, status: int, body: bytes = b"", *, retry_after: float | None = None
) -> None:
    handler.send_response_only(status)
    if retry_after is not None:
        handler.send_header("Retry-After", f"{retry_after:g}")
    if status != 204:  # noqa: PLR2004 - which has no body, and so no length (RFC 9110, 8.6)
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)

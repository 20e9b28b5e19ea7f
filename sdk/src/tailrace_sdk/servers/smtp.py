"""A mail server that keeps what it is sent, and can be slow, refuse, lie, double, hang up or babble."""

import asyncio
import ssl
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tailrace_sdk.servers.conversation import Conversation, Post
from tailrace_sdk.servers.faults import Fault
from tailrace_sdk.servers.listening import THREADS, listening_socket
from tailrace_sdk.servers.mails import Mail

_PATIENCE = 10.0
_MIB = 1 << 20


class SmtpServer:
    """A mail server on 127.0.0.1, for the time of a ``with`` block. Its name is ``localhost``.

    Args:
        security: How TLS begins: by STARTTLS, at once, or never. Its certificate is made for it: see :attr:`ca_file`.
        user: User name that clients have to log in with; empty for no login.
        password: The password.
        most: Bytes of the largest mail that it takes, encoded.
    """

    def __init__(
        self,
        *,
        security: Literal["starttls", "tls", "none"] = "starttls",
        user: str = "",
        password: str = "",
        most: int = 256 * _MIB,
    ) -> None:
        self.host = "localhost"
        self.port = 0
        self.security = security
        self.user = user
        self._post = Post(credentials=f"{user} {password}")
        self.mails: list[Mail] = self._post.mails
        """What arrived, in order."""
        self.logins: list[str] = []
        """User names that somebody tried to log in with, in order."""
        self._password = password
        self._most = most
        self._temper = self._post.temper
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=THREADS, daemon=True)
        self._scratch = tempfile.TemporaryDirectory(prefix="smtp-server-")
        self._tls: ssl.SSLContext | None = None
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        if self.security != "none":
            self._tls = self._certified()
        self._thread.start()
        self._listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._temper.change(None)

        async def end() -> None:
            if self._server is not None:
                self._server.close()
            until = self._loop.time() + _PATIENCE
            while self._post.open and self._loop.time() < until:
                for conversation in list(self._post.open):
                    conversation.hang_up()
                await asyncio.sleep(0.005)
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._loop.shutdown_default_executor()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(_PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()
        self._scratch.cleanup()

    @property
    def ca_file(self) -> Path:
        """The authority that signed its certificate, in PEM, which clients have to trust; gone after the block."""
        return Path(self._scratch.name) / "ca.pem"

    @property
    def contacts(self) -> int:
        """How many connections there were."""
        return self._temper.contacts

    def be(self, fault: Fault, *, times: int | None = None) -> None:
        """From now on, something is wrong.

        Args:
            fault: What.
            times: How many mails get to feel it, before all is well again; None for all until :meth:`recover`. It
                means nothing to :attr:`Fault.AWAY`.
        """
        self._temper.change(fault, times=times)
        if fault is Fault.AWAY and self._server is not None:
            self._loop.call_soon_threadsafe(self._server.close)
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), self._loop).result(_PATIENCE)
            self._server = None

    def recover(self) -> None:
        """All is well again, for everybody; whoever is kept waiting is cut off."""
        self._temper.change(None)
        self._post.refused.clear()
        if self._server is None:
            self._listen()

    def refuse(self, address: str, answer: str = "550 5.1.1 There is no such mailbox") -> None:
        """From now on, this address gets nothing, and the others do."""
        self._post.refused[address] = answer

    def wait_until_stalled(self, seconds: float = 10.0) -> bool:
        """Wait until somebody is kept waiting; False where nobody came in time."""
        return self._temper.stalled.wait(seconds)

    def _listen(self) -> None:
        sock = listening_socket(self.port)
        self.port = sock.getsockname()[1]

        async def listen() -> asyncio.Server:
            tls = self._tls if self.security == "tls" else None
            return await self._loop.create_server(self._protocol, sock=sock, ssl=tls)

        self._server = asyncio.run_coroutine_threadsafe(listen(), self._loop).result(_PATIENCE)

    def _protocol(self) -> SMTP:
        return Conversation(
            self._post,
            hostname=self.host,
            tls_context=self._tls if self.security == "starttls" else None,
            authenticator=self._authenticated,
            auth_required=bool(self.user),
            auth_require_tls=self.security == "starttls",
            enable_SMTPUTF8=True,
            data_size_limit=self._most,
            loop=self._loop,
        )

    def _certified(self) -> ssl.SSLContext:
        import trustme

        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca_file)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(self.host, "127.0.0.1").configure_cert(context)
        return context

    def _authenticated(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        self.logins.append(data.login.decode(errors="replace") if isinstance(data, LoginPassword) else "")
        right = data == LoginPassword(self.user.encode(), self._password.encode())
        return AuthResult(success=right, handled=False)

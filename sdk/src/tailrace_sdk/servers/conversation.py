"""What a mail server says, and what it keeps."""

import asyncio
from typing import Any

import attrs
from aiosmtpd.smtp import SMTP, Envelope, Session

from tailrace_sdk.servers.faults import Fault, Temper
from tailrace_sdk.servers.mails import Mail

_LONG = 10.0


@attrs.define(eq=False)
class Post:
    """What all conversations of a mail server share; aiosmtpd calls its hooks by their names.

    Args:
        mails: What arrived.
        refused: Answers to recipients, by address.
        temper: What is wrong.
        open: The conversations that go on.
        credentials: User name and password, which a server that refuses repeats.
    """

    mails: list[Mail] = attrs.field(factory=list)
    refused: dict[str, str] = attrs.field(factory=dict)
    temper: Temper = attrs.field(factory=Temper)
    open: "set[Conversation]" = attrs.field(factory=set)
    credentials: str = attrs.field(default="", repr=False)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, answers: list[str]
    ) -> list[str]:
        """Greet back."""
        session.host_name = hostname
        return answers

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: "Conversation", _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Begin a mail: now it is decided what is wrong with it."""
        server.fault = self.temper.take()
        if server.fault is Fault.BUSY:
            return "451 4.3.2 Not now, come back later"
        if server.fault is Fault.REFUSING:
            return f"550 5.7.1 Not from {address} {self.credentials}"
        if server.fault is Fault.BABBLING:
            return "\x01\x02 this is no SMTP"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take a recipient, or refuse."""
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: "Conversation", _session: Session, envelope: Envelope
    ) -> str:
        """Keep a mail that arrived whole, or do what is wrong instead."""
        if server.fault is not Fault.LYING:
            mail = Mail(envelope.mail_from or "", tuple(envelope.rcpt_tos), envelope.original_content or b"")
            self.mails.extend([mail] * (2 if server.fault is Fault.DOUBLING else 1))
        if server.fault is Fault.MUTE:
            server.hang_up()
        return "250 2.0.0 OK"


class Conversation(SMTP):
    """One connection.

    Args:
        post: What it shares with the others.
        given: Further arguments of aiosmtpd's class.
    """

    fault: Fault | None = None
    """What is wrong with the mail that is on its way."""

    def __init__(self, post: Post, **given: Any) -> None:
        super().__init__(post, **given)
        self._post = post

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it; this is called again when TLS begins."""
        if self.transport is None:
            self._post.temper.met()
            self._post.open.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        self._post.open.discard(self)
        super().connection_lost(error)

    def hang_up(self) -> None:
        """Break the connection off."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - aiosmtpd's name
        """Take a mail; or its beginning, where that is what is wrong."""
        if self.fault not in {Fault.SLOW, Fault.DROPPING}:
            await super().smtp_DATA(arg)
            return
        await self.push("354 Go on")
        if self.fault is Fault.SLOW:
            await asyncio.get_running_loop().run_in_executor(None, self._post.temper.stall)
        else:
            await self._reader.read(1)
        self.hang_up()
        # What came is not read as commands: that the connection is gone ends this.
        await asyncio.sleep(_LONG)

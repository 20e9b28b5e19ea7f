"""A conversation with a mail server: connected, encrypted and logged in, or refused.

Nothing of a mail and no password is sent before the server has proved by its certificate who it is, unless the
operator lists it in ``unverified``. The order: connect, TLS (RFC 8314) or EHLO and STARTTLS (RFC 3207), EHLO, AUTH.
"""

import base64
import contextlib
import io
import smtplib
import socket
import ssl
from collections.abc import Iterator

import attrs

from tailrace import ConfigurationError, Context, PermanentError, TailraceError, TransientError
from tailrace_sink_email.answers import CLOSING, Answer, failure, read, spellings
from tailrace_sink_email.connecting import connected
from tailrace_sink_email.harmless import one_line
from tailrace_sink_email.settings import Server, trusted_certificates
from tailrace_sink_email.time_limit import TimeLimit

_MOST_LINES = 200
_MOST_BYTES = 4096
_LONGEST_GOODBYE = 2.0
_READY = 220
_LOGGED_IN = 235
_GO_ON = 334


class ConnectionLostError(TransientError):
    """The connection broke, or took too long; what the server has of it is not known."""


class _Client(smtplib.SMTP):
    """Reads answers as smtplib does, but no endless ones, and leaves time-outs what they are."""

    connection: socket.socket
    reader: io.BufferedReader

    def attach(self, connection: socket.socket) -> None:
        """Talk over this connection from now on; what was received and not read over another one is forgotten."""
        self.sock = self.connection = connection
        self.file = self.reader = connection.makefile("rb")

    def getreply(self) -> tuple[int, bytes]:
        lines = []
        for _number in range(_MOST_LINES):
            line = self.reader.readline(_MOST_BYTES + 1)
            if not line or len(line) > _MOST_BYTES:
                break
            lines.append(line[4:].strip())
            if line[3:4] != b"-":
                code = line[:3]
                return (int(code) if code.isdigit() else -1), b"\n".join(lines)
        self.close()
        raise smtplib.SMTPServerDisconnected


@attrs.define
class Session:
    """A server that commands can be sent to.

    Args:
        server: Which one.
        limit: What cuts the connection when its time is up.
        client: The connection.
    """

    server: Server
    limit: TimeLimit
    client: _Client = attrs.field(repr=False)
    _hidden: tuple[str, ...] = attrs.field(default=(), repr=False)

    def ask(self, command: str, arguments: str = "") -> Answer:
        """Send a command, and wait for the answer.

        Raises:
            ConnectionLostError: There is none.
            InterruptedExportError: Somebody cancelled, or the time is up.
        """
        with self._losses():
            self.client.putcmd(command, arguments)
            return self._answer()

    def send(self, content: bytes) -> None:
        """Send a piece of a mail.

        Raises:
            ConnectionLostError: It cannot be sent.
        """
        with self._losses():
            self.client.send(content)

    def answer(self, *, patient: bool = False) -> Answer:
        """Wait for an answer.

        Args:
            patient: Wait as long as the mail may take in all: for the answer to a mail, which the server may search
                for viruses first. Who gives up early sends it twice (RFC 5321, 4.5.3.2.6 has ten minutes).

        Raises:
            ConnectionLostError: There is none.
        """
        with self._losses():
            if patient:
                self.client.connection.settimeout(self.server.settings.total_timeout)
            return self._answer()

    def offers(self, extension: str) -> bool:
        """Whether the server announced an extension, by its name in lower case."""
        return extension in self.client.esmtp_features

    @property
    def largest(self) -> int | None:
        """Bytes of the largest mail that the server takes (RFC 1870); None where it does not say."""
        announced = self.client.esmtp_features.get("size", "")
        # Numbers of 19 digits and more are no sizes, and 0 means that there is no limit.
        return int(announced) or None if announced.isdecimal() and len(announced) < 19 else None  # noqa: PLR2004 - as said above

    def say_hello(self) -> None:
        """Greet, and learn what the server can do.

        Raises:
            TransientError: It does not answer as a mail server does, or not now.
            PermanentError: It does not want to talk.
        """
        with self._losses():
            code, text = self.client.ehlo()
            answer = read(code, text, self._hidden)
        if not answer.accepted:
            message = f"{self.server.host} did not accept the greeting: {answer.words}."
            raise failure(message, transient=answer.transient)

    def start_tls(self, context: ssl.SSLContext) -> None:
        """Encrypt by STARTTLS where it is offered.

        Raises:
            TransientError: The server cannot now.
            PermanentError: It cannot at all, or is not the one it should be.
        """
        host = self.server.host
        if not self.offers("starttls"):
            if self.server.lenient:
                return
            raise PermanentError(
                f"{host} does not offer STARTTLS, so nothing was sent to it.",
                hint='Somebody may have removed it on the way. Where TLS begins at once, say so: security = "tls"',
            )
        answer = self.ask("STARTTLS")
        if answer.code != _READY:
            raise failure(f"{host} refused to begin TLS: {answer.words}.", transient=answer.transient)
        with self._losses():
            more = self._has_more()
        if more:
            raise PermanentError(
                f"{host} said more than its answer before TLS began, so nothing was sent to it.",
                hint="Somebody on the way may have added it. Ask who runs the mail server.",
            )
        self.encrypt(context)
        # What was announced before TLS may be anybody's; greeting anew forgets it.
        self.say_hello()

    def encrypt(self, context: ssl.SSLContext) -> None:
        """Begin TLS on the connection.

        Raises:
            TransientError: The connection broke.
            PermanentError: The server could not prove who it is, or knows no TLS that is still safe.
        """
        host = self.server.host
        plain = self.client.connection
        try:
            # The handshake comes after the time limit knows the new socket: the old one is void from here on.
            secure = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
            self.client.attach(secure)
            self.limit.guard(secure)
            secure.do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise PermanentError(
                f"{host} could not prove who it is, so nothing was sent to it: {one_line(error.verify_message)}.",
                hint="Correct sinks.email.host, or name the certificate that it should be trusted by: ca_file",
            ) from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError):
            raise self._lost("broke while TLS began") from None
        except ssl.SSLError as error:
            reason = one_line((error.reason or "unknown").replace("_", " ").lower(), most=100)
            raise PermanentError(
                f"There is no TLS with {host}, so nothing was sent to it: {reason}.",
                hint='It may be another port: 465 goes with security="tls", 587 with "starttls".',
            ) from None
        except OSError as error:
            raise self._broken(error) from None

    def log_in(self) -> None:
        """Log in, where there is a password.

        Raises:
            TransientError: Not now.
            PermanentError: User name and password are not right, or there is no way to log in.
        """
        user, password = self.server.settings.user, self.server.password
        if password is None:
            return
        self._hidden = spellings(user, password)
        host = self.server.host
        mechanisms = self.client.esmtp_features.get("auth", "").upper().split()
        # Both say the password in clear, inside TLS; RFC 4616 has UTF-8, which smtplib's own login has not.
        if "PLAIN" in mechanisms:
            answer = self.ask("AUTH", f"PLAIN {_encoded(chr(0) + user + chr(0) + password)}")
        elif "LOGIN" in mechanisms:
            answer = self.ask("AUTH", "LOGIN")
            for word in (user, password):
                answer = self.ask(_encoded(word)) if answer.code == _GO_ON else answer
        else:
            raise PermanentError(
                f"{host} offers no way to log in that Tailrace knows: neither PLAIN nor LOGIN.",
                hint="Leave sinks.email.user empty where the server needs no login.",
            )
        if answer.code == _LOGGED_IN:
            return
        if answer.transient and answer.code != _GO_ON:
            raise failure(f"{host} cannot let anybody log in now: {answer.status}.", transient=True)
        raise PermanentError(
            f"{host} did not accept user name and password: {answer.status}.",
            hint="Correct sinks.email.user, or what sinks.email.password refers to.",
        )

    def _answer(self) -> Answer:
        answer = read(*self.client.getreply(), self._hidden)
        if answer.code == CLOSING:
            self.client.close()
        return answer

    def _has_more(self) -> bool:
        """Whether something was received that no command asked for."""
        self.client.connection.settimeout(0)
        try:
            return bool(self.client.reader.peek(1))
        finally:
            self.client.connection.settimeout(self.server.settings.timeout)

    @contextlib.contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except (OSError, smtplib.SMTPException) as error:
            self.client.close()
            raise self._broken(error) from None

    def _broken(self, error: Exception) -> TailraceError:
        timeout = self.server.settings.timeout
        slow = isinstance(error, TimeoutError)
        return self._lost(f"was given up: there was no answer for {timeout:g} seconds" if slow else "broke")

    def _lost(self, how: str) -> TailraceError:
        if self.limit.interruption:
            return self.limit.interruption
        if self.limit.is_up:
            how = f"was cut: the mail took longer than {self.limit.seconds:g} seconds"
        return ConnectionLostError(f"The connection to {self.server.host} {how}.", hint="Nothing has to be done.")


@contextlib.contextmanager
def session(server: Server, context: Context) -> Iterator[Session]:
    """A server that is connected, encrypted and logged in to; said goodbye to at the end.

    Args:
        server: Which one.
        context: Asked all the time whether to go on.

    Raises:
        TransientError: The server cannot be reached, or not now.
        PermanentError: It could not prove who it is, or did not accept the login.
        InterruptedExportError: Somebody cancelled, or the time is up.
        ConfigurationError: There is no such ``ca_file``, or no certificate in it.
    """
    tls = tls_context(server)
    context.check()
    with contextlib.ExitStack() as closing:
        limit = closing.enter_context(TimeLimit(server.settings.total_timeout, context))
        client = _Client(local_hostname="")
        closing.callback(client.close)
        sock = _connected(server, context)
        limit.guard(sock)
        client.attach(sock)
        client.local_hostname = server.settings.local_hostname or _literal(sock.getsockname()[0])
        opened = Session(server, limit, client)
        if server.settings.security == "tls":
            opened.encrypt(tls)
        greeting = opened.answer()
        if not greeting.accepted:
            message = f"{server.host} does not take mail: {greeting.words}."
            raise failure(message, transient=greeting.transient)
        opened.say_hello()
        if server.settings.security == "starttls":
            opened.start_tls(tls)
        context.check()
        opened.log_in()
        yield opened
        _say_goodbye(opened)


def tls_context(server: Server) -> ssl.SSLContext:
    """What TLS has to be like: 1.2 or newer, with a certificate that is valid, trusted, and of the host's name.

    Raises:
        ConfigurationError: ``ca_file`` is not there, or holds no certificate.
    """
    path = trusted_certificates(server.settings)
    try:
        context = ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            "sinks.email.ca_file holds no certificates that can be read.", hint="Name a file in PEM format."
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if server.lenient:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _connected(server: Server, context: Context) -> socket.socket:
    settings = server.settings
    where = f"{server.host}, port {server.port}"
    patience = min(settings.timeout, settings.total_timeout)
    try:
        sock = connected(server.host, server.port, patience, context.quiet().check)
    except socket.gaierror:
        raise failure(f"There is no address for the mail server {server.host}.", transient=True) from None
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else (error.strerror or type(error).__name__).lower()
        raise failure(f"The mail server {where} cannot be reached: {reason}.", transient=True) from None
    sock.settimeout(settings.timeout)
    return sock


def _say_goodbye(opened: Session) -> None:
    # What was delivered is delivered, whatever happens to this.
    with contextlib.suppress(TransientError):
        if opened.client.sock:
            opened.client.connection.settimeout(min(opened.server.settings.timeout, _LONGEST_GOODBYE))
            opened.ask("QUIT")


def _literal(address: str) -> str:
    """An IP address as a greeting has it where there is no name: RFC 5321, 4.1.3. No resolver is asked."""
    return f"[IPv6:{address.partition('%')[0]}]" if ":" in address else f"[{address}]"


def _encoded(word: str) -> str:
    return base64.b64encode(word.encode()).decode()

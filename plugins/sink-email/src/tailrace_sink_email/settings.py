"""What the operator sets in ``[sinks.email]``: the mail server, who sends, and what is trusted."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import attrs

from tailrace import ConfigurationError, TailraceError, option
from tailrace_sink_email.addresses import Mailbox, mailbox
from tailrace_sink_email.harmless import one_line
from tailrace_sink_email.subjects import check_pattern

_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_:-]{1,63}(\.[A-Za-z0-9_:-]{1,63})*\.?")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,253}|\[[A-Za-z0-9.:]{1,100}\]")
_REFERENCE = re.compile(r"(env|file|keyring):.+")
_UNSAYABLE = re.compile("[\0\ud800-\udfff]")  # NUL separates both (RFC 4616), lone surrogates have no encoding
_PORTS = {"starttls": 587, "tls": 465}
_HIGHEST_PORT = 65535

_Validator = Callable[[Any, Any, Any], None]


def _at_least(least: float, most: float | None = None) -> _Validator:
    def check(_settings: object, attribute: "attrs.Attribute[float]", value: float) -> None:
        # In this way round, not-a-number does not pass.
        if not (value >= least and (most is None or value <= most)):
            bounds = f"at least {least:g}" if most is None else f"{least:g} to {most:g}"
            raise ValueError(f"{attribute.name} is {bounds}", attribute)

    return check


def _like(pattern: re.Pattern[str], description: str) -> _Validator:
    def check(_settings: object, attribute: "attrs.Attribute[str]", value: str) -> None:
        if value and not pattern.fullmatch(value):
            raise ValueError(f"{attribute.name} is {description}", attribute)

    return check


def _said(reader: Callable[[str], object]) -> _Validator:
    """A validator that passes on what a function that reads the value has to say against it."""

    def check(_settings: object, attribute: "attrs.Attribute[str]", value: str) -> None:
        try:
            if value:
                reader(value)
        except TailraceError as error:
            raise ValueError(f"{attribute.name}: {error.message} {error.hint}", attribute) from None

    return check


@attrs.frozen
class EmailSettings:
    """Settings of the sink ``email``."""

    host: str = option("", help="The mail server.", validator=_like(_HOST, "the name of a server, without a port"))
    port: int = option(0, help="Its port; 0 for 587, or 465 with tls.", validator=_at_least(0, _HIGHEST_PORT))
    security: Literal["starttls", "tls"] = option("starttls", help="How TLS begins: by STARTTLS, or at once.")
    user: str = option("", help="User name to log in with; empty for no login.")
    password: str = option("", secret=True, help="Where its password is: env:NAME, file:PATH or keyring:NAME.")
    sender: str = option("", help="From whom mails are: exports@example.com, or with a name.", validator=_said(mailbox))
    reply_to: str = option("", help="Where answers go; empty for the sender.", validator=_said(mailbox))
    subject: str = option(
        "Export of {source}, {date}",
        help="Subject where the request does not say.",
        validator=_said(lambda pattern: check_pattern("subject", pattern)),
    )
    ca_file: str = option("", help="Certificates (PEM) to trust, instead of the system's.")
    unverified: tuple[str, ...] = option((), help="Servers that mail is sent to though nobody knows who they are.")
    limit: int = option(25_000_000, help="Bytes of the largest mail, as sent: encoded.", validator=_at_least(1))
    timeout: float = option(30.0, help="Seconds to wait for each answer but the last.", validator=_at_least(0.01))
    total_timeout: float = option(300.0, help="Seconds that a mail may take in all.", validator=_at_least(0.01))
    local_hostname: str = option(
        "", help="Name to greet with; empty for the own IP address.", validator=_like(_NAME, "a host name")
    )


@attrs.frozen
class Server:
    """The settings in force, checked: nothing in here is missing.

    Args:
        settings: The settings.
        sender: From whom mails are.
        reply_to: Where answers go; None for the sender.
        password: What to log in with; None for no login.
    """

    settings: EmailSettings
    sender: Mailbox
    reply_to: Mailbox | None
    password: str | None = attrs.field(repr=False)

    @property
    def port(self) -> int:
        """The port, also where none is set."""
        return self.settings.port or _PORTS[self.settings.security]

    @property
    def host(self) -> str:
        """The server's name."""
        return self.settings.host

    @property
    def lenient(self) -> bool:
        """Whether the operator wants mail to be sent to this server without knowing who it is."""
        return self.host.lower() in {name.lower() for name in self.settings.unverified}


def check_complete(settings: EmailSettings) -> None:
    """Refuse settings with which no mail can be sent.

    Raises:
        ConfigurationError: A setting is missing, or the password is not a reference.
    """
    for name, example in (("host", "mail.example.com"), ("sender", "Exports <exports@example.com>")):
        if not getattr(settings, name):
            raise ConfigurationError(
                f"No mail can be sent: sinks.email.{name} is not set.",
                hint=f'Set it in tailrace.toml, below [sinks.email]: {name} = "{example}"',
            )
    if settings.user and not _REFERENCE.fullmatch(settings.password):
        raise ConfigurationError(
            "sinks.email.password does not say where the password is.",
            hint='Write a reference, never the password itself: password = "env:MAIL_PASSWORD"',
        )


def server(settings: EmailSettings, secret: Callable[[str], str]) -> Server:
    """The settings in force, with the password.

    Args:
        settings: The settings.
        secret: As in :attr:`tailrace.DeliverCall.secret`.

    Raises:
        ConfigurationError: A setting is missing, or there is no such password.
    """
    check_complete(settings)
    password = secret(settings.password) if settings.user else None
    if password is not None and _UNSAYABLE.search(settings.user + password):
        # Said here, because an error of the encoder would hold the whole of it.
        raise ConfigurationError(
            "The user name or password for mail holds a character that no login can say.", hint="Set another one."
        )
    reply_to = mailbox(settings.reply_to) if settings.reply_to else None
    return Server(settings, mailbox(settings.sender), reply_to, password)


def trusted_certificates(settings: EmailSettings) -> Path | None:
    """The file of certificates to trust; None for the system's.

    Raises:
        ConfigurationError: It is not there.
    """
    if not settings.ca_file:
        return None
    path = Path(settings.ca_file)
    if not path.is_file():
        raise ConfigurationError(
            f"sinks.email.ca_file: there is no file {one_line(str(path), most=200)}.", hint="Correct the path."
        )
    return path

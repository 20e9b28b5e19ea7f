"""The contracts of sinks: what takes finished files, and messages, to those who are to have them.

A sink needs :meth:`Sink.staging` and :meth:`Sink.deliver`. Everything else is a protocol of its own, which a sink
has or has not:

======================  ==============================================================================================
:class:`TargetChecker`  judges a target when a request is saved or submitted
:class:`Configurable`   has settings of the operator, ``[sinks.NAME]``, beside the options of a request
:class:`Addressed`      serves several recipients, each of which has the file or has it not
:class:`SizeJudge`      says beforehand whether a file will be too large
:class:`Finisher`       does something once it is recorded that a file is in its place
:class:`Messenger`      also carries messages, such as "your export is ready"
======================  ==============================================================================================

A sink that offers a folder in :meth:`Sink.staging` delivers while the export is being made, and what it published is
taken back when the export loses its job. One that offers none is called afterwards, when the file is finished and
kept: its deliveries are in the ledger, and what fails for now is tried again without making the file anew.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import attrs

from tailrace.model.context import Context
from tailrace.model.errors import ConfigurationError
from tailrace.model.job import Fit, Receipt
from tailrace.model.manifest import Manifest


def no_secrets(reference: str) -> str:
    """Stands in for :attr:`DeliverCall.secret` where there are none.

    Raises:
        ConfigurationError: Always.
    """
    message = f"There is nobody to ask for the secret {reference.partition(':')[0]}:…"
    raise ConfigurationError(message, hint="Whoever calls the sink has to give it a way to find secrets.")


class HttpClient(Protocol):
    """What sends requests for sinks, where the application which embeds the engine gives one: an ``httpx.Client``.

    Anything else will do that has these two methods and gives responses with ``status_code``, ``headers``,
    ``iter_raw()`` and ``close()``. It is used from several threads.
    """

    def build_request(self, method: str, url: Any, *, headers: Any, content: Any, timeout: Any) -> Any:
        """A request, with whatever the client adds to each."""
        ...

    def send(self, request: Any, *, stream: bool, follow_redirects: bool) -> Any:
        """Send it, and return the response; with ``stream``, before its body is read."""
        ...


@attrs.frozen
class Parcel:
    """A finished, proven file that is to be delivered.

    Args:
        path: Where the file lies; under a temporary name for sinks that offer a folder. It stays the engine's.
        manifest: What the file is; ``manifest.file.name`` is the name that the engine suggests.
        fields: Values for name patterns: source, table, timestamp, user, format, ext, year, month, day, id. Where each
            of several tables has a file of its own, ``source`` is ``SOURCE-TABLE``. ``table`` is the table in the file
            where it holds one; otherwise the source.
    """

    path: Path
    manifest: Manifest
    fields: Mapping[str, str]


@attrs.frozen
class StagingCall:
    """Asks a sink where it would like the file to be made, and who gets it.

    Args:
        target: What the user wrote behind ``--to NAME:``; None for the sink's default.
        options: Instance of the sink's ``options_type``.
        fields: Values for name patterns, as in :attr:`Parcel.fields`; which tables there are is not known yet.
        folder: Folder that relative paths count from: the working folder of whoever asked for the export.
        settings: Instance of the sink's ``settings_type``; None where it has none.
    """

    target: str | None = attrs.field(repr=False)
    options: Any
    fields: Mapping[str, str]
    folder: Path = Path()
    settings: Any = attrs.field(default=None, repr=False)


@attrs.frozen
class DeliverCall:
    """What a sink is asked to deliver.

    Args:
        parcel: The file.
        target: What the user wrote behind ``--to NAME:``; None for the sink's default.
        options: Instance of the sink's ``options_type``.
        context: Progress, cancellation, deadline.
        delivered: Other files of this export on this machine, which must not be replaced, whatever the options say.
        folder: Folder that relative paths count from: the working folder of whoever asked for the export.
        settings: Instance of the sink's ``settings_type``; None where it has none.
        secret: ``secret(reference)`` gives the text behind ``env:NAME``, ``file:PATH`` or ``keyring:NAME``; raises
            ConfigurationError where there is none.
        delivery: Names this delivery: the same at every try, so that the other side can tell a repetition. Another
            one for each file and each ``--to``, and for what somebody sends again although it had arrived.
        recipients: Those who are to get it in this try, out of what :meth:`Addressed.recipients` gave; empty for sinks
            without that method.
        link: Where whoever may can fetch the file; empty where it can be fetched by command only.
        http: What the application wants requests to be sent by; None for connections of the sink's own.
    """

    parcel: Parcel
    target: str | None = attrs.field(repr=False)
    options: Any
    context: Context = attrs.field(repr=False)
    delivered: frozenset[Path] = frozenset()
    folder: Path = Path()
    settings: Any = attrs.field(default=None, repr=False)
    secret: Callable[[str], str] = attrs.field(default=no_secrets, repr=False)
    delivery: str = ""
    recipients: tuple[str, ...] = ()
    link: str = ""
    http: HttpClient | None = attrs.field(default=None, repr=False)


@runtime_checkable
class Sink(Protocol):
    """Takes a finished file somewhere: one attempt per call, and it says how it went."""

    @property
    def summary(self) -> str:
        """One sentence for ``tailrace plugins list``; a plain attribute will do."""
        ...

    @property
    def options_type(self) -> type:
        """The attrs class of its options; a plain attribute will do."""
        ...

    def staging(self, call: StagingCall) -> Path | None:
        """Folder in which the engine should make the file, so that delivering it is a rename; None for anywhere.

        Called before anything is read: the place to refuse a target that can never work.

        Raises:
            RequestError: The target or a pattern cannot be used.
            StorageError: The folder cannot be written to.
        """
        ...

    def deliver(self, call: DeliverCall) -> Receipt:
        """Deliver once.

        Raises:
            TransientError: Trying again may help.
            PermanentError: It will not.
        """
        ...


@runtime_checkable
class TargetChecker(Protocol):
    """What a :class:`Sink` also has that can judge a target long before anything is delivered to it."""

    def check_target(self, call: StagingCall) -> None:
        """Refuse a target or pattern that can never work, touching nothing.

        Called when a request is saved as a template or submitted. What only the moment of the export can tell (a full
        disk, a name that is taken) is left to :meth:`Sink.staging`.

        Raises:
            RequestError: The target or a pattern cannot be used.
            ConfigurationError: The sink's settings lack something that it needs.
        """
        ...


@runtime_checkable
class Configurable(Protocol):
    """What a :class:`Sink` also has that has settings of the operator, which no request can change.

    They are ``[sinks.NAME]`` in the settings file. Secrets are given there by reference, and revealed by
    :attr:`DeliverCall.secret`.
    """

    @property
    def settings_type(self) -> type:
        """The attrs class of its settings, each with a default; a plain attribute will do."""
        ...


@runtime_checkable
class Addressed(Protocol):
    """What a :class:`Sink` also has whose target means one or more recipients, each of which is tried on its own."""

    def recipients(self, call: StagingCall) -> Sequence[str]:
        """Who gets the file, each by a name that is shown, stored and audited: it must not hold a secret.

        Called before anything is read, and again before each try: it touches nothing, and gives the same each time.

        Raises:
            RequestError: The target means nobody.
        """
        ...

    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        """Deliver once to each of :attr:`DeliverCall.recipients`; takes the place of :meth:`Sink.deliver`.

        Returns:
            One receipt for each of them, with its :attr:`~tailrace.model.job.Receipt.recipient`.

        Raises:
            TransientError: Nobody got it, and trying again may help.
            PermanentError: Nobody got it, and it will not.
        """
        ...


@attrs.frozen
class FitCall:
    """Asks a sink whether it will take a file.

    Args:
        size: Bytes that the file will probably have.
        name: The name that it will probably have.
        target: What the user wrote behind ``--to NAME:``; None where the export does not go there, and one would like
            to know whether it could.
        options: Instance of the sink's ``options_type``.
        settings: Instance of the sink's ``settings_type``; None where it has none.
        folder: Folder that relative paths count from.
    """

    size: int
    name: str
    target: str | None = attrs.field(repr=False)
    options: Any
    settings: Any = attrs.field(default=None, repr=False)
    folder: Path = Path()


@runtime_checkable
class SizeJudge(Protocol):
    """What a :class:`Sink` also has that takes files up to some size only, or in another way from some size on."""

    def fits(self, call: FitCall) -> Fit:
        """Whether a file of that size fits, for ``--estimate``; nobody is contacted."""
        ...


@runtime_checkable
class Finisher(Protocol):
    """What a :class:`Sink` also has that does something once a file is delivered and recorded as such."""

    def finish(self, call: DeliverCall, receipt: Receipt) -> None:
        """Do it. The file is delivered whatever happens here; what is raised becomes a warning in the log.

        It may be called again for the same file, and, after a crash, not at all.
        """
        ...


@attrs.frozen
class Message:
    """Something that somebody is told about a job.

    Args:
        event: What happened, by a name of :class:`tailrace.NotifyOn`.
        subject: One line.
        text: A few sentences, plain text.
        facts: More of it as names and values, in order: job, source, format, rows, size …
        link: Where to see more; may be empty.
        moment: When it happened, UTC.
    """

    event: str
    subject: str
    text: str
    facts: Mapping[str, str]
    link: str
    moment: datetime


@attrs.frozen
class MessageCall:
    """A message that a sink is asked to carry.

    Args:
        message: The message.
        target: Whom it is for, in the sink's own words: an address, a URL.
        delivery: Names this delivery, the same at every try.
        context: Cancellation and deadline.
        settings: Instance of the sink's ``settings_type``; None where it has none.
        secret: As in :attr:`DeliverCall.secret`.
        http: As in :attr:`DeliverCall.http`.
    """

    message: Message
    target: str = attrs.field(repr=False)
    delivery: str
    context: Context = attrs.field(repr=False)
    settings: Any = attrs.field(default=None, repr=False)
    secret: Callable[[str], str] = attrs.field(default=no_secrets, repr=False)
    http: HttpClient | None = attrs.field(default=None, repr=False)


@runtime_checkable
class Messenger(Protocol):
    """What a :class:`Sink` also has that carries messages, too."""

    def addressee(self, target: str, settings: Any) -> str:
        """Whom a target means, by a name that is shown and stored: it must not hold a secret.

        Raises:
            RequestError: It means nobody.
        """
        ...

    def send(self, call: MessageCall) -> Receipt:
        """Carry a message once.

        Raises:
            TransientError: Trying again may help.
            PermanentError: It will not.
        """
        ...

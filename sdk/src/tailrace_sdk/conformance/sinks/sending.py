"""Delivering with a sink as the engine does, and keeping what came of it."""

import importlib
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import attrs

from tailrace import (
    Addressed,
    Configurable,
    ConfigurationError,
    Context,
    DeliverCall,
    Engine,
    Finisher,
    FitCall,
    Message,
    MessageCall,
    Parcel,
    PluginContractError,
    Receipt,
    Settings,
    StagingCall,
    TailraceError,
    TransientError,
    build_options,
    structure,
)
from tailrace_sdk.conformance.sinks.parcel import NAME, fields_of, make_parcel


@attrs.frozen
class Tried:
    """What came of a try.

    Args:
        receipts: What the sink said; empty where it raised.
        error: What it raised; None where it did not.
    """

    receipts: tuple[Receipt, ...] = ()
    error: TailraceError | None = None

    @property
    def delivered(self) -> bool:
        """Whether the sink claims that everybody has it."""
        return bool(self.receipts) and all(receipt.delivered for receipt in self.receipts)

    @property
    def transient(self) -> bool:
        """Whether the engine would try again: something is missing, and nothing is given up."""
        if self.error is not None:
            return isinstance(self.error, TransientError | ConfigurationError)
        missing = [receipt for receipt in self.receipts if not receipt.delivered]
        return bool(missing) and all(receipt.transient for receipt in missing)

    @property
    def permanent(self) -> bool:
        """Whether the engine would give up what is missing."""
        return not self.delivered and not self.transient

    @property
    def told(self) -> str:
        """Why it failed, in the sink's words."""
        if self.error is not None:
            return f"{self.error.message} {self.error.hint}".strip()
        return " ".join(receipt.error for receipt in self.receipts if not receipt.delivered)


@attrs.frozen
class Place:
    """Where a sink is to deliver, in plain values, so that another process can be told.

    Args:
        plugin: What the entry point names.
        name: Name of the plugin.
        options: Its options by name.
        target: What is behind ``--to NAME:``.
        settings: Its settings, JSON-like.
        secrets: Texts behind references.
        folder: Folder that relative paths count from; other files of the test are below it, too.
    """

    plugin: str
    name: str
    options: Mapping[str, Any]
    target: str | None
    settings: Mapping[str, Any]
    secrets: Mapping[str, str] = attrs.field(repr=False)
    folder: str

    def plain(self) -> dict[str, Any]:
        """As JSON-like values."""
        return attrs.asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From what :meth:`plain` gave."""
        return cls(**values)


@attrs.frozen
class Sending:
    """A sink, and everything that is needed to call it.

    Args:
        place: Where it delivers.
        sink: The sink.
        options: Instance of its options class.
        settings: Instance of its settings class; None where it has none.
    """

    place: Place
    sink: Any
    options: Any
    settings: Any

    @classmethod
    def to(cls, place: Place) -> Self:
        """Load the sink as the engine does."""
        plugin: object = _named(place.plugin)
        engine = Engine(Settings(home=Path(place.folder, "home")), plugins=[(place.name, plugin)], discover=False)
        sink: Any = engine.registry.load("sink", place.name).object
        options = build_options(sink.options_type, place.options, owner=f"sink {place.name}")
        settings = structure(place.settings, sink.settings_type) if isinstance(sink, Configurable) else None
        return cls(place, sink, options, settings)

    @property
    def folder(self) -> Path:
        """Folder that relative paths count from."""
        return Path(self.place.folder)

    def staging_call(self, target: str | None = None, *, user: str = "ada") -> StagingCall:
        """What :meth:`Sink.staging`, :meth:`TargetChecker.check_target` and :meth:`Addressed.recipients` are asked."""
        target = self.place.target if target is None else target
        return StagingCall(target, self.options, fields_of(user), self.folder, self.settings)

    def fit_call(self, size: int) -> FitCall:
        """What :meth:`SizeJudge.fits` is asked."""
        return FitCall(size, NAME, self.place.target, self.options, self.settings, self.folder)

    def parcel(self, content: bytes, *, name: str = NAME, user: str = "ada", tag: str = "") -> Parcel:
        """A finished file, made where the sink would like to have it."""
        offered = self.sink.staging(self.staging_call(user=user))
        folder = self.folder / "made" if offered is None else offered
        folder.mkdir(exist_ok=True)
        return make_parcel(folder, content, name=name, user=user, staged=tag)

    def call(
        self,
        parcel: Parcel,
        *,
        target: str | None = None,
        recipients: Sequence[str] | None = None,
        delivery: str = "",
        context: Context | None = None,
    ) -> DeliverCall:
        """What a delivery is asked with.

        Args:
            parcel: The file.
            target: Where to; that of the place by default.
            recipients: Who is to get it in this try; all by default.
            delivery: Its name; one that nobody else has by default.
            context: Cancellation and deadline.
        """
        target = self.place.target if target is None else target
        staging = StagingCall(target, self.options, parcel.fields, self.folder, self.settings)
        if recipients is None:
            recipients = self.sink.recipients(staging) if isinstance(self.sink, Addressed) else ()
        return DeliverCall(
            parcel,
            target,
            self.options,
            context or Context(),
            folder=self.folder,
            settings=self.settings,
            secret=self.secret,
            delivery=delivery or str(uuid.uuid4()),
            recipients=tuple(recipients),
        )

    def deliver(self, call: DeliverCall) -> tuple[Receipt, ...]:
        """Deliver once.

        Raises:
            TailraceError: Nobody got it.
        """
        said = self.sink.deliver_each(call) if isinstance(self.sink, Addressed) else [self.sink.deliver(call)]
        receipts = tuple(said)
        if not all(isinstance(receipt, Receipt) for receipt in receipts):
            raise PluginContractError(self.place.name, "It returned something else than receipts.")
        if isinstance(self.sink, Finisher):
            for receipt in receipts:
                if receipt.delivered:
                    self.sink.finish(call, receipt)
        return receipts

    def tried(self, call: DeliverCall) -> Tried:
        """Deliver once, whatever comes of it. What is no error of Tailrace escapes: it is a fault of the sink."""
        try:
            return Tried(self.deliver(call))
        except TailraceError as error:
            return Tried(error=error)

    def tried_message(self, call: MessageCall) -> Tried:
        """Carry a message once, whatever comes of it."""
        try:
            return Tried((self.sink.send(call),))
        except TailraceError as error:
            return Tried(error=error)

    def message_call(self, message: Message, *, delivery: str, context: Context | None = None) -> MessageCall:
        """What :meth:`Messenger.send` is asked."""
        return MessageCall(
            message, self.place.target or "", delivery, context or Context(), settings=self.settings, secret=self.secret
        )

    def secret(self, reference: str) -> str:
        """The text behind a reference.

        Raises:
            ConfigurationError: There is none.
        """
        try:
            return self.place.secrets[reference]
        except KeyError:
            message = f"There is no secret {reference.partition(':')[0]}:…"
            raise ConfigurationError(message, hint="Have it among the secrets of the receiver.") from None


def _named(target: str) -> object:
    module, _, attribute = target.partition(":")
    found: object = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        found = getattr(found, part)
    return found

"""The sinks that carry messages: whom a wish means in their words, and having one carry a message once."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import attrs

from tailrace.model.announcement import Announcement
from tailrace.model.context import Context
from tailrace.model.errors import InterruptedExportError, PluginContractError, RequestError, TailraceError
from tailrace.model.job import Receipt
from tailrace.model.notify import IN_APP, Notify
from tailrace.pipeline.deliver import failed
from tailrace.pipeline.foreign import REPORT_IT, foreign_errors
from tailrace.pipeline.job import sink_settings
from tailrace.plugins.registry import Registry
from tailrace.plugins.sinks import HttpClient, Message, MessageCall, Messenger, Sink, StagingCall, TargetChecker
from tailrace.reading.userinfo import redacted
from tailrace.work.preparation import link_to

if TYPE_CHECKING:
    from tailrace.vault.keyring import Keyring


@attrs.frozen
class Messengers:
    """The sinks that carry messages.

    Args:
        registry: The plugins.
        sinks: What the settings say about sinks, by name.
        keyring: Reveals secrets that the settings of sinks refer to; asked for when one is sent to.
        link: The setting ``delivery.link``.
        http: What the application wants requests to be sent by.
    """

    registry: Registry
    sinks: Mapping[str, Mapping[str, Any]] = attrs.field(repr=False)
    keyring: "Callable[[], Keyring]" = attrs.field(repr=False)
    link: str = ""
    http: HttpClient | None = attrs.field(default=None, repr=False)

    def shown(self, wish: Notify) -> Notify:
        """A wish as it is shown: with whom its target means, by a name that holds no secret.

        Raises:
            RequestError: Nobody can be told like that.
            ConfigurationError: The settings of the sink cannot be used.
            PluginError: The sink cannot be used.
        """
        if wish.channel == IN_APP:
            if wish.target is not None:
                message = f"What is told {IN_APP} is for whoever asks, and for nobody else."
                raise RequestError(message, hint=f"Write {IN_APP} alone, or name another channel: email:ADDRESS")
            return wish
        messenger, settings = self._messenger(wish.channel)
        with foreign_errors("sink", wish.channel):
            addressee = messenger.addressee(wish.target or "", settings)
            if isinstance(messenger, TargetChecker) and isinstance(messenger, Sink):
                # What can never be sent to is refused for a message as it is for a file.
                call = StagingCall(wish.target, messenger.options_type(), {}, settings=settings)
                messenger.check_target(call)
        if not isinstance(addressee, str) or not addressee:
            kind = type(addressee).__name__
            message = f"Sink {wish.channel} returned {kind} instead of a name for whom a target means."
            raise PluginContractError(wish.channel, message, hint=REPORT_IT)
        return attrs.evolve(wish, target=addressee)

    def send(
        self, channel: str, target: str, announcement: Announcement, *, job: str, delivery: str, context: Context
    ) -> Receipt:
        """Have a sink carry a message once.

        Args:
            channel: Name of the sink.
            target: Whom it is for, in the sink's own words.
            announcement: What is told.
            job: What it is about.
            delivery: Names the message, the same at every try.
            context: Cancellation and deadline.

        Returns:
            What the sink said; where it, or something else, failed, a receipt that says so.
        """
        try:
            messenger, settings = self._messenger(channel)
            call = MessageCall(
                message=self._message(announcement, job),
                target=target,
                delivery=delivery,
                context=context,
                settings=settings,
                secret=lambda reference: self.keyring().secret(reference),
                http=self.http,
            )
            with foreign_errors("sink", channel):
                receipt = messenger.send(call)
            if not isinstance(receipt, Receipt):
                kind = type(receipt).__name__
                message = f"Sink {channel} returned {kind} instead of a receipt for a message."
                raise PluginContractError(channel, message, hint=REPORT_IT)
        except InterruptedExportError:
            return Receipt(channel, delivered=False, error="It took too long, or was stopped.", transient=True)
        except TailraceError as error:
            receipt = failed(channel, error, [""])[0]
        # Also where a library of the sink quotes what it was given.
        said = redacted(receipt.error.replace(target, "…") if target else receipt.error)
        return attrs.evolve(receipt, error=said)

    def _messenger(self, channel: str) -> tuple[Messenger, Any]:
        """A sink that carries messages, and its settings."""
        sink = self.registry.sink(channel)
        with foreign_errors("sink", channel):
            carries = isinstance(sink.object, Messenger)
        if not carries:
            message = f"The sink {channel} delivers files, and carries no messages."
            raise RequestError(message, hint=f"Use {IN_APP}, email:ADDRESS or webhook:URL.")
        return cast("Messenger", sink.object), sink_settings(sink, self.sinks)

    def _message(self, announcement: Announcement, job: str) -> Message:
        link = link_to(self.link, job)
        # Whoever has a link needs no command to get there.
        text = announcement.text if link or not announcement.command else f"{announcement.text}\n{announcement.command}"
        return Message(
            event=announcement.event.value,
            subject=announcement.subject,
            text=text,
            facts=announcement.facts,
            link=link,
            moment=announcement.moment,
        )

"""The sink ``email``."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import attrs

from tailrace import (
    DeliverCall,
    Fit,
    FitCall,
    MessageCall,
    PermanentError,
    Receipt,
    RequestError,
    StagingCall,
    TransientError,
)
from tailrace_sink_email.addresses import recipients
from tailrace_sink_email.options import EmailOptions
from tailrace_sink_email.settings import EmailSettings, Server, check_complete, server
from tailrace_sink_email.subjects import check_pattern, subject

if TYPE_CHECKING:
    from tailrace_sink_email.mail import Envelope, Mail
    from tailrace_sink_email.session import Session
    from tailrace_sink_email.transaction import Outcome

_NEVER = "The file is not attached, because the request says so."


def _now() -> datetime:
    return datetime.now(UTC)


class EmailSink:
    """Sends mails over TLS to whom it knows: with the file attached where it fits, or with a link to it.

    Args:
        now: The time, for the header ``Date``.
    """

    summary: str = "Mail over verified TLS: the file attached where it fits, a link where it does not."
    options_type: type = EmailOptions
    settings_type: type = EmailSettings

    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        self._now = now

    def staging(self, call: StagingCall) -> None:
        """Refuse what can never be sent; files may be made anywhere.

        Raises:
            RequestError: The target or the subject cannot be used.
            ConfigurationError: The settings name no mail server or no sender.
        """
        self.check_target(call)
        if call.settings is not None:
            check_complete(call.settings)

    def check_target(self, call: StagingCall) -> None:
        """Refuse a target that is no address, and a subject that cannot be filled in.

        Raises:
            RequestError: The target or the subject cannot be used.
        """
        recipients(call.target)
        check_pattern("subject", call.options.subject)

    def recipients(self, call: StagingCall) -> Sequence[str]:
        """The addresses of the target, each once, as they are written on the wire.

        Raises:
            RequestError: One of them is no address, or there is none.
        """
        return recipients(call.target)

    def deliver(self, call: DeliverCall) -> Receipt:
        """Deliver to all recipients of the target at once.

        Raises:
            TransientError: Somebody did not get it, and trying again may help.
            PermanentError: Somebody did not get it, and it will not.
        """
        everybody = call.recipients or recipients(call.target)
        receipts = self.deliver_each(attrs.evolve(call, recipients=tuple(everybody)))
        refused = [receipt for receipt in receipts if not receipt.delivered]
        if refused:
            kind = TransientError if any(receipt.transient for receipt in refused) else PermanentError
            raise kind(" ".join(receipt.error for receipt in refused), hint="Have it sent to each on their own.")
        return attrs.evolve(receipts[0], place=", ".join(everybody), recipient="")

    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        """Send one mail, in one transaction, to all who are to have it in this try.

        Raises:
            TransientError: Nobody got it, and trying again may help.
            PermanentError: Nobody got it, and it will not.
            ConfigurationError: The settings name no mail server, no sender, or a password that is not there.
        """
        from tailrace_sink_email.session import session
        from tailrace_sink_email.transaction import transact

        chosen = server(_settings(call.settings), call.secret)
        pattern = call.options.subject or chosen.settings.subject
        envelope = self._envelope(
            chosen,
            to=recipients(call.target) if call.target else call.recipients,
            subject=subject(pattern, call.parcel.fields, call.parcel.manifest),
            delivery=call.delivery or _name_of(call),
        )
        with session(chosen, call.context) as opened:
            mail, why_not_attached = _mail(call, envelope, opened)
            outcomes = transact(opened, mail, call.recipients, chosen.sender.address, call.context)
        return [
            _receipt(recipient, outcome, note=why_not_attached)
            for recipient, outcome in zip(call.recipients, outcomes, strict=True)
        ]

    def fits(self, call: FitCall) -> Fit:
        """Whether a file fits a mail once it is encoded; where it does not, it goes as a link."""
        from tailrace_sink_email.fitting import foreseen

        return foreseen(call.size, _settings(call.settings).limit, never=call.options.attach == "never")

    def addressee(self, target: str, settings: object) -> str:
        """The address that a target means.

        Raises:
            RequestError: It is no address, or more than one.
        """
        found = recipients(target)
        if len(found) > 1:
            raise RequestError("A message goes to one address.", hint="Ask for one notification for each.")
        return found[0]

    def send(self, call: MessageCall) -> Receipt:
        """Send a message.

        Raises:
            TransientError: Trying again may help.
            PermanentError: It will not.
            ConfigurationError: The settings name no mail server, no sender, or a password that is not there.
        """
        from tailrace_sink_email.letter import about_event
        from tailrace_sink_email.mail import compose
        from tailrace_sink_email.session import session
        from tailrace_sink_email.transaction import transact

        chosen = server(_settings(call.settings), call.secret)
        address = self.addressee(call.target, call.settings)
        letter = about_event(call.message)
        envelope = self._envelope(chosen, to=(address,), subject=letter.heading, delivery=call.delivery)
        with session(chosen, call.context) as opened:
            mail = compose(letter, envelope, None, international=_needs_smtputf8(opened, (address,)))
            (outcome,) = transact(opened, mail, (address,), chosen.sender.address, call.context)
        return _receipt(address, outcome)

    def _envelope(self, chosen: Server, *, to: Sequence[str], subject: str, delivery: str) -> "Envelope":
        from tailrace_sink_email.mail import Envelope

        return Envelope(chosen.sender, tuple(to), chosen.reply_to, subject, delivery, self._now())


def _mail(call: DeliverCall, envelope: "Envelope", opened: "Session") -> tuple["Mail", str]:
    """The mail, with the file where it fits; and why it is not attached, where it does not."""
    from tailrace_sink_email.fitting import too_large
    from tailrace_sink_email.letter import about_file
    from tailrace_sink_email.mail import attachment_of, compose

    international = _needs_smtputf8(opened, call.recipients)
    why_not = _NEVER
    if call.options.attach == "auto":
        attachment = attachment_of(call.parcel.path, call.parcel.manifest)
        letter = about_file(call, envelope.subject, why_not_attached="")
        mail = compose(letter, envelope, attachment, international=international)
        why_not = too_large(
            attachment.size,
            mail.size,
            limit=opened.server.settings.limit,
            announced=opened.largest,
            host=opened.server.host,
        )
        if not why_not:
            return mail, ""
    letter = about_file(call, envelope.subject, why_not_attached=why_not)
    return compose(letter, envelope, None, international=international), why_not


def _needs_smtputf8(opened: "Session", addresses: Sequence[str]) -> bool:
    """Whether to speak RFC 6531: only where somebody's address needs it, since servers further on may not know it."""
    return opened.offers("smtputf8") and not all(address.isascii() for address in addresses)


def _receipt(recipient: str, outcome: "Outcome", note: str = "") -> Receipt:
    delivered = not outcome.error
    return Receipt(
        "email",
        delivered=delivered,
        place=recipient if delivered else "",
        error=outcome.error,
        transient=outcome.transient,
        recipient=recipient,
        note=note if delivered else "",
    )


def _settings(given: EmailSettings | None) -> EmailSettings:
    return EmailSettings() if given is None else given


def _name_of(call: DeliverCall) -> str:
    """Stands in for the name of a delivery: the same file to the same target is the same delivery."""
    manifest = call.parcel.manifest
    return "\n".join([manifest.export_id, manifest.file.name, call.target or ""])

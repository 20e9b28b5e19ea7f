"""Mails that arrived, taken apart."""

import email
import email.policy
from collections.abc import Mapping
from email.message import EmailMessage

import attrs


@attrs.frozen
class Mail:
    """A mail that arrived.

    Args:
        sender: Who sent it, by its envelope.
        recipients: Who gets it, by its envelope.
        content: All of it, as it came.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes = attrs.field(repr=False)

    @property
    def message(self) -> EmailMessage:
        """The mail, taken apart."""
        return email.message_from_bytes(self.content, policy=email.policy.default)

    @property
    def message_id(self) -> str:
        """By which mailboxes know what they have already."""
        return str(self.message["Message-ID"] or "")

    @property
    def text(self) -> str:
        """Its headers and its words, decoded; no attachments."""
        message = self.message
        headers = [f"{name}: {value}" for name, value in message.items()]
        body = message.get_body(("plain", "html"))
        return "\n".join([*headers, "", "" if body is None else str(body.get_content())])

    @property
    def attachments(self) -> Mapping[str, bytes]:
        """Content of the attached files, by name."""
        return {
            part.get_filename() or "": bytes(part.get_payload(decode=True) or b"")
            for part in self.message.iter_attachments()
        }

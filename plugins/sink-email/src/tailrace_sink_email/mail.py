"""A mail as the bytes that go over the wire, with an attachment that is read only while it is sent.

Everything but the attached file is built beforehand, so that the exact size of the whole is known before a byte of
the file is read: :attr:`Mail.size` is what the mail server counts (RFC 1870).
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8, EmailPolicy
from pathlib import Path

import attrs

from tailrace import Manifest, PermanentError, StorageError
from tailrace_sink_email.addresses import Mailbox
from tailrace_sink_email.harmless import one_line
from tailrace_sink_email.letter import Letter
from tailrace_sink_email.rendering import as_html, as_text

_LINE_BYTES = 57  # become the 76 characters that a line of Base64 may have (RFC 2045, 6.8)
_CHUNK = _LINE_BYTES * 1024
_MARKER = "@@@"  # no character of it is in the alphabet of Base64, or left as it is by quoted-printable
_MEDIA_TYPE = re.compile(r"(application|audio|font|image|model|text|video)/[a-z0-9][a-z0-9.+-]{0,80}")
_COMPRESSED = {"gzip": "application/gzip", "zstd": "application/zstd"}
_UNKNOWN = "application/octet-stream"


def encoded_size(size: int) -> int:
    """Bytes that a file has as an attachment: four for three, and CRLF behind every 57.

    Args:
        size: Bytes of the file.
    """
    return 4 * -(-size // 3) + 2 * -(-size // _LINE_BYTES)


@attrs.frozen
class Attachment:
    """A file to attach.

    Args:
        path: Where it lies.
        name: Under which name it arrives.
        media_type: What it is.
        size: Bytes that it has.
        sha256: SHA-256 of them, hexadecimal.
    """

    path: Path
    name: str
    media_type: str
    size: int
    sha256: str

    def lines(self) -> Iterator[bytes]:
        """Its content as lines of Base64, in blocks of a few.

        Raises:
            StorageError: It cannot be read.
            PermanentError: It is not what its manifest says; raised before the end is reached.
        """
        digest, left = hashlib.sha256(), self.size
        try:
            with self.path.open("rb") as file:
                # One byte more than there should be, so that what was added is seen.
                while block := file.read(min(_CHUNK, left + 1)):
                    digest.update(block)
                    left -= len(block)
                    if left < 0 or (left == 0 and digest.hexdigest() != self.sha256):
                        raise _changed(self.name)
                    yield base64.encodebytes(block).replace(b"\n", b"\r\n")
        except OSError as error:
            raise StorageError(
                f"The file {self.name} cannot be read: {(error.strerror or type(error).__name__).lower()}.",
                hint="See whether it was removed, and export again.",
            ) from None
        if left:
            raise _changed(self.name)


@attrs.frozen
class Mail:
    """A mail, ready to be sent.

    Args:
        head: Everything before the attached file, or all of it where there is none.
        tail: Everything behind it.
        attachment: The file; None where there is none.
        international: Whether its headers hold addresses that only servers with SMTPUTF8 (RFC 6531) take.
    """

    head: bytes
    tail: bytes
    attachment: Attachment | None
    international: bool

    @property
    def size(self) -> int:
        """Bytes of the mail, as RFC 1870 counts them: without what the transport doubles or adds."""
        return len(self.head) + len(self.tail) + (encoded_size(self.attachment.size) if self.attachment else 0)

    def pieces(self) -> Iterator[bytes]:
        """The mail as it follows ``DATA``, without the dot that ends it.

        Raises:
            StorageError: The file cannot be read.
            PermanentError: The file is not what its manifest says.
        """
        yield _dots_doubled(self.head)
        if self.attachment:
            yield from self.attachment.lines()
        yield _dots_doubled(self.tail)


@attrs.frozen
class Envelope:
    """The headers of a mail, the same at every try but for the date.

    Args:
        sender: From whom it is.
        to: To whom it is.
        reply_to: Where answers go; None for the sender.
        subject: Its subject: one harmless line.
        delivery: Names the delivery; the Message-ID is made of it.
        moment: When it is sent.
    """

    sender: Mailbox
    to: tuple[str, ...]
    reply_to: Mailbox | None
    subject: str
    delivery: str
    moment: datetime

    @property
    def key(self) -> str:
        """The same for the same delivery, another one for any other; says nothing about it."""
        return hashlib.sha256(f"tailrace mail {self.delivery}".encode(errors="replace")).hexdigest()[:32]

    @property
    def message_id(self) -> str:
        """The Message-ID, by which mailboxes know what they have already."""
        return f"<{self.key}@{self.sender.domain}>"


def attachment_of(path: Path, manifest: Manifest) -> Attachment:
    """The file of a manifest as an attachment."""
    file = manifest.file
    name = re.sub(r'[/\\:*?"<>|]', "_", one_line(file.name, most=150)).lstrip(". ") or "export"
    media_type = file.media_type if _MEDIA_TYPE.fullmatch(file.media_type) else _UNKNOWN
    if file.compression:
        media_type = _COMPRESSED.get(file.compression.method, _UNKNOWN)
    return Attachment(path, name, media_type, file.size, file.sha256)


def compose(letter: Letter, envelope: Envelope, attachment: Attachment | None, *, international: bool) -> Mail:
    """Make a mail of a letter; the attached file is not read.

    Args:
        letter: What it says.
        envelope: Its headers.
        attachment: The file that goes with it.
        international: Whether headers may hold addresses that are not ASCII; those that are left out otherwise.
    """
    policy = SMTPUTF8 if international else SMTP
    words = _alternatives(letter, envelope, policy)
    if attachment is None:
        whole = words
    else:
        whole = EmailMessage(policy)
        whole["Content-Type"] = "multipart/mixed"
        whole.set_boundary(f"=_{envelope.key}_mixed")
        whole.attach(words)
        whole.attach(_attached(attachment, policy))
    _write_headers(whole, envelope, international=international)
    written = whole.as_bytes()
    if attachment is None:
        return Mail(written, b"", None, international)
    # The last one is ours: behind it there is only the end of the last part.
    head, _marker, tail = written.rpartition(_MARKER.encode())
    return Mail(head, tail, attachment, international)


def _alternatives(letter: Letter, envelope: Envelope, policy: "EmailPolicy[EmailMessage]") -> EmailMessage:
    # Quoted-printable, and not whatever is shortest: no line can be too long, begin with "From " or be a boundary.
    both = EmailMessage(policy)
    both["Content-Type"] = "multipart/alternative"
    both.set_boundary(f"=_{envelope.key}_words")
    for subtype, text in (("plain", as_text(letter)), ("html", as_html(letter))):
        part = EmailMessage(policy)
        part.set_content(text, subtype=subtype, cte="quoted-printable")
        del part["MIME-Version"]
        both.attach(part)
    return both


def _attached(attachment: Attachment, policy: "EmailPolicy[EmailMessage]") -> EmailMessage:
    part = EmailMessage(policy)
    part["Content-Type"] = attachment.media_type
    part["Content-Transfer-Encoding"] = "base64"
    part.add_header("Content-Disposition", "attachment", filename=attachment.name)
    part.set_payload(_MARKER)
    return part


def _write_headers(message: EmailMessage, envelope: Envelope, *, international: bool) -> None:
    message["From"] = _address(envelope.sender)
    message["To"] = [_address(Mailbox(address)) for address in envelope.to if international or address.isascii()]
    if envelope.reply_to:
        message["Reply-To"] = _address(envelope.reply_to)
    message["Subject"] = envelope.subject
    message["Date"] = envelope.moment
    message["Message-ID"] = envelope.message_id
    # Nobody's holiday reply is wanted: RFC 3834, and what Exchange has instead.
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["MIME-Version"] = "1.0"


def _address(box: Mailbox) -> Address:
    # By its parts: as a whole, it would have to be ASCII.
    local, _at, domain = box.address.rpartition("@")
    return Address(display_name=box.name, username=local, domain=domain)


def _dots_doubled(content: bytes) -> bytes:
    return re.sub(rb"(?m)^\.", b"..", content)


def _changed(name: str) -> PermanentError:
    return PermanentError(
        f"The file {name} is not what its manifest says, so it was not sent.",
        hint="It was changed or damaged after the export: export again.",
    )

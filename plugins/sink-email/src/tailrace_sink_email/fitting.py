"""Whether a file fits a mail, and the sentence that says so."""

from tailrace import Fit, readable_size
from tailrace_sink_email.mail import encoded_size

_WORDS = 12_000
"""Bytes that the mail has besides the file, roughly: both texts and the headers."""


def foreseen(file_size: int, limit: int, *, never: bool) -> Fit:
    """Whether a file will fit, before it exists.

    Args:
        file_size: Bytes that it will probably have.
        limit: Bytes that a mail may have by the settings. What the server allows is known only when it is asked.
        never: Whether files are not attached at all.
    """
    whole = encoded_size(file_size) + _WORDS
    if never:
        return Fit("e-mail", fits=True, text="It goes as a link, whatever its size.")
    needs, most = _distinct(whole, limit)
    if whole > limit:
        text = f"As an attachment it would have {needs}, and mails may have {most}: it goes as a link."
        return Fit("e-mail", fits=False, text=text)
    return Fit("e-mail", fits=True, text=f"As an attachment it has {needs}, and mails may have {most}.")


def too_large(file_size: int, mail_size: int, *, limit: int, announced: int | None, host: str) -> str:
    """Why a file is not attached; empty where it fits.

    Args:
        file_size: Bytes of the file.
        mail_size: Bytes of the mail with it.
        limit: Bytes that a mail may have by the settings.
        announced: Bytes that the server takes; None where it does not say.
        host: The server's name.
    """
    most = limit if announced is None else min(limit, announced)
    if mail_size <= most:
        return ""
    who = "mails may have" if most == limit else f"{host} takes"
    needs, allowed = _distinct(mail_size, most)
    return f"The file has {readable_size(file_size)}, {needs} as an attachment, and {who} {allowed}."


def _distinct(first: int, second: int) -> tuple[str, str]:
    """Two sizes as texts that differ where the sizes do."""
    texts = readable_size(first), readable_size(second)
    return texts if texts[0] != texts[1] or first == second else (f"{first:,} bytes", f"{second:,} bytes")

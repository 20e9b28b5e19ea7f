"""Taking one notice, or one file, to one receiver: what is said in which order, and what the answers come to."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime

import attrs

from tailrace import Context, Parcel
from tailrace_sink_webhook.answers import Answer, Verdict, judge
from tailrace_sink_webhook.destination import Destination
from tailrace_sink_webhook.exchange import Outgoing
from tailrace_sink_webhook.failures import CannotDeliverError
from tailrace_sink_webhook.patience import Patience
from tailrace_sink_webhook.resuming import bytes_there, is_incomplete, status_request
from tailrace_sink_webhook.settings import WebhookSettings
from tailrace_sink_webhook.signing import signed_headers
from tailrace_sink_webhook.uploads import form_request, notice_request, put_request

Exchange = Callable[[Destination, Outgoing, Patience, int], Answer]
"""Sends a request to a destination with some patience, and reads so many bytes of the answer's body at most."""

SLOWEST = 100_000
"""Bytes a second at which a file may go, on average, without taking too long."""

_REDIRECTION = range(300, 400)


@attrs.frozen
class Sender:
    """Sends to one receiver, signed, in the name of one delivery.

    Args:
        exchange: Sends a request, and returns what it was answered.
        destination: Where the receiver is.
        settings: How long things may take.
        secrets: What signs.
        identity: Id of the message, the same at every try.
        headers: What else goes with each request.
        context: Cancellation and deadline.
        now: Gives the time, UTC.
    """

    exchange: Exchange = attrs.field(repr=False)
    destination: Destination
    settings: WebhookSettings
    secrets: tuple[str, ...] = attrs.field(repr=False)
    identity: str
    headers: Mapping[str, str] = attrs.field(repr=False)
    context: Context = attrs.field(repr=False)
    now: Callable[[], datetime] = attrs.field(repr=False)

    def send_notice(self, notice: bytes) -> Verdict:
        """Send a notice.

        Raises:
            CannotDeliverError: There was no answer.
        """
        return self._judged(self._exchange(notice_request(notice, self._signed(notice)), self._patience(0)))

    def send_form(self, parcel: Parcel, notice: bytes) -> Verdict:
        """Send notice and file as one form.

        Raises:
            CannotDeliverError: The file cannot be sent, or there was no answer.
        """
        size = _checked_size(parcel, self.settings.limit)
        outgoing = form_request(parcel.path, parcel.manifest, notice, self._signed(notice), identity=self.identity)
        return self._judged(self._exchange(outgoing, self._patience(size)))

    def send_file(self, parcel: Parcel, notice: bytes, *, resume: bool) -> Verdict:
        """Send the file by PUT, from where an earlier try was cut off if the receiver can say so.

        Args:
            parcel: The file.
            notice: Its notice.
            resume: Whether to ask how much the receiver has.

        Raises:
            CannotDeliverError: The file cannot be sent, or there was no answer.
        """
        size = _checked_size(parcel, self.settings.limit)
        patience, headers, offset = self._patience(size), self._signed(notice), 0
        if resume:
            answer = self._exchange(status_request(parcel.manifest, notice, headers), patience)
            verdict = self._judged(answer)
            offset = bytes_there(answer, size)
            redirected = answer.status in _REDIRECTION and not is_incomplete(answer)
            if (verdict.delivered and offset == size) or verdict.transient or verdict.unwanted or redirected:
                return verdict
        answer = self._exchange(
            put_request(parcel.path, parcel.manifest, notice, headers, offset=offset % max(size, 1)), patience
        )
        if resume and is_incomplete(answer):
            there = bytes_there(answer, size)
            return Verdict(delivered=False, transient=True, text=f"has {there:,} of {size:,} bytes so far.")
        return self._judged(answer)

    def _signed(self, notice: bytes) -> dict[str, str]:
        return {**self.headers, **signed_headers(self.secrets, self.identity, self.now(), notice)}

    def _patience(self, size: int) -> Patience:
        until = time.monotonic() + self.settings.total_timeout + size / SLOWEST
        return Patience(self.settings.timeout, until, self.context.check)

    def _judged(self, answer: Answer) -> Verdict:
        return judge(answer, self.now())

    def _exchange(self, outgoing: Outgoing, patience: Patience) -> Answer:
        outgoing = attrs.evolve(outgoing, headers={"Host": self.destination.authority, **outgoing.headers})
        try:
            return self.exchange(self.destination, outgoing, patience, self.settings.longest_answer)
        except OSError as error:
            # What the network raises is something else by now: this is the file.
            raise _unreadable(error) from None


def _checked_size(parcel: Parcel, limit: int) -> int:
    size = parcel.manifest.file.size
    if size > limit:
        raise CannotDeliverError(
            f"The file has {size:,} bytes, and webhooks take {limit:,}.",
            hint="Send a notice instead, or allow more in sinks.webhook.limit.",
        )
    try:
        there = parcel.path.stat().st_size
    except OSError as error:
        raise _unreadable(error) from None
    if there != size:
        raise CannotDeliverError(f"The file has {there:,} bytes, its manifest says {size:,}.", hint="Export again.")
    return size


def _unreadable(error: OSError) -> CannotDeliverError:
    reason = (error.strerror or type(error).__name__).lower()
    return CannotDeliverError(f"The file cannot be read: {reason}.", hint="Export again.")

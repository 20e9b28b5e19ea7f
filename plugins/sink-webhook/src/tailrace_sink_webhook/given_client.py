"""One request by the client of the application that embeds the engine, instead of a connection of the sink's own.

What the client adds to each request goes with it, its proxies and certificates included. Redirections are not followed
and no cookies sent all the same, and where the name of the receiver leads is looked at before, as for connections of
the sink's own; but the client looks it up again when it connects. The request runs in a thread of its own, so that a
client that waits for a minute keeps nobody from cancelling.
"""

import threading
from collections.abc import Iterator
from typing import Any

import attrs

from tailrace import HttpClient, TailraceError
from tailrace_sink_webhook.answers import Answer
from tailrace_sink_webhook.connecting import Dialler
from tailrace_sink_webhook.destination import Destination
from tailrace_sink_webhook.exchange import Outgoing
from tailrace_sink_webhook.failures import CannotDeliverError
from tailrace_sink_webhook.patience import Patience, with_patience


def exchange_by(
    client: HttpClient,
    dialler: Dialler,
    destination: Destination,
    outgoing: Outgoing,
    patience: Patience,
    longest_answer: int,
) -> Answer:
    """Send a request, and return what it was answered; see :func:`tailrace_sink_webhook.exchange.exchange`.

    Args:
        client: Sends it.
        dialler: Judges where the name of the host leads.
        destination: Where it goes.
        outgoing: The request.
        patience: How long it may take.
        longest_answer: Bytes of the answer's body that are read, to keep the connection.

    Raises:
        CannotDeliverError: It was not sent, or there was no answer.
        CancelledError: Somebody asked to stop.
        DeadlineError: The time is up.
        OSError: The file cannot be read.
    """
    with with_patience(patience):
        dialler.check(destination.host)
    sending = _Sending(client, destination, outgoing, patience, longest_answer)
    thread = threading.Thread(target=sending.run, name="tailrace-webhook", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(patience.wait(patience.until))
    except BaseException:
        # Nothing else stops a client: at its next block, or when its own time is up, it finds that nobody waits.
        sending.given_up.set()
        raise
    if sending.failure is not None:
        raise sending.failure
    if sending.answer is None:
        text = f"{destination.host} could not be reached by the application's client: {sending.reason}."
        raise CannotDeliverError(text, transient=True)
    return sending.answer


@attrs.define
class _Sending:
    """A request in a thread of its own."""

    client: HttpClient
    destination: Destination
    outgoing: Outgoing
    patience: Patience
    longest_answer: int
    given_up: threading.Event = attrs.field(factory=threading.Event, init=False)
    answer: Answer | None = attrs.field(default=None, init=False)
    failure: TailraceError | CannotDeliverError | OSError | None = attrs.field(default=None, init=False)
    """What the file failed with, or whoever asked."""
    reason: str = attrs.field(default="", init=False)
    """What the client raised, by its type: its text may quote the address."""

    def run(self) -> None:
        """Send it, and note what came of it."""
        destination = self.destination
        try:
            request = self.client.build_request(
                self.outgoing.method,
                f"{destination.scheme}://{destination.authority}{destination.target}",
                headers=dict(self.outgoing.headers),
                content=self._blocks(),
                timeout=self.patience.operation,
            )
            request.headers.pop("Cookie", None)
            response = self.client.send(request, stream=True, follow_redirects=False)
            try:
                headers = {str(name).lower(): str(value) for name, value in response.headers.items()}
                self.answer = Answer(int(response.status_code), headers)
                self._drain(response)
            finally:
                response.close()
        except Exception as error:  # noqa: BLE001 - anything may come from a client that is not ours
            self.reason = type(error).__name__

    def _blocks(self) -> Iterator[bytes]:
        try:
            for block in self.outgoing.body():
                if self.given_up.is_set():
                    return
                self.patience.check()
                yield block
        except (TailraceError, CannotDeliverError, OSError) as error:
            self.failure = error
            raise

    def _drain(self, response: Any) -> None:
        """Read a little of the body, so that the connection can be used again; nothing here changes the answer."""
        seen = 0
        for block in response.iter_raw():
            seen += len(block)
            if seen > self.longest_answer or self.given_up.is_set():
                break

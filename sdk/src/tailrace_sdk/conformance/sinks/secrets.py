"""Standard tests: no secret gets into anything that is shown, stored or logged."""

import base64
import logging
import traceback
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from tailrace import Addressed, Messenger
from tailrace_sdk.conformance.sinks.base import CONTENT, SinkBase
from tailrace_sdk.conformance.sinks.receiver import Receiver
from tailrace_sdk.conformance.sinks.sending import Sending, Tried
from tailrace_sdk.conformance.standard import standard
from tailrace_sdk.servers.faults import Fault
from tailrace_sdk.servers.listening import THREADS

_SHORTEST = 6
_TRIED = (None, Fault.BUSY, Fault.REFUSING, Fault.DROPPING, Fault.MUTE, Fault.BABBLING, Fault.AWAY)


class Secrecy(SinkBase):
    """What must not be told is not told."""

    @standard()
    def test_no_secret_is_told(self, sending: Sending, receiver: Receiver) -> None:
        """No secret is in a receipt, an error with all its causes, a log line at any level, or a ``repr``.

        Secrets are what is behind the references in the settings, the values of options that are declared with
        ``option(…, secret=True)``, and what the receiver calls ``hidden``. Leave out of your messages what libraries
        say: their errors quote URLs and headers. Raise ``from None`` where they would come along.
        """
        hidden = [*receiver.secrets.values(), *receiver.hidden]
        fields = attrs.fields(type(sending.options))
        hidden += [str(getattr(sending.options, one.name)) for one in fields if one.metadata.get("secret")]
        call = sending.call(sending.parcel(CONTENT))
        told = [repr(call), repr(sending.staging_call()), repr(sending.settings), repr(sending.options)]
        if isinstance(sending.sink, Addressed):
            told += map(str, sending.sink.recipients(sending.staging_call()))
        if isinstance(sending.sink, Messenger):
            told.append(sending.sink.addressee(sending.place.target or "", sending.settings))
        with _logged() as lines:
            for fault in _TRIED:
                if fault is not None and fault not in receiver.faults:
                    continue
                if fault is not None:
                    receiver.be(fault)
                told += _said(sending.tried(call))
                receiver.recover()
        told += lines
        for secret in hidden:
            for form in _forms(secret):
                shown = [text for text in told if form in text]
                assert not shown, f"a secret is shown: {shown[0].replace(form, '*****')[:500]}"


@contextmanager
def _logged() -> Iterator[list[str]]:
    """What is logged, at any level, by anybody but the servers of the tests."""
    lines: list[str] = []

    class Keeper(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not str(record.threadName).startswith(THREADS):
                lines.append(f"{self.format(record)} {record.args!r}")

    root, keeper = logging.getLogger(), Keeper()
    level = root.level
    root.addHandler(keeper)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(keeper)
        root.setLevel(level)


def _said(tried: Tried) -> list[str]:
    said = [repr(receipt) for receipt in tried.receipts]
    if tried.error is not None:
        error = tried.error
        said += ["".join(traceback.format_exception(error)), repr(error), error.hint, repr(vars(error))]
    return said


def _forms(secret: str) -> list[str]:
    """A secret as it is, and in the forms in which it goes over the wire."""
    plain = secret.encode()
    forms = {
        secret,
        urllib.parse.quote(secret, safe=""),
        base64.b64encode(plain).decode().rstrip("="),
        base64.b64encode(b"\0" + plain).decode().rstrip("="),
        repr(secret)[1:-1],
    }
    return sorted(form for form in forms if len(form) >= _SHORTEST)

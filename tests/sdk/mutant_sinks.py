"""Sinks of the house with one fault each, for the standard tests to find.

This is a module that other processes can import, too: standard tests deliver from processes of their own.
"""

import logging
import re
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
from tailrace_sink_disk.options import DiskOptions
from tailrace_sink_disk.sink import DiskSink
from tailrace_sink_email.sink import EmailSink
from tailrace_sink_webhook.sink import WebhookSink

from tailrace import (
    Context,
    DeliverCall,
    Fit,
    FitCall,
    PermanentError,
    Receipt,
    Sink,
    StagingCall,
    StorageError,
    TransientError,
    encode_manifest,
    hookimpl,
    option,
    publish,
)


class Plugin:
    """A plugin that offers a sink.

    Args:
        sink: The sink.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    @hookimpl
    def tailrace_sink(self) -> Sink:
        """Return the sink."""
        return self._sink


# --- disk


class ReportsWithoutSending(DiskSink):
    def deliver(self, call: DeliverCall) -> Receipt:
        return Receipt("disk", delivered=True, place="in its folder")

    def finish(self, call: DeliverCall, receipt: Receipt) -> None:
        pass


class WritesByHand(DiskSink):
    """Puts the file into its folder by what a subclass does; the manifest, too."""

    def staging(self, call: StagingCall) -> Any:
        super().staging(call)

    def deliver(self, call: DeliverCall) -> Receipt:
        manifest = call.parcel.manifest
        path = Path(str(call.target), re.sub(r"[^A-Za-z0-9._-]", "_", manifest.file.name).lstrip(".") or "_")
        path.parent.mkdir(exist_ok=True)
        self.put(call.parcel.path, path)
        path.with_name(f"{path.name}.manifest.json").write_bytes(encode_manifest(manifest, name=path.name))
        return Receipt("disk", delivered=True, place=str(path), path=path)

    def put(self, source: Path, target: Path) -> None:
        shutil.copyfile(source, target)

    def finish(self, call: DeliverCall, receipt: Receipt) -> None:
        pass


class WritesWell(WritesByHand):
    """No mutant: what the others of its kind would be without their fault."""

    def put(self, source: Path, target: Path) -> None:
        publish(source, target)


class LosesTheLastByte(WritesByHand):
    def put(self, source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:-1])


class ReadsItAsText(WritesByHand):
    def put(self, source: Path, target: Path) -> None:
        target.write_text(source.read_text("latin-1"), "latin-1")


class LeavesHalfOfIt(WritesByHand):
    """Writes under the final name."""


class MovesTheParcel(WritesByHand):
    def put(self, source: Path, target: Path) -> None:
        source.rename(target)


class ForgetsTheManifest(DiskSink):
    def deliver(self, call: DeliverCall) -> Receipt:
        return super().deliver(attrs.evolve(call, options=attrs.evolve(call.options, manifest=False)))


class ReplacesWhatIsThere(DiskSink):
    def deliver(self, call: DeliverCall) -> Receipt:
        options: DiskOptions = attrs.evolve(call.options, overwrite=True)
        return super().deliver(attrs.evolve(call, options=options))


class Prints(DiskSink):
    def deliver(self, call: DeliverCall) -> Receipt:
        print("delivering …")  # noqa: T201 - its fault
        return super().deliver(call)


class SwallowsErrors(DiskSink):
    def deliver(self, call: DeliverCall) -> Receipt:
        try:
            return super().deliver(call)
        except StorageError:
            return Receipt("disk", delivered=True, place="in its folder")

    def finish(self, call: DeliverCall, receipt: Receipt) -> None:
        pass


class CallsFullDisksTransient(DiskSink):
    def deliver(self, call: DeliverCall) -> Receipt:
        try:
            return super().deliver(call)
        except StorageError as error:
            raise TransientError(error.message) from None


class DeliversWhatWasCalledOff(DiskSink):
    def deliver(self, call: DeliverCall) -> Receipt:
        return super().deliver(attrs.evolve(call, context=Context()))


class RemembersWhatItPut(DiskSink):
    def __init__(self) -> None:
        self._put: dict[str, Receipt] = {}

    def deliver(self, call: DeliverCall) -> Receipt:
        if call.delivery not in self._put:
            self._put[call.delivery] = super().deliver(call)
        return self._put[call.delivery]


@attrs.frozen
class _SecretiveOptions(DiskOptions):
    password: str = option("canary-of-an-option", secret=True, help="Nothing is done with it but what is a fault.")


class LogsItsSecretOption(DiskSink):
    options_type: type = _SecretiveOptions

    def deliver(self, call: DeliverCall) -> Receipt:
        logging.getLogger("tailrace_sink_disk").info("logging in with %s", call.options.password)
        return super().deliver(call)


class NotesItsSecretOption(DiskSink):
    options_type: type = _SecretiveOptions

    def deliver(self, call: DeliverCall) -> Receipt:
        return attrs.evolve(super().deliver(call), note=f"Logged in with {call.options.password}.")


class DeliversTooEarly(DiskSink):
    def staging(self, call: StagingCall) -> Path:
        folder = super().staging(call)
        (folder / "placeholder.txt").write_text("soon")
        return folder


class BelievesNames(WritesByHand):
    def deliver(self, call: DeliverCall) -> Receipt:
        path = Path(str(call.target)) / call.parcel.fields["user"] / "file"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(call.parcel.path, path)
        return Receipt("disk", delivered=True, place=str(path), path=path)


# --- webhook


class Wrapped:
    """What calls pass through, and receipts, on the way to and from a sink.

    Args:
        sink: The sink.
    """

    def __init__(self, sink: Any) -> None:
        self._sink = sink

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)

    def asked(self, call: DeliverCall) -> DeliverCall:
        return call

    def said(self, call: DeliverCall, receipt: Receipt) -> Receipt:
        return receipt

    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        receipts = self._sink.deliver_each(self.asked(call))
        return [self.said(call, receipt) for receipt in receipts]


class IgnoresCancellation(Wrapped):
    def asked(self, call: DeliverCall) -> DeliverCall:
        return attrs.evolve(call, context=Context())


class TriesForEver(Wrapped):
    def said(self, call: DeliverCall, receipt: Receipt) -> Receipt:
        return attrs.evolve(receipt, transient=not receipt.delivered)


class GivesUpAtOnce(Wrapped):
    def said(self, call: DeliverCall, receipt: Receipt) -> Receipt:
        return attrs.evolve(receipt, transient=False)


class ClaimsWhatIsLikely(Wrapped):
    def said(self, call: DeliverCall, receipt: Receipt) -> Receipt:
        likely = receipt.transient and "answer" in receipt.error
        return attrs.evolve(receipt, delivered=receipt.delivered or likely, place="there, surely")


class TakesSilenceForYes(Wrapped):
    def said(self, call: DeliverCall, receipt: Receipt) -> Receipt:
        silent = "silent for" in receipt.error
        return attrs.evolve(receipt, delivered=receipt.delivered or silent, place="there, surely")


class QuotesTheUrl(Wrapped):
    def said(self, call: DeliverCall, receipt: Receipt) -> Receipt:
        return attrs.evolve(receipt, error=receipt.error and f"{call.target}: {receipt.error}")


class LogsTheUrl(Wrapped):
    def asked(self, call: DeliverCall) -> DeliverCall:
        logging.getLogger("tailrace_sink_webhook").debug("delivering to %s", call.target)
        return call


class QuotesTheSecretInACause(Wrapped):
    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        receipts = super().deliver_each(call)
        if not receipts[0].delivered and receipts[0].transient:
            try:
                int(call.secret("env:SIGNING"))
            except ValueError as error:
                message = "It did not work."
                raise TransientError(message) from error
        return receipts


class NamesEachTryAnew(Wrapped):
    def asked(self, call: DeliverCall) -> DeliverCall:
        return attrs.evolve(call, delivery=str(uuid.uuid4()))


class DoesNotHearHowLong(Wrapped):
    def said(self, call: DeliverCall, receipt: Receipt) -> Receipt:
        return attrs.evolve(receipt, retry_after=None)


class RemembersWhatItBrought(Wrapped):
    def __init__(self, sink: Any) -> None:
        super().__init__(sink)
        self._brought: dict[str, Sequence[Receipt]] = {}

    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        if call.delivery not in self._brought:
            self._brought[call.delivery] = super().deliver_each(call)
        return self._brought[call.delivery]


class LeavesOutEmptyFiles(Wrapped):
    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        if call.parcel.manifest.file.size:
            return super().deliver_each(call)
        return [Receipt("webhook", delivered=True, place="nowhere", recipient=name) for name in call.recipients]


class ReadsAllOfIt(Wrapped):
    def asked(self, call: DeliverCall) -> DeliverCall:
        self.content = call.parcel.path.read_bytes()
        return call


class LeavesThreads(Wrapped):
    def asked(self, call: DeliverCall) -> DeliverCall:
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        return call


class LeavesSockets(Wrapped):
    def __init__(self, sink: Any) -> None:
        super().__init__(sink)
        self._sockets: list[socket.socket] = []

    def asked(self, call: DeliverCall) -> DeliverCall:
        self._sockets.append(socket.socket())
        return call


class AsksBeforehand(Wrapped):
    def fits(self, call: FitCall) -> Fit:
        host, port = str(call.target).split("/")[2].split(":")
        socket.create_connection((host, int(port))).close()
        fit: Fit = self._sink.fits(call)
        return fit


class TakesAnyTarget(Wrapped):
    def staging(self, call: StagingCall) -> None:
        pass

    def check_target(self, call: StagingCall) -> None:
        pass


class MixesThreads(Wrapped):
    """Keeps the call in itself, where another thread puts another one."""

    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        self.call = call
        time.sleep(0.2)
        return super().deliver_each(attrs.evolve(self.call, delivery=call.delivery))


# --- email


class SendsToAll(Wrapped):
    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        everybody = self._sink.recipients(StagingCall(call.target, call.options, {}, settings=call.settings))
        receipts = self._sink.deliver_each(attrs.evolve(call, recipients=tuple(everybody)))
        return [receipt for receipt in receipts if receipt.recipient in call.recipients]


class FailsForAll(Wrapped):
    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        receipts = super().deliver_each(call)
        for receipt in receipts:
            if not receipt.delivered:
                raise PermanentError(receipt.error)
        return receipts


class LosesReceipts(Wrapped):
    def deliver_each(self, call: DeliverCall) -> Sequence[Receipt]:
        return super().deliver_each(call)[:1]


DISK = (
    WritesWell,
    ReportsWithoutSending,
    LosesTheLastByte,
    ReadsItAsText,
    LeavesHalfOfIt,
    MovesTheParcel,
    ForgetsTheManifest,
    ReplacesWhatIsThere,
    Prints,
    SwallowsErrors,
    CallsFullDisksTransient,
    DeliversWhatWasCalledOff,
    RemembersWhatItPut,
    LogsItsSecretOption,
    NotesItsSecretOption,
    DeliversTooEarly,
    BelievesNames,
)
WEBHOOK = (
    IgnoresCancellation,
    TriesForEver,
    GivesUpAtOnce,
    ClaimsWhatIsLikely,
    TakesSilenceForYes,
    QuotesTheUrl,
    LogsTheUrl,
    QuotesTheSecretInACause,
    NamesEachTryAnew,
    DoesNotHearHowLong,
    RemembersWhatItBrought,
    LeavesOutEmptyFiles,
    ReadsAllOfIt,
    LeavesThreads,
    LeavesSockets,
    AsksBeforehand,
    TakesAnyTarget,
    MixesThreads,
)
EMAIL = (SendsToAll, FailsForAll, LosesReceipts)

globals().update(
    {
        **{f"plugin_{kind.__name__}": Plugin(kind()) for kind in DISK},
        **{f"plugin_{kind.__name__}": Plugin(kind(WebhookSink())) for kind in WEBHOOK},
        **{f"plugin_{kind.__name__}": Plugin(kind(EmailSink())) for kind in EMAIL},
    }
)

"""Handing finished files to sinks: one try, and how it went in the sinks' own words."""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from tailrace.files.publish import publish
from tailrace.files.staging import FileTag, staged_file
from tailrace.files.storage import storage_errors
from tailrace.model.audit import one_line, shortened
from tailrace.model.context import Context
from tailrace.model.errors import (
    AlreadyExistsError,
    ConfigurationError,
    IntegrityError,
    InterruptedExportError,
    PluginContractError,
    RequestError,
    TailraceError,
    TransientError,
)
from tailrace.model.job import JobResult, Receipt
from tailrace.model.manifest import encode_manifest
from tailrace.pipeline.foreign import REPORT_IT, foreign_errors
from tailrace.pipeline.job import Job
from tailrace.plugins.sinks import Addressed, DeliverCall, Finisher, Parcel
from tailrace.reading.userinfo import redacted

log = logging.getLogger(__name__)

OUTBOX = "outbox"
"""Stands for a sink where the engine keeps a file itself: to deliver it, and as long as retention lets it."""
_MOST_NAMES = 10_000
_LONGEST, _LONGEST_NAME = 1000, 400
"""Characters of what a sink says that are kept, and of the name of a recipient."""


@attrs.frozen
class Handover:
    """One file for one recipient, and what became of it while the export was made.

    Args:
        file: Which file, from 0.
        destination: Which of the request's sinks, from 0.
        recipient: Who gets it; empty where the sink tells recipients not apart.
        receipt: What the sink said; None where its turn comes when the file is recorded.
    """

    file: int
    destination: int
    recipient: str
    receipt: Receipt | None = None


@attrs.frozen
class Made:
    """What an export made, and where it is on this machine.

    Args:
        result: The outcome.
        parcels: The files, each where it is kept.
        handovers: Who is to have what.
        kept: Receipts of copies that the engine keeps itself.
    """

    result: JobResult
    parcels: tuple[Parcel, ...]
    handovers: tuple[Handover, ...]
    kept: tuple[Receipt, ...] = ()


def not_yet(sink: str, recipient: str) -> Receipt:
    """The receipt of a delivery that was not tried yet."""
    return Receipt(sink, delivered=False, error="It is not delivered yet.", transient=True, recipient=recipient)


def recipients_of(job: Job, number: int) -> tuple[str, ...]:
    """Who gets the files at a destination; one without a name where its sink tells recipients not apart.

    Raises:
        RequestError: Nobody.
        PluginContractError: The sink says something else than names.
    """
    destination = job.destinations[number]
    sink = destination.plugin
    with foreign_errors("sink", sink.name):
        if not isinstance(sink.object, Addressed):
            return ("",)
        named = tuple(sink.object.recipients(job.staging_call(number)))
    if not all(isinstance(name, str) and _is_fit(name) for name in named):
        message = f"Sink {sink.name} names recipients that are no line of text, or one that is too long."
        raise PluginContractError(sink.name, message, hint=REPORT_IT)
    if not named:
        message = f"Sink {sink.name} has nobody to deliver to."
        raise RequestError(message, hint=f"Name somebody: --to {sink.name}:TARGET")
    return tuple(dict.fromkeys(named))


def deliver(
    job: Job,
    number: int,
    parcel: Parcel,
    context: Context,
    *,
    recipients: Sequence[str] = ("",),
    name: str = "",
    delivered: frozenset[Path] = frozenset(),
) -> tuple[Receipt, ...]:
    """Deliver a file at a destination, once.

    Args:
        job: The export.
        number: Which of its destinations, from 0.
        parcel: The file.
        context: Progress, cancellation, deadline.
        recipients: Those who are to get it in this try, as :func:`recipients_of` named them.
        name: What the other side knows the delivery by.
        delivered: Other files of this export on this machine.

    Returns:
        One receipt for each recipient.

    Raises:
        TailraceError: Nobody got it.
    """
    destination = job.destinations[number]
    sink = destination.plugin
    call = DeliverCall(
        parcel,
        destination.target,
        destination.options,
        context,
        delivered,
        job.folder,
        destination.settings,
        job.secret,
        name,
        tuple(recipients) if isinstance(sink.object, Addressed) else (),
        job.link,
        job.host.http,
    )
    context.check()
    with foreign_errors("sink", sink.name):
        if isinstance(sink.object, Addressed):
            receipts = _each(sink.name, sink.object.deliver_each(call), recipients)
        else:
            receipts = (_checked(sink.name, sink.object.deliver(call)),)
        return tuple(_shown(receipt) for receipt in receipts)


def finish(job: Job, number: int, parcel: Parcel, receipt: Receipt, context: Context) -> None:
    """Let a sink do what it does once a file is recorded as delivered; what fails there is told in the log."""
    destination = job.destinations[number]
    sink = destination.plugin
    if not isinstance(sink.object, Finisher):
        return
    call = DeliverCall(
        parcel,
        destination.target,
        destination.options,
        context.quiet(),
        folder=job.folder,
        settings=destination.settings,
    )
    try:
        with foreign_errors("sink", sink.name):
            sink.object.finish(call, receipt)
    except TailraceError as error:
        log.warning("sink %s: %s", sink.name, error.message)


def failed(sink: str, error: TailraceError, recipients: Sequence[str]) -> tuple[Receipt, ...]:
    """The receipts of a try that came to nothing."""
    # What an operator can mend is tried again: a worker that was started without a secret must not give up everything.
    transient = isinstance(error, TransientError | ConfigurationError)
    # That nothing was published, as its hint says, is no word about a file that others may have.
    hint = "" if isinstance(error, InterruptedExportError) else error.hint
    stop = "." if hint and error.message[-1:].isalnum() else ""
    words = _line(f"{error.message}{stop} {hint}".strip())
    return tuple(
        Receipt(sink, delivered=False, error=words, transient=transient, recipient=recipient)
        for recipient in recipients
    )


def keep(parcel: Parcel, folder: Path) -> Receipt:
    """Keep a copy of a staged file in the engine's own folder, under a name that is free.

    Raises:
        StorageError: The file system refuses.
    """
    suggested = parcel.manifest.file.name
    stem, dot, rest = suggested.partition(".")
    for count in range(1, _MOST_NAMES):
        name = suggested if count == 1 else f"{stem}-{count}{dot}{rest}"
        try:
            publish(parcel.path, folder / name, manifest=encode_manifest(parcel.manifest, name=name))
        except AlreadyExistsError:
            continue
        return Receipt(OUTBOX, delivered=True, place=str(folder / name), path=folder / name, root=folder)
    message = f"{folder} is full of files called {suggested}."
    raise AlreadyExistsError(message, hint="Remove old jobs: tailrace retention apply")


@contextmanager
def staged_again(parcel: Parcel, folder: Path, tag: FileTag | None) -> Iterator[Path]:
    """A staged copy of a kept file, to be published from there like one that was just made.

    Args:
        parcel: The file.
        folder: Where the sink would like to have it.
        tag: The attempt that is going to publish it.

    Raises:
        IntegrityError: What was copied is another file.
        StorageError: The file system refuses.
    """
    with staged_file(folder, tag=tag) as (descriptor, path):
        digest = hashlib.sha256()
        with storage_errors(folder), parcel.path.open("rb") as source, open(descriptor, "wb", closefd=False) as target:
            while block := source.read(1 << 20):
                digest.update(block)
                target.write(block)
            target.flush()
            os.fsync(descriptor)
        if digest.hexdigest() != parcel.manifest.file.sha256:
            message = f"{parcel.path} was changed while it was copied."
            raise IntegrityError(message, hint="Export again.")
        yield path


def _each(sink: str, said: object, recipients: Sequence[str]) -> tuple[Receipt, ...]:
    """What a sink said about each of its recipients, in their order."""
    if not isinstance(said, Sequence) or isinstance(said, str | bytes):
        message = f"Sink {sink} returned {type(said).__name__} instead of receipts."
        raise PluginContractError(sink, message, hint=REPORT_IT)
    receipts: dict[str, Receipt] = {}
    for one in said:
        try:
            receipt = _checked(sink, one)
        except PluginContractError as error:
            log.warning("%s", error.message)
            continue
        # Where it says both, it arrived: to send it again would be worse than not to.
        if receipt.delivered or receipt.recipient not in receipts:
            receipts[receipt.recipient] = receipt
    # What others have is not taken from them because of one.
    nothing = f"The sink {sink} did not say what became of it. {REPORT_IT}"
    return tuple(
        receipts.get(recipient) or Receipt(sink, delivered=False, error=nothing, recipient=recipient)
        for recipient in recipients
    )


def _checked(sink: str, said: object) -> Receipt:
    if not isinstance(said, Receipt):
        message = f"Sink {sink} returned {type(said).__name__} instead of a receipt."
        raise PluginContractError(sink, message, hint=REPORT_IT)
    texts = (said.sink, said.place, said.error, said.note, said.recipient)
    numbers = (said.retry_after or 0.0, said.keep)
    if not all(isinstance(text, str) for text in texts) or not all(isinstance(one, int | float) for one in numbers):
        message = f"Sink {sink} returned a receipt with values of other types than it has."
        raise PluginContractError(sink, message, hint=REPORT_IT)
    return said


def _shown(receipt: Receipt) -> Receipt:
    """A receipt in words that can be shown and stored, whatever a server said."""
    place = shortened(one_line(receipt.place), _LONGEST) if receipt.path else _line(receipt.place)
    return attrs.evolve(receipt, place=place, error=_line(receipt.error), note=_line(receipt.note))


def _line(text: str) -> str:
    # The sink's own words: an address to which it delivers may hold a password.
    return shortened(one_line(redacted(text)), _LONGEST)


def _is_fit(name: str) -> bool:
    return 0 < len(name) <= _LONGEST_NAME and one_line(name) == name

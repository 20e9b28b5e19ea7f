"""Sending a file while somebody may call it off.

A request that obstore makes cannot be stopped from outside. So it is made in a thread, which is left to its own fate
when the export is cancelled: the next block that it asks for is refused, and obstore takes back the parts it has sent.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

import attrs

from tailrace import Context, Parcel, PermanentError
from tailrace_sink_s3.place import Place
from tailrace_sink_s3.storage import Bucket

_BLOCK = 1 << 20
_LOOK_EVERY = 0.1
_TO_TAKE_BACK = 0.3
"""Seconds that taking back parts may take before nobody waits for it any more."""


def _unreadable(path: Path, error: OSError) -> PermanentError:
    return PermanentError(f"{path} cannot be read: {error.strerror}.", hint="Export again.")


class _CalledOffError(Exception):
    """The thread is not to go on."""


def run(work: Callable[[], None], context: Context, *, meanwhile: Callable[[], object] = lambda: None) -> None:
    """Do something in a thread, and look after it.

    Args:
        work: What to do.
        context: Looked at several times a second.
        meanwhile: Called as often.

    Raises:
        CancelledError: Somebody asked to stop.
        DeadlineError: The time is up.
    """
    raised: list[Exception] = []

    def do() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that waits
            raised.append(error)

    thread = threading.Thread(target=do, name="tailrace-s3", daemon=True)
    thread.start()
    while thread.is_alive():
        context.check()
        meanwhile()
        thread.join(_LOOK_EVERY)
    if raised:
        raise raised[0]


@attrs.define
class Blocks:
    """A file on its way, in blocks: the whole of it, as its manifest has it, or an error.

    Args:
        path: The file.
        sha256: What it is to have, hexadecimal.
        size: As well.
    """

    path: Path
    sha256: str
    size: int
    at_end: threading.Event = attrs.field(factory=threading.Event, init=False)
    _may_end: threading.Event = attrs.field(factory=threading.Event, init=False)
    _called_off: bool = attrs.field(default=False, init=False)

    def __iter__(self) -> Iterator[bytes]:
        size, digest = 0, hashlib.sha256()
        with self._opened() as file:
            while block := self._read(file):
                self._go_on()
                size += len(block)
                digest.update(block)
                yield block
        if (size, digest.hexdigest()) != (self.size, self.sha256):
            raise PermanentError(
                f"{self.path} is not what its manifest says: it was not sent.",
                hint="The disk is damaged: export again.",
            )
        self.at_end.set()
        self._may_end.wait()
        self._go_on()

    def _opened(self) -> IO[bytes]:
        try:
            return self.path.open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def _read(self, file: IO[bytes]) -> bytes:
        try:
            return file.read(_BLOCK)
        except OSError as error:
            raise _unreadable(self.path, error) from None

    def let_end(self) -> None:
        """Let it end: only then the object appears."""
        self._may_end.set()

    def call_off(self) -> None:
        """Give no further block."""
        self._called_off = True
        self._may_end.set()

    def _go_on(self) -> None:
        if self._called_off:
            raise _CalledOffError


def send_parts(
    bucket: Bucket,
    place: Place,
    parcel: Parcel,
    metadata: Mapping[str, str],
    context: Context,
    *,
    part_size: int,
    before_end: Callable[[], object],
) -> None:
    """Send a file in parts.

    Args:
        bucket: Where to.
        place: Its key.
        parcel: The file.
        metadata: What is noted with it.
        context: Cancellation and deadline.
        part_size: Bytes of a part.
        before_end: Called when all parts are there and nothing is visible yet; what it raises takes them back.

    Raises:
        BaseError: What obstore says, and the others of :data:`~tailrace_sink_s3.failures.STORAGE_ERRORS`.
        PermanentError: The file is not what its manifest says.
        CancelledError: Somebody asked to stop.
        DeadlineError: The time is up.
    """
    file = parcel.manifest.file
    blocks = Blocks(parcel.path, file.sha256, file.size)
    over = threading.Event()

    def work() -> None:
        try:
            bucket.put_parts(place, iter(blocks), metadata, part_size=part_size)
        finally:
            over.set()

    def meanwhile() -> None:
        if blocks.at_end.is_set() and not over.is_set():
            before_end()
            blocks.at_end.clear()
            blocks.let_end()

    try:
        run(work, context, meanwhile=meanwhile)
    except BaseException:
        blocks.call_off()
        over.wait(_TO_TAKE_BACK)
        raise


def send_at_once(
    bucket: Bucket, place: Place, parcel: Parcel, metadata: Mapping[str, str], context: Context, *, overwrite: bool
) -> None:
    """Send a file that is small enough in one request, which fails where the key is taken.

    Raises:
        BaseError: As with :func:`send_parts`; and the others.
    """
    file = parcel.manifest.file
    blocks = Blocks(parcel.path, file.sha256, file.size)
    blocks.let_end()
    content = b"".join(blocks)
    run(lambda: bucket.put(place, content, metadata, mode="overwrite" if overwrite else "create"), context)

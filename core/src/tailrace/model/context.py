"""Progress, cancellation and deadline: the one small object that travels along with an export."""

import math
import threading
import time
from collections.abc import Callable

import attrs

from tailrace.model.errors import CancelledError, DeadlineError


@attrs.frozen
class Progress:
    """How far an export is.

    Args:
        phase: ``"reading"``, ``"writing"``, ``"proving"``, ``"delivering"``.
        rows: Rows done in this phase.
        bytes: Bytes of finished output so far.
        total_rows: Rows expected in this phase, where known.
        seconds: Seconds since the export began.
    """

    phase: str
    rows: int
    bytes: int
    total_rows: int | None
    seconds: float


@attrs.define
class Context:
    """Progress, cancellation and deadline of one export; safe to use from several threads.

    Args:
        on_progress: Called with a :class:`Progress` at most every ``interval`` seconds, and at each change of phase.
            It runs in the thread that does the work: keep it short.
        timeout: Seconds until the deadline, over all phases; None for no limit.
        interval: Seconds between two calls of ``on_progress``.
        clock: Monotonic clock in seconds.
    """

    on_progress: Callable[[Progress], None] | None = None
    timeout: float | None = None
    interval: float = 0.1
    clock: Callable[[], float] = time.monotonic
    _cancelled: threading.Event = attrs.field(factory=threading.Event, init=False, repr=False)
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False, repr=False)
    _began: float = attrs.field(init=False, repr=False)
    _told: float = attrs.field(default=float("-inf"), init=False, repr=False)
    _phase: str = attrs.field(default="reading", init=False)
    _rows: int = attrs.field(default=0, init=False)
    _bytes: int = attrs.field(default=0, init=False)
    _total: int | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._began = self.clock()

    def cancel(self) -> None:
        """Ask the export to stop; it does at its next check, within a second. From any thread or signal handler."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to stop."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Return while the export may go on.

        Raises:
            CancelledError: Somebody asked to stop.
            DeadlineError: The time is up.
        """
        if self._cancelled.is_set():
            raise CancelledError("It was cancelled.", hint="Nothing was published or changed. Start it again.")
        if self.timeout is not None and self.clock() - self._began > self.timeout:
            raise DeadlineError(
                f"The export took longer than its {self.timeout:g} seconds.",
                hint="Nothing was published. Allow more time, or narrow the export.",
            )

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while.

        Raises:
            CancelledError: Somebody asked to stop.
            DeadlineError: The time is up, or would be.
        """
        left = math.inf if self.timeout is None else self.timeout - (self.clock() - self._began)
        self._cancelled.wait(max(0.0, min(seconds, left + 0.001)))
        self.check()

    def quiet(self) -> "Context":
        """The same cancellation and deadline, for work whose progress is nobody's business."""
        other = attrs.evolve(self, on_progress=None)
        other._cancelled, other._began = self._cancelled, self._began  # noqa: SLF001 - of the same class
        return other

    def observed(self, also: Callable[[Progress], None]) -> "Context":
        """The same cancellation and deadline, with somebody else who is told of progress, too."""
        told = [also] if self.on_progress is None else [self.on_progress, also]

        def tell(progress: Progress) -> None:
            for one in told:
                one(progress)

        other = attrs.evolve(self, on_progress=tell)
        other._cancelled, other._began = self._cancelled, self._began  # noqa: SLF001 - of the same class
        return other

    def phase(self, name: str, *, total_rows: int | None = None) -> None:
        """Begin a phase; rows start again at zero, bytes go on."""
        self.check()
        with self._lock:
            self._phase, self._rows, self._total = name, 0, total_rows
            self._tell(force=True)

    def advance(self, *, rows: int = 0, size: int = 0) -> None:
        """Add rows and bytes that are done, and check whether to go on."""
        self.check()
        with self._lock:
            self._rows += rows
            self._bytes += size
            self._tell()

    def _tell(self, *, force: bool = False) -> None:
        now = self.clock()
        if self.on_progress is None or (not force and now - self._told < self.interval):
            return
        self._told = now
        self.on_progress(Progress(self._phase, self._rows, self._bytes, self._total, now - self._began))

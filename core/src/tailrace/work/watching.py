"""What observers are told of one attempt at an export."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import attrs

from tailrace.model.context import Progress
from tailrace.model.job import JobResult
from tailrace.plugins.kinds import ExportEvent
from tailrace.store.jobs import Claim

EVERY: Final = 1.0
"""Seconds between two words on the progress of one phase."""


@attrs.define
class Watch:
    """Tells what becomes of one attempt.

    Args:
        tell: Tells the observers; raises nothing.
        clock: Says what time it is, with its zone.
        claim: The job.
    """

    tell: Callable[[ExportEvent], None] = attrs.field(repr=False)
    clock: Callable[[], datetime] = attrs.field(repr=False)
    claim: Claim
    ended: bool = attrs.field(default=False, init=False)
    """Whether its end was told."""
    _under_way: bool = attrs.field(default=False, init=False)
    _phase: str = attrs.field(default="", init=False)
    _told: float = attrs.field(default=0.0, init=False)

    def started(self) -> None:
        """It begins."""
        self.ended, self._under_way, self._phase = False, True, ""
        self._say("started")

    def progress(self, progress: Progress) -> None:
        """It goes on: told at the beginning of a phase, and then at most once a second."""
        if not self._under_way:
            # What is made already is only delivered.
            return
        if progress.phase == self._phase and progress.seconds - self._told < EVERY:
            return
        self._phase, self._told = progress.phase, progress.seconds
        self._say("progress", progress=progress)

    def finished(self, result: JobResult) -> None:
        """It came to its end."""
        self.ended, self._under_way = True, False
        self._say("finished", result=result)

    def failed(self, error: BaseException) -> None:
        """It did not."""
        self.ended, self._under_way = True, False
        self._say("failed", error=error)

    def _say(self, name: Any, **more: Any) -> None:
        claim = self.claim
        moment = self.clock().astimezone(UTC)
        self.tell(ExportEvent(name, claim.id, claim.source, claim.format, claim.creator, moment, **more))

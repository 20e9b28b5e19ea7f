"""Where claimed jobs are carried out: the one seam at which another machinery takes the place of this machine's.

A worker claims jobs, keeps their leases and records how they end. What lies between is a :class:`Runner`: it is given
attempts, says how each came out, and stops one when told. A runner that hands its jobs to a distributed engine sends
the :class:`Order` of an attempt, which is plain data, and has :func:`tailrace.carrying_out.carry_out` done with it over
there: neither jobs nor store nor plugins know the difference.
"""

from collections.abc import Callable
from typing import Any, Protocol

import attrs

from tailrace.work.attempt import Attempt
from tailrace.work.outcome import Outcome

Ended = Callable[[Attempt, Outcome], None]
"""Told how an attempt came out, from any thread."""


class Runner(Protocol):
    """Carries out claimed jobs."""

    @property
    def free(self) -> int:
        """How many more jobs it can take now."""
        ...

    def submit(self, attempt: Attempt, ended: Ended) -> None:
        """Begin with an attempt, and return at once.

        Progress goes to ``attempt.observe``; ``ended`` is called exactly once, whatever happens.
        """
        ...

    def cancel(self, attempt: Attempt) -> None:
        """Stop an attempt, if it still runs and does not publish already."""
        ...

    def close(self, seconds: float) -> None:
        """Wait for what was stopped to end, and leave behind what does not."""
        ...


@attrs.frozen
class Order:
    """An attempt as plain data, for a process that shares nothing but the store.

    Args:
        settings: The engine's settings, as JSON-like values.
        job: Id of the job.
        fence: Fence of the attempt.
        lease: Seconds that the job is held without being heard of.
        memory: Bytes of memory that the process may take; None for no limit.
    """

    settings: Any = attrs.field(repr=False)
    job: str
    fence: int
    lease: float
    memory: int | None = None

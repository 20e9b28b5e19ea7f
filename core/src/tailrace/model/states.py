"""The states of a job, and the ways between them."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class JobState(StrEnum):
    """Where a job is."""

    PENDING = "pending"
    """It waits for a worker: for the first time, to be tried again, or to be delivered where that failed for now."""
    PROCESSING = "processing"
    """A worker, or the process that asked for it, has it."""
    COMPLETED = "completed"
    """Its files are made, and everybody has them who is to have them."""
    PARTLY_DELIVERED = "partly delivered"
    """Its files are made, and not everybody has them: what is missing was given up."""
    FAILED = "failed"
    """It came to nothing, and will not be tried again by itself."""
    CANCELLED = "cancelled"
    """Somebody stopped it; nothing was published."""
    EXPIRED = "expired"
    """Its files were made, and removed since."""

    @property
    def is_final(self) -> bool:
        """Whether nothing happens to it any more by itself."""
        return self not in {JobState.PENDING, JobState.PROCESSING}

    @property
    def has_files(self) -> bool:
        """Whether it has come to its end with files, which are there."""
        return self in {JobState.COMPLETED, JobState.PARTLY_DELIVERED}


TRANSITIONS: Final[Mapping[JobState, frozenset[JobState]]] = MappingProxyType(
    {
        # Cancelled before anybody began; failed where it cannot even be begun; the last two where somebody stops a job
        # that waits to be delivered.
        JobState.PENDING: frozenset(
            {
                JobState.PROCESSING,
                JobState.CANCELLED,
                JobState.FAILED,
                JobState.COMPLETED,
                JobState.PARTLY_DELIVERED,
            }
        ),
        # Back to pending: given back by a worker that ends, taken from one that died, or to be tried again.
        JobState.PROCESSING: frozenset(
            {
                JobState.COMPLETED,
                JobState.PARTLY_DELIVERED,
                JobState.FAILED,
                JobState.CANCELLED,
                JobState.PENDING,
            }
        ),
        # By hand: tailrace jobs resend.
        JobState.COMPLETED: frozenset({JobState.EXPIRED, JobState.PENDING}),
        JobState.PARTLY_DELIVERED: frozenset({JobState.EXPIRED, JobState.PENDING}),
        # By hand: tailrace jobs retry.
        JobState.FAILED: frozenset({JobState.PENDING}),
        JobState.CANCELLED: frozenset({JobState.PENDING}),
        JobState.EXPIRED: frozenset(),
    }
)
"""Which states may follow a state; enforced by the store."""

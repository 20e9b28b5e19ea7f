"""Who is to have which file of an export, and whether they have it."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

import attrs

_OURS: Final = uuid.UUID("6f1c1c5e-5d0b-5c0e-9a57-7461696c7261")
"""The namespace in which the names of deliveries are made (RFC 9562, version 5)."""


class DeliveryState(StrEnum):
    """Where a delivery is."""

    WAITING = "waiting"
    """It has not been tried, or failed for now and is tried again."""
    DELIVERED = "delivered"
    """The other side said that it has it."""
    FAILED = "failed"
    """It was given up."""


@attrs.frozen
class Delivery:
    """One file on its way to one recipient: a row of the ledger.

    Args:
        id: Unique.
        job: The job that made the file.
        file: Which of its files, from 0.
        destination: Which of the request's sinks, from 0.
        sink: Name of that sink.
        recipient: Who gets it, as the sink shows it; empty where it tells recipients not apart.
        state: Where it is.
        round: How often it was sent again although it had arrived.
        tries: Tries that failed, in this round.
        due: When it is tried next, UTC; None once it is delivered or given up.
        changed: When it was tried last, or entered, UTC.
        place: Where the file is now, in the sink's words; empty where it is not.
        note: What people should know although it arrived; may be empty.
        error: Why it did not arrive, the last time that was tried; empty otherwise.
    """

    id: str
    job: str
    file: int
    destination: int
    sink: str
    recipient: str
    state: DeliveryState
    round: int
    tries: int
    due: datetime | None
    changed: datetime
    place: str = ""
    note: str = ""
    error: str = ""

    @property
    def delivered(self) -> bool:
        """Whether it arrived."""
        return self.state is DeliveryState.DELIVERED

    @property
    def name(self) -> str:
        """What the other side knows it by; see :func:`delivery_name`."""
        return delivery_name(self.job, self.file, self.destination, self.round)

    @property
    def addressee(self) -> str:
        """Sink and recipient, for people."""
        return f"{self.sink}:{self.recipient}" if self.recipient else self.sink


def delivery_name(job: str, file: int, destination: int, round_: int = 0) -> str:
    """The id of a delivery for the other side: the same at every try, on every machine.

    Recipients of one destination share it, as one mail to three people is one message.

    Args:
        job: Id of the export.
        file: Which of its files, from 0.
        destination: Which of the request's sinks, from 0.
        round_: How often it was sent again although it had arrived.
    """
    return str(uuid.uuid5(_OURS, f"{job}/{file}/{destination}/{round_}"))


@attrs.frozen
class Standing:
    """How the deliveries of a job stand, by number.

    Args:
        waiting: Those that wait, or are tried again.
        delivered: Those that arrived.
        failed: Those that were given up.
        next_due: When the first of those that wait is tried, UTC; None where none waits.
    """

    waiting: int = 0
    delivered: int = 0
    failed: int = 0
    next_due: datetime | None = None

    @classmethod
    def of(cls, states: Iterable[tuple[DeliveryState, datetime | None]]) -> Self:
        """Count deliveries, each given by its state and when it is due."""
        known = list(states)
        counts = {state.value: sum(one is state for one, _due in known) for state in DeliveryState}
        dues = [due for state, due in known if state is DeliveryState.WAITING and due is not None]
        return cls(**counts, next_due=min(dues, default=None))

    @property
    def total(self) -> int:
        """All of them."""
        return self.waiting + self.delivered + self.failed


@attrs.frozen
class KeptFile:
    """A file that is kept to be delivered, as the store has it.

    Args:
        file: Which of its job's files, from 0.
        manifest: Its manifest, as JSON-like values.
        fields: Values for name patterns.
    """

    file: int
    manifest: Mapping[str, object] = attrs.field(repr=False)
    fields: Mapping[str, str] = attrs.field(repr=False)

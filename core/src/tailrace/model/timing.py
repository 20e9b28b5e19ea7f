"""When a schedule runs: its rule, its slots, and how many of them have come due."""

from datetime import datetime

import attrs

from tailrace.model.errors import RequestError


@attrs.frozen
class Timing:
    """A rule that says when a schedule runs; exactly one of ``cron`` and ``every`` says it.

    Args:
        cron: Five fields, one space between them: ``"0 2 * * *"``; empty where ``every`` says it.
        every: A phrase without the word "every": ``"6 hours"``, ``"monday at 09:00"``; empty where ``cron`` says it.
        zone: IANA name of the time zone whose clock is meant, and in which slots are named.
        start: No slot lies before it, UTC, whole seconds. Intervals are counted from it: it is itself the first slot.
            ``2 days at 09:00`` counts days from its local date, ``3 hours at :15`` hours from its local hour.
        until: No slot lies at it or after it, UTC; None for no end.

    Raises:
        RequestError: Both say it, or neither.
    """

    cron: str = ""
    every: str = ""
    zone: str = "UTC"
    start: datetime = attrs.field(kw_only=True)
    until: datetime | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if bool(self.cron) == bool(self.every):
            raise RequestError(
                "A timing has either cron or every, not both.", hint='Write --cron "0 2 * * *" or --every 6h.'
            )


@attrs.frozen
class Slot:
    """A moment at which a schedule runs.

    Args:
        moment: The moment, UTC.
        name: The same as the clock of the schedule's zone shows it, with the offset: ``"2026-03-29T03:00+02:00"``, with
            seconds only where they are not zero. No two moments have one name, not even in the hour that comes twice.
        note: What is special about it, in plain words: the clocks change on its day; mostly empty.
    """

    moment: datetime
    name: str
    note: str = ""


@attrs.frozen
class Due:
    """The slots in a range of time.

    Args:
        count: How many there are.
        first: The first of them; None where there are none.
        latest: The newest of them, as many as were asked for, the oldest of these first.
    """

    count: int = 0
    first: Slot | None = None
    latest: tuple[Slot, ...] = ()

    @property
    def newest(self) -> Slot | None:
        """The newest of all; None where there are none."""
        return self.latest[-1] if self.latest else None

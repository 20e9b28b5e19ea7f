"""What a panel asks of the data, once it is clear that it makes sense."""

from collections.abc import Sequence

import attrs

from tailrace import Metric
from tailrace_source_dashboard.document import PanelSpec

TIME, HOUR, WEEKDAY = "time", "hour_of_day", "weekday"
CYCLES = (HOUR, WEEKDAY)
"""What can be made of a time beside the time itself."""
STEPS = {
    "1h": 3_600,
    "3h": 10_800,
    "6h": 21_600,
    "12h": 43_200,
    "1d": 86_400,
    "1w": 604_800,
}
"""Steps that a time may be cut into, in seconds."""
EVERY = {"hour": "1h", "day": "1d", "week": "1w", **{step: step for step in STEPS}}


@attrs.frozen
class TableKey:
    """Rows of a table, restricted to ranges by a column of times, or not at all."""

    source: str
    table: str
    time: str | None


@attrs.frozen
class Asked:
    """A panel that makes sense.

    Args:
        path: Its place in the file.
        spec: As it is written.
        name: Name of its table of data.
        key: The rows it is made of.
        metrics: What it shows.
        rank: By which groups are ordered.
    """

    path: str
    spec: PanelSpec
    name: str
    key: TableKey
    metrics: Sequence[Metric]
    rank: Metric | None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """What its rows are grouped by."""
        return tuple(name for name in (self.spec.by, self.spec.split) if name)

    @property
    def over_time(self) -> bool:
        """Whether it is a series in time."""
        return self.spec.by == TIME

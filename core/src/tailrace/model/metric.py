"""What dashboards can show: named measures over the tables of sources."""

import re
from typing import TYPE_CHECKING, Literal

import attrs

if TYPE_CHECKING:
    import polars as pl

Better = Literal["higher", "lower"]


def _is_name(_metric: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        message = (
            f"The {attribute.name} of a metric is small letters, digits and underscores, such as cost_per_success."
        )
        raise ValueError(message, attribute)


@attrs.frozen
class Metric:
    """A named measure: one number out of any set of rows of a table.

    ::

        Metric("slow_requests", "Slow requests", "analytics", "requests",
               (pl.col("response_time_ms") > 5_000).sum(), time="timestamp", additive=True, better="lower")

    Args:
        name: By which dashboards ask for it.
        title: What it is called there.
        source: Name of the source that has the table.
        table: Name of the table.
        expression: Aggregates rows to one value; null where there is none. Which columns it needs is read from it.
        unit: Unit, such as ``"%"`` or ``"ms"``; ``"currency"`` stands for that of the dashboard.
        description: One sentence for people.
        time: Column of times by which ranges apply to the rows. None: the table is how things are now, not what
            happened, and ranges do not apply to it.
        additive: Whether the values of parts add up to that of the whole, as counts and sums do: only such a metric can
            be drawn as shares.
        better: Whether more of it is better or worse, if either.
    """

    name: str = attrs.field(validator=_is_name)
    title: str
    source: str = attrs.field(validator=_is_name)
    table: str
    expression: "pl.Expr" = attrs.field(repr=False, eq=False)
    unit: str = ""
    description: str = ""
    time: str | None = None
    additive: bool = False
    better: Better | None = None

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it needs."""
        return frozenset(self.expression.meta.root_names()) | ({self.time} if self.time else set())

"""Key figures of a table, gathered while its rows pass, in bounded memory and the same from run to run."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs
import polars as pl

from tailrace import Meaning
from tailrace_format_excel.columns import SheetColumn, SheetTable

_MOST_BUCKETS, _SHOWN_BUCKETS, _FEW_BUCKETS = 4_000, 200, 24
_ROWS_PER_BUCKET = 4
"""Rows of a span of time on average, at least: with fewer, a chart shows nothing but chance."""
_A_LINE = 2
"""Points that it takes."""
_MINUTES = (1, 5, 15, 60, 180, 720, 1_440, 10_080, 40_320)
_PER_MINUTE = {"ms": 60 * 10**3, "us": 60 * 10**6, "ns": 60 * 10**9}
_DIGITS = 12
"""Significant digits of sums and means: the others depend on how rows were summed."""


@attrs.define
class Measure:
    """What is known of a column of numbers or flags; values that are not finite are left out.

    Args:
        column: The column.
        values: How many there are.
        missing: How many are null.
        least: The smallest.
        most: The largest.
        total: Their sum; for a flag how many are true.
    """

    column: SheetColumn
    values: int = 0
    missing: int = 0
    least: float | None = None
    most: float | None = None
    total: float = 0.0

    def add(self, found: Mapping[str, Any]) -> None:
        """Take in what was found in some of its values, by the names of :func:`_asked`."""
        self.missing += found["missing"]
        self.values += found["values"]
        if not found["values"]:
            return
        self.total += found["total"]
        if self.column.kind != "flag":
            least, most = float(found["least"]), float(found["most"])
            self.least = least if self.least is None else min(self.least, least)
            self.most = most if self.most is None else max(self.most, most)

    @property
    def mean(self) -> float | None:
        """Their mean; for a flag the share that is true. None without values."""
        return _rounded(self.total / self.values) if self.values else None

    @property
    def sum(self) -> float | None:
        """Their sum. None without values."""
        return _rounded(self.total) if self.values else None


@attrs.frozen
class Rate:
    """Rows over time.

    Args:
        column: The column of times.
        starts: Where each span of time begins, UTC; one after the other, without a gap.
        rows: Rows in it; None where there are none, which may mean that nothing is known.
        minutes: Length of a span.
    """

    column: str
    starts: tuple[datetime, ...]
    rows: tuple[int | None, ...]
    minutes: int


class Figures:
    """Key figures of one table.

    Args:
        table: The table.
    """

    def __init__(self, table: SheetTable) -> None:
        self.rows = 0
        measured = [(index, column) for index, column in enumerate(table.columns) if _is_measured(column)]
        self.measures = [Measure(column) for _index, column in measured]
        self._asked = [
            pl.struct(_asked(pl.nth(index), column)).alias(str(number))
            for number, (index, column) in enumerate(measured)
        ]
        wanted = table.outgoing.time_column
        self._time = next((column for column in table.columns if column.name == wanted and column.is_moment), None)
        self._unit = 0
        self._buckets: Counter[int] = Counter()

    def add(self, batch: pl.DataFrame) -> None:
        """Take rows in."""
        self.rows += len(batch)
        if self._asked:
            # In one piece: what is summed in other pieces has other last digits.
            found = batch.rechunk().select(self._asked).row(0)
            for measure, values in zip(self.measures, found, strict=True):
                measure.add(values)
        if self._time is not None:
            self._count(batch[self._time.name].alias(""))

    @property
    def rate(self) -> Rate | None:
        """Rows over time; None where the table is no series in time, or too short for one."""
        while self._is_too_fine() and self._unit + 1 < len(_MINUTES):
            self._coarsen()
        if self._time is None or len(self._buckets) < _A_LINE or self._span() > _SHOWN_BUCKETS:
            return None
        minutes = _MINUTES[self._unit]
        first = min(self._buckets)
        buckets = range(first, first + self._span())
        return Rate(
            self._time.name,
            tuple(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes * bucket) for bucket in buckets),
            tuple(self._buckets.get(bucket) for bucket in buckets),
            minutes,
        )

    def _count(self, times: pl.Series) -> None:
        unit = times.dtype.time_unit if isinstance(times.dtype, pl.Datetime) else "us"
        # Sorting and counting runs is quicker than grouping, and most logs are in order of time.
        runs = (times.to_physical() // (_PER_MINUTE[unit] * _MINUTES[self._unit])).drop_nulls().sort().rle()
        for run in runs:
            self._buckets[run["value"]] += run["len"]
        while len(self._buckets) > _MOST_BUCKETS and self._unit + 1 < len(_MINUTES):
            self._coarsen()

    def _coarsen(self) -> None:
        # Each length is a multiple of the one before.
        before, self._unit = _MINUTES[self._unit], self._unit + 1
        finer, self._buckets = self._buckets, Counter()
        for bucket, rows in finer.items():
            self._buckets[bucket * before // _MINUTES[self._unit]] += rows

    def _is_too_fine(self) -> bool:
        """Whether there are more spans than can be shown, or than the rows fill."""
        most = max(_FEW_BUCKETS, min(_SHOWN_BUCKETS, self.rows // _ROWS_PER_BUCKET, 2 * len(self._buckets)))
        return self._span() > most

    def _span(self) -> int:
        return max(self._buckets) - min(self._buckets) + 1 if self._buckets else 0


def _asked(values: pl.Expr, column: SheetColumn) -> list[pl.Expr]:
    """What is asked of a column: ``missing``, ``values``, ``total``, ``least``, ``most``."""
    present = values.filter(values.is_finite()) if column.kind == "float" else values.drop_nulls()
    asked = {"missing": values.null_count(), "values": present.len(), "total": present.cast(pl.Float64).sum()}
    if column.kind != "flag":
        asked |= {"least": present.min(), "most": present.max()}
    return [expression.alias(name) for name, expression in asked.items()]


def _is_measured(column: SheetColumn) -> bool:
    if column.kind == "flag":
        return True
    return column.meaning is Meaning.MEASURE and column.kind in {"whole", "float", "decimal"}


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")

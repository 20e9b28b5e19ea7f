"""Key figures of a table, gathered while its rows pass, in bounded memory and the same from run to run."""

import math
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
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MINUTE, _LAST_MINUTE = (61 - 25_569) * 1_440, (2_958_466 - 25_569) * 1_440
"""The calendar of Excel, 1900-03-01 to 9999-12-31, in minutes since 1970."""
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
        """Their mean; for a flag the share that is true. None without values, or where their sum is beyond a double."""
        return _rounded(self.total / self.values) if self.values and math.isfinite(self.total) else None

    @property
    def sum(self) -> float | None:
        """Their sum. None as for :attr:`mean`."""
        return _rounded(self.total) if self.values and math.isfinite(self.total) else None


@attrs.frozen
class Rate:
    """Rows over time.

    Args:
        column: The column of times.
        is_zoned: Whether they are moments, shown in UTC, and not times without a zone.
        starts: Where each span of time begins; one after the other, without a gap.
        rows: Rows in it; None where there are none, which may mean that nothing is known.
        minutes: Length of a span.
    """

    column: str
    is_zoned: bool
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
        self._measured = [pl.nth(index) for index, _column in measured]
        self._asked = [
            pl.struct(_asked(pl.nth(number), column)).alias(str(number))
            for number, (_index, column) in enumerate(measured)
        ]
        wanted = table.outgoing.time_column
        self._time = next((column for column in table.columns if column.name == wanted and column.is_moment), None)
        self._buckets = _Buckets()

    def add(self, batch: pl.DataFrame) -> None:
        """Take rows in."""
        self.rows += len(batch)
        if self._asked:
            # In one piece: what is summed in other pieces has other last digits.
            found = batch.select(self._measured).rechunk().select(self._asked).row(0)
            for measure, values in zip(self.measures, found, strict=True):
                measure.add(values)
        if self._time is not None:
            self._count(batch[self._time.name].alias(""))

    @property
    def rate(self) -> Rate | None:
        """Rows over time; None where the table is no series in time, too short for one, or beyond the calendar."""
        if self._time is None:
            return None
        buckets = self._buckets
        while buckets.is_too_fine(self.rows) and buckets.unit + 1 < len(_MINUTES):
            buckets = buckets.coarser()
        if len(buckets.rows) < _A_LINE or buckets.span > _SHOWN_BUCKETS:
            return None
        minutes = _MINUTES[buckets.unit]
        first = min(buckets.rows)
        if not _FIRST_MINUTE <= first * minutes <= (first + buckets.span) * minutes < _LAST_MINUTE:
            return None
        return Rate(
            self._time.name,
            self._time.is_zoned,
            tuple(_EPOCH + timedelta(minutes=minutes * (first + step)) for step in range(buckets.span)),
            tuple(buckets.rows.get(first + step) for step in range(buckets.span)),
            minutes,
        )

    def _count(self, times: pl.Series) -> None:
        unit = times.dtype.time_unit if isinstance(times.dtype, pl.Datetime) else "us"
        # Sorting and counting runs is quicker than grouping, and most logs are in order of time.
        runs = (times.to_physical() // (_PER_MINUTE[unit] * _MINUTES[self._buckets.unit])).drop_nulls().sort().rle()
        for run in runs:
            self._buckets.rows[run["value"]] += run["len"]
        while len(self._buckets.rows) > _MOST_BUCKETS and self._buckets.unit + 1 < len(_MINUTES):
            self._buckets = self._buckets.coarser()


@attrs.frozen
class _Buckets:
    """Rows by spans of time.

    Args:
        unit: Index of their length in minutes.
        rows: Rows by the number of such spans since 1970.
    """

    unit: int = 0
    rows: Counter[int] = attrs.field(factory=Counter)

    @property
    def span(self) -> int:
        """Spans from the first to the last."""
        return max(self.rows) - min(self.rows) + 1 if self.rows else 0

    def is_too_fine(self, rows: int) -> bool:
        """Whether there are more spans than can be shown, or than the rows fill."""
        return self.span > max(_FEW_BUCKETS, min(_SHOWN_BUCKETS, rows // _ROWS_PER_BUCKET, 2 * len(self.rows)))

    def coarser(self) -> "_Buckets":
        """The same by the next length, which is a multiple of this one."""
        coarser: Counter[int] = Counter()
        for bucket, rows in self.rows.items():
            coarser[bucket * _MINUTES[self.unit] // _MINUTES[self.unit + 1]] += rows
        return _Buckets(self.unit + 1, coarser)


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

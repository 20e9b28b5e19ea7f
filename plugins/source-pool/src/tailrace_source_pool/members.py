"""Members of JSON objects as columns, strictly typed: what does not fit is told, and left null."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from tailrace import read_times
from tailrace_source_pool.times import UTC_MICROSECONDS

TEXT, WHOLE, NUMBER, FLAG, TIME = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean(), UTC_MICROSECONDS

LABELS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
"""What people call the types of JSON."""

NOT_A_TIME = "it is not a time such as 2026-08-15T00:24:09.297504Z"
TOO_LARGE = "it is too large"

_TYPES: Mapping[pl.DataType, tuple[type, ...]] = {
    TEXT: (str,),
    WHOLE: (int,),
    NUMBER: (int, float),
    FLAG: (bool,),
    TIME: (str,),
}


class Complaints:
    """What is wrong with some rows; of each member of a row the first thing only."""

    def __init__(self) -> None:
        self._told: dict[tuple[int, str | None], str] = {}

    def tell(self, index: int, member: str | None, reason: str) -> None:
        """Say what is wrong.

        Args:
            index: Which row, from 0.
            member: Which of its members; None for the row as a whole.
            reason: What is wrong, as a clause, without the value.
        """
        # Nothing more is to be said about what is no row at all.
        if (index, None) not in self._told:
            self._told.setdefault((index, member), reason)

    def about(self, index: int, member: str | None) -> bool:
        """Whether something is wrong with this member of a row."""
        return (index, member) in self._told

    def tell_all(self, which: pl.Series, member: str | None, reason: str) -> None:
        """Say the same of several rows.

        Args:
            which: A mask; null counts as false.
            member: As for :meth:`tell`.
            reason: As for :meth:`tell`.
        """
        for index in which.arg_true():
            self.tell(index, member, reason)

    def __iter__(self) -> Iterator[tuple[int, str | None, str]]:
        """All complaints, in the order of the rows."""
        for index, member in sorted(self._told, key=lambda place: place[0]):
            yield index, member, self._told[index, member]

    def first(self, rows: int) -> tuple[pl.Series, pl.Series]:
        """Member and reason of the first complaint about each row, null where it is fine."""
        names: list[str | None] = [None] * rows
        reasons: list[str | None] = [None] * rows
        for (index, name), reason in reversed(self._told.items()):
            names[index], reasons[index] = name, reason
        return pl.Series(names, dtype=pl.String), pl.Series(reasons, dtype=pl.String)

    def good(self, rows: int) -> pl.Series:
        """A mask of the rows that nobody complained about."""
        mask = pl.repeat(value=True, n=rows, eager=True)
        return mask.scatter(sorted({index for index, _member in self._told}), values=False)


def objects(entries: Sequence[object], complaints: Complaints) -> list[dict[str, Any]]:
    """The entries as objects, an empty one in place of anything else."""
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            complaints.tell(index, None, f"it is {LABELS[type(entry)]} instead of an object")
    return [entry if isinstance(entry, dict) else {} for entry in entries]


def column(rows: Sequence[Mapping[str, Any]], name: str, dtype: pl.DataType, complaints: Complaints) -> pl.Series:
    """One member of all objects, as a series; what does not fit is told and left null."""
    values = [row.get(name) for row in rows]
    allowed = (*_TYPES[dtype], type(None))
    if not set(map(type, values)).issubset(allowed):
        expected = LABELS[_TYPES[dtype][-1]]
        for index, value in enumerate(values):
            if type(value) not in allowed:
                complaints.tell(index, name, f"expected {expected}, got {LABELS[type(value)]}")
                values[index] = None
    stored = pl.String() if dtype == TIME else dtype
    try:
        series = pl.Series(values, dtype=stored)
    except (OverflowError, TypeError):
        # Too rare to look for before: a whole number beyond 64 bits.
        for index, value in enumerate(values):
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                complaints.tell(index, name, TOO_LARGE)
                values[index] = None
        series = pl.Series(values, dtype=stored)
    return moments(series, name, complaints) if dtype == TIME else series


def moments(texts: pl.Series, name: str, complaints: Complaints) -> pl.Series:
    """Texts as times; what is none is told and left null."""
    times = read_times(texts)
    complaints.tell_all(times.is_null() & texts.is_not_null(), name, NOT_A_TIME)
    return times


def documents(rows: Sequence[Mapping[str, Any]], name: str, wanted: type, complaints: Complaints) -> list[Any]:
    """One member of all objects, as lists or objects; what is neither this nor null is told and left None."""
    values = [row.get(name) for row in rows]
    for index, value in enumerate(values):
        if value is not None and type(value) is not wanted:
            complaints.tell(index, name, f"expected {LABELS[wanted]}, got {LABELS[type(value)]}")
            values[index] = None
    return values

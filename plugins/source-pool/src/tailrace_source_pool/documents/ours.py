"""Rows of our own exports, from JSON and from CSV, as proxies."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tailrace_source_pool.documents.addresses import completed
from tailrace_source_pool.documents.entries import EntryReader, numbered
from tailrace_source_pool.documents.rules import ENTRY, TYPES, checked
from tailrace_source_pool.members import (
    FLAG,
    NUMBER,
    TEXT,
    TIME,
    TOO_LARGE,
    WHOLE,
    Complaints,
    column,
    moments,
    objects,
)

_UNKNOWN = "no pool has a member of that name"
_WHOLE = r"^-?[0-9]+$"
_NUMBER = r"^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_MEMBERS = 1000
"""Members of one row that are looked at, at most: no pool has nearly as many columns."""


def json_reader(declared: Sequence[str] | None, *, whole_as_text: bool) -> EntryReader:
    """Reads rows of a JSON document.

    Args:
        declared: The columns that each row must have; None where the manifest does not say.
        whole_as_text: Whether whole numbers are written as texts: option ``big_integers=text`` of the format.
    """

    def read(entries: Sequence[Any], complaints: Complaints) -> pl.DataFrame:
        rows = objects(entries, complaints)
        present = set().union(*rows) if rows else set()
        names = [name for name in TYPES if name in present or name in (declared or ())]
        _tell_members(rows, present, names if declared is None else declared, complaints)
        columns = []
        for name in names:
            as_text = whole_as_text and TYPES[name] == WHOLE
            values = column(rows, name, TEXT if as_text else TYPES[name], complaints)
            columns.append((_typed(values, name, complaints) if as_text else values).alias(name))
        return _finished(pl.DataFrame(columns) if columns else pl.DataFrame(height=len(rows)), complaints)

    return read


def read_texts(texts: pl.DataFrame, complaints: Complaints) -> pl.DataFrame:
    """Rows of a CSV file.

    Args:
        texts: Their fields as texts; the names of the columns are ours.
        complaints: Where it is told what is wrong.
    """
    return _finished(
        texts.select(_typed(texts[name], name, complaints) for name in TYPES if name in texts.columns), complaints
    )


def _finished(frame: pl.DataFrame, complaints: Complaints) -> pl.DataFrame:
    frame = completed(numbered(frame), complaints)
    checked(frame, complaints)
    return frame.select(ENTRY, *(name for name in TYPES if name in frame.columns))


def _tell_members(
    rows: Sequence[Mapping[str, Any]], present: set[str], declared: Sequence[str], complaints: Complaints
) -> None:
    """Tell members that a row must not have, and those that it must have and has not."""
    wanted = frozenset(declared)
    # All rows are alike but in files that were changed: look at each only where they are not.
    if present <= wanted and all(len(row) == len(wanted) for row in rows):
        return
    for index, row in enumerate(rows):
        for name in list(row)[:_MEMBERS]:
            if name not in wanted:
                complaints.tell(index, name, _UNKNOWN)
        for name in declared if row else ():
            if name not in row:
                complaints.tell(index, name, "it is missing")


def _typed(texts: pl.Series, name: str, complaints: Complaints) -> pl.Series:
    """Texts in the type of their column; what does not fit is told and left null."""
    dtype = TYPES[name]
    if dtype == TEXT:
        return texts
    if dtype == TIME:
        return moments(texts, name, complaints)
    if dtype == FLAG:
        typed = texts.replace_strict({"true": True, "false": False}, default=None, return_dtype=FLAG)
        expected = "expected true or false"
    else:
        shaped = texts.str.contains(_WHOLE if dtype == WHOLE else _NUMBER)
        complaints.tell_all(
            ~shaped.fill_null(value=True), name, "expected a whole number" if dtype == WHOLE else "expected a number"
        )
        typed = texts.zip_with(shaped, pl.Series([None], dtype=TEXT)).cast(dtype, strict=False)
        if dtype == NUMBER:
            typed = typed.to_frame("n").select(pl.when(pl.col("n").is_finite()).then("n")).to_series()
        expected = TOO_LARGE
    complaints.tell_all(typed.is_null() & texts.is_not_null(), name, expected)
    return typed.alias(name)

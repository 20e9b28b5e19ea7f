"""From the entries of a file to proxies: those without a problem go on, the problems of the others are told."""

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from tailrace_source_pool.documents.findings import Problems, frame_piece
from tailrace_source_pool.documents.json_text import Value, step
from tailrace_source_pool.documents.rules import ENTRY
from tailrace_source_pool.members import Complaints

EntryReader = Callable[[Sequence[Any], Complaints], pl.DataFrame]
"""Makes proxies of entries; with :data:`~tailrace_source_pool.documents.rules.ENTRY`, for one entry may be several."""
AT_ONCE = 4000
"""Entries that are read together: enough to make the cost of a batch vanish, few enough to keep memory small."""


def json_proxies(values: Sequence[Value], first: str, offset: int, read: EntryReader, problems: Problems) -> bytes:
    """A piece with the proxies of some elements of a list.

    Args:
        values: The elements.
        first: Path of the list: ``"$.proxies"``.
        offset: Index of the first of the elements.
        read: Reads them.
        problems: Where problems are told.
    """
    complaints = Complaints()
    for index, value in enumerate(values):
        for flaw in value.flaws:
            member = flaw.path.removeprefix(".")
            is_direct = flaw.path.startswith(".") and not {".", "["} & set(member)
            complaints.tell(index, member if is_direct else flaw.path or None, flaw.reason)
    frame = read([value.content for value in values], complaints)
    for index, name, reason in complaints:
        problems.tell(f"{first}[{offset + index}]{_path(name)}", reason)
    places = frame.select(pl.format("{}[{}]", pl.lit(first), pl.col(ENTRY) + offset)).to_series()
    return _piece(frame, places, complaints.good(len(values)))


def line_proxies(
    frame: pl.DataFrame, lines: Sequence[int], complaints: Complaints, problems: Problems, *, unit: str = "line"
) -> bytes:
    """A piece with the proxies of some lines.

    Args:
        frame: The proxies.
        lines: The line that each entry begins in, from 1.
        complaints: About the entries.
        problems: Where problems are told.
        unit: What they are called in places: ``"line"``, or ``"row"``.
    """
    for index, name, reason in complaints:
        problems.tell(f"{unit} {lines[index]}" + (f", column {name}" if name else ""), reason)
    numbers = pl.Series(lines, dtype=pl.Int64).gather(frame[ENTRY])
    places = numbers.to_frame("line").select(pl.format(f"{unit} {{}}", "line")).to_series()
    return _piece(frame, places, complaints.good(len(lines)))


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """A frame with one proxy for each entry."""
    return frame.with_row_index(ENTRY)


def _piece(frame: pl.DataFrame, places: pl.Series, good: pl.Series) -> bytes:
    frame = frame.with_columns(places.alias("place")).filter(good.gather(frame[ENTRY]))
    return frame_piece(frame.drop(ENTRY))


def _path(name: str | None) -> str:
    if not name:
        return ""
    return name if name[0] in ".[" else step(name)

"""A log in parts, each of them a range of its rows: ``{"start": 0, "stop": 100}``."""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from tailrace import Partition, RequestError, SourceError
from tailrace_source_analytics.log import Log


def partitions_of(log: Log, most: int) -> list[Partition]:
    """Parts of about equal size; none where the log has no rows, or cannot be read in parts.

    Args:
        log: The whole log.
        most: How many parts at most.
    """
    if log.bounds is None:
        return []
    bounds = log.bounds()
    total = bounds[-1]
    most = min(most, total)
    inner = {bounds[bisect_left(bounds, total * part // most)] for part in range(1, most)}
    return [
        Partition({"start": start, "stop": stop}, rows=stop - start)
        for start, stop in pairwise(sorted({0, total, *inner}))
    ]


def part_of(log: Log, token: Mapping[str, Any]) -> Log:
    """The part of a log that a token names.

    Raises:
        RequestError: The token is none of this source's, or the log cannot be read in parts.
        SourceError: The log has changed since it was split.
    """
    if log.part is None:
        message = f"{log.place} is a database's, and not read in parts."
        raise RequestError(message, hint="Export it as a whole.")
    start, stop = _range(token)
    return log.part(range(start, stop))


def changed(place: str) -> SourceError:
    """What to say where a part is not there any more as it was."""
    return SourceError(
        f"{place} has changed since it was split into parts.", hint="Split it again, and export all parts."
    )


def _range(token: Mapping[str, Any]) -> tuple[int, int]:
    if isinstance(token, Mapping) and set(token) == {"start", "stop"}:
        start, stop = token["start"], token["stop"]
        if type(start) is int and type(stop) is int and 0 <= start < stop:
            return start, stop
    message = "The partition asked for is none of the source analytics."
    raise RequestError(message, hint="Hand over the token of a partition as the source gave it.")

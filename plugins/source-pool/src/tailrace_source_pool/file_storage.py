"""The JSON that ProxyWhirl's FileStorage writes: an array with one object per proxy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import polars as pl

from tailrace import SourceError
from tailrace_source_pool import strict_json
from tailrace_source_pool.address import take_apart
from tailrace_source_pool.protection import StoredPool
from tailrace_source_pool.times import UTC_MICROSECONDS, read_times
from tailrace_source_pool.unreadable import Unreadable

MAX_DEPTH = 64
"""How deeply tags and metadata may be nested."""

_LABELS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


@attrs.frozen
class _Field:
    """A member of a proxy's object: its name there, its name here, and what it may hold besides null."""

    name: str
    column: str
    dtype: pl.DataType


_TEXT, _WHOLE, _NUMBER, _FLAG, _TIME = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean(), UTC_MICROSECONDS
_TYPES: Mapping[pl.DataType, tuple[type, ...]] = {
    _TEXT: (str,),
    _WHOLE: (int,),
    _NUMBER: (int, float),
    _FLAG: (bool,),
    _TIME: (str,),
}
_LOGIN = ("url", "username", "password")
_FIELDS = tuple(
    _Field(name, column or name, dtype)
    for name, column, dtype in (
        ("protocol", "", _TEXT),
        ("id", "", _TEXT),
        ("allow_local", "", _FLAG),
        ("country_code", "", _TEXT),
        ("region", "", _TEXT),
        ("source", "", _TEXT),
        ("source_url", "", _TEXT),
        ("created_at", "discovered_at", _TIME),
        ("health_status", "", _TEXT),
        ("last_success_at", "", _TIME),
        ("last_failure_at", "", _TIME),
        ("last_health_check", "last_check_at", _TIME),
        ("next_check_time", "", _TIME),
        ("consecutive_successes", "", _WHOLE),
        ("consecutive_failures", "", _WHOLE),
        ("total_checks", "", _WHOLE),
        ("total_health_failures", "", _WHOLE),
        ("recovery_attempt", "", _WHOLE),
        ("last_health_error", "", _TEXT),
        ("requests_started", "", _WHOLE),
        ("requests_completed", "", _WHOLE),
        ("requests_active", "", _WHOLE),
        ("total_requests", "requests_total", _WHOLE),
        ("total_successes", "requests_succeeded", _WHOLE),
        ("total_failures", "requests_failed", _WHOLE),
        ("average_response_time_ms", "avg_response_time_ms", _NUMBER),
        ("latency_ms", "", _NUMBER),
        ("ema_response_time_ms", "", _NUMBER),
        ("ema_alpha", "", _NUMBER),
        ("window_start", "", _TIME),
        ("window_duration_seconds", "", _WHOLE),
        ("ttl", "", _WHOLE),
        ("expires_at", "", _TIME),
        ("cost_per_request", "", _NUMBER),
        ("updated_at", "", _TIME),
    )
)
_DOCUMENTS: Mapping[str, type] = {"tags": list, "metadata": dict}
_KNOWN = frozenset([*_LOGIN, *(field.name for field in _FIELDS), *_DOCUMENTS])


def read_entries(text: str, path: Path) -> list[object]:
    """The entries of the array.

    Raises:
        SourceError: Not JSON, or JSON of another shape.
    """
    try:
        document = strict_json.parse(text)
    except strict_json.JsonError as error:
        reason = str(error)
    else:
        if isinstance(document, list):
            return document
        hint = "Expected: the array of proxies that ProxyWhirl's FileStorage writes."
        if isinstance(document, dict) and {"manifest", "proxies"} <= document.keys():
            hint = "It is an export made by Tailrace, not a pool. " + hint
        message = f"{path} holds JSON of another shape: {_LABELS[type(document)]} instead of an array."
        raise SourceError(message, hint=hint)
    message = f"{path} is not valid JSON: {reason}."
    raise SourceError(message, hint="Expected: the array of proxies that ProxyWhirl's FileStorage writes.")


def read_pool(entries: Sequence[object], unreadable: Unreadable) -> StoredPool:
    """Read the proxies, in the order of the file.

    Raises:
        BadRowError: An entry that is not a proxy: not an object, no address, a value of the wrong type.
    """
    rows = pl.int_range(1, len(entries) + 1, dtype=pl.Int64, eager=True)
    problems = _Problems(len(entries))
    proxies: list[dict[str, Any]] = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            problems.tell(index, None, f"it is {_LABELS[type(entry)]} instead of an object")
        proxies.append(entry if isinstance(entry, dict) else {})
    logins = pl.DataFrame({name: _column(proxies, name, _TEXT, problems) for name in _LOGIN})
    facts = pl.DataFrame({field.column: _column(proxies, field.name, field.dtype, problems) for field in _FIELDS})
    documents = {name: _documents(proxies, name, wanted, problems) for name, wanted in _DOCUMENTS.items()}
    extra = [{name: proxy[name] for name in proxy if name not in _KNOWN} or None for proxy in proxies]
    for index, values in enumerate(zip(*documents.values(), extra, strict=True)):
        for name, value in zip((*documents, None), values, strict=True):
            if value and strict_json.depth(value) > MAX_DEPTH:
                problems.tell(index, name, f"it is nested more than {MAX_DEPTH} deep")
    address = take_apart(logins["url"])
    for index in logins["url"].is_null().arg_true():
        problems.tell(index, "url", "it is missing")
    for index in address["reason"].is_not_null().arg_true():
        problems.tell(index, "url", address["reason"][index])
    good = unreadable.leave_out(rows, *problems.found())
    kept = good.to_list()
    return StoredPool(
        logins,
        address,
        good.arg_true(),
        facts.filter(good),
        {
            "tags": [_sorted(value) for value, keep in zip(documents["tags"], kept, strict=True) if keep],
            "metadata": [value for value, keep in zip(documents["metadata"], kept, strict=True) if keep],
            "extra": [value for value, keep in zip(extra, kept, strict=True) if keep],
        },
    )


class _Problems:
    """The first problem of each entry."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._first: dict[int, tuple[str | None, str]] = {}

    def tell(self, index: int, column: str | None, reason: str) -> None:
        self._first.setdefault(index, (column, reason))

    def found(self) -> tuple[pl.Series, pl.Series]:
        """Column and reason for each entry, null where it is fine."""
        names: list[str | None] = [None] * self._entries
        reasons: list[str | None] = [None] * self._entries
        for index, (name, reason) in self._first.items():
            names[index], reasons[index] = name, reason
        return pl.Series(names, dtype=pl.String), pl.Series(reasons, dtype=pl.String)


def _column(proxies: list[dict[str, Any]], name: str, dtype: pl.DataType, problems: _Problems) -> pl.Series:
    """One member of all proxies, as a series; what does not fit is told and left null."""
    values = [proxy.get(name) for proxy in proxies]
    allowed = (*_TYPES[dtype], type(None))
    if not set(map(type, values)).issubset(allowed):
        expected = _LABELS[_TYPES[dtype][-1]]
        for index, value in enumerate(values):
            if type(value) not in allowed:
                problems.tell(index, name, f"expected {expected}, got {_LABELS[type(value)]}")
                values[index] = None
    stored = pl.String() if dtype == _TIME else dtype
    try:
        series = pl.Series(values, dtype=stored)
    except (OverflowError, TypeError):
        # Too rare to look for before: a whole number beyond 64 bits.
        for index, value in enumerate(values):
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                problems.tell(index, name, "it is too large")
                values[index] = None
        series = pl.Series(values, dtype=stored)
    if dtype != _TIME:
        return series
    times = read_times(series)
    for index in (times.is_null() & series.is_not_null()).arg_true():
        problems.tell(index, name, "it is not a time such as 2026-08-15T00:24:09.297504Z")
    return times


def _documents(proxies: list[dict[str, Any]], name: str, wanted: type, problems: _Problems) -> list[object]:
    values = [proxy.get(name) for proxy in proxies]
    for index, value in enumerate(values):
        if value is not None and type(value) is not wanted:
            problems.tell(index, name, f"expected {_LABELS[wanted]}, got {_LABELS[type(value)]}")
            values[index] = None
    return values


def _sorted(tags: object) -> object:
    """Tags in a fixed order: they are a set, and ProxyWhirl writes them in an order that changes from run to run."""
    return sorted(tags) if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) else tags

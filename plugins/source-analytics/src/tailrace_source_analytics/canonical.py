"""The columns of a request log, and what others may mean by their names."""

import re
from collections.abc import Mapping

import polars as pl

from tailrace import Column, Meaning
from tailrace_source_analytics.log import is_text

CANONICAL: Mapping[str, Column] = {
    column.name: column
    for column in (
        Column("timestamp", Meaning.TIMESTAMP, description="When the request was made."),
        Column("proxy_source", Meaning.CATEGORY, description="Where the proxy came from that was used."),
        Column("endpoint", Meaning.URL, description="What was asked for."),
        Column("http_method", Meaning.CATEGORY, description="Method of the request."),
        Column("success", Meaning.FLAG, description="Whether the request succeeded."),
        Column("response_time_ms", Meaning.MEASURE, "ms", "Time until the response was there."),
        Column("http_status", Meaning.CATEGORY, description="Status of the response."),
        Column("bytes_transferred", Meaning.MEASURE, "B", "Bytes transferred."),
        Column("error_code", Meaning.CATEGORY, description="What went wrong, if anything did."),
        Column("cost", Meaning.MEASURE, description="What the request cost."),
    )
}
"""The columns of ProxyWhirl's ``analytics_usage``."""

TYPES: Mapping[str, pl.DataType] = {
    "proxy_source": pl.String(),
    "endpoint": pl.String(),
    "http_method": pl.String(),
    "success": pl.Boolean(),
    "response_time_ms": pl.Float64(),
    "http_status": pl.Int64(),
    "bytes_transferred": pl.Int64(),
    "error_code": pl.String(),
    "cost": pl.Float64(),
}
"""What the canonical columns become where they are of an odd type; ``timestamp`` is read by :mod:`.times`."""

_TIME_NAMES = frozenset(
    [
        "timestamp",
        "@timestamp",
        "time",
        "datetime",
        "date_time",
        "date",
        "ts",
        "t",
        "event_time",
        "request_time",
        "requested_at",
        "validated_at",
        "checked_at",
        "created_at",
        "logged_at",
        "occurred_at",
        "at",
        "when",
        "started_at",
        "start_time",
        "epoch",
    ]
)
_URL = re.compile(r"(^|_)(url|uri|endpoint|proxy|referr?er|href|link)s?($|_)")
_KEY = re.compile(r"id|uuid|\w+_id")
_CATEGORY = re.compile(r"(^|_)(type|status|code|result|method|source|country|kind)$")
_UNITS = {"ms": "ms", "us": "us", "seconds": "s", "sec": "s", "s": "s", "bytes": "B", "b": "B"}


def may_be_time(name: str, dtype: pl.DataType, declared: str = "") -> bool:
    """Whether a column can be the time of the request, by its type or its name."""
    if isinstance(dtype, pl.Datetime) or re.search(r"date|time(?!out)", declared, re.IGNORECASE):
        return dtype != pl.Boolean
    fits = dtype.is_numeric() or is_text(dtype) or dtype == pl.Date
    return fits and name.lower() in _TIME_NAMES


def looks_like_log(columns: Mapping[str, str]) -> bool:
    """Whether a table is a request log: something happened at a time, and something was measured.

    Args:
        columns: Declared types by name.
    """
    names = {name.lower() for name in columns}
    timed = any(may_be_time(name, pl.String(), declared) for name, declared in columns.items())
    measured = names & {"success", "is_valid", "response_time_ms", "http_status", "status_code", "bytes_transferred"}
    return timed and bool(measured)


def guess(name: str, dtype: pl.DataType) -> Column:
    """What a column means that is not canonical."""
    lowered = name.lower()
    if isinstance(dtype, pl.Datetime) or dtype == pl.Date:
        meaning = Meaning.TIMESTAMP
    elif dtype == pl.Boolean:
        meaning = Meaning.FLAG
    elif _URL.search(lowered):
        meaning = Meaning.URL
    elif _KEY.fullmatch(lowered):
        meaning = Meaning.KEY
    elif dtype.is_numeric():
        meaning = Meaning.MEASURE
    elif isinstance(dtype, pl.Categorical | pl.Enum) or _CATEGORY.search(lowered):
        meaning = Meaning.CATEGORY
    else:
        meaning = Meaning.TEXT
    before, _underscore, last = lowered.rpartition("_")
    unit = _UNITS.get(last, "") if before and meaning == Meaning.MEASURE else ""
    return Column(name, meaning, unit)

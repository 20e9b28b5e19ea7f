"""What the columns of a pool may hold, and looking whether they do."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from tailrace_source_pool import strict_json
from tailrace_source_pool.address import MAX_HOST, SCHEMES, hosts
from tailrace_source_pool.columns import AUTH_TYPES, HEALTH_STATES, ORIGINS
from tailrace_source_pool.file_storage import MAX_DEPTH
from tailrace_source_pool.members import FLAG, LABELS, NUMBER, TEXT, TIME, WHOLE, Complaints

ENTRY = "entry"
"""Column that says which entry of a file a proxy comes from, from 0 in each batch."""

TYPES: Mapping[str, pl.DataType] = {
    "number": WHOLE,
    "url": TEXT,
    "protocol": TEXT,
    "host": TEXT,
    "port": WHOLE,
    "auth_type": TEXT,
    "has_credentials": FLAG,
    "username": TEXT,
    "password": TEXT,
    "credentials_in": TEXT,
    "stored_url": TEXT,
    "id": TEXT,
    "allow_local": FLAG,
    "country_code": TEXT,
    "country_name": TEXT,
    "region": TEXT,
    "city": TEXT,
    "latitude": NUMBER,
    "longitude": NUMBER,
    "asn": WHOLE,
    "isp_name": TEXT,
    "is_residential": FLAG,
    "is_datacenter": FLAG,
    "source": TEXT,
    "source_url": TEXT,
    "discovered_at": TIME,
    "health_status": TEXT,
    "last_success_at": TIME,
    "last_failure_at": TIME,
    "last_check_at": TIME,
    "consecutive_successes": WHOLE,
    "consecutive_failures": WHOLE,
    "total_checks": WHOLE,
    "total_successes": WHOLE,
    "total_health_failures": WHOLE,
    "avg_response_time_ms": NUMBER,
    "success_rate_7d": NUMBER,
    "updated_at": TIME,
    "requests_started": WHOLE,
    "requests_completed": WHOLE,
    "requests_active": WHOLE,
    "requests_total": WHOLE,
    "requests_succeeded": WHOLE,
    "requests_failed": WHOLE,
    "latency_ms": NUMBER,
    "ema_response_time_ms": NUMBER,
    "ema_alpha": NUMBER,
    "window_start": TIME,
    "window_duration_seconds": WHOLE,
    "recovery_attempt": WHOLE,
    "next_check_time": TIME,
    "last_health_error": TEXT,
    "tags": TEXT,
    "metadata": TEXT,
    "ttl": WHOLE,
    "expires_at": TIME,
    "cost_per_request": NUMBER,
    "extra": TEXT,
}
"""The columns of the table ``proxies``, in the order of ``docs/reference/pool.md``."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "number": (1, 2**63 - 1),
    "port": (1, 65535),
    "latitude": (-90, 90),
    "longitude": (-180, 180),
    "success_rate_7d": (0, 1),
    "ema_alpha": (0, 1),
}
"""Least and most; every other number is at least 0."""
_WORDS: Mapping[str, tuple[str, ...]] = {
    "protocol": SCHEMES,
    "auth_type": ("none", *sorted({*AUTH_TYPES.values(), "userpass"})),
    "credentials_in": ("columns", "url", "both"),
    "source": ORIGINS,
    "health_status": HEALTH_STATES,
}
_DOCUMENTS: Mapping[str, type] = {"tags": list, "metadata": dict, "extra": dict}
_HOST = r"^[\p{L}\p{M}\p{N}._:%-]+$"
_PARTS = frozenset({"protocol", "host", "port"})
SEALED = "sealed:"
"""What every sealed value begins with, whatever its version."""


def checked(frame: pl.DataFrame, complaints: Complaints, *, host_in: str = "host") -> None:
    """Tell every value that its column may not hold; values that are sealed are left for whoever opens them.

    Args:
        frame: Proxies by the names and types of :data:`TYPES`, with :data:`ENTRY`.
        complaints: Where it is told, by entry.
        host_in: The member of an entry that has the host.
    """
    for name in frame.columns:
        if name == ENTRY:
            continue
        column = frame[name]
        if column.dtype == TEXT:
            _tell(frame, column.str.contains("\0", literal=True), name, "it holds a NUL character", complaints)
            column = column.zip_with(~column.str.starts_with(SEALED), pl.Series([None], dtype=TEXT))
        if name in _WORDS:
            reason = f"expected one of {', '.join(_WORDS[name])}"
            _tell(frame, ~column.is_in(_WORDS[name]), name, reason, complaints)
        elif column.dtype in {WHOLE, NUMBER}:
            least, most = _RANGES.get(name, (0, None))
            reason = (
                f"it is not between {least} and {most}" if name in _RANGES and name != "number" else "it is too small"
            )
            _tell(frame, ~column.is_between(least, float("inf") if most is None else most), name, reason, complaints)
        elif name in _DOCUMENTS:
            _tell_where(frame, column, name, _document_reason(_DOCUMENTS[name]), complaints)
    if "host" in frame.columns:
        named = frame["host"].zip_with(~frame["host"].str.starts_with(SEALED), pl.Series([None], dtype=TEXT))
        reason = "it is not a host" if host_in == "host" else "its host is not an address"
        _tell(frame, ~are_hosts(named), host_in, reason, complaints)


def are_hosts(texts: pl.Series) -> pl.Series:
    """Which of these are host names or addresses, IPv6 without brackets; null for null."""
    bracketed = texts.zip_with(~texts.str.contains(":", literal=True), "[" + texts + "]")
    shaped = texts.str.contains(_HOST) & (texts.str.len_bytes() <= MAX_HOST)
    # hosts() has null for what is none.
    return (shaped & hosts(bracketed).is_not_null()).zip_with(texts.is_not_null(), pl.Series([None], dtype=FLAG))


def _document_reason(wanted: type) -> Callable[[str], str | None]:
    def reason(text: str) -> str | None:
        try:
            value: Any = strict_json.parse(text)
        except strict_json.JsonError as error:
            return f"it is not JSON: {error}"
        if type(value) is not wanted:
            return f"expected {LABELS[wanted]} as JSON, got {LABELS[type(value)]}"
        return f"it is nested more than {MAX_DEPTH} deep" if strict_json.depth(value) > MAX_DEPTH else None

    return reason


def _tell_where(
    frame: pl.DataFrame, column: pl.Series, name: str, reason: Callable[[str], str | None], complaints: Complaints
) -> None:
    """Tell what a function says of each value; it is asked once for equal ones."""
    reasons = {text: told for text in column.drop_nulls().unique() if (told := reason(text)) is not None}
    if reasons:
        for entry, text in zip(frame[ENTRY], column, strict=True):
            if text in reasons:
                complaints.tell(entry, name, reasons[text])


def _tell(frame: pl.DataFrame, wrong: pl.Series, name: str, reason: str, complaints: Complaints) -> None:
    if wrong.any():
        for entry in frame[ENTRY].filter(wrong.fill_null(value=False)):
            # What is no URL has no parts to complain about.
            if name not in _PARTS or not complaints.about(entry, "url"):
                complaints.tell(entry, name, reason)

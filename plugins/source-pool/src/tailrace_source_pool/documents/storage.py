"""Entries of ProxyWhirl's FileStorage as proxies."""

import json
from collections.abc import Sequence
from typing import Any

import polars as pl

from tailrace_source_pool import file_storage
from tailrace_source_pool.documents.entries import numbered
from tailrace_source_pool.documents.rules import ENTRY, TYPES, checked
from tailrace_source_pool.members import TEXT, Complaints
from tailrace_source_pool.targets.login_places import taken_apart

_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def read(entries: Sequence[Any], complaints: Complaints) -> pl.DataFrame:
    """Read entries; an entry is a proxy."""
    columns = file_storage.read_columns(entries, complaints)
    frame = taken_apart(columns.logins)
    # ProxyWhirl may know the protocol better than the URL says.
    protocol = columns.facts["protocol"]
    frame = numbered(frame).with_columns(protocol.zip_with(protocol.is_not_null(), frame["protocol"]))
    complaints.tell_all(frame["port"].is_null() & columns.address["reason"].is_null(), "url", "its port is missing")
    frame = frame.with_columns(
        *columns.facts.drop("protocol"),
        *(_as_json(values).alias(name) for name, values in columns.documents.items()),
    )
    checked(frame, complaints, host_in="url")
    return frame.select(ENTRY, *(name for name in TYPES if name in frame.columns))


def _as_json(values: Sequence[object]) -> pl.Series:
    return pl.Series([None if value is None else _COMPACT.encode(value) for value in values], dtype=TEXT)

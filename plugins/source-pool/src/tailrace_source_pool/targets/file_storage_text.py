"""Proxies as the JSON objects that ProxyWhirl's FileStorage writes.

Source of members and their defaults: ``Proxy`` in ``proxywhirl/models/core.py``.
"""

import json
import re
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import polars as pl

from tailrace import iso_text
from tailrace_source_pool import strict_json
from tailrace_source_pool.file_storage import _FIELDS as FIELDS
from tailrace_source_pool.file_storage import _KNOWN as KNOWN
from tailrace_source_pool.targets.fitting import fitted
from tailrace_source_pool.targets.login_places import LOGIN_COLUMNS, put_together, text_column
from tailrace_source_pool.times import UTC_MICROSECONDS

_ZEROS = (
    "requests_started",
    "requests_completed",
    "requests_active",
    "total_requests",
    "total_successes",
    "total_failures",
    "consecutive_failures",
    "consecutive_successes",
    "recovery_attempt",
    "total_checks",
    "total_health_failures",
)
_DEFAULTS: Mapping[str, Any] = {
    "allow_local": False,
    "health_status": "unknown",
    "ema_alpha": 0.2,
    "window_duration_seconds": 3600,
    "source": "user",
    **dict.fromkeys(_ZEROS, 0),
}
"""What ProxyWhirl assumes where nothing is said; null is not possible there."""
_DEFAULTS_UNLESS_SAID: Mapping[str, Any] = {"cost_per_request": 0.0}
"""Likewise, and null is possible."""
_DEFAULT_MOMENTS = ("created_at", "updated_at")
_DOCUMENTS = {"tags": "[]", "metadata": "{}"}
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    **{field.column: (field.name,) for field in FIELDS},
    **{name: (name,) for name in _DOCUMENTS},
    **dict.fromkeys(LOGIN_COLUMNS, ("url", "username", "password")),
}
"""The members that a column is in."""

HOLDS = (
    "url",
    "protocol",
    "host",
    "port",
    "username",
    "password",
    *_MEMBERS.keys() - {"protocol", *LOGIN_COLUMNS},
    "extra",
)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


def with_ids(frame: pl.DataFrame, taken: Collection[str]) -> pl.DataFrame:
    """Give an ``id`` to proxies that have none, or one that is taken."""
    ids = text_column(frame, "id")
    used = ids.is_in(pl.Series(taken, dtype=pl.String).implode()) | ~ids.is_first_distinct()
    free = ids.is_not_null() & ~used.fill_null(value=True)
    fresh = pl.Series("id", [str(uuid4()) for _ in range(frame.height)], dtype=pl.String)
    return frame.with_columns(ids.zip_with(free, fresh).alias("id"))


def objects(frame: pl.DataFrame, moment: datetime) -> pl.Series:
    """Each proxy as the text of a JSON object with all members that ProxyWhirl writes, in ASCII.

    Args:
        frame: Proxies that :func:`~tailrace_source_pool.targets.rules.file_storage_refusals` does not refuse.
        moment: When they are said to be made and changed, where the frame does not say.

    Raises:
        RequestError: A value that does not fit.
    """
    documents = [text_column(frame, name).fill_null(empty) for name, empty in _DOCUMENTS.items()]
    texts = (
        _logins(frame)
        .hstack(_facts(frame, moment))
        .select(plain=pl.struct(pl.all()).struct.json_encode().str.strip_suffix("}"))
        .hstack([*documents, _further(text_column(frame, "extra"))])
        .select(
            pl.concat_str(
                "plain", pl.lit(',"tags":'), "tags", pl.lit(',"metadata":'), "metadata", "further", pl.lit("}")
            )
        )
        .to_series()
    )
    unusual = texts.filter(texts.str.contains(r"[^\x00-\x7f]"))
    return texts.replace(unusual, pl.Series([_in_ascii(text) for text in unusual], dtype=pl.String))


def changed(entry: str, proxy: str, columns: Collection[str]) -> str:
    """The text of an entry with some of its members changed; all others stay, also unknown ones.

    Args:
        entry: The entry as it is.
        proxy: The same proxy as it shall be, in the form of :func:`objects`.
        columns: What is to be changed.
    """
    members, wanted = strict_json.parse(entry), strict_json.parse(proxy)
    for name in {name for column in columns for name in _MEMBERS.get(column, ())}:
        members[name] = wanted[name]
    if "extra" in columns:
        members = {name: value for name, value in members.items() if name in KNOWN}
        members |= {name: value for name, value in wanted.items() if name not in KNOWN}
    return json.dumps(members)


def _logins(frame: pl.DataFrame) -> pl.DataFrame:
    # ProxyWhirl wants both halves of a login or none: an empty one stands for one that is missing.
    whole = pl.when(pl.any_horizontal(pl.col("username", "password").is_not_null())).then(pl.lit(""))
    return put_together(frame).with_columns(pl.col("username", "password").fill_null(whole))


def _facts(frame: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    members: list[pl.Series] = []
    for field in FIELDS:
        column = fitted(frame, field.column, field.dtype)
        if field.name in _DEFAULTS:
            column = column.fill_null(_DEFAULTS[field.name])
        elif field.name in _DEFAULTS_UNLESS_SAID and field.column not in frame.columns:
            column = column.fill_null(_DEFAULTS_UNLESS_SAID[field.name])
        elif field.name in _DEFAULT_MOMENTS:
            column = column.fill_null(moment)
        if field.dtype == UTC_MICROSECONDS:
            column = column.to_frame("time").select(iso_text(pl.col("time"), UTC_MICROSECONDS)).to_series()
        members.append(column.alias(field.name))
    return pl.DataFrame(members)


def _further(extra: pl.Series) -> pl.Series:
    """Members that ProxyWhirl does not know, to be put behind others: ``,"name":value``; never one that it knows."""
    given = extra.drop_nulls().unique()
    texts = []
    for text in given:
        members = {name: value for name, value in strict_json.parse(text).items() if name not in KNOWN}
        texts.append(f",{json.dumps(members)[1:-1]}" if members else "")
    return extra.replace(given, pl.Series(texts, dtype=pl.String)).fill_null("").alias("further")


def _in_ascii(text: str) -> str:
    """As ProxyWhirl writes: it reads the file in the encoding of the machine, which may be any."""
    return _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)

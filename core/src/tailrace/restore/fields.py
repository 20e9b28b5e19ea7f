"""What the columns of a pool are to an import: their types, and what becomes of them when two records are merged."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs
import polars as pl

from tailrace.model.errors import PluginContractError

MOMENT: Final = pl.Datetime("us", "UTC")


class Rule(StrEnum):
    """How two values of one column become one; a value always wins over none."""

    KEPT = "kept"
    """The pool's, whatever it is; inside a file, that of the first record that has one."""
    NEWEST = "newest"
    """That of the newer record: by ``updated_at``, then ``last_check_at``; of two equally new ones, the pool's."""
    LARGER = "larger"
    LATER = "later"
    EARLIER = "earlier"
    UNION = "union"
    """A JSON list with the items of both, sorted."""
    MEMBERS = "members"
    """A JSON object with the members of both; of a member that both have, the newer record's."""


@attrs.frozen
class Field:
    """A column of a pool.

    Args:
        dtype: Its type.
        rule: What becomes of it in a merge.
        shown: Whether plans show its values. What people, lists and servers write freely may quote a login: of such
            texts a plan says only that they change.
        words: The only texts that are shown, as a pattern; others in that column are treated like free texts.
    """

    dtype: pl.DataType
    rule: Rule = Rule.NEWEST
    shown: bool = True
    words: str = ""


_TEXT, _WHOLE, _NUMBER, _FLAG = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean()

FIELDS: Final[Mapping[str, Field]] = {
    # What a proxy is, and how the pool stores it.
    "protocol": Field(_TEXT, Rule.KEPT),
    "host": Field(_TEXT, Rule.KEPT),
    "port": Field(_WHOLE, Rule.KEPT),
    "username": Field(_TEXT, Rule.KEPT, shown=False),
    "password": Field(_TEXT, Rule.KEPT, shown=False),
    "stored_url": Field(_TEXT, Rule.KEPT, shown=False),
    "credentials_in": Field(_TEXT, Rule.KEPT, shown=False),
    "id": Field(_TEXT, Rule.KEPT, shown=False),
    # What it is like.
    "allow_local": Field(_FLAG),
    "country_code": Field(_TEXT, words="[A-Z]{2}"),
    "country_name": Field(_TEXT, shown=False),
    "region": Field(_TEXT, shown=False),
    "city": Field(_TEXT, shown=False),
    "latitude": Field(_NUMBER),
    "longitude": Field(_NUMBER),
    "asn": Field(_WHOLE),
    "isp_name": Field(_TEXT, shown=False),
    "is_residential": Field(_FLAG),
    "is_datacenter": Field(_FLAG),
    "source": Field(_TEXT, words="user|fetched|api|file"),
    "source_url": Field(_TEXT, shown=False),
    "ttl": Field(_WHOLE),
    "expires_at": Field(MOMENT),
    "cost_per_request": Field(_NUMBER),
    # How it does: of the newer record.
    "health_status": Field(_TEXT, words="unknown|healthy|degraded|unhealthy|dead"),
    "consecutive_successes": Field(_WHOLE),
    "consecutive_failures": Field(_WHOLE),
    "recovery_attempt": Field(_WHOLE),
    "avg_response_time_ms": Field(_NUMBER),
    "latency_ms": Field(_NUMBER),
    "ema_response_time_ms": Field(_NUMBER),
    "ema_alpha": Field(_NUMBER),
    "success_rate_7d": Field(_NUMBER),
    "window_start": Field(MOMENT),
    "window_duration_seconds": Field(_WHOLE),
    "next_check_time": Field(MOMENT),
    "last_health_error": Field(_TEXT, shown=False),
    "requests_active": Field(_WHOLE),
    # What only grows.
    "total_checks": Field(_WHOLE, Rule.LARGER),
    "total_successes": Field(_WHOLE, Rule.LARGER),
    "total_health_failures": Field(_WHOLE, Rule.LARGER),
    "requests_started": Field(_WHOLE, Rule.LARGER),
    "requests_completed": Field(_WHOLE, Rule.LARGER),
    "requests_total": Field(_WHOLE, Rule.LARGER),
    "requests_succeeded": Field(_WHOLE, Rule.LARGER),
    "requests_failed": Field(_WHOLE, Rule.LARGER),
    # When.
    "last_success_at": Field(MOMENT, Rule.LATER),
    "last_failure_at": Field(MOMENT, Rule.LATER),
    "last_check_at": Field(MOMENT, Rule.LATER),
    "updated_at": Field(MOMENT, Rule.LATER),
    "discovered_at": Field(MOMENT, Rule.EARLIER),
    # Documents.
    "tags": Field(_TEXT, Rule.UNION, shown=False),
    "metadata": Field(_TEXT, Rule.MEMBERS, shown=False),
    "extra": Field(_TEXT, Rule.MEMBERS, shown=False),
}
"""The columns known, and the one table of the rules of a merge; ``docs/reference/imports.md`` says them to people."""

IDENTITY: Final = ("protocol", "host", "port", "username", "password")
"""What makes two records the same proxy."""
STORAGE: Final = ("stored_url", "credentials_in")
"""How a pool stores a login."""
SETTLED: Final = frozenset({*IDENTITY, *STORAGE, "id"})
"""What a new entry gets from the file, and what is never changed in one that is there, not even where it is missing."""
DERIVED: Final = frozenset({"number", "url", "auth_type", "has_credentials", "place", "key", "changed"})
"""Columns that follow from others, or are about a file: never compared or written."""


def field_of(column: str) -> Field:
    """What a column is; one that is not known describes the proxy, in words that plans do not show."""
    return FIELDS.get(column, Field(_TEXT, shown=False))


def typed(frame: pl.DataFrame, *, whose: str) -> pl.DataFrame:
    """The frame with every known column in its type, and all columns that make an identity.

    Args:
        frame: From a file, or a pool.
        whose: Who made it, for the error.

    Raises:
        PluginContractError: A column of another type.
    """
    casts = []
    for name, dtype in frame.schema.items():
        wanted = FIELDS[name].dtype if name in FIELDS else dtype
        if dtype == wanted:
            continue
        if not _fits(dtype, wanted):
            raise PluginContractError(whose, f"{whose} gave the column {name!r} as {dtype} instead of {wanted}.")
        casts.append(pl.col(name).cast(wanted))
    missing = [name for name in IDENTITY if name not in frame.columns]
    return frame.with_columns(*casts, *(pl.lit(None, FIELDS[name].dtype).alias(name) for name in missing))


def _fits(dtype: pl.DataType, wanted: pl.DataType) -> bool:
    if dtype == pl.Null:
        return True
    if isinstance(wanted, pl.Datetime):
        return isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
    if wanted == _NUMBER:
        return dtype.is_numeric()
    if wanted == _WHOLE:
        return dtype.is_integer() and dtype not in {pl.UInt64, pl.Int128, pl.UInt128}
    return wanted == _TEXT and isinstance(dtype, pl.Categorical | pl.Enum)

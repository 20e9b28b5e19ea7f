"""What ProxyWhirl can hold: it refuses other proxies, and one of them in a FileStorage keeps it from loading any.

Source: the validators of ``Proxy`` in ``proxywhirl/models/core.py``. What differs in ProxyWhirl only in how it is
written is no refusal: half a login is one with an empty other half.
"""

import ipaddress
import uuid
from collections.abc import Callable

import polars as pl

from tailrace import RequestError
from tailrace_source_pool import strict_json
from tailrace_source_pool.columns import HEALTH_STATES, ORIGINS
from tailrace_source_pool.targets.login_places import text_column

PROTOCOLS = ("http", "https", "socks4", "socks5")
COUNTERS = (
    "requests_total",
    "requests_succeeded",
    "requests_failed",
    "requests_started",
    "requests_completed",
    "requests_active",
    "consecutive_failures",
    "consecutive_successes",
    "recovery_attempt",
    "total_checks",
    "total_health_failures",
)
MEASURES = ("latency_ms", "avg_response_time_ms", "ema_response_time_ms", "cost_per_request")

_MAX_TTL = 10_000_000_000
"""Seconds, some 300 years: adding much more to a time fails."""
_MAX_URL = 2083
_MAYBE_LOCAL = r"^localhost|^::|:|^(?:0|10|127|169|172|192|198|203|2[2-5]\d)\."
_LOCAL_NAMES = ("localhost", "127.", "::1")


def database_refusals(frame: pl.DataFrame) -> pl.Series:
    """Why ProxyWhirl cannot have these proxies in its database; null for those that it can."""
    return _first_reasons(frame, _of_addresses(frame))


def file_storage_refusals(frame: pl.DataFrame) -> pl.Series:
    """Why ProxyWhirl cannot have these proxies in its FileStorage; null for those that it can."""
    return _first_reasons(
        frame,
        [
            *_of_addresses(frame),
            *_of_words(frame),
            *_of_numbers(frame),
            (_are_local(frame), "its address is a local one, which ProxyWhirl loads only with allow_local"),
            (_are_not_ids(text_column(frame, "id")), "its id is no UUID"),
            (_are_not(frame, "tags", _is_tags), "its tags are no list of texts"),
            (_are_not(frame, "metadata", _is_object), "its metadata is no JSON object"),
            (_are_not(frame, "extra", _is_object), "its extra is no JSON object"),
        ],
    )


def raise_first(reasons: pl.Series) -> None:
    """Raise where there is a reason.

    Raises:
        RequestError: With the first of them, and how many there are.
    """
    count = reasons.len() - reasons.null_count()
    if count:
        raise RequestError(
            f"ProxyWhirl cannot hold {count} of the proxies; the first: {reasons.drop_nulls()[0]}.",
            hint="Leave these proxies out. Nothing was changed.",
        )


_Check = tuple[pl.Series, str]


def _first_reasons(frame: pl.DataFrame, checks: list[_Check]) -> pl.Series:
    reason = pl.Series("reason", [None], dtype=pl.String).new_from_index(0, frame.height)
    for wrong, text in checks:
        told = pl.Series("reason", [text], dtype=pl.String).new_from_index(0, frame.height)
        reason = told.zip_with(wrong.fill_null(value=False) & reason.is_null(), reason)
    return reason


def _of_addresses(frame: pl.DataFrame) -> list[_Check]:
    protocols = text_column(frame, "protocol")
    allowed = ", ".join(PROTOCOLS)
    urls = [text_column(frame, name) for name in ("url", "stored_url")]
    pattern = rf"^(?i:{'|'.join(PROTOCOLS)})://"
    return [
        (urls[0].is_null(), "it has no URL"),
        (~protocols.is_in(PROTOCOLS), f"its protocol is none of {allowed}"),
        *((~url.str.contains(pattern), f"its protocol is none of {allowed}") for url in urls),
    ]


def source_urls_left_out(frame: pl.DataFrame) -> pl.Series:
    """Which proxies have a ``source_url`` that keeps ProxyWhirl from loading the file: they go without it."""
    urls = text_column(frame, "source_url")
    fits = urls.str.contains(r"^(?i:https?)://[^\s/?#]+") & (urls.str.len_chars() <= _MAX_URL)
    return (~fits).fill_null(value=False)


def _of_words(frame: pl.DataFrame) -> list[_Check]:
    return [
        (~text_column(frame, "health_status").is_in(HEALTH_STATES), "its health_status is unknown to ProxyWhirl"),
        (~text_column(frame, "source").is_in(ORIGINS), "its source is unknown to ProxyWhirl"),
    ]


def _of_numbers(frame: pl.DataFrame) -> list[_Check]:
    present = [name for name in (*COUNTERS, *MEASURES) if name in frame.columns]
    negative = [(frame[name].cast(pl.Float64, strict=False) < 0, f"its {name} is negative") for name in present]
    if "ttl" in frame.columns:
        negative.append((frame["ttl"].cast(pl.Int64, strict=False).abs() > _MAX_TTL, "its ttl is beyond any date"))
    return negative


def _are_local(frame: pl.DataFrame) -> pl.Series:
    hosts = text_column(frame, "host").str.to_lowercase()
    suspects = hosts.drop_nulls().unique()
    suspects = suspects.filter(suspects.str.contains(_MAYBE_LOCAL))
    local = hosts.is_in(pl.Series([host for host in suspects if _is_local(host)], dtype=pl.String).implode())
    if "allow_local" in frame.columns:
        local &= ~frame["allow_local"].cast(pl.Boolean, strict=False).fill_null(value=False)
    return local


def _is_local(host: str) -> bool:
    if host.startswith(_LOCAL_NAMES):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback or address.is_reserved or address.is_link_local


def _are_not_ids(ids: pl.Series) -> pl.Series:
    unusual = ids.drop_nulls().filter(
        ~ids.drop_nulls().str.contains(r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
    )
    return ids.is_in(pl.Series([text for text in unusual if not _is_uuid(text)], dtype=pl.String).implode())


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _are_not(frame: pl.DataFrame, name: str, fits: Callable[[object], bool]) -> pl.Series:
    """Whether a column of JSON texts holds something else."""
    texts = text_column(frame, name)
    wrong = [text for text in texts.drop_nulls().unique() if not _holds(text, fits)]
    return texts.is_in(pl.Series(wrong, dtype=pl.String).implode())


def _holds(text: str, fits: Callable[[object], bool]) -> bool:
    try:
        return fits(strict_json.parse(text))
    except strict_json.JsonError:
        return False


def _is_tags(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(tag, str) for tag in value)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)

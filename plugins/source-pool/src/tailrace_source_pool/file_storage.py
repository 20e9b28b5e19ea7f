"""The JSON that ProxyWhirl's FileStorage writes: an array with one object per proxy."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import polars as pl

from tailrace import Context, SourceError
from tailrace_source_pool import strict_json
from tailrace_source_pool.address import take_apart
from tailrace_source_pool.members import FLAG, LABELS, NUMBER, TEXT, TIME, WHOLE, Complaints, column, documents, objects
from tailrace_source_pool.protection import StoredPool
from tailrace_source_pool.unreadable import Unreadable

MAX_DEPTH = 64
"""How deeply tags and metadata may be nested."""
AT_ONCE = 5_000
"""Entries that are Python objects at the same time."""


@attrs.frozen
class _Field:
    """A member of a proxy's object: its name there, its name here, and what it may hold besides null."""

    name: str
    column: str
    dtype: pl.DataType


_LOGIN = ("url", "username", "password")
_FIELDS = tuple(
    _Field(name, column or name, dtype)
    for name, column, dtype in (
        ("protocol", "", TEXT),
        ("id", "", TEXT),
        ("allow_local", "", FLAG),
        ("country_code", "", TEXT),
        ("region", "", TEXT),
        ("source", "", TEXT),
        ("source_url", "", TEXT),
        ("created_at", "discovered_at", TIME),
        ("health_status", "", TEXT),
        ("last_success_at", "", TIME),
        ("last_failure_at", "", TIME),
        ("last_health_check", "last_check_at", TIME),
        ("next_check_time", "", TIME),
        ("consecutive_successes", "", WHOLE),
        ("consecutive_failures", "", WHOLE),
        ("total_checks", "", WHOLE),
        ("total_health_failures", "", WHOLE),
        ("recovery_attempt", "", WHOLE),
        ("last_health_error", "", TEXT),
        ("requests_started", "", WHOLE),
        ("requests_completed", "", WHOLE),
        ("requests_active", "", WHOLE),
        ("total_requests", "requests_total", WHOLE),
        ("total_successes", "requests_succeeded", WHOLE),
        ("total_failures", "requests_failed", WHOLE),
        ("average_response_time_ms", "avg_response_time_ms", NUMBER),
        ("latency_ms", "", NUMBER),
        ("ema_response_time_ms", "", NUMBER),
        ("ema_alpha", "", NUMBER),
        ("window_start", "", TIME),
        ("window_duration_seconds", "", WHOLE),
        ("ttl", "", WHOLE),
        ("expires_at", "", TIME),
        ("cost_per_request", "", NUMBER),
        ("updated_at", "", TIME),
    )
)
FACTS: Mapping[str, pl.DataType] = {field.column: field.dtype for field in _FIELDS}
"""The types of the columns that are neither logins nor documents."""
_DOCUMENTS: Mapping[str, type] = {"tags": list, "metadata": dict}
_KNOWN = frozenset([*_LOGIN, *(field.name for field in _FIELDS), *_DOCUMENTS])


def not_an_array(text: str, path: Path) -> SourceError:
    """What to say about a file that is not the strict JSON array that it should be."""
    hint = "Expected: the array of proxies that ProxyWhirl's FileStorage writes."
    try:
        document = strict_json.parse(text)
    except strict_json.JsonError as error:
        return SourceError(f"{path} is not valid JSON: {error}.", hint=hint)
    if isinstance(document, dict) and {"manifest", "proxies"} <= document.keys():
        hint = "It is an export made by Tailrace, not a pool. " + hint
    message = f"{path} holds JSON of another shape: {LABELS[type(document)]} instead of an array."
    return SourceError(message, hint=hint)


@attrs.frozen(repr=False)
class Columns:
    """The entries of a file, column by column; what is wrong is told in ``complaints`` and left null.

    Args:
        logins: ``url``, ``username``, ``password`` as they are stored.
        address: What :func:`~tailrace_source_pool.address.take_apart` made of ``url``.
        facts: The other members that are known, under our names.
        documents: ``tags`` (sorted, where they are texts), ``metadata``, and ``extra``: all members that are not known.
    """

    logins: pl.DataFrame
    address: pl.DataFrame
    facts: pl.DataFrame
    documents: Mapping[str, Sequence[object]]


def read_columns(entries: Sequence[object], complaints: Complaints) -> Columns:
    """Read the entries, in the order of the file, each as far as it can be."""
    proxies = objects(entries, complaints)
    logins = pl.DataFrame({name: column(proxies, name, TEXT, complaints) for name in _LOGIN})
    facts = pl.DataFrame({field.column: column(proxies, field.name, field.dtype, complaints) for field in _FIELDS})
    values = {name: documents(proxies, name, wanted, complaints) for name, wanted in _DOCUMENTS.items()}
    extra = [{name: proxy[name] for name in proxy if name not in _KNOWN} or None for proxy in proxies]
    for index, several in enumerate(zip(*values.values(), extra, strict=True)):
        for name, value in zip((*values, None), several, strict=True):
            if value and strict_json.depth(value) > MAX_DEPTH:
                complaints.tell(index, name, f"it is nested more than {MAX_DEPTH} deep")
    address = take_apart(logins["url"])
    complaints.tell_all(logins["url"].is_null(), "url", "it is missing")
    for index in address["reason"].is_not_null().arg_true():
        complaints.tell(index, "url", address["reason"][index])
    return Columns(
        logins, address, facts, {**values, "tags": [_sorted(tags) for tags in values["tags"]], "extra": extra}
    )


def read_pool(text: str, path: Path, unreadable: Unreadable, context: Context) -> tuple[StoredPool, int]:
    """Read the proxies, in the order of the file, some thousands at a time.

    Args:
        text: The content of the file.
        path: The file, for messages.
        unreadable: Where entries go that are no proxies.
        context: Checked before each of these thousands.

    Returns:
        The pool, and the number of entries.

    Raises:
        SourceError: Not JSON, or JSON of another shape.
        BadRowError: An entry that is not a proxy: not an object, no address, a value of the wrong type.
    """
    pieces, count = [read_proxies([], unreadable)], 0
    try:
        elements = (element for element, _begin, _end in strict_json.elements(text))
        while entries := list(itertools.islice(elements, AT_ONCE)):
            context.check()
            pieces.append(read_proxies(entries, unreadable, before=count))
            count += len(entries)
        broken = False
    except strict_json.JsonError:
        broken = True
    if broken:
        raise not_an_array(text, path)
    documents: dict[str, list[object]] = {
        name: [value for piece in pieces for value in piece.documents[name]] for name in pieces[0].documents
    }
    pool = StoredPool(
        pl.concat(piece.logins for piece in pieces),
        pl.concat(piece.address for piece in pieces),
        pl.concat(piece.shown for piece in pieces),
        pl.concat(piece.facts for piece in pieces),
        documents,
    )
    return pool, count


def read_proxies(entries: Sequence[object], unreadable: Unreadable, *, before: int = 0) -> StoredPool:
    """Read some entries of a file.

    Args:
        entries: The entries.
        unreadable: Where those go that are no proxies.
        before: How many entries the file has before them.

    Raises:
        BadRowError: An entry that is not a proxy.
    """
    rows = pl.int_range(before + 1, before + len(entries) + 1, dtype=pl.Int64, eager=True)
    complaints = Complaints()
    columns = read_columns(entries, complaints)
    good = unreadable.leave_out(rows, *complaints.first(len(entries)))
    kept = good.to_list()
    return StoredPool(
        columns.logins,
        columns.address,
        good.arg_true() + before,
        columns.facts.filter(good),
        {
            name: [value for value, keep in zip(values, kept, strict=True) if keep]
            for name, values in columns.documents.items()
        },
    )


def _sorted(tags: object) -> object:
    """Tags in a fixed order: they are a set, and ProxyWhirl writes them in an order that changes from run to run."""
    return sorted(tags) if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags) else tags

"""A pool that the application which embeds the engine keeps itself, read like one in a file."""

from collections.abc import Iterator
from contextlib import contextmanager

import polars as pl

from tailrace import BadRows, Dataset, OptionError, PoolTarget, SourceCall
from tailrace_source_pool import strict_json
from tailrace_source_pool.address import take_apart
from tailrace_source_pool.documents.addresses import url_of
from tailrace_source_pool.file_storage import FACTS as STORED
from tailrace_source_pool.members import FLAG, NUMBER, TEXT, WHOLE
from tailrace_source_pool.offering import proxies_table
from tailrace_source_pool.protection import StoredPool, protect
from tailrace_source_pool.unreadable import Unreadable

VERSION = "tailrace-host-pool-1"
"""What manifests say about the kind of pool."""

_LOGIN = ("username", "password", "stored_url", "credentials_in")
_DOCUMENTS = ("tags", "metadata", "extra")
_FACTS = {
    "protocol": TEXT,
    "host": TEXT,
    "port": WHOLE,
    **STORED,
    "country_name": TEXT,
    "city": TEXT,
    "latitude": NUMBER,
    "longitude": NUMBER,
    "asn": WHOLE,
    "isp_name": TEXT,
    "is_residential": FLAG,
    "is_datacenter": FLAG,
    "total_successes": WHOLE,
    "success_rate_7d": NUMBER,
}
"""The columns of ``docs/reference/pool.md`` that a pool holds besides logins and documents, and their types."""
_OURS = frozenset({"key", "number", "url", "auth_type", "has_credentials", "place", *_LOGIN, *_DOCUMENTS})


@contextmanager
def open_host_pool(pool: PoolTarget, call: SourceCall) -> Iterator[Dataset]:
    """Open it: its proxies are asked for once.

    Args:
        pool: The pool.
        call: As for the source.

    Raises:
        OptionError: An option that does not fit.
        BadRowError: A proxy without a proper address, or whose documents are no JSON.
        PluginContractError: The application failed, or gave values of other types.
    """
    if call.options.checks:
        raise OptionError("checks", "only ProxyWhirl's database holds health checks.", hint="Leave it out.")
    frame = pool.read()
    count, bad_rows = frame.height, BadRows()
    stored = _stored(frame, pool, call, Unreadable(call.location, "proxy", _where(bad_rows, call)))
    del frame
    shown = protect(stored, call)
    rows = shown.frame
    table = proxies_table(shown, count_rows=lambda: count, bad_rows=bad_rows, time_column="discovered_at")
    notes = [f"A pool of the application with {rows.height or 'no'} proxies.", *shown.notes]
    yield Dataset(tables=[table], version=VERSION, notes=notes, secrets=shown.secrets)


def _where(bad_rows: BadRows, call: SourceCall) -> BadRows | None:
    return bad_rows if call.options.on_bad_rows == "report" else None


def _stored(frame: pl.DataFrame, pool: PoolTarget, call: SourceCall, unreadable: Unreadable) -> StoredPool:
    """The proxies as they are kept, with every column that such a pool can hold."""
    held = {name: dtype for name, dtype in _FACTS.items() if name in pool.holds or name in frame.columns}
    wanted = {**_FACTS_ALWAYS, **held}
    facts = frame.select(_typed(frame, name, dtype) for name, dtype in wanted.items())
    facts = facts.with_columns(pl.col("protocol").fill_null(call.options.scheme))
    url = _typed(frame, "stored_url", TEXT)
    # A login that stands in the URL only is told twice: there, and in clear for whoever compares.
    in_columns = url.is_null() | _typed(frame, "credentials_in", TEXT).ne_missing(pl.lit("url"))
    logins = frame.select(
        url.alias("url"),
        *(pl.when(in_columns).then(_typed(frame, name, TEXT)).alias(name) for name in ("username", "password")),
    )
    keeps_urls = bool(logins["url"].count())
    logins = logins.with_columns(pl.col("url").fill_null(url_of(facts)))
    address = take_apart(logins["url"])
    documents: dict[str, list[object]] = {}
    reasons = address["reason"]
    for name in _DOCUMENTS:
        if name in pool.holds or name in frame.columns:
            texts = frame.select(_typed(frame, name, TEXT)).to_series()
            documents[name], wrong = _parsed(texts)
            reasons = reasons.zip_with(reasons.is_not_null(), wrong)
    own = [name for name in frame.columns if name not in _FACTS and name not in _OURS]
    if own:
        documents["extra"] = _with_members(documents.get("extra") or [None] * frame.height, frame.select(own))
    numbers = pl.int_range(1, frame.height + 1, dtype=pl.Int64, eager=True)
    good = unreadable.leave_out(numbers, None, reasons)
    kept = good.to_list()
    return StoredPool(
        logins=logins,
        address=address,
        shown=good.arg_true(),
        facts=facts.filter(good),
        documents={
            name: [value for value, keep in zip(values, kept, strict=True) if keep]
            for name, values in documents.items()
        },
        keeps_urls=keeps_urls,
    )


_FACTS_ALWAYS = {name: _FACTS[name] for name in ("protocol", "host", "port", "discovered_at")}


def _typed(frame: pl.DataFrame, name: str, dtype: pl.DataType) -> pl.Expr:
    if name in frame.columns:
        return pl.col(name).cast(dtype)
    return pl.repeat(None, frame.height, dtype=dtype).alias(name)


def _with_members(extra: list[object], own: pl.DataFrame) -> list[object]:
    """What the application has beyond the columns of a pool, as members of the column that is for that."""
    merged: list[object] = []
    for known, row in zip(extra, own.iter_rows(named=True), strict=True):
        more = {name: value for name, value in row.items() if value is not None}
        merged.append(({**more, **(known or {})} or None) if known is None or isinstance(known, dict) else known)
    return merged


def _parsed(texts: pl.Series) -> tuple[list[object], pl.Series]:
    """JSON texts as values, and why some are none."""
    values: list[object] = []
    wrong: list[str | None] = []
    for text in texts:
        try:
            values.append(None if text is None else strict_json.parse(text))
        except strict_json.JsonError:
            values.append(None)
            wrong.append(f"its {texts.name} are not JSON")
        else:
            wrong.append(None)
    return values, pl.Series(wrong, dtype=pl.String)

"""The address of each proxy, from its URL or from its parts, whichever are there."""

import polars as pl

from tailrace_source_pool.address import take_apart
from tailrace_source_pool.documents.rules import ENTRY
from tailrace_source_pool.members import TEXT, WHOLE, Complaints

_PARTS = {"protocol": "scheme", "host": "host", "port": "port"}


def completed(frame: pl.DataFrame, complaints: Complaints) -> pl.DataFrame:
    """Fill in ``url``, ``protocol``, ``host`` and ``port``, each where it is not there, from the others.

    Args:
        frame: Proxies, with :data:`~tailrace_source_pool.documents.rules.ENTRY`.
        complaints: Where it is told what cannot be filled in, and what is no URL.
    """
    stored = frame["url"] if "url" in frame.columns else pl.Series([None], dtype=TEXT).new_from_index(0, frame.height)
    address = take_apart(stored)
    reasons = (
        pl.DataFrame({"url": stored, "login": address["login"], "reason": address["reason"]})
        .select(
            pl.when(pl.col("url").is_null())
            .then(None)
            .when(pl.col("login").is_not_null())
            .then(pl.lit("it holds a login, which does not belong there"))
            .otherwise("reason")
        )
        .to_series()
    )
    entries = frame[ENTRY]
    for row in reasons.is_not_null().arg_true():
        complaints.tell(entries[row], "url", reasons[row])
    parts = []
    for name, part in _PARTS.items():
        found = address[part].alias(name)
        own = frame[name] if name in frame.columns else None
        parts.append(found if own is None else own.zip_with(own.is_not_null(), found))
    whole = frame.with_columns(parts)
    for name in ("protocol", "host", "port"):
        missing = whole[name].is_null() & reasons.is_null()
        for entry in entries.filter(missing):
            complaints.tell(entry, name, "it is missing")
    return whole.with_columns(stored.zip_with(stored.is_not_null(), url_of(whole)).alias("url"))


def url_of(frame: pl.DataFrame) -> pl.Series:
    """``scheme://host:port`` of ``protocol``, ``host`` and ``port``; null where one of them is."""
    host = pl.col("host")
    bracketed = pl.when(host.str.contains(":", literal=True)).then(pl.format("[{}]", host)).otherwise(host)
    return frame.select(
        pl.format("{}://{}:{}", "protocol", bracketed, pl.col("port").cast(WHOLE, strict=False)).alias("url")
    ).to_series()

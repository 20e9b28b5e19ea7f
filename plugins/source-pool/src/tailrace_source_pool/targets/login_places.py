"""Where a pool keeps logins, in columns, in the URL or in both; and the one form in which they travel."""

import polars as pl

from tailrace_source_pool.address import take_apart
from tailrace_source_pool.dialects.percent import encoded
from tailrace_source_pool.logins import Logins

LOGIN_COLUMNS = ("url", "stored_url", "credentials_in", "username", "password")
"""Columns that together say what a pool stores as ``url``, ``username`` and ``password``."""


def taken_apart(stored: pl.DataFrame) -> pl.DataFrame:
    """From what a pool stores to columns of ``docs/reference/pool.md``, logins in clear, by the rules of exports.

    Args:
        stored: ``url``, ``username``, ``password`` as the pool has them, decrypted; every URL is an address.

    Returns:
        ``url``, ``protocol``, ``host``, ``port``, ``username``, ``password``, ``credentials_in``, ``stored_url``.
    """
    address = take_apart(stored["url"])
    logins = Logins.of(stored, address).whole(address["url"])
    return address.select("url", "host", "port", protocol="scheme").hstack(logins)


def put_together(frame: pl.DataFrame) -> pl.DataFrame:
    """The way back: ``url``, ``username`` and ``password`` as a pool stores them, in clear.

    Args:
        frame: Proxies; of :data:`LOGIN_COLUMNS` only ``url`` must be there. Where ``credentials_in`` does not say
            otherwise, a login goes into columns.
    """
    rows = frame.select(text_column(frame, name) for name in LOGIN_COLUMNS)
    place = pl.col("credentials_in").fill_null("columns")
    rows = rows.with_columns(
        url=pl.coalesce("stored_url", pl.when(place.is_in(("url", "both"))).then(_with_logins(rows)), "url")
    )
    in_columns = place != "url"
    return rows.select("url", *(pl.when(in_columns).then(name).alias(name) for name in ("username", "password")))


def text_column(frame: pl.DataFrame, name: str) -> pl.Series:
    """A column of texts, all null where the frame does not have it."""
    if name in frame.columns:
        return frame[name].cast(pl.String)
    return pl.Series(name, [None], dtype=pl.String).new_from_index(0, frame.height)


def _with_logins(rows: pl.DataFrame) -> pl.Series:
    """The URLs with user name and password in them, percent-encoded, where there are any."""
    user, password = (encoded(rows[name]) for name in ("username", "password"))
    login = pl.col("user").fill_null("") + pl.when(pl.col("password").is_not_null()).then(
        pl.lit(":") + pl.col("password")
    ).otherwise(pl.lit(""))
    return (
        pl.DataFrame({"url": rows["url"], "user": user, "password": password})
        .select(
            pl.when(pl.col("user").is_not_null() | pl.col("password").is_not_null())
            .then(pl.col("url").str.extract(r"^([^:]*://)") + login + "@" + pl.col("url").str.replace("^[^:]*://", ""))
            .otherwise("url")
        )
        .to_series()
    )

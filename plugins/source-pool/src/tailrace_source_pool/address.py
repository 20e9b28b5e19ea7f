"""Proxy addresses taken apart: the public part, and what belongs to somebody."""

import ipaddress
from urllib.parse import unquote

import polars as pl

SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")

# Everything before the last @ is a login; see below for one with characters that it should not have.
_LOGIN = r"^([A-Za-z][A-Za-z0-9+.-]*://)?(?s:(.*))@"
_PARTS = (
    r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z_.-]+)?\]|[^\s:/?#@\[\]]+)"
    r"(?::(?P<port>\d{1,5}))?(?P<rest>[/?#]\S*)?$"
)
_MAX_PORT = 65535


def take_apart(urls: pl.Series) -> pl.DataFrame:
    """Take proxy URLs apart.

    Args:
        urls: ``scheme://[user[:password]@]host[:port][/…]``; may be null.

    Returns:
        One row per URL: ``url`` without its login, ``login_user`` and ``login_password`` (percent-decoded; null where
        there is none), ``login`` (as it stood there), ``scheme`` and ``host`` in lower case, the latter without
        brackets, ``port``, ``rest`` (path and query, never null), and ``reason``: why this is not an address, else
        null.
    """
    frame = pl.DataFrame({"raw": urls.cast(pl.String)}).select(
        url=pl.col("raw").str.replace(_LOGIN, "${1}"), login=pl.col("raw").str.extract(_LOGIN, 2)
    )
    colon = pl.col("login").str.find(":", literal=True)
    frame = frame.with_columns(
        login_user=pl.when(colon.is_null()).then("login").otherwise(pl.col("login").str.extract(r"^(?s:([^:]*)):", 1)),
        login_password=pl.col("login").str.extract(r"^[^:]*:(?s:(.*))$", 1),
        parts=pl.col("url").str.extract_groups(_PARTS),
    ).unnest("parts")
    port = pl.col("port").cast(pl.Int64)
    frame = frame.with_columns(
        _decoded(frame["login_user"]),
        _decoded(frame["login_password"]),
        _without_brackets(frame["host"].str.to_lowercase()),
        scheme=pl.col("scheme").str.to_lowercase(),
        port=port,
        rest=pl.col("rest").fill_null(""),
    )
    numeric = pl.col("host").str.contains(r"^[0-9.]+$")
    dotted = pl.col("host").str.contains(r"^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$")
    return frame.with_columns(
        reason=pl.when(pl.col("scheme").is_null())
        .then(pl.lit("it is not scheme://[user:password@]host:port"))
        .when(pl.col("login").str.contains(r"[/?#]"))
        .then(pl.lit("it has an @ behind a slash, and what is a login there could only be guessed; write / as %2F"))
        .when(~pl.col("port").is_between(1, _MAX_PORT))
        .then(pl.lit(f"its port is not between 1 and {_MAX_PORT}"))
        .when(pl.col("host").is_null() | (numeric & ~dotted))
        .then(pl.lit("its host is not an address"))
    )


def _decoded(texts: pl.Series) -> pl.Series:
    """Percent-decode; only the few texts that need it become Python objects."""
    encoded = texts.drop_nulls().unique()
    encoded = encoded.filter(encoded.str.contains("%", literal=True))
    return texts.replace(encoded, pl.Series([unquote(text) for text in encoded], dtype=pl.String))


def _without_brackets(hosts: pl.Series) -> pl.Series:
    """Take the brackets off IPv6 addresses; null where there is none inside."""
    bracketed = hosts.drop_nulls().unique()
    bracketed = bracketed.filter(bracketed.str.starts_with("["))
    return hosts.replace(bracketed, pl.Series([_ipv6(text) for text in bracketed], dtype=pl.String))


def _ipv6(bracketed: str) -> str | None:
    address = bracketed[1:-1]
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return None
    return address

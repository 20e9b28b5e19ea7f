"""Proxy addresses taken apart: the public part, and what belongs to somebody."""

from urllib.parse import unquote

import polars as pl

SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")

# Everything before the last @ is a login; see below for one with characters that it should not have.
_LOGIN = r"^([A-Za-z][A-Za-z0-9+.-]*://)?(?s:(.*))@"
_PARTS = (
    r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z_.-]+)?\]|[^\s:/?#@\[\]]+)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?#]\S*)?$"
)
MAX_PORT = 65535
_PORT_DIGITS = 5
MAX_HOST = 253
"""Bytes of the longest host name (RFC 1035 has 255 octets on the wire)."""

# Most hosts of real pools are of this form, and need no other check.
_DOTTED = r"^(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])$"
_NUMERIC = r"^[0-9.]+$"
_NAME = r"^[^\s:/?#@\[\]]+$"
# IPv6 by RFC 4291, section 2.2; the last two groups may be an IPv4 address without leading zeros. The zone: RFC 4007.
_BRACKETED = r"^\[([0-9A-Fa-f:.]+)(?:%[0-9A-Za-z_.-]+)?\]$"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4_AT_END = rf":(?:{_OCTET}\.){{3}}{_OCTET}$"
_GROUPS = "[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4})*"
_IPV6 = rf"^(?:{_GROUPS}|(?:{_GROUPS})?::(?:{_GROUPS})?)$"
_ALL_GROUPS = 8


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
    frame = frame.with_columns(
        _decoded(frame["login_user"]),
        _decoded(frame["login_password"]),
        hosts(frame["host"]),
        scheme=pl.col("scheme").str.to_lowercase(),
        port=pl.col("port").cast(pl.Int64),
        rest=pl.col("rest").fill_null(""),
    )
    return frame.with_columns(
        reason=pl.when(pl.col("scheme").is_null())
        .then(pl.lit("it is not scheme://[user:password@]host:port"))
        .when(pl.col("login").str.contains(r"[/?#]"))
        .then(pl.lit("it has an @ behind a slash, and what is a login there could only be guessed; write / as %2F"))
        .when(~pl.col("port").is_between(1, MAX_PORT))
        .then(pl.lit(f"its port is not between 1 and {MAX_PORT}"))
        .when(pl.col("host").is_null())
        .then(pl.lit("its host is not an address"))
    )


def hosts(texts: pl.Series) -> pl.Series:
    """Check hosts as they stand in addresses: a name, an IPv4 address, or an IPv6 address in brackets.

    Args:
        texts: The hosts; may be null.

    Returns:
        The hosts in lower case, without brackets; null where one is not an address.
    """
    if all_ipv4(texts):
        return texts
    host = texts.str.to_lowercase()
    good = host.str.contains(_NAME) & (host.str.contains(_DOTTED) | ~host.str.contains(_NUMERIC))
    checked = host.set(~good, None)
    bracketed = host.str.starts_with("[").fill_null(value=False).arg_true()
    return checked.scatter(bracketed, _without_brackets(host.gather(bracketed))) if bracketed.len() else checked


def all_ipv4(texts: pl.Series) -> bool:
    """Whether all hosts are IPv4 addresses, or null: then nothing else needs to be looked at."""
    return bool(texts.str.contains(_DOTTED).all())


def ports(texts: pl.Series) -> pl.Series:
    """Check ports: digits that make a number from 1 to 65535; null where they do not, or where a text is null."""
    port = texts.cast(pl.UInt16, strict=False).cast(pl.Int64)
    # What polars takes for a number, too.
    odd = (texts.str.len_bytes() > _PORT_DIGITS) | texts.str.starts_with("+") | (port == 0)
    return port.set(odd, None) if odd.any() else port


def _decoded(texts: pl.Series) -> pl.Series:
    """Percent-decode; only the few texts that need it become Python objects."""
    encoded = texts.drop_nulls().unique()
    encoded = encoded.filter(encoded.str.contains("%", literal=True))
    return texts.replace(encoded, pl.Series([unquote(text) for text in encoded], dtype=pl.String))


def _without_brackets(bracketed: pl.Series) -> pl.Series:
    """Take the brackets off IPv6 addresses; null where there is none inside."""
    groups = bracketed.str.extract(_BRACKETED).str.replace(_IPV4_AT_END, ":0:0")
    count = groups.str.count_matches("[0-9A-Fa-f]+")
    shortened = groups.str.contains("::", literal=True)
    good = groups.str.contains(_IPV6) & ((count < _ALL_GROUPS) & shortened | (count == _ALL_GROUPS) & ~shortened)
    return bracketed.str.slice(1).str.head(-1).set(~good.fill_null(value=False), None)

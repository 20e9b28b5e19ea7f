"""Proxies put together as lines, in each dialect of lines.

A writer takes *parts*: ``scheme``, ``host`` (IPv6 in brackets), ``port``, ``username`` and ``password`` (null where
there is none).
"""

from collections.abc import Callable, Mapping

import polars as pl

from tailrace_source_pool.dialects import percent

LineWriter = Callable[[pl.DataFrame], pl.Series]

_ADDRESS = (pl.col("host"), pl.lit(":"), pl.col("port"))
_ANY = pl.col("username").is_not_null() | pl.col("password").is_not_null()
_USER = pl.col("username").fill_null("")
_PASSWORD = pl.col("password").fill_null("")


def file_of(*lines: str | pl.Series) -> bytes:
    """A file of lines, each with its line feed; a list of tens of megabytes is copied as seldom as possible."""
    parts = [pl.Series("line", [part]) if isinstance(part, str) else part.alias("line") for part in (*lines, "")]
    return bytes(pl.concat(parts).str.join("\n").cast(pl.Binary).item())


def _hostport(parts: pl.DataFrame) -> pl.Series:
    return _line(parts, *_ADDRESS)


def _url(parts: pl.DataFrame) -> pl.Series:
    return _line(_percent_encoded(parts), pl.col("scheme"), pl.lit("://"), *_with_login(parts), *_ADDRESS)


def _userinfo(parts: pl.DataFrame) -> pl.Series:
    return _line(_percent_encoded(parts), *_with_login(parts), *_ADDRESS)


def _colon(parts: pl.DataFrame) -> pl.Series:
    login = (pl.lit(":"), _USER, pl.lit(":"), _PASSWORD)
    return _line(parts, *_ADDRESS, *_if_any(parts, *login))


def _colon_userfirst(parts: pl.DataFrame) -> pl.Series:
    login = (_USER, pl.lit(":"), _PASSWORD, pl.lit(":"))
    return _line(parts, *_if_any(parts, *login), *_ADDRESS)


def _proxychains(parts: pl.DataFrame) -> pl.Series:
    password = pl.when(pl.col("password").is_not_null()).then(pl.lit(" ") + pl.col("password")).otherwise(pl.lit(""))
    login = (pl.lit(" "), _USER, password)
    host = pl.col("host").str.strip_chars("[]")
    return _line(parts, pl.col("scheme"), pl.lit(" "), host, pl.lit(" "), pl.col("port"), *_if_any(parts, *login))


def _with_login(parts: pl.DataFrame) -> tuple[pl.Expr, ...]:
    """``user:password@``; without a password ``user@``."""
    if parts["password"].null_count():
        password = pl.when(pl.col("password").is_not_null()).then(pl.lit(":") + pl.col("password"))
        return _if_any(parts, _USER, password.otherwise(pl.lit("")), pl.lit("@"))
    return (_USER, pl.lit(":"), pl.col("password"), pl.lit("@"))


def _if_any(parts: pl.DataFrame, *login: pl.Expr) -> tuple[pl.Expr, ...]:
    """What stands there for a login, and nothing where there is none."""
    if not (parts["username"].null_count() and parts["password"].null_count()):
        return login
    return (pl.when(_ANY).then(pl.concat_str(login)).otherwise(pl.lit("")),)


def _percent_encoded(parts: pl.DataFrame) -> pl.DataFrame:
    names = ("username", "password")
    # Both are looked through at the same time; most of them need nothing.
    needed = parts.select(percent.needs_encoding(pl.col(name)).any() for name in names).row(0)
    return parts.with_columns(
        percent.encoded(parts[name]).alias(name) for name, is_needed in zip(names, needed, strict=True) if is_needed
    )


def _line(parts: pl.DataFrame, *texts: pl.Expr) -> pl.Series:
    return parts.select(pl.concat_str(texts).alias("line")).to_series()


LINE_WRITERS: Mapping[str, LineWriter] = {
    "hostport": _hostport,
    "colon": _colon,
    "userinfo": _userinfo,
    "colon-userfirst": _colon_userfirst,
    "url": _url,
    "proxychains": _proxychains,
}

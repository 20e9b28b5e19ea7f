"""Proxy lists: one address per line."""

import polars as pl

from tailrace_source_pool.address import SCHEMES, take_apart
from tailrace_source_pool.protection import StoredPool
from tailrace_source_pool.unreadable import Unreadable

_HOST_AND_PORT = r"^(?:\[[^\]]*\]|[^:/\[\]]+):\d+$"
_MAX_HOST = 253


def read_list(text: str, scheme: str, unreadable: Unreadable) -> StoredPool:
    """Read ``scheme://[user[:password]@]host:port`` and ``host:port``; blank lines and ``#`` comments are skipped.

    Args:
        text: The whole list.
        scheme: Protocol of lines without one.
        unreadable: Where lines go that are neither.

    Returns:
        The pool; what is behind a port that nothing may follow is dropped with its line.

    Raises:
        BadRowError: A line that cannot be read, or only be guessed.
    """
    lines = pl.Series(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), dtype=pl.String)
    frame = (
        pl.DataFrame({"line": lines})
        .with_row_index("row", offset=1)
        .with_columns(pl.col("line").str.replace(r"(?:^|[ \t]+)#.*$", "").str.strip_chars(" \t\x0b\x0c"))
        .filter(pl.col("line") != "")
    )
    bare = ~pl.col("line").str.contains("://", literal=True)
    frame = frame.with_columns(
        bare=bare, url=pl.when(bare).then(pl.lit(f"{scheme}://") + pl.col("line")).otherwise("line")
    )
    address = take_apart(frame["url"])
    numbers = pl.col("host").str.contains(":", literal=True)
    checked = pl.concat([frame, address.drop("url")], how="horizontal").with_columns(
        reason=pl.when(pl.col("line").str.contains(r"\s"))
        .then(pl.lit("it holds blanks"))
        .when(pl.col("bare") & pl.col("line").str.contains("@", literal=True))
        .then(pl.lit("it has a login but no scheme: write http://, or another scheme, before the login"))
        .when(pl.col("bare") & ~pl.col("line").str.contains(_HOST_AND_PORT))
        .then(
            pl.lit(
                "it is neither host:port nor a URL, and guessing which part is what could be wrong; "
                "write it as a URL with its scheme, and IPv6 in brackets"
            )
        )
        .when(~pl.col("scheme").is_in(SCHEMES))
        .then(pl.lit(f"its scheme is none of {', '.join(SCHEMES)}"))
        .when(pl.col("reason").is_not_null())
        .then("reason")
        .when(pl.col("port").is_null())
        .then(pl.lit("its port is missing"))
        .when(~pl.col("rest").is_in(("", "/")))
        .then(pl.lit("something follows its port"))
        .when(~numbers & (pl.col("host").str.len_bytes() > _MAX_HOST))
        .then(pl.lit("its host is not an address"))
    )
    good = unreadable.leave_out(checked["row"], "line", checked["reason"])
    # A slash after the port says nothing; anything else there is refused.
    address = address.with_columns(url=pl.col("url").str.strip_suffix("/"), rest=pl.lit(""))
    nothing = pl.repeat(None, address.height, dtype=pl.String, eager=True)
    logins = pl.DataFrame({"url": frame["url"], "username": nothing, "password": nothing})
    return StoredPool(logins, address, good.arg_true(), keeps_urls=False)


def count_lines(content: bytes) -> int:
    """Number of lines that hold something, counted in the raw bytes."""
    lines = (line.strip(b" \t\x0b\x0c") for line in content.splitlines())
    return sum(1 for line in lines if line and not line.startswith(b"#"))

"""Which records are the same proxy, and how a proxy is called where its login must not be seen."""

from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import quote

import polars as pl

from tailrace.restore.fields import IDENTITY

Identify = Callable[..., str]
"""Turns the parts of an identity into a keyed id, as :func:`tailrace.references.reference_ids` makes them."""

_NEEDS_NO_ESCAPE: Final = r"^[A-Za-z0-9_.~-]*$"


def parts(columns: Collection[str] = IDENTITY) -> list[pl.Expr]:
    """The parts of an identity as they are compared.

    Host names do not differ by case; an empty user name or password is none. A part that is not among ``columns`` is
    null.
    """
    known = {
        "protocol": pl.col("protocol"),
        "host": pl.col("host").str.to_lowercase(),
        "port": pl.col("port"),
        "username": _some("username"),
        "password": _some("password"),
    }
    return [
        (part if name in columns else pl.lit(None, pl.String if name != "port" else pl.Int64)).alias(f"is_{name}")
        for name, part in known.items()
    ]


def numbered(first: pl.DataFrame, second: pl.DataFrame, columns: Collection[str]) -> tuple[pl.Series, pl.Series]:
    """A number for each row of two frames: the same for the same identity, whichever frame it is in.

    Args:
        first: A frame with the columns of an identity.
        second: Another.
        columns: Which of them to go by.
    """
    both = pl.concat([first.select(parts(columns)), second.select(parts(columns))])
    distinct = both.unique().with_row_index("who")
    numbers = both.join(distinct, on=both.columns, how="left", nulls_equal=True, maintain_order="left")["who"]
    return numbers.head(first.height), numbers.tail(second.height)


def addresses(frame: pl.DataFrame) -> pl.Series:
    """``scheme://host:port`` of each row, IPv6 in brackets, without any login."""
    return frame.select(url=_address(pl.lit("")))["url"]


def urls_with_login(frame: pl.DataFrame) -> pl.Series:
    """``scheme://user:password@host:port`` of each row, percent-encoded; null without a login."""
    login = frame.select(user=_some("username"), word=_some("password"))
    encoded = login.select(
        user=_escaped(login["user"].fill_null("")), word=pl.lit(":") + _escaped(login["word"]), has=_any_login()
    )
    return frame.with_columns(
        pl.when(encoded["has"]).then(encoded["user"] + encoded["word"].fill_null("") + "@").alias("login")
    ).select(url=_address(pl.col("login")))["url"]


def identities(frame: pl.DataFrame, identify: Identify) -> list[str]:
    """The keyed id of each row's identity; the same in every plan made with the same key."""
    texts = [part.cast(pl.String).fill_null("") for part in parts()]
    # Each with its length before it: no two identities give the same text.
    told = [pl.concat_str(text.str.len_bytes(), pl.lit(":"), text, pl.lit(",")) for text in texts]
    return [identify("import", text) for text in frame.select(pl.concat_str(told).alias("told")).to_series().to_list()]


def _some(column: str) -> pl.Expr:
    return pl.when(pl.col(column) != "").then(pl.col(column)).alias(column)


def _any_login() -> pl.Expr:
    return pl.col("user").is_not_null() | pl.col("word").is_not_null()


def _address(login: pl.Expr) -> pl.Expr:
    host = pl.col("host")
    bracketed = pl.when(host.str.contains(":", literal=True)).then(pl.format("[{}]", host)).otherwise(host)
    return pl.concat_str(pl.col("protocol"), pl.lit("://"), login, bracketed, pl.lit(":"), pl.col("port"))


def _escaped(texts: pl.Series) -> pl.Series:
    """Percent-encode; only the few texts that need it become Python objects."""
    special = texts.drop_nulls().unique()
    special = special.filter(~special.str.contains(_NEEDS_NO_ESCAPE))
    return texts.replace(special, pl.Series([quote(text, safe="") for text in special], dtype=pl.String))

"""Keyed digests of proxies and pools: equal if and only if every value is equal.

Without the key nobody can try out passwords on them.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import polars as pl

from tailrace.restore.fields import DERIVED, FIELDS
from tailrace.vault.canonical import netstrings

_SIZE: Final = 16
_SLICE: Final = 8192
"""Rows that are turned into text at once: bounds the memory."""


def row_digests(frame: pl.DataFrame, key: bytes) -> pl.Series:
    """The digest (BLAKE2b, 16 bytes, hexadecimal) of each row, over all columns but those that are derived.

    A column that is not there counts like one without a value. Times count as moments, floats to the last bit.

    Args:
        frame: Proxies, in the types of :data:`~tailrace.restore.fields.FIELDS`.
        key: Of the digest.
    """
    further = sorted(name for name in frame.columns if name not in DERIVED and name not in FIELDS)
    known = [_text(name) if name in frame.columns else pl.lit(_nothing(name)) for name in FIELDS]
    text = pl.concat_str([*known, *(_named(name) for name in further)])
    digests: list[str] = []
    for part in frame.iter_slices(_SLICE):
        texts = part.with_columns(text.alias("text"))["text"].to_list()
        digests += [hashlib.blake2b(row.encode(), key=key, digest_size=_SIZE).hexdigest() for row in texts]
    return pl.Series("digest", digests, dtype=pl.String)


def pool_digest(frame: pl.DataFrame, key: bytes) -> str:
    """The digest (hexadecimal) of all proxies of a pool, in whatever order they are."""
    return digest_of(row_digests(frame, key).sort().to_list(), key)


def digest_of(texts: Iterable[str], key: bytes) -> str:
    """The digest of texts, in their order."""
    return hashlib.blake2b(netstrings(texts), key=key, digest_size=_SIZE).hexdigest()


def _text(name: str) -> pl.Expr:
    """A value in a form that ends where it ends: numbers before a comma, texts behind their length."""
    value, dtype = pl.col(name), FIELDS[name].dtype
    if dtype == pl.String:
        return pl.concat_str(value.str.len_bytes(), pl.lit(":"), value).fill_null(_nothing(name))
    if isinstance(dtype, pl.Datetime):
        value = value.dt.epoch("us")
    return value.cast(pl.String).fill_null("") + ","


def _nothing(name: str) -> str:
    return "-" if FIELDS[name].dtype == pl.String else ","


def _named(name: str) -> pl.Expr:
    value = pl.col(name).cast(pl.String)
    said = pl.concat_str(pl.lit(f"{len(name)}:{name}="), value.str.len_bytes(), pl.lit(":"), value)
    return said.fill_null("")

"""Keys for proxies of files that have none: a proxy keeps its key when others come and go, as its position does not."""

import hashlib

import polars as pl


def lasting_keys(frame: pl.DataFrame) -> pl.Series:
    """A key for each proxy: a digest of its address and login, and which of equals it is."""
    present = [name for name in ("protocol", "host", "port", "username", "password") if name in frame.columns]
    texts = [pl.col(name).cast(pl.String) for name in present]
    # With their lengths, so that no two logins give the same text.
    parts = [pl.format("{}:{},", text.str.len_bytes(), text).fill_null("-,") for text in texts]
    joined = frame.select(pl.concat_str(parts)).to_series() if parts else pl.Series(dtype=pl.String)
    digests = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in joined]
    return (
        pl.DataFrame({"digest": pl.Series(digests, dtype=pl.String)})
        .select(key=pl.format("{}.{}", "digest", pl.int_range(1, pl.len() + 1).over("digest")))
        .to_series()
    )

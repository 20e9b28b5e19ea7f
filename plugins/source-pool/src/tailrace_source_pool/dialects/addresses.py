"""The parts of lines judged: which of them are the address of a proxy."""

import polars as pl

from tailrace_source_pool.address import MAX_HOST, MAX_PORT, SCHEMES, hosts, ports

_NO_SCHEME = f"its scheme is none of {', '.join(SCHEMES)}"
_NO_PORT = "its port is missing"
_BAD_PORT = f"its port is not a number from 1 to {MAX_PORT}"
_BAD_HOST = "its host is not an address"


def judged(parts: pl.DataFrame) -> pl.DataFrame:
    """Parts judged.

    Returns:
        The parts with ``host`` in small letters and without brackets, ``standing``: the host with them, ``port`` as a
        number, and all reasons.
    """
    told = parts["host"]
    host, port = hosts(told), ports(parts["port"])
    # What needs no change at all is given back as it is.
    standing = told if host is told else told.str.to_lowercase()
    too_long = host.str.len_bytes() > MAX_HOST
    if too_long.any():
        # The zone of an IPv6 address may be of any length.
        host = host.set(too_long & ~host.str.contains(":", literal=True), None)
    judged = parts.with_columns(host, port, standing.alias("standing"))
    scheme = parts["scheme"]
    odd = ~scheme.is_in(SCHEMES) & scheme.is_not_null()
    if not (host.null_count() or port.null_count() or odd.any()):
        return judged
    facts = pl.DataFrame({"odd": odd, "told": parts["port"], "port": port, "host": host, "reason": parts["reason"]})
    return judged.with_columns(
        facts.select(
            pl.when(pl.col("reason").is_not_null())
            .then("reason")
            .when("odd")
            .then(pl.lit(_NO_SCHEME))
            .when(pl.col("told").is_null() | (pl.col("told") == ""))
            .then(pl.lit(_NO_PORT))
            .when(pl.col("port").is_null())
            .then(pl.lit(_BAD_PORT))
            .when(pl.col("host").is_null())
            .then(pl.lit(_BAD_HOST))
            .alias("reason")
        ).to_series()
    )


def bracketed(hosts: pl.Series) -> pl.Series:
    """Hosts as they stand in addresses: IPv6 in brackets."""
    numbers = hosts.str.contains(":", literal=True)
    if not numbers.any():
        return hosts
    return (
        hosts.to_frame("host")
        .select(pl.when(numbers).then(pl.format("[{}]", "host")).otherwise("host").alias("host"))
        .to_series()
    )

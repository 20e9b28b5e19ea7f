"""The shared week for the benchmarks of reports: health checks of public proxies, or made-up ones of the same shape."""

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

SEED = 7
PROXIES, RUNS, HOURS = 29_055, 56, 3
FIRST = datetime(2026, 8, 15, 0, 24, tzinfo=UTC)
CHECKS, IDENTITIES = "validation_results-week.parquet", "proxy_identities-week.parquet"
_VALID = 0.22
_COUNTRIES = ("DE", "FR", "US", "BR", "IN", "CN", "ID", "RU")


def shared_week(folder: Path, share: float = 1.0) -> Path:
    """The file of checks, with that of the proxies beside it.

    Args:
        folder: Where to make it up, unless the variable ``SHARED_WEEK`` names a folder that has it.
        share: Which part of the proxies to have.
    """
    given = os.environ.get("SHARED_WEEK")
    folder.mkdir(parents=True, exist_ok=True)
    if given and share == 1:
        return Path(given) / CHECKS
    made = folder / ("real" if given else "made-up") / f"{share:g}" / CHECKS
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        checks, proxies = _read(Path(given)) if given else _made_up()
        chosen = proxies.gather_every(round(1 / share))
        chosen.write_parquet(made.with_name(IDENTITIES))
        checks.join(chosen.select(proxy_url="url"), on="proxy_url", how="semi").write_parquet(made)
    return made


def _read(folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    return pl.read_parquet(folder / CHECKS), pl.read_parquet(folder / IDENTITIES)


def _made_up() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every proxy is valid at its first and its last run, and now and then between them."""
    drawn = np.random.default_rng(SEED)
    number = np.arange(PROXIES)
    host = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in number.tolist()]
    protocol = drawn.choice(["http", "socks4", "socks5"], PROXIES, p=[0.99, 0.007, 0.003])
    country = drawn.choice([*_COUNTRIES, ""], PROXIES)
    proxies = pl.DataFrame({"host": host, "protocol": protocol, "country_code": country}).select(
        url=pl.format("{}://{}:8080", "protocol", "host"),
        protocol="protocol",
        host="host",
        port=pl.lit(8080, pl.Int64),
        country_name=pl.lit(None, pl.String),
        country_code=pl.col("country_code").replace("", None),
        discovered_at=pl.lit(FIRST).dt.cast_time_unit("us"),
    )
    first = np.rint(drawn.beta(0.3, 3.5, PROXIES) * (RUNS - 1)).astype(int)
    last = RUNS - 1 - np.rint(drawn.beta(0.3, 3.5, PROXIES) * (RUNS - 1)).astype(int)
    first, last = np.minimum(first, last), np.maximum(first, last)
    run = np.tile(np.arange(RUNS), (PROXIES, 1))
    there = (run >= first[:, None]) & (run <= last[:, None])
    ends = (run == first[:, None]) | (run == last[:, None])
    valid = (drawn.random((PROXIES, RUNS)) < _VALID) | ends
    seconds = drawn.normal(11.2, 1.6, (PROXIES, RUNS)).clip(0.3)
    late = drawn.integers(0, 600_000_000, (PROXIES, RUNS))
    checks = pl.DataFrame(
        {
            "proxy_url": proxies["url"].gather(np.repeat(number, RUNS)[there.ravel()]),
            "run": run[there],
            "late": late[there],
            "is_valid": valid[there],
            "seconds": seconds[there],
        }
    )
    return checks.select(
        "proxy_url",
        validated_at=pl.lit(FIRST) + pl.duration(hours=pl.col("run") * HOURS) + pl.duration(microseconds="late"),
        is_valid="is_valid",
        response_time_ms=pl.when("is_valid").then((pl.col("seconds") * 1000).round(3)),
        error_type=pl.when(~pl.col("is_valid")).then(pl.lit("unreachable")),
    ), proxies

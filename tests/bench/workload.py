"""The workload of the benchmarks: a request log of eleven columns, the same for every run of one size."""

import sqlite3
from pathlib import Path

import polars as pl

SEED = 7
_ENDPOINTS, _AGENTS = 50_000, 500
_WEEK_US = 7 * 24 * 3600 * 1_000_000
_FIRST = 1_786_752_000_000_000  # 2026-08-15T00:00:00Z in microseconds
_MIX_1, _MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9  # of SplitMix64; products wrap around
_QUERIES = ("a,b", "<html> & co", "x%20y", "plain", '"quoted"')


def _draw(rows: int, salt: int, below: int) -> pl.Series:
    """Pseudo-random whole numbers from 0 up to ``below``, the same on every machine: a mixer on 64-bit counters."""
    counter = (pl.int_range(rows, eager=True, dtype=pl.UInt64) + (SEED + 1000 * salt)) * _MIX_1
    mixed = (counter ^ (counter // 2**31)) * _MIX_2
    return (mixed ^ (mixed // 2**29)) % below


def _texts() -> tuple[pl.Series, pl.Series]:
    endpoint = _draw(_ENDPOINTS, 100, 10**8)
    query = pl.Series(_QUERIES)[_draw(_ENDPOINTS, 101, len(_QUERIES))]
    page = _draw(_ENDPOINTS, 102, 500)
    agents = _draw(_AGENTS, 103, 9999)
    endpoints = pl.select(
        pl.format("https://api.example.com/v2/proxies/{}?q={}&page={}", endpoint, query, page)
    ).to_series()
    browsers = pl.select(
        pl.format("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.{}.0", agents)
    ).to_series()
    return endpoints, browsers


def frame(rows: int) -> pl.DataFrame:
    """The request log: a timestamp, two long texts, numbers with gaps, a flag."""
    endpoints, browsers = _texts()
    spread = pl.int_range(rows, eager=True) * _WEEK_US // rows
    return pl.DataFrame(
        {
            "timestamp": (spread + _FIRST + _draw(rows, 1, 1_000_000).cast(pl.Int64)).cast(pl.Datetime("us", "UTC")),
            "proxy_source": pl.Series(["fetched", "user", "api"])[_draw(rows, 2, 3)],
            "endpoint": endpoints[_draw(rows, 3, _ENDPOINTS)],
            "user_agent": browsers[_draw(rows, 4, _AGENTS)],
            "http_method": pl.Series(["GET", "POST", "PUT"])[_draw(rows, 5, 3)],
            "success": _draw(rows, 6, 100) >= 12,
            "response_time_ms": _draw(rows, 7, 9_000_000).cast(pl.Float64) / 1000,
            "http_status": pl.Series([200, 200, 200, 301, 404, 500, 503])[_draw(rows, 8, 7)],
            "bytes_transferred": _draw(rows, 9, 5_000_000).cast(pl.Int64),
            "error_code": pl.Series([None, None, None, None, "TIMEOUT", "REFUSED, by peer"])[_draw(rows, 10, 6)],
            "cost": _draw(rows, 11, 10_000).cast(pl.Float64) / 1e6,
        }
    ).with_columns(
        response_time_ms=pl.when(_draw(rows, 12, 20) > 0).then("response_time_ms"),
        http_status=pl.when(_draw(rows, 13, 20) > 0).then("http_status"),
    )


def make(folder: Path, rows: int) -> tuple[Path, Path]:
    """Write the workload as Parquet and as an SQLite table, unless it is there; return both paths."""
    parquet, database = folder / f"log-{rows}.parquet", folder / f"log-{rows}.db"
    if not parquet.exists():
        folder.mkdir(parents=True, exist_ok=True)
        log = frame(rows)
        log.write_parquet(parquet, row_group_size=250_000)
        _write_database(database, log)
    return parquet, database


def _write_database(path: Path, log: pl.DataFrame) -> None:
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute(
            "CREATE TABLE request_logs (id INTEGER PRIMARY KEY, timestamp DATETIME NOT NULL, proxy_source VARCHAR,"
            " endpoint VARCHAR, user_agent VARCHAR, http_method VARCHAR, success BOOLEAN, response_time_ms FLOAT,"
            " http_status INTEGER, bytes_transferred INTEGER, error_code VARCHAR, cost FLOAT)"
        )
        insert = f"INSERT INTO request_logs ({', '.join(log.columns)}) VALUES ({', '.join('?' * log.width)})"
        text = pl.col("timestamp").dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
        for batch in log.with_columns(text, pl.col("success").cast(pl.Int8)).iter_slices(100_000):
            connection.executemany(insert, batch.rows())
    connection.close()

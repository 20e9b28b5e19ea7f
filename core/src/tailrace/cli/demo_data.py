"""Made-up data for ``tailrace demo``, in the shape of a ProxyWhirl database: equal for equal seeds.

Every address is from the ranges that are reserved for documentation, so that nothing real can be contacted.
"""

import base64
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

SEED = 20260815
PROXIES = 200
WITH_CREDENTIALS = 50
CHECKS_PER_PROXY = 21
LOG_ROWS = 24_000

_BEGAN = datetime(2026, 8, 15, tzinfo=UTC)
_BETWEEN_CHECKS = timedelta(hours=8)
_WEEK = timedelta(days=7)

_SCHEMA = """
CREATE TABLE proxy_identities (
    url VARCHAR NOT NULL PRIMARY KEY, protocol VARCHAR NOT NULL, host VARCHAR NOT NULL, port INTEGER NOT NULL,
    username VARCHAR, password VARCHAR, country_code VARCHAR, country_name VARCHAR, region VARCHAR, city VARCHAR,
    latitude FLOAT, longitude FLOAT, asn INTEGER, isp_name VARCHAR, is_residential BOOLEAN NOT NULL,
    is_datacenter BOOLEAN NOT NULL, source VARCHAR NOT NULL, source_url VARCHAR, discovered_at DATETIME NOT NULL
);
CREATE TABLE proxy_statuses (
    proxy_url VARCHAR NOT NULL PRIMARY KEY, health_status VARCHAR NOT NULL, last_success_at DATETIME,
    last_failure_at DATETIME, last_check_at DATETIME, consecutive_successes INTEGER NOT NULL,
    consecutive_failures INTEGER NOT NULL, total_checks INTEGER NOT NULL, total_successes INTEGER NOT NULL,
    avg_response_time_ms FLOAT, success_rate_7d FLOAT, updated_at DATETIME NOT NULL
);
CREATE TABLE validation_results (
    id INTEGER NOT NULL PRIMARY KEY, proxy_url VARCHAR NOT NULL, validated_at DATETIME NOT NULL,
    is_valid BOOLEAN NOT NULL, response_time_ms FLOAT, error_type VARCHAR, error_message VARCHAR
);
CREATE TABLE request_logs (
    id INTEGER NOT NULL PRIMARY KEY, timestamp DATETIME NOT NULL, proxy_source VARCHAR, endpoint VARCHAR,
    http_method VARCHAR, success BOOLEAN, response_time_ms FLOAT, http_status INTEGER, bytes_transferred INTEGER,
    error_code VARCHAR, cost FLOAT
);
"""

_PLACES = (
    ("DE", "Germany", "Hesse", "Frankfurt", 50.11, 8.68),
    ("US", "United States", "Virginia", "Ashburn", 39.04, -77.49),
    ("BR", "Brazil", "São Paulo", "São Paulo", -23.55, -46.63),
    ("JP", "Japan", "Tokyo", "東京", 35.68, 139.69),
    ("IN", "India", "Maharashtra", "Mumbai", 19.08, 72.88),
)
_NETWORKS = ("192.0.2", "198.51.100", "203.0.113")
_ERRORS = ("timeout", "connection_refused", "unreachable")

Row = tuple[Any, ...]


@attrs.frozen
class Pool:
    """A made-up pool.

    Args:
        identities: Rows of ``proxy_identities``.
        statuses: Rows of ``proxy_statuses``.
        checks: Rows of ``validation_results``, by time.
        secrets: Every user name and password in it, as stored.
    """

    identities: tuple[Row, ...] = attrs.field(repr=False)
    statuses: tuple[Row, ...] = attrs.field(repr=False)
    checks: tuple[Row, ...] = attrs.field(repr=False)
    secrets: tuple[str, ...] = attrs.field(repr=False)


def make_pool(seed: int = SEED) -> Pool:
    """Make up a pool of proxies with a week of checks."""
    rng = random.Random(seed)  # noqa: S311 - made-up data; the same each time is the point
    identities = [_identity(rng, number) for number in range(PROXIES)]
    statuses, checks = [], []
    for identity in identities:
        history = list(_checks(rng, url=identity[0]))
        statuses.append(_status(identity[0], history))
        checks += history
    checks.sort(key=lambda check: (check[1], check[0]))
    return Pool(
        identities=tuple(identities),
        statuses=tuple(statuses),
        checks=tuple((number, *check) for number, check in enumerate(checks, 1)),
        secrets=tuple(secret for identity in identities for secret in identity[4:6] if secret is not None),
    )


def make_log(seed: int = SEED) -> Iterator[Row]:
    """Make up rows of a request log, by time."""
    rng = random.Random(seed + 1)  # noqa: S311 - as above
    step = _WEEK / LOG_ROWS
    for number in range(LOG_ROWS):
        success = rng.random() < 0.87  # noqa: PLR2004 - made up
        error = None if success else rng.choice((*_ERRORS, 'refused, by "peer"'))
        yield (
            number + 1,
            _text(_BEGAN + step * number + timedelta(microseconds=rng.randrange(1_000_000))),
            rng.choice(("fetched", "user", "api")),
            _endpoint(rng),
            rng.choice(("GET", "GET", "GET", "POST", "PUT")),
            int(success),
            round(rng.lognormvariate(6, 0.8), 3) if success else None,
            rng.choice((200, 200, 200, 301)) if success else rng.choice((None, 403, 502)),
            rng.randrange(200, 500_000),
            error,
            round(rng.random() / 1000, 6),
        )


def write_database(path: Path, pool: Pool, log: Iterator[Row]) -> None:
    """Write pool and log as a SQLite database."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(_SCHEMA)
        _insert(connection, "proxy_identities", pool.identities)
        _insert(connection, "proxy_statuses", pool.statuses)
        _insert(connection, "validation_results", pool.checks)
        _insert(connection, "request_logs", tuple(log))


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Row]) -> None:
    marks = ", ".join("?" * len(rows[0]))
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - our own table names


def _identity(rng: random.Random, number: int) -> Row:
    protocol = rng.choices(("http", "https", "socks4", "socks5"), weights=(70, 10, 10, 10))[0]
    sixth = number % 20 == 0
    host = f"2001:db8::{number + 1:x}" if sixth else f"{_NETWORKS[number % 3]}.{number // 3 + 1}"
    port = rng.choice((80, 1080, 3128, 8080, 8888))
    url = f"{protocol}://[{host}]:{port}" if sixth else f"{protocol}://{host}:{port}"
    username, password = _credentials(rng, number)
    code, country, region, city, latitude, longitude = rng.choice(_PLACES)
    residential = rng.random() < 0.3  # noqa: PLR2004 - made up
    return (
        url,
        protocol,
        host,
        port,
        username,
        password,
        code,
        country,
        region,
        city,
        latitude,
        longitude,
        64496 + number % 16,  # reserved for documentation, like the addresses
        f"Example Networks {number % 16}",
        int(residential),
        int(not residential),
        rng.choice(("fetched", "user")),
        "https://lists.example.com/proxies.txt",
        _text(_BEGAN - timedelta(minutes=rng.randrange(60_000))),
    )


def _endpoint(rng: random.Random) -> str:
    path = f"v{rng.randrange(1, 4)}/{rng.choice(('users', 'orders', 'search'))}"
    return (
        f"https://api.example.com/{path}?q={rng.choice(('shoes', 'a,b', 'x%20y', 'größe'))}&page={rng.randrange(500)}"
    )


def _credentials(rng: random.Random, number: int) -> tuple[str | None, str | None]:
    """Of every four proxies one has credentials; of every five of these one has them as ProxyWhirl encrypts them."""
    if number % (PROXIES // WITH_CREDENTIALS):
        return None, None
    if number % 5 == 0:
        return _token(rng, 32), _token(rng, 48)
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    return f"demo-{''.join(rng.choices(letters, k=8))}", "".join(rng.choices(letters, k=20))


def _token(rng: random.Random, size: int) -> str:
    """A text that looks like a value that ProxyWhirl has encrypted with Fernet."""
    stamp = int(_BEGAN.timestamp()).to_bytes(8, "big")
    token = base64.urlsafe_b64encode(b"\x80" + stamp + rng.randbytes(16 + size + 32))
    return f"encrypted:{base64.b64encode(token).decode()}"


def _checks(rng: random.Random, *, url: str) -> Iterator[Row]:
    quality, usual = rng.betavariate(2, 1), rng.lognormvariate(6.5, 0.6)
    for number in range(CHECKS_PER_PROXY):
        moment = _text(_BEGAN + _BETWEEN_CHECKS * number + timedelta(microseconds=rng.randrange(600_000_000)))
        if rng.random() < quality:
            yield url, moment, 1, round(usual * rng.lognormvariate(0, 0.3), 3), None, None
        else:
            error = rng.choice(_ERRORS)
            yield url, moment, 0, None, error, f"The check ended with {error.replace('_', ' ')}."


def _status(url: str, history: Sequence[Row]) -> Row:
    good = [check for check in history if check[2]]
    bad = [check for check in history if not check[2]]
    rate = len(good) / len(history)
    last_bad = max((index for index, check in enumerate(history) if not check[2]), default=-1)
    last_good = max((index for index, check in enumerate(history) if check[2]), default=-1)
    return (
        url,
        "healthy" if rate >= 0.8 else "unhealthy" if rate >= 0.2 else "dead",  # noqa: PLR2004 - ProxyWhirl's bounds
        good[-1][1] if good else None,
        bad[-1][1] if bad else None,
        history[-1][1],
        len(history) - 1 - last_bad,
        len(history) - 1 - last_good,
        len(history),
        len(good),
        sum(check[3] for check in good) / len(good) if good else None,
        rate,
        history[-1][1],
    )


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")

"""Runs under ProxyWhirl's interpreter: lets ProxyWhirl make a pool. ``make_pool.py database|file PATH COUNT [KEY]``."""

import asyncio
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from proxywhirl.models import Proxy
from proxywhirl.storage import FileStorage, ProxyIdentityTable, SQLiteStorage
from sqlmodel.ext.asyncio.session import AsyncSession

SCHEMES = ("http", "https", "socks4", "socks5")
PARTS = (
    *("a", "Z", "7", "@", ":", "/", "%", "%40", "#", "?", "&", "=", "+", " ", '"', "'", "\\", "{", "}", "[", "]", ","),
    *(
        "\t",
        "\n",
        "\r\n",
        "\x00",
        "\x7f",
        "é",
        "ß",
        "漢字",
        "\u0301",
        "\u2028",
        "\ufeff",
        "😀",
        "encrypted:",
        "=cmd",
        "<r>",
    ),
)
START = datetime(2026, 8, 15, 0, 24, 9, 297504, tzinfo=UTC)


def text(source: random.Random) -> str:
    """A user name or password that is hard to carry."""
    return "".join(source.choices(PARTS, k=source.randint(1, 12)))


def proxy(index: int, source: random.Random) -> Proxy:
    """A proxy, with a login in most cases, in its URL in some."""
    scheme = SCHEMES[index % 4]
    host = (f"192.0.2.{index % 250 + 1}", f"[2001:db8::{index:x}]", f"gw{index % 5}.example.com")[index // 4 % 3]
    login = f"customer-{index}:p%40ss%3A{index}@" if index % 20 == 7 else ""
    facts: dict[str, Any] = {
        "url": f"{scheme}://{login}{host}:{1024 + index}",
        "allow_local": True,
        "country_code": source.choice(["DE", "US", None]),
        "region": source.choice(["Île-de-France", None]),
        "source": source.choice(["user", "fetched", "api", "file"]),
        "source_url": source.choice(["https://lists.example.com/a?b=c", None]),
    }
    if not login and index % 10:
        facts |= {"username": text(source), "password": text(source)}
    return Proxy(**facts)


def used(made: Proxy, source: random.Random) -> Proxy:
    """The proxy with everything that only FileStorage keeps."""
    facts: dict[str, Any] = {
        "health_status": source.choice(["unknown", "healthy", "degraded", "unhealthy", "dead"]),
        "last_success_at": START + timedelta(microseconds=source.randrange(10**12)),
        "last_health_check": START + timedelta(seconds=source.randrange(10**6)),
        "average_response_time_ms": source.random() * 1000,
        "ema_response_time_ms": source.choice([None, 0.1 + 0.2]),
        "ema_alpha": source.choice([0.2, 0.5]),
        "window_start": START,
        "total_requests": source.randrange(10**9),
        "total_health_failures": source.randrange(9),
        "tags": set(source.sample(["fast", "größte", 'a"b', "😀", ""], k=source.randrange(4))),
        "metadata": source.choice([{}, {"zone": {"name": "é\n", "list": [1, 2.5, None, True, {"deep": []}]}}]),
        "last_health_error": source.choice([None, 'timeout after "5 s"\n超时']),
        "ttl": source.choice([None, 3600]),
        "cost_per_request": source.choice([0.0, None, 0.0025]),
        "created_at": START,
        "updated_at": START + timedelta(seconds=source.randrange(3)),
    }
    # Validated, as what ProxyWhirl would load.
    shown = made.model_dump() | {"username": made.username, "password": made.password} | facts
    return Proxy.model_validate(shown)


async def make_database(path: Path, proxies: list[Proxy], source: random.Random) -> None:
    """Proxies with states, checks and geography."""
    storage = SQLiteStorage(path)
    await storage.initialize()
    for made in proxies:
        assert await storage.add_proxy(made)
    for made in proxies[::3]:
        await storage.record_validation(
            made.url, is_valid=source.random() < 0.5, response_time_ms=source.random() * 900
        )
    await storage.record_validations_batch([(made.url, False, None, "timeout") for made in proxies[::7]])
    async with AsyncSession(storage.engine) as session:
        for made in proxies[::2]:
            row = await session.get(ProxyIdentityTable, made.url)
            assert row
            row.country_name, row.region, row.city = "Côte d'Ivoire", "Lagunes", 'Abi"djan\n'
            row.latitude, row.longitude, row.asn, row.isp_name = 5.3599517, -4.0082563, 29571, "Example, S.A."
            row.is_residential, row.is_datacenter = True, False
            session.add(row)
        await session.commit()
    await storage.close()


def main(kind: str, place: str, count: str, key: str = "") -> None:
    """Make the pool."""
    source = random.Random(20260815)
    proxies = [proxy(index, source) for index in range(int(count))]
    if kind == "database":
        asyncio.run(make_database(Path(place), proxies, source))
    else:
        storage = FileStorage(place, encryption_key=key.encode() or None)
        asyncio.run(storage.save([used(made, source) for made in proxies]))


main(*sys.argv[1:])

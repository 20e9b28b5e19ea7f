"""Pools in the Redis of this machine, for tests."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from redis import Redis

URL = "redis://127.0.0.1:6379/13"
"""Keys of tests begin with a text of their own, and are deleted by those who made them."""
PREFIX = "tailrace-test:"


@contextmanager
def redis_client() -> Iterator["Redis"]:
    client = Redis.from_url(URL, socket_timeout=10, decode_responses=False)
    try:
        yield client
    finally:
        client.close()


def record(address: str, **more: Any) -> dict[str, Any]:
    """A proxy as proxy_pool writes it."""
    return {
        "proxy": address,
        "https": False,
        "fail_count": 0,
        "region": "",
        "anonymous": "",
        "source": "freeProxy01",
        "check_count": 1,
        "last_status": True,
        "last_time": "2026-08-15 06:30:00",
        **more,
    }


def store(client: "Redis", table: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Keep a pool, in place of what is there."""
    with client.pipeline(transaction=False) as together:
        together.delete(table)
        for start in range(0, len(records), 10_000):
            some = records[start : start + 10_000]
            # As proxy_pool does it.
            values = {one["proxy"]: json.dumps(one, ensure_ascii=False) for one in some}
            together.hset(table, mapping=values)
        together.execute()

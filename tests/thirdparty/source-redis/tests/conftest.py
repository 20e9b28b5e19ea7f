import os
import uuid
from collections.abc import Iterator

import pytest
from pools import PREFIX, redis_client
from redis import Redis
from redis.exceptions import RedisError


@pytest.fixture
def redis() -> Iterator["Redis"]:
    """The Redis of this machine."""
    with redis_client() as client:
        try:
            client.ping()
        except RedisError as error:
            if os.environ.get("REQUIRE_REDIS") or os.environ.get("CI"):
                pytest.fail(f"Redis does not run on 127.0.0.1:6379: {error}")
            pytest.skip("Redis does not run on 127.0.0.1:6379")
        yield client


@pytest.fixture
def table(redis: "Redis") -> Iterator[str]:
    """A key of one's own; what begins with it is deleted afterwards."""
    name = f"{PREFIX}{uuid.uuid4()}"
    yield name
    for key in redis.scan_iter(f"{name}*"):
        redis.delete(key)

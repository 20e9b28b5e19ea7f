import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import polars as pl
import pytest
from pools import URL, record, store
from redis import Redis
from tailrace_sdk.conformance import SourceConformance
from tailrace_sdk.conformance.sources import Placed

WALL = timedelta(hours=8)
"""What clocks in Shanghai are ahead."""


def address(number: int) -> str:
    return f"h{number:08}.example:8080"


class TestRedis(SourceConformance):
    target = "tailrace_source_redis"
    name = "redis"
    options: ClassVar[Mapping[str, Any]] = {"time_zone": "Asia/Shanghai"}
    texts = nulls = time_ranges = snapshots = counts = samples = leaves_out_bad_rows = True
    has_secrets = references = seals = True
    large_rows = 20_000

    @pytest.fixture(autouse=True)
    def _pool(self, redis: "Redis", table: str) -> None:
        self.redis, self.table = redis, table

    def placed(self, folder: Path, records: Sequence[Mapping[str, Any]], frame: pl.DataFrame | int | None) -> Placed:
        table = f"{self.table}:{folder}"
        store(self.redis, table, records)
        return Placed(URL, {"proxies": frame}, {"table": table, "allow_empty": not records})

    def row(self, number: int) -> dict[str, Any]:
        shown = (self.moment(number) + WALL).strftime("%Y-%m-%d %H:%M:%S")
        return record(address(number), check_count=number, last_time=shown, https=number % 2 == 0)

    def place(self, folder: Path, numbers: Sequence[int]) -> Placed:
        frame = pl.DataFrame(
            {
                "proxy": [address(number) for number in numbers],
                "https": [number % 2 == 0 for number in numbers],
                "check_count": list(numbers),
                "last_time": [self.moment(number) for number in numbers],
            },
            schema={
                "proxy": pl.String,
                "https": pl.Boolean,
                "check_count": pl.Int64,
                "last_time": pl.Datetime("us", "UTC"),
            },
        )
        return self.placed(folder, [self.row(number) for number in numbers], frame)

    def place_texts(self, folder: Path, texts: Sequence[str | None]) -> Placed:
        frame = pl.DataFrame({"region": texts}, schema={"region": pl.String})
        return self.placed(folder, [record(address(n), region=text) for n, text in enumerate(texts)], frame)

    def place_secrets(self, folder: Path, canaries: Sequence[str]) -> Placed:
        records = []
        for number, canary in enumerate(canaries):
            records += [
                record(f"user:{canary}@{address(2 * number)}", region=f"asked with {canary}!"),
                record(
                    f"{canary}@{address(2 * number + 1)}",
                    source=f"http://me:{quote(canary, safe='')}@lists.example/{quote(canary)}",
                    anonymous=json.dumps(canary),
                ),
            ]
        return self.placed(folder, records, None)

    def place_bad_rows(self, folder: Path, numbers: Sequence[int], bad: int) -> Placed:
        placed = self.place(folder, numbers)
        for number in range(bad):
            key = f"bad-{number}.example:1"
            values = ["{", "[]", json.dumps(record(key, fail_count="many")), json.dumps(record("another:1"))]
            self.redis.hset(placed.options["table"], key, values[number % len(values)])
        return Placed(placed.location, placed.tables, {**placed.options, "on_bad_rows": "report"})

    def change(self, folder: Path, placed: Placed) -> None:
        self.redis.hset(placed.options["table"], address(0), json.dumps(record(address(0), check_count=99)))
        more = f"more-{datetime.now(UTC).timestamp()}.example:1"
        self.redis.hset(placed.options["table"], more, json.dumps(record(more)))

    def missing(self, folder: Path) -> Placed:
        return Placed(URL, {}, {"table": f"{self.table}:missing"})

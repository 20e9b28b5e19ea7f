"""The targets of ``source-pool`` against ProxyWhirl itself: what one wrote, the other loads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tailrace_source_pool.source import PoolSource
from tailrace_source_pool.targets.opening import open_pool

from tailrace import OpenPoolCall, PoolChanges

SOURCE = PoolSource()
Pools = Callable[[str], Path]


def carry_over(old: Path, new: Path) -> None:
    """Read a pool and write all of it into one that is not there yet."""
    with open_pool(OpenPoolCall(str(old), write=False), SOURCE) as source:
        frame = source.read()
    assert frame.height == 1_000
    nothing = frame.head(0).with_columns(changed=pl.Series([], dtype=pl.List(pl.String)))
    with open_pool(OpenPoolCall(str(new), write=True), SOURCE) as target:
        keys = target.write(PoolChanges(frame.drop("key"), nothing))
    assert sorted(keys) == sorted(frame["key"])


def test_proxywhirl_loads_a_database_that_was_carried_over_as_its_own(
    proxywhirl: Any, pools: Pools, tmp_path: Path
) -> None:
    old, new = pools("pool.db"), tmp_path / "new.db"
    carry_over(old, new)
    before, after = proxywhirl.load("database", old), proxywhirl.load("database", new)
    assert len(before["load"]) == len(before["identities"]) == len(before["statuses"]) == 1_000
    assert sum(row["password"] is not None for row in before["load"].values()) == 850
    assert sum(row["total_checks"] > 0 for row in before["load"].values()) == 429
    assert after["load"] == before["load"]
    assert after["identities"] == before["identities"]
    assert after["statuses"] == before["statuses"]


@pytest.mark.parametrize("name", ["pool.json", "pool.enc"])
def test_proxywhirl_loads_a_file_storage_that_was_carried_over_as_its_own(
    proxywhirl: Any, pools: Pools, tmp_path: Path, key: str, name: str
) -> None:
    old, new = pools(name), tmp_path / name
    encrypted = name == "pool.enc"
    carry_over(old, new)
    assert new.read_bytes().startswith(b"gAAAAA") is encrypted
    used = key if encrypted else ""
    before, after = proxywhirl.load("file", old, key=used), proxywhirl.load("file", new, key=used)
    assert len(before) == 1_000
    assert sum(row["password"] is not None for row in before.values()) == 850
    assert any(row["tags"] for row in before.values())
    assert after == before


def test_proxywhirl_loads_a_pool_of_another_kind(proxywhirl: Any, pools: Pools, tmp_path: Path) -> None:
    with open_pool(OpenPoolCall(str(pools("pool.json")), write=False), SOURCE) as source:
        frame = source.read()
    carry_over(pools("pool.json"), tmp_path / "copy.json")
    nothing = frame.head(0).with_columns(changed=pl.Series([], dtype=pl.List(pl.String)))
    with open_pool(OpenPoolCall(str(tmp_path / "new.db"), write=True), SOURCE) as target:
        target.write(PoolChanges(frame.drop("key"), nothing))
    loaded = proxywhirl.load("database", tmp_path / "new.db")["load"]
    for stored in proxywhirl.load("file", pools("pool.json")).values():
        row = loaded[stored["url"]]
        same = ("username", "password", "protocol", "country_code", "health_status", "total_checks", "last_success_at")
        assert {name: row[name] for name in same} == {name: stored[name] for name in same}


def test_proxywhirl_goes_on_with_a_database_that_was_changed(proxywhirl: Any, pools: Pools, tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    carry_over(pools("pool.db"), new)
    with open_pool(OpenPoolCall(str(new), write=True), SOURCE) as target:
        frame = target.read()
        changed = ["password", "city", "health_status", "total_checks"]
        update = frame.filter(credentials_in="columns").head(2)
        update = update.with_columns(
            password=pl.lit("new: pä$$"),
            city=pl.lit("Zürich"),
            health_status=pl.lit("healthy"),
            total_checks=pl.lit(99),
            changed=pl.Series([changed, changed[:1]]),
        )
        gone = frame["key"].tail(3).to_list()
        target.write(PoolChanges(frame.head(0).drop("key"), update, tuple(gone)))
    before, after = (proxywhirl.load("database", path) for path in (pools("pool.db"), new))
    first, second = update["key"]
    for url in gone:
        for rows in before.values():
            del rows[url]
    before["identities"][first] |= {"password": "new: pä$$", "city": "Zürich"}
    before["identities"][second] |= {"password": "new: pä$$"}
    before["statuses"][first] |= {"health_status": "healthy", "total_checks": 99}
    before["load"][first] |= {"password": "new: pä$$", "health_status": "healthy", "total_checks": 99}
    before["load"][second] |= {"password": "new: pä$$"}
    assert after == before

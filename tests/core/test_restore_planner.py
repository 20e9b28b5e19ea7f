"""What an import decides, from two frames."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from tailrace.model.errors import PluginContractError
from tailrace.plugins.pools import Loss
from tailrace.restore.fields import FIELDS, MOMENT
from tailrace.restore.identity import addresses, identities, urls_with_login
from tailrace.restore.plan import Plan
from tailrace.restore.planner import plan
from tailrace.restore.request import OnDuplicate

ALL = frozenset(FIELDS)
T = [datetime(2026, 8, day, tzinfo=UTC) for day in range(1, 20)]
URL = "stored_url"


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Proxies; those that say no better are ``http://h:1``, ``http://h:2`` …"""
    names = list(dict.fromkeys(["protocol", "host", "port", *(name for row in rows for name in row)]))
    values = [{"protocol": "http", "host": "h", "port": number, **row} for number, row in enumerate(rows, 1)]
    schema = {name: FIELDS[name].dtype if name in FIELDS else pl.String() for name in names}
    return pl.DataFrame(values, schema=schema)


def pool_of(*rows: dict[str, Any]) -> pl.DataFrame:
    made = frame(*rows)
    return made.with_columns(key=pl.format("k{}", pl.int_range(1, pl.len() + 1)))


def planned(
    file: pl.DataFrame,
    pool: pl.DataFrame | None = None,
    how: str = "skip",
    *,
    unique: str | None = None,
    holds: Any = ALL,
    refuses: Any = None,
) -> Plan:
    return plan(
        file,
        pool_of() if pool is None else pool,
        on_duplicate=OnDuplicate(how),
        holds=holds,
        unique=unique,
        refuses=refuses,
    )


def actions(made: Plan) -> list[str]:
    return made.decisions["action"].to_list()


def counts(made: Plan) -> dict[str, int]:
    from tailrace.model.convert import unstructure

    return {name: count for name, count in unstructure(made.counts).items() if count}


def changes(made: Plan) -> dict[str, list[tuple[int, Any, Any]]]:
    return {
        each.column: list(zip(each.rows, each.old.to_list(), each.new.to_list(), strict=True))
        for each in made.differences
    }


def test_documents_are_compared_by_what_they_mean() -> None:
    for pool, file, expected in (
        ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}', "unchanged"),
        ('{"a": 1}', '{"a": true}', "skip"),
        ('{"a": 1}', '{"a": 2}', "skip"),
        ('{"a": 1}', '{"a":', "skip"),
        ('{"a": 1}', '{"a": NaN}', "skip"),
        (None, '{"a": 1}', "skip"),
        ("[" * 10, "[" * 100_000, "skip"),
    ):
        made = planned(frame({"metadata": file}), pool_of({"metadata": pool}))
        assert actions(made) == [expected]
        merged = planned(frame({"metadata": file, "updated_at": T[0]}), pool_of({"metadata": pool}), "merge")
        assert ("metadata" in changes(merged)) == (expected == "skip")


def test_what_the_pool_does_not_have_is_added_as_it_is() -> None:
    made = planned(frame({"tags": '["a"]', "place": "$.proxies[0]"}, {"username": "u", "password": "p", "place": "x"}))
    assert actions(made) == ["add", "add"]
    assert counts(made) == {"file": 2, "add": 2}
    assert made.changes.add.drop_nulls("username").to_dicts() == [
        {
            "protocol": "http",
            "host": "h",
            "port": 2,
            "tags": None,
            "username": "u",
            "password": "p",
            "url": "http://h:2",
        }
    ]
    assert "place" not in made.changes.add.columns
    assert made.changes.update.height == 0
    assert made.changes.remove == ()
    assert made.decisions.to_dicts()[0] == {
        "place": "$.proxies[0]",
        "action": "add",
        "address": "http://h:1",
        "of": None,
        "reason": None,
    }


@pytest.mark.parametrize("how", ["skip", "rename", "merge"])
def test_an_empty_file_changes_nothing(how: str) -> None:
    for unique in (None, URL):
        made = planned(frame(), pool_of({}), how, unique=unique)
        assert counts(made) == {"pool": 1}
        assert made.changes.count == 0
        assert made.decisions.is_empty()


@pytest.mark.parametrize("how", ["skip", "merge"])
def test_what_is_there_and_says_nothing_new_is_unchanged(how: str) -> None:
    row = {"username": "u", "tags": '["a", "b"]', "latency_ms": 1.5, "updated_at": T[0]}
    made = planned(frame({**row, "tags": '["a","b"]'}), pool_of(row), how)
    assert actions(made) == ["unchanged"]
    assert counts(made) == {"file": 1, "pool": 1, "unchanged": 1, "duplicates_with_pool": 1}
    assert made.changes.count == 0


def test_skip_leaves_what_is_there_as_it_is() -> None:
    made = planned(frame({"latency_ms": 2.0}), pool_of({"latency_ms": 1.0}))
    assert actions(made) == ["skip"]
    assert made.changes.count == 0


def test_hosts_do_not_differ_by_case_and_an_empty_login_is_none() -> None:
    pool = pool_of({"host": "GW.example.com", "username": None, "password": ""})
    made = planned(frame({"host": "gw.Example.com", "username": "", "password": None}), pool)
    assert actions(made) == ["unchanged"]


@pytest.mark.parametrize("part", ["protocol", "host", "port", "username", "password"])
def test_every_part_of_an_identity_tells_proxies_apart(part: str) -> None:
    row = {"protocol": "http", "host": "h", "port": 1, "username": "u", "password": "p"}
    other = {**row, part: 2 if part == "port" else "other"}
    assert actions(planned(frame(row, other), pool_of(row))) == ["unchanged", "add"]
    assert actions(planned(frame({**row, part: None}), pool_of(row))) == ["add"]


def test_duplicates_inside_the_file_are_told_apart_from_those_with_the_pool() -> None:
    file = frame(*({"port": port, "place": f"line {number}"} for number, port in enumerate([1, 2, 1, 1, 2], 1)))
    made = planned(file, pool_of({"port": 1}))
    assert actions(made) == ["unchanged", "add", "skip", "skip", "skip"]
    assert counts(made) == {
        "file": 5,
        "pool": 1,
        "add": 1,
        "unchanged": 1,
        "skip": 3,
        "duplicates_in_file": 3,
        "duplicates_with_pool": 1,
    }
    assert made.decisions["of"].to_list() == [None, None, "line 1", "line 1", "line 2"]
    assert made.decisions["reason"].to_list()[2:] == ["the file has it before"] * 3


def test_a_pool_that_has_a_proxy_twice_is_compared_by_the_first() -> None:
    made = planned(frame({"ttl": 3}), pool_of({"port": 1, "ttl": 1}, {"port": 1, "ttl": 2}), "merge")
    assert actions(made) == ["unchanged"]
    made = planned(frame({"ttl": 3, "updated_at": T[1]}), pool_of({"port": 1}, {"port": 1}), "merge")
    assert made.changes.update["key"].to_list() == ["k1"]


def test_files_without_places_are_counted_through() -> None:
    assert planned(frame({}, {})).decisions["place"].to_list() == ["proxy 1", "proxy 2"]


MERGES: list[tuple[str, Any, Any, Any, Any]] = [
    # column, pool (older), file (newer), merged, merged when the pool is the newer one
    ("region", "a", "b", "b", "a"),
    ("region", None, "b", "b", "b"),
    ("region", "a", None, "a", "a"),
    ("latitude", 1.0, 2.0, 2.0, 1.0),
    ("allow_local", True, False, False, True),
    ("health_status", "healthy", "dead", "dead", "healthy"),
    ("consecutive_failures", 5, 0, 0, 5),
    ("avg_response_time_ms", 5.0, 4.0, 4.0, 5.0),
    ("success_rate_7d", None, 0.5, 0.5, 0.5),
    ("requests_active", 5, 1, 1, 5),
    ("total_checks", 5, 4, 5, 5),
    ("total_successes", 4, 5, 5, 5),
    ("requests_total", None, 5, 5, 5),
    ("requests_failed", 7, None, 7, 7),
    ("last_success_at", T[3], T[2], T[3], T[3]),
    ("last_failure_at", T[2], T[3], T[3], T[3]),
    ("discovered_at", T[3], T[2], T[2], T[2]),
    ("discovered_at", T[2], T[3], T[2], T[2]),
    ("id", "pool", "file", "pool", "pool"),
    ("id", None, "file", None, None),
    ("tags", '["b", "a"]', '["c", "a"]', '["a", "b", "c"]', '["a", "b", "c"]'),
    ("tags", '["a", "b"]', '["b"]', '["a", "b"]', '["a", "b"]'),
    ("tags", '["a", 1]', '[{"x": 1}]', '["a", 1, {"x": 1}]', '["a", 1, {"x": 1}]'),
    ("tags", "no list", '["b"]', '["b"]', "no list"),
    ("tags", '{"no": "list"}', '["b"]', '["b"]', '{"no": "list"}'),
    ("metadata", '{"a": 1, "b": 2}', '{"b": 3, "c": 4}', '{"a": 1, "b": 3, "c": 4}', '{"b": 2, "c": 4, "a": 1}'),
    ("extra", None, '{"b": 3}', '{"b": 3}', '{"b": 3}'),
    ("extra", "[1]", '{"b": 3}', '{"b": 3}', "[1]"),
    ("own_column", "a", "b", "b", "a"),
]


@pytest.mark.parametrize(("column", "pool", "file", "newer", "older"), MERGES)
def test_the_rules_of_a_merge(column: str, pool: Any, file: Any, newer: Any, older: Any) -> None:
    holds = {*ALL, "own_column"}
    for pool_time, file_time, expected in ((T[0], T[9], newer), (T[9], T[0], older), (T[5], T[5], older)):
        of_pool = pool_of({column: pool, "updated_at": pool_time})
        made = planned(frame({column: file, "updated_at": file_time}), of_pool, "merge", holds=holds)
        becomes = made.changes.update[column].to_list() or [pool]
        if column in {"metadata", "extra"} and expected.startswith("{"):
            assert json.loads(becomes[0]) == json.loads(expected)
        else:
            assert becomes == [expected]
        changed = {"updated_at"} if file_time > pool_time else set()
        assert set(changes(made)) == changed | ({column} if expected != pool else set())


def test_the_last_check_tells_which_is_newer_where_the_record_does_not() -> None:
    for times, expected in (((None, T[1], None, T[2]), "file"), ((None, T[2], None, T[1]), "pool")):
        pool = pool_of({"region": "pool", "updated_at": times[0], "last_check_at": times[1]})
        file = frame({"region": "file", "updated_at": times[2], "last_check_at": times[3]})
        made = planned(file, pool, "merge")
        assert (made.changes.update["region"].to_list() or ["pool"]) == [expected]
    made = planned(frame({"region": "file"}), pool_of({"region": "pool"}), "merge")
    assert actions(made) == ["unchanged"]


def test_an_update_has_the_whole_record_and_names_its_columns() -> None:
    pool = pool_of({"ttl": 1}, {"ttl": 2, "region": "r", "id": "x", "stored_url": "http://u:p@h:2"})
    made = planned(frame({"ttl": 9}, {"ttl": None, "city": "c", "latency_ms": 1.0}), pool, "merge")
    assert actions(made) == ["unchanged", "update"]
    assert made.changes.update.to_dicts() == [
        {
            "protocol": "http",
            "host": "h",
            "port": 2,
            "ttl": 2,
            "region": "r",
            "id": "x",
            "stored_url": "http://u:p@h:2",
            "key": "k2",
            "username": None,
            "password": None,
            "city": "c",
            "latency_ms": 1.0,
            "changed": ["city", "latency_ms"],
        }
    ]
    assert changes(made) == {"city": [(1, None, "c")], "latency_ms": [(1, None, 1.0)]}


def test_where_a_login_is_stored_is_never_changed_by_a_merge() -> None:
    login = {"username": "u", "password": "p"}
    pool = pool_of({**login, "stored_url": "http://u:p@h:1", "credentials_in": "url"})
    made = planned(frame({**login, "credentials_in": "columns"}), pool, "merge")
    assert actions(made) == ["unchanged"]


def test_records_that_the_file_repeats_are_merged_before_they_are_added() -> None:
    file = frame(
        {"port": 1, "total_checks": 3, "region": "old", "tags": '["b"]', "updated_at": T[1], "id": "first"},
        {"port": 2, "region": "other"},
        {"port": 1, "total_checks": 9, "region": "new", "tags": '["a"]', "updated_at": T[5], "id": "second"},
        {"port": 1, "total_checks": 5, "city": "c", "metadata": '{"m": 1}', "updated_at": T[3], "discovered_at": T[2]},
    )
    made = planned(file, None, "merge")
    assert actions(made) == ["add", "add", "merged", "merged"]
    assert counts(made) == {"file": 4, "add": 2, "merged": 2, "duplicates_in_file": 2}
    first, second = made.changes.add.to_dicts()
    assert first["total_checks"] == 9
    assert first["region"] == "new"
    assert first["city"] == "c"
    assert first["tags"] == '["a", "b"]'
    assert first["metadata"] == '{"m": 1}'
    assert first["updated_at"] == T[5]
    assert first["discovered_at"] == T[2]
    assert first["id"] == "first"
    assert second["region"] == "other"


def test_records_that_the_file_repeats_are_merged_into_the_pool_together() -> None:
    file = frame({"port": 1, "total_checks": 3}, {"port": 1, "total_checks": 9}, {"port": 1})
    made = planned(file, pool_of({"total_checks": 5}), "merge")
    assert actions(made) == ["update", "merged", "merged"]
    assert changes(made) == {"total_checks": [(0, 5, 9)]}


def test_rename_keeps_every_one_of_the_same_proxy() -> None:
    made = planned(
        frame({"port": 1, "id": "a"}, {"port": 2, "id": "b"}, {"port": 2, "id": "b"}), pool_of({"id": "a"}), "rename"
    )
    assert actions(made) == ["rename", "add", "rename"]
    assert made.changes.add["id"].to_list() == [None, "b", None]
    assert made.notes == ("2 proxies are given a new id, because another entry has theirs.",)


GATEWAY = [{"port": 1, "username": name, "password": "p@ss/word", "place": f"line {name}"} for name in "abc"]


def test_a_target_that_cannot_hold_a_url_twice_is_told_in_the_plan() -> None:
    made = planned(frame(*GATEWAY), pool_of({"port": 9}), unique=URL)
    assert actions(made) == ["add", "clash", "clash"]
    assert made.clashes() == [
        ("line b", "line a of the file has this URL"),
        ("line c", "line a of the file has this URL"),
    ]
    assert made.changes.add["username"].to_list() == ["a"]
    made = planned(frame(*GATEWAY), pool_of({"port": 1, "username": "z"}), unique=URL)
    assert actions(made) == ["clash"] * 3
    assert {reason for _place, reason in made.clashes()} == {"the pool holds another entry under this URL"}
    assert counts(made)["clash"] == 3
    assert actions(planned(frame(*GATEWAY), unique=None)) == ["add"] * 3


def test_a_stored_url_is_what_counts_there() -> None:
    file = frame(*({**row, "stored_url": f"http://{row['username']}@h:1"} for row in GATEWAY))
    made = planned(file, pool_of({"port": 1}, {"port": 7, "stored_url": "http://c@h:1"}), unique=URL)
    assert actions(made) == ["add", "add", "clash"]


def test_rename_solves_a_clash_by_the_login_in_the_url() -> None:
    pool = pool_of({"port": 7, "stored_url": "http://c:p%40ss%2Fword@h:1"})
    made = planned(frame(*GATEWAY, {"port": 1}), pool, "rename", unique=URL)
    assert actions(made) == ["add", "rename", "clash", "clash"]
    assert made.clashes() == [
        ("line c", "line a of the file has this URL"),
        (made.decisions["place"][3], "line a of the file has this URL"),
    ]
    added = made.changes.add.select("username", "stored_url", "credentials_in").rows()
    assert added == [("a", None, None), ("b", "http://b:p%40ss%2Fword@h:1", "url")]
    (note,) = made.notes
    assert note == (
        "1 proxy is stored under a URL with the login in it, because the plain one is taken: the pool then holds these "
        "passwords in clear, in its URLs."
    )


def test_what_was_to_be_merged_into_a_clash_clashes_too() -> None:
    made = planned(frame(*GATEWAY[:2], GATEWAY[1]), None, "merge", unique=URL)
    assert actions(made) == ["add", "clash", "clash"]
    assert made.clashes()[1] == ("line b", "the file has it before, and there it clashes")


def test_another_column_can_be_the_unique_one() -> None:
    made = planned(frame({"id": "x"}, {"id": "x"}, {"id": None}), None, unique="id")
    assert actions(made) == ["add", "clash", "clash"]
    assert made.clashes()[0][1] == "proxy 1 of the file has this id"


def test_what_the_target_cannot_hold_is_counted_and_not_compared() -> None:
    file = frame({"tags": '["a"]', "city": "c", "ttl": 5}, {"tags": None, "city": "d"}, {"port": 1, "city": "e"})
    holds = ALL - {"tags", "city"}
    made = planned(file, pool_of({"port": 2, "city": "x", "ttl": 1}), holds=holds)
    assert actions(made) == ["add", "unchanged", "skip"]
    assert made.losses == (
        Loss("city", 1, "the target has no place for it"),
        Loss("tags", 1, "the target has no place for it"),
    )
    assert "city" not in made.changes.add.columns


def test_a_target_without_logins_loses_the_proxies_that_differ_in_nothing_else() -> None:
    file = frame(*GATEWAY, GATEWAY[0])
    made = planned(file, pool_of({"port": 9}), holds={"protocol", "host", "port"})
    assert actions(made) == ["add", "skip", "skip", "skip"]
    assert made.losses == (
        Loss("password", 1, "the target has no place for it"),
        Loss("username", 1, "the target has no place for it"),
        Loss("proxies", 2, "without username and password the target cannot tell it from another one", proxies=True),
    )
    assert counts(made)["duplicates_in_file"] == 1
    assert made.decisions["reason"][1] == (
        "the target cannot tell it from that one: it does not hold what they differ in"
    )
    again = planned(file, pool_of({"port": 1}), holds={"protocol", "host", "port"})
    assert actions(again)[0] == "unchanged"


def test_times_are_compared_as_moments_and_floats_exactly() -> None:
    pool = pool_of({"expires_at": T[0], "cost_per_request": 0.1})
    other = frame({}).with_columns(
        expires_at=pl.Series([T[0]]).dt.convert_time_zone("Asia/Tokyo").cast(pl.Datetime("ms", "Asia/Tokyo")),
        cost_per_request=pl.Series([0.1]),
    )
    assert actions(planned(other, pool)) == ["unchanged"]
    assert actions(planned(frame({"cost_per_request": 0.1000000000000001}), pool)) == ["skip"]


def test_columns_of_other_types_break_the_contract_without_being_quoted() -> None:
    with pytest.raises(PluginContractError) as caught:
        planned(frame({}).with_columns(password=pl.Series([5])))
    assert caught.value.message == "the file gave the column 'password' as Int64 instead of String."
    for column, values in {
        "port": pl.Series([1.5]),
        "updated_at": pl.Series([datetime(2026, 1, 1)]),  # noqa: DTZ001 - without a zone on purpose
        "latency_ms": pl.Series(["fast"]),
        "allow_local": pl.Series([1]),
    }.items():
        with pytest.raises(PluginContractError):
            planned(frame({}).with_columns(values.alias(column)))


def test_columns_of_near_types_are_taken() -> None:
    file = frame({}).with_columns(
        port=pl.Series([1], dtype=pl.UInt16),
        latency_ms=pl.Series([1]),
        city=pl.Series([None]),
        source=pl.Series(["user"], dtype=pl.Categorical),
    )
    made = planned(file, pool_of({"source": "user", "latency_ms": 1.0}))
    assert actions(made) == ["unchanged"]


def test_addresses_and_urls_are_written_as_urls_are() -> None:
    proxies = frame(
        {"host": "2001:db8::1", "username": "ü:@", "password": None},
        {"host": "h", "username": None, "password": "p w"},
        {"host": "h", "username": "", "password": ""},
    )
    assert addresses(proxies).to_list() == ["http://[2001:db8::1]:1", "http://h:2", "http://h:3"]
    assert urls_with_login(proxies).to_list() == [
        "http://%C3%BC%3A%40@[2001:db8::1]:1",
        "http://:p%20w@h:2",
        None,
    ]


def test_ids_of_identities_have_a_key_and_say_what_is_compared() -> None:
    asked: list[tuple[str, ...]] = []

    def identify(*parts: str) -> str:
        asked.append(parts)
        return f"id{len(asked)}"

    proxies = frame({"host": "GW", "username": "", "password": "p"})
    assert identities(proxies, identify) == ["id1"]
    assert asked == [("import", "4:http,2:gw,1:1,0:,1:p,")]


@pytest.mark.parametrize("how", ["skip", "rename", "merge"])
def test_planning_a_hundred_thousand_against_as_many_takes_no_time(how: str) -> None:
    count = 100_000
    number = pl.int_range(count, eager=True)
    file = pl.DataFrame({"number": number, "port": pl.repeat(8080, count, eager=True)}).with_columns(
        protocol=pl.lit("http"),
        host=pl.format("gw{}.example.com", number % 100),
        username=pl.format("user-{}", number),
        password=pl.format("p@ss {}", number),
        updated_at=pl.lit(T[0], MOMENT) + pl.duration(seconds="number"),
        total_checks=number,
        tags=pl.lit('["a"]'),
    )
    file = file.drop("number")
    pool = file.with_columns(key=number.cast(pl.String), total_checks=number - 1)
    began = time.perf_counter()
    made = planned(file, pool, how, unique=URL)
    assert time.perf_counter() - began < 5
    assert made.counts.file == count
    assert made.counts.duplicates_with_pool == count


def test_a_proxy_that_is_repeated_a_hundred_thousand_times_is_no_trouble() -> None:
    file = pl.DataFrame({"port": pl.repeat(1, 100_000, eager=True), "total_checks": pl.int_range(100_000, eager=True)})
    file = file.with_columns(protocol=pl.lit("http"), host=pl.lit("h"))
    made = planned(file, None, "merge")
    assert made.changes.add["total_checks"].to_list() == [99_999]
    assert made.counts.merged == 99_999


def test_a_plan_is_always_the_same() -> None:
    file = frame(*GATEWAY, *GATEWAY, {"port": 5, "ttl": 1, "updated_at": T[3]})
    pool = pool_of({"port": 5, "ttl": 2, "updated_at": T[3] - timedelta(days=1)})
    for how in OnDuplicate:
        first, second = (planned(file, pool, how, unique=URL) for _ in range(2))
        assert first.decisions.equals(second.decisions)
        assert first.changes.add.equals(second.changes.add)
        assert first.changes.update.equals(second.changes.update)
        assert "p@ss" not in repr(first)


def no_socks(proxies: pl.DataFrame) -> pl.Series:
    return proxies.select(pl.when(pl.col("protocol") == "socks5h").then(pl.lit("no such protocol"))).to_series()


@pytest.mark.parametrize("unique", [None, URL])
def test_what_the_target_refuses_is_a_clash_with_its_reason(unique: str | None) -> None:
    file = frame({}, {"protocol": "socks5h"}, {"protocol": "socks5h"}, {})
    made = planned(file, pool_of({"port": 4}), unique=unique, refuses=no_socks)
    assert actions(made) == ["add", "clash", "clash", "unchanged"]
    assert made.clashes() == [("proxy 2", "no such protocol"), ("proxy 3", "no such protocol")]
    assert made.changes.add["port"].to_list() == [1]
    assert counts(made)["clash"] == 2


def test_what_was_to_be_merged_into_something_refused_is_refused_too() -> None:
    file = frame({"protocol": "socks5h", "port": 1}, {"protocol": "socks5h", "port": 1}, {})
    made = planned(file, how="merge", refuses=no_socks)
    assert actions(made) == ["clash", "clash", "add"]
    assert made.clashes()[1] == ("proxy 2", "the file has it before, and there it cannot be held")


def test_something_refused_takes_nobodys_place() -> None:
    file = frame({"port": 1, "username": "bad", "password": "x"}, {"port": 1, "username": "good", "password": "x"})

    def not_bad(proxies: pl.DataFrame) -> pl.Series:
        return proxies.select(pl.when(pl.col("username") == "bad").then(pl.lit("not that one"))).to_series()

    assert actions(planned(file, unique=URL, refuses=not_bad)) == ["clash", "add"]


def test_what_is_in_the_pool_already_is_not_refused() -> None:
    file = frame({"protocol": "socks5h", "country_code": "DE"})
    made = planned(file, pool_of({"protocol": "socks5h"}), "merge", refuses=no_socks)
    assert actions(made) == ["update"]

"""What each kind of pool becomes: rows, columns, order, counts, notes."""

import gzip
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tailrace_source_pool import tailrace_source

from tailrace import Context, CredentialMode, Meaning, SourceCall

DATA = Path(__file__).parents[1] / "data"
DATABASE = DATA / "proxywhirl-sample.db"
FILE_STORAGE = DATA / "proxywhirl-file-storage-sample.json"
SOURCE = tailrace_source()
LEADING = ["number", "url", "protocol", "host", "port", "auth_type", "has_credentials", "username", "password"]


def reference(*parts: str) -> str:
    return "ref-" + hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def call(location: Path | str, mode: str = "sanitized", **options: Any) -> SourceCall:
    return SourceCall(
        location=str(location),
        options=SOURCE.options_type(**options),
        credentials=CredentialMode(mode),
        moment=datetime(2026, 11, 23, tzinfo=UTC),
        window=None,
        reference=reference,
        context=Context(),
    )


def proxies(location: Path | str, mode: str = "sanitized", **options: Any) -> pl.DataFrame:
    with SOURCE.open(call(location, mode, **options)) as dataset:
        return dataset.tables[0].frame.collect()


def notes(location: Path | str, mode: str = "sanitized", **options: Any) -> tuple[str, ...]:
    with SOURCE.open(call(location, mode, **options)) as dataset:
        return tuple(dataset.notes)


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the sample, changed by the statements given."""

    def changed(*statements: str) -> Path:
        path = tmp_path / "pool.db"
        shutil.copy(DATABASE, path)
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return path

    return changed


@pytest.fixture
def text(tmp_path: Path) -> Callable[[str], Path]:
    def written(content: str) -> Path:
        path = tmp_path / "pool.txt"
        path.write_text(content, encoding="utf-8", newline="")
        return path

    return written


def entry(**members: Any) -> dict[str, Any]:
    return {"url": "http://192.0.2.1:8080", **members}


# --- ProxyWhirl's database


def test_database_has_every_proxy_with_its_status() -> None:
    with SOURCE.open(call(DATABASE)) as dataset:
        (table,) = dataset.tables
        frame = table.frame.collect()
        assert table.count_rows is not None
        assert table.count_rows() == 30
    assert dataset.version == "proxywhirl-sqlite"
    assert type(dataset.version) is str
    assert table.name == "proxies"
    assert table.time_column == "discovered_at"
    with sqlite3.connect(DATABASE) as connection:
        connection.row_factory = sqlite3.Row
        expected = connection.execute(
            "SELECT * FROM proxy_identities AS i JOIN proxy_statuses AS s ON s.proxy_url = i.url ORDER BY url"
        ).fetchall()
    connection.close()
    assert frame.height == 30
    assert frame["number"].to_list() == list(range(1, 31))
    same = ("url", "protocol", "host", "port", "country_name", "health_status", "total_checks", "success_rate_7d")
    for name in same:
        assert frame[name].to_list() == [row[name] for row in expected], name
    for name in ("discovered_at", "last_success_at", "last_failure_at", "last_check_at", "updated_at"):
        assert frame.schema[name] == pl.Datetime("us", "UTC")
        stored = [None if row[name] is None else datetime.fromisoformat(row[name] + "+00:00") for row in expected]
        assert frame[name].to_list() == stored, name
    assert frame["is_residential"].to_list() == [False] * 30
    assert frame["has_credentials"].to_list() == [row["password"] is not None for row in expected]
    assert frame["username"].null_count() == 30
    assert frame["password"].null_count() == 30


def test_database_columns_are_described() -> None:
    with SOURCE.open(call(DATABASE, checks=True)) as dataset:
        for table in dataset.tables:
            assert [column.name for column in table.columns] == table.frame.collect_schema().names()
            assert all(column.description for column in table.columns)
        meanings = {column.name: column.meaning for column in dataset.tables[0].columns}
    assert list(meanings)[:9] == LEADING
    assert meanings["url"] is Meaning.URL
    assert meanings["username"] is meanings["password"] is Meaning.SECRET
    assert meanings["discovered_at"] is Meaning.TIMESTAMP
    assert meanings["total_checks"] is Meaning.MEASURE
    assert {column.name: column.unit for column in dataset.tables[0].columns}["avg_response_time_ms"] == "ms"


def test_database_notes_say_what_it_is_and_what_was_left_out() -> None:
    assert notes(DATABASE) == (
        "A database of ProxyWhirl with 30 proxies.",
        "User names and passwords of 10 proxies were removed.",
        (
            "10 of them are stored encrypted: the encrypted text was not copied either, "
            "and other columns could not be searched for what it hides."
        ),
        "The database also holds 457 health checks: --option checks=true exports them.",
    )


def test_uri_names_the_database() -> None:
    assert proxies(f"proxywhirl://{DATABASE}").equals(proxies(DATABASE))


def test_relative_uri_and_percent_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(DATABASE, tmp_path / "my pool.db")
    monkeypatch.chdir(tmp_path)
    assert proxies("proxywhirl://my%20pool.db").height == 30


def test_checks_refer_to_their_proxies() -> None:
    with SOURCE.open(call(DATABASE, checks=True)) as dataset:
        pool, checks = dataset.tables
        assert checks.count_rows is not None
        assert checks.count_rows() == 457
        frame = checks.frame.collect(engine="streaming")
        proxy = pool.frame.collect()
    assert checks.name == "checks"
    assert checks.time_column == "validated_at"
    assert frame.columns == [
        "id",
        "proxy_number",
        "proxy_url",
        "validated_at",
        "is_valid",
        "response_time_ms",
        "error_type",
        "error_message",
    ]
    joined = frame.join(proxy, left_on="proxy_number", right_on="number")
    assert joined.height == 457
    assert (joined["proxy_url"] == joined["url"]).all()
    with sqlite3.connect(DATABASE) as connection:
        stored = connection.execute(
            "SELECT id, proxy_url, validated_at, is_valid, response_time_ms, error_type "
            "FROM validation_results ORDER BY id"
        ).fetchall()
    connection.close()
    read = frame.select("id", "proxy_url", "validated_at", "is_valid", "response_time_ms", "error_type").rows()
    assert read == [
        (row[0], row[1], datetime.fromisoformat(row[2] + "+00:00"), bool(row[3]), row[4], row[5]) for row in stored
    ]


def test_samples_have_the_shape_of_their_tables() -> None:
    with SOURCE.open(call(DATABASE, checks=True)) as dataset:
        for table, n in zip(dataset.tables, (5, 20), strict=True):
            assert table.sample is not None
            sample = table.sample(n)
            assert 0 < sample.height <= n
            assert sample.schema == table.frame.collect_schema()
            assert table.sample(0).height == 0
            assert table.bad_rows.count == 0


def test_rows_without_a_partner_are_counted_and_none_of_ours_is_lost(database: Callable[..., Path]) -> None:
    path = database(
        "DELETE FROM proxy_statuses WHERE proxy_url = (SELECT min(proxy_url) FROM proxy_statuses)",
        "INSERT INTO proxy_statuses SELECT 'http://198.51.100.7:1', health_status, last_success_at, last_failure_at, "
        "last_check_at, 1, 2, 3, 4, 5.0, 0.5, updated_at FROM proxy_statuses LIMIT 1",
        "INSERT INTO validation_results VALUES (9001, 'http://198.51.100.7:1', '2026-08-20 00:00:00.000000', 1, 2.5, "
        "NULL, NULL), (9002, 'http://198.51.100.8:1/x', '2026-08-20 00:00:00.000000', 0, NULL, NULL, NULL)",
    )
    with SOURCE.open(call(path, checks=True)) as dataset:
        said = " ".join(dataset.notes)
        pool, checks = (table.frame.collect() for table in dataset.tables)
    assert "1 proxies have no status yet: its columns are empty." in said
    assert "1 rows of proxy_statuses are of proxies that are not in the pool: they are not exported." in said
    assert "2 checks are of 2 proxies that are not in the pool: their proxy_number is empty." in said
    assert pool.height == 30
    assert pool.row(0, named=True)["total_checks"] is None
    assert checks.filter(pl.col("id") > 9000).select("proxy_number", "proxy_url").rows() == [
        (None, "http://198.51.100.7:1"),
        (None, "http://198.51.100.8:1/x"),
    ]


def test_logins_in_stored_urls_do_not_merge_proxies(database: Callable[..., Path]) -> None:
    path = database(
        "INSERT INTO proxy_identities SELECT 'http://zoe:second-word@192.0.2.9:80', protocol, '192.0.2.9', 80, NULL, "
        "NULL, country_code, country_name, region, city, latitude, longitude, asn, isp_name, 0, 0, source, "
        "source_url, discovered_at FROM proxy_identities LIMIT 1",
        "INSERT INTO proxy_identities SELECT 'http://adam:first-word@192.0.2.9:80', protocol, '192.0.2.9', 80, NULL, "
        "NULL, country_code, country_name, region, city, latitude, longitude, asn, isp_name, 0, 0, source, "
        "source_url, discovered_at FROM proxy_identities LIMIT 1",
        "INSERT INTO validation_results VALUES (9001, 'http://adam:first-word@192.0.2.9:80', "
        "'2026-08-20 00:00:00.000000', 1, 2.5, NULL, NULL)",
    )
    with SOURCE.open(call(path, "reference", checks=True)) as dataset:
        pool, checks = (table.frame.collect() for table in dataset.tables)
    assert pool["url"].is_sorted()
    gateway = pool.filter(host="192.0.2.9")
    # In the order of the rows, not of the names: sorting by what is hidden would tell something about it.
    assert gateway["url"].to_list() == ["http://192.0.2.9:80"] * 2
    assert gateway["username"].to_list() == [
        reference("username", "http", "192.0.2.9", "80", "clear", "zoe", "second-word"),
        reference("username", "http", "192.0.2.9", "80", "clear", "adam", "first-word"),
    ]
    assert checks.filter(id=9001).select("proxy_number", "proxy_url").rows() == [
        (gateway["number"][1], "http://192.0.2.9:80")
    ]


def test_columns_of_another_version_are_kept_and_missing_ones_said(database: Callable[..., Path]) -> None:
    path = database(
        "ALTER TABLE proxy_identities ADD COLUMN weight DOUBLE DEFAULT 1.5",
        "ALTER TABLE proxy_identities ADD COLUMN number INTEGER DEFAULT 7",
        "ALTER TABLE proxy_identities ADD COLUMN face BLOB",
        "ALTER TABLE proxy_statuses ADD COLUMN source TEXT DEFAULT 'probe'",
        "ALTER TABLE proxy_identities DROP COLUMN isp_name",
    )
    with SOURCE.open(call(path)) as dataset:
        row = dataset.tables[0].frame.collect().row(0, named=True)
        assert row["weight"] == 1.5
        assert row["number"] == 1
        assert row["proxy_identities_number"] == 7
        assert row["source"] == "fetched"
        assert row["proxy_statuses_source"] == "probe"
        assert row["isp_name"] is None
        assert "proxy_identities has no isp_name: empty in this export." in dataset.notes
        assert "proxy_identities has binary columns, which are not exported: face." in dataset.notes


def test_an_empty_database_is_a_valid_pool(database: Callable[..., Path]) -> None:
    path = database("DELETE FROM proxy_identities", "DELETE FROM proxy_statuses", "DELETE FROM validation_results")
    with SOURCE.open(call(path, checks=True)) as dataset:
        heights = [table.frame.collect().height for table in dataset.tables]
        assert list(dataset.notes) == ["A database of ProxyWhirl with no proxies."]
    assert heights == [0, 0]
    assert notes(path) == ("A database of ProxyWhirl with no proxies.",)
    assert proxies(path).schema == proxies(DATABASE).schema


def test_snapshot_does_not_move(database: Callable[..., Path]) -> None:
    path = database("PRAGMA journal_mode=WAL")
    # In a process of its own, as writers are: locks on files do not work between two SQLite libraries in one process.
    delete = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('DELETE FROM validation_results'); c.commit()"
    )
    with SOURCE.open(call(path, checks=True)) as dataset:
        subprocess.run([sys.executable, "-c", delete, str(path)], check=True)
        _pool, checks = dataset.tables
        assert checks.frame.collect().height == 457
        assert checks.count_rows is not None
        assert checks.count_rows() == 457
    with SOURCE.open(call(path, checks=True)) as dataset:
        assert dataset.tables[1].frame.collect().height == 0


# --- ProxyWhirl's FileStorage


def test_file_storage_has_every_field_under_its_name() -> None:
    stored = json.loads(FILE_STORAGE.read_text())
    with SOURCE.open(call(FILE_STORAGE)) as dataset:
        (table,) = dataset.tables
        frame = table.frame.collect()
        assert table.count_rows is not None
        assert table.count_rows() == 12
        assert dataset.version == "proxywhirl-file-storage"
    assert frame.columns[:9] == LEADING
    assert all(column.description for column in table.columns)
    renamed = {
        "created_at": "discovered_at",
        "last_health_check": "last_check_at",
        "average_response_time_ms": "avg_response_time_ms",
        "total_requests": "requests_total",
        "total_successes": "requests_succeeded",
        "total_failures": "requests_failed",
    }
    assert {renamed.get(name, name) for name in stored[0]} <= set(frame.columns)
    assert frame["id"].to_list() == [item["id"] for item in stored]
    assert frame["url"].to_list() == [item["url"] for item in stored]
    assert frame["country_code"].to_list() == [item["country_code"] for item in stored]
    assert frame["discovered_at"].to_list() == [datetime.fromisoformat(item["created_at"]) for item in stored]
    assert frame["auth_type"].to_list() == ["basic"] * 5 + ["none"] * 7
    assert frame["port"].to_list() == [int(item["url"].rpartition(":")[2]) for item in stored]
    assert frame["tags"].to_list() == ["[]"] * 12
    assert frame["extra"].null_count() == 12


def test_tags_metadata_and_unknown_members_are_kept_as_json(text: Callable[[str], Path]) -> None:
    path = text(
        json.dumps(
            [
                entry(
                    tags=["zebra", "ämme"], metadata={"batch": {"n": [1, 2.5, None, True, ""]}}, quota=7, plan="gold"
                ),
                entry(tags=None, metadata=None),
                entry(tags=["a", 1]),
            ]
        )
    )
    frame = proxies(path)
    assert frame["tags"].to_list() == ['["zebra","ämme"]', None, '["a",1]']
    assert frame["metadata"].to_list() == ['{"batch":{"n":[1,2.5,null,true,""]}}', None, None]
    assert frame["extra"].to_list() == ['{"quota":7,"plan":"gold"}', None, None]


def test_a_protocol_beats_the_scheme_of_the_url(text: Callable[[str], Path]) -> None:
    path = text(json.dumps([entry(protocol="socks4", username="u-name", password="p-word"), entry(protocol=None)]))
    frame = proxies(path)
    assert frame["protocol"].to_list() == ["socks4", "http"]
    assert frame["auth_type"].to_list() == ["userid", "none"]


def test_numbers_may_be_whole_where_fractions_are_expected(text: Callable[[str], Path]) -> None:
    assert proxies(text(json.dumps([entry(latency_ms=12, ema_alpha=0.5)])))["latency_ms"].to_list() == [12.0]


def test_an_empty_array_is_a_valid_pool(text: Callable[[str], Path]) -> None:
    with SOURCE.open(call(text(" [ ]\n"))) as dataset:
        (table,) = dataset.tables
        assert table.frame.collect().height == 0
        assert table.sample is not None
        assert table.sample(10).height == 0
        assert list(dataset.notes) == ["A file of ProxyWhirl's FileStorage with no proxies."]
    assert table.frame.collect_schema() == proxies(FILE_STORAGE).schema


def test_repeated_proxies_are_said_and_kept(text: Callable[[str], Path]) -> None:
    path = text(
        json.dumps([entry(), entry(username="one", password="w1"), entry(), entry(username="two", password="w2")])
    )
    assert proxies(path).height == 4
    assert "1 proxies are in the pool more than once; all of them are exported." in notes(path)


# --- lists


def test_list_of_addresses(text: Callable[[str], Path]) -> None:
    path = text(
        "\ufeff# made by hand\r\n\r\n192.0.2.1:3128\r\n  gate.example.org:80  # fast\r\n[2001:DB8::1]:1080\n"
        "HTTPS://192.0.2.2:443/\rsocks5h://bob:s%40cret%20word@gate_1.example.org:1080\n\tsocks4://name-only@192.0.2.3:1\n"
    )
    with SOURCE.open(call(path, scheme="socks5")) as dataset:
        (table,) = dataset.tables
        frame = table.frame.collect()
        assert table.count_rows is not None
        assert table.count_rows() == 6
        assert table.time_column is None
        assert dataset.version == "proxy-list"
    assert frame.columns == LEADING
    assert frame.select("number", "url", "protocol", "host", "port", "auth_type", "has_credentials").rows() == [
        (1, "socks5://192.0.2.1:3128", "socks5", "192.0.2.1", 3128, "none", False),
        (2, "socks5://gate.example.org:80", "socks5", "gate.example.org", 80, "none", False),
        (3, "socks5://[2001:DB8::1]:1080", "socks5", "2001:db8::1", 1080, "none", False),
        (4, "HTTPS://192.0.2.2:443", "https", "192.0.2.2", 443, "none", False),
        (5, "socks5h://gate_1.example.org:1080", "socks5h", "gate_1.example.org", 1080, "userpass", True),
        (6, "socks4://192.0.2.3:1", "socks4", "192.0.2.3", 1, "userid", True),
    ]


def test_lines_without_a_scheme_are_http(text: Callable[[str], Path]) -> None:
    assert proxies(text("192.0.2.1:80"))["url"].to_list() == ["http://192.0.2.1:80"]


def test_a_list_of_comments_is_a_valid_pool(text: Callable[[str], Path]) -> None:
    path = text("# nothing yet\n\n")
    assert proxies(path).height == 0
    assert notes(path) == ("A proxy list with no proxies.",)


def test_an_ipv6_address_on_the_first_line_is_not_taken_for_json(text: Callable[[str], Path]) -> None:
    assert proxies(text("[::1]:80\n"))["host"].to_list() == ["::1"]


def test_compressed_files_are_read_in_all_their_members(tmp_path: Path) -> None:
    path = tmp_path / "pool.gz"
    path.write_bytes(gzip.compress(b"192.0.2.1:80\n") + gzip.compress(b"192.0.2.2:80\n") + b"\x00" * 512)
    assert proxies(path)["host"].to_list() == ["192.0.2.1", "192.0.2.2"]
    path.write_bytes(gzip.compress(FILE_STORAGE.read_bytes()))
    assert proxies(path).equals(proxies(FILE_STORAGE))


# --- all of them


@pytest.mark.parametrize("path", [DATABASE, FILE_STORAGE])
def test_the_same_pool_gives_the_same_rows(path: Path) -> None:
    assert proxies(path, "reference").equals(proxies(path, "reference"))


def test_the_order_of_tags_does_not_depend_on_the_file(text: Callable[[str], Path]) -> None:
    tags = [proxies(text(json.dumps([entry(tags=order)])))["tags"][0] for order in (["b", "a"], ["a", "b"])]
    assert tags == ['["a","b"]'] * 2


def test_a_hundred_thousand_proxies_open_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    lines = (
        f"http://user-{n % 1000:05d}:pass{n % 1000:05d}@192.0.{n // 256 % 256}.{n % 256}:80\n" for n in range(100_000)
    )
    path.write_text("".join(lines))
    began = time.perf_counter()
    frame = proxies(path)
    assert frame.height == 100_000
    assert time.perf_counter() - began < 5


def test_importing_the_plugin_does_not_need_the_rest_of_tailrace() -> None:
    code = "import sys, tailrace_source_pool; print('tailrace.engine' in sys.modules, 'sqlalchemy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

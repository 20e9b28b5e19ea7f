"""Input that is not a pool, or not quite: one clear message each, and nothing skipped in silence."""

import gzip
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tailrace_source_pool import location as location_module
from tailrace_source_pool import tailrace_source

from tailrace import (
    BadRow,
    BadRowError,
    Context,
    CredentialMode,
    OptionError,
    RequestError,
    SourceCall,
    SourceError,
    TransientError,
    read_times,
)

# Without the time, which would be another in every process that collects these tests.
compressed = partial(gzip.compress, mtime=0)

DATA = Path(__file__).parents[1] / "data"
SOURCE = tailrace_source()


def call(location: Path | str, **options: Any) -> SourceCall:
    return SourceCall(
        location=str(location),
        options=SOURCE.options_type(**options),
        credentials=CredentialMode.SANITIZED,
        moment=datetime(2026, 11, 23, tzinfo=UTC),
        window=None,
        reference=lambda *_parts: "",
        context=Context(),
    )


def opened(location: Path | str, **options: Any) -> pl.DataFrame:
    with SOURCE.open(call(location, **options)) as dataset:
        return dataset.tables[0].frame.collect()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str | bytes], Path]:
    def written(content: str | bytes) -> Path:
        path = tmp_path / "pool"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return written


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., Path]:
    def changed(*statements: str) -> Path:
        path = tmp_path / "pool.db"
        shutil.copy(DATA / "proxywhirl-sample.db", path)
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return path

    return changed


# --- locations


@pytest.mark.parametrize(
    "location",
    [
        "",
        "http://user:hunter2secret@lists.example.org/pool.txt",
        "sqlite:///pool.db",
        "proxywhirl://",
        "proxywhirl:///pool.db?mode=ro",
        "proxywhirl:///pool.db#x",
        "proxywhirl://user:hunter2secret@host/pool.db",
    ],
)
def test_other_locations_are_refused(location: str) -> None:
    with pytest.raises(RequestError) as caught:
        opened(location)
    assert caught.value.hint
    assert "hunter2secret" not in f"{caught.value!r}{caught.value.hint}"


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no file .*nowhere\.db"):
        opened(f"proxywhirl://{tmp_path}/nowhere.db")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        opened(tmp_path)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        opened(tmp_path / ("x" * 300))
    with pytest.raises(SourceError, match="not a valid path"):
        opened("pool\x00.db")


def test_a_file_that_this_user_must_not_read(file: Callable[[str], Path]) -> None:
    path = file("192.0.2.1:80")
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(SourceError, match="permission is denied"):
            opened(path)
    finally:
        os.seteuid(user)


# --- whole files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty: it has no bytes at all"),
        (compressed(b""), "is empty: it has no bytes at all"),
        (compressed(b"192.0.2.1:80\n" * 1000)[:40], "compressed and damaged, or cut off"),
        (b"\x1f\x8b\x08\x00 no gzip at all", "compressed and damaged, or cut off"),
        (compressed(b"192.0.2.1:80\n") + b"garbage", "compressed and damaged, or cut off"),
        (compressed((DATA / "proxywhirl-sample.db").read_bytes()), "is a compressed database"),
        (b"PAR1\x15\x04\xff\xfe", "neither a database nor UTF-8 text: byte 7"),
        ("192.0.2.1:80\n".encode("utf-16"), "neither a database nor UTF-8 text: byte 1"),
        (b"gAAAAA" + b"x" * 5000, "is encrypted as a whole"),
        (b"gAAAAA" + b"x" * 94 + b"=\n", "is encrypted as a whole"),
        (b"[", "is not valid JSON: Expecting value in line 1, column 2"),
        (b'[{"url": "http://h:1"},]', "is not valid JSON"),
        (b'[{"url": NaN}]', "NaN and Infinity are not JSON"),
        (b'[{"latency_ms": 1e999}]', "a number is too large"),
        (b'[{"ttl": ' + b"9" * 5000 + b"}]", "a number is too large"),
        (b'[{"url": "a", "url": "b"}]', "an object has the same name twice"),
        (b"[" * 100_000, "it is nested too deeply"),
        (rb'[{"url": "http://h:1", "region": "\ud800"}]', "half a character (a lone surrogate)"),
        (rb'[{"url": "http://h:1", "\uDFFF\uD83D": 1}]', "half a character (a lone surrogate)"),
        (b'{"url": "http://h:1"}', "JSON of another shape: an object instead of an array"),
        (b' \n{"manifest": {}, "proxies": []}', "JSON of another shape: an object instead of an array"),
    ],
)
def test_files_that_are_no_pool(file: Callable[[bytes], Path], content: bytes, message: str) -> None:
    with pytest.raises(SourceError) as caught:
        opened(file(content))
    assert message in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 1


def test_an_export_is_recognised(file: Callable[[str], Path]) -> None:
    with pytest.raises(SourceError) as caught:
        opened(file('{"manifest": {}, "proxies": []}'))
    assert "export made by Tailrace" in caught.value.hint


def test_files_beyond_the_limit_are_refused(file: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(location_module, "MAX_BYTES", 1000)
    for content in (b"192.0.2.1:80\n" * 1000, compressed(b"192.0.2.1:80\n" * 100_000)):
        with pytest.raises(SourceError, match="holds more than 1,000 bytes"):
            opened(file(content))
    assert opened(file(b"192.0.2.1:80\n" * 70)).height == 70


def test_checks_are_only_in_databases(file: Callable[[str], Path]) -> None:
    with pytest.raises(OptionError, match="only ProxyWhirl's database holds health checks"):
        opened(file("192.0.2.1:80"), checks=True)


# --- databases


def test_not_a_database(file: Callable[[bytes], Path]) -> None:
    with pytest.raises(SourceError):
        opened(file(b"SQLite format 3\x00" + b"\xff" * 5000))


def test_database_without_the_tables(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE request_logs (id INTEGER)")
    connection.execute("CREATE TABLE proxy_statuses (proxy_url TEXT)")
    connection.commit()
    connection.close()
    with pytest.raises(SourceError, match="it has no table proxy_identities") as caught:
        opened(path)
    assert caught.value.hint == (
        "Its tables: proxy_statuses, request_logs. A request log is read by the source analytics."
    )


def test_database_without_any_table(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    with pytest.raises(SourceError, match="it has no table proxy_identities, proxy_statuses") as caught:
        opened(path)
    assert caught.value.hint == "It has no tables at all."


def test_database_without_checks(database: Callable[..., Path]) -> None:
    path = database("DROP TABLE validation_results")
    assert opened(path).height == 30
    with pytest.raises(SourceError, match="it has no table validation_results"):
        opened(path, checks=True)


@pytest.mark.parametrize(("table", "column"), [("proxy_identities", "url"), ("proxy_statuses", "proxy_url")])
def test_database_without_the_key_column(database: Callable[..., Path], table: str, column: str) -> None:
    path = database(
        f"CREATE TABLE other AS SELECT * FROM {table}",
        f"DROP TABLE {table}",
        f"ALTER TABLE other RENAME TO {table}",
        f"ALTER TABLE {table} RENAME COLUMN {column} TO address",
    )
    with pytest.raises(SourceError, match=f"{table} has no column {column}") as caught:
        opened(path)
    assert "address" in caught.value.hint


def test_database_with_two_statuses_for_one_proxy(database: Callable[..., Path]) -> None:
    path = database(
        "CREATE TABLE other AS SELECT * FROM proxy_statuses UNION ALL SELECT * FROM proxy_statuses",
        "DROP TABLE proxy_statuses",
        "ALTER TABLE other RENAME TO proxy_statuses",
    )
    with pytest.raises(SourceError, match="several rows in proxy_statuses for one proxy"):
        opened(path)


def test_locked_database(database: Callable[..., Path]) -> None:
    path = database()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(TransientError):
            opened(path)
    finally:
        other.close()


OF_THE_THIRD = "WHERE proxy_url = (SELECT url FROM proxy_identities WHERE rowid = 3)"
THE_THIRD = "WHERE rowid = 3"
DATABASE_DAMAGE = [
    ("proxy_identities", "discovered_at", "yesterday", THE_THIRD, "not a time"),
    ("proxy_identities", "discovered_at", "2026-02-30 00:00:00.000000", THE_THIRD, "not a time"),
    ("proxy_identities", "url", "192.0.2.1:80:u:p", THE_THIRD, "not scheme://"),
    ("proxy_identities", "url", "http://192.0.2.1:99999", THE_THIRD, "port is not between"),
    ("proxy_statuses", "updated_at", "1", OF_THE_THIRD, "not a time"),
]


@pytest.mark.parametrize(("table", "column", "value", "which", "reason"), DATABASE_DAMAGE)
def test_unreadable_proxy_in_a_database(
    database: Callable[..., Path], table: str, column: str, value: str, which: str, reason: str
) -> None:
    path = database(f"UPDATE {table} SET {column} = '{value}' {which}")
    with pytest.raises(BadRowError, match=reason) as caught:
        opened(path)
    assert (caught.value.row, caught.value.column) == (3, column)
    assert f"proxy_identities, row 3, column {column}" in caught.value.message
    assert "on_bad_rows=report" in caught.value.hint

    with SOURCE.open(call(path, on_bad_rows="report")) as dataset:
        (proxies,) = dataset.tables
        assert proxies.frame.collect().height == 29
        assert proxies.count_rows is not None
        assert proxies.count_rows() == 30
        assert proxies.bad_rows.count == 1
        (bad,) = proxies.bad_rows.examples
    assert (bad.row, bad.column) == (3, column)
    assert reason in bad.reason


def test_value_of_another_type_in_a_database(database: Callable[..., Path]) -> None:
    path = database("UPDATE proxy_identities SET port = 'eighty' WHERE rowid = 5")
    with pytest.raises(BadRowError) as caught:
        opened(path)
    assert (caught.value.row, caught.value.column) == (5, "port")
    with SOURCE.open(call(path, on_bad_rows="report")) as dataset:
        (table,) = dataset.tables
        assert table.frame.collect().height == 29
        assert [(bad.row, bad.column) for bad in table.bad_rows.examples] == [(5, "port")]


def test_unreadable_status_leaves_its_proxy(database: Callable[..., Path]) -> None:
    path = database("UPDATE proxy_statuses SET total_checks = 'many' WHERE rowid = 2")
    with pytest.raises(BadRowError):
        opened(path)
    with SOURCE.open(call(path, on_bad_rows="report")) as dataset:
        frame = dataset.tables[0].frame.collect()
        said = " ".join(dataset.notes)
    assert frame.height == 30
    assert frame["total_checks"].null_count() == 1
    assert "1 rows of proxy_statuses cannot be read and are left out; the first is row 2, column total_checks" in said


def test_unreadable_check_stops_the_export_or_is_listed(database: Callable[..., Path]) -> None:
    path = database(
        "UPDATE validation_results SET validated_at = '2026-13-01 00:00:00.000000' "
        "WHERE id = (SELECT id FROM validation_results ORDER BY id LIMIT 1 OFFSET 6)",
        "UPDATE validation_results SET proxy_url = 'secret-name' "
        "WHERE id = (SELECT id FROM validation_results ORDER BY id LIMIT 1 OFFSET 9)",
    )
    with SOURCE.open(call(path, checks=True)) as dataset, pytest.raises(BadRowError) as caught:
        dataset.tables[1].frame.collect(engine="streaming")
    assert (caught.value.row, caught.value.column) == (7, "validated_at")
    assert "secret-name" not in str(caught.value)

    with SOURCE.open(call(path, checks=True, on_bad_rows="report")) as dataset:
        checks = dataset.tables[1]
        assert checks.sample is not None
        checks.sample(1000)
        assert checks.bad_rows.count == 0
        assert checks.frame.collect(engine="streaming").height == 455
    assert checks.bad_rows.count == 2
    assert checks.bad_rows.examples == (
        BadRow(7, "validated_at", "it is not a time such as 2026-08-15 00:24:09.297504"),
        BadRow(10, "proxy_url", "it is not scheme://[user:password@]host:port"),
    )


# --- FileStorage


PROXY = {"url": "http://192.0.2.1:80"}


@pytest.mark.parametrize(
    ("bad", "column", "reason"),
    [
        (7, None, "it is a whole number instead of an object"),
        ({}, "url", "it is missing"),
        ({"url": None}, "url", "it is missing"),
        ({"url": 7}, "url", "expected text, got a whole number"),
        ({"url": "192.0.2.1:80"}, "url", "it is not scheme://[user:password@]host:port"),
        ({"url": "http://[::zz]:80"}, "url", "it is not scheme://[user:password@]host:port"),
        ({"url": "http://[1:2]:80"}, "url", "its host is not an address"),
        ({"url": "http://1.2.3.4.5:80"}, "url", "its host is not an address"),
        (PROXY | {"total_checks": "7"}, "total_checks", "expected a whole number, got text"),
        (PROXY | {"total_checks": True}, "total_checks", "expected a whole number, got true or false"),
        (PROXY | {"total_checks": 1.0}, "total_checks", "expected a whole number, got a number"),
        (PROXY | {"total_checks": 2**63}, "total_checks", "it is too large"),
        (PROXY | {"latency_ms": 10**399}, "latency_ms", "it is too large"),
        (PROXY | {"latency_ms": False}, "latency_ms", "expected a number, got true or false"),
        (PROXY | {"allow_local": 1}, "allow_local", "expected true or false, got a whole number"),
        (PROXY | {"username": ["x"]}, "username", "expected text, got a list"),
        (PROXY | {"tags": "a,b"}, "tags", "expected a list, got text"),
        (PROXY | {"metadata": []}, "metadata", "expected an object, got a list"),
        (
            PROXY | {"created_at": "2026-02-30T00:00:00Z"},
            "created_at",
            "it is not a time such as 2026-08-15T00:24:09.297504Z",
        ),
        (PROXY | {"metadata": {"x": json.loads("[" * 70 + "]" * 70)}}, "metadata", "it is nested more than 64 deep"),
        (PROXY | {"extra": json.loads("[" * 70 + "1" + "]" * 70)}, None, "it is nested more than 64 deep"),
    ],
)
def test_unreadable_entry(file: Callable[[str], Path], bad: object, column: str | None, reason: str) -> None:
    path = file(json.dumps([PROXY, bad, PROXY]))
    with pytest.raises(BadRowError) as caught:
        opened(path)
    assert (caught.value.row, caught.value.column) == (2, column)
    assert caught.value.message.endswith(f": {reason}.")

    with SOURCE.open(call(path, on_bad_rows="report")) as dataset:
        (table,) = dataset.tables
        assert table.frame.collect().height == 2
        assert table.count_rows is not None
        assert table.count_rows() == 3
    assert table.bad_rows.count == 1
    assert table.bad_rows.examples == (BadRow(2, column, reason),)


def test_pairs_of_surrogates_are_characters(file: Callable[[bytes], Path]) -> None:
    assert opened(file(rb'[{"url": "http://h:1", "region": "\ud83d\ude80"}]'))["region"].to_list() == ["\N{ROCKET}"]


def test_the_first_unreadable_entry_is_the_one_told(file: Callable[[str], Path]) -> None:
    with pytest.raises(BadRowError) as caught:
        opened(file(json.dumps([PROXY, PROXY | {"updated_at": "x"}, 7])))
    assert (caught.value.row, caught.value.column) == (2, "updated_at")


# --- lists


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("192.0.2.1:80:user:word", "guessing which part is what"),
        ("user:word:192.0.2.1:80", "guessing which part is what"),
        ("2001:db8::1:80", "guessing which part is what"),
        ("192.0.2.1", "guessing which part is what"),
        ("192.0.2.1,80", "guessing which part is what"),
        ("user:word@192.0.2.1:80", "login but no scheme"),
        ("192.0.2.1 80", "holds blanks"),
        ("\u00a0", "holds blanks"),
        ("192.0.2.1:0", "port is not between 1 and 65535"),
        ("192.0.2.1:65536", "port is not between 1 and 65535"),
        ("192.0.2.256:80", "host is not an address"),
        ("[::g]:80", "it is not scheme://"),
        ("[1:2]:80", "host is not an address"),
        (f"{'a' * 254}:80", "host is not an address"),
        ("ftp://192.0.2.1:80", "its scheme is none of http"),
        ("http://192.0.2.1", "its port is missing"),
        ("http://192.0.2.1:80/path", "something follows its port"),
        ("http://192.0.2.1:80/@user", "could only be guessed"),
        ("http://user:80/word@192.0.2.1:80", "could only be guessed"),
        ("http://192.0.2.1:80#x", "something follows its port"),
        ("http://:80", "it is not scheme://"),
    ],
)
def test_unreadable_line(file: Callable[[str], Path], line: str, reason: str) -> None:
    path = file(f"# list\n192.0.2.1:80\n{line}\n\n192.0.2.2:80\n")
    with pytest.raises(BadRowError, match=reason) as caught:
        opened(path)
    assert caught.value.row == 3
    assert caught.value.message.startswith(f"{path}, line 3: ")

    with SOURCE.open(call(path, on_bad_rows="report")) as dataset:
        (table,) = dataset.tables
        assert table.frame.collect()["host"].to_list() == ["192.0.2.1", "192.0.2.2"]
        assert table.count_rows is not None
        assert table.count_rows() == 3
    assert [(bad.row, bad.column) for bad in table.bad_rows.examples] == [(3, "line")]


# --- times


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-08-15 00:24:09.297504", datetime(2026, 8, 15, 0, 24, 9, 297504, UTC)),
        ("2026-08-15 00:24:09", datetime(2026, 8, 15, 0, 24, 9, 0, UTC)),
        ("2026-08-15T00:24:09.5Z", datetime(2026, 8, 15, 0, 24, 9, 500000, UTC)),
        ("2026-08-15T00:24:09.000001+00:00", datetime(2026, 8, 15, 0, 24, 9, 1, UTC)),
        ("2026-08-15T00:24:09+02:30", datetime(2026, 8, 14, 21, 54, 9, 0, UTC)),
        ("2026-08-15T23:24:09-01:00", datetime(2026, 8, 16, 0, 24, 9, 0, UTC)),
        ("2024-02-29 23:59:59.999999", datetime(2024, 2, 29, 23, 59, 59, 999999, UTC)),
        ("1969-12-31 23:59:59.999999", datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)),
        ("2026-02-29 00:00:00.000000", None),
        ("2026-08-15 24:00:00.000000", None),
        ("2026-08-15 00:24:60.000000", None),
        ("2026-08-15 00:24:09.1234567", None),
        ("2026-08-15", None),
        ("15.08.2026 00:24:09", None),
        ("2026-08-15 00:24:09.297504 UTC", None),
        ("2026-08-15T00:24:09+24:00", None),
        ("1755217449", None),
        ("", None),
    ],
)
def test_times_are_read_strictly(text: str, expected: datetime | None) -> None:
    assert read_times(pl.Series("at", [text])).to_list() == [expected]
    among = read_times(pl.Series("at", ["2026-08-15 00:24:09.297504", None, text]))
    assert among.to_list() == [datetime(2026, 8, 15, 0, 24, 9, 297504, UTC), None, expected]
    assert among.name == "at"
    assert among.dtype == pl.Datetime("us", "UTC")


def test_no_times_at_all() -> None:
    assert read_times(pl.Series("at", [None, None])).dtype == pl.Datetime("us", "UTC")
    assert read_times(pl.Series("at", [], dtype=pl.String)).dtype == pl.Datetime("us", "UTC")

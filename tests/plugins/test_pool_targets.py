"""Pools as targets: what is read, what is written, and what is refused."""

import json
import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
from cryptography.fernet import Fernet
from tailrace_source_pool.source import PoolSource
from tailrace_source_pool.targets import schema
from tailrace_source_pool.targets.database import wal_is_sound
from tailrace_source_pool.targets.login_places import put_together, taken_apart
from tailrace_source_pool.targets.opening import open_pool

from tailrace import (
    AlreadyExistsError,
    BadRowError,
    ConfigurationError,
    Loss,
    NotAllowedError,
    OpenPoolCall,
    PoolChanges,
    PoolFile,
    PoolTarget,
    Problem,
    ReadPoolCall,
    RenderedPool,
    RenderPoolCall,
    RequestError,
    SourceError,
    StorageError,
    TransientError,
    UnknownNameError,
    WrongKeyError,
)

DATA = Path(__file__).parents[1] / "data"
KEY = "k3vF0aZ2mRr5Xb8yTq1wLs7uJd4gNh6cPoEi9tYxVaM="
SOURCE = PoolSource()
CHANGED = pl.List(pl.String)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", KEY)
    monkeypatch.delenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", raising=False)


def call(path: Path | str, *, write: bool = True, **more: Any) -> OpenPoolCall:
    return OpenPoolCall(str(path), write=write, **more)


def read(path: Path, **more: Any) -> pl.DataFrame:
    with open_pool(call(path, write=False, **more), SOURCE) as target:
        return target.read()


def changes(
    add: pl.DataFrame | None = None, update: pl.DataFrame | None = None, remove: tuple[str, ...] = ()
) -> PoolChanges:
    nothing = pl.DataFrame(schema={"url": pl.String, "key": pl.String, "changed": CHANGED})
    return PoolChanges(
        nothing.drop("key", "changed") if add is None else add, nothing if update is None else update, remove
    )


def write(path: Path, what: PoolChanges, **more: Any) -> tuple[str, ...]:
    with open_pool(call(path, **more), SOURCE) as target:
        keys = target.write(what)
        # What was opened is what is there, also behind a change.
        assert target.read().equals(read(path))
    assert len(keys) == what.add.height
    assert set(keys) <= set(read(path)["key"])
    return keys


def proxy(url: str = "http://h.example.com:8080", **columns: Any) -> pl.DataFrame:
    scheme, _, place = url.partition("://")
    host, _, port = place.rpartition(":")
    parts = {"url": url, "protocol": scheme, "host": host, "port": int(port), **columns}
    return pl.DataFrame({name: [value] for name, value in parts.items()})


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(sql).fetchall()
    connection.close()
    return found


@pytest.fixture
def database(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the sample, changed by the statements given."""

    def changed(*statements: str) -> Path:
        path = tmp_path / "pool.db"
        shutil.copy(DATA / "proxywhirl-sample.db", path)
        path.chmod(0o600)
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()
        return path

    return changed


@pytest.fixture
def storage(tmp_path: Path) -> Callable[..., Path]:
    """A FileStorage with these entries."""

    def written(*entries: dict[str, Any], encrypted: bool = False) -> Path:
        path = tmp_path / "pool.json"
        content = json.dumps(list(entries), indent=2).encode()
        path.write_bytes(Fernet(KEY).encrypt(content) if encrypted else content)
        return path

    return written


def entries(path: Path) -> list[dict[str, Any]]:
    content = path.read_bytes()
    found: list[dict[str, Any]] = json.loads(Fernet(KEY).decrypt(content) if content[:1] == b"g" else content)
    return found


# --- ProxyWhirl's database


def test_a_database_is_read_with_logins_in_clear(database: Callable[..., Path]) -> None:
    path = database(
        "UPDATE proxy_identities SET username = NULL, password = NULL",
        "UPDATE proxy_identities SET username = 'me', password = 'clear' WHERE rowid = 1",
        "UPDATE proxy_identities SET url = 'socks5://us%40er:p:w@[2001:DB8::1]:1080' WHERE rowid = 2",
        "DELETE FROM proxy_statuses WHERE proxy_url NOT IN (SELECT url FROM proxy_identities)",
    )
    frame = read(path).filter(pl.col("credentials_in").is_not_null())
    shown = frame.select("url", "username", "password", "credentials_in", "stored_url", "health_status").rows()
    first = rows(path, "SELECT url, health_status FROM proxy_identities JOIN proxy_statuses ON url = proxy_url LIMIT 1")
    assert shown == [
        (first[0][0], "me", "clear", "columns", None, first[0][1]),
        ("socks5://[2001:DB8::1]:1080", "us@er", "p:w", "url", "socks5://us%40er:p:w@[2001:DB8::1]:1080", None),
    ]


def test_a_new_database_is_proxywhirls_own(tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    frame = read(DATA / "proxywhirl-sample.db")
    assert frame["password"].is_not_null().sum() == 10
    assert read(new).is_empty()
    assert not new.exists()
    assert write(new, changes(frame.drop("key"))) == tuple(frame["key"])
    assert read(new).equals(frame)
    statement = "SELECT name, sql FROM sqlite_master ORDER BY name"
    assert rows(new, statement) == rows(DATA / "proxywhirl-sample.db", statement)
    assert new.stat().st_mode & 0o777 == 0o600
    stored = "SELECT * FROM proxy_identities WHERE password IS NULL ORDER BY url"
    assert rows(new, stored) == rows(DATA / "proxywhirl-sample.db", stored)
    stored = "SELECT * FROM proxy_statuses ORDER BY proxy_url"
    assert rows(new, stored) == rows(DATA / "proxywhirl-sample.db", stored)
    assert {value[:10] for (value,) in rows(new, "SELECT password FROM proxy_identities") if value} == {"encrypted:"}


def test_what_is_not_said_gets_proxywhirls_defaults(tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    before = datetime.now(UTC)
    write(new, changes(proxy()))
    ((*identity, discovered),) = rows(new, "SELECT * FROM proxy_identities")
    assert identity == [
        *("http://h.example.com:8080", "http", "h.example.com", 8080),
        *(None, None, None, None, None, None, None, None, None, None),
        *(0, 0, "user", None),
    ]
    ((*status, updated),) = rows(new, "SELECT * FROM proxy_statuses")
    assert status == ["http://h.example.com:8080", "unknown", None, None, None, 0, 0, 0, 0, None, None]
    assert discovered == updated
    assert before <= datetime.strptime(f"{discovered}+0000", "%Y-%m-%d %H:%M:%S.%f%z") <= datetime.now(UTC)


def test_an_update_writes_only_what_is_to_change(database: Callable[..., Path]) -> None:
    path = database(
        "ALTER TABLE proxy_identities ADD COLUMN novelty TEXT",
        "UPDATE proxy_identities SET novelty = 'kept'",
        "DELETE FROM proxy_statuses WHERE rowid = 3",
    )
    before = rows(path, "SELECT * FROM proxy_identities ORDER BY rowid")
    frame = read(path)
    keys = [row[0] for row in before[:3]]
    update = pl.DataFrame({"key": keys}).join(frame, on="key", maintain_order="left")
    update = update.with_columns(
        city=pl.lit("Zürich"),
        total_checks=pl.lit(77),
        password=pl.lit("secret"),
        changed=pl.Series([["city"], ["total_checks", "city"], ["total_checks"]]),
    )
    assert write(path, changes(update=update)) == ()
    after = rows(path, "SELECT * FROM proxy_identities ORDER BY rowid")
    city = 9
    assert [row[city] for row in after[:3]] == ["Zürich", "Zürich", before[2][city]]
    assert [row[:city] + row[city + 1 :] for row in after] == [row[:city] + row[city + 1 :] for row in before]
    checks = dict(rows(path, "SELECT proxy_url, total_checks FROM proxy_statuses"))
    assert [checks[key] for key in keys[1:]] == [77, 77]
    assert checks[keys[0]] != 77


def test_a_login_that_moves_takes_state_and_checks_along(database: Callable[..., Path]) -> None:
    path = database()
    (url, checks), *_ = rows(path, "SELECT proxy_url, count(*) FROM validation_results GROUP BY 1 ORDER BY 2 DESC")
    frame = read(path).filter(key=url)
    update = frame.with_columns(
        username=pl.lit("us er"),
        password=pl.lit("p@ss"),
        credentials_in=pl.lit("url"),
        changed=pl.Series([["username", "password", "credentials_in"]]),
    )
    write(path, changes(update=update))
    moved = url.replace("://", "://us%20er:p%40ss@")
    assert rows(path, f"SELECT count(*) FROM validation_results WHERE proxy_url = '{moved}'") == [(checks,)]
    assert rows(path, f"SELECT count(*) FROM proxy_statuses WHERE proxy_url = '{moved}'") == [(1,)]
    assert rows(path, f"SELECT username, password FROM proxy_identities WHERE url = '{moved}'") == [(None, None)]
    assert read(path).filter(key=moved).select("username", "password", "credentials_in").rows() == [
        ("us er", "p@ss", "url")
    ]


def test_removing_takes_identity_and_state_but_no_checks(database: Callable[..., Path]) -> None:
    path = database()
    ((url, checks), *_) = rows(path, "SELECT proxy_url, count(*) FROM validation_results GROUP BY 1")
    write(path, changes(remove=(url,)))
    assert read(path).height == 29
    assert rows(path, f"SELECT count(*) FROM proxy_statuses WHERE proxy_url = '{url}'") == [(0,)]
    assert rows(path, f"SELECT count(*) FROM validation_results WHERE proxy_url = '{url}'") == [(checks,)]


def test_a_database_that_is_left_is_as_it_was(database: Callable[..., Path]) -> None:
    path = database()
    before = path.read_bytes()
    with open_pool(call(path), SOURCE) as target:
        target.read()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "what",
    [
        changes(proxy("http://h.example.com:1"), remove=("http://not.there:1",)),
        changes(pl.concat([proxy("http://h.example.com:1"), proxy("http://h.example.com:1")])),
        changes(proxy("socks4a://h.example.com:1")),
        changes(proxy("http://h.example.com:1", latitude=float("nan"))),
        changes(proxy("http://h.example.com:1", discovered_at=datetime(1, 1, 1, tzinfo=UTC)).with_columns(
            pl.lit(-(2**62)).cast(pl.Datetime("us", "UTC")).alias("discovered_at"))),
        changes(update=proxy("http://h.example.com:1", key="http://h.example.com:1", city="x", changed=["city"])),
    ],
)  # fmt: skip
def test_a_change_that_cannot_be_made_changes_nothing(database: Callable[..., Path], what: PoolChanges) -> None:
    path = database()
    before = rows(path, "SELECT * FROM proxy_identities")
    with pytest.raises(RequestError) as caught:
        write(path, what)
    assert caught.value.hint
    assert "example.com" not in str(caught.value)
    assert rows(path, "SELECT * FROM proxy_identities") == before


def test_nobody_else_writes_while_a_database_is_open(
    database: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tailrace_source_pool.targets.database.BUSY_SECONDS", 0.1)
    path = database()
    with open_pool(call(path), SOURCE) as target:
        assert target.read().height == 30
        with pytest.raises(TransientError, match="Somebody else is writing"), open_pool(call(path), SOURCE):
            pass
        assert read(path).height == 30
        target.write(changes(proxy()))
    assert read(path).height == 31
    with open_pool(call(path), SOURCE) as target:
        target.write(changes())
        with pytest.raises(RequestError, match="written to already"):
            target.write(changes())


def test_credentials_are_not_written_in_clear_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY")
    new = tmp_path / "new.db"
    with open_pool(call(new), SOURCE) as target:
        assert target.notes == (
            f"{new} will be made.",
            "Credentials cannot be stored: PROXYWHIRL_CACHE_ENCRYPTION_KEY is not set.",
        )
        with pytest.raises(ConfigurationError) as caught:
            target.write(changes(proxy(username="me", password="secret")))
    assert "PROXYWHIRL_CACHE_ENCRYPTION_KEY" in caught.value.hint
    assert "--clear-credentials" in caught.value.hint
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    write(new, changes(proxy(username="", password="")))
    assert rows(new, "SELECT username, password FROM proxy_identities") == [("", "")]
    write(new, changes(proxy("http://i.example.com:1", username="me", password="secret")), clear=True)
    assert rows(new, "SELECT username, password FROM proxy_identities WHERE port = 1") == [("me", "secret")]
    with open_pool(call(new, clear=True), SOURCE) as target:
        assert target.notes == ("Credentials will be stored in clear: PROXYWHIRL_CACHE_ENCRYPTION_KEY is not set.",)
        with pytest.raises(ConfigurationError, match="looks like an encrypted one"):
            target.write(changes(proxy("http://j.example.com:1", username="me", password="encrypted:x")))


def test_half_a_login_is_stored_as_proxywhirl_does(tmp_path: Path) -> None:
    write(tmp_path / "new.db", changes(proxy(username="me", password=None)))
    ((user, password),) = rows(tmp_path / "new.db", "SELECT username, password FROM proxy_identities")
    assert user.startswith("encrypted:")
    assert password is None
    write(tmp_path / "new.json", changes(proxy(username="me", password=None)))
    assert [(entry["username"], entry["password"]) for entry in entries(tmp_path / "new.json")] == [("me", "")]


def test_encrypted_logins_need_their_key(database: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    path = database()
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", Fernet.generate_key().decode())
    with pytest.raises(WrongKeyError):
        read(path)
    monkeypatch.delenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY")
    with pytest.raises(ConfigurationError, match="key is not at hand"):
        read(path)


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["DROP TABLE proxy_statuses"], "it has no table proxy_statuses"),
        (["ALTER TABLE proxy_identities DROP COLUMN username"], "proxy_identities has no column username"),
    ],
)
def test_another_database_is_refused(database: Callable[..., Path], statements: list[str], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(database(*statements))


@pytest.mark.parametrize(
    ("statement", "column"),
    [
        ("UPDATE proxy_identities SET port = 'x' WHERE rowid = 3", "port"),
        ("UPDATE proxy_identities SET city = X'00' WHERE rowid = 3", "city"),
        ("UPDATE proxy_identities SET is_residential = 7 WHERE rowid = 3", "is_residential"),
        ("UPDATE proxy_identities SET discovered_at = 'soon' WHERE rowid = 3", "discovered_at"),
        ("UPDATE proxy_identities SET url = 'secret' WHERE rowid = 3", "url"),
    ],
)
def test_a_row_that_cannot_be_read_stops(database: Callable[..., Path], statement: str, column: str) -> None:
    with pytest.raises(BadRowError, match=f"row 3.* column {column}") as caught:
        read(database(statement))
    assert "secret" not in str(caught.value)


def test_two_states_of_one_proxy_are_refused(database: Callable[..., Path]) -> None:
    path = database(
        "CREATE TABLE copies AS SELECT * FROM proxy_statuses",
        "DROP TABLE proxy_statuses",
        "ALTER TABLE copies RENAME TO proxy_statuses",
        "INSERT INTO proxy_statuses SELECT * FROM proxy_statuses LIMIT 1",
    )
    with pytest.raises(SourceError, match="several rows in proxy_statuses for one proxy"):
        read(path)


def test_a_database_of_an_older_proxywhirl_holds_less(database: Callable[..., Path]) -> None:
    path = database("ALTER TABLE proxy_identities DROP COLUMN city", "DROP TABLE validation_results")
    with open_pool(call(path), SOURCE) as target:
        assert "city" not in target.holds
        assert {"url", "region", "health_status"} <= set(target.holds)
        frame = pl.concat([proxy("socks5://h.example.com:1", city="x"), proxy("socks5h://h.example.com:1", city="x")])
        assert cast("Any", target).refusals(frame).to_list() == [
            None,
            "its protocol is none of http, https, socks4, socks5",
        ]
        target.write(changes(frame.head(1)))
        moved = frame.head(1).with_columns(
            url=pl.lit("http://i.example.com:1"), protocol=pl.lit("http"), key=pl.lit("socks5://h.example.com:1")
        )
    write(path, changes(update=moved.with_columns(changed=pl.Series([["url", "protocol"]]))))
    assert "http://i.example.com:1" in read(path)["key"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_database_that_must_not_be_written_is_told(database: Callable[..., Path]) -> None:
    path = database()
    path.chmod(0o400)
    assert read(path).height == 30
    with pytest.raises(StorageError, match="cannot be opened or written to"):
        write(path, changes(proxy()))


def test_a_damaged_database_is_told(database: Callable[..., Path]) -> None:
    path = database()
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 8192)
    with pytest.raises(SourceError, match="damaged"):
        read(path)


def test_a_new_database_does_not_replace_one_that_was_made_meanwhile(tmp_path: Path) -> None:
    new = tmp_path / "new.db"
    with open_pool(call(new), SOURCE) as target:
        write(new, changes(proxy()))
        with pytest.raises(AlreadyExistsError):
            target.write(changes(proxy("http://i.example.com:1")))
    assert read(new)["host"].to_list() == ["h.example.com"]


@pytest.mark.parametrize(
    ("version", "sound"),
    [((3, 6, 9), True), ((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 50, 6), False),
     ((3, 50, 7), True), ((3, 51, 2), False), ((3, 51, 3), True), ((3, 52, 0), True), ((4, 0, 0), True)],
)  # fmt: skip
def test_versions_of_sqlite_that_damage_wal_databases_are_known(version: tuple[int, ...], sound: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert wal_is_sound(version) is sound


def test_a_wal_database_gets_a_note(database: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 40, 1))
    path = database("PRAGMA journal_mode = WAL")
    with open_pool(call(path), SOURCE) as target:
        (note,) = target.notes
        target.write(changes(proxy()))
    assert "WAL" in note
    assert read(path).height == 31


def test_the_schema_has_a_default_for_every_column_that_needs_one() -> None:
    with sqlite3.connect(":memory:") as connection:
        for statement in schema.statements():
            connection.execute(statement)
        needed = {
            name
            for table in ("proxy_identities", "proxy_statuses")
            for _, name, _, not_null, _, key in connection.execute(f"PRAGMA table_info({table})")
            if not_null and not key
        }
    connection.close()
    assert needed - {"protocol", "host", "port"} == {*schema.DEFAULTS, *schema.DEFAULT_MOMENTS}


# --- ProxyWhirl's FileStorage


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_file_storage_is_carried_over_whole(
    storage: Callable[..., Path],
    tmp_path: Path,
    encrypted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    stored = json.loads((DATA / "proxywhirl-file-storage-sample.json").read_text())
    stored[0] |= {
        "tags": ["b", "ä"],
        "metadata": {"a": [1, {"b": None}]},
        "novelty": {"x": 1.5},
        "username": "üñ",
        "password": "\x00\n😀",
    }
    old, new = storage(*stored, encrypted=encrypted), tmp_path / ("new.enc" if encrypted else "new.json")
    frame = read(old)
    write(new, changes(frame.drop("key")))
    assert (new.read_bytes()[:6] == b"gAAAAA") is encrypted
    assert entries(new) == stored
    assert encrypted or new.read_bytes().isascii()
    assert read(new).equals(frame)


def test_entries_that_are_not_touched_stay_word_for_word(tmp_path: Path) -> None:
    path = tmp_path / "pool.json"
    first = '{ "url" : "http://a.example.com:1", "novelty": 1.50, "id": "00000000-0000-0000-0000-000000000001" }'
    second = '{"url":"http://b.example.com:1","é":1e2}'
    path.write_text(f"\ufeff [{first}  ,\n\t{second}]\n", encoding="utf-8")
    path.chmod(0o640)
    frame = read(path)
    assert frame["key"].to_list()[0] == "00000000-0000-0000-0000-000000000001"
    assert frame["key"].to_list()[1].startswith("#")
    (key,) = write(path, changes(proxy()))
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"[\n  {first},\n  {second},\n  {{")
    assert path.stat().st_mode & 0o777 == 0o640
    update = read(path)[1].with_columns(country_code=pl.lit("DE"), changed=pl.Series([["country_code"]]))
    write(path, changes(update=update, remove=(key,)))
    assert path.read_text(encoding="utf-8").startswith(f"[\n  {first},\n  {{")
    assert entries(path)[1] == {"url": "http://b.example.com:1", "é": 100.0, "country_code": "DE"}
    write(path, changes(remove=tuple(read(path)["key"])))
    assert path.read_bytes() == b"[]"


def test_a_new_entry_has_every_member_that_proxywhirl_writes(tmp_path: Path) -> None:
    (key,) = write(tmp_path / "new.json", changes(proxy("socks5://h.example.com:1")))
    (made,) = entries(tmp_path / "new.json")
    (known, *_) = json.loads((DATA / "proxywhirl-file-storage-sample.json").read_text())
    assert made.keys() == known.keys()
    moments = {name: made.pop(name) for name in ("created_at", "updated_at")}
    assert uuid.UUID(made.pop("id")) == uuid.UUID(key)
    assert all(datetime.fromisoformat(moment).tzinfo == UTC for moment in moments.values())
    assert made == {
        "url": "socks5://h.example.com:1",
        "protocol": "socks5",
        "username": None,
        "password": None,
        "allow_local": False,
        "health_status": "unknown",
        "last_success_at": None,
        "last_failure_at": None,
        "requests_started": 0,
        "requests_completed": 0,
        "requests_active": 0,
        "total_requests": 0,
        "total_successes": 0,
        "total_failures": 0,
        "average_response_time_ms": None,
        "latency_ms": None,
        "ema_response_time_ms": None,
        "ema_alpha": 0.2,
        "window_start": None,
        "window_duration_seconds": 3600,
        "country_code": None,
        "region": None,
        "consecutive_failures": 0,
        "last_health_check": None,
        "consecutive_successes": 0,
        "recovery_attempt": 0,
        "next_check_time": None,
        "last_health_error": None,
        "total_checks": 0,
        "total_health_failures": 0,
        "tags": [],
        "source": "user",
        "source_url": None,
        "metadata": {},
        "ttl": None,
        "expires_at": None,
        "cost_per_request": 0.0,
    }


def test_an_id_that_is_taken_gets_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    own = str(uuid.UUID(int=7))
    assert write(path, changes(proxy(id=own))) == (own,)
    first, second = write(path, changes(pl.concat([proxy(id=own), proxy(id=str(uuid.UUID(int=8)))])))
    assert first != own
    assert second == str(uuid.UUID(int=8))
    assert [entry["id"] for entry in entries(path)] == [own, first, second]


def test_an_update_of_an_entry_writes_only_what_is_to_change(storage: Callable[..., Path]) -> None:
    path = storage(
        {
            "url": "http://a.example.com:1",
            "username": "u",
            "password": "p",
            "tags": ["x"],
            "old": 1,
            "total_successes": 3,
        },
        {"url": "http://u:p@b.example.com:1", "username": None, "password": None},
    )
    update = read(path).with_columns(
        password=pl.lit("né"),
        tags=pl.lit('["y"]'),
        extra=pl.lit('{"new": 2, "url": "evil"}'),
        requests_succeeded=pl.lit(9),
        stored_url=pl.lit(None, dtype=pl.String),
        changed=pl.Series([["password", "extra", "requests_succeeded"], ["password", "tags"]]),
    )
    write(path, changes(update=update))
    first, second = entries(path)
    assert first == {
        "url": "http://a.example.com:1", "username": "u", "password": "né", "tags": ["x"], "new": 2,
        "total_successes": 9,
    }  # fmt: skip
    assert second == {
        "url": "http://u:n%C3%A9@b.example.com:1", "username": None, "password": None, "tags": ["y"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"url": "socks5h://h.example.com:1"}, "its protocol is none of http, https, socks4, socks5"),
        ({"url": "http://192.168.0.1:1"}, "its address is a local one, which ProxyWhirl loads only with allow_local"),
        (
            {"url": "http://[::1]:1", "host": "::1"},
            "its address is a local one, which ProxyWhirl loads only with allow_local",
        ),
        ({"url": "http://192.168.0.1:1", "allow_local": True}, None),
        (
            {"url": "http://localhost.example.com:1"},
            "its address is a local one, which ProxyWhirl loads only with allow_local",
        ),
        ({"url": "http://192.88.99.1:1"}, None),
        ({"health_status": "fine"}, "its health_status is unknown to ProxyWhirl"),
        ({"source": "me"}, "its source is unknown to ProxyWhirl"),
        ({"requests_total": -1}, "its requests_total is negative"),
        ({"cost_per_request": -0.5}, "its cost_per_request is negative"),
        ({"ttl": 10**11}, "its ttl is beyond any date"),
        ({"id": "7"}, "its id is no UUID"),
        ({"id": "{00000000-0000-0000-0000-000000000001}"}, None),
        ({"tags": '["a", 1]'}, "its tags are no list of texts"),
        ({"tags": "a"}, "its tags are no list of texts"),
        ({"metadata": "[]"}, "its metadata is no JSON object"),
        ({"extra": '{"a": NaN}'}, "its extra is no JSON object"),
    ],
)
def test_a_file_storage_says_what_it_cannot_hold(tmp_path: Path, columns: dict[str, Any], reason: str | None) -> None:
    frame = proxy(**{"url": "http://h.example.com:1", **columns})
    with open_pool(call(tmp_path / "new.json"), SOURCE) as target:
        refusals = cast("Any", target).refusals(frame)
        assert refusals.to_list() == [reason]
        if reason is None:
            target.write(changes(frame))
        else:
            with pytest.raises(RequestError, match="cannot hold 1 of the proxies"):
                target.write(changes(frame))
    assert (tmp_path / "new.json").exists() is (reason is None)


def test_a_file_that_has_changed_is_not_replaced(storage: Callable[..., Path]) -> None:
    path = storage({"url": "http://a.example.com:1"})
    with open_pool(call(path), SOURCE) as target:
        with pytest.raises(TransientError, match="Somebody else is writing"), open_pool(call(path), SOURCE):
            pass
        assert read(path).height == 1
        other = path.with_name("other")
        other.write_text("[]")
        other.replace(path)
        with pytest.raises(TransientError, match="has changed since it was opened"):
            target.write(changes(proxy()))
    assert path.read_text() == "[]"
    assert [entry.name for entry in path.parent.iterdir()] == ["pool.json"]


def test_a_file_that_was_opened_for_reading_is_not_written(storage: Callable[..., Path]) -> None:
    path = storage({"url": "http://a.example.com:1"})
    with open_pool(call(path, write=False), SOURCE) as target, pytest.raises(RequestError, match="opened for reading"):
        target.write(changes(proxy()))
    with open_pool(call(path), SOURCE) as target, pytest.raises(RequestError, match="not in the file"):
        target.write(changes(remove=("#9",)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "proxy 1.*a whole number instead of an object"),
        (
            '[{"url": "http://a.example.com:1"}, {"url": "http://a.example.com:1", "port": 1, "ttl": "x"}]',
            "proxy 2.*ttl",
        ),
        ('[{"url": "http://a.example.com:1", "url": "x"}]', "same name twice"),
        ('[{"url": "http://a.example.com:1"}', "not valid JSON"),
        ('[{"url": "http://a.example.com:1"}] x', "not valid JSON"),
        ('[{"url": "http://a.example.com:1"} 1]', "not valid JSON"),
        ("[" * 5000, "nested too deeply"),
        ('[{"url": "http://a.example.com:1", "ttl": NaN}]', "NaN and Infinity"),
    ],
)
def test_a_file_storage_that_cannot_be_read_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pool.json"
    path.write_text(text)
    with pytest.raises(SourceError, match=message):
        read(path)


def test_an_encrypted_file_storage_needs_its_key(
    storage: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = storage({"url": "http://a.example.com:1"}, encrypted=True)
    assert read(path).height == 1
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", Fernet.generate_key().decode())
    with pytest.raises(WrongKeyError):
        read(path)
    monkeypatch.delenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY")
    for place in (path, tmp_path / "new.enc"):
        with pytest.raises(ConfigurationError, match="not at hand"):
            read(place)


# --- places


def test_places_that_cannot_be_replaced_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "nowhere")
    with pytest.raises(NotAllowedError, match="a symbolic link"):
        read(tmp_path / "link.db")
    with pytest.raises(NotAllowedError, match="a folder"):
        read(tmp_path)
    with pytest.raises(NotAllowedError, match="not a regular file"):
        read(Path("/dev/null"))
    with pytest.raises(StorageError, match="no folder"):
        read(tmp_path / "nowhere" / "pool.db")
    with pytest.raises(RequestError, match="postgresql://"):
        open_pool(call("postgresql://user:secret@h/db"), SOURCE)


@pytest.mark.parametrize(
    ("location", "dialect", "kind"),
    [
        ("pool.db", None, "proxywhirl-sqlite"),
        ("pool.sqlite", None, "proxywhirl-sqlite"),
        ("proxywhirl://{}/pool", None, "proxywhirl-sqlite"),
        ("pool.json", None, "proxywhirl-file-storage"),
        ("pool.enc", None, "proxywhirl-file-storage"),
        ("pool", "proxywhirl-sqlite", "proxywhirl-sqlite"),
        ("pool.txt", None, "url"),
        ("pool", None, "url"),
        ("pool.txt", "colon", "colon"),
        ("pool.json", "json", "json"),
        ("pool.yaml", None, "clash"),
    ],
)
def test_what_a_new_pool_is_says_the_dialect_or_the_name(
    tmp_path: Path, location: str, dialect: str | None, kind: str
) -> None:
    place = location.format(tmp_path) if "{}" in location else str(tmp_path / location)
    with open_pool(call(place, dialect=dialect), SOURCE) as target:
        assert isinstance(target, PoolTarget)
        assert target.kind == kind
        assert target.read().is_empty()
        assert {"url", "host", "port"} <= set(target.holds)
        assert "secret" not in repr(target)
    assert list(tmp_path.iterdir()) == []


def test_a_pool_is_not_taken_for_another_one(storage: Callable[..., Path], tmp_path: Path) -> None:
    path = storage({"url": "http://a.example.com:1"})
    with pytest.raises(RequestError, match="not of the dialect"):
        read(path, dialect="proxywhirl-sqlite")
    (tmp_path / "pool.gz").write_bytes(b"\x1f\x8b\x08")
    with pytest.raises(RequestError, match="is compressed"):
        read(tmp_path / "pool.gz")


# --- files of dialects


class Lines:
    """Reads and writes lists of URLs: what the target does is not in reading and writing them."""

    def read_pool(self, what: ReadPoolCall) -> PoolFile:
        lines = [line for line in what.path.read_text().splitlines() if not line.startswith("#")]
        apart = taken_apart(pl.DataFrame({"url": lines, "username": None, "password": None}, schema_overrides=TEXTS))
        problems = (Problem("line 2", "it is no address"),) if "bad" in what.path.name else ()
        manifest: dict[str, Any] | None = {} if "export" in what.path.name else None
        return PoolFile(what.dialect or "url", apart, problems, len(problems), "digest", manifest=manifest)

    def render_pool(self, what: RenderPoolCall) -> RenderedPool:
        stored = put_together(what.frame.with_columns(credentials_in=pl.lit("url")))
        held = stored.filter(~pl.col("url").str.starts_with("socks4a"))
        lost = stored.height - held.height
        losses = (Loss("scheme", lost, "it has no word for socks4a", proxies=True),) if lost else ()
        return RenderedPool("".join(f"{url}\n" for url in held["url"]).encode(), held.height, losses)

    def open_pool(self, what: OpenPoolCall) -> AbstractContextManager[PoolTarget]:
        return open_pool(what, self)


TEXTS = {"url": pl.String, "username": pl.String, "password": pl.String}
LINES = Lines()


def test_a_list_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "pool.txt"
    with LINES.open_pool(call(path)) as target:
        new = pl.concat([proxy(username="me", password="p@ss", country_code="DE"), proxy("http://i.example.com:1").with_columns(
            pl.lit(None, pl.String).alias(name) for name in ("username", "password", "country_code"))])  # fmt: skip
        first = target.write(changes(new))
        assert len(set(first)) == 2
    assert path.read_text() == "http://me:p%40ss@h.example.com:8080\nhttp://i.example.com:1\n"
    path.write_text("# mine\n" + path.read_text())
    path.chmod(0o644)
    with LINES.open_pool(call(path)) as target:
        assert "comments" in next(iter(target.notes))
        assert target.holds == ("url", "host", "port", "username", "password", "protocol")
        frame = target.read()
        assert tuple(frame["key"]) == first
        update = frame.with_columns(
            password=pl.Series(["new", "x"]), city=pl.lit("Zürich"), changed=pl.Series([["password"], ["city"]])
        )
        (third,) = target.write(changes(proxy("http://j.example.com:1"), update))
        keys = target.read()["key"].to_list()
        assert (keys[1], keys[2]) == (first[1], third)
        assert keys[0] != first[0]
        assert target.read()["host"].to_list() == ["h.example.com", "i.example.com", "j.example.com"]
    assert path.read_text() == ("http://me:new@h.example.com:8080\nhttp://i.example.com:1\nhttp://j.example.com:1\n")
    assert path.stat().st_mode & 0o777 == 0o644
    with LINES.open_pool(call(path)) as target:
        assert target.write(changes(remove=(keys[0], third))) == ()
        assert target.read()["key"].to_list() == [first[1]]
    assert path.read_text() == "http://i.example.com:1\n"


def test_a_list_that_cannot_hold_a_proxy_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "pool.txt"
    path.write_text("http://h.example.com:1\n")
    with LINES.open_pool(call(path)) as target:
        with pytest.raises(RequestError, match=r"cannot hold 1 of the proxies \(1: it has no word for socks4a\)"):
            target.write(changes(proxy("socks4a://h.example.com:1")))
        with pytest.raises(RequestError, match="not in the file"):
            target.write(changes(remove=("nobody",)))
    with (
        LINES.open_pool(call(path, write=False)) as target,
        pytest.raises(RequestError, match="opened for reading"),
    ):
        target.write(changes())
    assert path.read_text() == "http://h.example.com:1\n"


def test_a_file_that_would_lose_something_is_no_target(tmp_path: Path) -> None:
    for name in ("bad.txt", "export.txt"):
        (tmp_path / name).write_text("http://h.example.com:1\n")
    with (
        pytest.raises(SourceError, match=r"holds 1 entries that cannot be read.*line 2: it is no address"),
        LINES.open_pool(call(tmp_path / "bad.txt")),
    ):
        pass
    with (
        pytest.raises(RequestError, match="an export made by Tailrace"),
        LINES.open_pool(call(tmp_path / "export.txt")),
    ):
        pass
    with pytest.raises(UnknownNameError), LINES.open_pool(call(tmp_path / "new", dialect="klingon")):
        pass


def test_what_a_template_holds_says_the_template(tmp_path: Path) -> None:
    place = call(tmp_path / "pool.txt", dialect="template", template="{scheme};{host}:{port};{password}")
    with LINES.open_pool(place) as target:
        assert target.holds == ("url", "protocol", "host", "port", "password")

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tailrace_source_redis
from pools import URL, record, store
from redis import Redis
from tailrace_sdk.fakes import FolderSink, LinesFormat
from tailrace_source_redis.options import RedisOptions
from tailrace_source_redis.source import RedisSource

from tailrace import (
    BadRowError,
    CancelledError,
    Context,
    CredentialMode,
    Dataset,
    Engine,
    ExportRequest,
    OptionError,
    RequestError,
    Settings,
    SinkRequest,
    SourceCall,
    SourceError,
    TransientError,
)

SECRET = "S3cret-word-of-Redis"


def call_of(location: str = URL, *, context: Context | None = None, **options: Any) -> SourceCall:
    return SourceCall(
        location,
        RedisOptions(**options),
        CredentialMode.SANITIZED,
        datetime(2026, 11, 30, tzinfo=UTC),
        None,
        lambda *parts: "id of " + str(len(parts)),
        context or Context(),
    )


@contextmanager
def opened(table: str, **options: Any) -> Iterator[Dataset]:
    with RedisSource().open(call_of(table=table, **options)) as dataset:
        yield dataset


def rows_of(table: str, **options: Any) -> pl.DataFrame:
    with opened(table, **options) as dataset:
        return dataset.tables[0].frame.collect()


@contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that is no Redis, or a strange one."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _address = listening.accept()
            with connection:
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(20)


def test_a_pool_of_today(redis: "Redis", table: str) -> None:
    store(
        redis,
        table,
        [
            record("192.0.2.2:3128", https=True, region="Ulm", source="freeProxy01/freeProxy07", last_status=False),
            record("192.0.2.1:8080", last_time="", last_status="", check_count=0),
        ],
    )
    with opened(table, time_zone="Asia/Shanghai") as dataset:
        (proxies,) = dataset.tables
        assert proxies.frame.collect().rows() == [
            ("192.0.2.1:8080", None, None, False, 0, "", "", "freeProxy01", 0, None, None),
            (
                *("192.0.2.2:3128", None, None, True, 0, "Ulm", "", "freeProxy01/freeProxy07", 1, False),
                datetime(2026, 8, 14, 22, 30, tzinfo=UTC),
            ),
        ]
        assert proxies.count_rows is not None
        assert proxies.count_rows() == 2
        assert dataset.notes == ("A pool of proxy_pool with 2 proxies.",)


def test_a_pool_of_before_2021(redis: "Redis", table: str) -> None:
    old = record("192.0.2.1:8080", type="transparent", last_status=1)
    for name in ("https", "anonymous"):
        del old[name]
    store(redis, table, [old])
    shown = rows_of(table).select("https", "anonymous", "last_status").row(0)
    assert shown == (None, "transparent", True)


def test_what_is_not_known_is_told(redis: "Redis", table: str) -> None:
    store(redis, table, [record("192.0.2.1:8080", tag=["qq"]), record("192.0.2.2:8080")])
    with opened(table) as dataset:
        assert "1 proxies have further fields, which are not exported." in dataset.notes


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ({"proxy": "192.0.2.9:1"}, "proxy"),
        ({"fail_count": "3"}, "fail_count"),
        ({"fail_count": 2**63}, "fail_count"),
        ({"check_count": True}, "check_count"),
        ({"check_count": 1.0}, "check_count"),
        ({"https": "yes"}, "https"),
        ({"last_status": 2}, "last_status"),
        ({"last_status": 1.0}, "last_status"),
        ({"region": 7}, "region"),
        ({"region": "\ud800"}, "region"),
        ({"last_time": "2026-02-30 00:00:00"}, "last_time"),
        ({"last_time": "2026-08-15T06:30:00+02:00"}, "last_time"),
        ({"last_time": "2026-03-29 02:30:00"}, "last_time"),
        ({"last_time": 1_786_752_000}, "last_time"),
    ],
)
def test_values_that_do_not_fit_are_bad_rows(
    redis: "Redis", table: str, change: Mapping[str, Any], column: str
) -> None:
    store(redis, table, [record("192.0.2.1:8080"), record("192.0.2.3:8080")])
    redis.hset(table, "192.0.2.2:8080", json.dumps({**record("192.0.2.2:8080"), **change}))
    with pytest.raises(BadRowError) as stopped:
        rows_of(table, time_zone="Europe/Berlin")
    assert (stopped.value.row, stopped.value.column) == (2, column)
    with opened(table, time_zone="Europe/Berlin", on_bad_rows="report") as dataset:
        (proxies,) = dataset.tables
        assert proxies.frame.collect()["proxy"].to_list() == ["192.0.2.1:8080", "192.0.2.3:8080"]
        assert [(bad.row, bad.column) for bad in proxies.bad_rows.examples] == [(2, column)]
        assert proxies.count_rows is not None
        assert proxies.count_rows() == 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"192.0.2.1:8080", b"{"),
        (b"192.0.2.1:8080", b"[" * 100_000),
        (b"192.0.2.1:8080", b"\xff\xfe"),
        (b"192.0.2.1:8080", b'"text"'),
        (b"\xff\xfe:80", json.dumps(record("x:80")).encode()),
        (b"192.0.2.1", json.dumps(record("192.0.2.1")).encode()),
        (b"192.0.2.1:0", json.dumps(record("192.0.2.1:0")).encode()),
        (b"192.0.2.1:65536", json.dumps(record("192.0.2.1:65536")).encode()),
        (b"user:S3cret-word@", json.dumps(record("user:S3cret-word@")).encode()),
    ],
)
def test_damage_is_told_and_not_quoted(redis: "Redis", table: str, field: bytes, value: bytes) -> None:
    redis.hset(table, field, value)
    with pytest.raises(BadRowError) as stopped:
        rows_of(table)
    assert "S3cret" not in f"{stopped.value!r} {stopped.value.hint}"
    with opened(table, on_bad_rows="report") as dataset:
        assert dataset.tables[0].bad_rows.count == 1
        assert "S3cret" not in repr(dataset)


def test_an_hour_that_comes_twice_is_the_first(redis: "Redis", table: str) -> None:
    store(redis, table, [record("192.0.2.1:8080", last_time="2026-10-25 02:30:00")])
    (moment,) = rows_of(table, time_zone="Europe/Berlin")["last_time"]
    assert moment == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_short_passwords_go_only_where_they_are_words(redis: "Redis", table: str) -> None:
    store(redis, table, [record("me:ab@192.0.2.1:8080", region="cab, ab ab and abbey", source="ab")])
    assert rows_of(table).select("region", "source").row(0) == (
        "cab, [redacted] [redacted] and abbey",
        "[redacted]",
    )


def test_a_table_that_is_not_there_may_be_an_empty_pool(redis: "Redis", table: str) -> None:
    with pytest.raises(SourceError, match="There is no hash"):
        rows_of(table)
    assert rows_of(table, allow_empty=True).shape == (0, 11)
    redis.set(table, "a text")
    with pytest.raises(SourceError, match="is no hash"):
        rows_of(table, allow_empty=True)


@pytest.mark.parametrize(
    "location",
    [
        "",
        "proxies.txt",
        f"http://me:{SECRET}@127.0.0.1/0",
        f"redis://me:{SECRET}@127.0.0.1:x/0",
        f"redis://me:{SECRET}@127.0.0.1/pool",
        f"redis://me:{SECRET}@127.0.0.1/0?password={SECRET}",
        f"redis://me:{SECRET}@/0",
    ],
)
def test_locations_that_are_none_are_refused_without_quoting_them(location: str) -> None:
    with pytest.raises(RequestError) as refused, RedisSource().open(call_of(location)):
        pass
    assert SECRET not in f"{refused.value!r} {refused.value.hint}"


def test_a_redis_that_is_away_is_for_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with (
        pytest.raises(TransientError, match="cannot be reached") as away,
        RedisSource().open(call_of(f"redis://me:{SECRET}@127.0.0.1:{port}")),
    ):
        pass
    assert SECRET not in repr(away.value)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (b"-LOADING Redis is loading the dataset in memory\r\n", TransientError, "loading"),
        (b"-NOAUTH Authentication required.\r\n", SourceError, "password"),
        (f"-WRONGPASS {SECRET}\r\n".encode(), SourceError, "password"),
        (b"-NOPERM this user has no permissions\r\n", SourceError, "refused to give the pool"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", SourceError, "as no Redis does"),
        (b"", TransientError, "cannot be reached"),
    ],
)
def test_what_redis_refuses(answer: bytes, error: type[Exception], said: str) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1_000)
        connection.sendall(answer)

    with server(talk) as port:
        call = call_of(f"redis://:{SECRET}@127.0.0.1:{port}")
        with pytest.raises(error) as refused, RedisSource().open(call):
            pass
    assert said in str(refused.value)
    assert SECRET not in f"{refused.value!r} {getattr(refused.value, 'hint', '')}"


def test_the_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(connection.recv(1_000))

    monkeypatch.setenv("REDISCLI_AUTH", SECRET)
    with server(talk) as port:
        call = call_of(f"redis://127.0.0.1:{port}")
        with pytest.raises(TransientError), RedisSource().open(call):
            pass
    assert SECRET.encode() in heard[0]


@pytest.mark.flaky(reruns=1)
def test_nobody_waits_for_a_redis_that_is_silent() -> None:
    silent = threading.Event()
    context = Context()

    def talk(connection: socket.socket) -> None:
        connection.recv(1_000)
        context.cancel()
        silent.wait(10)

    with server(talk) as port:
        began = time.monotonic()
        with (
            pytest.raises(CancelledError),
            RedisSource().open(call_of(f"redis://127.0.0.1:{port}", context=context)),
        ):
            pass
        assert time.monotonic() - began < 2.0
        silent.set()


def test_a_silent_redis_is_given_up() -> None:
    silent = threading.Event()

    def talk(_connection: socket.socket) -> None:
        silent.wait(10)

    with server(talk) as port:
        call = call_of(f"redis://127.0.0.1:{port}", timeout=0.2)
        with pytest.raises(TransientError, match="did not answer in time"), RedisSource().open(call):
            pass
        silent.set()


def test_options_that_cannot_be() -> None:
    engine = Engine(Settings(), plugins=[("redis", tailrace_source_redis)], discover=False)
    options_type = engine.registry.load("source", "redis").object.options_type
    with pytest.raises(ValueError, match="name of a zone"):
        options_type(time_zone="Mars/Olympus")
    with pytest.raises(ValueError, match="more than 0"):
        options_type(timeout=0)


def test_an_export_holds_no_login(redis: "Redis", table: str, tmp_path: Path) -> None:
    store(redis, table, [record(f"me:{SECRET}@192.0.2.1:8080", region=f"{SECRET}?"), record("192.0.2.2:8080")])
    plugins = [("redis", tailrace_source_redis), ("lines", LinesFormat()), ("folder", FolderSink())]
    engine = Engine(Settings(home=tmp_path / "home"), plugins=plugins, discover=False)
    request = ExportRequest(
        "redis",
        URL.replace("redis://", f"redis://:{SECRET}@"),
        "lines",
        options={"table": table},
        sinks=(SinkRequest("folder", str(tmp_path / "out")),),
        compress=False,
    )
    # The Redis of this machine has no password, and says so.
    with pytest.raises(SourceError) as refused:
        engine.export(request)
    assert SECRET not in repr(refused.value)
    import attrs

    result = engine.export(attrs.evolve(request, location=URL))
    assert result.artifacts[0].manifest.tables[0].rows.source == 2
    for path in (tmp_path / "out").iterdir():
        assert SECRET.encode() not in path.read_bytes()
    with pytest.raises(OptionError):
        engine.export(attrs.evolve(request, location=URL, options={"timeout": "0"}))

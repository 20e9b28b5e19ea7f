"""PostgreSQL is read exactly, from one moment, without telling anybody's password."""

import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tailrace import (
    BadRow,
    BadRowError,
    BadRows,
    CancelledError,
    Context,
    DeadlineError,
    PostgresSnapshot,
    SourceError,
    TailraceError,
    TransientError,
    UnknownNameError,
)

pytestmark = pytest.mark.postgres

Execute = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def execute(postgres_uri: str) -> Iterator[Execute]:
    """Runs statements on a connection of its own, committed at once."""
    with psycopg.connect(postgres_uri, autocommit=True) as connection:

        def run(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement.encode(), parameters or None)
            return cursor.fetchall() if cursor.description else []

        yield run


def snapshot(uri: str, *, busy_timeout: float = 5.0, context: Context | None = None) -> PostgresSnapshot:
    return PostgresSnapshot(uri, context=context or Context(), busy_timeout=busy_timeout)


# Values.

ROW = st.tuples(
    st.none() | st.booleans(),
    st.none() | st.integers(-(2**15), 2**15 - 1),
    st.none() | st.integers(-(2**31), 2**31 - 1),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(width=32),
    st.none() | st.floats(),
    st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.none() | st.binary(max_size=9),
    st.none() | st.dates(),
    st.none() | st.datetimes(),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.none() | st.decimals(allow_infinity=False, places=6, min_value=-(10**20), max_value=10**20),
)
TYPES = {
    "bool": pl.Boolean(),
    "int2": pl.Int16(),
    "int4": pl.Int32(),
    "int8": pl.Int64(),
    "float4": pl.Float32(),
    "float8": pl.Float64(),
    "text": pl.String(),
    "bytea": pl.Binary(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us"),
    "timestamptz": pl.Datetime("us", "UTC"),
    "numeric": pl.String(),
}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ROW, max_size=8))
def test_all_values_come_out_exactly(postgres_uri: str, rows: list[tuple[Any, ...]]) -> None:
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("DROP TABLE IF EXISTS t")
        definitions = ", ".join(f"c_{name} {name}" for name in TYPES)
        connection.execute(f"CREATE TABLE t(id int4 PRIMARY KEY, {definitions})")
        for number, row in enumerate(rows):
            values = ", ".join(["%s"] * (len(row) + 1))
            connection.execute(f"INSERT INTO t VALUES ({values})", (number, *row))
        stored = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
    with snapshot(postgres_uri) as opened:
        frame = opened.scan("t").collect(engine="in-memory")
    assert frame.schema == pl.Schema({"id": pl.Int32(), **{f"c_{name}": dtype for name, dtype in TYPES.items()}})
    assert frame.height == len(stored)
    for got, row in zip(frame.rows(), stored, strict=True):
        wanted = list(row)
        if row[5] is not None:  # psycopg reads the six digits that tell one float4 from the next
            (wanted[5],) = struct.unpack("f", struct.pack("f", row[5]))
        if row[-1] is not None:
            wanted[-1] = format(row[-1], "f")
        # Not a number is not equal to itself, and 0.0 is to -0.0: compare what they are written as.
        assert [repr(value) if isinstance(value, float) else value for value in got] == [
            repr(value) if isinstance(value, float) else value for value in wanted
        ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("'NaN'::numeric", "NaN"),
        ("'-Infinity'::numeric", "-Infinity"),
        ("12345678901234567890.123456789012345678901234567890", "12345678901234567890.123456789012345678901234567890"),
        ("""'{"b": 1, "a": 2.50}'::json""", '{"b": 1, "a": 2.50}'),
        ("""'{"b": 1, "a": 2.50}'::jsonb""", '{"a": 2.50, "b": 1}'),
        ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("ARRAY[1, NULL, 3]", "{1,NULL,3}"),
        ("ARRAY[timestamptz '2026-01-02 03:04:05+01']", '{"2026-01-02 02:04:05+00"}'),
        ("'10.0.0.1/8'::inet", "10.0.0.1/8"),
        ("'10.0.0.0/8'::cidr", "10.0.0.0/8"),
        ("'08:00:2b:01:02:03'::macaddr", "08:00:2b:01:02:03"),
        ("'24:00:00'::time", "24:00:00"),
        ("'12:34:56.5+01'::timetz", "12:34:56.5+01"),
        ("interval '1 mon 2 d 3.5 s'", "P1M2DT3.5S"),
        ("'12.30'::money", "$12.30"),
        ("point(1, 2)", "(1,2)"),
        ("int4range(1, 3)", "[1,3)"),
        ("B'101'", "101"),
        ("'<a/>'::xml", "<a/>"),
        ("'red'::colour", "red"),
        ("'x  '::char(4)", "x   "),
        ("'name'::name", "name"),
        ("'x'::varchar(3)", "x"),
        ("'lower'::shouted", "lower"),
    ],
)
def test_what_has_no_counterpart_comes_as_its_text(execute: Execute, postgres_uri: str, value: str, text: str) -> None:
    execute("CREATE TYPE colour AS ENUM ('red')")
    execute("CREATE DOMAIN shouted AS text")
    execute(f"CREATE TABLE t AS SELECT {value} AS x")
    with snapshot(postgres_uri) as opened:
        frame = opened.scan("t").collect()
        assert opened.scan("t", columns={"x": pl.String}).collect().item() == text
    assert frame.dtypes == [pl.String]
    assert frame.item() == text


def test_numbers_of_objects_do_not_turn_negative(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t AS SELECT 4294967295::oid AS x")
    with snapshot(postgres_uri) as opened:
        assert opened.scan("t").collect().to_dict(as_series=False) == {"x": [4294967295]}


def test_times_that_no_calendar_has_are_bad_rows(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t(n int PRIMARY KEY, a timestamptz, b timestamp, c date)")
    execute(
        "INSERT INTO t VALUES (1, 'infinity', NULL, NULL), (2, '0001-01-01 00:00+00', '9999-12-31 23:59:59.999999',"
        " '9999-12-31'), (3, NULL, '-infinity', 'infinity'), (4, NULL, '10000-01-01', NULL), (5, NULL, NULL,"
        " '0001-12-31 BC'), (6, NULL, NULL, '-infinity'), (7, '294276-12-31 23:59+00', NULL, NULL)"
    )
    told = BadRows()
    with snapshot(postgres_uri) as opened:
        assert opened.scan("t", bad_rows=told).collect().rows() == [
            (2, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999), date(9999, 12, 31))  # noqa: DTZ001 - as stored
        ]
        with pytest.raises(BadRowError) as caught:
            opened.scan("t").collect()
    reason = "a time that is infinite, or not in the years 1 to 9999"
    assert told.count == 6
    assert told.examples == tuple(
        BadRow(row, column, reason) for row, column in [(1, "a"), (3, "b"), (4, "b"), (5, "c"), (6, "c"), (7, "a")]
    )
    assert caught.value.message == f"Row 1 of 't', column 'a': {reason}."


def test_types_can_be_asked_for(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t(a int8 PRIMARY KEY, b int2, c numeric, d float4, e timestamptz, f bool, g text)")
    execute(
        "INSERT INTO t VALUES (1, 1, 0.1, 0.5, '2026-01-01 00:00+00', true, '7'), (2, 0, NULL, NULL, NULL, NULL, NULL),"
        " (9007199254740993, 0, 1, 1, NULL, NULL, NULL), (9007199254740994, 2, 1, 1, NULL, NULL, NULL)"
    )
    asked: dict[str, Any] = {
        "e": pl.Datetime,
        "d": pl.Float64,
        "b": pl.Boolean,
        "a": pl.Float64(),
        "c": pl.Float64,
        "f": pl.String,
    }
    told = BadRows()
    with snapshot(postgres_uri) as opened:
        frame = opened.scan("t", columns=asked, bad_rows=told).collect(engine="in-memory")
        assert opened.scan("t", columns={"b": pl.Int64}).collect()["b"].to_list() == [1, 0, 0, 2]
        wrong: dict[str, Any] = {"g": pl.Int64, "c": pl.Int64, "e": pl.Date, "f": pl.Int64, "d": pl.Int64}
        for name, dtype in wrong.items():
            with pytest.raises(SourceError, match=f"Column '{name}' is of type .* and cannot be read as {dtype}"):
                opened.scan("t", columns={name: dtype})
        with pytest.raises(UnknownNameError, match=r"no column 'h' in public\.t"):
            opened.scan("t", columns={"h": pl.String})
    assert frame.dtypes == [pl.Datetime("us", "UTC"), pl.Float64, pl.Boolean, pl.Float64, pl.Float64, pl.String]
    assert frame.rows() == [
        (datetime(2026, 1, 1, tzinfo=UTC), 0.5, True, 1.0, 0.1, "true"),
        (None, None, False, 2.0, None, None),
    ]
    assert [(row.row, row.column) for row in told.examples] == [(3, "a"), (4, "b")]


def test_text_of_a_database_without_encoding_may_be_bad(execute: Execute, postgres_uri: str) -> None:
    name = f"{urlsplit(postgres_uri).path[1:]}_raw"
    execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    uri = f"{postgres_uri}_raw"
    try:
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute("CREATE TABLE t(x text)")
            connection.execute(r"INSERT INTO t VALUES ('ok'), (E'\xff'), (NULL)")
        told = BadRows()
        with snapshot(uri) as opened:
            assert opened.scan("t", bad_rows=told).collect()["x"].to_list() == ["ok", None]
        assert told.examples == (BadRow(2, "x", "text that is not UTF-8"),)
    finally:
        execute(f"DROP DATABASE {name} WITH (FORCE)")


# Tables.


def test_what_there_is_to_read(execute: Execute, postgres_uri: str) -> None:
    execute('CREATE TABLE "a ""b"" c"("x ""y" varchar(20), "select" int, PRIMARY KEY ("select", "x ""y"))')
    execute("""INSERT INTO "a ""b"" c" VALUES ('v', 2), ('w', 1)""")
    execute('CREATE VIEW v AS SELECT "select" AS n FROM "a ""b"" c"')
    execute("CREATE MATERIALIZED VIEW m AS SELECT 1 AS n")
    execute("CREATE SCHEMA archive")
    execute("CREATE TABLE archive.old(n numeric(10, 2), gone int)")
    execute("ALTER TABLE archive.old DROP COLUMN gone")
    execute("CREATE TABLE p(n int) PARTITION BY RANGE (n)")
    execute("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)")
    execute("INSERT INTO p VALUES (1), (2)")
    name = 'a "b" c'
    with snapshot(postgres_uri) as opened:
        assert opened.tables() == (name, "archive.old", "m", "p", "p1", "v")
        assert opened.columns(name) == {'x "y': "character varying(20)", "select": "integer"}
        assert opened.key(name) == ("select", 'x "y')
        assert opened.scan(name).collect().rows() == [("w", 1), ("v", 2)]
        assert opened.columns("archive.old") == {"n": "numeric(10,2)"}
        assert opened.key("archive.old") == opened.key("v") == ()
        assert opened.count("archive.old") == 0
        assert opened.scan("archive.old").collect().schema == {"n": pl.String}
        assert opened.sample("archive.old", 5).schema == {"n": pl.String}
        assert opened.columns(f"public.{name}") == opened.columns(name)
        assert opened.count("p") == 2
        assert opened.sample("p", 1).rows() == [(1,)]
        assert opened.sample("v", 9, columns={"n": pl.Int64})["n"].sort().to_list() == [1, 2]
        for ask in (opened.columns, opened.key, opened.count, opened.scan, lambda table: opened.sample(table, 1)):
            with pytest.raises(UnknownNameError, match="no table 'old'") as caught:
                ask("old")
            assert "archive.old" in caught.value.known


def test_large_tables_come_in_order_and_in_batches(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t(x text, id int8)")
    execute("INSERT INTO t SELECT repeat('x', i % 7), i FROM generate_series(1, 60000) i ORDER BY i % 101")
    execute("ALTER TABLE t ADD PRIMARY KEY (id)")
    with snapshot(postgres_uri) as opened:
        frame = opened.scan("t")
        assert frame.collect()["id"].to_list() == list(range(1, 60_001))
        assert frame.select(pl.len()).collect().item() == opened.count("t") == 60_000
        assert frame.head(3).collect().rows() == [("x", 1), ("xx", 2), ("xxx", 3)]
        assert frame.filter(pl.col("id") == 50_000).select("x").collect().item() == "x" * (50_000 % 7)
        both = pl.collect_all([frame.select(pl.col("id").sum()), opened.scan("t").select(pl.col("id").max())])
        assert [one.item() for one in both] == [60_000 * 60_001 // 2, 60_000]
        sample = opened.sample("t", 83)
        assert sample.height == 83
        assert sample["id"].n_unique() == 83
        assert opened.sample("t", 0).height == 0
        assert opened.sample("t", 60_000_000).height == 60_000


def test_a_sample_leaves_out_what_does_not_fit(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t AS SELECT CASE WHEN i % 2 = 0 THEN date 'infinity' END AS x FROM generate_series(1, 100) i")
    with snapshot(postgres_uri) as opened:
        assert opened.sample("t", 100)["x"].to_list() == [None] * 50


def test_queries(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t AS SELECT i AS n FROM generate_series(1, 3) i")
    with snapshot(postgres_uri) as opened:
        frame = opened.query(
            "SELECT n, $1::text AS t, $2::int8 AS i, $3::float8 AS r, $4::bytea AS z, $5::int8 AS u, 1.50 AS d,"
            " '{}'::jsonb AS j FROM t WHERE n >= $6 ORDER BY n DESC",
            ["é", 7, 0.5, b"\0", None, 2],
            columns={"n": pl.Int64},
        )
        assert frame.rows() == [
            (3, "é", 7, 0.5, b"\0", None, "1.50", "{}"),
            (2, "é", 7, 0.5, b"\0", None, "1.50", "{}"),
        ]
        assert frame.dtypes[:2] == [pl.Int64, pl.String]
        with pytest.raises(UnknownNameError, match="no column 'c' in the result"):
            opened.query("SELECT 1 AS a", columns={"c": pl.Int64})
        with pytest.raises(SourceError, match="Column 'x' is of a type that has no counterpart") as caught:
            opened.query("SELECT '10.0.0.1'::inet AS x")
        assert caught.value.hint == "Select x::text."
        with pytest.raises(SourceError, match="cannot be read as"):
            opened.query("SELECT true AS x", columns={"x": pl.Date})
        with pytest.raises(BadRowError, match="Row 2 of 'the result', column 'x'"):
            opened.query("SELECT 1 AS x UNION ALL SELECT 2", columns={"x": pl.Boolean})


def test_a_value_that_polars_cannot_take_is_an_error_like_others(
    postgres_uri: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        snapshot(postgres_uri) as opened,
        pytest.raises(SourceError, match="gave a value of a type that cannot be read") as caught,
    ):
        opened.query("SELECT interval '1 day' AS x")
    assert caught.value.hint == "Select it as text: column::text."
    capfd.readouterr()  # polars prints where it gave up


# One moment.


def test_a_commit_of_another_session_is_not_seen(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t AS SELECT i AS n FROM generate_series(1, 40000) i")
    with snapshot(postgres_uri) as opened:
        batches = iter(opened.scan("t").collect_batches(chunk_size=10, lazy=True))
        first = next(batches)
        execute("UPDATE t SET n = 0")
        execute("INSERT INTO t VALUES (0)")
        assert pl.concat([first, *batches])["n"].sum() == 40_000 * 40_001 // 2
        assert opened.count("t") == 40_000
        assert opened.query("SELECT min(n) AS n FROM t").item() == 1
    with snapshot(postgres_uri) as opened:
        assert opened.count("t") == 40_001


def test_nothing_can_be_written(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t AS SELECT 1 AS n")
    with snapshot(postgres_uri) as opened, pytest.raises(SourceError, match=r"\(SQLSTATE 25006\)"):
        opened.query("DELETE FROM t RETURNING n")
    assert execute("SELECT n FROM t") == [(1,)]


# Errors.


def test_passwords_users_and_values_are_never_told(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t AS SELECT 'hunter2' AS x")
    place = postgres_uri.partition("@")[2]
    host = place.partition("/")[0]
    attempts: dict[str, tuple[str, type[TailraceError]]] = {
        f"postgresql://alice:hunter2@{place}": ("refuses this user", SourceError),
        f"postgresql://alice:hunter2@{host}/nowhere": ("refuses this user", SourceError),
        "postgresql://alice:hunter2@127.0.0.1:1/x": ("database 'x' on 127.0.0.1:1 cannot be reached", TransientError),
        "postgresql://alice:hunter2@nowhere.invalid/x": ("database 'x' on nowhere.invalid cannot be", TransientError),
        "postgresql://alice:hun%zzter2@127.0.0.1/x": ("address of the database 'x' on 127.0.0.1", SourceError),
        "postgresql://alice:hunter2@127.0.0.1:port/x": ("an address that cannot be read", SourceError),
        f"postgresql://postgres:hunter2@{host}/nowhere?connect_timeout=5": (
            "There is no database 'nowhere'",
            SourceError,
        ),
        "postgresql:///x?host=/nowhere&user=alice&password=hunter2": ("'x' on the local server", TransientError),
        "postgresql://alice:hunter2@127.0.0.1:1": ("default database on 127.0.0.1:1", TransientError),
    }
    for uri, (message, kind) in attempts.items():
        with pytest.raises(kind) as caught:
            snapshot(uri).__enter__()
        assert message in str(caught.value)
        told = f"{caught.value!r} {caught.value.hint} {caught.value.__cause__!r} {caught.value.__context__!r}"
        assert "hunter2" not in told
        assert "alice" not in told
        assert "ter2" not in told
    with snapshot(postgres_uri) as opened, pytest.raises(SourceError, match=r"SQLSTATE 22P02") as caught:
        opened.query("SELECT x::int FROM t")
    assert "hunter2" not in f"{caught.value!r}{caught.value.__context__!r}"


def test_what_the_server_does_not_understand_or_allow(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t(x int)")
    with snapshot(postgres_uri) as opened, pytest.raises(SourceError, match=r'query: column "y" does not exist'):
        opened.query("SELECT y FROM t")
    role = urlsplit(postgres_uri).path[1:]
    execute(f"CREATE ROLE {role} LOGIN")
    try:
        with (
            snapshot(postgres_uri.replace("postgres@", f"{role}@")) as opened,
            pytest.raises(SourceError, match="does not allow this user to read that"),
        ):
            opened.scan("t").collect(engine="in-memory")
    finally:
        execute(f"DROP ROLE {role}")


def test_a_lock_is_waited_for_but_not_for_ever(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t(x int)")
    execute("BEGIN")
    execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    began = time.monotonic()
    with (
        snapshot(postgres_uri, busy_timeout=0.3) as opened,
        pytest.raises(TransientError, match=r"A table of the database .* is locked by another session"),
    ):
        opened.count("t")
    assert 0.3 <= time.monotonic() - began < 5


def test_a_server_that_goes_away_is_transient(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t AS SELECT i AS n FROM generate_series(1, 400000) i")
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with snapshot(postgres_uri) as opened:
        batches = iter(opened.scan("t").collect_batches(chunk_size=10, lazy=True))
        next(batches)
        execute(f"{end} AND datname = current_database()")
        with pytest.raises(TransientError, match=r"stopped answering|cannot be reached"):
            list(batches)


# Coming to an end.


def test_cancelling_reaches_the_server(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE VIEW slow AS SELECT i AS n, pg_sleep(0.5)::text AS s FROM generate_series(1, 100) i")
    context = Context()
    threading.Timer(0.3, context.cancel).start()
    began = time.monotonic()
    with pytest.raises(CancelledError), snapshot(postgres_uri, context=context) as opened:
        opened.scan("slow").collect(engine="in-memory")
    assert time.monotonic() - began < 3
    with pytest.raises(DeadlineError), snapshot(postgres_uri, context=Context(timeout=0.3)) as opened:
        opened.scan("slow").collect()
    assert time.monotonic() - began < 6
    with pytest.raises(DeadlineError):
        snapshot(postgres_uri, context=Context(timeout=0)).__enter__()


def test_a_scan_that_nobody_finishes_does_not_hold_up_the_end(execute: Execute, postgres_uri: str) -> None:
    execute("CREATE TABLE t AS SELECT i AS n FROM generate_series(1, 40000) i")
    with snapshot(postgres_uri) as opened:
        batches = iter(opened.scan("t").collect_batches(chunk_size=10, lazy=True))
        assert next(batches).height > 0
        frame = opened.scan("t")
        assert frame.head(1).collect().height == 1
    with pytest.raises(RuntimeError, match="this snapshot is not open"):
        frame.collect()
    with pytest.raises(RuntimeError, match="this snapshot is not open"):
        opened.tables()
    del batches
    sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    deadline = time.monotonic() + 5
    while execute(sessions) != [(1,)] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert execute(sessions) == [(1,)]


def test_an_absent_server_skips_tests_but_not_in_ci(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The fixture itself: skipped tests must not pass for tested code."""
    code = """
import conftest, pytest
conftest.POSTGRES = "postgresql://postgres@127.0.0.1:1"
def test_it(postgres_uri): pass
"""
    folder = tmp_path_factory.mktemp("absent")
    (folder / "test_absent.py").write_text(code)
    (folder / "conftest.py").write_text(Path(__file__).parents[1].joinpath("conftest.py").read_text())
    for variable, outcome in (("", "1 skipped"), ("CI", "1 error"), ("REQUIRE_POSTGRES", "1 error")):
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                "-c",
                "/dev/null",
                "--rootdir",
                str(folder),
            ],
            cwd=folder,
            env={"PATH": "", **({variable: "1"} if variable else {})},
            capture_output=True,
            text=True,
            check=False,
        )
        assert outcome in done.stdout, done.stdout

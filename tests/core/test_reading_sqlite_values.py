"""Every value that SQLite holds comes out exactly, or its row is named: held against Python's own sqlite3."""

import contextlib
import itertools
import math
import sqlite3
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tailrace import BadRow, BadRowError, BadRows, Context, SourceError, SqliteSnapshot, UnknownNameError

Value = None | int | float | str | bytes

ENGINES: tuple[Literal["in-memory"], Literal["streaming"]] = ("in-memory", "streaming")
"""The first calls sources from the thread that collects, the second from threads of its own."""


def make(path: Path, *statements: str, rows: Iterable[Sequence[Value]] = (), into: str = "") -> Path:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        for statement in statements:
            connection.execute(statement)
        if into:
            connection.executemany(into, rows)
        connection.commit()
    return path


def snapshot(path: Path) -> SqliteSnapshot:
    return SqliteSnapshot(path, context=Context())


# The oracle: what each value should come out as, told from what sqlite3 reads.


def expected_type(declared: str, values: Sequence[Value]) -> Any:
    fixed = {"INTEGER": pl.Int64, "VARCHAR(9)": pl.String, "DATETIME": pl.String, "DOUBLE": pl.Float64}
    fixed |= {"BOOLEAN": pl.Boolean, "BLOB": pl.Binary}
    if declared in fixed:
        return fixed[declared]
    kinds = {type(value) for value in values} - {type(None)}
    inexact = any(isinstance(value, int) and abs(value) > 2**53 for value in values)
    if kinds == {bytes}:
        return pl.Binary
    if str in kinds or not kinds - {bytes} or (float in kinds and inexact):
        return pl.String
    return pl.Float64 if float in kinds else pl.Int64


def expected_value(dtype: Any, value: Value) -> tuple[bool, Any]:
    """Whether it fits, and what it becomes."""
    if value is None:
        return True, None
    if dtype == pl.Int64:
        return isinstance(value, int), value
    if dtype == pl.Boolean:
        return isinstance(value, int) and value in (0, 1), bool(value)
    if dtype == pl.Float64:
        fits = isinstance(value, float) or (isinstance(value, int) and abs(value) <= 2**53)
        return fits, float(value) if fits else None
    if dtype == pl.Binary:
        return isinstance(value, bytes), value
    return not isinstance(value, bytes), value if isinstance(value, str) else str(value)


def is_same(dtype: Any, got: Any, wanted: Any) -> bool:
    if dtype == pl.String and got != wanted and None not in (got, wanted):
        # A floating-point number as text: SQLite's words may differ from Python's, the number may not.
        return float(got) == float(wanted) and ("." in got or got.endswith("Inf"))
    return (
        bool(got == wanted and math.copysign(1, got or 0) == math.copysign(1, wanted or 0))
        if isinstance(wanted, float)
        else bool(got == wanted)
    )


VALUES: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, 2, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, 1.0, 1.5, 1e19, math.inf, -math.inf, 0.1]),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.sampled_from(["", "7", "007", " 7", "1.0", "1e3", "9223372036854775808", "a\0b", "2026-01-01 00:00:00"]),
    st.binary(max_size=5),
    st.sampled_from([b"text", b"\xff"]),
)
DECLARED = st.sampled_from(["INTEGER", "VARCHAR(9)", "DATETIME", "DOUBLE", "BOOLEAN", "BLOB", "NUMERIC", ""])
ROWIDS = st.one_of(st.integers(-5, 50), st.integers(-(2**63), 2**63 - 1), st.sampled_from([-(2**63), 2**63 - 1]))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_all_values_of_any_table_come_out_exactly_or_their_rows_are_named(data: st.DataObject) -> None:
    declared = data.draw(st.lists(DECLARED, min_size=1, max_size=4), label="declared")
    # Mostly values of one kind, so that whole tables fit often enough.
    narrow = {"INTEGER": st.integers(-9, 9), "BOOLEAN": st.integers(0, 1), "BLOB": st.binary(max_size=3)}
    narrow |= {"DOUBLE": st.floats(allow_nan=False), "VARCHAR(9)": st.text("aé", max_size=3)}
    wild = data.draw(st.booleans(), label="wild")
    row = st.tuples(*(VALUES if wild else st.none() | narrow.get(name, st.text("01", max_size=2)) for name in declared))
    numbers = data.draw(st.lists(ROWIDS, unique=True, max_size=12), label="rowids")
    rows = [(number, *data.draw(row)) for number in numbers]
    kind = data.draw(st.sampled_from(["table", "view", "without rowid"]), label="kind")

    columns = [f"c{place}" for place in range(len(declared))]
    definitions = ", ".join(f"{name} {kind}" for name, kind in zip(columns, declared, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        path = make(
            Path(folder, "t.db"),
            f"CREATE TABLE t(id INTEGER PRIMARY KEY, {definitions}){' WITHOUT ROWID' * (kind == 'without rowid')}",
            "CREATE VIEW v AS SELECT * FROM t ORDER BY id",
            rows=rows,
            into=f"INSERT INTO t VALUES ({', '.join('?' * (len(columns) + 1))})",
        )
        with contextlib.closing(sqlite3.connect(path)) as connection:
            stored: list[tuple[Any, ...]] = connection.execute("SELECT * FROM t ORDER BY id").fetchall()
        dtypes = [
            pl.Int64,
            *(
                expected_type("" if kind == "view" and name == "BLOB" else name, [row[place] for row in stored])
                for place, name in enumerate(declared, 1)
            ),
        ]
        good: list[list[Any]] = []
        bad: list[tuple[int, str]] = []
        for place, one in enumerate(stored, 1):
            outcome = [expected_value(dtype, value) for dtype, value in zip(dtypes, one, strict=True)]
            misfits = [name for name, (fits, _) in zip(["id", *columns], outcome, strict=True) if not fits]
            if misfits:
                bad.append((one[0] if kind == "table" else place, misfits[0]))
            else:
                good.append([value for _, value in outcome])

        source = "v" if kind == "view" else "t"
        with snapshot(path) as opened:
            told = BadRows()
            frame = opened.scan(source, bad_rows=told)
            result = frame.collect()
            assert result.schema == pl.Schema(dict(zip(["id", *columns], dtypes, strict=True)))
            assert result.height == len(good)
            for got, wanted in zip(result.rows(), good, strict=True):
                assert all(map(is_same, dtypes, got, wanted)), (got, wanted)
            assert [(row.row, row.column) for row in told.examples] == bad
            assert told.count == len(bad) == opened.count(source) - len(good)
            # The other engine calls from this thread, not from one of polars' own.
            assert frame.collect(engine="in-memory").equals(result)
            assert told.count == len(bad)
            assert opened.sample(source, 1000).height <= len(good)
            if bad:
                with pytest.raises(BadRowError) as caught:
                    opened.scan(source).collect()
                assert (caught.value.row, caught.value.column) == bad[0]
            else:
                assert opened.scan(source).collect().equals(result)
                assert opened.query(f"SELECT * FROM {source}", columns=dict(result.schema)).equals(result)


def test_what_does_not_fit_is_named_by_row_and_column_and_never_quoted(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(a INTEGER, b BOOLEAN, c VARCHAR, d DOUBLE, e BLOB, f DATETIME)",
        rows=[(1, 1, "x", 1.0, b"x", "2026"), ("secret", 1, "x", 1.0, b"x", None)],
        into="INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)",
    )
    with snapshot(path) as opened, pytest.raises(BadRowError) as caught:
        opened.scan("t").collect()
    assert caught.value.message == ("Row 2 of 't', column 'a': a value of type text, which does not fit INTEGER.")
    assert (caught.value.row, caught.value.column) == (2, "a")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("declared", "value", "reason"),
    [
        ("INTEGER", "text", "a value of type text, which does not fit INTEGER"),
        ("INTEGER", 1.5, "a value of type real, which does not fit INTEGER"),
        ("BIGINT", 1e19, "a value of type real, which does not fit BIGINT"),
        ("INTEGER", b"x", "a value of type blob, which does not fit INTEGER"),
        ("BOOLEAN", 2, "a value of type integer, which does not fit BOOLEAN"),
        ("BOOLEAN", "true", "a value of type text, which does not fit BOOLEAN"),
        ("FLOAT", "text", "a value of type text, which does not fit FLOAT"),
        ("TEXT", b"blob", "a value of type blob, which does not fit TEXT"),
        ("DATETIME", b"blob", "a value of type blob, which does not fit DATETIME"),
        ("BLOB", "text", "a value of type text, which does not fit BLOB"),
        ("BLOB", 7, "a value of type integer, which does not fit BLOB"),
    ],
)
@pytest.mark.parametrize("place", [0, 700, 40_000])
def test_a_single_misfit_is_found_wherever_it_is(
    tmp_path: Path, declared: str, value: Value, reason: str, place: int
) -> None:
    """In the first rows that are read, in later batches, and behind as many nulls as any driver looks at."""
    path = make(
        tmp_path / "t.db",
        f"CREATE TABLE t(x {declared}, n INTEGER)",
        rows=((value if row == place else None, row) for row in range(40_001)),
        into="INSERT INTO t VALUES (?, ?)",
    )
    told = BadRows()
    with snapshot(path) as opened:
        frame = opened.scan("t", bad_rows=told).collect()
        assert frame.columns == ["x", "n"]
        # A column that is not asked for cannot be wrong.
        assert opened.scan("t").select(pl.col("n").sum()).collect().item() == sum(range(40_001))
    assert told.examples == (BadRow(place + 1, "x", reason),)
    assert frame["n"].to_list() == [row for row in range(40_001) if row != place]


def test_text_that_comes_after_many_nulls_is_text(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(x TEXT)",
        rows=((None if row < 110_000 else f"late {row}",) for row in range(110_002)),
        into="INSERT INTO t VALUES (?)",
    )
    with snapshot(path) as opened:
        texts = opened.scan("t").collect()["x"]
    assert texts.dtype == pl.String
    assert texts.null_count() == 110_000
    assert texts[-2:].to_list() == ["late 110000", "late 110001"]


def test_text_that_is_not_utf_8_is_a_bad_row(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(x TEXT, y TEXT)",
        "INSERT INTO t VALUES ('ok', 'é'), (NULL, CAST(x'61ff62' AS TEXT)), (CAST(x'eda080' AS TEXT), 'a' || char(0))",
        "CREATE VIEW v AS SELECT * FROM t",
    )
    for table in ("t", "v"):
        told = BadRows()
        with snapshot(path) as opened:
            assert opened.scan(table, bad_rows=told).collect().rows() == [("ok", "é")]
            with pytest.raises(BadRowError, match=r"Row 2 of '.', column 'y': text that is not UTF-8\."):
                opened.scan(table).collect()
        assert told.examples == (
            BadRow(2, "y", "text that is not UTF-8"),
            BadRow(3, "x", "text that is not UTF-8"),
        )


def test_utf_16_databases_give_the_same_text(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "PRAGMA encoding = 'UTF-16le'",
        "CREATE TABLE t(x TEXT)",
        rows=[("é\U0001f600",), ("",), (None,)],
        into="INSERT INTO t VALUES (?)",
    )
    with snapshot(path) as opened:
        assert opened.scan("t").collect()["x"].to_list() == ["é\U0001f600", "", None]


def test_numbers_in_date_columns_come_as_their_text(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(x DATETIME, y TIMESTAMP, z DATE)",
        rows=[("2026-01-01 10:00:00.000001", 1755216000, 2460000.5), ("123", "1755216000.25", "2026-01-01")],
        into="INSERT INTO t VALUES (?, ?, ?)",
    )
    with snapshot(path) as opened:
        frame = opened.scan("t").collect()
    assert frame.dtypes == [pl.String] * 3
    # SQLite stores what looks like a number as one, in such columns.
    assert frame.rows() == [
        ("2026-01-01 10:00:00.000001", "1755216000", "2460000.5"),
        ("123", "1755216000.25", "2026-01-01"),
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=200))
def test_the_text_of_a_number_is_the_number(numbers: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = make(
            Path(folder, "t.db"),
            "CREATE TABLE t(x DATETIME)",
            rows=[(number,) for number in numbers],
            into="INSERT INTO t VALUES (?)",
        )
        with snapshot(path) as opened:
            texts = opened.scan("t").collect()["x"].to_list()
    assert [float(text) for text in texts] == numbers


def test_types_follow_the_declaration(tmp_path: Path) -> None:
    declarations = {
        "int": pl.Int64,
        "BigInt": pl.Int64,
        "UNSIGNED BIG INT": pl.Int64,
        "CHARINT": pl.Int64,
        "CHARACTER(20)": pl.String,
        "CLOB": pl.String,
        "text": pl.String,
        "blob": pl.Binary,
        "REAL": pl.Float64,
        "float": pl.Float64,
        "DOUBLE PRECISION": pl.Float64,
        "bool": pl.Boolean,
        "datetime": pl.String,
        "TIME": pl.String,
        "NUMERIC(10,2)": pl.String,
        "FLOATING POINT": pl.String,
        "JSON": pl.String,
        "": pl.String,
    }
    names = [f"c{place}" for place in range(len(declarations))]
    definitions = ", ".join(f"{name} {declared}" for name, declared in zip(names, declarations, strict=True))
    path = make(tmp_path / "t.db", f"CREATE TABLE t({definitions})")
    with snapshot(path) as opened:
        frame = opened.scan("t").collect()
        # SQLite writes its own types in capitals.
        assert [declared.lower() for declared in opened.columns("t").values()] == [
            name.lower() for name in declarations
        ]
    assert dict(frame.schema) == dict(zip(names, declarations.values(), strict=True))
    assert frame.height == 0


@pytest.mark.parametrize(
    ("values", "dtype", "read"),
    [
        ([1, None, 2], pl.Int64, [1, None, 2]),
        ([2**60, 2**60 + 1], pl.Int64, [2**60, 2**60 + 1]),
        ([1, 2.5], pl.Float64, [1.0, 2.5]),
        ([2**53 + 1, 2.5], pl.String, ["9007199254740993", "2.5"]),
        ([1, "x"], pl.String, ["1", "x"]),
        ([b"a", None], pl.Binary, [b"a", None]),
        ([None], pl.String, [None]),
    ],
)
def test_columns_without_a_telling_declaration_get_the_narrowest_type(
    tmp_path: Path, values: list[Value], dtype: pl.DataType, read: list[Value]
) -> None:
    path = make(
        tmp_path / "t.db", "CREATE TABLE t(x)", rows=[(value,) for value in values], into="INSERT INTO t VALUES (?)"
    )
    with snapshot(path) as opened:
        for column in (
            opened.scan("t").collect()["x"],
            opened.query("SELECT x FROM t")["x"],
            opened.sample("t", 10)["x"],
        ):
            assert column.dtype == dtype
            assert column.to_list() == read


def test_types_can_be_asked_for(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(a INTEGER, b INTEGER, c REAL, d TEXT)",
        rows=[(1, 0, 0.1, "x"), (2**53, 1, 3.0, "y"), (2**53 + 1, 0, 1.0, "z"), (1, 5, 1.0, "z")],
        into="INSERT INTO t VALUES (?, ?, ?, ?)",
    )
    told = BadRows()
    asked: dict[str, Any] = {"c": pl.String, "a": pl.Float64(), "b": pl.Boolean}
    with snapshot(path) as opened:
        frame = opened.scan("t", columns=asked, bad_rows=told).collect()
        assert opened.sample("t", 2, columns={"d": pl.String}).to_dict(as_series=False) == {"d": ["x", "z"]}
        with pytest.raises(UnknownNameError, match="no column 'e' in t"):
            opened.scan("t", columns={"e": pl.String})
        with pytest.raises(TypeError, match="'a' cannot be read as Date"):
            opened.scan("t", columns={"a": pl.Date})
    assert dict(frame.schema) == asked
    assert frame.rows() == [("0.1", 1.0, False), ("3.0", float(2**53), True)]
    assert [(row.row, row.column) for row in told.examples] == [(3, "a"), (4, "b")]


def test_columns_added_later_have_their_default(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(a INTEGER)",
        "INSERT INTO t VALUES (1)",
        "ALTER TABLE t ADD COLUMN b TEXT DEFAULT 5",
        "ALTER TABLE t ADD COLUMN c REAL DEFAULT 2",
        "ALTER TABLE t ADD COLUMN d INTEGER DEFAULT '7'",
        "ALTER TABLE t ADD COLUMN e TEXT AS (a + 1)",
        "INSERT INTO t VALUES (2, 'x', 1.5, 8)",
    )
    with snapshot(path) as opened:
        assert list(opened.columns("t")) == ["a", "b", "c", "d", "e"]
        assert opened.scan("t").collect().rows() == [(1, "5", 2.0, 7, "2"), (2, "x", 1.5, 8, "3")]


def test_names_of_any_kind(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        'CREATE TABLE "a ""b"" [c] `d` \'e\'"("x ""y""" TEXT, "select" INTEGER, "é;--" REAL, "Rowid" TEXT, "c1" TEXT)',
        "INSERT INTO \"a \"\"b\"\" [c] `d` 'e'\" VALUES ('v', 1, 2.5, 'own', 'w')",
        "CREATE TABLE shadowed(rowid TEXT, _rowid_ TEXT, oid TEXT)",
        "INSERT INTO shadowed VALUES ('a', 'b', 'c'), ('d', 'e', 'f')",
        "CREATE TABLE bad(rowid TEXT, x INTEGER)",
        "INSERT INTO bad VALUES ('a', 'no number')",
    )
    name = "a \"b\" [c] `d` 'e'"
    with snapshot(path) as opened:
        assert opened.tables() == (name, "bad", "shadowed")
        assert opened.scan(name).collect().to_dicts() == [
            {'x "y"': "v", "select": 1, "é;--": 2.5, "Rowid": "own", "c1": "w"}
        ]
        assert opened.count(name) == 1
        assert opened.sample(name, 3).height == 1
        assert opened.scan("shadowed").collect().rows() == [("a", "b", "c"), ("d", "e", "f")]
        with pytest.raises(BadRowError) as caught:
            opened.scan("bad").collect()
        assert (caught.value.row, caught.value.column) == (1, "x")


def test_what_there_is_to_read(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE b(x INTEGER, y TEXT, PRIMARY KEY (y, x))",
        "CREATE TABLE a(id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE VIEW c AS SELECT x AS n, y || '!' FROM b",
        "CREATE VIRTUAL TABLE d USING fts5(body)",
        "INSERT INTO d VALUES ('words in a row')",
        "INSERT INTO a VALUES (NULL)",
    )
    with snapshot(path) as opened:
        assert opened.tables() == ("a", "b", "c", "d")
        assert opened.key("b") == ("y", "x")
        assert opened.key("a") == ("id",)
        assert opened.key("c") == ()
        assert opened.columns("c") == {"n": "INTEGER", "y || '!'": ""}
        assert opened.scan("d").collect().rows() == [("words in a row",)]
        assert opened.sample("d", 1).rows() == [("words in a row",)]
        for ask in (opened.columns, opened.key, opened.count, opened.scan, lambda name: opened.sample(name, 1)):
            with pytest.raises(UnknownNameError, match=r"no table 'aa' in database t\.db") as caught:
                ask("aa")
            assert caught.value.known == ("a", "b", "c", "d")


def test_rows_come_in_the_order_of_their_numbers_whatever_index_there_is(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(a INTEGER)",
        "CREATE INDEX i ON t(a)",
        "CREATE TABLE k(a INTEGER, b TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID",
        "CREATE INDEX j ON k(a)",
        rows=((-row % 7919,) for row in range(20_000)),
        into="INSERT INTO t VALUES (?)",
    )
    make(path, "INSERT INTO k SELECT rowid, a FROM t", "ANALYZE")
    with snapshot(path) as opened:
        assert opened.scan("t").collect()["a"].to_list() == [-row % 7919 for row in range(20_000)]
        keys = opened.scan("k").collect().select("b", "a").rows()
        assert keys == sorted(keys)
        assert len(keys) == 20_000
        assert opened.scan("k").select("a").collect()["a"].to_list() == [number for _, number in keys]


@pytest.mark.parametrize(
    "numbers",
    [
        [*range(1, 3000), *range(10**15, 10**15 + 3000), *range(2**62, 2**62 + 90_000)],
        [-(2**63), *range(-50, 50), 2**63 - 1],
        range(0, 90_000 * 10**6, 10**6),
        [number for number in range(200_000) if number % 97 < 40],
        [7],
    ],
    ids=["clusters", "ends", "even gaps", "holes", "one"],
)
def test_gaps_between_row_numbers_lose_nothing(tmp_path: Path, numbers: Sequence[int]) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)",
        rows=((number, f"x{number}") for number in numbers),
        into="INSERT INTO t VALUES (?, ?)",
    )
    with snapshot(path) as opened:
        frame = opened.scan("t").collect(engine="in-memory")
        sample = opened.sample("t", 100)
    assert frame["id"].to_list() == list(numbers)
    assert frame["x"].to_list() == [f"x{number}" for number in numbers]
    # Where all numbers are in one corner, fewer places have any.
    assert min(65, len(numbers)) <= sample.height <= 100
    assert sample["id"].is_sorted()
    assert sample["id"].n_unique() == sample.height
    assert set(sample["id"]) <= set(numbers)


def test_a_sample_is_spread_over_the_table(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(x INTEGER)",
        rows=((row,) for row in range(80_000)),
        into="INSERT INTO t VALUES (?)",
    )
    with snapshot(path) as opened:
        assert opened.sample("t", 10)["x"].to_list() == list(
            itertools.chain.from_iterable(
                range(start, start + rows)
                for start, rows in zip(range(0, 80_000, 10_000), [2, 2, 1, 1, 1, 1, 1, 1], strict=True)
            )
        )
        assert opened.sample("t", 0).height == 0


def test_only_what_is_needed_is_read(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(a INTEGER, b INTEGER)",
        rows=((row, "bad" if row == 60_000 else row) for row in range(60_001)),
        into="INSERT INTO t VALUES (?, ?)",
    )
    with snapshot(path) as opened:
        frame = opened.scan("t")
        # The bad value is in the last row of column b.
        for engine in ENGINES:
            assert frame.head(3).collect(engine=engine).rows() == [(0, 0), (1, 1), (2, 2)]
            assert frame.select("a").filter(pl.col("a") >= 3).head(2).collect(engine=engine)["a"].to_list() == [3, 4]
        assert frame.select(pl.len()).collect().item() == 60_001
        assert frame.select("a").collect().height == 60_001
        assert frame.filter(pl.col("a") == 5).select("b").head(1).collect().item() == 5
        assert frame.select("a").filter(pl.col("a") % 30_000 == 0).collect()["a"].to_list() == [0, 30_000, 60_000]
        assert frame.select("a").slice(10, 2).collect()["a"].to_list() == [10, 11]
        with pytest.raises(BadRowError):
            frame.select("b").collect()


def test_bad_rows_are_told_once_however_often_a_frame_is_collected(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(a INTEGER)",
        rows=(("bad" if row % 10_000 == 0 else row,) for row in range(1, 50_001)),
        into="INSERT INTO t VALUES (?)",
    )
    told = BadRows(keep=2)
    with snapshot(path) as opened:
        frame = opened.scan("t", bad_rows=told)
        frame.head(15_000).collect()
        assert 1 <= told.count <= 5
        for _ in range(2):
            assert frame.select(pl.len()).collect().item() == 50_001 - 1 or frame.collect().height == 49_995
        assert opened.sample("t", 80).height == 80
    assert told.count == 5
    assert [row.row for row in told.examples] == [10_000, 20_000]


def test_queries(tmp_path: Path) -> None:
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(a INTEGER, b TEXT)",
        rows=[(1, "x"), (2, "y"), (3, None)],
        into="INSERT INTO t VALUES (?, ?)",
    )
    with snapshot(path) as opened:
        frame = opened.query(
            "SELECT a, b, a AS a, ? AS t, ? AS i, ? AS r, ? AS z, ? AS n FROM t WHERE a >= ? ORDER BY a DESC; ",
            ["é", 7, 0.5, b"\0", None, 2],
        )
        assert frame.rows() == [(3, None, 3, "é", 7, 0.5, b"\0", None), (2, "y", 2, "é", 7, 0.5, b"\0", None)]
        assert frame.columns == ["a", "b", "a:1", "t", "i", "r", "z", "n"]
        assert frame.dtypes == [pl.Int64, pl.String, pl.Int64, pl.String, pl.Int64, pl.Float64, pl.Binary, pl.String]
        asked = opened.query("SELECT a, b FROM t WHERE a < 0", columns={"a": pl.Float64})
        assert dict(asked.schema) == {"a": pl.Float64, "b": pl.String}
        assert opened.query("WITH w AS (SELECT 1 AS x) SELECT x FROM w").item() == 1
        assert opened.query("SELECT name FROM pragma_table_info('t')")["name"].to_list() == ["a", "b"]
        with pytest.raises(BadRowError, match="Row 2 of 'the result', column 'x'"):
            opened.query("SELECT 1 AS x UNION ALL SELECT 'a'", columns={"x": pl.Int64})
        with pytest.raises(UnknownNameError, match="no column 'c'"):
            opened.query("SELECT a FROM t", columns={"c": pl.Int64})
        with pytest.raises(SourceError, match=r"'t\.db' cannot be read: no such column: c\."):
            opened.query("SELECT c FROM t")


def test_rows_as_large_as_they_come(tmp_path: Path) -> None:
    """A few megabytes a row: batches get smaller, nothing is lost."""
    path = make(
        tmp_path / "t.db",
        "CREATE TABLE t(x TEXT)",
        rows=((str(row % 10) * (2_000_000 if row > 300 else 10),) for row in range(340)),
        into="INSERT INTO t VALUES (?)",
    )
    with snapshot(path) as opened:
        sizes = opened.scan("t").select(pl.col("x").str.len_bytes(), first=pl.col("x").str.slice(0, 1)).collect()
    assert sizes["x"].to_list() == [2_000_000 if row > 300 else 10 for row in range(340)]
    assert sizes["first"].to_list() == [str(row % 10) for row in range(340)]


def test_columns_of_odd_names(tmp_path: Path) -> None:
    names = ["", "*", "^a$", "a", 'x"y', "n\nl"]
    quoted = ", ".join('"' + name.replace('"', '""') + '" TEXT' for name in names)
    path = tmp_path / "odd.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE t({quoted})")
        connection.execute("INSERT INTO t VALUES ('0', '1', '2', '3', '4', '5')")
        connection.commit()
    with SqliteSnapshot(path, context=Context()) as database:
        for frame in (database.scan("t").collect(), database.sample("t", 5)):
            assert frame.columns == names
            assert frame.row(0) == ("0", "1", "2", "3", "4", "5")

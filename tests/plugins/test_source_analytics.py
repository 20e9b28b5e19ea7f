"""The source `analytics`: locations, tables, names, types, credentials, snapshots."""

import gzip
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from tailrace_source_analytics import tailrace_source
from tailrace_source_analytics.canonical import TYPES, guess
from tailrace_source_analytics.casts import cast_batch, cast_for, text_cast
from tailrace_source_analytics.credentials import Ids, is_secret
from tailrace_source_analytics.location import read_location
from tailrace_source_analytics.log import ROW
from tailrace_source_analytics.options import AnalyticsOptions
from tailrace_source_analytics.rejects import Rejects

from tailrace import (
    BadRow,
    BadRowError,
    BadRows,
    Column,
    Context,
    CredentialMode,
    Dataset,
    FilePlace,
    Meaning,
    NotAllowedError,
    OptionError,
    PostgresPlace,
    RequestError,
    SourceCall,
    SourceError,
    TransientError,
    UnknownNameError,
)

NOON = datetime(2026, 8, 15, 12, tzinfo=UTC)


@contextmanager
def opened(
    location: Path | str, *, credentials: CredentialMode = CredentialMode.SANITIZED, **options: Any
) -> Iterator[Dataset]:
    call = SourceCall(
        location=str(location),
        options=AnalyticsOptions(**options),
        credentials=credentials,
        moment=datetime(2026, 11, 23, tzinfo=UTC),
        window=None,
        reference=lambda *parts: "ref:" + ":".join(str(len(part)) for part in parts),
        context=Context(),
    )
    with tailrace_source().open(call) as dataset:
        yield dataset


def read(location: Path | str, **options: Any) -> pl.DataFrame:
    """All rows; what the source says about them must be true."""
    with opened(location, **options) as dataset:
        (table,) = dataset.tables
        frame = table.frame.collect()
        assert table.name == "requests"
        assert [column.name for column in table.columns] == frame.columns
        assert table.count_rows is not None
        assert table.count_rows() == frame.height + table.bad_rows.count
        assert table.sample is not None
        sample = table.sample(5)
        assert sample.schema == frame.schema
        assert min(5, frame.height) - table.bad_rows.count <= sample.height <= min(5, frame.height)
        return frame


def notes(location: Path | str, **options: Any) -> tuple[str, ...]:
    with opened(location, **options) as dataset:
        return tuple(dataset.notes)


def requests(rows: int = 3) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "timestamp": [NOON + timedelta(seconds=n) for n in range(rows)],
            "endpoint": [f"https://api.example.com/{n}" for n in range(rows)],
            "success": [n % 2 == 0 for n in range(rows)],
            "response_time_ms": [n / 2 for n in range(rows)],
            "id": list(range(rows)),
        },
        schema={
            "timestamp": pl.Datetime("us", "UTC"),
            "endpoint": pl.String,
            "success": pl.Boolean,
            "response_time_ms": pl.Float64,
            "id": pl.Int64,
        },
    )


def parquet_file(path: Path, frame: pl.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.write_parquet(path)
    return path


def database(path: Path, tables: Mapping[str, str], rows: Mapping[str, list[tuple[Any, ...]]] | None = None) -> Path:
    with sqlite3.connect(path) as connection:
        for name, columns in tables.items():
            connection.execute(f"create table {name} ({columns})")
            for row in (rows or {}).get(name, []):
                connection.execute(f"insert into {name} values ({', '.join('?' * len(row))})", row)
    connection.close()
    return path


# --- Parquet --------------------------------------------------------------------------------------------------------


def test_typed_parquet_passes_as_it_is(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "log", requests())
    assert read(path).equals(requests())
    with opened(path) as dataset:
        (table,) = dataset.tables
        assert (dataset.version, dataset.notes, table.time_column) == ("analytics-parquet", (), "timestamp")
        assert table.columns == (
            Column("timestamp", Meaning.TIMESTAMP, description="When the request was made."),
            Column("endpoint", Meaning.URL, description="What was asked for."),
            Column("success", Meaning.FLAG, description="Whether the request succeeded."),
            Column("response_time_ms", Meaning.MEASURE, "ms", "Time until the response was there."),
            Column("id", Meaning.KEY),
        )
        plan = table.frame.filter(pl.col("timestamp") > NOON).select("id").explain()
        assert "SELECTION" in plan
        assert "PROJECT 2/5" in plan or "PROJECT 1/5" in plan
        assert "MAP" not in plan.upper().replace("MAP_BATCHES", "")


def test_columns_are_called_by_their_canonical_names(tmp_path: Path) -> None:
    frame = requests().rename({"timestamp": "validated_at", "success": "is_valid"})
    path = parquet_file(tmp_path / "log.parquet", frame)
    assert read(path, map={"timestamp": "validated_at", "success": "is_valid"}).equals(requests())
    with opened(path) as dataset:
        assert dataset.tables[0].time_column == "validated_at"
        assert dataset.tables[0].meaning("validated_at") == Meaning.TIMESTAMP
        assert dataset.notes == ("validated_at: taken as the time of the request, as the only column of times",)


def test_a_mapping_that_cannot_be(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "log.parquet", requests().with_columns(at=pl.col("timestamp")))
    with pytest.raises(UnknownNameError, match=r"no column 'validated_at' in log\.parquet") as column:
        read(path, map={"timestamp": "validated_at"})
    assert "endpoint" in column.value.hint
    with pytest.raises(UnknownNameError, match="no canonical column 'time'"):
        read(path, map={"time": "timestamp"})
    with pytest.raises(OptionError, match="is mapped twice"):
        read(path, map={"error_code": "id", "cost": "id"})
    with pytest.raises(OptionError, match="there is a column 'timestamp' already"):
        read(path, map={"timestamp": "at"})
    swapped = read(path, map={"timestamp": "at", "error_code": "timestamp"})
    assert swapped.columns == ["error_code", "endpoint", "success", "response_time_ms", "id", "timestamp"]
    assert read(path, map={"timestamp": "timestamp"}).columns[0] == "timestamp"


def test_several_columns_of_times_are_a_question(tmp_path: Path) -> None:
    frame = requests().rename({"timestamp": "created_at"}).with_columns(checked_at=pl.lit("2026-08-15T00:00:00Z"))
    with pytest.raises(SourceError, match="created_at, checked_at") as caught:
        read(parquet_file(tmp_path / "log.parquet", frame))
    assert "--map timestamp=created_at or --map timestamp=checked_at" in caught.value.hint


def test_no_column_of_times(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "log.parquet", pl.DataFrame({"endpoint": ["a"], "time": [0.25]}))
    with opened(path) as dataset:
        assert dataset.tables[0].time_column is None
        assert dataset.notes == ("no column of times was found: name it with --map timestamp=<column>",)
    assert read(path).rows() == [("a", 0.25)]


def test_odd_types_of_canonical_columns_are_cast_strictly(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "timestamp": [1786752000, 1786752001, 1786752002, 5],
            "success": [1, 0, None, 1],
            "http_status": ["200", "404.0", None, "200"],
            "cost": ["0.5", "x", None, "1"],
            "bytes_transferred": [1.5, 2.0, None, 1.0],
            "error_code": [7, 8, None, 9],
            "http_method": [None, None, None, None],
            "note": [b"a", b"b", None, b"\xff"],
        }
    )
    path = parquet_file(tmp_path / "log.parquet", frame)
    with pytest.raises(BadRowError, match=r"Row 2, column 'cost': it is not a number|Row 4, column 'timestamp'"):
        read(path)
    result = read(path, on_bad_rows="report")
    assert result.schema == pl.Schema(
        {
            "timestamp": pl.Datetime("us", "UTC"),
            "success": pl.Boolean(),
            "http_status": pl.Int64(),
            "cost": pl.Float64(),
            "bytes_transferred": pl.Float64(),
            "error_code": pl.Int64(),
            "http_method": pl.String(),
            "note": pl.String(),
        }
    )
    second = datetime(2026, 8, 15, 0, 0, 2, tzinfo=UTC)
    assert result.rows() == [
        (datetime(2026, 8, 15, tzinfo=UTC), True, 200, 0.5, 1.5, 7, None, "a"),
        (second, None, None, None, None, None, None, None),
    ]
    with opened(path, on_bad_rows="report") as dataset:
        dataset.tables[0].frame.collect()
        assert dataset.tables[0].bad_rows.examples == (
            BadRow(2, "cost", "it is not a number"),
            BadRow(4, "timestamp", "it is no time (epoch seconds, read as UTC)"),
        )
        assert dataset.tables[0].bad_rows.count == 2


def test_a_batch_is_cast_row_by_row() -> None:
    batch = pl.DataFrame(
        {ROW: [7, 8, 9], "success": [1, 2, None], "cost": ["1", "x", "y"], "http_status": ["1.0", "x", "2"]}
    )
    casts = [cast_for(name, batch.schema[name], TYPES[name]) for name in batch.columns[1:]]
    rejects = Rejects(BadRows())
    done = cast_batch(batch, [cast for cast in casts if cast], rejects)
    assert done.rows() == [(7, True, 1.0, 1)]
    assert rejects.bad_rows is not None
    assert rejects.bad_rows.count == 2
    assert rejects.bad_rows.examples == (
        BadRow(8, "success", "it is neither true nor false"),
        BadRow(9, "cost", "it is not a number"),
    )
    bytes_ = pl.DataFrame({ROW: [1, 2, 3], "note": [b"a", None, b"\xff"]})
    assert cast_batch(bytes_, [text_cast("note")], rejects)["note"].to_list() == ["a", None]


def test_flags_are_true_false_zero_or_one(tmp_path: Path) -> None:
    frame = pl.DataFrame({"success": [0, 1, 2, None]})
    with pytest.raises(BadRowError, match="Row 3, column 'success': it is neither true nor false"):
        read(parquet_file(tmp_path / "log.parquet", frame))
    words = pl.DataFrame({"success": ["True", "f", " YES ", "0", "maybe", None]})
    result = read(parquet_file(tmp_path / "words.parquet", words), on_bad_rows="report")
    assert result["success"].to_list() == [True, False, True, False, None]


def test_all_times_are_utc(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "timestamp": pl.Series([NOON]).cast(pl.Datetime("ns", "UTC")),
            "seen": pl.Series([NOON.replace(tzinfo=None)]).cast(pl.Datetime("ms")),
            "there": pl.Series([NOON.astimezone(ZoneInfo("Asia/Tokyo"))]),
            "day": [date(2026, 8, 15)],
        }
    )
    path = parquet_file(tmp_path / "log.parquet", frame)
    result = read(path)
    assert result.dtypes == [pl.Datetime("ns", "UTC"), pl.Datetime("us", "UTC"), pl.Datetime("us", "UTC"), pl.Date]
    assert result.row(0) == (NOON, NOON, NOON, date(2026, 8, 15))
    assert notes(path) == (
        "seen: times without a zone, read as UTC",
        "there: times of zone Asia/Tokyo, converted to UTC",
    )


def test_zero_rows_are_zero_rows(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "log.parquet", requests(0))
    assert read(path).schema == requests().schema
    assert notes(path) == ("log.parquet has no rows",)


def test_samples_of_parquet_are_spread(tmp_path: Path) -> None:
    with opened(parquet_file(tmp_path / "log.parquet", requests(10_000))) as dataset:
        sample = dataset.tables[0].sample
        assert sample is not None
        ids = sample(80)["id"].to_list()
        assert ids == [start + n for start in range(0, 10_000, 1250) for n in range(10)]


@pytest.mark.parametrize("keep", [0, 3, 4, 60, -9])
def test_a_damaged_parquet_file_is_one_clear_error(tmp_path: Path, keep: int) -> None:
    path = parquet_file(tmp_path / "log.parquet", requests(1000))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(SourceError) as caught:
        read(path, kind="parquet" if keep else "auto")
    assert "damaged or cut off" in str(caught.value) or "is empty" in str(caught.value)
    assert caught.value.hint


def test_damage_inside_a_parquet_file_is_the_files(tmp_path: Path) -> None:
    frame = requests(20_000).with_columns(timestamp=pl.col("timestamp").dt.to_string("iso"))
    path = parquet_file(tmp_path / "log.parquet", frame)
    content = bytearray(path.read_bytes())
    content[100:-10_000] = b"\xff" * (len(content) - 10_100)
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"log\.parquet is a damaged or cut off Parquet file"):
        read(path)


ODD_NAMES = ("*", "^a$", "a", "^.*$", 'x"y', "n\nl", "c,d")


@pytest.mark.parametrize("kind", ["parquet", "csv", "ndjson", "db"])
def test_columns_whose_names_look_like_patterns(tmp_path: Path, kind: str) -> None:
    values = {name: [f"v{number}", "http://bob:hunter2@h/"] for number, name in enumerate(ODD_NAMES)}
    frame = pl.DataFrame({"timestamp": ["2026-08-15T12:00:00Z"] * 2, **values, "^token$": ["t", "u"]})
    path = tmp_path / f"log.{kind}"
    if kind == "db":
        columns = ", ".join('"' + name.replace('"', '""') + '" text' for name in frame.columns)
        database(path, {"request_logs": columns}, {"request_logs": frame.rows()})
    else:
        getattr(frame, f"write_{kind}")(path)
    found = read(path)
    assert found.columns == frame.columns
    for number, name in enumerate(ODD_NAMES):
        assert found[name].to_list() == [f"v{number}", "http://h/"]
    mapped = read(path, map={"cost": "^a$"}, on_bad_rows="report") if kind == "csv" else None
    assert mapped is None or mapped.height == 0


def test_times_in_a_column_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("^t$,t\n2026-08-15T12:00:00Z,1\n")
    assert read(path, map={"timestamp": "^t$"}).rows() == [(NOON, "1")]


def test_parquet_that_changes_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "log.parquet", requests())
    with opened(path) as dataset:
        parquet_file(tmp_path / "log.parquet", requests(5))
        assert dataset.tables[0].count_rows is not None
        with pytest.raises(SourceError, match="changed while it was read"):
            dataset.tables[0].count_rows()


# --- folders --------------------------------------------------------------------------------------------------------


def test_a_hive_folder_in_a_fixed_order(tmp_path: Path) -> None:
    for day in (17, 15, 16):
        parquet_file(
            tmp_path / f"day=2026-08-{day}" / "region=007" / "part.parquet", requests(2).with_columns(id=pl.lit(day))
        )
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden").mkdir()
    frame = read(tmp_path)
    assert frame["id"].to_list() == [15, 15, 16, 16, 17, 17]
    assert frame["day"].to_list()[::2] == [date(2026, 8, 15), date(2026, 8, 16), date(2026, 8, 17)]
    assert frame["region"].to_list() == ["007"] * 6
    assert frame.columns == [*requests().columns, "day", "region"]
    with opened(tmp_path) as dataset:
        assert dataset.tables[0].time_column == "timestamp"


def test_what_the_files_say_themselves_wins_over_their_folders(tmp_path: Path) -> None:
    parquet_file(tmp_path / "id=9" / "hour=__HIVE_DEFAULT_PARTITION__" / "a.parquet", requests(2))
    parquet_file(tmp_path / "id=9" / "hour=1%2F2" / "b.parquet", requests(2))
    frame = read(tmp_path)
    assert frame["id"].to_list() == [0, 1, 0, 1]
    assert frame["hour"].to_list() == ["1/2", "1/2", None, None]


def test_a_plain_folder_of_any_depth(tmp_path: Path) -> None:
    parquet_file(tmp_path / "2026" / "b.parquet", requests(1))
    parquet_file(tmp_path / "2026" / "a.parquet", requests(2))
    parquet_file(tmp_path / "2025" / "c.parquet", requests(3))
    assert read(tmp_path)["id"].to_list() == [0, 1, 2, 0, 1, 0]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (requests().drop("id"), "column 'id' is missing instead of Int64"),
        (requests().cast({"id": pl.String}), "column 'id' is String instead of Int64"),
        (requests().with_columns(more=1), "column 'more' is Int32 instead of missing"),
        (requests().select(reversed(requests().columns)), "in another order"),
    ],
)
def test_files_of_another_shape_are_named(tmp_path: Path, second: pl.DataFrame, message: str) -> None:
    parquet_file(tmp_path / "a.parquet", requests())
    parquet_file(tmp_path / "b.parquet", second)
    with pytest.raises(SourceError) as caught:
        read(tmp_path)
    assert message in str(caught.value)
    assert "b.parquet" in str(caught.value)


def test_a_folder_of_text_with_partitions(tmp_path: Path) -> None:
    for day, rows in (("2026-08-15", "1,2"), ("2026-08-16", "3,4\n5,x")):
        (tmp_path / f"day={day}").mkdir()
        (tmp_path / f"day={day}" / "part.csv").write_text(f"cost,note\n{rows}\n")
    (tmp_path / "day=2026-08-16" / "z.csv").write_text("")
    frame = read(tmp_path)
    assert frame.rows() == [
        (1.0, "2", date(2026, 8, 15)),
        (3.0, "4", date(2026, 8, 16)),
        (5.0, "x", date(2026, 8, 16)),
    ]
    assert notes(tmp_path)[0] == "1 of 3 files have no content"
    (tmp_path / "day=2026-08-16" / "part.csv").write_text("cost,other\n1,2\n")
    with pytest.raises(SourceError, match=r"part\.csv has another header .* column 'other' differs"):
        read(tmp_path)
    (tmp_path / "top.csv").write_text("cost,note\n")
    with pytest.raises(SourceError, match=r"top\.csv is not in a folder day="):
        read(tmp_path)


def test_folders_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no data files"):
        read(tmp_path)
    parquet_file(tmp_path / "a.parquet", requests())
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"b\.csv is csv, and .*a\.parquet is parquet"):
        read(tmp_path)
    databases = tmp_path / "databases"
    databases.mkdir()
    database(databases / "a.db", {"t": "a"})
    database(databases / "b.db", {"t": "a"})
    with pytest.raises(SourceError, match="several SQLite databases"):
        read(databases)


# --- locations ------------------------------------------------------------------------------------------------------


def test_locations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = AnalyticsOptions()
    assert read_location("logs/a.parquet", options) == FilePlace(Path("logs/a.parquet"))
    assert read_location("file:///a%20b/c", options) == FilePlace(Path("/a b/c"))
    assert read_location("file://localhost/a", options) == FilePlace(Path("/a"))
    assert read_location("sqlite:////a.db?table=t", options) == FilePlace(Path("/a.db"), "t", "sqlite")
    assert read_location("proxywhirl:///a.db", options) == FilePlace(Path("/a.db"), None, "sqlite")
    assert read_location("SQLite:///a.db", AnalyticsOptions(table="t")) == FilePlace(Path("/a.db"), "t", "sqlite")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.db").touch()
    assert read_location("sqlite:///here.db", options) == FilePlace(Path("here.db"), None, "sqlite")
    place = read_location("postgresql+psycopg://u:p%40w@h:5/d?table=t&sslmode=require&options=-c%20a%3Db", options)
    assert place == PostgresPlace("postgresql://u:p%40w@h:5/d?sslmode=require&options=-c%20a%3Db", "t")
    assert read_location("postgresql:///d?table=t", options) == PostgresPlace("postgresql:///d", "t")
    assert "p%40w" not in repr(place)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("", "No location was given"),
        ("host=h user=u password=hunter2", "is a list of connection parameters"),
        ("mysql://u:hunter2@h/d", "begins with mysql://"),
        ("http://u:hunter2@h/d", "begins with http://"),
        ("sqlite://a.db", "names no path"),
        ("sqlite:///", "names no path"),
        ("file://host/a", "names no path"),
        ("sqlite:///a.db?timeout=hunter2", "parameter 'timeout'"),
        ("postgresql://u:hunter2@[h/d", "cannot be read as a URI"),
    ],
)
def test_locations_that_cannot_be(location: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        read(location)
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_two_tables_cannot_be_asked_for() -> None:
    with pytest.raises(RequestError, match="Two different tables are asked for: a, b"):
        read("sqlite:///x.db?table=a", table="b")


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file or folder"):
        read(tmp_path / "nothing")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        read("/dev/null")
    path = parquet_file(tmp_path / "log.parquet", requests())
    with pytest.raises(SourceError, match="is not a database"):
        read(path, table="t")
    with pytest.raises(SourceError, match="is a path, and not a PostgreSQL database"):
        read(path, kind="postgresql")
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(SourceError, match="cannot be read: Too many levels"):
        read(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_must_not_be_read(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "log.parquet", requests())
    path.chmod(0)
    with pytest.raises(SourceError, match="must not be read by this user"):
        read(path)


def test_a_file_that_must_not_be_read_by_anyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = parquet_file(tmp_path / "log.parquet", requests())
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceError, match="must not be read by this user"):
        read(path)


# --- databases ------------------------------------------------------------------------------------------------------

LOG = (
    "id integer primary key, timestamp datetime not null, endpoint varchar, success boolean, response_time_ms float, "
    "proxy_username varchar"
)
ROWS = [
    (1, "2026-08-15 12:00:00.000000", "http://u:hunter2@a/", 1, 1.5, "hunter2"),
    (2, "2026-08-15 12:00:01.500000", "b", 0, None, None),
    (3, "2026-08-15 12:00:02", None, None, 2.0, "hunter3"),
]


def test_a_table_of_sqlite(tmp_path: Path) -> None:
    path = database(tmp_path / "app.db", {"request_logs": LOG, "other": "a"}, {"request_logs": ROWS})
    expected = [
        (1, NOON, "http://a/", True, 1.5, None),
        (2, NOON + timedelta(seconds=1.5), "b", False, None, None),
        (3, NOON + timedelta(seconds=2), None, None, 2.0, None),
    ]
    for location in (path, f"sqlite:///{path}?table=request_logs", f"proxywhirl://{path}"):
        assert read(location).rows() == expected
    with opened(path) as dataset:
        assert (dataset.version, dataset.tables[0].time_column) == ("analytics-sqlite", "timestamp")
        assert dataset.notes == (
            "timestamp: ISO 8601 text without a zone, read as UTC",
            "credentials, emptied: proxy_username",
        )


def test_the_table_is_found(tmp_path: Path) -> None:
    checks = "proxy varchar, validated_at datetime, is_valid boolean"
    people = "id integer, created_at datetime"
    assert read(database(tmp_path / "1", {"analytics_usage": LOG, "checks": checks})).columns[1] == "timestamp"
    path = database(tmp_path / "2", {"checks": checks, "people": people}, {"checks": [("p", "2026-08-15 12:00", 1)]})
    assert read(path, map={"success": "is_valid"}).rows() == [("p", NOON, True)]
    assert notes(path)[0] == "table checks is the only one that looks like a request log"
    two = database(tmp_path / "3", {"checks": checks, "more": checks})
    with pytest.raises(SourceError, match="Several tables look like a request log: checks, more") as several:
        read(two)
    assert "table=NAME" in several.value.hint
    assert read(f"sqlite:///{two}?table=more").height == 0
    with pytest.raises(SourceError, match="No table looks like a request log; there is: people"):
        read(database(tmp_path / "4", {"people": people}))
    empty = database(tmp_path / "5", {"t": "a"})
    with sqlite3.connect(empty) as connection:
        connection.execute("drop table t")
    connection.close()
    with pytest.raises(SourceError, match="The database has no tables"):
        read(empty)
    with pytest.raises(UnknownNameError, match="There is no table 'chekcs'") as unknown:
        read(path, table="chekcs")
    assert unknown.value.suggestion == "checks"


def test_a_time_that_cannot_be_read_in_a_database(tmp_path: Path) -> None:
    rows = [*ROWS, (4, "hunter2", "b", 1, 1.0, None), (5, "2026-08-15 12:00:03", "c", 1, 1.0, None)]
    path = database(tmp_path / "app.db", {"request_logs": LOG}, {"request_logs": rows})
    with pytest.raises(BadRowError, match="Row 4, column 'timestamp'") as caught:
        read(path)
    assert "hunter2" not in str(caught.value)
    assert read(path, on_bad_rows="report")["id"].to_list() == [1, 2, 3, 5]


def test_a_locked_database_is_to_be_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = database(tmp_path / "app.db", {"request_logs": LOG}, {"request_logs": ROWS})
    from tailrace import SqliteSnapshot

    monkeypatch.setattr(SqliteSnapshot.__init__, "__kwdefaults__", {"busy_timeout": 0.05})
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("begin exclusive")
    with pytest.raises(TransientError):
        read(path)
    connection.close()


def test_what_is_said_to_be_sqlite_but_is_not(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    path.write_text("hello, world\n")
    for location in (f"sqlite://{path}", tmp_path / "missing.db"):
        with pytest.raises(SourceError):
            read(location, kind="sqlite")


@pytest.mark.postgres
def test_a_table_of_postgresql(postgres_uri: str) -> None:
    import psycopg

    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute(
            "create table analytics_usage (timestamp timestamptz not null, proxy_source text, endpoint text, "
            "http_method text, success boolean, response_time_ms double precision, http_status integer, "
            "bytes_transferred bigint, "
            "error_code text, cost double precision)"
        )
        connection.execute(
            "insert into analytics_usage values "
            "('2026-08-15T14:00:00+02', 'pool', 'http://u:hunter2@a/', 'GET', true, 1.5, 200, 5000000000, null, 0.25), "
            "('2026-08-15T12:00:01.000001Z', null, null, null, false, null, null, null, 'TIMEOUT', null)"
        )
    mark = "&" if "?" in postgres_uri else "?"
    for location in (postgres_uri, f"{postgres_uri}{mark}table=analytics_usage"):
        assert read(location).rows() == [
            (NOON, "pool", "http://a/", "GET", True, 1.5, 200, 5_000_000_000, None, 0.25),
            (NOON + timedelta(seconds=1, microseconds=1), None, None, None, False, None, None, None, "TIMEOUT", None),
        ]
    with opened(postgres_uri) as dataset:
        assert (dataset.version, dataset.tables[0].time_column) == ("analytics-postgresql", "timestamp")
    with pytest.raises(UnknownNameError):
        read(postgres_uri, table="nothing")


# --- credentials ----------------------------------------------------------------------------------------------------


def secrets() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "endpoint": ["http://alice:hunter2@a.example/x?y=1", "https://b.example/@name", None],
            "note": ["via socks5://alice:hunter2@h:1080 failed", "mail me", "x"],
            "proxy_password": ["hunter2", "hunter2", None],
            "api_key": [b"hunter2", None, b"k"],
            "category": pl.Series(["http://alice:hunter2@c/", "b", None], dtype=pl.Categorical),
            "headers": [
                {"Authorization": "Basic hunter2", "accept": "*/*"},
                None,
                {"Authorization": None, "accept": "x"},
            ],
            "urls": [["http://alice:hunter2@d/"], [], None],
            "success": [True, False, True],
        }
    )


def test_nothing_secret_comes_out(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "log.parquet", secrets())
    frame = read(path)
    assert "hunter2" not in frame.write_json() + frame.write_csv()
    assert frame["endpoint"].to_list() == ["http://a.example/x?y=1", "https://b.example/@name", None]
    assert frame["note"].to_list() == ["via socks5://h:1080 failed", "mail me", "x"]
    assert frame["category"].to_list() == ["http://c/", "b", None]
    assert [json.loads(text) if text else None for text in frame["headers"]] == [
        {"Authorization": None, "accept": "*/*"},
        None,
        {"Authorization": None, "accept": "x"},
    ]
    assert frame["urls"].to_list() == ['["http://d/"]', "[]", None]
    assert frame["proxy_password"].to_list() == frame["api_key"].to_list() == [None, None, None]
    with opened(path) as dataset:
        assert dataset.tables[0].meaning("proxy_password") == Meaning.SECRET
        assert "credentials, emptied: proxy_password, api_key" in dataset.notes


@pytest.mark.parametrize(
    "value",
    [
        {"password": {"a": {"x": 1}, "b": "hunter2"}, "kept": 1},
        {"credentials": [{"roles": ["a"], "key": 'hunter2}"]'}], "kept": 1},
        {"password": 'a"hunter2', "kept": 1},
    ],
)
def test_credentials_with_an_inside_are_taken_out_whole(value: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    path.write_text(json.dumps({"id": 1, "data": value}) + "\n")
    name = next(iter(value))
    assert json.loads(read(path)["data"][0]) == {name: None, "kept": 1}


def test_credentials_nested_beyond_all_measure_take_the_rest_with_them(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    inside: Any = "hunter2"
    for _ in range(12):
        inside = {"a": inside}
    path.write_text(json.dumps({"id": 1, "data": {"token": inside, "b": 1}}) + "\n")
    assert "hunter2" not in read(path)["data"][0]


def test_credentials_in_json_of_databases_are_taken_out(tmp_path: Path) -> None:
    rows = {"request_logs": [('{"password": "hunter2", "n": 1}', '{"token": "hunter2"}')]}
    path = database(tmp_path / "log.db", {"request_logs": "data JSON, note JSONB"}, rows)
    assert read(path, map={"error_code": "note"}).rows() == [('{"password": null, "n": 1}', '{"token": null}')]


def test_flags_are_no_credentials(tmp_path: Path) -> None:
    frame = pl.DataFrame({"has_password": [True, False], "password": ["hunter2", None]})
    found = read(parquet_file(tmp_path / "log.parquet", frame))
    assert found.rows() == [(True, None), (False, None)]


def test_references_stand_for_what_is_secret(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "log.parquet", secrets())
    frame = read(path, credentials=CredentialMode.REFERENCE)
    assert "hunter2" not in frame.write_json() + frame.write_csv()
    assert frame["proxy_password"].to_list() == ["ref:14:7", "ref:14:7", None]
    assert frame["api_key"].to_list() == ["ref:7:7", None, "ref:7:1"]
    assert frame["endpoint"][0] == "http://a.example/x?y=1"
    assert "credentials, replaced by ids: proxy_password, api_key" in notes(path, credentials=CredentialMode.REFERENCE)


def test_an_id_is_made_once_per_distinct_value() -> None:
    asked: list[tuple[str, ...]] = []

    def reference(*parts: str) -> str:
        asked.append(parts)
        return f"id{len(asked)}"

    ids = Ids("token", reference)
    assert ids(pl.Series(["a", None, "b", "a"])).to_list()[:2] == [ids(pl.Series(["a"]))[0], None]
    assert sorted(asked) == [("token", "a"), ("token", "b")]
    assert ids(pl.Series([None], dtype=pl.String)).to_list() == [None]


def test_credentials_in_full_are_refused_before_anything_is_opened() -> None:
    with pytest.raises(NotAllowedError, match="that is for pools") as caught:
        read("/nowhere", credentials=CredentialMode.FULL)
    assert "sanitized" in caught.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "username",
        "user",
        "user_name",
        "proxy_username",
        "PASSWORD",
        "proxy_password",
        "passwd",
        "pass",
        "db_pass",
        "authorization",
        "proxy_authorization",
        "auth",
        "token",
        "access_token",
        "api_key",
        "apikey",
        "secret",
        "client_secret",
        "cookie",
        "password_encrypted",
        "rfc931",
    ],
)
def test_names_of_credentials(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    ["user_agent", "proxy_source", "endpoint", "tokens_used", "secretary", "author", "users", "url", "key", "id"],
)
def test_names_of_no_credentials(name: str) -> None:
    assert not is_secret(name)


# --- meanings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype", "column"),
    [
        ("proxy_url", pl.String(), Column("proxy_url", Meaning.URL)),
        ("referer", pl.String(), Column("referer", Meaning.URL)),
        ("proxy", pl.String(), Column("proxy", Meaning.URL)),
        ("seen", pl.Datetime("us", "UTC"), Column("seen", Meaning.TIMESTAMP)),
        ("day", pl.Date(), Column("day", Meaning.TIMESTAMP)),
        ("cached", pl.Boolean(), Column("cached", Meaning.FLAG)),
        ("id", pl.Int64(), Column("id", Meaning.KEY)),
        ("request_id", pl.String(), Column("request_id", Meaning.KEY)),
        ("dns_ms", pl.Float64(), Column("dns_ms", Meaning.MEASURE, "ms")),
        ("header_bytes", pl.Int64(), Column("header_bytes", Meaning.MEASURE, "B")),
        ("tries", pl.Int64(), Column("tries", Meaning.MEASURE)),
        ("error_type", pl.String(), Column("error_type", Meaning.CATEGORY)),
        ("city", pl.Enum(["a"]), Column("city", Meaning.CATEGORY)),
        ("note", pl.String(), Column("note")),
    ],
)
def test_what_columns_mean(name: str, dtype: pl.DataType, column: Column) -> None:
    assert guess(name, dtype) == column


def test_no_rejects_no_error() -> None:
    Rejects(None).add([])
    with pytest.raises(BadRowError, match=r"^Row 3: it is torn\.$"):
        Rejects(None).add([BadRow(5, "a", "late"), BadRow(3, None, "it is torn")])


def test_row_numbers_of_many_batches(tmp_path: Path) -> None:
    times = [f"2026-08-15T12:{n // 60 % 60:02}:{n % 60:02}Z" for n in range(200_000)]
    times[150_000] = "never"
    path = tmp_path / "log.parquet"
    pl.DataFrame({"timestamp": times}).write_parquet(path, row_group_size=10_000)
    with pytest.raises(BadRowError) as caught:
        read(path)
    assert caught.value.row == 150_001
    frame = read(path, on_bad_rows="report")
    assert frame.height == 199_999
    assert frame["timestamp"][-1] == datetime(2026, 8, 15, 12, 33, 19, tzinfo=UTC)


def test_gzipped_text_by_content_only(tmp_path: Path) -> None:
    path = tmp_path / "anything"
    path.write_bytes(gzip.compress(b'{"cost": 1}\n{"cost": 2}\n'))
    assert read(path)["cost"].to_list() == [1, 2]

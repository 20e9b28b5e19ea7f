"""A request log in parts: disjoint, in order, and together everything."""

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
from tailrace_source_analytics import textlog
from tailrace_source_analytics.options import AnalyticsOptions
from tailrace_source_analytics.source import AnalyticsSource

from tailrace import (
    BadRow,
    Context,
    CredentialMode,
    Partition,
    PartitionedSource,
    RequestError,
    SourceCall,
    SourceError,
    Table,
)

SOURCE = AnalyticsSource()
NOON = datetime(2026, 8, 15, 12, tzinfo=UTC)
ROWS = 100
HEADER = "timestamp,endpoint,http_status,note\n"


def call_for(location: Path | str, **options: Any) -> SourceCall:
    return SourceCall(
        location=str(location),
        options=AnalyticsOptions(**options),
        credentials=CredentialMode.SANITIZED,
        moment=datetime(2026, 11, 23, tzinfo=UTC),
        window=None,
        reference=lambda *parts: "ref_" + "_".join(parts),
        context=Context(),
    )


@contextmanager
def opened(call: SourceCall, token: Mapping[str, Any] | None = None) -> Iterator[Table]:
    with SOURCE.open(attrs.evolve(call, partition=token)) as dataset:
        (table,) = dataset.tables
        yield table


def read(call: SourceCall, token: Mapping[str, Any] | None = None) -> tuple[pl.DataFrame, list[BadRow], int]:
    """Rows, rows that could not be read, and what the source counts."""
    with opened(call, token) as table:
        frame = table.frame.collect()
        assert table.count_rows is not None
        counted = table.count_rows()
        assert counted == frame.height + table.bad_rows.count
        assert [column.name for column in table.columns] == frame.columns
        return frame, list(table.bad_rows.examples), counted


def check_parts(call: SourceCall, most: int) -> list[Partition]:
    """See that the parts are the whole, and no more than asked for."""
    whole, bad, counted = read(call)
    partitions = list(SOURCE.partitions(call, most))
    assert 1 <= len(partitions) <= most
    parts = [read(call, json.loads(json.dumps(partition.token))) for partition in partitions]
    assert pl.concat([frame for frame, _bad, _counted in parts]).equals(whole)
    assert [one for _frame, found, _counted in parts for one in found] == bad
    assert [partition.rows for partition in partitions] == [number for _frame, _bad, number in parts]
    assert sum(number for _frame, _bad, number in parts) == counted
    return partitions


def log_frame(first: int = 0, rows: int = ROWS) -> pl.DataFrame:
    numbers = range(first, first + rows)
    return pl.DataFrame(
        {
            "timestamp": [NOON + timedelta(seconds=n) for n in numbers],
            "endpoint": [f"https://api.example.com/{n}" for n in numbers],
            "http_status": [str(n) for n in numbers],
        }
    )


def parquet(path: Path) -> Path:
    log_frame().write_parquet(path / "log.parquet", row_group_size=7)
    return path / "log.parquet"


def parquet_folder(path: Path) -> Path:
    for index, (first, rows) in enumerate([(0, 40), (40, 1), (41, 59)]):
        folder = path / "logs" / f"day=2026-08-{15 + index}"
        folder.mkdir(parents=True)
        log_frame(first, rows).write_parquet(folder / "log.parquet")
    return path / "logs"


def csv(path: Path) -> Path:
    lines = [f'2026-08-15T00:00:{n % 60:02}Z,"line{n}\n,""quoted""",{n},note{n}\n' for n in range(ROWS)]
    lines[17] = '2026-08-15T00:00:17Z,"never closed,17,x\n'
    lines[60] = "\n\n2026-08-15T00:00:00Z,too,short\n"
    (path / "log.csv").write_text(HEADER + "".join(lines), newline="")
    return path / "log.csv"


def csv_packed(path: Path) -> Path:
    (path / "log.csv.gz").write_bytes(gzip.compress(csv(path).read_bytes()))
    return path / "log.csv.gz"


def csv_folder(path: Path) -> Path:
    for day in range(3):
        folder = path / "logs" / f"day=2026-08-{15 + day}"
        folder.mkdir(parents=True)
        lines = [f"2026-08-{15 + day}T00:00:{n:02}Z,e,{n},\n" for n in range(30 * day)]
        (folder / "log.csv").write_text(HEADER + "".join(lines) + "torn,line\n")
    return path / "logs"


def ndjson(path: Path) -> Path:
    lines = [json.dumps({"timestamp": f"2026-08-15T00:00:{n % 60:02}Z", "http_status": n}) for n in range(ROWS)]
    # A column of the whole, which one part alone would not have; and a row that is none.
    lines[-1] = json.dumps({"timestamp": "2026-08-15T00:00:00Z", "http_status": 5, "late": "x"})
    lines[40] = "{torn"
    (path / "log.ndjson").write_text("\n".join(lines))
    return path / "log.ndjson"


def squid(path: Path) -> Path:
    lines = [
        f"17551728{n:02}.123    52 10.0.0.{n} TCP_MISS/200 1024 GET http://a.test/{n} - HIER_DIRECT/192.0.2.1 text/html"
        for n in range(ROWS)
    ]
    lines[70] = "nothing like it"
    (path / "access.log").write_text("\n".join(lines) + "\n")
    return path / "access.log"


MAKERS = [parquet, parquet_folder, csv, csv_packed, csv_folder, ndjson, squid]
each = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files have many blocks, as large files have."""
    monkeypatch.setattr(textlog, "BLOCK", 500)


def test_it_says_that_it_can() -> None:
    assert isinstance(SOURCE, PartitionedSource)


@each
@pytest.mark.parametrize("most", [1, 2, 3, 7, 1_000])
def test_the_parts_are_the_whole(tmp_path: Path, make: Callable[[Path], Path], most: int) -> None:
    partitions = check_parts(call_for(make(tmp_path), on_bad_rows="report"), most)
    assert len(partitions) == most or most > 3
    assert len(partitions) > 3 or most <= 3


def test_parquet_is_cut_at_any_row_and_evenly(tmp_path: Path) -> None:
    call = call_for(parquet(tmp_path))
    assert [one.rows for one in SOURCE.partitions(call, 3)] == [33, 33, 34]
    assert [one.rows for one in SOURCE.partitions(call, 10_000)] == [1] * ROWS


def test_text_is_cut_between_blocks_so_a_small_file_is_one_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    (partition,) = check_parts(call_for(squid(tmp_path), on_bad_rows="report"), 7)
    assert partition == Partition({"start": 0, "stop": ROWS}, ROWS)


def test_times_are_read_alike_in_all_parts(tmp_path: Path) -> None:
    # By itself, the first part could be of either order; what tells is far behind.
    days = [f"{1 + n % 12:02}/{1 + n % 12:02}/2026 10:00:00" for n in range(ROWS - 1)] + ["25/08/2026 10:00:00"]
    path = tmp_path / "log.csv"
    path.write_text("timestamp,endpoint\n" + "".join(f"{day},e\n" for day in days))
    assert len(check_parts(call_for(path, time_format="%d/%m/%Y %H:%M:%S"), 5)) == 5
    path.write_text(
        "timestamp,endpoint\n" + "".join(f"{1 if n < 50 else 1_755_172_800_000 + n},e\n" for n in range(99))
    )
    assert len(check_parts(call_for(path, time_unit="ms"), 2)) == 2


@each
def test_samples_of_a_part_are_of_the_part(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    call = call_for(make(tmp_path), on_bad_rows="report")
    for partition in SOURCE.partitions(call, 3):
        frame, _bad, _counted = read(call, partition.token)
        with opened(call, partition.token) as table:
            assert table.sample is not None
            for n in (1, 5, 1_000):
                sample = table.sample(n)
                assert sample.schema == frame.schema
                assert sample.height == min(n, frame.height)
                assert set(sample.rows()) <= set(frame.rows())
            assert table.bad_rows.count == 0


@each
def test_filters_apply_within_a_part(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    call = call_for(make(tmp_path), on_bad_rows="report")
    first, second = SOURCE.partitions(call, 2)
    for partition in (first, second):
        frame, _bad, _counted = read(call, partition.token)
        with opened(call, partition.token) as table:
            even = pl.col("http_status").cast(pl.Int64) % 2 == 0
            found = table.frame.filter(even).select("http_status").head(10).collect()
            assert found.equals(frame.filter(even).select("http_status").head(10))


def test_a_row_that_cannot_be_read_stops_the_part_that_has_it_and_no_other(tmp_path: Path) -> None:
    call = call_for(squid(tmp_path))
    stopped = []
    for partition in SOURCE.partitions(call, 4):
        try:
            read(call, partition.token)
        except SourceError as error:
            stopped.append((error.message.partition(":")[0], 70 in range(*partition.token.values())))
    assert stopped == [("Row 71", True)]


@pytest.mark.parametrize("kind", ["parquet", "csv", "database"])
def test_what_cannot_be_split_has_no_parts(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "log"
    if kind == "parquet":
        log_frame(rows=0).write_parquet(path)
    elif kind == "csv":
        path.write_text(HEADER)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE request_logs (timestamp TEXT, endpoint TEXT)")
            connection.execute("INSERT INTO request_logs VALUES ('2026-08-15T12:00:00Z', 'e')")
        connection.close()
    call = call_for(path)
    assert list(SOURCE.partitions(call, 4)) == []
    if kind == "database":
        with pytest.raises(RequestError, match="table request_logs is a database's, and not read in parts"):
            read(call, {"start": 0, "stop": 1})


@pytest.mark.parametrize(
    "token",
    [
        {},
        {"start": 0},
        {"start": 0, "stop": 5, "step": 1},
        {"start": 0, "stop": "5"},
        {"start": False, "stop": True},
        {"start": 0.0, "stop": 5.0},
        {"start": None, "stop": 5},
        {"start": -1, "stop": 5},
        {"start": 5, "stop": 5},
        {"start": 5, "stop": 4},
        {"shard": 1},
        [0, 5],
        "0-5",
        3,
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [parquet, squid])
def test_a_token_of_another_shape_is_refused(tmp_path: Path, make: Callable[[Path], Path], token: Any) -> None:
    with pytest.raises(RequestError, match="none of the source analytics"):
        read(call_for(make(tmp_path)), token)


@pytest.mark.parametrize("stop", [ROWS + 1, 1 << 70])
@each
def test_data_that_has_become_less_is_not_taken_for_the_same(
    tmp_path: Path, make: Callable[[Path], Path], stop: int
) -> None:
    call = call_for(make(tmp_path), on_bad_rows="report")
    last = SOURCE.partitions(call, 2)[-1].token
    with pytest.raises(SourceError, match="has changed since it was split into parts"):
        read(call, {**last, "stop": stop})


def test_a_log_that_has_grown_within_its_last_block_is_told(tmp_path: Path) -> None:
    path = squid(tmp_path)
    call = call_for(path, on_bad_rows="report")
    last = SOURCE.partitions(call, 2)[-1].token
    with path.open("a") as log:
        log.write(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(SourceError, match="has changed since it was split into parts"):
        read(call, last)

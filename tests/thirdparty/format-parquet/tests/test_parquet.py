import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tailrace_format_parquet
from polars.testing import assert_frame_equal
from tailrace_format_parquet.format import ParquetFormat
from tailrace_format_parquet.options import ParquetOptions
from tailrace_sdk.fakes import FolderSink, MemorySource, memory_table

from tailrace import (
    Column,
    Context,
    CredentialMode,
    Dataset,
    Engine,
    ExportRequest,
    IntegrityError,
    LeakError,
    Meaning,
    OptionError,
    OutgoingTable,
    ReadTablesCall,
    RefusedError,
    RequestError,
    RereadCall,
    SearchCall,
    Secrets,
    Settings,
    SinkRequest,
    WriteCall,
)

EVERY = pl.DataFrame(
    {
        "text": ["Ünï\ncode", "", None],
        "big": pl.Series([2**64 - 1, 0, None], dtype=pl.UInt64),
        "huge": pl.Series([2**100, -1, None], dtype=pl.Int128),
        "real": [0.1, float("nan"), float("-inf")],
        "price": [Decimal("1.10"), Decimal("-0.01"), None],
        "flag": [True, False, None],
        "at": pl.Series([datetime(2026, 8, 15, 6, tzinfo=UTC), None, None], dtype=pl.Datetime("ns", "UTC")),
        "local": pl.Series([1_786_752_000_000, None, None], dtype=pl.Datetime("ms")),
        "day": [date(2026, 8, 15), None, None],
        "hour": [time(6, 30), None, None],
        "took": [timedelta(milliseconds=1), timedelta(days=-1), None],
        "kind": pl.Series(["a", "b", None], dtype=pl.Enum(["a", "b"])),
        "level": pl.Series(["x", "x", None], dtype=pl.Categorical),
        "raw": [b"\x00\xff", b"", None],
        "tags": [["a", None], [], None],
        "pair": pl.Series([[1, 2], [3, 4], None], dtype=pl.Array(pl.Int8, 2)),
        "where": [{"city": "Ulm", "at": [1.5]}, {"city": None, "at": None}, None],
        "nothing": pl.Series([None, None, None], dtype=pl.Null),
        "*": [1, 2, 3],
    }
)


class Output:
    """Takes what is written, and cannot do anything else."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: Any, /) -> int:
        self.pieces.append(bytes(data))
        return len(self.pieces[-1])

    def flush(self) -> None:
        pass

    @property
    def content(self) -> bytes:
        return b"".join(self.pieces)


def written(frame: pl.DataFrame | pl.LazyFrame, *columns: Column, **options: Any) -> bytes:
    output = Output()
    columns = columns or tuple(Column(name) for name in frame.collect_schema())
    table = OutgoingTable("things", frame.lazy(), columns, time_column="at")
    call = WriteCall([table], output, ParquetOptions(**options), {}, lambda _note: None, Context())
    ParquetFormat().write(call)
    return output.content


def blocks(content: bytes, size: int = 1000) -> Iterator[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))


def counted(content: bytes, columns: int, *, thorough: bool) -> Mapping[str, int]:
    call = RereadCall(blocks(content), ParquetOptions(), ["things"], thorough=thorough, columns={"things": columns})
    return ParquetFormat().count_rows(call)


@pytest.mark.parametrize("compression", ["zstd", "snappy", "lz4", "gzip", "brotli", "uncompressed"])
def test_every_type_comes_back_as_it_was(compression: str) -> None:
    content = written(EVERY, compression=compression)
    assert_frame_equal(pl.read_parquet(io.BytesIO(content)), EVERY)
    assert counted(content, EVERY.width, thorough=True) == {"things": 3}


def test_options_are_in_the_file() -> None:
    rows = pl.DataFrame({"number": range(1_000)})
    many = written(rows, row_group_size=100, statistics=False)
    assert many.count(b"number") > written(rows, statistics=False).count(b"number") + 8
    assert len(written(rows)) > len(written(rows, statistics=False))
    texts = pl.DataFrame({"text": [f"line {number % 7} of all" for number in range(20_000)]})
    assert len(written(texts, compression_level=19)) < len(written(texts, compression="uncompressed"))


def test_levels_that_a_compression_does_not_have_are_refused(tmp_path: Path) -> None:
    plugins = [("parquet", tailrace_format_parquet), ("memory", MemorySource([])), ("folder", FolderSink())]
    engine = Engine(Settings(home=tmp_path / "home"), plugins=plugins, discover=False)
    sinks = (SinkRequest("folder", "."),)
    for options, said in (
        ({"compression": "snappy", "compression_level": "3"}, "snappy has no levels"),
        ({"compression": "gzip", "compression_level": "12"}, "0 to 9"),
        ({"row_group_size": "5"}, "100 to"),
    ):
        with pytest.raises(OptionError, match=said):
            engine.export(ExportRequest("memory", "", "parquet", options=options, sinks=sinks))


def test_what_columns_mean_is_in_the_metadata() -> None:
    column = Column("took", Meaning.MEASURE, "ms", "How long it took.")
    told = json.loads(pl.read_parquet_metadata(io.BytesIO(written(pl.DataFrame({"took": [1]}), column)))["tailrace"])
    assert told == {
        "version": 1,
        "table": "things",
        "time_zone": "UTC",
        "time_column": "at",
        "columns": [{"name": "took", "meaning": "measure", "unit": "ms", "description": "How long it took."}],
    }


@pytest.mark.parametrize("dtype", [pl.Object(), pl.List(pl.Struct([]))])
def test_what_parquet_cannot_hold_is_refused_by_name(dtype: pl.DataType) -> None:
    frame = pl.DataFrame({"good": [1], "bad": pl.Series([None], dtype=dtype)})
    with pytest.raises(RequestError, match="'bad' of table things"):
        written(frame)


def test_rows_are_written_in_pieces_and_never_twice() -> None:
    seen: list[int] = []
    output = Output()

    def see(batch: pl.DataFrame) -> pl.DataFrame:
        seen.append(batch.height)
        return batch

    frame = pl.LazyFrame({"number": range(500_000)}).map_batches(see, streamable=True)
    table = OutgoingTable("things", frame, [Column("number")])
    ParquetFormat().write(WriteCall([table], output, ParquetOptions(), {}, lambda _note: None, Context()))
    assert sum(seen) == 500_000
    assert max(map(len, output.pieces)) < len(output.content) / 3


_WRITE = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
import polars as pl, test_parquet
rows = pl.select(number=pl.int_range(300_000)).with_columns(text=(pl.col("number") % 7).cast(pl.String))
print(hashlib.sha256(test_parquet.written(rows)).hexdigest(), pl.thread_pool_size())
"""


def test_the_bytes_do_not_depend_on_threads() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", _WRITE, str(Path(__file__).parent)],
            env={**os.environ, "POLARS_MAX_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for threads in ("1", "5")
    ]
    assert [threads for _digest, threads in said] == ["1", "5"]
    assert said[0][0] == said[1][0]


@pytest.mark.parametrize("thorough", [False, True])
def test_files_that_are_no_more_what_was_written_are_refused(thorough: bool) -> None:  # noqa: FBT001
    content = written(pl.DataFrame({"number": range(1_000), "text": map(str, range(1_000))}), row_group_size=100)
    assert counted(content, 2, thorough=thorough) == {"things": 1_000}
    footer = int.from_bytes(content[-8:-4], "little")
    broken = {
        "cut": content[: len(content) // 2],
        "without its end": content[:-4],
        "empty": b"",
        "no file at all": b"PAR1" * 3,
        "of another kind": b"id,name\n1,x\n" * 20,
        "with a footer that is longer than it": content[:-8] + (2**31).to_bytes(4, "little") + b"PAR1",
        "twice": content + content,
        "without a page": content[:4] + content[400:],
        "with a broken footer": content[: -footer - 8] + bytes(footer) + content[-8:],
    }
    for name, bad in broken.items():
        with pytest.raises(IntegrityError):
            pytest.fail(f"{name}: {counted(bad, 2, thorough=thorough)}")
    with pytest.raises(IntegrityError, match="2 columns"):
        counted(content, 3, thorough=thorough)


def test_damaged_pages_are_found_when_everything_is_read() -> None:
    content = bytearray(written(pl.DataFrame({"number": range(5_000)})))
    content[4:400] = bytes(396)
    assert counted(bytes(content), 1, thorough=False) == {"things": 5_000}
    with pytest.raises(IntegrityError, match="polars cannot read it"):
        counted(bytes(content), 1, thorough=True)


def test_values_are_searchable_although_pages_are_compressed() -> None:
    secret = "S3cret-wörd-42"
    rows = pl.DataFrame(
        {
            "text": ["x" * 100] * 5_000 + [secret],
            "raw": [None] * 5_000 + [secret.encode()],
            "number": [0] * 5_000 + [987654321],
            "listed": [["a"]] * 5_000 + [["b", secret]],
            "within": [{"a": [{"b": "c"}]}] * 5_000 + [{"a": [{"b": secret}]}],
        }
    )
    for column in rows.columns:
        content = written(rows.select(column), statistics=False)
        found = b"".join(ParquetFormat().searchable(SearchCall(blocks(content), ParquetOptions())))
        assert (b"987654321" if column == "number" else secret.encode()) in found, column


def test_a_secret_that_a_source_kept_out_is_found_in_a_file(tmp_path: Path) -> None:
    table = memory_table("words", {"word": [*map(str, range(50_000)), "S3cret-word-of-mine"]})

    class Leaking(MemorySource):
        def _open(self, call: Any) -> Any:
            from contextlib import nullcontext

            return nullcontext(Dataset((table,), secrets=lambda: Secrets({"S3cret-word-of-mine"})))

    plugins = [("parquet", tailrace_format_parquet), ("memory", Leaking([])), ("folder", FolderSink())]
    engine = Engine(Settings(home=tmp_path / "home"), plugins=plugins, discover=False)
    request = ExportRequest("memory", "", "parquet", sinks=(SinkRequest("folder", str(tmp_path / "out")),))
    with pytest.raises(LeakError):
        engine.export(request)
    assert not list((tmp_path / "out").glob("*.parquet"))


def test_texts_of_a_file_of_anybody(tmp_path: Path) -> None:
    path = tmp_path / "of-anybody.parquet"
    flat = EVERY.drop("tags", "pair", "where")
    flat.write_parquet(path)
    assert ParquetFormat().recognises(path.read_bytes()[:64])
    tables = ParquetFormat().read_tables(ReadTablesCall(path))
    assert list(tables) == ["of-anybody"]
    read = tables["of-anybody"]
    assert set(read.dtypes) == {pl.String()}
    assert read.row(0) == (
        *("Ünï\ncode", "18446744073709551615", "1267650600228229401496703205376", "0.1", "1.10", "true"),
        *("2026-08-15T06:00:00.000000000Z", "2026-08-15T00:00:00.000", "2026-08-15", "06:30:00.000000000"),
        *("PT0.001S", "a", "x", "AP8=", None, "1"),
    )
    path.write_bytes(written(flat.clear()))
    assert {name: frame.shape for name, frame in ParquetFormat().read_tables(ReadTablesCall(path)).items()} == {
        "things": (0, flat.width)
    }


def test_files_that_mean_harm_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.parquet"
    good = written(pl.DataFrame({"number": range(1_000)}))
    # A megabyte of one text, hundreds of times: a kilobyte in the file.
    bomb = io.BytesIO()
    pl.LazyFrame({"x": ["x" * 1_000_000]}).select(pl.col("x").repeat_by(300).explode()).sink_parquet(bomb)
    assert len(bomb.getvalue()) < 1 << 20
    EVERY.select("tags").write_parquet(tmp_path / "nested.parquet")
    nested = (tmp_path / "nested.parquet").read_bytes()
    for content in (b"PAR1", good[:100], good[:30] + bytes(40) + good[70:], bomb.getvalue(), nested):
        path.write_bytes(content)
        with pytest.raises(RefusedError):
            ParquetFormat().read_tables(ReadTablesCall(path))


def test_an_export_is_proven_and_can_be_verified(tmp_path: Path) -> None:
    plugins = [
        ("parquet", tailrace_format_parquet),
        ("memory", MemorySource([memory_table("things", EVERY)])),
        ("folder", FolderSink()),
    ]
    engine = Engine(Settings(home=tmp_path / "home"), plugins=plugins, discover=False)
    result = engine.export(
        ExportRequest("memory", "", "parquet", sinks=(SinkRequest("folder", str(tmp_path / "out")),))
    )
    (artifact,) = result.artifacts
    assert artifact.path is not None
    assert artifact.path.suffix == ".parquet"
    assert hashlib.sha256(artifact.path.read_bytes()).hexdigest() == artifact.manifest.file.sha256
    assert_frame_equal(pl.read_parquet(artifact.path), EVERY)
    assert engine.verify(artifact.path).ok


def test_a_pool_is_restored_from_its_sealed_export(tmp_path: Path) -> None:
    """The whole way with what is installed, as users go it: entry points, the command line, another plugin's import."""
    proxies = "http://ada:S3cret-word@192.0.2.1:8080\nhttp://192.0.2.2:8080\n"
    (tmp_path / "proxies.txt").write_text(proxies)
    key = f"file:{tmp_path / 'master.key'}"

    def tailrace(*words: str) -> None:
        command = [sys.executable, "-m", "tailrace", *words]
        environment = {**os.environ, "TAILRACE_HOME": str(tmp_path / "home")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    tailrace("keys", "new", "master", "master.key", "--quiet")
    engine = Engine(Settings(home=tmp_path / "home"), plugins=[("folder", FolderSink())])
    request = ExportRequest(
        "pool",
        str(tmp_path / "proxies.txt"),
        "parquet",
        credentials=CredentialMode.FULL,
        openers=(key,),
        sinks=(SinkRequest("folder", str(tmp_path / "backups")),),
    )
    path = engine.export(request).artifacts[0].path
    assert path is not None
    assert b"S3cret-word" not in path.read_bytes()
    assert pl.read_parquet(path)["password"][0].startswith("sealed:")
    tailrace("import", str(path), "--into", "restored.txt", "--key", key)
    assert (tmp_path / "restored.txt").read_text() == proxies

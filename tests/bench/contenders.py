"""One run of one contender, in a process of its own: ``python contenders.py NAME PARQUET DATABASE FOLDER``.

Prints a JSON object: seconds, apart from them those for proof and for synchronising to disk where it is ours, bytes
written, peak memory (VmHWM, of the whole process). A run on a few rows comes first, so that imports are not timed.
"""

import csv
import gzip
import json
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import workload

WARM_ROWS = 1000
Runner = Callable[[Path, Path, Path], dict[str, Any]]
CONTENDERS: dict[str, Runner] = {}


def contender(name: str) -> Callable[[Callable[[Path, Path, Path], None]], Callable[[Path, Path, Path], None]]:
    """Register a peer: it writes ``out`` from ``parquet`` or ``database``."""

    def register(write: Callable[[Path, Path, Path], None]) -> Callable[[Path, Path, Path], None]:
        def run(parquet: Path, database: Path, folder: Path) -> dict[str, Any]:
            out = folder / "out"
            begin = time.perf_counter()
            write(parquet, database, out)
            return {"seconds": time.perf_counter() - begin, "size": out.stat().st_size}

        CONTENDERS[name] = run
        return write

    return register


def ours(name: str, location: str, **request: Any) -> None:
    """Register an export of ours."""

    def run(parquet: Path, database: Path, folder: Path) -> dict[str, Any]:
        from tailrace import Engine, ExportRequest, SinkRequest

        engine = Engine()
        asked = ExportRequest(
            source="analytics",
            location=str(parquet) if location == "parquet" else f"sqlite://{database}?table=request_logs",
            sinks=(SinkRequest("disk", target=str(folder)),),
            **request,
        )
        for kind, plugin in (("source", "analytics"), ("format", asked.format), ("sink", "disk")):
            getattr(engine.registry, kind)(plugin)
        begin = time.perf_counter()
        result = engine.export(asked)
        seconds = time.perf_counter() - begin
        timings = result.timings
        return {
            "seconds": seconds - timings.proving - timings.syncing,
            "proof": timings.proving,
            "sync": timings.syncing,
            "size": result.artifacts[0].manifest.file.size,
        }

    CONTENDERS[name] = run


PLAIN: dict[str, Any] = {"compress": False}
FAST: dict[str, Any] = {"compress_level": "fast"}
ours("csv: tailrace", "parquet", format="csv", **PLAIN)
ours("csv.gz 6: tailrace", "parquet", format="csv")
ours("csv.gz fast: tailrace", "parquet", format="csv", **FAST)
ours("ndjson: tailrace", "parquet", format="json", options={"layout": "lines"}, **PLAIN)
ours("ndjson.gz 6: tailrace", "parquet", format="json", options={"layout": "lines"})
ours("ndjson.gz fast: tailrace", "parquet", format="json", options={"layout": "lines"}, **FAST)
ours("json: tailrace", "parquet", format="json", **PLAIN)
ours("sqlite csv.gz 6: tailrace", "sqlite", format="csv")
ours("sqlite csv.gz fast: tailrace", "sqlite", format="csv", **FAST)


def gzipped(out: Path) -> Any:
    """The standard library's gzip file, at the level that ours has by default."""
    return gzip.open(out, "wb", compresslevel=6)


@contender("csv: polars sink_csv")
def _(parquet: Path, _database: Path, out: Path) -> None:
    pl.scan_parquet(parquet).sink_csv(out)


@contender("csv: duckdb")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import duckdb

    duckdb.execute(f"COPY (FROM '{parquet}') TO '{out}' (FORMAT csv)")


@contender("csv: pyarrow")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    pyarrow.csv.write_csv(pyarrow.parquet.read_table(parquet), out)


@contender("csv: pandas")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import pandas as pd

    pd.read_parquet(parquet).to_csv(out, index=False)


@contender("csv: standard library")
def _(parquet: Path, _database: Path, out: Path) -> None:
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        for batch in pl.read_parquet(parquet).iter_slices(50_000):
            writer.writerows(batch.rows())


@contender("csv.gz 6: polars gzip")
def _(parquet: Path, _database: Path, out: Path) -> None:
    pl.scan_parquet(parquet).sink_csv(out, compression="gzip", check_extension=False)


@contender("csv.gz 6: standard library")
def _(parquet: Path, _database: Path, out: Path) -> None:
    with gzipped(out) as file:
        pl.scan_parquet(parquet).sink_csv(file)


@contender("csv.gz 6: pandas")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import pandas as pd

    pd.read_parquet(parquet).to_csv(out, index=False, compression={"method": "gzip", "compresslevel": 6})


@contender("csv.gz 6: duckdb")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import duckdb

    duckdb.execute(f"COPY (FROM '{parquet}') TO '{out}' (FORMAT csv, COMPRESSION gzip)")


@contender("ndjson: polars sink_ndjson")
def _(parquet: Path, _database: Path, out: Path) -> None:
    pl.scan_parquet(parquet).sink_ndjson(out)


@contender("ndjson: duckdb")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import duckdb

    duckdb.execute(f"COPY (FROM '{parquet}') TO '{out}' (FORMAT json)")


@contender("ndjson: orjson")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import orjson

    with out.open("wb") as file:
        for batch in pl.read_parquet(parquet).iter_slices(50_000):
            file.writelines(orjson.dumps(row) + b"\n" for row in batch.iter_rows(named=True))


@contender("ndjson: pandas")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import pandas as pd

    pd.read_parquet(parquet).to_json(out, orient="records", lines=True, date_format="iso")


@contender("ndjson.gz 6: polars gzip")
def _(parquet: Path, _database: Path, out: Path) -> None:
    pl.scan_parquet(parquet).sink_ndjson(out, compression="gzip", check_extension=False)


@contender("ndjson.gz 6: standard library")
def _(parquet: Path, _database: Path, out: Path) -> None:
    with gzipped(out) as file:
        pl.scan_parquet(parquet).sink_ndjson(file)


@contender("ndjson.gz 6: pandas")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import pandas as pd

    pd.read_parquet(parquet).to_json(
        out, orient="records", lines=True, date_format="iso", compression={"method": "gzip", "compresslevel": 6}
    )


@contender("ndjson.gz 6: duckdb")
def _(parquet: Path, _database: Path, out: Path) -> None:
    import duckdb

    duckdb.execute(f"COPY (FROM '{parquet}') TO '{out}' (FORMAT json, COMPRESSION gzip)")


@contender("sqlite csv.gz 6: polars read_database")
def _(_parquet: Path, database: Path, out: Path) -> None:
    with sqlite3.connect(database) as connection:
        log = pl.read_database("SELECT * FROM request_logs", connection)
    with gzipped(out) as file:
        log.write_csv(file)


def peak_mb() -> float:
    """Peak resident memory of this process so far, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def main(name: str, parquet: Path, database: Path, folder: Path) -> None:
    """Run a contender on a few rows, so that imports are not timed, and then for real."""
    with tempfile.TemporaryDirectory(dir=folder) as warm:
        CONTENDERS[name](*workload.make(parquet.parent, WARM_ROWS), Path(warm))
    measured = CONTENDERS[name](parquet, database, folder)
    print(json.dumps({**measured, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    os.environ.setdefault("TAILRACE_HOME", sys.argv[4])
    main(sys.argv[1], *map(Path, sys.argv[2:5]))

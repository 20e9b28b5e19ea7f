"""How jobs do as the store grows, how many a worker carries out, and ten large ones at once. ``jobs.py [--quick]``.

On SQLite and, where there is a server at 127.0.0.1:5432, on PostgreSQL. First one worker, a process of its own, with
many tiny exports, and with ten of 200,000 rows at once; memory is VmHWM of the whole process. Then stores with up to a
million finished jobs (see ``past.py``), and what users, workers and the audit trail ask of them, in milliseconds as a
caller sees them; the stores take turns at every call. A missed goal makes the exit code 1.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import past
import polars as pl
import sqlalchemy as sa
import workload
from run import Verdict

from tailrace import Engine, ExportRequest, SinkRequest, User
from tailrace.model.audit import AuditEntry, AuditFilter
from tailrace.model.states import JobState
from tailrace.settings import Settings, StoreSettings
from tailrace.store import jobs as queue
from tailrace.store.tables import jobs

SERVER = "postgresql://postgres@127.0.0.1:5432"
SUBMIT_MS, TIMES, MORE_MS, PEAK_MB = 100, 2.0, 2.0, 1000
ROOT, ANN = User("root", is_admin=True), User("ann")
TEN, WAITING = 10, 200
FLAT = "at most twice as long, or 2 ms longer"


@attrs.frozen
class Bench:
    """An engine on a store, and a folder for files.

    Args:
        name: Of the database.
        folder: The folder.
        engine: The engine.
    """

    name: str
    folder: Path
    engine: Engine

    def request(self, parquet: Path) -> ExportRequest:
        """An export into the folder."""
        return ExportRequest("analytics", str(parquet), "csv", sinks=(SinkRequest("disk", str(self.folder / "out")),))

    def tiny(self) -> ExportRequest:
        """An export of two rows."""
        path = self.folder / "tiny.parquet"
        if not path.exists():
            pl.DataFrame({"word": ["pump", "wheel"]}).write_parquet(path)
        return self.request(path)

    def work(self, concurrency: int) -> float:
        """Let a worker in a process of its own do all that waits; returns its peak memory in MB."""
        command = [str(Path(sys.executable).with_name("tailrace")), "worker", "--until-idle", "--quiet"]
        environment = {
            **os.environ,
            "TAILRACE_HOME": str(self.engine.settings.home),
            "TAILRACE_STORE_URL": self.engine.settings.store.url,
            "TAILRACE_RETENTION_DAILY": "false",
        }
        with subprocess.Popen([*command, "--concurrency", str(concurrency)], env=environment) as process:
            status, peak = Path(f"/proc/{process.pid}/status"), 0
            while process.poll() is None:
                with suppress(OSError, StopIteration):
                    # Not ru_maxrss, which begins with what this process has.
                    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
                    peak = max(peak, int(line.split()[1]))
                time.sleep(0.02)
        if process.returncode:
            raise SystemExit(f"the worker failed with exit code {process.returncode}")
        return peak / 1024


@contextmanager
def bench_on(name: str, data: Path) -> Iterator[Bench]:
    """An engine on an empty store."""
    with tempfile.TemporaryDirectory(dir=data) as folder, database(name, Path(folder)) as url:
        engine = Engine(Settings(home=Path(folder, "home"), store=StoreSettings(url)))
        engine.store.upgrade()
        yield Bench(name, Path(folder), engine)
        engine.store.close()


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database, which goes away again."""
    if name == "SQLite":
        yield f"sqlite:///{folder}/tailrace.db"
        return
    import psycopg

    made = f"tailrace_bench_{uuid.uuid4().hex}"
    with psycopg.connect(f"{SERVER}/test", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {made} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            yield f"{SERVER}/{made}"
        finally:
            server.execute(f"DROP DATABASE {made} WITH (FORCE)")


def has_server() -> bool:
    """Whether there is a PostgreSQL server to measure with."""
    import psycopg

    try:
        psycopg.connect(f"{SERVER}/test?connect_timeout=5").close()
    except psycopg.OperationalError:
        return False
    return True


def taking_turns(calls: Mapping[int, Callable[[], object]], times: int) -> dict[int, list[float]]:
    """Milliseconds of calls on stores of several sizes, which take turns; the first few, unmeasured, warm caches up."""
    taken: dict[int, list[float]] = {size: [] for size in calls}
    for turn in range(-min(times // 10, 7), times):
        for size, call in calls.items():
            begin = time.perf_counter()
            call()
            if turn >= 0:
                taken[size].append((time.perf_counter() - begin) * 1000)
    return taken


def asked_of(bench: Bench, size: int) -> dict[str, tuple[Callable[[], object], int]]:
    """What is asked again and again but for claims, each with how often it is measured."""
    engine = bench.engine
    deep = past.id_of(max(1, size // 10))
    prefix, own = deep[:13], past.id_of(size // 20 * 10)
    entry = AuditEntry("ann", "file.download", "ok", job=deep, source="analytics", format="csv")

    def look() -> bool:
        with engine.store.reading() as connection:
            return queue.any_due(connection, now=engine.store.now(connection))

    return {
        "look for work, there is none": (look, 100),
        "list, first page": (lambda: engine.jobs.list(ROOT, everybody=True), 30),
        "list, a page behind nine tenths": (lambda: engine.jobs.list(ROOT, everybody=True, before=deep), 30),
        "list, own 5": (lambda: engine.jobs.list(User(past.RARE)), 30),
        "list, own, a tenth of all": (lambda: engine.jobs.list(User(past.BUSY)), 30),
        "list, failed": (lambda: engine.jobs.list(ROOT, everybody=True, states=[JobState.FAILED]), 30),
        "list, own failed: none": (lambda: engine.jobs.list(User(past.BUSY), states=[JobState.FAILED]), 10),
        "show, by the beginning of an id": (lambda: engine.jobs.show(prefix, ROOT), 30),
        "show, by the beginning of one's own": (lambda: engine.jobs.show(own[:13], User(past.BUSY)), 10),
        "audit: append": (lambda: engine.audit.record(entry), 100),
        "audit: entries of a job": (lambda: engine.audit.list(ROOT, AuditFilter(job=deep)), 30),
        "submit": (lambda: engine.submit(bench.tiny(), user=ANN), WAITING),
    }


def claim(engine: Engine) -> None:
    """Claim ten jobs."""
    with engine.store.writing() as connection:
        now = engine.store.now(connection)
        found = queue.claim(connection, "worker", now=now, lease=600.0, limit=TEN)
    if len(found) != TEN:
        raise SystemExit(f"{TEN} jobs wait, and {len(found)} were claimed")


def let_wait(engine: Engine, pattern: str, count: int) -> None:
    """Enter jobs that wait, like one that is finished."""
    with engine.store.writing() as connection:
        row = dict(connection.execute(sa.select(jobs).where(jobs.c.id == pattern)).mappings().one())
        now = engine.store.now(connection)
        row |= {"state": JobState.PENDING, "finished": None, "progress": 0, "due": now}
        rows = [row | {"id": str(uuid.uuid4()), "created": now - timedelta(seconds=number)} for number in range(count)]
        connection.execute(sa.insert(jobs), rows)


def filled(bench: Bench, size: int) -> str:
    """Give a store its past; returns the id of the job that all others are copies of."""
    begin = time.perf_counter()
    pattern = bench.engine.submit(bench.tiny(), user=ANN).id
    bench.work(1)
    if bench.engine.jobs.show(pattern, ROOT).state is not JobState.COMPLETED:
        raise SystemExit("the job that is to be copied was not completed")
    past.make(bench.engine.settings.store.url, pattern, 1, size)
    print(f"  {bench.name}: {size:,} finished jobs, made in {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return pattern


def grow(name: str, data: Path, sizes: list[int], waiting: int) -> dict[str, dict[int, list[float]]]:
    """Milliseconds by what is asked and size of the store."""
    with ExitStack() as stack:
        benches = {size: stack.enter_context(bench_on(name, data)) for size in sizes}
        patterns = {size: filled(bench, size) for size, bench in benches.items()}
        asked = {size: asked_of(bench, size) for size, bench in benches.items()}
        found = {
            what: taking_turns({size: asked[size][what][0] for size in sizes}, times)
            for what, (_do, times) in asked[sizes[0]].items()
        }
        turns = {size: partial(claim, bench.engine) for size, bench in benches.items()}
        # Of those that wait since they were submitted.
        found[f"claim ten of {WAITING} that wait"] = taking_turns(turns, 18)
        for size, bench in benches.items():
            let_wait(bench.engine, patterns[size], waiting)
        found[f"claim ten of {waiting:,} that wait"] = taking_turns(turns, 18)
    return found


def show(name: str, found: dict[str, dict[int, list[float]]], verdict: Verdict) -> None:
    """The medians, and the goals."""
    sizes = list(found["submit"])
    print(f"\n{f'{name}: milliseconds, median':44}" + "".join(f"{size:>12,}" for size in sizes) + "  finished jobs")
    for what, measured in found.items():
        print(f"  {what:42}" + "".join(f"{statistics.median(taken):12.2f}" for taken in measured.values()))
    worst = "".join(f"{statistics.quantiles(taken, n=100)[98]:12.2f}" for taken in found["submit"].values())
    print(f"  {'submit, 99 of 100 within':42}{worst}\n")
    for what, measured in found.items():
        medians = [statistics.median(taken) for taken in measured.values()]
        verdict.goal(f"{name}: {what}, {FLAT}, in ms", medians[-1], max(TIMES * medians[0], medians[0] + MORE_MS))
    few, many = (statistics.median(found[what][sizes[-1]]) for what in list(found)[-2:])
    verdict.goal(f"{name}: {list(found)[-1]}, beside few, in ms", many, max(TIMES * few, few + MORE_MS))
    for size, taken in found["submit"].items():
        verdict.goal(f"{name}: submit with {size:,} finished jobs, in ms", statistics.median(taken), SUBMIT_MS)


def carry_out(bench: Bench, data: Path, tiny: int, rows: int, verdict: Verdict) -> None:
    """Many tiny exports one after the other, and ten large ones at once."""
    engine = bench.engine
    for _ in range(tiny):
        engine.submit(bench.tiny(), user=ANN)
    bench.work(2)
    done = [job for job in engine.jobs.list(ANN, limit=tiny).jobs if job.state is JobState.COMPLETED]
    began, ended = min(job.started for job in done if job.started), max(job.finished for job in done if job.finished)
    seconds = (ended - began).total_seconds()
    print(f"\n{bench.name}: {len(done)} of {tiny} tiny exports by one worker, two at a time: {seconds:.1f} s,", end=" ")
    print(f"{len(done) / seconds:.1f} jobs per second")
    verdict.goal(f"{bench.name}: tiny exports that were not completed", tiny - len(done), 0)

    parquet, _database = workload.make(data, rows)
    made = [engine.submit(bench.request(parquet), user=ANN).id for _ in range(TEN)]
    begin = time.perf_counter()
    peak = bench.work(TEN)
    seconds = time.perf_counter() - begin
    files = [file for job in made for file in engine.jobs.files(job, ANN) if file.rows == rows and file.path.exists()]
    print(f"{bench.name}: ten exports of {rows:,} rows to csv.gz at once: {seconds:.1f} s, peak {peak:.0f} MB")
    verdict.goal(f"{bench.name}: of ten exports at once, not completed", TEN - len(files), 0)
    verdict.goal(f"{bench.name}: ten exports at once, peak memory in MB", peak, PEAK_MB)


def asked(about: str | None, *, quick: str) -> Any:
    """The command line of a benchmark of stores.

    Args:
        about: What it measures.
        quick: What it does when it is only tried.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help=f"{quick}: for trying the benchmark")
    parser.add_argument("--store", choices=["SQLite", "PostgreSQL"], action="append", help="only this one")
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "tailrace-bench")
    return parser.parse_args()


def main() -> int:
    """Run all of it."""
    given = asked(__doc__, quick="up to ten thousand jobs")
    given.data.mkdir(parents=True, exist_ok=True)
    sizes, waiting, tiny, rows = [1000, 100_000, 1_000_000], 20_000, 200, 200_000
    if given.quick:
        sizes, waiting, tiny, rows = [1000, 10_000], 2000, 40, 20_000
    verdict = Verdict()
    print(f"load average {os.getloadavg()[0]:.1f}")
    for name in given.store or ["SQLite", "PostgreSQL"]:
        if name == "PostgreSQL" and not has_server():
            print(f"\n{name}: not measured, there is no server")
            continue
        with bench_on(name, given.data) as bench:
            carry_out(bench, given.data, tiny, rows, verdict)
        show(name, grow(name, given.data, sizes, waiting), verdict)
    print(f"\n{verdict.missed} goal(s) missed; load average {os.getloadavg()[0]:.1f}")
    return int(verdict.missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())

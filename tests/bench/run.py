"""Speed and memory against peers, side by side in one run, as ratios. ``nox -s bench [-- --quick]``.

Every measurement is a process of its own; the contenders of a group take turns in each round, in an order drawn with a
fixed seed; the figure is the median. Slow peers take part in fewer rounds: their column says in how many. What a goal
says is printed beside what was reached; a missed one makes the exit code 1.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import workload
from contenders import CONTENDERS

HERE = Path(__file__).parent
SLOW = ("pandas", "standard library", "orjson", "pyarrow", "duckdb")
MILLION = 1_000_000
# (ours, peer, how many times as long ours may take)
SPEED_GOALS = (
    ("csv: tailrace", "csv: polars sink_csv", 1.15),
    ("csv.gz 6: tailrace", "csv.gz 6: polars gzip", 1.0),
    ("csv.gz 6: tailrace", "csv.gz 6: standard library", 1 / 2),
    ("csv.gz 6: tailrace", "csv.gz 6: pandas", 1 / 9),
    ("csv.gz fast: tailrace", "csv.gz 6: polars gzip", 1 / 3),
    ("csv.gz fast: tailrace", "csv.gz 6: duckdb", 1 / 10),
    ("csv.gz fast: tailrace", "csv.gz 6: pandas", 1 / 20),
    ("ndjson: tailrace", "ndjson: polars sink_ndjson", 1.15),
    ("json: tailrace", "ndjson: tailrace", 1.5),
    ("ndjson.gz 6: tailrace", "ndjson.gz 6: polars gzip", 1.0),
    ("ndjson.gz 6: tailrace", "ndjson.gz 6: standard library", 1 / 2),
    ("ndjson.gz 6: tailrace", "ndjson.gz 6: pandas", 1 / 9),
    ("ndjson.gz fast: tailrace", "ndjson.gz 6: polars gzip", 1 / 3),
    ("sqlite csv.gz 6: tailrace", "sqlite csv.gz 6: polars read_database", 1 / 3),
)
PROOF_SHARE, SIZE_SHARE, PEAK_MB, START_RATIO, FIRST_ROW_MS = 0.5, 1.15, 450, 2.0, 100


def measure(name: str, parquet: Path, database: Path) -> dict[str, Any]:
    """One run of one contender, in a process and folder of its own."""
    with tempfile.TemporaryDirectory(dir=parquet.parent) as folder:
        command = [sys.executable, str(HERE / "contenders.py"), name, str(parquet), str(database), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def median_of(name: str, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure over the runs of one contender."""
    keys = runs[0].keys()
    return {"name": name, "runs": len(runs), **{key: statistics.median(run[key] for run in runs) for key in keys}}


def compare(parquet: Path, database: Path, rounds: int) -> dict[str, dict[str, Any]]:
    """Let all contenders take turns, and return their medians."""
    order = random.Random(workload.SEED)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds):
        names = [name for name in CONTENDERS if turn < 2 or not name.endswith(SLOW)]
        order.shuffle(names)
        for name in names:
            runs[name].append(measure(name, parquet, database))
            print(f"\rround {turn + 1} of {rounds}: {name:45}", end="", file=sys.stderr, flush=True)
    print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    return {name: median_of(name, measured) for name, measured in runs.items()}


def show(found: dict[str, dict[str, Any]]) -> None:
    """The medians, group by group."""
    group = ""
    print(f"{'contender':40} {'s':>7} {'proof':>6} {'sync':>6} {'peak MB':>8} {'MB':>7} {'n':>3}")
    for name in sorted(found, key=lambda name: (name.partition(":")[0], found[name]["seconds"])):
        figures = found[name]
        if name.partition(":")[0] != group:
            group = name.partition(":")[0]
            print()
        proof, sync = (f"{figures[key]:6.2f}" if key in figures else " " * 6 for key in ("proof", "sync"))
        print(
            f"{name:40} {figures['seconds']:7.2f} {proof} {sync} {figures['peak_mb']:8.0f}"
            f" {figures['size'] / 1e6:7.1f} {figures['runs']:3}"
        )
    print()


class Verdict:
    """Prints goals beside what was reached, and remembers the missed ones."""

    def __init__(self) -> None:
        self.missed = 0

    def goal(self, text: str, reached: float, limit: float) -> None:
        """One goal: ``reached`` must not be above ``limit``."""
        met = reached <= limit
        self.missed += not met
        print(f"{'met   ' if met else 'MISSED'}  {text}: {reached:.3g}, goal at most {limit:.3g}")


def judge_speed(found: dict[str, dict[str, Any]], verdict: Verdict) -> None:
    """Speed, proof and size goals."""
    for mine, peer, limit in SPEED_GOALS:
        ratio = found[mine]["seconds"] / found[peer]["seconds"]
        faster = f"{1 / ratio:.1f} times as fast" if ratio < 1 else f"{ratio:.2f} times as long"
        verdict.goal(f"{mine} / {peer} ({faster})", ratio, limit)
    for name, figures in found.items():
        if "proof" in figures:
            verdict.goal(f"{name}: proof / export", figures["proof"] / figures["seconds"], PROOF_SHARE)
    fast, small = found["csv.gz fast: tailrace"]["size"], found["csv.gz 6: tailrace"]["size"]
    verdict.goal("csv.gz: size at fast / at level 6", fast / small, SIZE_SHARE)


def judge_memory(folder: Path, verdict: Verdict, rows: int) -> None:
    """Peak memory at a tenth of the rows and at all of them."""
    for name in (
        "csv.gz 6: tailrace",
        "csv.gz fast: tailrace",
        "sqlite csv.gz 6: tailrace",
        "sqlite csv.gz fast: tailrace",
    ):
        few = measure(name, *workload.make(folder, rows // 10))
        many = measure(name, *workload.make(folder, rows))
        print(
            f"{name}: {rows // 10:,} rows {few['seconds']:.2f} s, {few['peak_mb']:.0f} MB;"
            f" {rows:,} rows {many['seconds']:.2f} s, {many['peak_mb']:.0f} MB"
        )
        verdict.goal(f"{name}: peak MB at {rows:,} rows", many["peak_mb"], PEAK_MB)


def judge_start(verdict: Verdict, rounds: int) -> None:
    """Starting the command line, against importing the library it is made with."""
    program = str(Path(sys.executable).parent / "tailrace")
    commands = {
        "import cyclopts": [sys.executable, "-c", "import cyclopts"],
        "tailrace --version": [program, "--version"],
        "tailrace plugins list": [program, "plugins", "list"],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(max(rounds, 5) * 3):
        for name, command in commands.items():
            script = (
                "import subprocess,sys,time;t=time.perf_counter();subprocess.run(sys.argv[1:],stdout=-3,check=True);"
            )
            script += "print(time.perf_counter()-t)"
            done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
            times[name].append(float(done.stdout))
    base = statistics.median(times["import cyclopts"])
    for name in list(commands)[1:]:
        ratio = statistics.median(times[name]) / base
        verdict.goal(f"{name} / import cyclopts ({base * 1000:.0f} ms)", ratio, START_RATIO)


def judge_first_row(parquet: Path, verdict: Verdict) -> None:
    """From ``Engine.export`` to the first row read, in a process that has exported before."""
    script = HERE / "first_row.py"
    done = subprocess.run([sys.executable, str(script), str(parquet)], capture_output=True, text=True, check=True)
    verdict.goal("Engine.export to the first row, warm, in ms", float(done.stdout), FIRST_ROW_MS)


def asked(about: str | None) -> tuple[Path, int, int]:
    """The folder for data, rows and rounds, by the command line of a benchmark.

    Args:
        about: What the benchmark says of itself.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the rows, fewer rounds: for trying the benchmark"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=Path(tempfile.gettempdir()) / "tailrace-bench")
    given = parser.parse_args()
    rows, rounds = (MILLION // 10, 2) if given.quick else (MILLION, given.rounds)
    return given.data, rows, rounds


def main() -> int:
    """Run all of it."""
    folder, rows, rounds = asked(__doc__)
    parquet, database = workload.make(folder, rows)
    print(f"{rows:,} rows, {rounds} rounds; seconds without imports, proof and disk synchronisation apart\n")
    found = compare(parquet, database, rounds)
    show(found)
    verdict = Verdict()
    judge_speed(found, verdict)
    judge_first_row(parquet, verdict)
    judge_start(verdict, rounds)
    judge_memory(folder, verdict, rows * 10)
    print(f"\n{verdict.missed} goal(s) missed")
    return int(verdict.missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())

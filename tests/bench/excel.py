"""The format ``excel`` against other writers of workbooks, in one run, as ratios. ``nox -s bench_excel [-- --quick]``.

As in ``run.py``: every measurement is a process of its own, the contenders take turns in an order drawn with a fixed
seed, the figure is the median, a missed goal makes the exit code 1. Slow peers take part in two rounds and with few
rows only; one of them is measured once with many.

Who keeps types is found out, not known: each writer's first file is read back with fastexcel and compared with what
it was made from. A writer keeps types whose times, numbers, flags, texts and gaps come back as such; it is lossless if
they also come back with their values (times within a millisecond).
"""

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import workload
from contenders import CONTENDERS
from excel_contenders import ONCE, OURS, RUST, SLOW, SMALL_ONLY
from run import Verdict, asked, median_of, show

HERE = Path(__file__).parent
WRITERS = [name for name in CONTENDERS if name.startswith("xlsx: ")]
FEW_SLOW_ROUNDS, MANY_ROUNDS = 2, 3
FIVE = 5
# How many times as long ours may take as a peer, with few rows and with many.
PEER_GOALS = (("xlsx: polars write_excel", 1 / 30), ("xlsx: pandas, openpyxl", 1 / 60))
TYPED_FEW, TYPED_MANY = 1.0, 1 / 2
PEAK_MB, SIZE_SHARE, PROOF_SHARE, SMALL_RATIO = 600, 1.25, 1.0, 1.2
Checks = dict[str, dict[str, dict[str, str | int]]]
Figures = dict[str, dict[str, Any]]


def make_log(folder: Path, rows: int) -> Path:
    """Write the workload as Parquet, unless it is there."""
    path = folder / f"excel-{rows}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        workload.frame(rows).write_parquet(unfinished, row_group_size=250_000)
        unfinished.rename(path)
    return path


def measure(name: str, parquet: Path, *flags: str) -> list[Any]:
    """One run of one contender, in a process and folder of its own: what it printed."""
    with tempfile.TemporaryDirectory(dir=parquet.parent) as folder:
        command = [sys.executable, str(HERE / "excel_contenders.py"), name, str(parquet), folder, *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def take_turns(
    names: Collection[str], rounds: int, few: Callable[[str], int], run: Callable[[str], dict[str, Any]]
) -> Figures:
    """Let contenders take turns, each in as many rounds as ``few`` says at most, and return their medians."""
    order = random.Random(workload.SEED)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(rounds):
        drawn = [name for name in names if turn < few(name)]
        order.shuffle(drawn)
        for name in drawn:
            print(f"\rround {turn + 1} of {rounds}: {name:45}", end="", file=sys.stderr, flush=True)
            runs[name].append(run(name))
    print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    return {name: median_of(name, measured) for name, measured in runs.items()}


def compare_few(parquet: Path, rounds: int) -> tuple[Figures, Checks]:
    """All writers on few rows, and what their files hold."""
    checks: Checks = {}

    def run(name: str) -> dict[str, Any]:
        figures: dict[str, Any]
        if name in checks:
            (figures,) = measure(name, parquet)
        else:
            figures, checks[name] = measure(name, parquet, "--check")
        return figures

    return take_turns(WRITERS, rounds, lambda name: FEW_SLOW_ROUNDS if name in SLOW else rounds, run), checks


def compare_many(parquet: Path, rounds: int) -> Figures:
    """The quick writers on many rows, and one of the slow ones once."""
    names = [name for name in WRITERS if name not in SMALL_ONLY]
    return take_turns(
        names,
        min(rounds, MANY_ROUNDS),
        lambda name: 1 if name in ONCE else rounds,
        lambda name: measure(name, parquet)[0],
    )


def show_rows(found: Figures, rows: int) -> None:
    """The medians of one number of rows."""
    show({f"{rows:,}: {name.removeprefix('xlsx: ')}": figures for name, figures in found.items()})


def show_checks(checks: Checks) -> None:
    """Who keeps types and values, and what is lost otherwise."""
    print(f"{'read back':40} {'types':>6} {'values':>7}")
    for name, check in sorted(checks.items()):
        lost = [f"{column} is {kind}" for column, kind in check["kinds"].items()]
        lost += [f"{column}: {rows:,} gaps made or filled" for column, rows in check["gaps"].items()]
        lost += [f"{column}: {rows:,} other values" for column, rows in check["values"].items()]
        typed, lossless = ("kept" if kept else "LOST" for kept in (keeps_types(check), not lost))
        print(f"{name.removeprefix('xlsx: '):40} {typed:>6} {lossless:>7}  {', '.join(lost)}")
    print()


def keeps_types(check: dict[str, dict[str, str | int]]) -> bool:
    """Whether all cells came back as what they were."""
    return not check["kinds"] and not check["gaps"]


def judge_speed(found: Figures, rows: int, checks: Checks, verdict: Verdict, limit: float) -> None:
    """Ours against the writers in Rust; those that do not keep types are told, not judged."""
    mine = found[OURS]["seconds"]
    for name in sorted(RUST & found.keys(), key=lambda name: found[name]["seconds"]):
        ratio = mine / found[name]["seconds"]
        text = f"{rows:,} rows: {OURS} / {name} ({1 / ratio:.1f} times as fast)"
        if keeps_types(checks[name]):
            verdict.goal(text, ratio, limit)
        else:
            print(f"-       {text}: {ratio:.3g}, but it does not keep types")
    verdict.goal(f"{rows:,} rows: proof / writing", found[OURS]["proof"] / mine, PROOF_SHARE)


def judge_few(found: Figures, rows: int, checks: Checks, verdict: Verdict) -> None:
    """Goals with few rows."""
    for name, limit in PEER_GOALS:
        ratio = found[OURS]["seconds"] / found[name]["seconds"]
        verdict.goal(f"{rows:,} rows: {OURS} / {name} ({1 / ratio:.1f} times as fast)", ratio, limit)
    judge_speed(found, rows, checks, verdict, TYPED_FEW)
    size = found[OURS]["size"] / found["xlsx: xlsxwriter"]["size"]
    verdict.goal(f"{rows:,} rows: size / xlsxwriter's", size, SIZE_SHARE)
    for name in (name for name in checks if name.startswith(OURS)):
        wrong = sum(len(columns) for columns in checks[name].values())
        verdict.goal(f"{name}: columns that come back otherwise", wrong, 0)


def judge_many(found: Figures, rows: int, checks: Checks, verdict: Verdict) -> None:
    """Goals with many rows."""
    judge_speed(found, rows, checks, verdict, TYPED_MANY)
    for name in ONCE:
        size = found[OURS]["size"] / found[name]["size"]
        verdict.goal(f"{rows:,} rows: size / {name}", size, SIZE_SHARE)
    verdict.goal(f"{rows:,} rows: peak MB", found[OURS]["peak_mb"], PEAK_MB)


def judge_memory(folder: Path, rows: int, verdict: Verdict) -> None:
    """Peak memory with more rows than a sheet has."""
    found = measure(OURS, make_log(folder, rows))[0]
    told = f"{found['seconds']:.2f} s, proof {found['proof']:.2f} s, {found['size'] / 1e6:.0f} MB"
    verdict.goal(f"{rows:,} rows: peak MB ({told})", found["peak_mb"], PEAK_MB)


def judge_small(parquet: Path, verdict: Verdict) -> None:
    """Workbooks of 100 rows, warm, against plain xlsxwriter."""
    command = [sys.executable, str(HERE / "excel_small.py"), str(parquet)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"excel_small.py failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    print("\n100 rows, warm, in ms: " + " · ".join(f"{name} {ms:.1f}" for name, ms in found.items()))
    verdict.goal("100 rows: the format / xlsxwriter", found["format"] / found["xlsxwriter"], SMALL_RATIO)
    same = found["format, without sheets about the export"] / found["xlsxwriter"]
    verdict.goal("100 rows: the format, with what xlsxwriter's file has / xlsxwriter", same, SMALL_RATIO)


def main() -> int:
    """Run all of it."""
    folder, rows, rounds = asked(__doc__)
    few, many = make_log(folder, rows // 10), make_log(folder, rows)
    print(f"{rows // 10:,} and {rows:,} rows; seconds without imports, proof and disk synchronisation apart\n")
    verdict = Verdict()
    small_found, checks = compare_few(few, rounds)
    show_rows(small_found, rows // 10)
    show_checks(checks)
    large_found = compare_many(many, rounds)
    show_rows(large_found, rows)
    judge_few(small_found, rows // 10, checks, verdict)
    judge_many(large_found, rows, checks, verdict)
    judge_memory(folder, rows * FIVE, verdict)
    judge_small(few, verdict)
    print(f"\n{verdict.missed} goal(s) missed")
    return int(verdict.missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())

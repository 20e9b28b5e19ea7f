"""Tables of the format ``pdf`` against other ways to draw them, in one run, as ratios. ``nox -s bench_reports``.

As in ``run.py``: every measurement is a process of its own, the contenders take turns in an order drawn with a fixed
seed, the figure is the median, a missed goal makes the exit code 1. All draw the same texts: 8 columns on A4 in
landscape, a repeated header, every other row shaded; what else each does is told in ``pdf_contenders.py``.

Who is slow draws fewer rows: a tenth, or a hundredth. Their seconds are then scaled by the number of rows, which is in
their favour: what grows faster than the table is not seen. The table says how many rows each really drew.
"""

import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import workload
from pdf_contenders import CONTENDERS, ENGINE, OURS, SHARE
from run import Verdict, asked, median_of

HERE = Path(__file__).parent
FEW, MANY, QUICK = 10_000, 100_000, 100_000
FPDF_TABLE, LONG_TABLE = "fpdf2: table()", "reportlab: LongTable"
GOALS = ((FPDF_TABLE, 1 / 40), (LONG_TABLE, 1 / 3))
PEAK_MB, SLOW_ROUNDS = 600, 2
Figures = dict[str, dict[str, Any]]


def measure(name: str, rows: int, folder: Path) -> dict[str, Any]:
    """One run of one contender, in a process of its own; seconds are scaled to ``rows``."""
    drawn = max(1, rows // SHARE.get(name, 1))
    with tempfile.TemporaryDirectory(dir=folder) as own:
        command = [sys.executable, str(HERE / "pdf_contenders.py"), name, str(drawn), own]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures | {"seconds": figures["seconds"] * rows / drawn, "drawn": drawn}


def compare(rows: int, rounds: int, folder: Path) -> Figures:
    """Let all take turns; the slow ones in fewer rounds."""
    order = random.Random(workload.SEED)
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds):
        drawn = [name for name in CONTENDERS if turn < SLOW_ROUNDS or name not in SHARE]
        order.shuffle(drawn)
        for name in drawn:
            print(f"\rround {turn + 1} of {rounds}: {name:45}", end="", file=sys.stderr, flush=True)
            runs[name].append(measure(name, rows, folder))
    print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    return {name: median_of(name, measured) for name, measured in runs.items()}


def show(found: Figures) -> None:
    """The medians, from the quickest."""
    print(f"{'contender':40} {'s':>8} {'drawn':>8} {'peak MB':>8} {'MB':>6} {'n':>3}")
    for name, figures in sorted(found.items(), key=lambda item: item[1]["seconds"]):
        print(
            f"{name:40} {figures['seconds']:8.2f} {figures['drawn']:8,.0f} {figures['peak_mb']:8.0f}"
            f" {figures['size'] / 1e6:6.1f} {figures['runs']:3}"
        )
    print()


def main() -> int:
    """Run all of it."""
    folder, rows, rounds = asked(__doc__)
    folder.mkdir(parents=True, exist_ok=True)
    few = FEW if rows > QUICK else FEW // 5
    print(f"{few:,} rows of 8 columns; seconds without imports, scaled where fewer rows were drawn\n")
    verdict = Verdict()
    found = compare(few, rounds, folder)
    show(found)
    for name, limit in GOALS:
        ratio = found[OURS]["seconds"] / found[name]["seconds"]
        verdict.goal(f"{few:,} rows: {OURS} / {name} ({1 / ratio:.0f} times as fast)", ratio, limit)
    for name in found.keys() - {OURS, ENGINE, *dict(GOALS)}:
        ratio = found[OURS]["seconds"] / found[name]["seconds"]
        print(f"-       {few:,} rows: {OURS} / {name}: {ratio:.3g} ({1 / ratio:.0f} times as fast)")
    large = measure(OURS, MANY, folder)
    told = f"{large['seconds']:.2f} s, {large['size'] / 1e6:.1f} MB"
    verdict.goal(f"{MANY:,} rows: peak MB ({told})", large["peak_mb"], PEAK_MB)
    print(f"\n{verdict.missed} goal(s) missed")
    return int(verdict.missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())

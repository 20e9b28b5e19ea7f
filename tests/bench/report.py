"""The health report of a week, as PDF and as HTML, against its parts and its peers. ``nox -s bench_report``.

A bare ``group_by`` of polars over the same file is the measure of the analysis; plotnine alone, drawing the charts of
the same report as SVG, is the measure of the whole. Peers make a like document with reportlab from the same analysis.

``SHARED_WEEK`` names a folder with ``validation_results-week.parquet`` and ``proxy_identities-week.parquet``; a week of
that shape is made up otherwise. As in ``run.py``: every measurement is a process of its own, in which the work is done
twice and the second time counts; the contenders take turns in an order drawn with a fixed seed; the figure is the
median; a missed goal makes the exit code 1.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from report_contenders import ANALYSIS, CONTENDERS, GROUP_BY, HTML, MATPLOTLIB, PDF, PLOTNINE, REPORTLAB
from run import Verdict, asked
from week import SEED, shared_week

HERE = Path(__file__).parent
QUICK = 0.1
ANALYSIS_RATIO, WHOLE_RATIO, HTML_RATIO, HTML_MB = 2.0, 1.5, 1.0, 2.0
Figures = dict[str, dict[str, float]]


def measure(name: str, checks: Path, folder: Path) -> dict[str, float]:
    """One run of one contender, in a process and folder of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        command = [sys.executable, str(HERE / "report_contenders.py"), name, str(checks), own]
        environment = {**os.environ, "TAILRACE_HOME": own}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(checks: Path, folder: Path, rounds: int) -> Figures:
    """Let all take turns; the medians."""
    order = random.Random(SEED)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for turn in range(rounds):
        names = list(CONTENDERS)
        order.shuffle(names)
        for name in names:
            print(f"\rround {turn + 1} of {rounds}: {name:40}", end="", file=sys.stderr, flush=True)
            runs[name].append(measure(name, checks, folder))
    print("\r" + " " * 70 + "\r", end="", file=sys.stderr)
    return {name: {key: statistics.median(run[key] for run in of) for key in of[0]} for name, of in runs.items()}


def show(found: Figures) -> None:
    """The medians."""
    print(f"{'contender':34} {'s':>7} {'proof':>6} {'sync':>6} {'peak MB':>8} {'MB':>6}")
    for name in sorted(found, key=lambda name: (name.partition(":")[0], found[name]["seconds"])):
        one = found[name]
        proof, sync = (f"{one[key]:6.2f}" if key in one else " " * 6 for key in ("proof", "sync"))
        size = f"{one['size'] / 1e6:6.2f}" if "size" in one else ""
        print(f"{name:34} {one['seconds']:7.3f} {proof} {sync} {one['peak_mb']:8.0f} {size}")
    print()


def judge(found: Figures, verdict: Verdict) -> None:
    """What is asked of the report."""

    def seconds(name: str) -> float:
        return found[name]["seconds"]

    verdict.goal("reading and analysis / bare group_by", seconds(ANALYSIS) / seconds(GROUP_BY), ANALYSIS_RATIO)
    charts = f"{found[PLOTNINE]['charts']:.0f} charts"
    verdict.goal(f"whole report, with proof / plotnine alone, {charts}", seconds(PDF) / seconds(PLOTNINE), WHOLE_RATIO)
    verdict.goal("HTML / PDF", seconds(HTML) / seconds(PDF), HTML_RATIO)
    verdict.goal("HTML, in MB", found[HTML]["size"] / 1e6, HTML_MB)
    for name in (REPORTLAB, MATPLOTLIB):
        print(f"-       PDF / {name}: {seconds(PDF) / seconds(name):.3g}; it attaches no data, and proves nothing")


def main() -> int:
    """Run all of it."""
    folder, rows, rounds = asked(__doc__)
    checks = shared_week(folder, QUICK if rows < 1_000_000 else 1.0)
    print(f"{checks}, {rounds} rounds; seconds of work done for the second time, disk synchronisation apart\n")
    found = compare(checks, folder, rounds)
    show(found)
    verdict = Verdict()
    judge(found, verdict)
    print(f"\n{verdict.missed} goal(s) missed")
    return int(verdict.missed > 0)


if __name__ == "__main__":
    raise SystemExit(main())

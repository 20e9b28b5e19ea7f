"""``tailrace worker`` as a process of its own, and others who follow what it does."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]


@pytest.fixture
def worker(toys: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts workers; what still runs at the end is killed."""
    # Its plugins are trusted here: a process more for each job is tried elsewhere.
    monkeypatch.setenv("TAILRACE_JOBS_ISOLATE", "never")
    monkeypatch.setenv("TAILRACE_WORKER_POLL", "0.05")
    started: list[subprocess.Popen[str]] = []

    def start(*words: str, **environ: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tailrace", "worker", *words],
            env=os.environ | {"PYTHONPATH": str(toys)} | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def background(cli: Cli, lines_file: Path, *words: object) -> Any:
    return cli("export", "lines", "--from", lines_file, "--format", "csv", "--to", "out", "--background", *words)


def test_a_worker_does_what_waits_and_ends(
    cli: Cli, worker: Any, lines_file: Path, elsewhere: Path, tmp_path: Path
) -> None:
    jobs = [background(cli, lines_file, "--quiet", "--json").document["job"]["id"] for _ in range(2)]
    first = worker("--until-idle", "--concurrency", "1")
    out, err = first.communicate(timeout=30)
    assert (first.returncode, out) == (0, "")
    said = " ".join(err.split())
    assert re.match(r"Worker [0-9a-f]{8}, 1 job at a time\. Ctrl-C ends it\. ", said)
    assert f"Its store: {tmp_path}/home/tailrace.db " in said
    assert said.endswith("Ended after 2 attempts.")
    moment = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ"
    for job in jobs:
        # Each line once, with its time.
        for event in (f"job {job}: attempt 1 begins", f"job {job}: attempt 1 ended, completed"):
            assert len(re.findall(re.escape(event), said)) == 1, err
            assert re.search(f"{moment} {re.escape(event)}", said), err
    assert len(list((elsewhere / "out").glob("*.csv.gz"))) == 2


@pytest.mark.flaky(reruns=1)  # a bound in time: what is slow by itself is slow twice
def test_a_worker_is_followed_from_elsewhere_until_it_is_told_to_end(
    cli: Cli, worker: Any, lines_file: Path, toys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = (toys / "toy_slow.py").read_text()
    # Only there, not where its size is estimated.
    slow = slow.replace("range(3000)", "range(3000 if 'SLOWLY' in os.environ else 0)").replace(
        "import", "import os,", 1
    )
    (toys / "toy_slow.py").write_text(slow)
    process = worker("--json", "--quiet", TAILRACE_WORKER_NICE="3", SLOWLY="1")
    until = time.monotonic() + 20
    while cli("store", "show", "--json").document.get("workers", 0) == 0:
        assert time.monotonic() < until, "the worker did not sign on"
        time.sleep(0.05)
    # Somebody is there to carry it out: nothing is said about that.
    answer = background(cli, lines_file)
    assert answer.code == 0
    assert re.fullmatch(r"Estimated: 3 rows, \d+ bytes\.\n", answer.err)
    job = answer.out.split()[-1]
    answer = cli("jobs", "watch", job, "--timeout", 20)
    assert answer.code == 0
    assert f"Job {job} is completed." in answer.out

    # What takes a minute is stopped from here within a second.
    answer = cli("export", "lines", "--from", lines_file, "--format", "slow", "--to", "out", "--background", "--json")
    long = answer.document["job"]["id"]
    while not cli("jobs", "show", long, "--json").document["job"]["bytes"]:
        assert time.monotonic() < until, "the job did not begin"
        time.sleep(0.05)
    shown = " ".join(cli("jobs", "show", long).out.split())
    assert re.search(r"progress \d+ % · writing · [\d,]+ of [\d,]+ rows · [\d.]+ .?B", shown), shown
    assert re.search(r"worker [0-9a-f-]{36}, until 20", shown)
    asked = time.monotonic()
    assert cli("jobs", "cancel", long).out == f"Job {long} is being stopped.\n"
    assert cli("jobs", "watch", long, "--timeout", 5).code == 1
    assert time.monotonic() - asked < 1.5
    assert cli("jobs", "show", long, "--json").document["job"]["state"] == "cancelled"

    assert os.getpriority(os.PRIO_PROCESS, process.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 3
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")
    assert '"attempts": 2' in out
    assert cli("store", "show", "--json").document["workers"] == 0
    monkeypatch.setenv("TAILRACE_USER", "mallory")
    assert cli("jobs", "show", job).code == 3

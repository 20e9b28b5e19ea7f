"""What becomes of an engine when the process that made it forks, as servers do."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, signal, sys
from pathlib import Path
from tailrace import ConfigurationError, Engine, ExportRequest, Settings, SinkRequest, User

def export():
    engine.export(ExportRequest("analytics", "rows.csv", "csv", (SinkRequest("disk", target="out"),)))

ada = User("ada")
engine = Engine(Settings(home=Path("home").absolute()))
if "listed" in sys.argv:
    engine.jobs.list(ada)
if "closed" in sys.argv:
    engine.store.close()
child = os.fork()
if child == 0:
    signal.alarm(60)
    try:
        export()
    except ConfigurationError as error:
        print(error.message, flush=True)
        os._exit(7)
    os._exit(0)
status = os.waitpid(child, 0)[1]
engine.jobs.list(ada)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.parametrize(
    ("before", "code"),
    [("made", 0), ("listed", 7), ("listed closed", 0)],
)
def test_only_an_engine_that_was_not_used_survives_a_fork(tmp_path: Path, before: str, code: int) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, *before.split()],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert ("was used before its process was forked" in done.stdout) is (code == 7)


CALLS = """
import asyncio, os, signal, sys
from pathlib import Path
from tailrace import ConfigurationError, Engine, ExportRequest, ImportRequest, Settings, SinkRequest, User

imported = ImportRequest(Path("list.txt"), "pool.txt")
request = ExportRequest("analytics", "rows.csv", "csv", (SinkRequest("disk", target="out"),))
engine = Engine(Settings(home=Path("home").absolute()))
path = engine.export(request).artifacts[0].path
engine.close()
calls = {
    "export": lambda: engine.export(request),
    "estimate": lambda: engine.estimate(request),
    "verify": lambda: engine.verify(path),
    "aestimate": lambda: asyncio.run(engine.aestimate(request)),
    "plan_import": lambda: engine.plan_import(imported),
    "apply_import": lambda: engine.apply_import(imported),
}
child = os.fork()
if child == 0:
    signal.alarm(60)
    for name, call in calls.items():
        try:
            call()
        except ConfigurationError as error:
            print(name, error.hint, flush=True)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_nothing_that_computes_hangs_in_the_child_of_an_engine_that_did(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    (tmp_path / "list.txt").write_text("192.0.2.1:8080\n")
    command = [sys.executable, "-W", "ignore", "-c", CALLS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    hint = "Make an engine in each process, after the fork."
    calls = ("export", "estimate", "verify", "aestimate", "plan_import", "apply_import")
    assert done.stdout.splitlines() == [f"{name} {hint}" for name in calls]
    assert not (tmp_path / "pool.txt").exists()


STOPPED = """
import asyncio, sys
from pathlib import Path
import polars as pl
from tailrace import Engine, ExportRequest, Settings, SinkRequest

async def slow(_call):
    await asyncio.sleep(3600)
    return pl.DataFrame({"id": [1]})

async def main():
    task = asyncio.create_task(engine.aexport(ExportRequest("slow", "", "csv", (SinkRequest("disk", target="out"),))))
    await asyncio.sleep(0.5)
    return task

engine = Engine(Settings(home=Path("home").absolute()))
engine.add_source("slow", slow)
loop = asyncio.new_event_loop()
task = loop.run_until_complete(main())
if sys.argv[1] == "closed":
    loop.close()
"""


@pytest.mark.parametrize("how", ["left", "closed"])
def test_a_process_ends_though_nobody_runs_its_loop_any_more(tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-W", "ignore", "-c", STOPPED, how]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not list((tmp_path / "out").glob("*.csv*"))

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

"""Work in a process of its own, as the standard tests have it done: what comes back, and that nothing outlives them."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tailrace_sdk.conformance.apart import begun_apart, done_apart
from tailrace_sdk.conformance.plugin import HEAVY

WORK = """
import os, sys, time

def answer(*arguments):
    return {"arguments": arguments, "folder": os.getcwd(), "variable": os.environ.get("APART"), "pid": os.getpid()}

def speak():
    print("said aloud")
    print("complained", file=sys.stderr)

def fail():
    raise ValueError("no")

def take(size):
    return len(bytearray(size))

def wait_after(path):
    open(path, "w").close()
    time.sleep(60)

def sleep():
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "apart_work.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path / "code")


def test_what_a_function_returns_comes_back_from_another_process(tmp_path: Path) -> None:
    ended = done_apart("apart_work:answer", 1, "two", [3], folder=tmp_path)
    said: Mapping[str, Any] = ended.said
    assert (said["arguments"], said["folder"], ended.returncode) == ([1, "two", [3]], str(tmp_path), 0)
    assert said["pid"] != os.getpid()


def test_variables_are_beside_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APART", "here")
    with begun_apart("apart_work:answer") as work:
        assert work.end().said["variable"] == "here"
    with begun_apart("apart_work:answer", environment={"APART": "there"}) as work:
        assert work.end().said["variable"] == "there"


def test_what_it_prints_is_told_apart_from_what_it_returns() -> None:
    ended = done_apart("apart_work:speak")
    assert (ended.stdout, ended.stderr, ended.said) == ("said aloud\n", "complained\n", None)


def test_a_failure_is_told_with_its_traceback() -> None:
    ended = done_apart("apart_work:fail")
    assert (ended.returncode, ended.said) == (1, None)
    assert ended.stderr.endswith("ValueError: no\n")


def test_the_memory_that_it_took_is_told() -> None:
    little, much = done_apart("apart_work:take", 1), done_apart("apart_work:take", 200 << 20)
    assert little.peak > 1 << 20
    assert 190 << 20 < much.peak - little.peak < 210 << 20


def test_it_can_be_killed_in_the_midst_of_its_work(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    with begun_apart("apart_work:wait_after", str(begun)) as work:
        assert work.wait_for(begun)
        work.kill()
        ended = work.end()
    assert (ended.returncode, ended.said) == (-9, None)


def test_waiting_for_a_file_ends_with_the_work_and_with_the_time(tmp_path: Path) -> None:
    with begun_apart("apart_work:fail") as work:
        assert not work.wait_for(tmp_path / "never")
    with begun_apart("apart_work:sleep") as work:
        assert not work.wait_for(tmp_path / "never", seconds=0.05)


def test_it_does_not_outlive_its_time_or_the_block() -> None:
    with begun_apart("apart_work:sleep") as work:
        with pytest.raises(subprocess.TimeoutExpired):
            work.end(seconds=0.05)
        assert work.process.poll() == -9
    with begun_apart("apart_work:sleep") as work:
        assert work.process.poll() is None
    assert work.process.poll() == -9


def test_importing_is_told_with_what_it_changed(tmp_path: Path) -> None:
    (tmp_path / "code" / "loud_plugin.py").write_text(
        "import colorsys, os, signal, sys, threading, time\n"
        "os.environ['LOUD'] = '1'\n"
        "os.chdir('/')\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "sys.excepthook = print\n"
        "threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n"
        "print('loaded')\n"
    )
    (tmp_path / "code" / "quiet_plugin.py").write_text("import colorsys\n")
    probe = "tailrace_sdk.conformance.probes:import_and_tell"
    loud, quiet = done_apart(probe, "loud_plugin"), done_apart(probe, "quiet_plugin")
    assert (loud.stdout, quiet.stdout) == ("loaded\n", "")
    assert loud.said["changed"] == [
        "the working folder",
        "the environment",
        "threads",
        "signal handlers",
        "the hook for exceptions",
    ]
    assert quiet.said["changed"] == []
    assert {"colorsys", "quiet_plugin"} <= set(quiet.said["imported"])


def test_the_kit_itself_imports_nothing_heavy() -> None:
    """Or importing a plugin would seem to import nothing heavy, whatever it does."""
    code = "import sys, tailrace_sdk.conformance.probes; print(*sorted(set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert HEAVY & set(loaded) == set()


def test_it_begins_without_delay() -> None:
    began = time.monotonic()
    done_apart("apart_work:answer")
    assert time.monotonic() - began < 20

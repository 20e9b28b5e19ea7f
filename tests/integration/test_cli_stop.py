"""Ctrl-C, SIGTERM and progress, with real processes and a real terminal."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def slow_export(
    toys: Path, lines_file: Path, *more: str, err: int = subprocess.PIPE
) -> Iterator["subprocess.Popen[str]"]:
    command = [
        sys.executable, "-m", "tailrace", "export", "lines", "--from", str(lines_file),
        "--format", "slow", "--to", "out", "--no-estimate", *more,
    ]  # fmt: skip
    process = subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(toys), "TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=err,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_a_file() -> None:
    for _ in range(500):
        if any(file.is_file() and file.stat().st_size > 0 for file in Path("out").rglob("*")):
            return
        time.sleep(0.02)
    pytest.fail("the export did not begin to write")


def told(err: str) -> list[str]:
    """What is said, but for how far it is: on a busy machine anything may take longer than a second."""
    return [line for line in err.splitlines() if not re.fullmatch(r"[a-z]+: [\d,]+ rows, .*", line)]


@pytest.mark.flaky(reruns=1)  # a bound in time: what is slow by itself is slow twice
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_export_and_leaves_no_file(number: int, toys: Path, lines_file: Path) -> None:
    with slow_export(toys, lines_file, "--no-compress") as process:
        wait_for_a_file()
        process.send_signal(number)
        began = time.monotonic()
        out, err = process.communicate(timeout=10)
        assert time.monotonic() - began < 2
    assert process.returncode == 1
    assert out == ""
    assert told(err) == [
        "Stopping and cleaning up. Ctrl-C once more ends it at once.",
        "error: It was cancelled.",
        "hint:  Nothing was published or changed. Start it again.",
    ]
    assert [file for file in Path("out").rglob("*") if file.is_file()] == []


def test_a_second_ctrl_c_ends_it_at_once(toys: Path, lines_file: Path) -> None:
    deaf = (toys / "toy_slow.py").read_text().replace("call.context.advance(rows=1, size=1000)", "pass")
    deaf = deaf.replace('call.output.write(b"x" * 1000)', "open('begun', 'w').close(); time.sleep(30)")
    (toys / "toy_slow.py").write_text(deaf)
    with slow_export(toys, lines_file) as process:
        for _ in range(500):
            if Path("begun").exists():
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=5)
    assert process.returncode == 1
    assert out == ""
    assert told(err) == ["Stopping and cleaning up. Ctrl-C once more ends it at once."]


def test_progress_is_a_line_now_and_then_where_there_is_no_terminal(toys: Path, lines_file: Path) -> None:
    with slow_export(toys, lines_file, "--timeout", "3") as process:
        _out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    first, *rest = err.splitlines()
    assert re.fullmatch(r"writing: \d+ rows, .+ [kM]?B(ytes)?", first), err
    assert rest[0] == "error: The export took longer than its 3 seconds."


def test_progress_is_a_bar_on_a_terminal_and_goes_away(toys: Path, lines_file: Path) -> None:
    terminal, side = pty.openpty()
    with slow_export(toys, lines_file, "--timeout", "1.5", err=side) as process:
        os.close(side)
        shown = b""
        while True:
            ready, _, _ = select.select([terminal], [], [], 10)
            assert ready, "the terminal stayed silent"
            try:
                block = os.read(terminal, 65536)
            except OSError:
                break
            if not block:
                break
            shown += block
        process.wait(timeout=10)
    os.close(terminal)
    text = shown.decode()
    assert process.returncode == 1
    assert "writing" in text
    assert re.search(r"\d+ rows", text)
    assert "\x1b[?25l" in text
    assert text.rindex("\x1b[?25h") > text.rindex("writing")
    assert "error:" in text[text.rindex("\x1b[?25h") :]

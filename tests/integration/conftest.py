"""The command line, called as a shell would call it, and toy plugins for it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from tailrace.cli import main

LINES = """
from contextlib import contextmanager
from pathlib import Path
import attrs
import polars as pl
from tailrace import Column, Dataset, SourceError, Table, hookimpl, option

@attrs.frozen
class Options:
    shout: bool = option(default=False, help="Read everything as capitals.")

class Lines:
    summary = "The lines of a text file."
    options_type = Options

    @contextmanager
    def open(self, call):
        path = Path(call.location)
        if not path.is_file():
            raise SourceError(f"There is no file {path.name}.", hint="Name one that is there.")
        lines = path.read_text().splitlines()
        frame = pl.LazyFrame({"line": [line.upper() if call.options.shout else line for line in lines]})
        yield Dataset([Table("lines", frame, [Column("line")], count_rows=lambda: len(lines))])

@hookimpl
def tailrace_source():
    return Lines()
"""

SLOW = """
import time
import attrs
from tailrace import FileLayout, hookimpl

@attrs.frozen
class Options:
    pass

class Slow:
    summary = "Takes its time: a block every 20 milliseconds, for a minute."
    options_type = Options

    def layout(self, options):
        return FileLayout("slow", "text/plain")

    def write(self, call):
        call.tables[0].frame.collect()
        if call.embedded.get("parameters", {}).get("limit") == 1:
            return
        for _ in range(3000):
            call.output.write(b"x" * 1000)
            call.context.advance(rows=1, size=1000)
            time.sleep(0.02)

    def count_rows(self, call):
        for _ in call.blocks:
            pass
        return {call.tables[0]: 0}

@hookimpl
def tailrace_format():
    return Slow()
"""

SINKS = """
import attrs
from tailrace import Receipt, TransientError, hookimpl, option

@attrs.frozen
class Options:
    pass

class Nowhere:
    summary = "Never delivers."
    options_type = Options

    def staging(self, call):
        return None

    def deliver(self, call):
        raise TransientError("The line is busy.", hint="Call again later.")

@hookimpl
def tailrace_sink():
    return Nowhere()
"""

BUGGY = SINKS.replace('raise TransientError("The line is busy.", hint="Call again later.")', "raise SystemExit(7)")


@attrs.frozen
class Answer:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it must be."""
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own, and no settings from outside."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("TAILRACE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TAILRACE_USER", "tester")
    # What fails for now fails for good: nobody waits for another try here.
    monkeypatch.setenv("TAILRACE_JOBS_ATTEMPTS", "1")
    monkeypatch.setenv("COLUMNS", "80")
    return folder


@pytest.fixture
def toys(distribute: Any) -> Path:
    """The folder of a distribution with a source, a format and two sinks that are easy to see through."""
    folder: Path = distribute(
        "tailrace-toys",
        version="0.1",
        plugins={
            "source": {"lines": "toy_lines"},
            "format": {"slow": "toy_slow"},
            "sink": {"nowhere": "toy_sinks", "buggy": "toy_buggy"},
        },
        modules={"toy_lines": LINES, "toy_slow": SLOW, "toy_sinks": SINKS, "toy_buggy": BUGGY},
    )
    return folder


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], toys: Path, importable: Any) -> Callable[..., Answer]:
    """Calls the command line within this process."""
    importable(toys)

    def call(*words: object) -> Answer:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Answer(code, *capsys.readouterr())

    return call


@pytest.fixture
def shell(toys: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Calls the command line as a process of its own."""

    def call(*words: object, path: Sequence[Path] = (), **arguments: Any) -> subprocess.CompletedProcess[str]:
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [toys, *path]))}
        return subprocess.run(
            [sys.executable, "-m", "tailrace", *map(str, words)],
            env=environ | arguments.pop("env", {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            **arguments,
        )

    return call


@pytest.fixture
def lines_file(elsewhere: Path) -> Path:
    """A text file of three lines."""
    file = elsewhere / "lines.txt"
    file.write_text("one\ntwo\nthree\n")
    return file

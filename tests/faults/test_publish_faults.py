"""Every call of an export that touches its folder fails, or is the last one: what lies there is never half of anything.

The calls are counted in a first, traced run; then the export is made again and again, and each time one of them fails
with an error of the disk or kills the process. By default each call is tried with a kill and one error, the errors
taking turns; with ``ALL_FAULTS=1`` with all of them.
"""

import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

from tailrace import Engine, ExportRequest, SinkRequest
from tailrace.files.staging import sweep
from tailrace.settings import Settings

ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES")
EXPECTED = {"ENOSPC": "NoSpaceError", "EDQUOT": "NoSpaceError"}
CALLS = (
    "write,?writev,?pwrite64,fsync,?fdatasync,?link,?linkat,?rename,?renameat,?renameat2,?unlink,?unlinkat,"
    "?open,openat,?chmod,?fchmodat,fchmod,ftruncate"
)
ALL = bool(os.environ.get("ALL_FAULTS"))
OLD, NEW = b'{"word":"old"}\n', b'{"word":"new"}\n'

# Everything is imported once; each export is made by a fork, which waits for its tracer. polars starts its threads when
# it is first used, which is behind the fork.
SERVER = """
import itertools, json, os, secrets, sys, time
import isal.isal_zlib, polars, zlib_ng.zlib_ng
import tailrace.pipeline.export
from pathlib import Path
from tailrace import Engine, ExportRequest, SinkRequest, TailraceError
from tailrace.settings import Settings
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

def work(folder, home, result, compress, overwrite):
    numbers = itertools.count(1)
    secrets.token_hex = lambda size: f"{next(numbers):0{2 * size}}"
    source = MemorySource([memory_table("rows", {"word": ["new"]})])
    engine = Engine(
        Settings(home=Path(home), user="kim"),
        plugins=[("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())],
        discover=False,
    )
    sink = SinkRequest("folder", folder, {"name": "x", "overwrite": overwrite})
    request = ExportRequest("memory", "", "lines", sinks=(sink,), compress=compress)
    while "TracerPid:\\t0\\n" in Path("/proc/self/status").read_text():
        time.sleep(0.001)
    try:
        engine.export(request)
        said = {"error": None}
    except TailraceError as error:
        said = {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    except BaseException as error:
        said = {"error": repr(error), "message": "", "hint": ""}
    Path(result).write_text(json.dumps(said))

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            work(**json.loads(line))
        finally:
            os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


@attrs.frozen
class Call:
    """A system call of the first run: the ``number``-th of its name in its thread, which is how strace counts."""

    name: str
    number: int
    text: str


@attrs.frozen
class Outcome:
    """How a traced export ended."""

    killed: bool
    said: dict[str, Any] | None
    trace: str


@attrs.define
class Exporter:
    """Exports into a folder that holds nothing, or the old file, under a tracer."""

    home: Path
    folder: Path
    before: Path
    compress: bool
    overwrite: bool
    server: "subprocess.Popen[str]"

    def export(self, *inject: str) -> Outcome:
        """Start from the state before, and export once."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.before, self.folder)
        result, trace = self.home / "result", self.home / "trace"
        result.unlink(missing_ok=True)
        assert self.server.stdin
        assert self.server.stdout
        case = {
            "folder": str(self.folder),
            "home": str(self.home),
            "result": str(result),
            "compress": self.compress,
            "overwrite": self.overwrite,
        }
        self.server.stdin.write(json.dumps(case) + "\n")
        self.server.stdin.flush()
        pid = self.server.stdout.readline().strip()
        parts = [f".tailrace-{number:016}{more}.part" for number in range(1, 5) for more in ("", "-new", "-old")]
        paths = [str(self.folder), *(str(self.folder / name) for name in ("x", "x.manifest.json", *parts))]
        command = ["strace", "-f", "-y", "-p", pid, "-o", str(trace), "-e", f"trace={CALLS}"]
        for path in paths:
            command += ["-P", path]
        for what in inject:
            command += ["-e", f"inject={what}"]
        tracer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        status = int(self.server.stdout.readline())
        assert trace.exists(), tracer.stderr
        said = json.loads(result.read_text()) if result.exists() else None
        return Outcome(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, said, trace.read_text())

    def calls(self) -> list[Call]:
        """The calls of an export that goes well."""
        outcome = self.export()
        assert outcome.said == {"error": None}
        matches = filter(None, (re.match(r"(\d+) +(\w+)\((.*)", line) for line in outcome.trace.splitlines()))
        counts = Counter[tuple[str, str]]()
        found: list[Call] = []
        for thread, name, text in (match.groups() for match in matches):
            counts[thread, name] += 1
            found.append(Call(name, counts[thread, name], text))
        return found


def engine(home: Path, word: str) -> Engine:
    source = MemorySource([memory_table("rows", {"word": [word]})])
    return Engine(
        Settings(home=home, user="kim"),
        plugins=[("memory", source), ("lines", LinesFormat()), ("folder", FolderSink())],
        discover=False,
        clock=lambda: datetime(2026, 8, 20, tzinfo=UTC),
    )


def request_into(folder: Path, *, compress: bool) -> ExportRequest:
    sink = SinkRequest("folder", str(folder), {"name": "x", "overwrite": True})
    return ExportRequest("memory", "", "lines", sinks=(sink,), compress=compress)


@pytest.fixture(scope="module")
def server() -> "Iterator[subprocess.Popen[str]]":
    if shutil.which("strace") is None:
        if os.environ.get("CI"):
            pytest.fail("strace is not installed")
        pytest.skip("strace is not installed")
    running = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield running
    running.communicate()


@pytest.fixture(params=["nothing", "old", "nothing, plain"])
def exporter(request: pytest.FixtureRequest, tmp_path: Path, server: "subprocess.Popen[str]") -> Exporter:
    root = tmp_path.resolve()
    before, home = root / "before", root / "home"
    before.mkdir()
    home.mkdir()
    # What is compressed is written by the export's own thread, what is plain by one of polars'.
    compress, overwrite = "plain" not in request.param, request.param == "old"
    if request.param == "old":
        engine(home, "old").export(request_into(before, compress=compress))
    return Exporter(home, root / "folder", before, compress, overwrite, server)


def content_of(path: Path, *, compress: bool) -> bytes | None:
    if not path.exists():
        return None
    return gzip.decompress(path.read_bytes()) if compress else path.read_bytes()


def check(exporter: Exporter, call: Call, outcome: Outcome, fault: str) -> None:
    """What must hold after a fault."""
    case = f"{fault} at {call.name} {call.number}: {call.text}\n{outcome.said}\n{outcome.trace}"
    folder = exporter.folder
    data = content_of(folder / "x", compress=exporter.compress)
    described = (folder / "x.manifest.json").exists()
    before = content_of(exporter.before / "x", compress=exporter.compress)
    assert before in {None, OLD}
    # Nothing, the old, or the complete new file. Between its name and the manifest's, a file has no manifest.
    assert data in {before, NEW}, case
    if described:
        assert data is not None, case
        verification = engine(exporter.home, "any").verify(folder / "x")
        assert verification.ok, f"{case}\n{verification.checks}"
    hidden = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    if fault == "SIGKILL":
        assert outcome.killed, case
        assert outcome.said is None, case
    else:
        assert not outcome.killed, case
        assert outcome.said is not None, case
        assert "(INJECTED)" in outcome.trace, case
        if outcome.said["error"] is None:
            # Only what is cleaned up at the end, or swept at the beginning, may fail without a word.
            assert call.name.startswith(("unlink", "open")), case
            assert (data, described) == (NEW, True), case
        else:
            assert outcome.said["error"] == EXPECTED.get(fault, "StorageError"), case
            assert outcome.said["hint"], case
            assert "cannot be written" in outcome.said["message"], case
        if not call.name.startswith("unlink"):
            assert hidden == [], case
    if data == OLD and fault != "SIGKILL":
        assert described, case
    # The next start takes away what is left, and the same export succeeds.
    assert sweep(folder) == len(hidden), case
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")], case
    again = engine(exporter.home, "new").export(request_into(folder, compress=exporter.compress))
    assert again.complete, case
    assert content_of(folder / "x", compress=exporter.compress) == NEW, case


def test_at_every_call_a_fault_leaves_nothing_the_old_or_the_new(exporter: Exporter) -> None:
    calls = exporter.calls()
    assert {"write", "fsync", "openat", "fchmod"} <= {call.name for call in calls}
    assert any(call.name.startswith("link") for call in calls)
    assert any(call.name.startswith("unlink") for call in calls)
    tried = {(call.name, call.number): call for call in calls}
    for turn, call in enumerate(tried.values()):
        for fault in ("SIGKILL", *(ERRORS if ALL else (ERRORS[turn % len(ERRORS)],))):
            what = f"signal={fault}" if fault == "SIGKILL" else f"error={fault}"
            outcome = exporter.export(f"{call.name}:{what}:when={call.number}")
            check(exporter, call, outcome, fault)


def test_from_some_call_on_the_disk_is_gone(exporter: Exporter) -> None:
    calls = exporter.calls()
    for name in sorted({call.name for call in calls if call.name in {"write", "fsync"}}):
        for fault in ("EIO", "ENOSPC"):
            outcome = exporter.export(f"{name}:error={fault}:when=1+")
            check(exporter, next(call for call in calls if call.name == name), outcome, fault)


def test_data_is_on_disk_before_it_is_visible(exporter: Exporter) -> None:
    texts = [f"{call.name}({call.text}" for call in exporter.calls()]

    def first(pattern: str, after: int = -1) -> int:
        for position, text in enumerate(texts):
            if position > after and re.match(pattern, text):
                return position
        raise AssertionError(pattern + "\n" + "\n".join(texts))

    folder = re.escape(str(exporter.folder))
    data, manifest = (rf"{folder}/\.tailrace-0+{number}\.part" for number in (1, 2))
    data_synced = first(rf"fsync\(\d+<{data}>")
    manifest_synced = first(rf"fsync\(\d+<{manifest}>")
    naming = rf'(?!.*EEXIST)(link|linkat|rename|renameat|renameat2)\(.*"{folder}/%s"[^"]*$'
    named = first(naming % "x")
    folder_synced = first(rf"fsync\(\d+<{folder}>", named)
    described = first(naming % r"x\.manifest\.json")
    last_synced = first(rf"fsync\(\d+<{folder}>", described)
    order = [data_synced, manifest_synced, named, folder_synced, described, last_synced]
    assert order == sorted(order), texts
    # Nothing is written any more behind the first name.
    assert not [text for text in texts[named:] if text.startswith("write")]


def test_a_killed_writer_of_many_blocks_leaves_nothing(tmp_path: Path) -> None:
    """Killed by the clock instead of the tracer, wherever it happens to be."""
    script = f"""
import polars as pl, sys
from pathlib import Path
from tailrace import Engine, ExportRequest, SinkRequest
from tailrace.settings import Settings
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table
source = MemorySource([memory_table("rows", {{"word": pl.int_range(3_000_000, eager=True)}})])
engine = Engine(Settings(home=Path({str(tmp_path / "home")!r})), plugins=[("memory", source), ("lines", LinesFormat()),
    ("folder", FolderSink())], discover=False)
print("go", flush=True)
engine.export(ExportRequest("memory", "", "lines", sinks=(SinkRequest("folder", {str(tmp_path / "out")!r}),)))
"""
    folder = tmp_path / "out"
    running = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert running.stdout
    assert running.stdout.readline() == "go\n"
    while not (folder.exists() and any(path.stat().st_size > 100_000 for path in folder.iterdir())):
        assert running.poll() is None
    running.kill()
    running.communicate()
    (left,) = folder.iterdir()
    assert left.name.startswith(".tailrace-")
    assert sweep(folder) == 1
    assert pl.DataFrame({"left": list(folder.iterdir())}).height == 0

"""Every call of an export that touches its folder fails, or is the last one: what lies there is never half of anything.

The formats are put through the same faults: to add one, say in ``WRITTEN`` what it makes, and name it in ``FORMATS``.
"""

import gzip
import importlib
import io
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
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

from .injection import Call, Fault, Forks, Outcome, calls_of, faults_at, forks

ERRORS = ("EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES")
EXPECTED = {"ENOSPC": "NoSpaceError", "EDQUOT": "NoSpaceError"}
CALLS = (
    "write,?writev,?pwrite64,fsync,?fdatasync,?link,?linkat,?rename,?renameat,?renameat2,?unlink,?unlinkat,"
    "?open,openat,?chmod,?fchmodat,fchmod,ftruncate"
)


def first_sheet(workbook: bytes) -> bytes:
    """The rows of a workbook as CSV, all of whose parts are whole."""
    with zipfile.ZipFile(io.BytesIO(workbook)) as parts:
        assert parts.testzip() is None
    return pl.read_excel(io.BytesIO(workbook), sheet_id=1).write_csv().encode()


@attrs.frozen
class Written:
    """What a format makes of the table ``rows``, whose column ``word`` holds one word.

    Args:
        old: Of the word ``old``.
        new: Of the word ``new``.
        compressible: Whether the engine may compress it.
        content: What is compared, from the bytes of a whole file before compression.
    """

    old: bytes
    new: bytes
    compressible: bool = True
    content: Callable[[bytes], bytes] = bytes


WRITTEN = {
    "lines": Written(b'{"word":"old"}\n', b'{"word":"new"}\n'),
    "csv": Written(b"word\nold\n", b"word\nnew\n"),
    "excel": Written(b"word\nold\n", b"word\nnew\n", compressible=False, content=first_sheet),
}
FORMATS = ("lines", "csv", "excel")
"""Those that are put through the faults."""
# What is compressed is written by the export's own thread, what is plain by one of polars'.
STATES = ("nothing", "old", "nothing, plain")
MATRIX = [
    pytest.param((name, state), id=f"{name}, {state}")
    for name in FORMATS
    for state in STATES
    if WRITTEN[name].compressible or "plain" not in state
]

PREPARE = """
import importlib, sys
import isal.isal_zlib, polars, zlib_ng.zlib_ng
from pathlib import Path
from tailrace import Context, Engine, ExportRequest, SinkRequest
from tailrace.pipeline.export import run
from tailrace.settings import Settings
from tailrace_sdk.fakes import FolderSink, LinesFormat, MemorySource, memory_table

plugins = {
    name: LinesFormat() if name == "lines" else importlib.import_module(f"tailrace_format_{name}")
    for name in sys.argv[1:]
}

def prepare(format, folder, home, compress, overwrite):
    source = MemorySource([memory_table("rows", {"word": ["new"]})])
    engine = Engine(
        Settings(home=Path(home), user="kim"),
        plugins=[("memory", source), (format, plugins[format]), ("folder", FolderSink())],
        discover=False,
    )
    sink = SinkRequest("folder", folder, {"name": "x", "overwrite": overwrite})
    request = ExportRequest("memory", "", format, sinks=(sink,), compress=compress)
    # The way of the data alone: what the store adds is in test_job_fault_points.
    prepared = engine._preparation.ready(request, engine.system_user)
    return lambda: run(prepared, context=Context(), scratch=Path(home) / "staging")
"""


def plugin_of(name: str) -> Any:
    """The plugin of a format, as ``PREPARE`` takes it."""
    return LinesFormat() if name == "lines" else importlib.import_module(f"tailrace_format_{name}")


@attrs.define
class Exporter:
    """Exports into a folder that holds nothing, or the old file, under a tracer."""

    format: str
    home: Path
    folder: Path
    before: Path
    compress: bool
    overwrite: bool
    forks: Forks

    def export(self, fault: Fault | None = None) -> Outcome:
        """Start from the state before, and export once, with the fault where it is meant."""
        for _ in range(20):
            outcome = self._exported(fault)
            # strace counts the calls of each thread, and which of polars' threads makes the second is up to chance.
            if fault is None or outcome.killed or "(INJECTED)" in outcome.trace:
                break
        return outcome

    def _exported(self, fault: Fault | None) -> Outcome:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.before, self.folder)
        case = {
            "format": self.format,
            "folder": str(self.folder),
            "home": str(self.home),
            "compress": self.compress,
            "overwrite": self.overwrite,
        }
        names = ("x", "x.manifest.json")
        return self.forks.run(case, scratch=self.home, calls=CALLS, folder=self.folder, names=names, fault=fault)

    def calls(self) -> list[Call]:
        """The calls of an export that goes well."""
        return calls_of(self.export())

    def engine(self, word: str) -> Engine:
        """An engine outside of the tracer, whose source has this word."""
        source = MemorySource([memory_table("rows", {"word": [word]})])
        return Engine(
            Settings(home=self.home, user="kim"),
            plugins=[("memory", source), (self.format, plugin_of(self.format)), ("folder", FolderSink())],
            discover=False,
            clock=lambda: datetime(2026, 8, 20, tzinfo=UTC),
        )

    def request_into(self, folder: Path) -> ExportRequest:
        """An export that replaces what there is."""
        sink = SinkRequest("folder", str(folder), {"name": "x", "overwrite": True})
        return ExportRequest("memory", "", self.format, sinks=(sink,), compress=self.compress)

    def content_of(self, path: Path) -> bytes | None:
        """What can be compared of a file that was exported; None where there is none."""
        if not path.exists():
            return None
        data = path.read_bytes()
        return WRITTEN[self.format].content(gzip.decompress(data) if self.compress else data)


@pytest.fixture(scope="module")
def forking() -> Iterator[Forks]:
    with forks(PREPARE, *FORMATS) as running:
        yield running


@pytest.fixture(params=MATRIX)
def exporter(request: pytest.FixtureRequest, tmp_path: Path, forking: Forks) -> Exporter:
    name, state = request.param
    root = tmp_path.resolve()
    before, home = root / "before", root / "home"
    before.mkdir()
    home.mkdir()
    compress = WRITTEN[name].compressible and "plain" not in state
    exporter = Exporter(name, home, root / "folder", before, compress, overwrite=state == "old", forks=forking)
    if state == "old":
        exporter.engine("old").export(exporter.request_into(before))
    return exporter


def check(exporter: Exporter, outcome: Outcome, fault: Fault) -> None:
    """What must hold after a fault."""
    case = fault.story(outcome)
    folder, written = exporter.folder, WRITTEN[exporter.format]
    data = exporter.content_of(folder / "x")
    described = (folder / "x.manifest.json").exists()
    before = exporter.content_of(exporter.before / "x")
    assert before in {None, written.old}
    # Nothing, the old, or the complete new file. Between its name and the manifest's, a file has no manifest.
    assert data in {before, written.new}, case
    if described:
        assert data is not None, case
        verification = exporter.engine("any").verify(folder / "x")
        assert verification.ok, f"{case}\n{verification.checks}"
    hidden = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    if fault.kills:
        assert outcome.killed, case
        assert outcome.said is None, case
    else:
        assert not outcome.killed, case
        assert outcome.said is not None, case
        assert "(INJECTED)" in outcome.trace, case
        if outcome.said["error"] is None:
            # Only what is cleaned up at the end, or swept at the beginning, may fail without a word.
            assert fault.call.name.startswith(("unlink", "open")), case
            assert (data, described) == (written.new, True), case
        else:
            assert outcome.said["error"] == EXPECTED.get(fault.kind, "StorageError"), case
            assert outcome.said["hint"], case
            assert "cannot be written" in outcome.said["message"], case
        if not fault.call.name.startswith("unlink"):
            assert hidden == [], case
    if data == written.old and not fault.kills:
        assert described, case
    # The next start takes away what is left, and the same export succeeds.
    assert sweep(folder) == len(hidden), case
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")], case
    again = exporter.engine("new").export(exporter.request_into(folder))
    assert again.complete, case
    assert exporter.content_of(folder / "x") == written.new, case


def test_at_every_call_a_fault_leaves_nothing_the_old_or_the_new(exporter: Exporter) -> None:
    calls = exporter.calls()
    assert {"write", "fsync", "openat", "fchmod"} <= {call.name for call in calls}
    assert any(call.name.startswith("link") for call in calls)
    assert any(call.name.startswith("unlink") for call in calls)
    for fault in faults_at(calls, ERRORS):
        check(exporter, exporter.export(fault), fault)


def test_from_some_call_on_the_disk_is_gone(exporter: Exporter) -> None:
    calls = exporter.calls()
    for name in sorted({call.name for call in calls if call.name in {"write", "fsync"}}):
        for kind in ("EIO", "ENOSPC"):
            fault = Fault(next(call for call in calls if call.name == name), kind, onwards=True)
            check(exporter, exporter.export(fault), fault)


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

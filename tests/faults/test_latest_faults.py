"""Every call that moves the name ``latest`` fails, or is the last one: it leads to the old file or the new one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from tailrace.files.staging import sweep

from .injection import Fault, Forks, Outcome, calls_of, faults_at, forks

ERRORS = ("EIO", "ENOSPC", "EROFS", "EACCES")
CALLS = "write,fsync,?link,linkat,?symlink,symlinkat,?rename,?renameat,?renameat2,?unlink,?unlinkat,openat,fchmod,flock"
MARK = ".tailrace-latest.latest"
KINDS = {
    "link": {"latest"},
    "name": {"latest", "latest.manifest.json", MARK},
    "copy": {"latest", "latest.manifest.json", MARK},
}
"""What is there for the name, by what it is."""

PREPARE = """
import errno, os
from datetime import UTC, datetime
from pathlib import Path
from tailrace import Context, CredentialMode, DeliverCall, Manifest, Parcel, Receipt, StagingCall, staged_file
from tailrace.model.manifest import FileRecord, PluginRecord, SourceRecord
from tailrace_sink_disk import tailrace_sink
from tailrace_sink_disk.options import DiskOptions

PLUGIN = PluginRecord("pool", "tailrace-source-pool", "0.1.0")

def refuse(*arguments, **more):
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))

def prepare(folder, kind, name, day, deliver):
    if kind != "link":
        os.symlink = refuse
    if kind == "copy":
        os.link = refuse
    sink = tailrace_sink()
    manifest = Manifest(2, "0.1.0", name, datetime(2026, 11, day, tzinfo=UTC), "kim", SourceRecord(PLUGIN, "", ""),
        PLUGIN, {}, {}, None, "UTC", CredentialMode.SANITIZED, (), FileRecord(name, "", 3, name, 3, name, None))
    options = DiskOptions(filename=name, latest="latest")
    receipt = Receipt("disk", delivered=True, path=Path(folder, name), root=Path(folder))

    def work():
        call = DeliverCall(Parcel(Path("gone"), manifest, {"ext": "csv"}), folder, options, Context())
        if not deliver:
            return sink.finish(call, receipt)
        with staged_file(sink.staging(StagingCall(folder, options, {}))) as (descriptor, path):
            os.write(descriptor, name.encode())
            sink.deliver(DeliverCall(Parcel(path, manifest, {"ext": "csv"}), folder, options, Context()))
    return work
"""


@attrs.frozen
class Mover:
    """Moves the name from the old file to the new one, under a tracer."""

    kind: str
    folder: Path
    before: Path
    forks: Forks

    def work(self, name: str, day: int, *, deliver: bool, fault: Fault | None = None) -> Outcome:
        """Deliver a file, or let the name lead to it."""
        return self.forks.run(
            {"folder": str(self.folder), "kind": self.kind, "name": name, "day": day, "deliver": deliver},
            scratch=self.folder.parent,
            calls=CALLS,
            folder=self.folder,
            names=("latest", "latest.manifest.json", MARK, ".tailrace-latest.new", "new", "new.manifest.json"),
            fault=fault,
        )

    def begin(self) -> None:
        """Keep the state in which the name leads to the old file, and the new one is delivered."""
        self.folder.mkdir()
        for name, day in (("old", 1), ("new", 2)):
            assert self.work(name, day, deliver=True).said == {"error": None}
            if name == "old":
                assert self.work(name, day, deliver=False).said == {"error": None}
        self.folder.rename(self.before)

    def move(self, fault: Fault | None = None) -> Outcome:
        """Begin with that state, and move the name."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self.before, self.folder, symlinks=True)
        return self.move_on(fault)

    def move_on(self, fault: Fault | None = None) -> Outcome:
        """Begin with whatever is there."""
        return self.work("new", 2, deliver=False, fault=fault)


@pytest.fixture(scope="module")
def forking() -> Iterator[Forks]:
    with forks(PREPARE) as running:
        yield running


@pytest.fixture(params=list(KINDS))
def mover(request: pytest.FixtureRequest, tmp_path: Path, forking: Forks) -> Mover:
    root = tmp_path.resolve()
    mover = Mover(request.param, root / "root", root / "before", forking)
    mover.begin()
    return mover


def test_at_every_call_a_fault_leaves_the_old_or_the_new(mover: Mover) -> None:
    calls = calls_of(mover.move())
    names = {path.name for path in mover.folder.iterdir()}
    files = {"old", "old.manifest.json", "new", "new.manifest.json"}
    assert names == files | KINDS[mover.kind]
    assert any(call.name.startswith("rename") for call in calls)
    for fault in faults_at(calls, ERRORS):
        outcome = mover.move(fault)
        story = fault.story(outcome)
        assert outcome.killed == fault.kills, story
        assert (mover.folder / "latest").read_bytes() in {b"old", b"new"}, story
        if outcome.said == {"error": None}:
            assert (mover.folder / "latest").read_bytes() == b"new", story
        # What happened is told, but for locks and manifests that cannot be had, and what is removed at the end.
        if not fault.kills and fault.call.name not in {"flock", "openat", "fchmod", "unlink", "unlinkat"}:
            assert outcome.said is not None, story
            assert outcome.said["error"] in {"StorageError", "NoSpaceError"}, story
        # The next export takes away what is left in the making, and goes on from whatever is there.
        sweep(mover.folder)
        repaired = mover.move_on()
        assert repaired.said == {"error": None}, f"{story}\n{repaired}"
        assert (mover.folder / "latest").read_bytes() == b"new", story
        assert {path.name for path in mover.folder.iterdir()} == files | KINDS[mover.kind], story

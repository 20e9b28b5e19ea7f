"""Calls that network shares refuse are refused, one kind at a time: the sink ``disk`` delivers all the same.

What is refused is not made up in Python: strace injects the error into the system call, so nothing that the code might
do on the way is left out.
"""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from .injection import Call, Fault, Forks, Outcome, forks

PREPARE = """
import os
from datetime import UTC, datetime
from pathlib import Path
from tailrace import Context, CredentialMode, DeliverCall, Manifest, Parcel, StagingCall, staged_file
from tailrace.model.manifest import FileRecord, PluginRecord, SourceRecord
from tailrace_sink_disk import tailrace_sink
from tailrace_sink_disk.options import DiskOptions

PLUGIN = PluginRecord("pool", "tailrace-source-pool", "0.1.0")
MANIFEST = Manifest(2, "0.1.0", "id", datetime(2026, 11, 23, tzinfo=UTC), "kim",
    SourceRecord(PLUGIN, "", ""), PLUGIN, {}, {}, None, "UTC", CredentialMode.SANITIZED, (),
    FileRecord("x", "text/csv", 3, "0", 3, "0", None))

def prepare(folder, mode, random_names):
    if random_names:
        secrets.token_hex = lambda size: os.urandom(size).hex()
    sink = tailrace_sink()
    options = DiskOptions(filename="x", latest="latest", mode=mode)

    def work():
        made = sink.staging(StagingCall(folder, options, {}))
        with staged_file(made) as (descriptor, path):
            os.write(descriptor, b"new")
            call = DeliverCall(Parcel(path, MANIFEST, {"ext": "csv"}), folder, options, Context())
            receipt = sink.deliver(call)
        sink.finish(call, receipt)
        assert receipt.delivered, receipt
    return work
"""


@attrs.frozen
class Refusal:
    """A call that is refused.

    Args:
        calls: Names of the call, as strace takes them.
        error: What is said.
        folder_only: Whether only the folder itself is meant, and no file in it.
        linked: Whether ``latest`` can be a symbolic link all the same.
    """

    calls: str
    error: str
    folder_only: bool = False
    linked: bool = True


REFUSALS = [
    Refusal("fsync", "EINVAL", folder_only=True),
    Refusal("fsync", "EBADF", folder_only=True),
    Refusal("fsync", "EOPNOTSUPP", folder_only=True),
    Refusal("?chmod,fchmod,?fchmodat", "EPERM"),
    Refusal("?chmod,fchmod,?fchmodat", "EOPNOTSUPP"),
    Refusal("?link,linkat", "EPERM"),
    Refusal("?link,linkat", "EOPNOTSUPP"),
    Refusal("flock", "ENOLCK"),
    Refusal("flock", "EOPNOTSUPP"),
    Refusal("?symlink,symlinkat", "EOPNOTSUPP", linked=False),
    Refusal("?symlink,symlinkat", "EPERM", linked=False),
]


def name_of(refusal: Refusal) -> str:
    return f"{refusal.calls.rpartition('?')[2].split(',')[0]}-{refusal.error}"


@pytest.fixture(scope="module")
def forking() -> Iterator[Forks]:
    with forks(PREPARE) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path.resolve() / "share"
    made.mkdir()
    return made


def deliver(forking: Forks, folder: Path, refusal: Refusal, **case: Any) -> Outcome:
    """Deliver where a call is refused, each time it is made."""
    return forking.run(
        {"folder": str(folder), "mode": "0600", "random_names": refusal.folder_only, **case},
        scratch=folder.parent,
        calls=refusal.calls,
        folder=folder,
        names=() if refusal.folder_only else ("x", "x.manifest.json"),
        fault=Fault(Call(refusal.calls, 1, ""), refusal.error, onwards=True),
    )


@pytest.mark.parametrize("refusal", REFUSALS, ids=name_of)
def test_what_a_share_refuses_keeps_nothing_from_it(forking: Forks, folder: Path, refusal: Refusal) -> None:
    outcome = deliver(forking, folder, refusal)
    assert outcome.said == {"error": None}, outcome
    assert "(INJECTED)" in outcome.trace
    assert (folder / "x").read_bytes() == b"new"
    assert json.loads((folder / "x.manifest.json").read_text())["file"]["name"] == "x"
    assert (folder / "latest").read_bytes() == b"new"
    assert (folder / "latest").is_symlink() == refusal.linked
    for name in ("x", "x.manifest.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    known = {"x", "x.manifest.json", "latest"}
    if not refusal.linked:
        known |= {"latest.manifest.json", ".tailrace-latest.latest"}
    assert {entry.name for entry in folder.iterdir()} == known


def test_permissions_stay_as_narrow_as_files_are_made(forking: Forks, folder: Path) -> None:
    outcome = deliver(forking, folder, Refusal("?chmod,fchmod,?fchmodat", "EPERM"), mode="0644")
    assert outcome.said == {"error": None}, outcome
    assert stat.S_IMODE((folder / "x").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal("fsync", "EIO", folder_only=True),
        Refusal("fsync", "EINVAL"),
        Refusal("?chmod,fchmod,?fchmodat", "EACCES"),
        Refusal("?link,linkat", "EIO"),
        Refusal("flock", "EIO"),
        Refusal("?symlink,symlinkat", "ENOSPC"),
    ],
    ids=name_of,
)
def test_what_the_disk_itself_says_is_an_error(forking: Forks, folder: Path, refusal: Refusal) -> None:
    outcome = deliver(forking, folder, refusal)
    assert outcome.said is not None
    assert outcome.said["error"] == ("NoSpaceError" if refusal.error == "ENOSPC" else "StorageError"), outcome
    assert outcome.said["hint"] or refusal.error == "EINVAL", outcome
    assert "(INJECTED)" in outcome.trace
    assert not os.path.lexists(folder / "latest")

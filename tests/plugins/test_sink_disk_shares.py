"""The sink ``disk`` on real file systems that lack what local ones have, and on several at once.

They are mounted from small images: FAT by the kernel and by fusefat, exFAT by exfat-fuse. Which of them a machine has
is told by trying; what it has not is skipped.
"""

import errno
import logging
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import tailrace_sink_disk
from tailrace_sdk.fakes import LinesFormat, MemorySource, memory_table

from tailrace import (
    AlreadyExistsError,
    Context,
    DeliverCall,
    Engine,
    ExportRequest,
    Finisher,
    JobResult,
    Parcel,
    Receipt,
    SinkRequest,
)
from tailrace.files import shares
from tailrace.model.options import build_options
from tailrace.settings import Settings

SINK = tailrace_sink_disk.tailrace_sink()
MEBIBYTE = 1 << 20


def run(*command: object) -> None:
    """Run a command; the test is skipped where there is no such thing, or it is not allowed."""
    name = str(command[0])
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, timeout=20)
    if done.returncode:
        pytest.skip(f"{name} does not work here: {(done.stderr or done.stdout).partition(os.linesep)[0]}")


def undo(*command: object) -> None:
    """Run a command that must work."""
    subprocess.run([str(part) for part in command], check=True)


def image(folder: Path, maker: str) -> Path:
    """A small file that holds an empty file system."""
    path = folder / "image"
    with path.open("wb") as file:
        file.truncate(8 * MEBIBYTE)
    run(maker, path)
    return path


def kernel_fat(scratch: Path, at: Path, stack: ExitStack) -> None:
    # Without a way to say who may do what with a file, all may do what the mount says.
    run("mount", "-o", "loop,umask=000", "-t", "vfat", image(scratch, "mkfs.vfat"), at)
    stack.callback(undo, "umount", at)


def fuse_fat(scratch: Path, at: Path, stack: ExitStack) -> None:
    run("fusefat", "-o", "rw+", image(scratch, "mkfs.vfat"), at)
    stack.callback(undo, "umount", at)


def fuse_exfat(scratch: Path, at: Path, stack: ExitStack) -> None:
    made = image(scratch, "mkfs.exfat")
    done = subprocess.run(["losetup", "-f", "--show", made], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"losetup does not work here: {done.stderr.strip()}")
    stack.callback(undo, "losetup", "-d", done.stdout.strip())
    run("mount.exfat-fuse", done.stdout.strip(), at)
    stack.callback(undo, "umount", at)


@pytest.fixture(scope="module", params=[kernel_fat, fuse_fat, fuse_exfat], ids=lambda mount: mount.__name__)
def mounted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where such a file system is mounted, once for all tests."""
    mount: Callable[[Path, Path, ExitStack], None] = request.param
    if os.geteuid() != 0:
        pytest.skip("only the superuser can mount a file system")
    scratch = tmp_path_factory.mktemp("disk")
    at = scratch / "mounted"
    at.mkdir()
    with ExitStack() as stack:
        mount(scratch, at, stack)
        yield at


@pytest.fixture
def share(mounted: Path, request: pytest.FixtureRequest) -> Path:
    """An empty folder on it."""
    made = mounted / str(request.node.originalname)
    made.mkdir()
    return made


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine whose own folder is on a local disk."""
    return Engine(
        Settings(home=tmp_path / "home", user="kim"),
        plugins=[
            ("memory", MemorySource([memory_table("rows", {"word": ["new"]})])),
            ("lines", LinesFormat()),
            ("disk", tailrace_sink_disk),
        ],
        discover=False,
    )


def export(engine: Engine, *roots: Path, **options: Any) -> JobResult:
    sinks = tuple(SinkRequest("disk", str(root), options) for root in roots)
    return engine.export(ExportRequest("memory", "", "lines", sinks=sinks, compress=False))


def receipt_of(result: JobResult) -> Receipt:
    ((receipt,),) = [artifact.receipts for artifact in result.artifacts]
    return receipt


def finish(result: JobResult, root: Path, **given: Any) -> None:
    """Do what comes after a delivery; doing it again changes nothing."""
    (artifact,) = result.artifacts
    options: Any = build_options(SINK.options_type, given, owner="sink disk")
    fields = {"source": "memory", "timestamp": "", "user": "", "ext": "ndjson", "id": "", "year": "2026"}
    parcel = Parcel(Path("gone"), artifact.manifest, fields)
    assert isinstance(SINK, Finisher)
    SINK.finish(DeliverCall(parcel, str(root), options, Context()), artifact.receipts[0])


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_export_is_whole_and_can_be_verified(share: Path, engine: Engine) -> None:
    for _ in range(2):
        result = export(engine, share, pattern="{source}", filename="{year}.txt", overwrite=True)
        assert result.complete
        path = result.artifacts[0].path
        assert path is not None
        assert path.read_bytes() == b'{"word":"new"}\n'
        assert engine.verify(path).ok
        # Nothing that was in the making is left.
        assert names(share) == {f"memory/{path.name}", f"memory/{path.name}.manifest.json"}


def test_names_are_not_taken_twice(share: Path, engine: Engine) -> None:
    first, second = (receipt_of(export(engine, share, filename="{id}.txt")).path for _ in range(2))
    assert first
    assert second
    assert first != second
    receipt_of(export(engine, share, filename="all-{format}.txt"))
    with pytest.raises(AlreadyExistsError):
        export(engine, share, filename="all-{format}.txt")
    assert len(names(share)) == 6


def test_the_latest_file_has_a_name_that_can_be_verified(share: Path, engine: Engine) -> None:
    given: dict[str, Any] = {"latest": "latest.txt", "pattern": "{year}", "filename": "{id}.txt"}
    for _ in range(2):
        result = export(engine, share, **given)
        finish(result, share, **given)
        path = result.artifacts[0].path
        assert path is not None
        assert (share / "latest.txt").read_bytes() == path.read_bytes()
        found = engine.verify(share / "latest.txt")
        assert found.ok
        assert found.manifest.export_id == result.export_id
    assert [name for name in names(share) if name.startswith(".")] == [".tailrace-latest.txt.latest"]


def test_permissions_that_it_has_not_are_told(
    share: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shares, "_told", set())
    with caplog.at_level(logging.WARNING, logger="tailrace.files"):
        receipts = [receipt_of(export(engine, share, filename="{id}.txt")) for _ in range(2)]
    for receipt in receipts:
        assert receipt.path is not None
        mode = stat.S_IMODE(receipt.path.stat().st_mode)
        assert mode & ~0o600
        assert receipt.note == f"Its permissions are {mode:04o} instead of 0600: the file system decides on them."
    (message,) = [message for message in caplog.messages if "instead of 0600" in message]
    assert message.startswith(f"files in {share} have the mode")


def test_local_disks_have_nothing_to_tell(tmp_path: Path, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    for mode in ("0600", "0644"):
        assert receipt_of(export(engine, tmp_path / "out", filename="{id}.txt", mode=mode)).note == ""
    assert [record for record in caplog.records if record.name.startswith("tailrace.files")] == []


def test_permissions_that_are_refused_are_told(tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chmod", refuse)
    receipt = receipt_of(export(engine, tmp_path / "out", filename="{id}.txt", mode="0644"))
    assert receipt.delivered
    assert receipt.note == "Its permissions are 0600 instead of 0644: the file system decides on them."


# --- several roots


def test_each_root_has_its_own_copy(tmp_path: Path, engine: Engine) -> None:
    result = export(engine, tmp_path / "a", tmp_path / "b", latest="latest.txt")
    first, second = result.artifacts[0].receipts
    assert first.path
    assert second.path
    assert (first.root, second.root) == (tmp_path / "a", tmp_path / "b")
    assert first.path.read_bytes() == second.path.read_bytes() == b'{"word":"new"}\n'
    assert not first.path.samefile(second.path)
    assert engine.verify(first.path).ok
    assert engine.verify(second.path).ok


def test_a_root_that_is_read_only_does_not_keep_the_other_from_it(tmp_path: Path, engine: Engine) -> None:
    frozen = tmp_path / "frozen"
    frozen.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only the superuser can mount a file system")
    run("mount", "-t", "tmpfs", "-o", "ro", "tmpfs", frozen)
    try:
        result = export(engine, tmp_path / "open", frozen)
        assert list(frozen.iterdir()) == []
    finally:
        undo("umount", frozen)
    delivered, failed = result.artifacts[0].receipts
    assert delivered.delivered
    assert delivered.path
    assert engine.verify(delivered.path).ok
    assert not failed.delivered
    assert "read-only" in failed.error
    assert not result.complete

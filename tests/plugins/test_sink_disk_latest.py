"""The sink ``disk``: the link to the newest file, what stands in for it, and how many files stay."""

import errno
import fcntl
import json
import os
import stat
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest
from tailrace_sink_disk import tailrace_sink

from tailrace import (
    AlreadyExistsError,
    Context,
    CredentialMode,
    DeliverCall,
    Finisher,
    Manifest,
    NotAllowedError,
    OptionError,
    Parcel,
    Receipt,
    StagingCall,
    StorageError,
    TailraceError,
    TargetChecker,
    UnknownNameError,
    opened_folder,
)
from tailrace.model.manifest import FileRecord, PluginRecord, SourceRecord
from tailrace.model.options import build_options

SINK = tailrace_sink()
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATEST = "latest-{source}.{ext}"
LINK = "latest-pool.csv"
PLUGIN = PluginRecord("pool", "tailrace-source-pool", "0.1.0")
MANIFEST = Manifest(
    schema_version=2,
    tailrace_version="0.1.0",
    export_id="",
    created=NOON,
    user="alice",
    source=SourceRecord(PLUGIN, "proxywhirl:///pool.db", "proxywhirl-sqlite"),
    format=PluginRecord("csv", "tailrace-format-csv", "0.1.0"),
    format_options={},
    parameters={},
    time_range=None,
    time_zone="UTC",
    credentials=CredentialMode.SANITIZED,
    tables=(),
    file=FileRecord("", "text/csv", 0, "", 0, "", None),
)


@attrs.frozen
class Export:
    """An export into a root, which began so many minutes after noon."""

    root: Path
    minute: int = 0
    table: str = ""
    given: dict[str, Any] = attrs.field(factory=dict)

    @property
    def content(self) -> bytes:
        return f"{self.minute} {self.table}\n".encode()

    @property
    def fields(self) -> dict[str, str]:
        now = NOON + timedelta(minutes=self.minute)
        return {
            "source": f"pool{self.table}",
            "timestamp": now.strftime("%Y%m%dT%H%M%SZ"),
            "user": "alice",
            "format": "csv",
            "ext": "csv",
            "year": "2026",
            "month": "11",
            "day": "23",
            "id": f"export-{self.minute}",
        }

    @property
    def manifest(self) -> Manifest:
        return attrs.evolve(
            MANIFEST,
            export_id=self.fields["id"],
            created=NOON + timedelta(minutes=self.minute),
            file=attrs.evolve(MANIFEST.file, sha256=self.content.hex()),
        )

    @property
    def options(self) -> Any:
        return build_options(SINK.options_type, {"latest": LATEST, **self.given}, owner="sink disk")

    def staging(self) -> Path:
        folder = SINK.staging(StagingCall(str(self.root), self.options, self.fields))
        assert folder is not None
        return folder

    def call(self, staged: Path) -> DeliverCall:
        return DeliverCall(Parcel(staged, self.manifest, self.fields), str(self.root), self.options, Context())

    def deliver(self) -> Receipt:
        staged = self.staging() / f".tailrace-{self.minute:016}.part"
        staged.write_bytes(self.content)
        try:
            return SINK.deliver(self.call(staged))
        finally:
            staged.unlink()

    def finish(self, receipt: Receipt) -> None:
        assert isinstance(SINK, Finisher)
        SINK.finish(self.call(Path("gone by now")), receipt)

    def export(self) -> Path:
        receipt = self.deliver()
        self.finish(receipt)
        assert receipt.path is not None
        return receipt.path


def hidden(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.name.startswith("."))


def check_target(**given: Any) -> None:
    export = Export(Path("nowhere"), given=given)
    assert isinstance(SINK, TargetChecker)
    SINK.check_target(StagingCall("nowhere", export.options, export.fields))


@pytest.fixture
def no_symlinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system with hard links only, as CIFS is before a server of Windows."""
    monkeypatch.setattr(os, "symlink", refusing(errno.EOPNOTSUPP))


@pytest.fixture
def no_links(no_symlinks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without links of any kind, as FAT is."""
    assert no_symlinks is None
    monkeypatch.setattr(os, "link", refusing(errno.EPERM))


def refusing(code: int) -> Callable[..., None]:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


# --- where it leads


def test_it_leads_to_the_file(tmp_path: Path) -> None:
    path = Export(tmp_path).export()
    assert (tmp_path / LINK).readlink() == Path(path.name)
    assert (tmp_path / LINK).read_bytes() == b"0 \n"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [LINK, path.name, f"{path.name}.manifest.json"]


def test_it_lies_in_the_root_and_leads_down(tmp_path: Path) -> None:
    root = tmp_path / "out"
    path = Export(root, given={"pattern": "{year}/{month}"}).export()
    assert path == root / "2026" / "11" / path.name
    assert (root / LINK).readlink() == Path("2026", "11", path.name)
    # It is relative: the whole folder can be moved, or be mounted elsewhere.
    root.rename(tmp_path / "moved")
    assert (tmp_path / "moved" / LINK).read_bytes() == b"0 \n"


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to("real")
    path = Export(tmp_path / "root").export()
    assert (tmp_path / "real" / LINK).readlink() == Path(path.name)


def test_no_link_unless_asked_for(tmp_path: Path) -> None:
    path = Export(tmp_path, given={"latest": ""}).export()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [path.name, f"{path.name}.manifest.json"]


def test_a_receipt_without_a_path_is_for_nobody(tmp_path: Path) -> None:
    Export(tmp_path).finish(Receipt("disk", delivered=True))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pattern", ["", "{year}"])
def test_it_moves_to_what_is_newer_and_never_back(tmp_path: Path, pattern: str) -> None:
    late, early, last = (Export(tmp_path, minute, given={"pattern": pattern}) for minute in (2, 1, 3))
    # The earlier one was written before, or after: it is its beginning that counts.
    receipt = early.deliver()
    second = late.export()
    early.finish(receipt)
    assert (tmp_path / LINK).resolve() == second
    third = last.export()
    assert (tmp_path / LINK).resolve() == third
    early.finish(receipt)
    assert (tmp_path / LINK).resolve() == third


def test_what_began_last_is_newer_though_it_was_written_first(tmp_path: Path) -> None:
    late = Export(tmp_path, 2).export()
    os.utime(late, (0, 0))
    Export(tmp_path, 1).export()
    assert (tmp_path / LINK).resolve() == late


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="list"),
        pytest.param(b'{"created": 5, "export_id": "x", "file": {"sha256": ""}}', id="number"),
        pytest.param(b'{"created": "2099-01-01T00:00:00", "export_id": "x", "file": {"sha256": ""}}', id="no-zone"),
        pytest.param(b'{"created": "2099-01-01T00:00:00Z"}', id="half"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(None, id="none"),
    ],
)
def test_without_a_manifest_what_was_written_last_is_newer(tmp_path: Path, damage: bytes | None) -> None:
    first = Export(tmp_path, 2).export()
    beside = Path(f"{first}.manifest.json")
    if damage is None:
        beside.unlink()
    else:
        beside.write_bytes(damage)
    os.utime(first, (2_000_000_000, 2_000_000_000))
    Export(tmp_path, 3).export()
    assert (tmp_path / LINK).resolve() == first
    os.utime(first, (0, 0))
    second = Export(tmp_path, 1).export()
    assert (tmp_path / LINK).resolve() == second


def test_finishing_again_changes_nothing(tmp_path: Path) -> None:
    export = Export(tmp_path)
    receipt = export.deliver()
    export.finish(receipt)
    before = sorted(entry.name for entry in tmp_path.iterdir())
    export.finish(receipt)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before
    assert (tmp_path / LINK).resolve() == receipt.path


def test_one_link_for_several_tables_is_refused(tmp_path: Path) -> None:
    given = {"latest": "latest.csv"}
    first = Export(tmp_path, table="-a", given=given).export()
    with pytest.raises(AlreadyExistsError, match="another file of this export") as caught:
        Export(tmp_path, table="-b", given=given).export()
    assert "{source}" in caught.value.hint
    assert (tmp_path / "latest.csv").resolve() == first
    # Each table has its own.
    for table in ("-a", "-b"):
        Export(tmp_path, 1, table).export()
        assert (tmp_path / f"latest-pool{table}.csv").read_bytes() == f"1 {table}\n".encode()


def test_a_link_whose_file_was_removed_is_replaced(tmp_path: Path) -> None:
    for given in ({}, {"pattern": "{day}"}):
        old = Export(tmp_path, 5, given=given).export()
        old.unlink()
        if given:
            Path(f"{old}.manifest.json").unlink()
            old.parent.rmdir()
        new = Export(tmp_path, 1).export()
        assert (tmp_path / LINK).resolve() == new
        (tmp_path / LINK).unlink()
        new.unlink()


def make_folder(path: Path) -> None:
    path.mkdir()


def make_link(path: Path) -> None:
    path.symlink_to(path.parent)


@pytest.mark.parametrize("instead", [None, make_folder, make_link])
def test_no_link_to_a_file_that_is_gone(tmp_path: Path, instead: Callable[[Path], None] | None) -> None:
    export = Export(tmp_path)
    receipt = export.deliver()
    assert receipt.path
    receipt.path.unlink()
    if instead:
        instead(receipt.path)
    export.finish(receipt)
    assert not os.path.lexists(tmp_path / LINK)


def test_what_a_killed_one_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / f".tailrace-{LINK}.new").symlink_to("somewhere")
    path = Export(tmp_path).export()
    assert (tmp_path / LINK).readlink() == Path(path.name)
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("linked", [True, False])
def test_many_at_once_leave_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, linked: bool) -> None:
    if not linked:
        monkeypatch.setattr(os, "symlink", refusing(errno.EPERM))
    exports = [Export(tmp_path, minute) for minute in range(16)]
    receipts = [export.deliver() for export in exports]
    start = threading.Barrier(len(exports))

    def finish(minute: int) -> None:
        start.wait()
        exports[minute].finish(receipts[minute])

    with ThreadPoolExecutor(len(exports)) as pool:
        list(pool.map(finish, range(len(exports))))
    assert (tmp_path / LINK).read_bytes() == b"15 \n"
    assert hidden(tmp_path) == ([] if linked else [f".tailrace-{LINK}.latest"])


# --- names that are taken


def make_file(path: Path) -> None:
    path.write_text("precious")


def make_link_out(path: Path) -> None:
    (path.parent.parent / "outside").write_text("precious")
    path.symlink_to("../outside")


def make_link_to_the_whole_path(path: Path) -> None:
    path.symlink_to(path.parent / "x")


def make_link_to_a_folder(path: Path) -> None:
    path.with_name("folder").mkdir()
    path.symlink_to("folder")


def make_link_over_a_link(path: Path) -> None:
    path.with_name("way").symlink_to("..")
    path.symlink_to("way/outside")


def make_link_to_a_link(path: Path) -> None:
    path.with_name("next").symlink_to("nowhere")
    path.symlink_to("next")


OBSTACLES = [
    (make_file, AlreadyExistsError),
    (Path.mkdir, NotAllowedError),
    (os.mkfifo, NotAllowedError),
    (make_link_out, NotAllowedError),
    (make_link_to_the_whole_path, NotAllowedError),
    (make_link_to_a_folder, NotAllowedError),
    (make_link_over_a_link, NotAllowedError),
    (make_link_to_a_link, NotAllowedError),
]


@pytest.mark.parametrize("without_links", [False, True])
@pytest.mark.parametrize(("make", "error"), OBSTACLES, ids=[make.__name__ for make, _error in OBSTACLES])
def test_what_is_not_ours_is_refused_before_the_work_and_after_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
    error: type[TailraceError],
    *,
    without_links: bool,
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    export = Export(root)
    receipt = export.deliver()
    make(root / LINK)
    before = (root / LINK).lstat()
    if without_links:
        monkeypatch.setattr(os, "symlink", refusing(errno.EPERM))
    for attempt in (export.staging, lambda: export.finish(receipt)):
        with pytest.raises(error, match=LINK) as caught:
            attempt()
        assert caught.value.hint
        assert (root / LINK).lstat() == before
    outside = tmp_path / "outside"
    assert not outside.exists() or outside.read_text() == "precious"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"latest": "a/b"}, NotAllowedError),
        ({"latest": ".."}, NotAllowedError),
        ({"latest": "a\\b"}, NotAllowedError),
        ({"latest": "a\x00"}, NotAllowedError),
        ({"latest": ".latest"}, OptionError),
        ({"latest": "x.manifest.json"}, OptionError),
        ({"latest": "x.part"}, OptionError),
        ({"latest": "x" * 236}, OptionError),
        ({"latest": "{source"}, OptionError),
        ({"latest": "{source!r}"}, OptionError),
        ({"latest": "{nothing}"}, UnknownNameError),
        ({"latest": "latest-{timestamp}.csv"}, OptionError),
        ({"latest": "{id}"}, OptionError),
        ({"latest": "pool.csv", "filename": "{source}.{ext}"}, OptionError),
        ({"latest": "POOL.csv", "filename": "pool.{ext}"}, OptionError),
        ({"latest": "2026", "pattern": "{year}/{month}"}, OptionError),
    ],
)
def test_names_that_can_never_work_are_told_at_once(given: dict[str, str], error: type[TailraceError]) -> None:
    with pytest.raises(error) as caught:
        check_target(**given)
    assert caught.value.hint
    if isinstance(caught.value, OptionError):
        assert caught.value.option == "latest"


@pytest.mark.parametrize("linked", [True, False])
def test_the_longest_name_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, linked: bool) -> None:
    if not linked:
        monkeypatch.setattr(os, "symlink", refusing(errno.ENOSYS))
    name = "x" * 235
    Export(tmp_path, given={"latest": name}).export()
    assert (tmp_path / name).read_bytes() == b"0 \n"


def test_names_that_may_work() -> None:
    for given in (
        {"latest": LATEST},
        {"latest": "newest-{user}-{year}"},
        # In another folder, the file may have the name.
        {"latest": "pool.csv", "filename": "{source}.{ext}", "pattern": "{year}"},
    ):
        check_target(**given)


# --- waiting for others


def test_whoever_holds_the_folder_is_waited_for(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    began = time.monotonic()
    threading.Timer(0.1, os.close, (descriptor,)).start()
    Export(tmp_path).export()
    assert time.monotonic() - began > 0.09
    assert (tmp_path / LINK).is_symlink()


def test_whoever_holds_the_folder_for_long_is_not_waited_for(tmp_path: Path) -> None:
    with opened_folder(tmp_path, patience=0.01), opened_folder(tmp_path, patience=0.05) as second:
        assert os.path.samestat(os.fstat(second), tmp_path.stat())


@pytest.mark.parametrize("code", [errno.EBADF, errno.ENOLCK])
def test_a_folder_that_cannot_be_locked_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    export = Export(tmp_path)
    receipt = export.deliver()
    monkeypatch.setattr(fcntl, "flock", refusing(code))
    export.finish(receipt)
    assert (tmp_path / LINK).is_symlink()


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EBADF])
def test_a_folder_that_cannot_be_synchronised_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real = os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    path = Export(tmp_path, given={"pattern": "{year}/{month}"}).export()
    assert (tmp_path / LINK).resolve() == path


# --- where there are no links


@pytest.mark.usefixtures("no_symlinks")
@pytest.mark.parametrize("pattern", ["", "{year}/{month}"])
def test_another_name_of_the_file_stands_in(tmp_path: Path, pattern: str) -> None:
    given = {"pattern": pattern}
    for minute in (1, 2):
        path = Export(tmp_path, minute, given=given).export()
        assert (tmp_path / LINK).samefile(path)
        beside = json.loads((tmp_path / f"{LINK}.manifest.json").read_text())
        # It can be verified like any other file.
        assert (beside["file"]["name"], beside["export_id"]) == (LINK, f"export-{minute}")
    Export(tmp_path, 0, given=given).export()
    assert (tmp_path / LINK).read_bytes() == b"2 \n"
    export = Export(tmp_path, 3, given=given)
    receipt = export.deliver()
    export.finish(receipt)
    export.finish(receipt)
    assert (tmp_path / LINK).read_bytes() == b"3 \n"
    assert hidden(tmp_path) == [f".tailrace-{LINK}.latest"]


@pytest.mark.usefixtures("no_links")
@pytest.mark.parametrize("pattern", ["", "{year}/{month}"])
def test_a_copy_stands_in(tmp_path: Path, pattern: str) -> None:
    given = {"pattern": pattern, "mode": "0640"}
    for minute in (1, 2, 0):
        path = Export(tmp_path, minute, given=given).export()
        newest = max(1, minute) if minute else 2
        assert not (tmp_path / LINK).samefile(path)
        assert (tmp_path / LINK).read_bytes() == f"{newest} \n".encode()
    for name in (LINK, f"{LINK}.manifest.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640
    assert json.loads((tmp_path / f"{LINK}.manifest.json").read_text())["file"]["name"] == LINK
    assert hidden(tmp_path) == [f".tailrace-{LINK}.latest"]


@pytest.mark.usefixtures("no_links")
def test_no_manifest_stays_beside_a_file_that_it_is_not_of(tmp_path: Path) -> None:
    Export(tmp_path, 1).export()
    Export(tmp_path, 2, given={"manifest": False}).export()
    assert (tmp_path / LINK).read_bytes() == b"2 \n"
    assert not (tmp_path / f"{LINK}.manifest.json").exists()


@pytest.mark.usefixtures("no_links")
def test_without_its_mark_it_is_a_file_like_any_other(tmp_path: Path) -> None:
    Export(tmp_path, 1).export()
    (tmp_path / f".tailrace-{LINK}.latest").unlink()
    with pytest.raises(AlreadyExistsError, match="no link of ours"):
        Export(tmp_path, 2).staging()


@pytest.mark.parametrize("content", [b"", b"/etc/passwd", b"../outside", b"a\x00b", b"\xff/..", b"."])
def test_a_mark_that_leads_elsewhere_is_not_ours(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LINK).write_text("precious")
    (tmp_path / f".tailrace-{LINK}.latest").write_bytes(content)
    with pytest.raises(NotAllowedError, match="somebody else"):
        Export(tmp_path).staging()


def test_a_link_takes_the_place_of_what_stood_in_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "symlink", refusing(errno.ENOSYS))
        Export(tmp_path, 1).export()
    path = Export(tmp_path, 2).export()
    assert (tmp_path / LINK).readlink() == Path(path.name)
    # A manifest beside the link would be taken for that of the file.
    assert not (tmp_path / f"{LINK}.manifest.json").exists()
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("call", ["symlink", "link", "rename", "fsync"])
def test_what_the_disk_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    old = Export(tmp_path, 1).export()
    export = Export(tmp_path, 2)
    receipt = export.deliver()
    if call == "link":
        monkeypatch.setattr(os, "symlink", refusing(errno.ENOSYS))
    monkeypatch.setattr(os, call, refusing(errno.EIO))
    with pytest.raises(StorageError, match=rf"{LINK} cannot be written: the device reported an error"):
        export.finish(receipt)
    monkeypatch.undo()
    assert (tmp_path / LINK).resolve() in {old, receipt.path}
    export.finish(receipt)
    assert (tmp_path / LINK).resolve() == receipt.path
    assert hidden(tmp_path) == []


def test_a_target_that_cannot_be_looked_at_is_told(tmp_path: Path) -> None:
    (tmp_path / LINK).symlink_to("x" * 300)
    with pytest.raises(StorageError, match="the name is too long"):
        Export(tmp_path).staging()


# --- how many stay


@pytest.mark.parametrize("keep", [0, 1, 100_000])
def test_how_many_stay_is_in_the_receipt(tmp_path: Path, keep: int) -> None:
    assert Export(tmp_path, given={"keep": keep}).deliver().keep == keep


@pytest.mark.parametrize("keep", [-1, 100_001])
def test_how_many_stay_has_limits(keep: int) -> None:
    with pytest.raises(OptionError, match="from 0 to 100000") as caught:
        check_target(keep=keep)
    assert caught.value.option == "keep"

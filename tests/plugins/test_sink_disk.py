"""The sink ``disk``: names, folders, permissions, and everything that could stand in the way."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tailrace_sink_disk import tailrace_sink

from tailrace import (
    AlreadyExistsError,
    Context,
    CredentialMode,
    DeliverCall,
    Manifest,
    NoSpaceError,
    NotAllowedError,
    OptionError,
    Parcel,
    Receipt,
    RequestError,
    Sink,
    StagingCall,
    StorageError,
    TargetChecker,
    UnknownNameError,
)
from tailrace.model.manifest import FileRecord, PluginRecord, SourceRecord
from tailrace.model.options import build_options

SINK = tailrace_sink()
FIELDS = {
    "source": "pool",
    "timestamp": "20261123T101500Z",
    "user": "alice",
    "format": "csv",
    "ext": "csv.gz",
    "year": "2026",
    "month": "11",
    "day": "23",
    "id": "0198c0de",
}
NAME = "pool_20261123T101500Z_alice.csv.gz"
CONTENT = b"number,url\n1,http://192.0.2.1:80\n"
PLUGIN = PluginRecord("pool", "tailrace-source-pool", "0.1.0")
MANIFEST = Manifest(
    schema_version=1,
    tailrace_version="0.1.0",
    export_id="0198c0de",
    created=datetime(2026, 11, 23, 10, 15, tzinfo=UTC),
    user="alice",
    source=SourceRecord(PLUGIN, "proxywhirl:///pool.db", "proxywhirl-sqlite"),
    format=PluginRecord("csv", "tailrace-format-csv", "0.1.0"),
    format_options={},
    parameters={},
    time_range=None,
    time_zone="UTC",
    credentials=CredentialMode.SANITIZED,
    tables=(),
    file=FileRecord(NAME, "text/csv", len(CONTENT), "0" * 64, len(CONTENT), "0" * 64, None),
)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


def options(**given: Any) -> Any:
    return build_options(SINK.options_type, given, owner="sink disk")


def staging(target: Path | str | None, fields: dict[str, str] | None = None, **given: Any) -> Path:
    folder = SINK.staging(StagingCall(None if target is None else str(target), options(**given), fields or FIELDS))
    assert folder is not None
    return folder


def deliver(
    target: Path | str | None, *, staged: Path | None = None, fields: dict[str, str] | None = None, **given: Any
) -> Receipt:
    """Stage as the engine does, in the folder that the sink offers, and deliver."""
    fields = fields or FIELDS
    chosen = options(**given)
    if staged is None:
        folder = SINK.staging(StagingCall(None if target is None else str(target), chosen, fields))
        assert folder is not None
        staged = folder / ".tailrace-0123456789abcdef.part"
        staged.write_bytes(CONTENT)
    call = DeliverCall(Parcel(staged, MANIFEST, fields), None if target is None else str(target), chosen, Context())
    try:
        return SINK.deliver(call)
    finally:
        staged.unlink()


def check_target(target: str | None, **given: Any) -> None:
    assert isinstance(SINK, TargetChecker)
    SINK.check_target(StagingCall(target, options(**given), FIELDS))


def path_of(receipt: Receipt) -> Path:
    assert receipt.delivered
    assert receipt.sink == "disk"
    assert receipt.path is not None
    assert receipt.place == str(receipt.path)
    return receipt.path


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def test_it_is_a_sink() -> None:
    assert isinstance(SINK, Sink)
    assert SINK.summary


# --- what is delivered


def test_file_and_manifest_lie_side_by_side(tmp_path: Path) -> None:
    path = path_of(deliver(tmp_path / "out"))
    assert path == tmp_path / "out" / NAME
    assert path.read_bytes() == CONTENT
    assert tree(tmp_path / "out") == [NAME, f"{NAME}.manifest.json"]
    written = json.loads((tmp_path / "out" / f"{NAME}.manifest.json").read_text())
    assert written["file"]["name"] == NAME
    assert written["export_id"] == "0198c0de"


def test_the_default_is_a_folder_named_exports_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for target in (None, ""):
        assert path_of(deliver(target, filename="{source}-{id}.{ext}", overwrite="true")).parent == tmp_path / "exports"
    assert path_of(deliver(None, root="other")).parent == tmp_path / "other"


def test_the_target_wins_over_the_option(tmp_path: Path) -> None:
    assert path_of(deliver(tmp_path / "target", root=str(tmp_path / "option"))).parent == tmp_path / "target"


def test_tilde_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_of(deliver("~/out")).parent == tmp_path / "out"
    with pytest.raises(RequestError, match="no such home"):
        staging("~nobody-of-that-name/out")


def test_patterns_make_folders(tmp_path: Path) -> None:
    folder = staging(tmp_path, pattern="{source}/./{year}-{month}//{day}/")
    assert folder == tmp_path / "pool" / "2026-11" / "23"
    assert folder.is_dir()
    assert path_of(deliver(tmp_path, pattern="{source}/{{x}}/", filename="{id}.{ext}")) == (
        tmp_path / "pool" / "{x}" / "0198c0de.csv.gz"
    )


def test_a_table_of_several_has_its_own_name(tmp_path: Path) -> None:
    path = path_of(deliver(tmp_path, fields=FIELDS | {"source": "pool-checks"}))
    assert path.name == "pool-checks_20261123T101500Z_alice.csv.gz"


def test_files_are_their_owners_and_so_are_folders(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = path_of(deliver(tmp_path / "a" / "b", pattern="c/d"))
        other = path_of(deliver(tmp_path, mode="640", filename="other-{id}.csv"))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(f"{path}.manifest.json").stat().st_mode) == 0o600
    for folder in ("a", "a/b", "a/b/c", "a/b/c/d"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700, folder
    assert stat.S_IMODE(other.stat().st_mode) == 0o640


def test_without_manifest(tmp_path: Path) -> None:
    deliver(tmp_path, manifest="false")
    assert tree(tmp_path) == [NAME]


def test_a_file_staged_elsewhere_is_copied(tmp_path: Path) -> None:
    staged = tmp_path / "scratch"
    staged.write_bytes(CONTENT)
    path = path_of(deliver(tmp_path / "out", staged=staged))
    assert path.read_bytes() == CONTENT
    assert tree(tmp_path / "out") == [NAME, f"{NAME}.manifest.json"]


def test_delivering_again_is_harmless(tmp_path: Path) -> None:
    staged = staging(tmp_path) / ".tailrace-0123456789abcdef.part"
    staged.write_bytes(CONTENT)
    call = DeliverCall(Parcel(staged, MANIFEST, FIELDS), str(tmp_path), options(), Context())
    assert SINK.deliver(call) == SINK.deliver(call)
    staged.unlink()
    assert tree(tmp_path) == [NAME, f"{NAME}.manifest.json"]


def test_where_the_staged_file_is_gone_that_is_said_though_the_name_is_taken(tmp_path: Path) -> None:
    deliver(tmp_path)
    gone = Parcel(tmp_path / ".tailrace-0123456789abcdef.part", MANIFEST, FIELDS)
    with pytest.raises(StorageError):
        SINK.deliver(DeliverCall(gone, str(tmp_path), options(), Context()))
    assert tree(tmp_path) == [NAME, f"{NAME}.manifest.json"]


# --- names that are taken


@pytest.mark.parametrize("elsewhere", [False, True])
def test_taken_names_get_a_number_before_the_extension(tmp_path: Path, *, elsewhere: bool) -> None:
    paths = []
    for number in range(3):
        staged = None
        if elsewhere:
            staged = tmp_path / f"scratch-{number}"
            staged.write_bytes(CONTENT)
        paths.append(path_of(deliver(tmp_path / "out", staged=staged)))
    assert [path.name for path in paths] == [
        "pool_20261123T101500Z_alice.csv.gz",
        "pool_20261123T101500Z_alice-2.csv.gz",
        "pool_20261123T101500Z_alice-3.csv.gz",
    ]
    for path in paths:
        assert json.loads(Path(f"{path}.manifest.json").read_text())["file"]["name"] == path.name


def test_the_number_goes_before_whatever_extension_there_is(tmp_path: Path) -> None:
    for filename, second in (("{timestamp}.tsv", "20261123T101500Z-2.tsv"), ("{timestamp}", "20261123T101500Z-2")):
        deliver(tmp_path, filename=filename)
        assert path_of(deliver(tmp_path, filename=filename)).name == second


def test_constant_names_are_not_numbered(tmp_path: Path) -> None:
    deliver(tmp_path, filename="{source}.{ext}")
    with pytest.raises(AlreadyExistsError, match=r"pool\.csv\.gz exists already") as caught:
        deliver(tmp_path, filename="{source}.{ext}")
    assert "--option overwrite=true" in caught.value.hint
    assert tree(tmp_path) == ["pool.csv.gz", "pool.csv.gz.manifest.json"]


def test_constant_names_without_the_source_are_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "latest.csv").write_text("old")
    with pytest.raises(AlreadyExistsError):
        staging(tmp_path, filename="latest.csv")
    assert staging(tmp_path, filename="latest.csv", overwrite="true") == tmp_path
    assert staging(tmp_path, filename="other.csv") == tmp_path


def test_overwriting_replaces_file_and_manifest(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("old")
    (tmp_path / f"{NAME}.manifest.json").write_text("old")
    path = path_of(deliver(tmp_path, overwrite="true"))
    assert path.name == NAME
    assert path.read_bytes() == CONTENT
    assert json.loads((tmp_path / f"{NAME}.manifest.json").read_text())["file"]["name"] == NAME


def test_twenty_at_once_lose_nothing(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def one(number: int) -> Path:
        staged = scratch / str(number)
        staged.write_text(f"content {number}")
        return path_of(deliver(tmp_path / "out", staged=staged, pattern="{source}/{year}"))

    with ThreadPoolExecutor(20) as pool:
        paths = list(pool.map(one, range(20)))
    assert len(set(paths)) == 20
    assert {path.read_text() for path in paths} == {f"content {number}" for number in range(20)}
    assert len(tree(tmp_path / "out" / "pool" / "2026")) == 40


_PROCESS = """
import runpy, sys
from pathlib import Path
test = runpy.run_path(sys.argv[1])
out = Path(sys.argv[2])
staged = out.parent / ("scratch-" + sys.argv[3])
staged.write_text(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(5):
    print(test["deliver"](out, staged=staged).path)
    staged.write_text(sys.argv[3])
"""


def test_two_processes_in_the_same_second(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PROCESS, __file__, str(tmp_path / "out")]
    running = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    paths = {name: process.communicate()[0].split() for name, process in zip("ab", running, strict=True)}
    assert [process.returncode for process in running] == [0, 0]
    assert len({*paths["a"], *paths["b"]}) == 10
    for name, found in paths.items():
        assert [Path(path).read_text() for path in found] == [name] * 5


# --- values and patterns


@pytest.mark.parametrize(
    ("value", "clean"),
    [
        ("../../etc/passwd", "_._.._etc_passwd"),
        ("..", "_."),
        (".hidden", "_hidden"),
        ("a/b\\c:d", "a_b_c_d"),
        ("Zoë Ω", "Zo___"),
        ("", "_"),
        ("nul\x00\n", "nul__"),
        ("{id}", "_id_"),
        ("x" * 500, "x" * 100),
    ],
)
def test_values_cannot_leave_their_place(tmp_path: Path, value: str, clean: str) -> None:
    fields = FIELDS | {"user": value}
    assert staging(tmp_path, fields, pattern="{user}/x") == tmp_path / clean / "x"
    assert path_of(deliver(tmp_path, fields=fields, filename="by-{user}.{ext}")) == tmp_path / f"by-{clean}.csv.gz"


@pytest.mark.parametrize(
    "pattern",
    [
        "/etc",
        "//etc",
        "..",
        "../x",
        "x/..",
        "x/../..",
        "C:/x",
        "c:x",
        "x\\y",
        "..\\x",
        "x\x00",
        "x\n",
        "{source}/../..",
    ],
)
def test_patterns_that_lead_out_are_refused(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(NotAllowedError) as caught:
        staging(tmp_path / "out", pattern=pattern)
    assert caught.value.exit_code == 3
    assert caught.value.hint
    assert tree(tmp_path) == []


@pytest.mark.parametrize("filename", ["/x", "a/b", "../x", "..", "x\\y", "x\x00"])
def test_file_names_that_lead_elsewhere_are_refused(tmp_path: Path, filename: str) -> None:
    with pytest.raises(NotAllowedError):
        staging(tmp_path / "out", filename=filename)
    assert tree(tmp_path) == []


@pytest.mark.parametrize("name", ["pattern", "filename"])
@pytest.mark.parametrize(
    "pattern", ["{user", "user}", "{user!r}", "{user:>10}", "{user:}{", "{{user}", "{user!}", "{user:{id}}"]
)
def test_patterns_that_are_no_patterns_are_refused(tmp_path: Path, name: str, pattern: str) -> None:
    given: dict[str, Any] = {name: pattern}
    with pytest.raises(OptionError) as caught:
        staging(tmp_path / "out", **given)
    assert caught.value.option == name
    assert tree(tmp_path) == []


@pytest.mark.parametrize("name", ["pattern", "filename"])
@pytest.mark.parametrize("unknown", ["usr", "", "0", "user.__class__", "user[0]", " user"])
def test_unknown_placeholders_are_refused(tmp_path: Path, name: str, unknown: str) -> None:
    given: dict[str, Any] = {name: f"x-{{{unknown}}}"}
    with pytest.raises(UnknownNameError) as caught:
        staging(tmp_path / "out", **given)
    assert caught.value.name == unknown
    assert "timestamp" in caught.value.hint
    assert tree(tmp_path) == []


def test_did_you_mean(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        staging(tmp_path, filename="{timestmap}.csv")
    assert "Did you mean 'timestamp'?" in caught.value.hint


@pytest.mark.parametrize("filename", ["", ".hidden", ".tailrace-x", "x.manifest.json", "x.part", "x" * 236])
def test_names_that_cannot_be_used_are_refused(tmp_path: Path, filename: str) -> None:
    with pytest.raises(OptionError) as caught:
        staging(tmp_path / "out", filename=filename)
    assert caught.value.hint
    assert tree(tmp_path) == []


def test_the_longest_name_works_with_number_and_manifest(tmp_path: Path) -> None:
    filename = "x" * (235 - len(FIELDS["id"])) + "{id}"
    assert [len(path_of(deliver(tmp_path, filename=filename)).name) for _ in range(2)] == [235, 237]
    with pytest.raises(OptionError, match="more than 255 bytes"):
        staging(tmp_path, pattern="ä" * 128)
    assert staging(tmp_path, pattern="y" * 255).name == "y" * 255


@pytest.mark.parametrize("mode", ["", "rw", "8", "999", "4755", "0o600", "00600", "600\n"])
def test_modes_are_three_octal_digits(mode: str) -> None:
    with pytest.raises(OptionError, match="three octal digits"):
        options(mode=mode)


def test_nul_in_the_target(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="NUL"):
        staging(f"{tmp_path}/x\x00y")


# --- links and other things in the way


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        ("../x", NotAllowedError),
        ("a/../../x", NotAllowedError),
        ("/abs", NotAllowedError),
        ("C:\\x", NotAllowedError),
        ("a\\b", NotAllowedError),
        ("a\x00b", NotAllowedError),
        ("{user.__class__}", UnknownNameError),
        ("{nothing}", UnknownNameError),
        ("{user!r}", OptionError),
        ("{user:>9999}", OptionError),
        ("{user", OptionError),
        ("user}", OptionError),
        ("x" * 256, OptionError),
    ],
)
@pytest.mark.parametrize("name", ["pattern", "filename"])
def test_a_pattern_that_can_never_work_is_told_without_touching_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, pattern: str, error: type[Exception]
) -> None:
    monkeypatch.chdir(tmp_path)
    if name == "filename" and "/" in pattern:
        error = NotAllowedError
    for target in (None, "out"):
        with pytest.raises(error):
            check_target(target, **{name: pattern})
    assert tree(tmp_path) == []


@pytest.mark.parametrize("target", ["a\x00b", "~nobody-of-that-name/out", "~a\x00b"])
def test_a_target_that_can_never_work_is_told_without_touching_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in ({"target": target}, {"target": None, "root": target}):
        with pytest.raises(RequestError):
            check_target(**given)
    assert tree(tmp_path) == []


def test_a_target_that_may_work_passes_and_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(SINK, TargetChecker)
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{FIELDS['source']}.csv").write_text("taken for now")
    for target in (None, "out", "../out", str(tmp_path / "deep" / "out"), "~/out"):
        check_target(target, pattern="{source}/{year}/")
    check_target(str(tmp_path), filename="pool.csv")
    assert tree(tmp_path) == ["pool.csv"]


def test_the_root_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to("real")
    path_of(deliver(tmp_path / "root", pattern="a"))
    assert (tmp_path / "real" / "a" / NAME).read_bytes() == CONTENT


@pytest.mark.parametrize("pattern", ["a", "a/b", "b/a", "b/a/c"])
def test_a_link_below_the_root_is_not_followed(tmp_path: Path, pattern: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    (root / "b").mkdir(parents=True)
    for link in (root / "a", root / "b" / "a"):
        link.symlink_to(outside)
    with pytest.raises(NotAllowedError, match=r"a is a symbolic link, and links below the root are not followed"):
        staging(root, pattern=pattern)
    assert tree(outside) == []


def test_a_folder_swapped_for_a_link_before_delivery_is_found(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    outside.mkdir()
    staged = staging(root, pattern="a") / ".tailrace-0123456789abcdef.part"
    staged.write_bytes(CONTENT)
    (root / "a").rename(root / "was-a")
    (root / "a").symlink_to(outside)
    with pytest.raises(NotAllowedError, match="symbolic link"):
        deliver(root, staged=root / "was-a" / staged.name, pattern="a")
    assert tree(outside) == []


def make_link(path: Path) -> None:
    path.symlink_to(path.parent / "elsewhere")


def make_link_to_file(path: Path) -> None:
    (path.parent / "elsewhere").write_text("precious")
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("obstacle", [make_link, make_link_to_file, os.mkfifo, Path.mkdir])
@pytest.mark.parametrize("overwrite", ["false", "true"])
@pytest.mark.parametrize("suffix", ["", ".manifest.json"])
def test_things_that_are_no_files_are_not_replaced(
    tmp_path: Path, obstacle: Callable[[Path], None], overwrite: str, suffix: str
) -> None:
    place = tmp_path / f"{NAME}{suffix}"
    obstacle(place)
    before = place.lstat()
    with pytest.raises(NotAllowedError, match=place.name):
        deliver(tmp_path, overwrite=overwrite)
    assert place.lstat() == before
    elsewhere = tmp_path / "elsewhere"
    assert not elsewhere.exists() or elsewhere.read_text() == "precious"


def test_a_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for target, pattern in ((tmp_path / "file", ""), (tmp_path / "file" / "deeper", ""), (tmp_path, "file/x")):
        with pytest.raises(StorageError, match="is not a folder"):
            staging(target, pattern=pattern)


def test_a_dangling_link_as_root(tmp_path: Path) -> None:
    (tmp_path / "root").symlink_to("nowhere")
    with pytest.raises(StorageError):
        staging(tmp_path / "root")


def test_a_path_beyond_the_limit_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="name too long"):
        staging(tmp_path / "/".join(["x" * 200] * 30))


# --- file systems that refuse


@contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[None]:
    done = subprocess.run(["mount", *arguments, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@as_root
def test_full_disk(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    staged = tmp_path / "staged"
    with mounted(folder, "-t", "tmpfs", "-o", "size=64k,nr_inodes=10", "tmpfs"):
        staged.write_bytes(b"x" * 100_000)
        with pytest.raises(NoSpaceError, match="the disk is full") as caught:
            deliver(folder, staged=staged)
        assert caught.value.hint
        assert tree(folder) == []
        with pytest.raises(NoSpaceError):
            staging(folder, pattern="/".join("abcdefghijkl"))


@as_root
def test_read_only_file_system(tmp_path: Path) -> None:
    folder = tmp_path / "frozen"
    folder.mkdir()
    staged = tmp_path / "staged"
    staged.write_bytes(CONTENT)
    with mounted(folder, "-t", "tmpfs", "-o", "ro", "tmpfs"):
        with pytest.raises(StorageError, match="read-only"):
            staging(folder, pattern="new")
        with pytest.raises(StorageError, match="read-only"):
            deliver(folder, staged=staged)


def test_folder_that_this_user_must_not_write(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(StorageError, match="permission denied") as caught:
            staging(folder, pattern="new")
    finally:
        os.seteuid(user)
    assert not isinstance(caught.value, NoSpaceError)
    assert caught.value.hint


def test_file_beyond_the_limit_of_the_process(tmp_path: Path) -> None:
    code = """
import resource, runpy, signal, sys
from pathlib import Path
from tailrace import TailraceError
test = runpy.run_path(sys.argv[1])
root = Path(sys.argv[2])
staged = root / "scratch"
staged.write_bytes(b"x" * 100_000)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    test["deliver"](root / "out", staged=staged)
except TailraceError as error:
    print(type(error).__name__, error.exit_code)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, __file__, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["StorageError", "1"]
    assert tree(tmp_path / "out") == []


def test_a_folder_that_vanished_is_made_again(tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.write_bytes(CONTENT)
    shutil.rmtree(staging(tmp_path / "out"))
    assert path_of(deliver(tmp_path / "out", staged=staged)).read_bytes() == CONTENT


def test_another_file_of_the_same_export_is_never_replaced(tmp_path: Path) -> None:
    given: dict[str, Any] = {"filename": "all.csv", "overwrite": True}
    path = path_of(deliver(tmp_path, **given))
    staged = tmp_path / ".tailrace-0123456789abcdef.part"
    staged.write_bytes(b"the second table")
    parcel = Parcel(staged, MANIFEST, FIELDS)
    call = DeliverCall(parcel, str(tmp_path), options(**given), Context(), frozenset({path}))
    with pytest.raises(AlreadyExistsError) as caught:
        SINK.deliver(call)
    assert caught.value.message == f"{path} is another file of this export."
    assert "{source}" in caught.value.hint
    assert path.read_bytes() == CONTENT

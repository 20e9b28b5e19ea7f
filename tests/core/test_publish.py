import errno
import fcntl
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tailrace import publish
from tailrace.files.publish import manifest_path
from tailrace.files.staging import staged_file, sweep
from tailrace.files.storage import storage_error
from tailrace.model.errors import AlreadyExistsError, NoSpaceError, NotAllowedError, StorageError


def staged(folder: Path, content: bytes = b"new") -> Iterator[Path]:
    with staged_file(folder) as (descriptor, path):
        os.write(descriptor, content)
        yield path


@pytest.fixture
def draft(tmp_path: Path) -> Iterator[Path]:
    yield from staged(tmp_path)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "scratch").mkdir()
    yield from staged(tmp_path / "scratch")


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links, such as FAT."""

    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts small file systems."""
    made: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False)
        if done.returncode:
            if os.environ.get("CI"):
                pytest.fail("a small file system cannot be mounted here")
            pytest.skip("only the superuser can mount a small file system")
        made.append(folder)
        return folder

    yield mount
    for folder in made:
        subprocess.run(["umount", folder], check=True)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".") and path.is_file())


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("where", ["draft", "elsewhere"])
def test_a_file_gets_its_name_and_its_manifest(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source: Path = request.getfixturevalue(where)
    target = tmp_path / "a.csv"
    publish(source, target, manifest=b"{}")
    assert target.read_bytes() == b"new"
    assert manifest_path(target) == tmp_path / "a.csv.manifest.json"
    assert manifest_path(target).read_bytes() == b"{}"
    assert (mode(target), mode(manifest_path(target))) == (0o600, 0o600)
    # Later deliveries need it.
    assert source.read_bytes() == b"new"
    assert hidden(tmp_path) == ([source.name] if where == "draft" else [])


def test_the_mode_is_as_asked_whatever_the_umask_is(draft: Path, tmp_path: Path, elsewhere: Path) -> None:
    before = os.umask(0o077)
    try:
        publish(draft, tmp_path / "a", manifest=b"{}", mode=0o664)
        publish(elsewhere, tmp_path / "b", mode=0o640)
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("a", "a.manifest.json", "b")] == [0o664, 0o664, 0o640]


@pytest.mark.parametrize("where", ["draft", "elsewhere"])
def test_nothing_is_overwritten_unless_told(where: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    source: Path = request.getfixturevalue(where)
    target = tmp_path / "a"
    target.write_bytes(b"old")
    manifest_path(target).write_bytes(b"old manifest")
    with pytest.raises(AlreadyExistsError) as caught:
        publish(source, target, manifest=b"{}")
    assert caught.value.message == f"{target} exists already."
    assert caught.value.hint == "Choose another name, or allow overwriting: --option overwrite=true"
    assert (target.read_bytes(), manifest_path(target).read_bytes()) == (b"old", b"old manifest")
    publish(source, target, manifest=b"{}", overwrite=True)
    assert (target.read_bytes(), manifest_path(target).read_bytes()) == (b"new", b"{}")
    assert mode(target) == 0o600
    assert source.exists()
    assert len(hidden(tmp_path)) == (where == "draft")


def test_publishing_again_is_harmless(draft: Path, tmp_path: Path) -> None:
    target = tmp_path / "a"
    publish(draft, target)
    publish(draft, target, manifest=b"1")
    publish(draft, target, manifest=b"2", overwrite=True)
    publish(draft, target, overwrite=True)
    assert target.read_bytes() == b"new"
    assert manifest_path(target).read_bytes() == b"2"
    # Renaming one name of a file to another of its names does nothing: no third name may be left.
    assert hidden(tmp_path) == [draft.name]


def test_one_file_can_have_many_names(draft: Path, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for target in (tmp_path / "a", tmp_path / "b", tmp_path / "sub" / "c"):
        publish(draft, target, manifest=b"{}")
        assert target.read_bytes() == b"new"
    assert hidden(tmp_path / "sub") == []


@pytest.mark.usefixtures("no_links")
def test_without_hard_links(draft: Path, tmp_path: Path) -> None:
    target = tmp_path / "a"
    publish(draft, target, manifest=b"{}")
    assert (target.read_bytes(), mode(target)) == (b"new", 0o600)
    assert manifest_path(target).read_bytes() == b"{}"
    # The staged file is still there for the next sink.
    publish(draft, tmp_path / "b", mode=0o644)
    assert (tmp_path / "b").read_bytes() == b"new"
    target.write_bytes(b"old")
    target.chmod(0o666)
    with pytest.raises(AlreadyExistsError):
        publish(draft, target, manifest=b"{}")
    assert target.read_bytes() == b"old"
    publish(draft, target, manifest=b"[]", overwrite=True)
    assert (target.read_bytes(), mode(target)) == (b"new", 0o600)
    assert manifest_path(target).read_bytes() == b"[]"
    assert hidden(tmp_path) == [draft.name]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["a", "a.manifest.json"])
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("folder", "a folder"),
        ("fifo", "not a regular file"),
    ],
)
def test_links_folders_and_devices_are_refused(
    kind: str, words: str, name: str, draft: Path, tmp_path: Path, *, overwrite: bool
) -> None:
    victim, odd = tmp_path / "victim", tmp_path / name
    victim.write_bytes(b"precious")
    make: dict[str, Callable[[], object]] = {
        "link": lambda: odd.symlink_to(victim),
        "dangling": lambda: odd.symlink_to(tmp_path / "nowhere"),
        "folder": odd.mkdir,
        "fifo": lambda: os.mkfifo(odd),
    }
    make[kind]()
    with pytest.raises(NotAllowedError) as caught:
        publish(draft, tmp_path / "a", manifest=b"{}", overwrite=overwrite)
    assert caught.value.message == f"{odd} exists and is {words}."
    assert caught.value.hint == "Choose another name."
    assert victim.read_bytes() == b"precious"
    assert not (tmp_path / "nowhere").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"victim", name, draft.name}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_that_appears_at_the_last_moment_is_not_followed(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, overwrite: bool
) -> None:
    victim, target = tmp_path / "victim", tmp_path / "a"
    victim.write_bytes(b"precious")
    link = os.link

    def late(source: Path, destination: Path) -> None:
        if destination == target and not target.is_symlink():
            target.symlink_to(victim)
        link(source, destination)

    monkeypatch.setattr(os, "link", late)
    with suppress(AlreadyExistsError):
        publish(draft, target, overwrite=overwrite)
    assert victim.read_bytes() == b"precious"
    assert target.is_symlink() != overwrite


def test_a_name_that_is_taken_at_the_last_moment(draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "a"
    link = os.link

    def late(source: Path, destination: Path) -> None:
        if destination == target:
            target.write_bytes(b"of another")
        link(source, destination)

    monkeypatch.setattr(os, "link", late)
    with pytest.raises(AlreadyExistsError):
        publish(draft, target)
    assert target.read_bytes() == b"of another"
    publish(draft, target, overwrite=True)
    assert target.read_bytes() == b"new"


def test_a_link_that_the_disk_refuses_is_not_replaced_by_a_copy(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_source: Path, _target: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(StorageError, match="the device reported an error"):
        publish(draft, tmp_path / "a", manifest=b"{}")
    assert (visible(tmp_path), hidden(tmp_path)) == ([], [draft.name])


def test_names_that_the_file_system_refuses(draft: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError) as long:
        publish(draft, tmp_path / ("n" * 250), manifest=b"{}")
    assert long.value.message.endswith(" cannot be written: the name is too long.")
    assert long.value.hint == "Choose a shorter name or pattern."
    # Not even the data, whose own name would fit.
    assert visible(tmp_path) == []
    with pytest.raises(StorageError) as gone:
        publish(draft, tmp_path / "vanished" / "a")
    assert gone.value.message.endswith(" cannot be written: the folder does not exist, or vanished.")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError) as file:
        publish(draft, tmp_path / "file" / "a")
    assert file.value.message.endswith(" cannot be written: a part of the path is not a folder.")


def test_a_copy_that_is_too_short_gets_no_name(
    elsewhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    monkeypatch.setattr(shutil, "copyfileobj", lambda source, sink, _size: sink.write(source.read()[:-1]))
    with pytest.raises(StorageError) as caught:
        publish(elsewhere, tmp_path / "a", manifest=b"{}")
    assert caught.value.message.endswith(".part has 2 bytes instead of 3.")
    assert caught.value.hint == "Check the disk. Exporting again is harmless."
    assert (visible(tmp_path), hidden(tmp_path)) == ([], [])


def test_a_full_disk_leaves_nothing(mounted: Callable[[str], Path], elsewhere: Path) -> None:
    disk = mounted("size=64k")
    elsewhere.write_bytes(bytes(100_000))
    with pytest.raises(NoSpaceError) as caught:
        publish(elsewhere, disk / "a", manifest=b"{}")
    assert caught.value.message == f"{disk / 'a'} cannot be written: the disk is full."
    assert caught.value.hint == (
        "Free some space, narrow the export (--columns, --since, --where), or leave compression on."
    )
    assert list(disk.iterdir()) == []
    # Room for the data only: without its manifest, it does not become visible.
    elsewhere.write_bytes(bytes(60_000))
    with pytest.raises(NoSpaceError):
        publish(elsewhere, disk / "a", manifest=bytes(10_000))
    assert list(disk.iterdir()) == []
    publish(elsewhere, disk / "a")
    assert (disk / "a").stat().st_size == 60_000


def test_a_disk_without_inodes_is_full(mounted: Callable[[str], Path], elsewhere: Path) -> None:
    disk = mounted("nr_inodes=2")
    with pytest.raises(NoSpaceError):
        publish(elsewhere, disk / "a", manifest=b"{}")
    assert list(disk.iterdir()) == []


def test_a_read_only_disk(mounted: Callable[[str], Path], elsewhere: Path) -> None:
    disk = mounted("ro")
    with pytest.raises(StorageError) as caught:
        publish(elsewhere, disk / "a")
    assert caught.value.message == f"{disk} cannot be written: the file system is read-only."
    assert caught.value.hint == "Choose another folder, or mount it for writing."


@pytest.mark.parametrize("manifest", [None, b"new manifest"])
def test_what_fails_while_replacing_leaves_the_old(
    manifest: bytes | None, draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    manifest_path(target).write_bytes(b"old manifest")

    def fail(_self: Path, _target: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StorageError, match="the device reported an error"):
        publish(draft, target, manifest=manifest, overwrite=True)
    assert (target.read_bytes(), manifest_path(target).read_bytes()) == (b"old", b"old manifest")
    assert hidden(tmp_path) == [draft.name]


def test_a_folder_that_cannot_be_synchronised_is_an_error_and_trying_again_is_harmless(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, real = tmp_path / "a", os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError) as caught:
        publish(draft, target, manifest=b"{}")
    assert caught.value.message == f"{target} cannot be written: the device reported an error."
    assert caught.value.hint == "Check the disk. Exporting again is harmless."
    monkeypatch.setattr(os, "fsync", real)
    publish(draft, target, manifest=b"{}")
    assert visible(tmp_path) == ["a", "a.manifest.json"]


def test_folders_that_cannot_be_locked_are_used_all_the_same(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock

    def refuse(descriptor: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", refuse)
    publish(draft, tmp_path / "a", manifest=b"{}", overwrite=True)
    assert visible(tmp_path) == ["a", "a.manifest.json"]


@pytest.fixture(params=range(5))
def again(request: pytest.FixtureRequest) -> object:
    """Repeats a race."""
    return request.param


def together(count: int, work: Callable[[int], object]) -> list[object]:
    """Do it in many threads at once; return what each returned or raised."""
    barrier = threading.Barrier(count)
    results: list[object] = [None] * count

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = work(number)
        except Exception as error:  # noqa: BLE001 - it is the result
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.usefixtures("again")
def test_of_many_threads_exactly_one_wins(tmp_path: Path) -> None:
    def work(number: int) -> int:
        for path in staged(tmp_path, b"%d" % number):
            publish(path, tmp_path / "a", manifest=b"manifest of %d" % number)
        return number

    results = together(20, work)
    winners = [result for result in results if isinstance(result, int)]
    assert len(winners) == 1
    assert sum(isinstance(result, AlreadyExistsError) for result in results) == 19
    assert (tmp_path / "a").read_bytes() == b"%d" % winners[0]
    assert (tmp_path / "a.manifest.json").read_bytes() == b"manifest of %d" % winners[0]
    assert hidden(tmp_path) == []


@pytest.mark.usefixtures("again")
def test_of_many_threads_that_overwrite_the_last_one_wins_whole(tmp_path: Path) -> None:
    def work(number: int) -> int:
        for path in staged(tmp_path, b"%d" % number):
            publish(path, tmp_path / "a", manifest=b"manifest of %d" % number, overwrite=True)
        return number

    assert together(20, work) == list(range(20))
    assert (tmp_path / "a.manifest.json").read_bytes() == b"manifest of " + (tmp_path / "a").read_bytes()
    assert hidden(tmp_path) == []


RACER = """
import os, sys, time
from pathlib import Path
from tailrace import AlreadyExistsError, publish
from tailrace.files.staging import staged_file
folder = Path(sys.argv[1])
with staged_file(folder) as (descriptor, path):
    os.write(descriptor, sys.argv[2].encode())
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        publish(path, folder / "a", manifest=sys.argv[2].encode())
    except AlreadyExistsError:
        print("lost")
    else:
        print("won")
"""


def test_of_many_processes_exactly_one_wins(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, tmp_path, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(6)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    results = [racer.communicate()[0].strip() for racer in racers]
    assert sorted(results) == ["lost"] * 5 + ["won"]
    winner = str(results.index("won"))
    assert ((tmp_path / "a").read_text(), (tmp_path / "a.manifest.json").read_text()) == (winner, winner)
    assert hidden(tmp_path) == []


# Files in the making.


def test_staged_files_are_private_locked_and_removed(tmp_path: Path) -> None:
    with staged_file(tmp_path) as (descriptor, path):
        assert path.parent == tmp_path
        assert path.name.startswith(".tailrace-")
        assert path.name.endswith(".part")
        assert mode(path) == 0o600
        assert os.fstat(descriptor).st_ino == path.stat().st_ino
        with path.open("rb") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert sweep(tmp_path) == 0
        assert path.exists()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    with pytest.raises(ZeroDivisionError), staged_file(tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_staged_file_that_vanished_is_no_problem(tmp_path: Path) -> None:
    with staged_file(tmp_path) as (_descriptor, path):
        path.unlink()


def test_folders_that_take_no_files(tmp_path: Path) -> None:
    with pytest.raises(StorageError) as gone, staged_file(tmp_path / "gone"):
        pass
    assert gone.value.message == f"{tmp_path / 'gone'} cannot be written: the folder does not exist, or vanished."
    assert gone.value.hint == "Create the folder and try again."
    assert sweep(tmp_path / "gone") == 0


def test_a_file_that_cannot_be_locked_is_removed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StorageError, match="the device reported an error"), staged_file(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_sweeper_of_the_same_moment_costs_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, swept = fcntl.flock, list[Path]()

    def first_the_sweeper(descriptor: int, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not swept:
            (path,) = tmp_path.iterdir()
            swept.append(path)
            assert sweep(tmp_path) == 1
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", first_the_sweeper)
    with staged_file(tmp_path) as (_descriptor, path):
        assert path != swept[0]
        assert list(tmp_path.iterdir()) == [path]


MAKER = """
import sys, time
from pathlib import Path
from tailrace.files.staging import staged_file
with staged_file(Path(sys.argv[1])) as (descriptor, path):
    print(path.name, flush=True)
    time.sleep(60)
"""


def test_only_the_files_of_the_dead_are_swept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKER, tmp_path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for _ in range(2)
    ]
    names = [maker.stdout.readline().strip() for maker in makers if maker.stdout]
    other = tmp_path / ".tailrace-odd"
    other.write_bytes(b"")
    folder = tmp_path / ".tailrace-folder.part"
    folder.mkdir()
    link = tmp_path / ".tailrace-link.part"
    link.symlink_to(other)
    assert sweep(tmp_path) == 0
    makers[0].kill()
    makers[0].communicate()
    assert makers[0].returncode == -signal.SIGKILL
    assert sorted(path.name for path in tmp_path.glob("*.part")) == sorted([*names, folder.name, link.name])
    with caplog.at_level(logging.INFO, "tailrace"):
        assert sweep(tmp_path) == 1
    assert caplog.messages == [f"removed 1 unfinished file(s) of earlier runs from {tmp_path}"]
    assert not (tmp_path / names[0]).exists()
    assert (tmp_path / names[1]).exists()
    makers[1].send_signal(signal.SIGINT)
    makers[1].communicate()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([folder.name, link.name, other.name])
    assert other.exists()


def test_sweepers_and_makers_at_once(tmp_path: Path) -> None:
    end = time.monotonic() + 0.5

    def work(number: int) -> int:
        done = 0
        while time.monotonic() < end:
            if number % 2:
                sweep(tmp_path)
            else:
                for path in staged(tmp_path):
                    publish(path, tmp_path / f"{number}-{done}")
                done += 1
        return done

    results = together(6, work)
    assert all(isinstance(result, int) for result in results), results
    assert len(visible(tmp_path)) == sum(result for result in results if isinstance(result, int))
    assert hidden(tmp_path) == []


# What the operating system says.


@pytest.mark.parametrize(
    ("code", "cls", "reason"),
    [
        (errno.ENOSPC, NoSpaceError, "the disk is full"),
        (errno.EDQUOT, NoSpaceError, "the disk quota is used up"),
        (errno.EROFS, StorageError, "the file system is read-only"),
        (errno.EACCES, StorageError, "permission is denied"),
        (errno.EPERM, StorageError, "the operation is not permitted"),
        (errno.ENOENT, StorageError, "the folder does not exist, or vanished"),
        (errno.ENOTDIR, StorageError, "a part of the path is not a folder"),
        (errno.EISDIR, StorageError, "it is a folder"),
        (errno.ENAMETOOLONG, StorageError, "the name is too long"),
        (errno.EIO, StorageError, "the device reported an error"),
        (errno.EFBIG, StorageError, "the file would exceed the largest size allowed"),
        (errno.EXDEV, StorageError, "Invalid cross-device link"),
    ],
)
def test_every_reason_is_told(code: int, cls: type[StorageError], reason: str) -> None:
    error = storage_error(OSError(code, os.strerror(code)), Path("out/x"))
    assert type(error) is cls
    assert error.message == f"out/x cannot be written: {reason}."
    assert error.hint or code == errno.EXDEV


def test_errors_without_a_number() -> None:
    assert storage_error(TimeoutError(), Path("x")).message == "x cannot be written: TimeoutError."
    assert type(storage_error(FileExistsError(errno.EEXIST, ""), Path("x"))) is AlreadyExistsError

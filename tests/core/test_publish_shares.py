"""Publishing where a file system lacks what local ones have; test_sink_disk_shares does it on real ones."""

import errno
import fcntl
import logging
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tailrace import publish
from tailrace.files import shares
from tailrace.files.attempts import revoke
from tailrace.files.publish import manifest_path
from tailrace.files.staging import FileTag, is_locked, staged_file, sweep
from tailrace.model.errors import AlreadyExistsError, StorageError

JOB = "0b6f1c9e-6d0e-4f7b-9c53-2d1d7a2f4e11"


@pytest.fixture(autouse=True)
def nobody_was_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "_told", set())


@pytest.fixture
def draft(tmp_path: Path) -> Iterator[Path]:
    with staged_file(tmp_path) as (descriptor, path):
        os.write(descriptor, b"new")
        yield path


def refusing(code: int) -> Callable[..., None]:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


def fail_for_folders(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    real = os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_folder_that_is_never_synchronised_is_no_error(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    fail_for_folders(monkeypatch, code)
    publish(draft, tmp_path / "a", manifest=b"{}")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert manifest_path(tmp_path / "a").read_bytes() == b"{}"


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EBADF, errno.EOPNOTSUPP, errno.ENOSYS])
def test_data_that_are_not_synchronised_are_an_error(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "fsync", refusing(code))
    with pytest.raises(StorageError):
        publish(draft, tmp_path / "a", manifest=b"{}")
    assert not (tmp_path / "a").exists()


def test_what_is_taken_back_needs_no_synchronised_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with staged_file(tmp_path, tag=FileTag(JOB, 1)) as (_descriptor, path):
        publish(path, tmp_path / "a")
        fail_for_folders(monkeypatch, errno.EINVAL)
        assert revoke(tmp_path, JOB, below=2).published == (tmp_path / "a",)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
def test_permissions_that_cannot_be_set_are_no_error(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    monkeypatch.setattr(os, "chmod", refusing(code))
    publish(draft, tmp_path / "a", manifest=b"{}", mode=0o640)
    # Fewer may read it than asked for: nothing to warn of.
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert caplog.records == []


@pytest.mark.parametrize("code", [errno.EACCES, errno.EIO, errno.EROFS])
def test_permissions_that_are_refused_otherwise_are_an_error(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "chmod", refusing(code))
    with pytest.raises(StorageError):
        publish(draft, tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("says", ["no", "yes"])
def test_wider_permissions_than_asked_for_are_told_once(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, says: str
) -> None:
    draft.chmod(0o755)
    monkeypatch.setattr(os, "chmod", refusing(errno.EPERM) if says == "no" else lambda _file, _mode: None)
    for name in ("a", "b"):
        publish(draft, tmp_path / name)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages == [f"files in {tmp_path} have the mode 0755 instead of 0600: its file system keeps none"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_files_are_made_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(code))
    with staged_file(tmp_path) as (descriptor, path):
        os.write(descriptor, b"new")
        # Nobody can tell whether its maker is still there, so nobody removes it.
        assert is_locked(path)
        assert sweep(tmp_path) == 0
        publish(path, tmp_path / "a", manifest=b"{}")
        publish(path, tmp_path / "a", manifest=b"[]", overwrite=True)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "a.manifest.json"]


def test_a_taken_name_is_told_before_that_there_are_no_links(
    draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(_staged: Path, target: Path) -> None:
        code = errno.EEXIST if target.exists() else errno.EPERM
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", link)
    publish(draft, tmp_path / "a", manifest=b"{}")
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(AlreadyExistsError):
        publish(draft, tmp_path / "a")
    publish(draft, tmp_path / "a", manifest=b"[]", overwrite=True)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert manifest_path(tmp_path / "a").read_bytes() == b"[]"


def test_of_many_that_have_no_links_exactly_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    target, barrier = tmp_path / "a", threading.Barrier(12)
    won = []

    def work(number: int) -> None:
        with staged_file(tmp_path) as (descriptor, path):
            os.write(descriptor, b"%d" % number)
            barrier.wait()
            try:
                publish(path, target)
            except AlreadyExistsError:
                return
            won.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = won
    assert target.read_bytes() == b"%d" % winner
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_name_that_is_taken_while_it_is_copied(draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil

    real = shutil.copyfileobj

    def late(source: BinaryIO, sink: BinaryIO, size: int) -> None:
        real(source, sink, size)
        (tmp_path / "a").write_bytes(b"of another")

    monkeypatch.setattr(os, "link", refusing(errno.EPERM))
    monkeypatch.setattr(shutil, "copyfileobj", late)
    with pytest.raises(AlreadyExistsError):
        publish(draft, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"of another"

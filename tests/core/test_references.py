import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tailrace.model.errors import ConfigurationError, StorageError
from tailrace.references import FILE_NAME, reference_ids


def test_equal_parts_have_equal_ids_under_one_key(tmp_path: Path) -> None:
    first, second = reference_ids(tmp_path), reference_ids(tmp_path)
    assert first("proxy", "user", "kim") == second("proxy", "user", "kim")
    assert first("a", "b") != first("ab")
    assert first("a", "b") != first("b", "a")
    assert first("") != first()
    assert first("ab", "") != first("a", "b")
    assert len({first(str(number)) for number in range(1000)}) == 1000
    assert reference_ids(tmp_path / "other")("a") != first("a")


def test_ids_look_alike_and_say_nothing(tmp_path: Path) -> None:
    reference = reference_ids(tmp_path)
    for parts in (("kim",), ("hunter2" * 100,), ("\udcff", "ż😀\x00")):
        made = reference(*parts)
        assert made.startswith("ref_")
        assert len(made) == 4 + 26
        assert set(made[4:]) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert reference("\udcff") != reference("\udcfe")


def test_the_id_is_fixed_by_the_key(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(bytes(range(32)))
    assert reference_ids(tmp_path)("proxy", "pässword") == "ref_yov77cpq2lvutb3wxheila7alq"


def test_the_key_is_made_when_it_is_first_needed(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"
    reference = reference_ids(home)
    assert not home.exists()
    reference("x")
    key = home / FILE_NAME
    assert [path.name for path in home.iterdir()] == [FILE_NAME]
    assert key.stat().st_size == 32
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_many_threads_make_one_key(tmp_path: Path) -> None:
    barrier, ids = threading.Barrier(12), set[str]()

    def ask() -> None:
        reference = reference_ids(tmp_path)
        barrier.wait()
        ids.add(reference("x"))

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 1
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_key_that_is_none(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"short")
    with pytest.raises(ConfigurationError) as caught:
        reference_ids(tmp_path)("x")
    assert caught.value.message == f"{tmp_path / FILE_NAME} is not a reference key: it has 5 bytes instead of 32."
    assert caught.value.hint == "Restore it from a backup, or remove it: ids will differ from then on."


def test_a_key_that_cannot_be_read_or_made(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(ConfigurationError) as folder:
        reference_ids(tmp_path)("x")
    assert folder.value.message == f"{tmp_path / FILE_NAME} cannot be read: Is a directory."
    assert folder.value.hint == "Let this user read it, or set another home."
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="cannot be read: Not a directory"):
        reference_ids(tmp_path / "file")("x")
    (tmp_path / "nowhere").symlink_to(tmp_path / "file" / "x")
    with pytest.raises((StorageError, ConfigurationError)):
        reference_ids(tmp_path / "nowhere")("x")


NOBODY = """
import os, sys
from pathlib import Path
from tailrace.model.errors import TailraceError
from tailrace.references import reference_ids
reference_ids(Path(sys.argv[2]))("x")
os.setuid(65534)
try:
    reference_ids(Path(sys.argv[1]))("x")
except TailraceError as error:
    print(type(error).__name__, error.message)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only the superuser can become somebody else")
def test_a_home_of_somebody_else(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    for folder in [home, *home.parents[:3]]:
        if folder != home:
            folder.chmod(0o755)
    said = subprocess.run(
        [sys.executable, "-c", NOBODY, home, tmp_path / "own"], capture_output=True, text=True, check=True
    ).stdout
    assert said == f"ConfigurationError {home / FILE_NAME} cannot be read: Permission denied.\n"


FULL = """
import resource, signal, sys
from pathlib import Path
from tailrace.model.errors import TailraceError
from tailrace.references import reference_ids
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
reference = reference_ids(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    reference("x")
except TailraceError as error:
    print(type(error).__name__, error.message)
"""


def test_a_disk_that_has_no_room_for_the_key(tmp_path: Path) -> None:
    said = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True).stdout
    assert said == (
        f"StorageError {tmp_path / FILE_NAME} cannot be written: the file would exceed the largest size allowed.\n"
    )
    assert list(tmp_path.iterdir()) == []

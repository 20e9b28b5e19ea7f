import fcntl
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tailrace import is_sqlite

PROBE = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        print("locked")
    else:
        print("free")
"""


def lock_seen_by_others(path: Path) -> str:
    done = subprocess.run([sys.executable, "-c", PROBE, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_database_is_told_from_other_files(tmp_path: Path) -> None:
    database, text, empty = tmp_path / "a.db", tmp_path / "a.txt", tmp_path / "empty"
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    text.write_text("SQLite format 3 is not how this begins, to the byte")
    empty.touch()
    assert [is_sqlite(path) for path in (database, text, empty)] == [True, False, False]
    with pytest.raises(FileNotFoundError):
        is_sqlite(tmp_path / "missing")


def test_looking_does_not_drop_the_locks_of_this_process(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    database.write_bytes(b"SQLite format 3\x00" + bytes(84))
    with database.open("r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        assert lock_seen_by_others(database) == "locked"
        assert is_sqlite(database)
        assert lock_seen_by_others(database) == "locked"
    assert lock_seen_by_others(database) == "free"


def test_a_descriptor_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    database.write_bytes(b"SQLite format 3\x00" + bytes(84))
    with database.open("ab"):
        assert is_sqlite(database)

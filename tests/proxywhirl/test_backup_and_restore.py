"""The promise: ProxyWhirl's pool, exported in full and imported into an empty one, is the same pool to ProxyWhirl."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Pools = Callable[[str], Path]
Tailrace = Callable[..., str]


@pytest.fixture
def tailrace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tailrace:
    """Runs the command line in a folder and home of its own."""
    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path / "home"))
    program = Path(sys.executable).with_name("tailrace")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(program), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def back_up_and_restore(tailrace: Tailrace, old: Path, new: Path, folder: Path) -> bytes:
    """Export a pool in full, import it into one that is not there yet; returns the exported file."""
    key = f"file:{folder / 'key'}"
    tailrace("keys", "new", "master", str(folder / "key"))
    export = ("export", "pool", "--from", str(old), "--credentials", "full", "--opener", key, "--format", "json")
    tailrace(*export, "--no-compress", "--to", str(folder / "exports"))
    (exported,) = (path for path in (folder / "exports").iterdir() if not path.name.endswith(".manifest.json"))
    tailrace("import", str(exported), "--into", str(new), "--key", key)
    return exported.read_bytes()


def test_a_database_is_restored_as_proxywhirl_made_it(
    proxywhirl: Any, pools: Pools, tailrace: Tailrace, tmp_path: Path
) -> None:
    old, new = pools("pool.db"), tmp_path / "new.db"
    exported = back_up_and_restore(tailrace, old, new, tmp_path)
    before, after = proxywhirl.load("database", old), proxywhirl.load("database", new)
    assert len(before["load"]) == 1_000
    assert after["load"] == before["load"]
    assert after["identities"] == before["identities"]
    assert after["statuses"] == before["statuses"]
    passwords = {row["password"] for row in before["load"].values() if len(row["password"] or "") > 12}
    assert len(passwords) > 100
    assert not [password for password in passwords if password.encode() in exported]


def test_an_empty_database_that_proxywhirl_made_is_filled(
    proxywhirl: Any, pools: Pools, tailrace: Tailrace, tmp_path: Path
) -> None:
    old, new = pools("pool.db"), tmp_path / "new.db"
    proxywhirl.make("database", new, 0)
    back_up_and_restore(tailrace, old, new, tmp_path)
    assert proxywhirl.load("database", new) == proxywhirl.load("database", old)


@pytest.mark.parametrize("name", ["pool.json", "pool.enc"])
def test_a_file_storage_is_restored_as_proxywhirl_made_it(
    proxywhirl: Any, pools: Pools, tailrace: Tailrace, tmp_path: Path, key: str, name: str
) -> None:
    old, new = pools(name), tmp_path / name
    used = key if name == "pool.enc" else ""
    back_up_and_restore(tailrace, old, new, tmp_path)
    before, after = (proxywhirl.load("file", path, key=used) for path in (old, new))
    assert len(before) == 1_000
    assert after == before

"""``tailrace keys``, and passwords on a terminal."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]
TAILRACE = Path(sys.executable).with_name("tailrace")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "pool.txt").write_text("http://ada:S3cret-word@h.example.com:80\n")
    return tmp_path


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [TAILRACE, *words], capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=60
    )


def exported(*openers: str, **environment: str) -> str:
    words = [word for opener in openers for word in ("--opener", opener)]
    done = run(
        "export", "pool", "--from", "pool.txt", "--credentials", "full", "--format", "json", *words, "-q", **environment
    )
    assert done.returncode == 0, done.stderr
    return str(next(Path("exports").glob("*.json.gz")))


def test_keys_are_made_shown_and_never_printed(folder: Path) -> None:
    for kind in ("master", "recipient", "signing"):
        made = run("keys", "new", kind, f"{kind}.key")
        assert made.returncode == 0
        path = folder / f"{kind}.key"
        assert path.stat().st_mode & 0o777 == 0o600
        secret = path.read_text().splitlines()[-1]
        assert secret.startswith("TAILRACE-SECRET-")
        shown = run("keys", "show", f"{kind}.key")
        assert shown.returncode == 0
        assert secret not in made.stdout + made.stderr + shown.stdout + shown.stderr
        assert shown.stdout.splitlines()[0] in made.stdout
    again = run("keys", "new", "master", "master.key")
    assert again.returncode == 1
    assert again.stderr.splitlines()[1] == "hint:  Choose another name: an old key may still be needed."


def test_openers_are_shown_added_removed_and_rotated(folder: Path) -> None:
    assert folder.is_dir()
    for kind, name in (("master", "a.key"), ("recipient", "b.key")):
        run("keys", "new", kind, name)
    path = exported("a.key")
    added = run("keys", "add", path, "--opener", "b.key", "--key", "a.key")
    assert (added.returncode, added.stdout.count("(master key)"), added.stdout.count("(recipient's key)")) == (0, 1, 1)
    master = next(word for word in added.stdout.split() if word.startswith("mk-"))
    removed = run("keys", "remove", path, "--opener", master, "--key", "b.key")
    assert removed.returncode == 0
    assert master not in run("keys", "show", path).stdout
    refused = run("import", path, "--into", "back.txt", "--key", "a.key")
    assert refused.returncode == 3
    assert refused.stderr.startswith("error: None of the keys at hand opens the credentials; tried:")
    rotated = run("keys", "rotate", path, "--opener", "a.key", "--key", "b.key", "--json")
    assert '"resealed": 2' in rotated.stdout
    assert run("import", path, "--into", "back.txt", "--key", "a.key").returncode == 0
    assert Path("back.txt").read_text() == "http://ada:S3cret-word@h.example.com:80\n"


def test_a_secret_key_among_the_arguments_is_refused_and_not_repeated(folder: Path) -> None:
    run("keys", "new", "master", "a.key")
    secret = (folder / "a.key").read_text().splitlines()[-1]
    done = run("export", "pool", "--from", "pool.txt", "--credentials", "full", "--opener", secret, "--format", "json")
    assert done.returncode == 2
    assert "A secret key was given itself" in done.stderr
    assert secret not in done.stderr


def typed(*words: str, answers: list[str]) -> tuple[int, str]:
    """Run a command on a terminal and type something at each of its questions."""
    process, terminal = pty.fork()
    if process == 0:  # pragma: no cover - another process
        os.execv(TAILRACE, [str(TAILRACE), *words])
    shown = b""
    waiting = list(answers)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            piece = os.read(terminal, 1024)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if waiting and shown.endswith(b": "):
            os.write(terminal, waiting.pop(0).encode() + b"\n")
    else:
        os.kill(process, signal.SIGKILL)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), shown.decode()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_password_is_asked_for_on_the_terminal_and_not_shown(folder: Path) -> None:
    assert folder.is_dir()
    export = (
        "export",
        "pool",
        "--from",
        "pool.txt",
        "--credentials",
        "full",
        "--opener",
        "password",
        "--format",
        "json",
    )
    code, shown = typed(*export, answers=["correct horse", "another horse"])
    assert (code, "The two passwords differ." in shown) == (2, True)
    code, shown = typed(*export, answers=["correct horse", "correct horse"])
    assert (code, "horse" in shown) == (0, False)
    (path,) = map(str, Path("exports").glob("*.json.gz"))
    code, shown = typed("import", path, "--into", "back.txt", "--key", "password", answers=["wrong horse"])
    assert (code, "The password is not the one" in shown) == (3, True)
    code, shown = typed("import", path, "--into", "back.txt", "--key", "password", answers=["correct horse"])
    assert (code, "horse" in shown) == (0, False)
    assert Path("back.txt").read_text() == "http://ada:S3cret-word@h.example.com:80\n"


def test_without_a_terminal_a_password_is_not_asked_for(folder: Path) -> None:
    assert folder.is_dir()
    path = exported("password:env:WORDS", WORDS="correct horse")
    done = subprocess.run(
        [TAILRACE, "import", path, "--into", "back.txt", "--key", "password"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "there is no terminal to ask for it" in " ".join(done.stderr.split())
    assert (
        run("import", path, "--into", "back.txt", "--key", "password:env:WORDS", WORDS="correct horse").returncode == 0
    )

"""The command that pages call is the command that people call."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "tailrace"


@pytest.mark.usefixtures("sample_folder")
@pytest.mark.parametrize(
    "words",
    [["--version"], ["export", "nothing", "--json"], ["plugins", "list"], ["verify", "nowhere"]],
    ids=lambda words: words[0],
)
def test_it_says_the_same_and_ends_the_same(at_hand: Path, words: list[str]) -> None:
    there, here = (
        subprocess.run([str(program), *words], capture_output=True, check=False)
        for program in (PROGRAM, at_hand / "tailrace")
    )
    assert (here.returncode, here.stdout, here.stderr) == (there.returncode, there.stdout, there.stderr)


def test_it_has_the_folder_environment_and_umask_of_whoever_calls(at_hand: Path, sample_folder: Path) -> None:
    command = [str(at_hand / "tailrace"), "keys", "new", "master", "made.key", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, umask=0o077, env=dict(os.environ))
    assert "mk-" in done.stdout
    assert (sample_folder / "made.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("sample_folder")
def test_a_signal_reaches_it(at_hand: Path) -> None:
    process = subprocess.Popen([at_hand / "tailrace", "worker"], stderr=subprocess.PIPE, text=True)
    assert process.stderr
    # It hears signals once it works.
    while "begins" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    _out, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Ended after 0 attempts." in said

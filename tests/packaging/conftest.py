import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def dist() -> Path:
    """The folder of built distributions, made by ``nox -s wheels``."""
    return Path(os.environ["DISTRIBUTIONS"])


@pytest.fixture
def bare(tmp_path: Path, dist: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """A new environment that has nothing in it; call it with the distributions to install, then with commands."""
    home = tmp_path / "bare"
    uv = shutil.which("uv")
    assert uv is not None
    subprocess.run([uv, "venv", "--quiet", f"--python={sys.executable}", str(home)], check=True)

    def run(*command: str, install: tuple[str, ...] = (), cwd: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        if install:
            command_line = [uv, "pip", "install", "--quiet", f"--python={home}", f"--find-links={dist}", *install]
            subprocess.run(command_line, check=True)
        environment = {
            "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "TAILRACE_HOME": str(tmp_path / "home"),
        }
        program = [str(home / "bin" / command[0]), *command[1:]]
        return subprocess.run(program, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    return run

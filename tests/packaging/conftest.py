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


@pytest.fixture(scope="session")
def out_of_dist(dist: Path) -> tuple[str, ...]:
    """Arguments by which uv installs what is in that folder, and not what it remembers of an earlier build there."""
    built = sorted({wheel.name.partition("-")[0].replace("_", "-") for wheel in dist.glob("*.whl")})
    return (f"--find-links={dist}", *(f"--refresh-package={name}" for name in built))


@pytest.fixture
def bare(tmp_path: Path, out_of_dist: tuple[str, ...]) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """A new environment that has nothing in it; call it with the distributions to install, then with commands."""
    home = tmp_path / "bare"
    uv = shutil.which("uv")
    assert uv is not None
    subprocess.run([uv, "venv", "--quiet", f"--python={sys.executable}", str(home)], check=True)

    def run(*command: str, install: tuple[str, ...] = (), cwd: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        if install:
            command_line = [uv, "pip", "install", "--quiet", f"--python={home}", *out_of_dist, *install]
            subprocess.run(command_line, check=True)
        environment = {
            "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "TAILRACE_HOME": str(tmp_path / "home"),
        }
        program = [str(home / "bin" / command[0]), *command[1:]]
        return subprocess.run(program, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    return run

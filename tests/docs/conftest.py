"""The folder in which blocks run, and the command that they call."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .at_hand import command_at_hand

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"


@pytest.fixture
def sample_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(DATA / "proxywhirl-sample.db", tmp_path / "proxywhirl.db")
    shutil.copy(DATA / "request-log-sample.csv", tmp_path / "requests.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path / ".home"))
    monkeypatch.setenv("TAILRACE_USER", "ada")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    return tmp_path


@pytest.fixture(scope="session")
def at_hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    packages = sorted(path.parent.name for path in ROOT.glob("plugins/*/src/*/__init__.py"))
    with command_at_hand(tmp_path_factory.mktemp("at-hand"), ["tailrace", *packages]) as folder:
        yield folder

"""ProxyWhirl in an environment of its own, as the session ``proxywhirl`` of the noxfile makes it."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

HERE = Path(__file__).parent
KEY = "k3vF0aZ2mRr5Xb8yTq1wLs7uJd4gNh6cPoEi9tYxVaM="


@attrs.frozen
class ProxyWhirl:
    """The real one."""

    interpreter: str

    def make(self, kind: str, path: Path, count: int, *, key: str = "") -> None:
        """Let it make a pool."""
        self._run("make_pool.py", kind, str(path), str(count), key)

    def load(self, kind: str, path: Path, *, key: str = "") -> dict[str, Any]:
        """All that it loads from a pool."""
        loaded: dict[str, Any] = json.loads(self._run("load_pool.py", kind, str(path), key))
        return loaded

    def _run(self, script: str, *arguments: str) -> str:
        done = subprocess.run(
            [self.interpreter, str(HERE / script), *arguments], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def proxywhirl() -> ProxyWhirl:
    interpreter = os.environ.get("PROXYWHIRL_PYTHON")
    if not interpreter:
        pytest.skip("PROXYWHIRL_PYTHON names no interpreter that has ProxyWhirl")
    return ProxyWhirl(interpreter)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """ProxyWhirl's key, for both sides."""
    monkeypatch.setenv("PROXYWHIRL_CACHE_ENCRYPTION_KEY", KEY)
    monkeypatch.delenv("PROXYWHIRL_CACHE_KEY_PREVIOUS", raising=False)
    return KEY


@pytest.fixture(scope="session")
def pools(proxywhirl: ProxyWhirl, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Pools of 1,000 proxies, made once: ``pool.db``, ``pool.json``, ``pool.enc``."""
    folder = tmp_path_factory.mktemp("pools")

    def made(name: str) -> Path:
        path = folder / name
        if not path.exists():
            kind = "database" if name.endswith(".db") else "file"
            proxywhirl.make(kind, path, 1_000, key=KEY if name.endswith(".enc") else "")
        return path

    return made

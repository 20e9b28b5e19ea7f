"""What a command costs before it does anything."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("polars", "sqlalchemy", "rich", "cattrs", "typed_settings", "pluggy", "adbc_driver_manager", "httpx", "numpy")

ASK = (
    "import sys; from tailrace.cli import main; code = main(sys.argv[1:])\n"
    f"loaded = [name for name in {HEAVY!r} if name in sys.modules]\n"
    "loaded += [name for name in sys.modules if name.startswith(('tailrace_', 'toy_', 'tailrace.pipeline'))]\n"
    "print(code, loaded, file=sys.stderr)"
)


@pytest.mark.parametrize("words", [["--version"], ["plugins", "list"], ["plugins", "list", "--json"]])
def test_version_and_list_import_nothing_heavy_and_no_plugin(words: list[str], toys: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    done = subprocess.run(
        [sys.executable, "-c", ASK, *words],
        env=environ | {"PYTHONPATH": str(toys)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == "0 []\n"
    assert ("tailrace" if words == ["--version"] else "nowhere") in done.stdout


def test_version_and_list_start_within_twice_an_import_of_cyclopts(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    # Byte code of its own, so that the comparison is between programs and not between compilations.
    environ |= {"PYTHONPYCACHEPREFIX": str(tmp_path)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    commands = {
        "cyclopts": ["-c", "import cyclopts"],
        "version": ["-m", "tailrace", "--version"],
        "list": ["-m", "tailrace", "plugins", "list"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    best: dict[str, float] = {}
    for count in range(30):
        for name, words in commands.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *words], env=environ, stdout=subprocess.DEVNULL, check=True)
            seconds[name].append(time.perf_counter() - began)
        # The first round compiles. Of the others the quickest says what a start costs, the rest how busy the machine
        # is: where it is so all the time, more of them are needed.
        best = {name: min(measured[1:], default=9.0) for name, measured in seconds.items()}
        if count >= 9 and max(best["version"], best["list"]) <= 2 * best["cyclopts"]:
            break
    assert best["version"] <= 2 * best["cyclopts"]
    assert best["list"] <= 2 * best["cyclopts"]

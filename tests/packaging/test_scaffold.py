"""What an author does in the first ten minutes, from wheels: begin a plugin of each kind, install it, test it.

The projects that ``tailrace plugins new`` makes are used as they are. All kinds share one environment, which has
nothing in it but them and what they ask for themselves.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"format": "parquet", "sink": "drop-box", "source": "events"}
KINDS = tuple(NAMES)

pytestmark = pytest.mark.timeout(600)


@attrs.frozen
class Workshop:
    """A folder with a project of each kind, and the environment that they are installed in."""

    folder: Path
    environment: Path
    told: dict[str, str]

    def project(self, kind: str) -> Path:
        return self.folder / f"tailrace-{kind}-{NAMES[kind]}"

    def run(self, *command: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
        programs = self.environment / "bin"
        return subprocess.run(
            [str(programs / command[0]), *command[1:]],
            cwd=cwd or self.folder,
            env={
                "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(self.folder),
                "TAILRACE_HOME": str(self.folder / "home"),
                "COLUMNS": "80",
                "MYPY_CACHE_DIR": str(self.folder / "mypy"),  # what the projects have in common is checked once
            },
            capture_output=True,
            text=True,
            check=False,
        )


def uv(*arguments: str) -> None:
    program = shutil.which("uv")
    assert program is not None
    # From here, so that the index is that of the day which the project settles on.
    subprocess.run([program, *arguments, "--quiet"], check=True, cwd=ROOT)


@pytest.fixture(scope="module")
def workshop(out_of_dist: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    folder = tmp_path_factory.mktemp("workshop")
    environment = folder / "environment"
    uv("venv", f"--python={sys.executable}", str(environment))
    # Without byte code, each process that a standard test starts would compile all that it imports.
    install = ("pip", "install", "--compile-bytecode", f"--python={environment}", *out_of_dist)
    uv(*install, "tailrace-core==0.1.0", "tailrace-sdk==0.1.0")
    shop = Workshop(folder, environment, {})
    for kind, name in NAMES.items():
        made = shop.run("tailrace", "plugins", "new", kind, name)
        assert made.returncode == 0, made.stderr
        shop.told[kind] = made.stdout
        uv("build", "--wheel", f"--out-dir={folder / 'dist'}", str(shop.project(kind)))
    groups = [f"--group={shop.project(kind) / 'pyproject.toml'}:dev" for kind in KINDS]
    names = [shop.project(kind).name for kind in KINDS]
    # uv remembers what it installed, and by version only.
    fresh = [f"--refresh-package={name}" for name in names]
    uv(*install, f"--find-links={folder / 'dist'}", *fresh, *names, *groups)
    return shop


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_says_what_to_do_next(workshop: Workshop, kind: str) -> None:
    told = workshop.told[kind]
    assert [line for line in told.splitlines() if len(line) > 80] == []
    commands = [line.strip() for line in told.splitlines() if line.startswith("  ")][-3:]
    assert commands[0] == f"cd {workshop.project(kind).name}"
    assert commands[1].endswith("pip install --editable .")
    assert commands[2] == "python -m pytest"


def test_the_plugins_are_found(workshop: Workshop) -> None:
    listed = workshop.run("tailrace", "plugins", "list", "--json")
    plugins = json.loads(listed.stdout)["plugins"]
    assert {(row["kind"], row["name"], row["status"]) for row in plugins} == {
        (kind, name, "available") for kind, name in NAMES.items()
    }
    healthy = workshop.run("tailrace", "plugins", "doctor")
    assert healthy.returncode == 0, healthy.stdout


@pytest.mark.flaky(reruns=1)  # among the standard tests are bounds in seconds
@pytest.mark.parametrize("kind", KINDS)
def test_its_tests_pass_and_it_conforms(workshop: Workshop, kind: str) -> None:
    tested = workshop.run("python", "-m", "pytest", cwd=workshop.project(kind))
    assert tested.returncode == 0, tested.stdout + tested.stderr
    (badge,) = [line for line in tested.stdout.splitlines() if line.startswith(f"{kind} {NAMES[kind]}")]
    assert ": conforms: " in badge
    assert not re.search("failed|skipped|not run", badge)


@pytest.mark.parametrize(
    "check", [("mypy", "--strict"), ("ruff", "format", "--check"), ("ruff", "check")], ids=" ".join
)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_clean(workshop: Workshop, kind: str, check: tuple[str, ...]) -> None:
    checked = workshop.run(*check, cwd=workshop.project(kind))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_all_of_them_work_together(workshop: Workshop) -> None:
    (workshop.folder / "events.jsonl").write_text('{"at":"2026-08-15T06:00:00Z","text":"rain"}\n')
    done = workshop.run(
        "tailrace", "export", NAMES["source"], "--from", "events.jsonl", "--format", NAMES["format"], "--no-compress",
        "--to", f"{NAMES['sink']}:out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (file,) = (workshop.folder / "out").rglob("*.csv")
    assert file.read_text() == "at,text\n2026-08-15T06:00:00.000000+0000,rain\n"


def test_without_the_sdk_the_command_says_what_to_install(
    bare: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    missing = bare("tailrace", "plugins", "new", "format", "parquet", install=("tailrace-core==0.1.0",))
    assert missing.returncode == 2
    assert "pip install tailrace-sdk" in missing.stderr

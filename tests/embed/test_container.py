"""What the page says of containers: a root file system that is read-only, and an environment with nothing in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
set -e
mount --bind data data
mount --bind tmp tmp
mount -o remount,bind,ro /
mount -o remount,bind,ro /tmp 2>/dev/null || true # where it is a file system of its own
if touch here 2>/dev/null; then exit 99; fi
in_it() { env -i PATH="$PATH" TAILRACE_HOME=data/home TAILRACE_USER=exports TMPDIR="$PWD/tmp" "$@"; }
in_it tailrace export analytics --from requests.csv --format csv --to data/files --quiet
in_it tailrace export analytics --from requests.csv --format excel --to data/files --background --quiet
in_it tailrace worker --until-idle
in_it tailrace verify data/files/*.xlsx
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts file systems")
def test_exports_and_a_worker_need_only_home_files_and_tmpdir(tmp_path: Path) -> None:
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mounts here")
    for name in ("data", "tmp"):
        (tmp_path / name).mkdir()
    shutil.copy(ROOT / "tests" / "data" / "request-log-sample.csv", tmp_path / "requests.csv")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", SCRIPT],
        cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert len([file for file in (tmp_path / "data" / "files").iterdir() if file.suffix in {".gz", ".xlsx"}]) == 2
    assert list((tmp_path / "tmp").iterdir()) == []

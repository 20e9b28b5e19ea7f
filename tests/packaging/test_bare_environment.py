import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

Run = Callable[..., "subprocess.CompletedProcess[str]"]

CORE = "tailrace-core==0.1.0"


def names(listed: str) -> set[tuple[str, str]]:
    return {(plugin["kind"], plugin["name"]) for plugin in json.loads(listed)["plugins"]}


def pool(folder: Path) -> Path:
    path = folder / "proxies.txt"
    path.write_text("192.0.2.1:8080\nsocks5://someone:s3cret@192.0.2.2:1080\n")
    return path


def test_core_alone_works_and_says_what_to_install(bare: Run, tmp_path: Path) -> None:
    listed = bare("tailrace", "plugins", "list", "--json", install=(CORE,))
    assert (listed.returncode, listed.stderr) == (0, "")
    assert names(listed.stdout) == set()
    missing = bare("tailrace", "export", "pool", "--from", str(pool(tmp_path)), "--format", "csv")
    assert missing.returncode == 2
    assert "pip install tailrace-source-pool" in missing.stderr


def test_a_format_is_there_once_it_is_installed(bare: Run) -> None:
    listed = bare("tailrace", "plugins", "list", "--json", install=(CORE, "tailrace-format-csv"))
    assert names(listed.stdout) == {("format", "csv")}
    shown = bare("tailrace", "plugins", "show", "csv")
    assert shown.returncode == 0
    assert "delimiter" in shown.stdout


def test_an_export_from_wheels_with_a_sink_of_a_third_party(bare: Run, tmp_path: Path) -> None:
    plugins = ("tailrace-format-csv", "tailrace-source-pool", "tailrace-sink-disk", "tailrace-sink-journal")
    done = bare(
        "tailrace", "export", "pool", "--from", str(pool(tmp_path)), "--format", "csv", "--json",
        "--to", f"disk:{tmp_path / 'out'}", "--to", f"journal:{tmp_path / 'journal.txt'}",
        install=(CORE, *plugins),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (artifact,) = json.loads(done.stdout)["artifacts"]
    assert [receipt["delivered"] for receipt in artifact["receipts"]] == [True, True]
    file = artifact["manifest"]["file"]
    assert (tmp_path / "journal.txt").read_text().split()[1:] == [str(file["size"]), file["sha256"]]
    (written,) = (tmp_path / "out").glob("*.csv.gz")
    assert b"s3cret" not in written.read_bytes()
    verified = bare("tailrace", "verify", str(written))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_the_whole_of_it_runs_the_demo(bare: Run, tmp_path: Path) -> None:
    done = bare("tailrace", "demo", "--dir", str(tmp_path / "demo"), install=("tailrace==0.1.0",))
    assert done.returncode == 0, done.stdout + done.stderr
    (database,) = (tmp_path / "demo").rglob("*.db")
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM proxy_identities").fetchone() == (200,)
    connection.close()
    assert len(list((tmp_path / "demo").rglob("*.manifest.json"))) >= 4

import gzip
import ipaddress
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import attrs
import pytest

from tailrace.cli import demo_data
from tailrace.cli.demo import _fresh

Cli = Callable[..., Any]
RESERVED = [
    ipaddress.ip_network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
]


def content_of(file: Path) -> bytes:
    if file.suffix == ".xlsx":
        with zipfile.ZipFile(file) as archive:
            return b"".join(archive.read(name) for name in archive.namelist())
    return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One run for the tests that only look at its outcome: the folder it ran in, and its document."""
    folder = tmp_path_factory.mktemp("demo")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TAILRACE_")}
    done = subprocess.run(
        [sys.executable, "-m", "tailrace", "demo", "--json"],
        cwd=folder,
        env=environ | {"TAILRACE_HOME": str(folder / "home")},
        stdout=subprocess.PIPE,
        check=True,
    )
    return folder, json.loads(done.stdout)


def test_the_demo_goes_the_whole_way(told: tuple[Path, dict[str, Any]], cli: Cli) -> None:
    folder, document = told
    assert document["leaks"] == []
    assert document["secrets"] == 100
    assert len(document["files"]) == 6
    kinds = {
        (Path(file["path"]).name.split("_")[0], Path(file["path"].removesuffix(".gz")).suffix)
        for file in document["files"]
    }
    assert kinds == {(source, ending) for source in ("pool", "analytics") for ending in (".csv", ".json", ".xlsx")}
    for file in document["files"]:
        assert file["verified"] is True
        assert file["rows"] == file["expected_rows"] == (200 if "pool_" in file["path"] else demo_data.LOG_ROWS)
        assert Path(file["path"]).stat().st_size == file["size"]
        assert abs(file["expected_size"] - file["size"]) <= 0.05 * file["size"]
        assert cli("verify", file["path"]).code == 0
    assert document["database"] == "tailrace-demo/proxywhirl.db"
    assert (folder / "tailrace-demo" / "proxywhirl.db").is_file()
    assert document["seconds"] < 60
    reports = folder / "tailrace-demo" / "reports"
    assert document["reports"] == [str(reports / "health.html"), str(reports / "health.pdf")]
    for path, head in zip(document["reports"], (b"<!DOCTYPE html>", b"%PDF-"), strict=True):
        assert Path(path).read_bytes().startswith(head)
        assert cli("verify", path).code == 0


def test_no_credential_is_in_any_byte_that_the_demo_exports(told: tuple[Path, dict[str, Any]]) -> None:
    home = told[0] / "tailrace-demo"
    with closing(sqlite3.connect(home / "proxywhirl.db")) as connection:
        rows = connection.execute("SELECT username, password FROM proxy_identities WHERE username IS NOT NULL")
        secrets = [text for pair in rows for text in pair]
    assert len(secrets) == 100
    assert sum(secret.startswith("encrypted:") for secret in secrets) == 20
    files = list((home / "exports").iterdir())
    assert len(files) == 12
    for file in files:
        content = content_of(file)
        assert not [secret for secret in secrets if secret.encode() in content]


def test_the_demo_says_what_it_did_and_what_it_recommends_works(cli: Cli) -> None:
    answer = cli("demo")
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert "   200 proxies, 50 of them with user name and password; 4,200 checks; a log of" in lines
    assert "   tailrace-demo/proxywhirl.db" in lines
    assert "   tailrace-demo/exports/" in lines
    assert "   files: none is there." in lines
    assert (
        lines[lines.index("4  A report to look at, on screen and on paper") + 1]
        == "   tailrace-demo/reports/health.html"
    )
    assert max(map(len, lines)) <= 80
    recommended = "\n".join(lines[lines.index(next(line for line in lines if line.endswith("Try next:"))) + 1 :])
    commands = recommended.replace("\\\n", " ").strip().splitlines()
    assert len(commands) == 2
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "tailrace"
        assert cli(*words).code == 0


def test_a_taken_folder_is_left_alone(elsewhere: Path) -> None:
    (elsewhere / "tailrace-demo").mkdir()
    (elsewhere / "tailrace-demo-2").write_text("mine")
    assert _fresh(Path("tailrace-demo")) == Path("tailrace-demo-3")
    assert list((elsewhere / "tailrace-demo").iterdir()) == []


def test_a_folder_may_have_a_name_that_urls_would_misread(cli: Cli, elsewhere: Path) -> None:
    answer = cli("demo", "--dir", elsewhere / "a b" / "50%25 c?d#e", "--json")
    assert answer.code == 0
    assert (elsewhere / "a b" / "50%25 c?d#e" / "proxywhirl.db").is_file()


def test_a_folder_that_cannot_be_made_is_told(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "file").write_text("")
    answer = cli("demo", "--dir", "file/inside")
    assert answer.code == 1
    assert answer.err == (
        "error: The folder file/inside cannot be made: Not a directory.\n"
        "hint:  Name another one: tailrace demo --dir DIR\n"
    )


def test_a_leak_is_told_and_refused(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = demo_data.make_pool()
    monkeypatch.setattr(
        demo_data, "make_pool", lambda: attrs.evolve(pool, secrets=(*pool.secrets, "https://api.example.com"))
    )
    # Drawing takes longer than all the rest, and other tests look at it.
    monkeypatch.setattr("tailrace.cli.demo._report", lambda *_given: [])
    answer = cli("demo")
    assert answer.code == 3
    assert "FOUND in analytics_" in " ".join(answer.out.split())


def test_the_data_are_the_same_each_time_and_contact_nobody() -> None:
    assert demo_data.make_pool() == demo_data.make_pool()
    assert demo_data.make_pool(1) != demo_data.make_pool(2)
    assert list(islice(demo_data.make_log(), 500)) == list(islice(demo_data.make_log(), 500))
    pool = demo_data.make_pool()
    assert len({row[0] for row in pool.identities}) == 200
    for row in pool.identities:
        address = ipaddress.ip_address(row[2])
        assert any(address in network for network in RESERVED)
    assert {len(row) for row in islice(demo_data.make_log(), 500)} == {11}


def test_the_statuses_agree_with_the_checks() -> None:
    pool = demo_data.make_pool()
    checks: dict[str, list[tuple[Any, ...]]] = {}
    for check in pool.checks:
        checks.setdefault(check[1], []).append(check)
    for status in pool.statuses:
        history = checks[status[0]]
        good = [check for check in history if check[3]]
        assert (status[7], status[8]) == (len(history), len(good))
        assert status[10] == len(good) / len(history)
        trailing = next((index for index, check in enumerate(reversed(history)) if not check[3]), len(history))
        assert status[5] == trailing
        assert bool(status[5]) != bool(status[6])
        assert status[2] == (good[-1][2] if good else None)

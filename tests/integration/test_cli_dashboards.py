"""Dashboards on the command line."""

import json
import shutil
import webbrowser
from pathlib import Path
from typing import Any

import pytest

Cli = Any
DATA = Path(__file__).resolve().parents[1] / "data"

MINE = """
title = "Mine"
[data]
analytics = "requests.csv"
[[pages]]
heading = "One"
[[pages.panels]]
kind = "figure"
metric = "requests"
"""


@pytest.fixture
def mine(elsewhere: Path) -> Path:
    """A dashboard of one panel, in a folder of its own, with its data beside it."""
    folder = elsewhere / "boards"
    folder.mkdir()
    shutil.copy(DATA / "request-log-sample.csv", folder / "requests.csv")
    (folder / "mine.toml").write_text(MINE)
    return folder / "mine.toml"


def test_ready_dashboards_are_listed_and_printed(cli: Cli) -> None:
    answer = cli("dashboards", "list")
    assert answer.code == 0
    assert [line.split()[0] for line in answer.out.splitlines()[1:4]] == ["cost", "executive", "operations"]
    listed = cli("dashboards", "list", "--json").document["dashboards"]
    assert listed[0] == {"name": "cost", "title": "Cost"}
    shown = cli("dashboards", "show", "operations")
    assert shown.code == 0
    assert 'title = "Operations"\n' in shown.out
    assert cli("dashboards", "show", "operations", "--json").document["text"] == shown.out
    unknown = cli("dashboards", "show", "operation")
    assert unknown.code == 2
    assert "Did you mean 'operations'?" in unknown.err


@pytest.mark.usefixtures("mine")
def test_a_ready_dashboard_that_was_printed_is_a_dashboard(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "copy.toml").write_text(cli("dashboards", "show", "cost").out)
    answer = cli("dashboards", "check", "copy.toml", "--option", "analytics=boards/requests.csv")
    assert answer.code == 0, answer.err
    assert answer.out.startswith("copy.toml is right: 15 panels, and the data has what they need.")


def test_check_says_all_that_is_wrong(cli: Cli, mine: Path) -> None:
    assert cli("dashboards", "check", mine).code == 0
    mine.write_text(MINE.replace('requests"\n', 'reqests"\n') + "colour = 'red'\n")
    answer = cli("dashboards", "check", mine)
    assert answer.code == 2
    assert answer.out == ""
    text = " ".join(answer.err.split())
    assert "$.pages[0].panels[0]: there is no key 'colour'; did you mean 'column'?" in text
    assert "$.pages[0].panels[0].metric: there is no metric 'reqests'; did you mean 'requests'?" in text
    told = cli("dashboards", "check", mine, "--json")
    assert told.code == 2
    assert len(told.document["error"]["problems"]) == 2


def test_check_of_what_is_right_in_itself_but_has_no_data(cli: Cli, mine: Path) -> None:
    (mine.parent / "requests.csv").unlink()
    answer = cli("dashboards", "check", mine)
    assert answer.code == 0
    assert "is right in itself." in answer.out
    assert "Whether the data has what it needs is not known: " in " ".join(answer.out.split())
    document = cli("dashboards", "check", mine, "--json").document
    assert (document["ok"], document["panels"]) == (True, None)
    assert "requests.csv" in document["data"]
    missing = cli("dashboards", "check", "nowhere.toml")
    assert missing.code == 1
    assert "There is no dashboard nowhere.toml" in missing.err


def test_preview_makes_the_page_and_opens_it(
    cli: Cli, mine: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def browse(address: str) -> bool:
        opened.append(address)
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    answer = cli("dashboards", "preview", mine, "--to", "page", "--since", "2026-08-16", "--until", "2026-08-17")
    assert answer.code == 0, answer.err
    (path,) = (elsewhere / "page").glob("*.html")
    assert answer.out == f"{path}\n"
    assert opened == [path.absolute().as_uri()]
    text = path.read_text()
    assert "Mine" in text
    assert "2026-08-16" in text
    told = cli("dashboards", "preview", mine, "--to", "other", "--no-open", "--json").document
    assert told["opened"] is False
    assert Path(told["path"]).parent == elsewhere / "other"
    assert len(opened) == 1


def test_csv_and_json_have_the_same_numbers(cli: Cli, mine: Path) -> None:
    words = ("dashboard", "--from", mine, "--no-compress", "--to", "out")
    made = cli("export", *words, "--format", "json", "--json")
    assert made.code == 0, made.err
    document = json.loads(Path(made.document["artifacts"][0]["path"]).read_text())
    assert document["requests"] == [{"requests": 240, "rows": 240}]
    made = cli("export", *words, "--format", "csv", "--json")
    assert Path(made.document["artifacts"][0]["path"]).read_bytes() == b"requests,rows\n240,240\n"

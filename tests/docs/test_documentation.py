"""Every code block of README and docs runs, in order, in a folder that holds the sample data.

``python`` blocks are executed; of ``console`` blocks, each line behind ``$`` is run in a shell and its output compared
(``...`` stands for anything); ``bash`` blocks are run and must end with exit code 0. A comment ``<!-- not run -->`` on
the line above a block leaves it out: for what needs a network, with the reason in the words around it.
"""

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")]
)
FENCE = re.compile(r"^```(bash|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What takes longer than a second says how far it is: on a busy machine, anything may.
PROGRESS = re.compile(r"^[a-z]+: [0-9,]+(?: of [0-9,]+)? rows, .*\n", re.MULTILINE)
LEFT_OUT = "<!-- not run -->\n"


def shell_blocks(document: Document) -> list[Region]:
    return [
        Region(match.start(), match.end(), (match[1], match[2]), run_block)
        for match in FENCE.finditer(document.text)
        if not document.text[: match.start()].endswith(LEFT_OUT)
    ]


def run_block(example: Example) -> None:
    kind, body = example.parsed
    if kind == "bash":
        done = shell(body)
        assert done.returncode == 0, f"{body}\n{done.stdout}{done.stderr}"
        return
    for command, expected in re.findall(r"^\$ ((?:.*\\\n)*.*\n)((?:(?!\$ ).*\n)*)", body, re.MULTILINE):
        done = shell(command)
        seen = done.stdout + PROGRESS.sub("", done.stderr)
        if not doctest.OutputChecker().check_output(expected, seen, doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE):
            pytest.fail(f"$ {command}expected:\n{expected}\nseen:\n{seen}", pytrace=False)


def shell(script: str) -> "subprocess.CompletedProcess[str]":
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "80", "NO_COLOR": "1", "USER": "ada", "LOGNAME": "ada"}
    return subprocess.run(
        ["bash", "-e", "-c", script], capture_output=True, text=True, env=environment, check=False, timeout=120
    )


@pytest.fixture
def sample_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(DATA / "proxywhirl-sample.db", tmp_path / "proxywhirl.db")
    shutil.copy(DATA / "request-log-sample.csv", tmp_path / "requests.csv")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path / ".home"))
    monkeypatch.setenv("TAILRACE_USER", "ada")
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("sample_folder")
def test_every_code_block_runs(page: Path) -> None:
    document = Sybil(parsers=[PythonCodeBlockParser(), shell_blocks], path=str(page.parent)).parse(page)
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    command = re.search(r"^python3 -m venv .*nox$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert command is not None
    assert command[0] in (ROOT / ".ci" / "run").read_text()

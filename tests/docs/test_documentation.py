"""Every code block of README and docs runs, in order, in a folder that holds the sample data.

``python`` blocks are executed, all of a page in one namespace; one that begins with the name of a file, such as
``# shop/exports.py``, is put there instead, to be imported or run by the blocks below it. Of ``console`` blocks, each
line behind ``$`` is run in a shell and its output compared (``...`` stands for anything); ``bash`` blocks are run and
must end with exit code 0. A comment ``<!-- not run -->`` on the line above a block leaves it out: for what needs a
network, with the reason in the words around it.

Pages in ``ELSEWHERE`` need packages that only another session of the noxfile has: it runs this with ``DOCS_SESSION``.
"""

import doctest
import importlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser
from sybil.typing import Parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("plugins/*/README.md"),
        ROOT / "sdk" / "README.md",
    ]
)
ELSEWHERE = {
    "docs/how-to/embed/fastapi.md": "embed",
    "docs/how-to/embed/flask.md": "embed",
    "docs/how-to/embed/django.md": "embed",
    "docs/how-to/embed/celery.md": "embed",
    # Its blocks are the cells of a notebook: tests/embed/test_notebook.py has a kernel execute it.
    "docs/how-to/embed/notebook.md": "embed, as a notebook",
    "docs/how-to/embed/proxywhirl.md": "proxywhirl",
}
WITH_REDIS = {"docs/how-to/embed/celery.md"}
SESSION = os.environ.get("DOCS_SESSION", "docs")
RUN_HERE = [page for page in PAGES if ELSEWHERE.get(str(page.relative_to(ROOT)), "docs") == SESSION]
FILE = re.compile(r"# ([\w/.-]+\.py)\n")
FENCE = re.compile(r"^```(bash|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What takes longer than a second says how far it is: on a busy machine, anything may.
PROGRESS = re.compile(r"^[a-z]+: [0-9,]+(?: of [0-9,]+)? rows, .*\n", re.MULTILINE)
LEFT_OUT = "<!-- not run -->\n"


class Python(PythonEvaluator):
    """Executes a block, or puts it into the file that it names."""

    def __call__(self, example: Example) -> None:
        named = FILE.match(example.parsed)
        if named is None:
            super().__call__(example)
            return
        file = Path(named[1])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(example.parsed)


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
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "USER": "ada", "LOGNAME": "ada"}
    return subprocess.run(
        ["bash", "-e", "-c", script], capture_output=True, text=True, env=environment, check=False, timeout=120
    )


def redis() -> str:
    """A database of the Redis server; without one the test is skipped, but fails where ``REQUIRE_REDIS`` is set."""
    try:
        with socket.create_connection(("127.0.0.1", 6379), timeout=5):
            return "redis://127.0.0.1:6379/8"
    except OSError as error:
        message = f"there is no Redis server: {error}"
    if os.environ.get("REQUIRE_REDIS"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture
def importable(sample_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Modules that a page makes can be imported by it, and are forgotten behind it."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(sample_folder)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(sample_folder)):
            del sys.modules[name]
    importlib.invalidate_caches()


@pytest.mark.parametrize("page", RUN_HERE, ids=lambda page: str(page.relative_to(ROOT)))
@pytest.mark.usefixtures("importable")
def test_every_code_block_runs(page: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the README shows is run by the program that people have; the other pages call it hundreds of times.
    if (
        SESSION == "docs"
        and page != ROOT / "README.md"
        and any("tailrace " in match[2] for match in FENCE.finditer(page.read_text()))
    ):
        monkeypatch.setenv("PATH", str(request.getfixturevalue("at_hand")), prepend=os.pathsep)
    if str(page.relative_to(ROOT)) in WITH_REDIS:
        monkeypatch.setenv("BROKER", redis())
    parsers: list[Parser] = [CodeBlockParser(language="python", evaluator=Python()), shell_blocks]
    document = Sybil(parsers=parsers, path=str(page.parent)).parse(page)
    for example in document.examples():
        example.evaluate()


def test_pages_that_run_elsewhere_are_there() -> None:
    assert [page for page in ELSEWHERE if not (ROOT / page).is_file()] == []
    noxfile = (ROOT / "noxfile.py").read_text()
    sessions = {session.partition(",")[0] for session in ELSEWHERE.values()}
    assert [session for session in sessions if f'"DOCS_SESSION": "{session}"' not in noxfile] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|mailto:|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    command = re.search(r"^python3 -m venv .*nox$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert command is not None
    assert command[0] in (ROOT / ".ci" / "run").read_text()

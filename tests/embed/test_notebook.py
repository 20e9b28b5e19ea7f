"""The blocks of ``docs/how-to/embed/notebook.md`` are the cells of a notebook, which a real kernel executes."""

import re
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The cells of the page, executed."""
    shutil.copy(ROOT / "tests" / "data" / "request-log-sample.csv", tmp_path / "requests.csv")
    shutil.copy(ROOT / "tests" / "data" / "proxywhirl-sample.db", tmp_path / "proxywhirl.db")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "jupyter"))
    page = (ROOT / "docs" / "how-to" / "embed" / "notebook.md").read_text()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in BLOCK.findall(page)])
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    return list(notebook.cells)


def test_what_comes_back_shows_itself(cells: list[Any]) -> None:
    shown = {}
    for cell in cells:
        for output in cell.outputs:
            assert output.output_type == "execute_result", output
            shown[cell.source.splitlines()[-1]] = output.data
    assert list(shown) == [
        "engine.estimate(request)",
        "result",
        "engine.verify(result.artifacts[0].path)",
        "(await engine.aexport(report)).artifacts[0]",
        "job",
    ]
    assert [source for source, data in shown.items() if "text/html" not in data] == []
    assert "completed" in shown["job"]["text/html"]
    report = shown["(await engine.aexport(report)).artifacts[0]"]["text/html"]
    assert "<iframe" in report
    assert "svg" in report

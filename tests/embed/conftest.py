"""The programs that the pages of ``docs/how-to/embed`` are about, in a folder with sample data."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = re.compile(r"^```python\n(# ([\w/.]+\.py)\n.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the files of a page, as a reader would, and returns their folder."""

    def written(page: str) -> Path:
        shutil.copy(ROOT / "tests" / "data" / "request-log-sample.csv", tmp_path / "requests.csv")
        for text, name in FILE.findall((ROOT / "docs" / "how-to" / "embed" / page).read_text()):
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return written

"""Poppler, Chromium, and the health report of the sample, each made once."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from .browser import panels
from .making import Expected, expected, made
from .pictures import rendered
from .positions import Read, read

SAMPLE = Path(__file__).parent / "data" / "validation_results-sample.parquet"
DOTS = 40


def _needed(program: str, variable: str) -> str:
    found = shutil.which(program)
    if found is None:
        if os.environ.get(variable) == "1":
            pytest.fail(f"there is no {program}, and {variable}=1")
        pytest.skip(f"there is no {program}")
    return found


@pytest.fixture(scope="session")
def poppler() -> None:
    """What draws pages and reads their text."""
    for program in ("pdftoppm", "pdftotext"):
        _needed(program, "REQUIRE_POPPLER")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="session")
def said() -> Expected:
    """What the report of the sample has to say."""
    return expected(SAMPLE)


@pytest.fixture(scope="session")
def document(folder: Path) -> Path:
    """The report as PDF."""
    return made(SAMPLE, "pdf", folder)


@pytest.fixture(scope="session")
def pages(document: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The pages of the PDF as pictures."""
    request.getfixturevalue("poppler")
    return rendered(document, tmp_path_factory.mktemp("pages"), dots=DOTS)


@pytest.fixture(scope="session")
def words(document: Path, request: pytest.FixtureRequest) -> Read:
    """The words of the PDF."""
    request.getfixturevalue("poppler")
    return read(document)


@pytest.fixture(scope="session")
def browsed(folder: Path) -> list[dict[str, Any]]:
    """The panels of the report as HTML, in a browser."""
    chromium = _needed("chromium", "REQUIRE_CHROMIUM")
    return panels(chromium, made(SAMPLE, "html", folder), folder)

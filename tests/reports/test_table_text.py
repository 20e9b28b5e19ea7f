"""The text that comes out of a document is what was in its tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from .making import Expected
from .positions import lines

MARKS = "✕▲✓"
"""Of rows, in front of them."""


def _spelt(row: Sequence[str]) -> str:
    return "".join("".join(row).split())


@pytest.mark.usefixtures("poppler")
def test_every_table_of_the_pdf_comes_out_as_it_went_in(document: Path, said: Expected) -> None:
    found = [line.lstrip(MARKS) for line in lines(document)]
    assert len(said.tables) >= 3
    remaining = iter(found)
    for title, rows in said.tables.items():
        assert rows
        missing = next((row for row in rows if _spelt(row) not in remaining), None)
        assert missing is None, title
    # Nothing is in there twice, or besides.
    proxies = [line for line in found if line.startswith(("http://", "socks4://", "socks5://"))]
    wanted = [_spelt(row) for rows in said.tables.values() for row in rows if "://" in row[0]]
    assert proxies == wanted
    assert len(wanted) > 200


def test_every_table_of_the_page_comes_out_as_it_went_in(browsed: list[dict[str, Any]], said: Expected) -> None:
    found = {one["title"]: one["rows"] for one in browsed if one["rows"]}
    assert {title: found[title] for title in said.tables} == said.tables

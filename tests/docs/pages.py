"""Parts of pages that are generated: between ``<!-- generated: NAME -->`` and ``<!-- end -->``."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def part(page: str, name: str) -> str:
    """What stands in a generated part now.

    Raises:
        LookupError: The page has no such part.
    """
    found = _pattern(name).search((REFERENCE / page).read_text())
    if found is None:
        message = f"{page} has no part {name!r}: <!-- generated: {name} --> … <!-- end -->"
        raise LookupError(message)
    return found[2].strip("\n")


def write_part(page: str, name: str, text: str) -> None:
    """Put another text into a generated part."""
    path = REFERENCE / page
    path.write_text(_pattern(name).sub(lambda found: f"{found[1]}\n{text}\n{found[3]}", path.read_text()))


def kept_cells(text: str) -> dict[str, str]:
    """The last cells of the tables in a text by their first cells: what is written by hand in a generated table."""
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip(): row[-1].strip().replace("\\|", "|") for row in rows}


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- generated: {re.escape(name)} -->\n)(.*?)(\n<!-- end -->)", re.DOTALL)

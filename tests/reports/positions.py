"""Where things are on the pages of a PDF, by poppler's reading of its text."""

import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import attrs

_XHTML = "{http://www.w3.org/1999/xhtml}"
_TELLING = 4
"""Words that tell a title; a long one goes on below."""


@attrs.frozen(order=True)
class Spot:
    """Where a text begins.

    Args:
        page: From 1.
        top: Points from above.
        left: Points from the left.
        height: Of a line of it.
    """

    page: int
    top: float
    left: float
    height: float


@attrs.frozen
class Read:
    """The words of a document, and how wide its pages are."""

    words: Sequence[tuple[str, Spot]]
    width: float

    def find(self, text: str, *, behind: Spot | None = None) -> Spot | None:
        """The first place, from a spot on, where a text stands in one line."""
        wanted = text.split()[:_TELLING]
        places = (spot for spot in self._places(wanted) if behind is None or spot >= behind)
        return min(places, default=None)

    def heading(self, text: str) -> Spot | None:
        """Where a text stands in the largest letters, which is not where the contents list it."""
        return max(self._places(text.split()), key=lambda spot: spot.height, default=None)

    def _places(self, wanted: Sequence[str]) -> Iterator[Spot]:
        for number, (word, spot) in enumerate(self.words):
            if word == wanted[0]:
                here = [one for one, other in self.words[number : number + len(wanted)] if other.top == spot.top]
                if here == wanted:
                    yield spot


def read(document: Path) -> Read:
    """All words of a PDF with their places."""
    command = ["pdftotext", "-bbox-layout", str(document), "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    words: list[tuple[str, Spot]] = []
    width = 0.0
    for number, page in enumerate(ET.fromstring(done.stdout).iter(f"{_XHTML}page"), start=1):  # poppler's own
        width = float(page.attrib["width"])
        for line in page.iter(f"{_XHTML}line"):
            top, height = float(line.attrib["yMin"]), float(line.attrib["yMax"]) - float(line.attrib["yMin"])
            words += [
                (word.text or "", Spot(number, top, float(word.attrib["xMin"]), height))
                for word in line.iter(f"{_XHTML}word")
            ]
    return Read(words, width)


def lines(document: Path) -> list[str]:
    """The lines of a PDF, without any space."""
    command = ["pdftotext", "-layout", str(document), "-"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return ["".join(line.split()) for line in done.stdout.splitlines()]

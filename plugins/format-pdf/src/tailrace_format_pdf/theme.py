"""How pages look: sizes in points, colours as operators set them."""

from collections.abc import Mapping
from typing import Literal

MM = 72 / 25.4
MARGIN = 15 * MM
HEAD, FOOT = 12 * MM, 12 * MM
"""Room above and below the text for the running lines, inside the margins."""
GUTTER = 4 * MM

TITLE, SUBTITLE, H1, H2, TEXT, SMALL, KEY = 22.0, 11.0, 15.0, 10.0, 9.0, 7.0, 22.0
TABLE_SIZES = (8.0, 7.5, 7.0)
LEAST = 6.5
"""The smallest type, which can still be read at 100 %."""
LEADING = 1.35
PAD = 4.5
"""Room on both sides of a cell's text."""

INK, QUIET, FAINT = "0.13 0.15 0.18", "0.40 0.43 0.47", "0.62 0.65 0.69"
RULE, ZEBRA, TILE, WHITE = "0.83 0.85 0.88", "0.962 0.968 0.976", "0.972 0.977 0.984", "1 1 1"
MARKS: Mapping[str, tuple[str, str, str]] = {
    "good": ("\N{CHECK MARK}", "0.09 0.44 0.25", "0.925 0.967 0.937"),
    "warning": ("\N{BLACK UP-POINTING TRIANGLE}", "0.68 0.40 0.02", "1 0.961 0.875"),
    "bad": ("\N{MULTIPLICATION X}", "0.72 0.11 0.11", "0.995 0.918 0.912"),
}
"""Of each mark: its sign, its colour, and the colour behind its row."""
PLAIN_SIGNS = {"good": "+", "warning": "!", "bad": "x"}
"""For fonts that do not have the signs."""

Orientation = Literal["portrait", "landscape"]
PAPERS: Mapping[str, tuple[float, float]] = {"A4": (595.28, 841.89), "Letter": (612.0, 792.0)}


def colour(hexadecimal: str) -> str:
    """A colour ``#rrggbb`` as operators set it."""
    return " ".join(f"{int(hexadecimal[at : at + 2], 16) / 255:.3g}" for at in (1, 3, 5))

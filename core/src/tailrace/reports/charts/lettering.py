"""Texts in charts: which fonts they are set in, how wide they are, and what cannot be written."""

import dataclasses
import hashlib
import unicodedata
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from tailrace.model.errors import ConfigurationError
from tailrace.reports.fonts import DocumentFonts

if TYPE_CHECKING:
    from matplotlib.ft2font import FT2Font

POINT = 25.4 / 72
"""Millimetres."""
_EM = 1000
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_JOINERS = "\u200c\u200d"
_ELLIPSIS = "…"


@attrs.frozen
class Lettering:
    """Fonts that characters are looked for in, in order.

    Args:
        families: Their names for matplotlib.
        fonts: The fonts.
    """

    families: tuple[str, ...]
    fonts: tuple["Face", ...]

    @classmethod
    def of(cls, fonts: DocumentFonts) -> "Lettering":
        """The fonts of a document, as far as charts can use them.

        Raises:
            ConfigurationError: The first of them is no font.
        """
        first = _face(fonts.regular, *_stamp(fonts.regular))
        if first is None:
            message = f"The file {fonts.regular} is no font that charts can be set in."
            raise ConfigurationError(message, hint="Name another TrueType or OpenType file in the section [brand].")
        others = [_face(path, *_stamp(path)) for path in fonts.fallbacks]
        faces = (first, *(face for face in others if face is not None))
        return cls(tuple(face.family for face in faces), faces)

    def readable(self, text: str) -> str:
        """A text as one line of characters that can be written; others become U+FFFD."""
        line = " ".join("".join(map(_harmless, text)).split())
        return "".join(one if self._face_of(one) else _UNKNOWN for one in line)

    def width(self, text: str, points: float) -> float:
        """How wide a readable text is, in millimetres."""
        ems = sum(face.advance(one) for one in text if (face := self._face_of(one)))
        return ems / _EM * points * POINT

    def shortened(self, text: str, points: float, most: float) -> str:
        """A readable text that is at most so wide: of a longer one, both ends, which is where names differ."""
        if len(text) * points * POINT * 2 <= most or self.width(text, points) <= most:
            return text
        kept = len(text) - 1
        # From a first guess down: what is kept of a long text is short.
        kept = min(kept, max(1, int(most / (points * POINT) * 4)))
        while kept > 1 and self.width(_cut(text, kept), points) > most:
            kept -= max(1, kept // 12)
        return _cut(text, kept)

    def _face_of(self, character: str) -> "Face | None":
        return next((face for face in self.fonts if face.has(character)), None)


@attrs.frozen(eq=False)
class Face:
    """One font.

    Args:
        family: Its name for matplotlib.
        font: What measures it.
        characters: The code points that it has.
    """

    family: str
    font: "FT2Font" = attrs.field(repr=False)
    characters: frozenset[int] = attrs.field(repr=False)
    _advances: dict[str, float] = attrs.field(factory=dict, init=False, repr=False)

    def has(self, character: str) -> bool:
        """Whether it has a character."""
        return ord(character) in self.characters

    def advance(self, character: str) -> float:
        """How far a character moves the pen, in thousandths of the size."""
        if character not in self._advances:
            from matplotlib.ft2font import LoadFlags

            glyph = self.font.load_char(ord(character), flags=LoadFlags.NO_HINTING)
            self._advances[character] = glyph.linearHoriAdvance / 65536 * _EM / _MEASURED
        return self._advances[character]


_MEASURED = 100.0
"""Points at which fonts are measured."""


def _stamp(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size


@lru_cache(maxsize=64)
def _face(path: Path, modified: int, size: int) -> Face | None:
    """A font of a file as it is now; None for one that cannot be drawn in any size, such as coloured pictures."""
    from matplotlib.font_manager import fontManager, ttfFontProperty
    from matplotlib.ft2font import FT2Font

    try:
        font = FT2Font(str(path))
        font.set_size(_MEASURED, 72)
        entry = ttfFontProperty(font)
    except (RuntimeError, OSError):
        return None
    # A name of its own, which nothing else asks for: the host's figures look the same with it and without.
    told = f"{path} {modified} {size}"
    family = f"tailrace-{hashlib.sha256(told.encode()).hexdigest()[:12]}"
    named = dataclasses.replace(entry, name=family, style="normal", variant="normal", weight=400, stretch="normal")
    fontManager.ttflist.append(named)
    return Face(family, font, frozenset(font.get_charmap()))


def _harmless(character: str) -> str:
    category = unicodedata.category(character)
    if category in {"Cc", "Zl", "Zp", "Zs"}:
        return " "
    return "" if category == "Cf" and character not in _JOINERS else character


def _cut(text: str, kept: int) -> str:
    tail = kept // 3
    return f"{text[: kept - tail]}{_ELLIPSIS}{text[len(text) - tail :]}"

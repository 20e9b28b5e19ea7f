"""The fonts of a document, and texts in them: which font has which character, how wide it is, how it is written.

A text is set in the document's font. One with a character that this does not have is set in the first of the other
fonts that has all of it, so that a word looks like one; where no font has all, each part is set in a font that has it.
"""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import attrs

from tailrace import ConfigurationError
from tailrace_format_pdf.arabic import Drawn, drawn_order, is_arabic, is_from_the_right
from tailrace_format_pdf.inside import Book, EmbeddedFont, characters_of, reordered

STAND_INS = (0xFFFD, 0x25A1, ord("?"))
"""What is drawn for a character that no font has: the first of these that the document's font has."""
_PICTURES, _DELETE, _LAST_CONTROL = 0x2400, 0x7F, 0x20
_UNSEEN = frozenset({"Cf"})
_SELECTORS = frozenset(range(0xFE00, 0xFE10))


@attrs.frozen
class Run:
    """Characters in one font.

    Args:
        font: What content streams call the font.
        codes: What they call the characters, in hexadecimal digits.
        advance: How wide it is, for a size of 1.
    """

    font: str
    codes: str
    advance: float


@attrs.define
class _Fallback:
    """A font for characters that others do not have; it is in the document as soon as one of its characters is."""

    path: Path
    characters: frozenset[int] | None = None
    font: EmbeddedFont | None = None

    def has_all(self, codes: frozenset[int]) -> bool:
        if self.characters is None:
            self.characters = characters_of(self.path)
        return codes <= self.characters

    def has(self, code: int) -> bool:
        return self.has_all(frozenset((code,)))


class Faces:
    """The fonts of a document.

    Args:
        book: The document.
        regular: File of the font for text.
        bold: File of the font for headings.
        fallbacks: Files of fonts for characters that these do not have, in order.
    """

    def __init__(self, book: Book, regular: Path, bold: Path, fallbacks: Sequence[Path]) -> None:
        self._book = book
        self._fallbacks = [_Fallback(path) for path in fallbacks]
        self._primary = [self._needed(regular), self._needed(regular if bold == regular else bold)]
        self._runs: dict[tuple[str, bool], tuple[Run, ...]] = {}
        self._plain: tuple[dict[str, tuple[str, float]], ...] = ({}, {})
        self.missing: dict[int, int] = {}
        """How many different texts each character is in that no font has."""

    def show(self, text: str, *, size: float, bold: bool = False) -> bytes:
        """The operators that draw a text at the current text position, with the fonts that it needs."""
        return self.shown(text, size=size, bold=bold).encode("ascii")

    def width(self, text: str, *, size: float, bold: bool = False) -> float:
        """How wide a text is, in points."""
        return size * sum(run.advance for run in self.runs(text, bold=bold))

    def shown(self, text: str, *, size: float, bold: bool = False) -> str:
        """The same as :meth:`show`, as text."""
        return " ".join(f"/{run.font} {size:g} Tf <{run.codes}> Tj" for run in self.runs(text, bold=bold))

    def advances(self, text: str, *, bold: bool = False) -> Sequence[float]:
        """How wide each character of a text is, for a size of 1; of forms that depend on neighbours, about."""
        own, font = self._primary[bold], self.font_for(frozenset(map(ord, text)), bold=bold)
        if font is not None:
            return [font.advance(ord(one)) for one in text]
        known = {one: self._advance(ord(one), own, bold=bold) for one in sorted(set(text))}
        return [known[one] for one in text]

    def primary(self, *, bold: bool = False) -> EmbeddedFont:
        """The font that text is set in, as long as it has all of it."""
        return self._primary[bold]

    def runs(self, text: str, *, bold: bool = False) -> tuple[Run, ...]:
        """A line of text as it is drawn, from the left; it is remembered."""
        key = (text, bold)
        found = self._runs.get(key)
        if found is None:
            found = self._runs[key] = self._set(visible(text), bold=bold)
        return found

    def font_for(self, codes: frozenset[int], *, bold: bool = False) -> EmbeddedFont | None:
        """The first font that has all of the characters, if there is one."""
        own = self._primary[bold]
        if all(own.has(code) for code in codes):
            return own
        for one in self._fallbacks:
            if one.has_all(codes):
                return self._opened(one)
        return None

    def _set(self, text: str, *, bold: bool) -> tuple[Run, ...]:
        if not text:
            return ()
        own = self._primary[bold]
        if text.isascii():
            return self._set_plain(text, own, bold=bold)
        font = self.font_for(frozenset(map(ord, text)), bold=bold)
        if is_from_the_right(text):
            main = font or self.font_for(frozenset(code for code in map(ord, text) if is_arabic(code)), bold=bold)
            drawn = drawn_order(text, reordered(text), (main or own).has)
        else:
            drawn = [Drawn(code, (code,)) for code in map(ord, text)]
        runs: list[Run] = []
        for one in drawn:
            used, code, advance = self._glyph(one, font, own)
            if runs and runs[-1].font == used.name:
                last = runs.pop()
                runs.append(Run(used.name, f"{last.codes}{code:04X}", last.advance + advance))
            else:
                runs.append(Run(used.name, f"{code:04X}", advance))
        return tuple(runs)

    def _set_plain(self, text: str, own: EmbeddedFont, *, bold: bool) -> tuple[Run, ...]:
        """Most texts are of few characters, which every font has."""
        known = self._plain[bold]
        for one in sorted(set(text) - known.keys()):
            used, code, advance = self._glyph(Drawn(ord(one), (ord(one),)), own, own)
            if used is not own:
                return tuple(
                    Run(used.name, f"{code:04X}", advance) for used, code, advance in self._one_by_one(text, own)
                )
            known[one] = (f"{code:04X}", advance)
        return (Run(own.name, "".join(known[one][0] for one in text), sum(known[one][1] for one in text)),)

    def _one_by_one(self, text: str, own: EmbeddedFont) -> list[tuple[EmbeddedFont, int, float]]:
        return [self._glyph(Drawn(code, (code,)), None, own) for code in map(ord, text)]

    def _glyph(self, one: Drawn, font: EmbeddedFont | None, own: EmbeddedFont) -> tuple[EmbeddedFont, int, float]:
        used = (
            font
            if font is not None and font.has(one.form)
            else self.font_for(frozenset((one.form,)), bold=own is self._primary[1])
        )
        if used is not None:
            if one.characters == (one.form,):
                return used, used.code(one.form), used.advance(one.form)
            return used, used.code_of_form(one.form, one.characters), used.advance(one.form)
        self.missing[one.form] = self.missing.get(one.form, 0) + 1
        stand_in = next((code for code in STAND_INS if own.has(code)), None)
        return (own, 0, 0.0) if stand_in is None else (own, own.code(stand_in), own.advance(stand_in))

    def _advance(self, code: int, own: EmbeddedFont, *, bold: bool) -> float:
        font = self.font_for(frozenset((code,)), bold=bold)
        if font is not None:
            return font.advance(code)
        return next((own.advance(other) for other in STAND_INS if own.has(other)), 0.0)

    def _opened(self, one: _Fallback) -> EmbeddedFont | None:
        if one.font is None:
            one.font = self._book.add_font(one.path)
            if one.font is None:
                one.characters = frozenset()
        return one.font

    def _needed(self, path: Path) -> EmbeddedFont:
        font = self._book.add_font(path)
        if font is None:
            raise ConfigurationError(
                f"The font {path.name} cannot be used: it is missing, or no TrueType or OpenType font with outlines.",
                hint='Name another one in the settings: font = "…" in [brand].',
            )
        return font


def visible(text: str) -> str:
    """A line as it can be drawn: what has no look is left out or shown by a sign."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(sign for one in text if (sign := _sign(one)))


def _sign(one: str) -> str:
    code = ord(one)
    if one in "\t\n\r\v\f\u2028\u2029\x85":
        return " "
    if code < _LAST_CONTROL:
        return chr(_PICTURES + code)
    if code == _DELETE:
        return "\u2421"
    if unicodedata.category(one) in _UNSEEN or code in _SELECTORS:
        return ""
    return one

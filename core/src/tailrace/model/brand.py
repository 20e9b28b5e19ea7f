"""What the documents of one house have in common: name, logo, colours, fonts, paper."""

import re
from pathlib import Path
from typing import Literal

import attrs

from tailrace.model.errors import ConfigurationError

Paper = Literal["A4", "Letter"]

PALETTE = ("#0b5fae", "#d9822b", "#2a8c82", "#a33f6f", "#6b6ecf", "#8a7a2f", "#4f5b66")
"""Told apart with every common kind of colour blindness, and by their lightness in grey."""


def _check(name: str, colour: str) -> None:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", colour):
        raise ConfigurationError(f"{name}: a colour is written #0b5fae")


def _colour(_brand: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    _check(attribute.name, value)


def _colours(_brand: object, attribute: "attrs.Attribute[tuple[str, ...]]", value: tuple[str, ...]) -> None:
    if not value:
        raise ConfigurationError(f"{attribute.name} has at least one colour, such as #0b5fae")
    for colour in value:
        _check(attribute.name, colour)


@attrs.frozen
class Brand:
    """How documents look: the settings ``[brand]``.

    Args:
        name: Whose documents they are; stands at the head of each page.
        logo: A PNG or SVG file, on the first page.
        accent: Colour of headings and rules, ``#rrggbb``.
        palette: Colours of series in charts, in order.
        font: A TrueType or OpenType file for text; DejaVu Sans when not given.
        bold_font: The same for headings; ``font`` when only that is given.
        fallback_fonts: Files for characters that the font does not have (Chinese, emoji …), tried in order before
            those that the system has.
        footer: A line at the foot of each page.
        paper: Size of pages.
    """

    name: str = ""
    logo: Path | None = None
    accent: str = attrs.field(default=PALETTE[0], validator=_colour)
    palette: tuple[str, ...] = attrs.field(default=PALETTE, validator=_colours)
    font: Path | None = None
    bold_font: Path | None = None
    fallback_fonts: tuple[Path, ...] = ()
    footer: str = ""
    paper: Paper = "A4"

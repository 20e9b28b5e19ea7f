"""The fonts of a document: of the brand, or DejaVu Sans; and where characters come from that these do not have."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

import attrs

from tailrace.model.brand import Brand
from tailrace.model.errors import ConfigurationError

_SYSTEM_FONTS = (
    # Chinese, Japanese, Korean
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/droid/DroidSansFallback.ttf",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "/Library/Fonts/Arial Unicode.ttf",
    "C:/Windows/Fonts/msyh.ttc",
    "C:/Windows/Fonts/malgun.ttf",
    # Arabic, Hebrew, the scripts of India, Thai
    "/usr/share/fonts/truetype/noto/NotoSansArabic-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSansHebrew-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSansDevanagari-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSansThai-Regular.ttf",
    "C:/Windows/Fonts/segoeui.ttf",
    # Symbols and emoji in one colour; fonts of coloured pictures are no outlines, which documents are made of
    "/usr/share/fonts/truetype/noto/NotoEmoji-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSansSymbols-Regular.ttf",
    "/usr/share/fonts/truetype/noto/NotoSansSymbols2-Regular.ttf",
    "/usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf",
    "/usr/share/fonts/truetype/symbola/Symbola.ttf",
    "C:/Windows/Fonts/seguisym.ttf",
    # What the font of the brand may lack, and the one that is everywhere has
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
)
_SUFFIXES = frozenset({".ttf", ".otf", ".ttc"})


@attrs.frozen
class DocumentFonts:
    """Files of the fonts that a document is set in.

    Args:
        regular: For text.
        bold: For headings.
        fallbacks: For characters that ``regular`` and ``bold`` do not have, in order.
    """

    regular: Path
    bold: Path
    fallbacks: tuple[Path, ...]


def document_fonts(brand: Brand) -> DocumentFonts:
    """The fonts that there are.

    Args:
        brand: Whose fonts come first.

    Raises:
        ConfigurationError: A file of the brand is missing or no font, or there is no DejaVu Sans.
    """
    own = [(name, path) for name, path in (("font", brand.font), ("bold_font", brand.bold_font)) if path is not None]
    for name, path in [*own, *(("fallback_fonts", path) for path in brand.fallback_fonts)]:
        _check(name, path)
    shipped = _shipped()
    regular = brand.font or shipped / "DejaVuSans.ttf"
    bold = brand.bold_font or brand.font or shipped / "DejaVuSans-Bold.ttf"
    there = _existing([*brand.fallback_fonts, *map(Path, _SYSTEM_FONTS), shipped / "DejaVuSans.ttf"])
    return DocumentFonts(regular, bold, tuple(path for path in there if path != regular))


def _check(name: str, path: Path) -> None:
    if not path.is_file():
        message = f"The font {path} ({name}) is not there."
        raise ConfigurationError(message, hint=f"Mend {name} in the section [brand] of the settings, or leave it out.")
    if path.suffix.lower() not in _SUFFIXES:
        message = f"The file {path} ({name}) is no TrueType or OpenType font."
        raise ConfigurationError(message, hint="Name a file that ends in .ttf, .otf or .ttc.")


def _shipped() -> Path:
    """The folder of the fonts that come with matplotlib, found without importing it."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        message = "Documents need DejaVu Sans, which comes with matplotlib, and that is not installed."
        raise ConfigurationError(message, hint="Install it: pip install 'tailrace-core[charts]'")
    return Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"


def _existing(paths: Iterable[Path]) -> list[Path]:
    return [path for path in dict.fromkeys(paths) if path.is_file()]

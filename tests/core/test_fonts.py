"""The fonts of documents."""

import subprocess
import sys
from pathlib import Path

import pytest

from tailrace import Brand, ConfigurationError, document_fonts


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A font of the house."""
    file = tmp_path / "House.ttf"
    file.write_bytes(document_fonts(Brand()).regular.read_bytes())
    return file


def test_documents_are_set_in_dejavu_sans() -> None:
    fonts = document_fonts(Brand())
    assert (fonts.regular.name, fonts.bold.name) == ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
    assert fonts.regular.is_file()
    assert fonts.bold.is_file()
    assert all(path.is_file() for path in fonts.fallbacks)
    assert fonts.regular not in fonts.fallbacks


def test_the_fonts_of_the_brand_come_first(other: Path) -> None:
    plain = document_fonts(Brand())
    fonts = document_fonts(Brand(font=other))
    assert (fonts.regular, fonts.bold) == (other, other)
    assert fonts.fallbacks == (*plain.fallbacks, plain.regular)
    fonts = document_fonts(Brand(font=plain.bold, bold_font=other, fallback_fonts=(other,)))
    assert (fonts.regular, fonts.bold, fonts.fallbacks[0]) == (plain.bold, other, other)


@pytest.mark.parametrize("name", ["font", "bold_font", "fallback_fonts"])
def test_a_font_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    missing = tmp_path / "none.ttf"
    value = (missing,) if name == "fallback_fonts" else missing
    with pytest.raises(ConfigurationError, match=r"The font .*none\.ttf \(" + name) as caught:
        document_fonts(Brand(**{name: value}))  # type: ignore[arg-type]  # by name
    assert caught.value.hint == f"Mend {name} in the section [brand] of the settings, or leave it out."


def test_a_file_that_is_no_font_is_refused(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="is no TrueType or OpenType font"):
        document_fonts(Brand(font=tmp_path / "logo.png"))


def test_fonts_are_found_without_importing_matplotlib() -> None:
    code = "import sys; from tailrace import *; document_fonts(Brand()); assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code.replace("*", "Brand, document_fonts")], check=True)

"""The one place that knows the inside of fpdf2, which makes the document around the pages: fonts, links, files, output.

Pages are written as content streams, a whole page at a time. fpdf2 has no door for that: its own functions take a
cell or a line at a time, and look at each character of it. So these private names are used here, and nowhere else:

- ``FPDF.fonts`` and ``TTFFont.cmap``, ``cw``, ``subset``, ``ttfont``: which characters a font has, how wide they are,
  and what they are called in the subset that is embedded;
- ``FPDF._resource_catalog.graphics_styles``: names of degrees of transparency;
- ``FPDF.struct_builder``: what is marked for those who do not see;
- ``FPDF._outline``, for bookmarks to any place; ``FPDF._compliance``, see :class:`_Producer`;
- ``OutputProducer._add_pages``, ``_add_info``, and the content of a stream, to compress pages as they are finished;
- ``fpdf.bidi.BidiParagraph``: the Unicode algorithm for right-to-left text.

They are as they are used here from fpdf2 2.8.6 to 2.8.9.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import attrs
from fontTools.ttLib import TTFont, TTLibError
from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection
from fpdf.fonts import TTFFont
from fpdf.outline import OutlineSection
from fpdf.output import OutputProducer, PDFInfo, PDFPage
from fpdf.syntax import DestinationXYZ, Name, PDFContentStream

from tailrace_format_pdf.metadata import Metadata, sayable
from tailrace_format_pdf.squeeze import Squeezed, squeezed

Relationship = Literal["Data", "Source", "Supplement"]
_UNITS = 1000
_OUTLINES = frozenset({"glyf", "CFF "})


class EmbeddedFont:
    """A font of the document, of which only what is used is embedded.

    Args:
        name: What content streams call it.
        font: What fpdf2 made of the file.
    """

    def __init__(self, name: str, font: TTFFont) -> None:
        self.name = name
        self._font = font

    def has(self, character: int) -> bool:
        """Whether it has a character."""
        return character in self._font.cmap

    def advance(self, character: int) -> float:
        """How wide a character is that it has, for a size of 1."""
        return float(self._font.cw[character]) / _UNITS

    def code(self, character: int) -> int:
        """What a character that it has is called in content streams."""
        return int(self._font.subset.pick(character) or 0)

    def code_of_form(self, form: int, characters: Sequence[int]) -> int:
        """What the form of a character is called, which reads as the given characters when text is taken out."""
        name = self._font.cmap[form]
        glyph = self._font.subset.get_glyph(
            glyph=self._font.ttfont.getGlyphID(name),
            unicode=tuple(characters),
            glyph_name=name,
            glyph_width=int(self._font.cw[form]),
        )
        return int(self._font.subset.pick_glyph(glyph) or 0)


@attrs.frozen
class Attachment:
    """A file in the document.

    Args:
        name: Its name.
        content: Its bytes.
        media_type: What it is.
        relationship: What it is to the document.
        description: What it is, for people.
    """

    name: str
    content: bytes = attrs.field(repr=False)
    media_type: str
    relationship: Relationship
    description: str


@attrs.frozen
class Mark:
    """What a part of a page is, for those who do not see it: ``H1``, ``H2``, ``P``, ``Figure`` …; with words for it."""

    kind: str
    alternative: str = ""


class _Producer(OutputProducer):
    """Puts pages into the file that are compressed already, and no date where there is none.

    fpdf2 leaves out what readers of older standards show (``/Info``) where it keeps to PDF/A; PDF/A-3 allows it as
    long as it says the same, and viewers look there.
    """

    def bufferize(self) -> bytearray:
        self.fpdf._compliance = None  # noqa: SLF001 - see above; all that it checks has been checked
        return super().bufferize()

    def _add_info(self) -> PDFInfo:
        info = super()._add_info()
        if not isinstance(self.fpdf, _Pages) or not self.fpdf.dated:
            info.creation_date = None  # type: ignore[assignment]  # left out then
        return info

    def _add_pages(self, *args: Any) -> list[PDFPage]:
        # What it would compress is empty.
        self.fpdf.compress = False
        pages = super()._add_pages(*args)
        self.fpdf.compress = True
        for page in pages:
            stream = page.contents
            if isinstance(self.fpdf, _Pages) and isinstance(stream, PDFContentStream):
                _replace(stream, self.fpdf.squeezed.pop(page.index()))
        return pages


def _replace(stream: PDFContentStream, content: bytes) -> None:
    """Put content that is compressed already into a stream."""
    stream._contents = content  # noqa: SLF001 - see above
    stream.length = len(content)
    stream.filter = Name("FlateDecode")


class _Pages(FPDF):
    """fpdf2's document, whose pages are held compressed until it is made."""

    def __init__(self, size: tuple[float, float]) -> None:
        super().__init__(unit="pt", format=size, enforce_compliance="PDF/A-3U")
        self.squeezed: dict[int, bytes] = {}
        self.dated = False


class Book:
    """A document in the making.

    Args:
        size: Width and height of its pages, in points; may be changed as long as there is none.
    """

    def __init__(self, size: tuple[float, float] = (595.28, 841.89)) -> None:
        self.size = size
        self._pdf = _Pages(size)
        self._pdf.set_auto_page_break(auto=False)
        # All pages share what they are made with: nothing needs to be told page by page.
        self._pdf.single_resources_object = True
        # Colour fonts need another encoding, and are not in PDF/A; their outlines will do.
        self._pdf.render_color_fonts = False
        self._streams: list[Squeezed] = []
        self._marks: dict[int, int] = {}

    @property
    def pages(self) -> int:
        """How many pages there are."""
        return len(self._streams)

    def add_font(self, path: Path) -> EmbeddedFont | None:
        """Take a font into the document; None if it has no outlines or cannot be read."""
        try:
            if not _OUTLINES & set(_opened(path).keys()):
                return None
            family = f"f{len(self._pdf.fonts) + 1}"
            self._pdf.add_font(family, fname=path)
        except (OSError, TTLibError, ValueError, NotImplementedError):
            return None
        made = self._pdf.fonts[family]
        if not isinstance(made, TTFFont):
            return None
        # It reads on when it is needed: from memory, so that no file stays open when there is no document in the end.
        file = made.ttfont.reader.file
        file.seek(0)
        made.ttfont.reader.file = BytesIO(file.read())
        file.close()
        return EmbeddedFont(f"F{made.i}", made)

    def add_alphas(self, alphas: Mapping[str, float]) -> None:
        """Make names of degrees of transparency known."""
        styles = self._pdf._resource_catalog.graphics_styles  # noqa: SLF001 - see above
        for name, alpha in alphas.items():
            styles[f"<< /Type /ExtGState /CA {alpha:.4g} /ca {alpha:.4g} >>"] = Name(name)

    def add_page(self) -> int:
        """Begin a page, and give its number, from 1."""
        self._pdf.add_page(format=self.size)
        self._pdf.pages[self._pdf.page].contents = bytearray()
        self._streams.append(Squeezed())
        return len(self._streams)

    def write(self, content: bytes, page: int) -> None:
        """Write operators on a page."""
        self._streams[page - 1].add(content)

    def marked(self, content: bytes, mark: Mark | None, page: int) -> bytes:
        """Operators of a page, marked as what they are; as decoration for None."""
        if mark is None:
            return b"/Artifact BMC\n" + content + b"\nEMC\n"
        number = self._marks.get(page, 0)
        self._marks[page] = number + 1
        _, parents = self._pdf.struct_builder.add_marked_content(
            page, f"/{mark.kind}", number, alt_text=sayable(mark.alternative) or None
        )
        self._pdf.pages[page].struct_parents = parents
        return b"/%s <</MCID %d>> BDC\n" % (mark.kind.encode(), number) + content + b"\nEMC\n"

    def image(self, path: Path, *, left: float, top: float, width: float, height: float) -> bytes:
        """The operators that draw a picture into a box of the last page; ``top`` from above.

        Raises:
            ValueError: It is no picture that can be drawn.
        """
        page = self._pdf.pages[self._pdf.page]
        page.contents = bytearray()
        try:
            self._pdf.image(path, x=left, y=top, w=width, h=height, keep_aspect_ratio=True)
        except Exception as error:  # whatever its readers of pictures say
            raise ValueError(str(error)) from error
        contents, page.contents = page.contents, bytearray()
        return bytes(contents) if isinstance(contents, bytearray) else b""

    def add_bookmark(self, text: str, *, level: int, page: int, top: float) -> None:
        """Add a bookmark to a place; ``top`` from below, as in content streams."""
        place = DestinationXYZ(page, top=top)
        self._pdf._outline.append(OutlineSection(sayable(text), level, page, place))  # noqa: SLF001 - see above

    def add_link(
        self, *, page: int, left: float, top: float, width: float, height: float, to: tuple[int, float]
    ) -> None:
        """Make an area of a page, given from above, lead to another page and place, given from below."""
        target = self._pdf.add_link(page=to[0], y=self.size[1] - to[1])
        now, self._pdf.page = self._pdf.page, page
        self._pdf.link(left, top, width, height, target)
        self._pdf.page = now

    def finished(self, metadata: Metadata, attachments: Sequence[Attachment]) -> bytearray:
        """The bytes of the document."""
        pdf = self._pdf
        pdf.set_title(metadata.title)
        pdf.set_subject(metadata.subject)
        pdf.set_author(metadata.author)
        pdf.set_creator(metadata.creator)
        pdf.set_producer(metadata.producer)
        pdf.set_lang(metadata.language)
        pdf.dated = metadata.moment is not None
        # The identifier of the file is made of it in any case.
        pdf.set_creation_date(metadata.moment or datetime.fromtimestamp(0, UTC))
        pdf.set_xmp_metadata(metadata.xmp())
        # Readers look names up by halving.
        for one in sorted(attachments, key=lambda one: one.name):
            file = pdf.embed_file(
                bytes=one.content,
                basename=one.name,
                mime_type=one.media_type,
                associated_file_relationship=one.relationship,
                modification_date=metadata.moment,
                desc=sayable(one.description),
            )
            _replace(file, squeezed(one.content))
        pdf.squeezed = {number: stream.finish() for number, stream in enumerate(self._streams, start=1)}
        return pdf.output(output_producer_class=_Producer)


def characters_of(path: Path) -> frozenset[int]:
    """The characters that a font has which can be embedded; none of one that cannot."""
    try:
        font = _opened(path)
        return frozenset(font.getBestCmap() or ()) if _OUTLINES & set(font.keys()) else frozenset()
    except (OSError, TTLibError):
        return frozenset()


def _opened(path: Path) -> TTFont:
    """A font, read as a whole: fontTools leaves a file open that is none."""
    return TTFont(BytesIO(path.read_bytes()), fontNumber=0, lazy=True)


def reordered(text: str) -> Sequence[tuple[int, bool]]:
    """In which order the characters of a line that reads from the left are drawn.

    Returns:
        From the left: the number of each, and whether it stands in text from the right.
    """
    paragraph = BidiParagraph(text, base_direction=TextDirection.LTR)
    return [(one.character_index, one.embedding_level % 2 == 1) for one in paragraph.get_reordered_characters()]

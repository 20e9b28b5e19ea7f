"""A report as a document: its head, its contents, its sections, and the files that go with it."""

from collections.abc import Sequence

import attrs

from tailrace import ConfigurationError, RequestError, Section, WriteCall, document_fonts
from tailrace import __version__ as VERSION  # noqa: N812 - a constant
from tailrace_format_pdf.attachments import attachments
from tailrace_format_pdf.columns import wish
from tailrace_format_pdf.faces import Faces
from tailrace_format_pdf.grids import Collected
from tailrace_format_pdf.inside import Book, Mark
from tailrace_format_pdf.metadata import Metadata
from tailrace_format_pdf.options import PdfOptions
from tailrace_format_pdf.panels import Block, Ink, TableBlock, block_of
from tailrace_format_pdf.pen import Pen, rule
from tailrace_format_pdf.sections import draw_section
from tailrace_format_pdf.sheet import Pages, Sheet, dots, running_lines
from tailrace_format_pdf.theme import (
    FAINT,
    H2,
    INK,
    LEADING,
    MARGIN,
    PAPERS,
    QUIET,
    SUBTITLE,
    TEXT,
    TITLE,
)
from tailrace_format_pdf.wording import facts

_LOGO_WIDTH, _LOGO_HEIGHT = 110.0, 34.0
_COLUMNS, _EXAMPLES = 12, 8
_ENTRY = 15.0
"""Height of an entry of the contents."""
_FACT = 62.0
"""Width of the names of what stands below the title."""


@attrs.frozen
class Entry:
    """A line of the contents, to be written when it is known where a section is."""

    page: int
    y: float


def write_document(call: WriteCall) -> None:
    """Write the document of a call.

    Raises:
        RequestError: A column that a document cannot show.
        ConfigurationError: A font or the logo of the brand is missing.
    """
    options: PdfOptions = call.options
    tables = {}
    for table in call.tables:
        if not table.columns:
            message = f"Table {table.name} has no columns: there is nothing to write."
            raise RequestError(message, hint="Ask for at least one column.")
        tables[table.name] = Collected(table, table.frame.collect(engine="streaming"))
        call.context.check()
    fonts = document_fonts(call.brand)
    book = Book()
    faces = Faces(book, fonts.regular, fonts.bold, fonts.fallbacks)
    ink = Ink(book, Pen(faces), call.brand, fonts, call.time_zone, tables, options.most_rows)
    parts = [(section, [block_of(panel, ink) for panel in section.panels]) for section in call.report.sections]
    sheet = _sheet(call, parts, faces)
    book.size = (sheet.width, sheet.height)
    pages = Pages(book, sheet)
    pages.begin()
    _draw_head(call, ink, pages)
    entries = _reserve_contents(call, ink, pages)
    places = []
    for number, (section, blocks) in enumerate(parts):
        call.context.check()
        places.append(draw_section(section, blocks, ink, pages, is_first=not number))
    _write_contents(call.report.sections, entries, places, ink, sheet)
    running_lines(book, sheet, ink.pen, call.brand, call.report.title)
    _tell(call, parts, faces)
    content = book.finished(_metadata(call), list(attachments(call.embedded, tables, call.report)))
    call.context.check()
    call.output.write(content)


def _sheet(call: WriteCall, parts: Sequence[tuple[Section, Sequence[Block]]], faces: Faces) -> Sheet:
    """The size of pages; landscape where a table over the whole width has no room otherwise."""
    options: PdfOptions = call.options
    short, long = PAPERS[call.brand.paper if options.paper == "brand" else options.paper]
    upright = Sheet(short, long)
    wishes = [
        wish(block.grid, faces) * _COLUMNS / block.panel.width
        for _, blocks in parts
        for block in blocks
        if isinstance(block, TableBlock)
    ]
    is_wide = options.orientation == "landscape" or (
        options.orientation == "auto" and max(wishes, default=0.0) > upright.room
    )
    return Sheet(long, short) if is_wide else upright


def _draw_head(call: WriteCall, ink: Ink, pages: Pages) -> None:
    """What stands above everything: whose report, what it is called, what it is about."""
    sheet, pen, brand, report = pages.sheet, ink.pen, call.brand, call.report
    pages.y = sheet.height - MARGIN
    room = sheet.room
    if brand.logo is not None:
        _draw_logo(ink, pages)
        room -= _LOGO_WIDTH + 12
    if brand.name:
        name = pen.shortened(brand.name, width=room, size=TEXT, bold=True)
        _line(ink, pages, [name], TEXT, bold=True, colour=ink.accent)
        pages.y -= 8
    _line(ink, pages, pen.lines(report.title, width=room, size=TITLE, bold=True), TITLE, bold=True, kind="H1")
    _line(ink, pages, pen.lines(report.subtitle, width=room, size=SUBTITLE), SUBTITLE, colour=QUIET)
    if brand.logo is not None:
        pages.y = min(pages.y, sheet.height - MARGIN - _LOGO_HEIGHT)
    pages.y -= 9
    bar = rule(x=sheet.left, y=pages.y, width=sheet.room, colour=ink.accent, thickness=1.6)
    ink.book.write(ink.book.marked(bar, None, pages.page), pages.page)
    pages.y -= 9
    options: PdfOptions = call.options
    moment = call.moment if options.stamped else None
    for name, text in facts(report.basis, call.time_zone, moment, call.user):
        y = pages.y
        _line(ink, pages, pen.lines(text, width=sheet.room - _FACT, size=TEXT), TEXT, indent=_FACT, name=name)
        pages.y = min(pages.y, y - TEXT * LEADING) - 1
    for sentence in report.covers:
        pages.y -= 4
        _line(ink, pages, pen.lines(sentence, width=sheet.room, size=TEXT), TEXT)
    pages.y -= 14


def _line(
    ink: Ink,
    pages: Pages,
    lines: Sequence[str],
    size: float,
    *,
    bold: bool = False,
    colour: str = INK,
    kind: str = "P",
    indent: float = 0.0,
    name: str = "",
) -> None:
    """Write lines where there is room for them, on the next page where there is none."""
    for number, line in enumerate(lines):
        if pages.left < size * LEADING:
            pages.begin()
        left = pages.sheet.left
        content = ink.pen.block([line], x=left + indent, top=pages.y, size=size, bold=bold, colour=colour)
        if name and not number:
            content = ink.pen.block([name], x=left, top=pages.y, size=size, colour=QUIET) + content
        ink.book.write(ink.book.marked(content, Mark(kind), pages.page), pages.page)
        pages.y -= size * LEADING


def _draw_logo(ink: Ink, pages: Pages) -> None:
    path, sheet = ink.brand.logo, pages.sheet
    if path is None:
        return
    try:
        content = ink.book.image(
            path,
            left=sheet.left + sheet.room - _LOGO_WIDTH,
            top=MARGIN,
            width=_LOGO_WIDTH,
            height=_LOGO_HEIGHT,
        )
    except ValueError as error:
        raise ConfigurationError(
            f"The logo {path.name} cannot be drawn: {error}",
            hint='Name a PNG or SVG file in the settings: logo = "…" in [brand].',
        ) from error
    words = Mark("Figure", f"Logo of {ink.brand.name}" if ink.brand.name else "Logo")
    ink.book.write(ink.book.marked(content, words, pages.page), pages.page)


def _reserve_contents(call: WriteCall, ink: Ink, pages: Pages) -> Sequence[Entry]:
    """Leave room for the contents, where there are several sections."""
    options: PdfOptions = call.options
    if not options.contents or len(call.report.sections) <= 1:
        return ()
    _line(ink, pages, ["Contents"], H2, bold=True)
    entries = []
    for _ in call.report.sections:
        if pages.left < _ENTRY:
            pages.begin()
        pages.y -= _ENTRY
        entries.append(Entry(pages.page, pages.y))
    return entries


def _write_contents(
    sections: Sequence[Section], entries: Sequence[Entry], places: Sequence[tuple[int, float]], ink: Ink, sheet: Sheet
) -> None:
    pen, right = ink.pen, sheet.left + sheet.room
    for section, entry, (page, top) in zip(sections, entries, places, strict=False):
        text = pen.shortened(section.heading, width=sheet.room * 0.85, size=TEXT)
        number, y = str(page), entry.y + 4
        begin = sheet.left + pen.faces.width(text, size=TEXT) + 4
        end = right - pen.faces.width(number, size=TEXT) - 4
        content = [
            pen.text(text, x=sheet.left, y=y, size=TEXT),
            pen.text(number, x=right, y=y, size=TEXT, is_right=True),
        ]
        ink.book.write(ink.book.marked(b"".join(content), Mark("P"), entry.page), entry.page)
        leader = dots(pen, x=begin, y=y, until=end, size=TEXT, colour=FAINT)
        ink.book.write(ink.book.marked(leader, None, entry.page), entry.page)
        ink.book.add_link(
            page=entry.page,
            left=sheet.left,
            top=sheet.height - entry.y - _ENTRY,
            width=sheet.room,
            height=_ENTRY,
            to=(page, top),
        )


def _tell(call: WriteCall, parts: Sequence[tuple[Section, Sequence[Block]]], faces: Faces) -> None:
    """Say what the document does not show."""
    for _, blocks in parts:
        for block in blocks:
            if isinstance(block, TableBlock) and block.rest:
                call.note(f"{block.panel.title}: {block.rest[0].lower()}{block.rest[1:]}")
    if faces.missing:
        signs = ", ".join(f"U+{code:04X}" for code in sorted(faces.missing)[:_EXAMPLES])
        more = ", …" if len(faces.missing) > _EXAMPLES else ""
        call.note(
            f"{len(faces.missing)} different characters are in none of the fonts, and drawn as a stand-in "
            f"({signs}{more}); the attached data has them. Name fonts that have them: fallback_fonts in [brand]."
        )


def _metadata(call: WriteCall) -> Metadata:
    options: PdfOptions = call.options
    return Metadata(
        call.report.title,
        subject=call.report.subtitle,
        author=call.brand.name or call.user,
        creator=f"Tailrace {VERSION}",
        moment=call.moment if options.stamped else None,
    )

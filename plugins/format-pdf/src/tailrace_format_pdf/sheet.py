"""The pages of a document: where text goes, what stands at the head and foot of each."""

import attrs

from tailrace import Brand
from tailrace_format_pdf.inside import Book
from tailrace_format_pdf.pen import Pen, rule
from tailrace_format_pdf.theme import FOOT, GUTTER, HEAD, MARGIN, QUIET, RULE, SMALL

_COLUMNS = 12


@attrs.frozen
class Sheet:
    """The size of pages, and where text goes, in points from the lower left."""

    width: float
    height: float

    @property
    def left(self) -> float:
        """Left side of the text."""
        return MARGIN

    @property
    def room(self) -> float:
        """Width of the text."""
        return self.width - 2 * MARGIN

    @property
    def top(self) -> float:
        """Upper side of the text."""
        return self.height - MARGIN - HEAD

    @property
    def bottom(self) -> float:
        """Lower side of the text."""
        return MARGIN + FOOT

    @property
    def cell(self) -> float:
        """Width of a column of the grid, and height of its rows."""
        return (self.room - (_COLUMNS - 1) * GUTTER) / _COLUMNS

    def span(self, cells: int) -> float:
        """Width or height of so many cells."""
        return cells * self.cell + (cells - 1) * GUTTER


@attrs.define
class Pages:
    """Where the document has got to: the page, and the place on it from which on there is room.

    Args:
        book: The document.
        sheet: Its pages.
    """

    book: Book
    sheet: Sheet
    page: int = 0
    y: float = 0.0

    def begin(self) -> None:
        """Begin the next page."""
        self.page = self.after(self.page)
        self.y = self.sheet.top

    def after(self, page: int) -> int:
        """The page after another; made if there is none."""
        return page + 1 if page < self.book.pages else self.book.add_page()

    @property
    def is_fresh(self) -> bool:
        """Whether nothing is on the page yet."""
        return self.y >= self.sheet.top

    @property
    def left(self) -> float:
        """How much room there is on the page."""
        return self.y - self.sheet.bottom


def running_lines(book: Book, sheet: Sheet, pen: Pen, brand: Brand, title: str) -> None:
    """Write the head and foot of every page, now that it is known how many there are."""
    half = sheet.room / 2
    name = pen.shortened(brand.name, width=half * 0.9, size=SMALL, bold=True)
    about = pen.shortened(title, width=half * 1.05 if brand.name else sheet.room, size=SMALL)
    foot = pen.shortened(brand.footer, width=sheet.room * 0.75, size=SMALL)
    right, head, low = sheet.left + sheet.room, sheet.top + HEAD * 0.55, MARGIN * 0.95
    for page in range(1, book.pages + 1):
        parts: list[bytes] = []
        if page > 1:
            parts += [
                pen.text(name, x=sheet.left, y=head, size=SMALL, bold=True, colour=QUIET),
                pen.text(about, x=right, y=head, size=SMALL, colour=QUIET, is_right=True),
                rule(x=sheet.left, y=head - 5, width=sheet.room, colour=RULE),
            ]
        number = f"Page {page} of {book.pages}"
        parts += [
            pen.text(foot, x=sheet.left, y=low, size=SMALL, colour=QUIET),
            pen.text(number, x=right, y=low, size=SMALL, colour=QUIET, is_right=True),
        ]
        book.write(book.marked(b"".join(parts), None, page), page)


def dots(pen: Pen, *, x: float, y: float, until: float, size: float, colour: str) -> bytes:
    """Dots that lead the eye from one text to another."""
    dot = pen.faces.width(" .", size=size)
    count = int((until - x) / dot)
    return pen.text(" ." * count, x=x, y=y, size=size, colour=colour) if count > 1 else b""

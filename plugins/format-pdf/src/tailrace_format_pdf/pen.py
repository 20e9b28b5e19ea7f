"""Drawing on a page: texts, rules and areas as operators. Places are in points, from the lower left of the page."""

from collections.abc import Sequence

from tailrace_format_pdf.faces import Faces
from tailrace_format_pdf.theme import INK, LEADING
from tailrace_format_pdf.wrapping import wrapped

_ARC = 0.5523
"""How far the handles of a curve are from its ends that is a quarter of a circle."""
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


class Pen:
    """Draws with the fonts of a document.

    Args:
        faces: The fonts.
    """

    def __init__(self, faces: Faces) -> None:
        self.faces = faces

    def text(
        self,
        text: str,
        *,
        x: float,
        y: float,
        size: float,
        bold: bool = False,
        colour: str = INK,
        is_right: bool = False,
    ) -> bytes:
        """A line whose baseline begins at a place, or ends there."""
        if not text:
            return b""
        at = x - self.faces.width(text, size=size, bold=bold) if is_right else x
        shown = self.faces.show(text, size=size, bold=bold)
        return b"BT %s rg 1 0 0 1 %.2f %.2f Tm %s ET\n" % (colour.encode(), at, y, shown)

    def lines(self, text: str, *, width: float, size: float, bold: bool = False) -> Sequence[str]:
        """The lines of a text; none for no text."""
        return wrapped(text, self.faces, size=size, width=width, bold=bold) if text else ()

    def block(
        self, lines: Sequence[str], *, x: float, top: float, size: float, bold: bool = False, colour: str = INK
    ) -> bytes:
        """Lines below each other, the first of which has its upper side at ``top``."""
        if not lines:
            return b""
        y = top - size * (LEADING * 0.5 + 0.35)
        down = b" 0 %.2f Td " % (-size * LEADING)
        shown = down.join(self.faces.show(line, size=size, bold=bold) for line in lines)
        return b"BT %s rg 1 0 0 1 %.2f %.2f Tm %s ET\n" % (colour.encode(), x, y, shown)

    def shortened(self, text: str, *, width: float, size: float, bold: bool = False) -> str:
        """The beginning of a text in one line; all of it where there is room."""
        lines = self.lines(text, width=width, size=size, bold=bold)
        if len(lines) <= 1:
            return "".join(lines)
        room = width - self.faces.width(_ELLIPSIS, size=size, bold=bold)
        return self.lines(text, width=room, size=size, bold=bold)[0].rstrip() + _ELLIPSIS


def height(lines: Sequence[str], size: float) -> float:
    """How high lines are."""
    return len(lines) * size * LEADING


def rule(*, x: float, y: float, width: float, colour: str, thickness: float = 0.5) -> bytes:
    """A line from the left to the right."""
    return f"{colour} RG {thickness:g} w {x:.2f} {y:.2f} m {x + width:.2f} {y:.2f} l S\n".encode()


def area(*, x: float, y: float, width: float, height: float, colour: str, radius: float = 0.0) -> bytes:
    """A filled area, with round corners or without; ``y`` is its lower side."""
    if not radius:
        return f"{colour} rg {x:.2f} {y:.2f} {width:.2f} {height:.2f} re f\n".encode()
    near, far = radius * (1 - _ARC), radius
    right, top = x + width, y + height
    points = [
        f"{x + far:.2f} {y:.2f} m {right - far:.2f} {y:.2f} l",
        f"{right - near:.2f} {y:.2f} {right:.2f} {y + near:.2f} {right:.2f} {y + far:.2f} c",
        f"{right:.2f} {top - far:.2f} l",
        f"{right:.2f} {top - near:.2f} {right - near:.2f} {top:.2f} {right - far:.2f} {top:.2f} c",
        f"{x + far:.2f} {top:.2f} l",
        f"{x + near:.2f} {top:.2f} {x:.2f} {top - near:.2f} {x:.2f} {top - far:.2f} c",
        f"{x:.2f} {y + far:.2f} l",
        f"{x:.2f} {y + near:.2f} {x + near:.2f} {y:.2f} {x + far:.2f} {y:.2f} c f\n",
    ]
    return f"{colour} rg {' '.join(points)}".encode()

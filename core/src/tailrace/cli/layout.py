"""Text laid out for a terminal: tables and paragraphs that fit its width. Computes lines; prints nothing."""

import textwrap
from collections.abc import Callable, Collection, Sequence

import attrs

Painter = Callable[[str, str], str]
"""Gives a text a style: ``painter(text, "bold")``; returns it as it is where colours are not wanted."""

GAP = "  "
NARROWEST = 6
"""Characters that a column keeps, however little room there is."""

_CONTROLS = {
    code: ascii(chr(code))[1:-1] for code in (*range(32), *range(127, 160), *range(0x202A, 0x202F)) if code != ord("\n")
}
"""What would command the terminal, or turn the order of its letters, and how it is shown instead."""

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


@attrs.frozen
class Styled:
    """A text and how it looks: words such as ``"bold red"``."""

    text: str
    style: str


def visible(text: str) -> str:
    """The text with its control characters but line ends shown as escapes: it may come from a file of anybody."""
    return text.translate(_CONTROLS)


def plain(text: str, style: str) -> str:  # noqa: ARG001 - a Painter
    """A painter that leaves out all styles."""
    return text


def ansi(text: str, style: str) -> str:
    """A painter for terminals that know colours."""
    codes = ";".join(_CODES[word] for word in style.split())
    return f"\x1b[{codes}m{text}\x1b[0m" if codes and text else text


def paragraph(text: str, width: int, *, indent: str = "") -> list[str]:
    """Wrap a text; lines that begin with a space are kept as they are, words longer than the width too."""
    lines: list[str] = []
    for line in visible(text).splitlines():
        if line.startswith(" "):
            lines.append(indent + line)
        else:
            lines += textwrap.wrap(
                line,
                width,
                initial_indent=indent,
                subsequent_indent=indent,
                break_long_words=False,
                break_on_hyphens=False,
            ) or [""]
    return lines


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str | Styled]],
    *,
    width: int,
    paint: Painter,
    right: Collection[int] = (),
    indent: str = "",
) -> list[str]:
    """Lay out a table; cells wrap where it would be wider than ``width``.

    Args:
        headings: One per column; none at all for a table without a heading line.
        rows: The cells.
        width: Characters per line.
        paint: Applies the styles.
        right: Columns set flush right: numbers.
        indent: Before each line.
    """
    styled = [[cell if isinstance(cell, Styled) else Styled(visible(cell), "") for cell in row] for row in rows]
    if headings:
        styled.insert(0, [Styled(heading, "bold") for heading in headings])
    if not styled:
        return []
    widths = _widths([[cell.text for cell in row] for row in styled], width - len(indent))
    lines = []
    for row in styled:
        cells = [_wrap(cell.text, room) for cell, room in zip(row, widths, strict=True)]
        for number in range(max(map(len, cells))):
            parts = []
            for column, (cell, room) in enumerate(zip(row, widths, strict=True)):
                piece = cells[column][number] if number < len(cells[column]) else ""
                padding = " " * (room - len(piece))
                painted = paint(piece, cell.style)
                parts.append(padding + painted if column in right else painted + padding)
            lines.append((indent + GAP.join(parts)).rstrip())
    return lines


def _widths(texts: list[list[str]], room: int) -> list[int]:
    widths = [
        max(max(map(len, text.splitlines()), default=0) for text in column) for column in zip(*texts, strict=True)
    ]
    room -= len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > NARROWEST:
        # Of the widest columns the last one gives way first: it is where free text stands.
        widest = max(range(len(widths)), key=lambda index: (widths[index], index))
        widths[widest] -= 1
    return widths


def _wrap(text: str, room: int) -> list[str]:
    # Hyphens stand in names of distributions and options, which are to be copied whole.
    lines = (textwrap.wrap(line, max(room, 1), break_on_hyphens=False) or [""] for line in text.splitlines())
    return [piece for pieces in lines for piece in pieces] or [""]

"""Breaking texts into lines."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from tailrace_format_pdf.faces import Faces, visible

_BEHIND = frozenset(" -/:.,;&?=_|)]}\u3001\u3002")
"""A line may end behind these, best behind a space."""
_LEAST_FILLED = 0.5
"""How much of a line is filled at least when it ends behind something else than a space."""


def wrapped(text: str, faces: Faces, *, size: float, width: float, bold: bool = False) -> Sequence[str]:
    """The lines of a text, none of them wider than ``width``; at least one.

    Lines end where the text has line breaks, behind spaces or punctuation, or where there is no room, in the middle of
    a word. Nothing is left out but the spaces where a line ends.
    """
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        lines.extend(_lines(visible(paragraph), faces, width / size, bold=bold))
    return lines


def _lines(text: str, faces: Faces, room: float, *, bold: bool) -> Sequence[str]:
    if not text:
        return [""]
    ends = list(accumulate(faces.advances(text, bold=bold)))
    lines, start, before = [], 0, 0.0
    while start < len(text):
        end = max(start + 1, bisect_right(ends, before + room + 1e-9))
        if end < len(text):
            end = _break(text, start, end)
        lines.append(text[start:end].rstrip(" ") or " ")
        start, before = end, ends[end - 1]
        while start < len(text) and text[start] == " ":
            start, before = start + 1, ends[start]
    return lines


def _break(text: str, start: int, end: int) -> int:
    """Where a line ends that has room up to ``end``."""
    if text[end] == " ":
        return end
    space = text.rfind(" ", start, end)
    other = next((at for at in range(end, start, -1) if text[at - 1] in _BEHIND), 0)
    if space > start and (space - start) >= (end - start) * _LEAST_FILLED:
        return space + 1
    if other > start and (other - start) >= (end - start) * _LEAST_FILLED:
        return other
    return space + 1 if space > start else end

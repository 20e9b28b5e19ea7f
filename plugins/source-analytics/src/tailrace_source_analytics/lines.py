"""Lines of a block of text."""

import re

_BLANK_FIRST = re.compile(rb"[ \t\r]*(?:\n|\Z)")
_BLANK_NEXT = re.compile(rb"\n(?=[ \t\r]*(?:\n|\Z))")


def cut_at_line(buffer: bytes) -> int:
    """Where the last whole line ends; 0 when there is none."""
    return buffer.rfind(b"\n") + 1


def count_lines(block: bytes) -> int:
    """Number of lines that are not blank, without taking them apart."""
    blank = len(_BLANK_NEXT.findall(block)) + (_BLANK_FIRST.match(block) is not None)
    return block.count(b"\n") + 1 - blank

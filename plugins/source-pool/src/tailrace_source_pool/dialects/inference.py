"""What a file is, told by the beginning of its content; its name decides only where the content says nothing."""

import re
from collections import Counter
from pathlib import PurePath

import polars as pl

from tailrace_source_pool.address import SCHEMES
from tailrace_source_pool.dialects.shapes import kinds
from tailrace_source_pool.documents.csv_file import is_header
from tailrace_source_pool.location import Shape, shape_of

LOOKED_AT = 1 << 16
"""Characters of a file that are looked at."""

_BY_SUFFIX = {".json": "json", ".csv": "csv", ".yaml": "clash", ".yml": "clash", ".conf": "proxychains"}
PROXYCHAINS = re.compile(r"^[ \t]*\[ProxyList\][ \t]*\r?$", re.MULTILINE)
_CLASH = re.compile(r"^(?:proxies|'proxies'|\"proxies\")[ \t]*:(?:[ \t]|\r?$)", re.MULTILINE)
_LINE_END = re.compile(r"\r\n|\r|\n")


def infer_dialect(head: bytes | str, name: str) -> str:
    """What a file is.

    Args:
        head: Its beginning, decompressed; :data:`LOOKED_AT` bytes are enough, and a last line that is cut is left out.
        name: Its name: where there is nothing in it yet, or nothing but comments.

    Returns:
        ``"json"`` (also for our exports, and for ProxyWhirl's FileStorage), ``"csv"``, ``"clash"``,
        ``"proxychains"``, or the shape that most of the lines have. That is a name for what was found, not a decision:
        lines that are ambiguous are read without a dialect, and refused.
    """
    text = head.decode("utf-8", errors="replace") if isinstance(head, bytes) else head
    text = text.removeprefix("\ufeff")[:LOOKED_AT]
    if PROXYCHAINS.search(text):
        return "proxychains"
    if shape_of(text.encode()) is Shape.FILE_STORAGE:
        return "json"
    if _CLASH.search(text):
        return "clash"
    lines = _some_lines(text)
    if lines and is_header(lines[0]):
        return "csv"
    return _of_lines(lines) or _BY_SUFFIX.get(PurePath(name).suffix.lower(), "hostport")


def scheme_of_name(name: str) -> str | None:
    """The protocol that a file's name says, as in ``socks5.txt`` or ``fresh-socks4.txt``; None where it does not."""
    words = re.split(r"[^a-z0-9]+", PurePath(name).name.lower())
    named = {word for word in words if word in SCHEMES}
    return named.pop() if len(named) == 1 else None


def _some_lines(text: str) -> list[str]:
    """The lines that hold something."""
    lines = _LINE_END.split(text)
    if len(text) == LOOKED_AT:
        lines = lines[:-1] or lines
    return [line for line in map(str.strip, lines) if line and not line.startswith("#")]


def _of_lines(lines: list[str]) -> str | None:
    found = kinds(pl.Series(lines, dtype=pl.String))
    counted = Counter(found.drop_nulls().to_list()).most_common(1)
    if counted:
        return str(counted[0][0])
    # None of them can be told from the other shapes; colon is what vendors hand out.
    return "colon" if lines else None

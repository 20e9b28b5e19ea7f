"""Names of sheets: what Excel takes, and each once."""

import re

from tailrace_format_excel.limits import MAX_SHEET_NAME

SUMMARY, MANIFEST = "Summary", "Manifest"
_FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_RESERVED = ("history",)
"""Excel keeps this one for itself."""


class SheetNames:
    """Gives names to sheets, cleaned and each once, whatever the case.

    Args:
        taken: Names that are given already.
    """

    def __init__(self, *taken: str) -> None:
        self._taken = {name.casefold() for name in (*taken, *_RESERVED)}

    def next(self, wanted: str) -> str:
        """A name as near to the wanted one as can be."""
        clean = _FORBIDDEN.sub("_", wanted).strip().strip("'").strip() or "Sheet"
        name, number = _cut(clean, ""), 1
        while name.casefold() in self._taken:
            number += 1
            name = _cut(clean, f" ({number})")
        self._taken.add(name.casefold())
        return name


def _cut(name: str, suffix: str) -> str:
    # Excel counts in units of UTF-16, of which some characters take two.
    room = MAX_SHEET_NAME - len(suffix)
    while _units(name) > room:
        name = name[:-1]
    return name.rstrip(" '") + suffix


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2

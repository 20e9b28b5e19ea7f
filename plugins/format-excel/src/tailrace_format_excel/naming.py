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
        self._numbers: dict[str, int] = {}

    def next(self, wanted: str) -> str:
        """A name as near to the wanted one as can be."""
        clean = " ".join(_FORBIDDEN.sub("_", wanted).split()).strip(" '") or "Sheet"
        name = _cut(clean, "")
        # Many sheets may want one name: counting goes on where it ended.
        number = self._numbers.get(name.casefold(), 1)
        free = name
        while free.casefold() in self._taken:
            number += 1
            free = _cut(clean, f" ({number})")
        self._numbers[name.casefold()] = number
        self._taken.add(free.casefold())
        return free


def _cut(name: str, suffix: str) -> str:
    # Excel counts in units of UTF-16, of which some characters take two.
    room = MAX_SHEET_NAME - len(suffix)
    while _units(name) > room:
        name = name[:-1]
    return name.rstrip(" '") + suffix


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2

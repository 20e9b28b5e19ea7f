"""Texts that xlsxwriter is not given: it takes ``<r>…</r>`` for XML, and not every character for one.

Each is written as a stand-in, a number between two characters of private use, and put back into the finished XML.
"""

import re

from tailrace_format_excel.text import in_xml

_START, _END = "\ue0fe", "\ue0ff"
_ITEM = re.compile(rf"<si><t[^>]*>{_START}(\d+){_END}</t></si>".encode())


class StandIns:
    """Keeps texts, and gives numbers for them."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def of(self, text: str) -> str:
        """What xlsxwriter is given for a text."""
        self._texts.append(text)
        return f"{_START}{len(self._texts) - 1}{_END}"

    def resolved(self, items: bytes) -> bytes:
        """Items of a table of shared strings, with the texts themselves."""

        def item(found: "re.Match[bytes]") -> bytes:
            return f'<si><t xml:space="preserve">{in_xml(self._texts[int(found[1])])}</t></si>'.encode()

        return _ITEM.sub(item, items)

"""The report in a mail: what an HTML file carries for it, taken only where it is nothing but text in small tables.

Such a file has an element ``<template id="tailrace-mail">`` near its beginning. It may hold the elements and classes
below and nothing else, or none of it is taken: a mail is no place to find out what else could be in there.
"""

import html
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path

import attrs

from tailrace import Manifest
from tailrace_sink_email.harmless import one_line

_START, _END = b'<template id="tailrace-mail">', b"</template>"
_READ = 256 * 1024
_MOST = 60_000
_MOST_TEXT = 2000
_MOST_FIGURES = 40
_DEPTH = 6
_LINE = "border-top:1px solid rgba(128,128,128,.35)"
_MUTED = "color:#767676"
_CELL = f"padding:4px 12px 4px 0;{_LINE};vertical-align:top"
_LOOKS: Mapping[tuple[str, str], str] = {
    ("h2", ""): "font-size:17px;line-height:1.3;margin:26px 0 6px",
    ("h3", ""): "font-size:14px;line-height:1.35;margin:18px 0 4px",
    ("p", ""): "margin:0 0 8px",
    ("p", "quiet"): f"margin:4px 0 0;font-size:12px;{_MUTED}",
    ("table", ""): "border-collapse:collapse;font-size:13px;margin:4px 0;overflow-wrap:normal",
    ("table", "figures"): "border-collapse:collapse;margin:14px 0",
    ("tr", ""): "",
    ("th", ""): f"{_CELL};text-align:left;font-weight:600",
    ("th", "n"): f"{_CELL};text-align:right;font-weight:600",
    ("td", ""): _CELL,
    ("td", "n"): f"{_CELL};text-align:right;white-space:nowrap",
    ("b", ""): "",
    ("span", "quiet"): _MUTED,
    ("span", "good"): "color:#1d8348;white-space:nowrap",
    ("span", "warning"): "color:#a86a00;white-space:nowrap",
    ("span", "bad"): "color:#cf3a30;white-space:nowrap",
}
"""What may be there, and how it looks in a mail, light or dark."""


@attrs.frozen
class InlineReport:
    """A report as it stands in a mail.

    Args:
        body: HTML, with the looks of a mail; made here, of nothing but the texts of the file.
        figures: Names and values of key figures, one harmless line each.
    """

    body: str
    figures: tuple[tuple[str, str], ...]


def inline_report(path: Path, manifest: Manifest) -> InlineReport | None:
    """What a file carries for the mail that it goes with; None where that is nothing, or anything unexpected.

    Args:
        path: The file, of which the beginning is read.
        manifest: What it is.
    """
    if manifest.file.media_type != "text/html" or manifest.file.compression:
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_READ)
    except OSError:
        # It is told when the file is sent; a mail without it says where it can be had.
        return None
    before, start, rest = head.partition(_START)
    content, end, _rest = rest.partition(_END)
    if not start or not end or len(content) > _MOST or not before.startswith(b"<!DOCTYPE html>"):
        return None
    reading = _Reading()
    try:
        reading.feed(content.decode())
        reading.close()
    except (UnicodeDecodeError, _UnexpectedError):
        return None
    return InlineReport("".join(reading.parts), tuple(reading.figures)) if not reading.open else None


class _UnexpectedError(Exception):
    """Something that has no business in a mail."""


class _Reading(HTMLParser):
    """Makes the HTML anew of what is allowed, and stops at anything else."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.open: list[tuple[str, str]] = []
        self.figures: list[tuple[str, str]] = []
        self._row: dict[str, str] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        kind = (attributes[0][1] or "") if len(attributes) == 1 and attributes[0][0] == "class" else ""
        if (tag, kind) not in _LOOKS or bool(attributes) != bool(kind) or len(self.open) >= _DEPTH:
            raise _UnexpectedError
        look = _LOOKS[tag, kind]
        self.open.append((tag, kind))
        self.parts.append(f'<{tag} style="{look}">' if look else f"<{tag}>")
        if tag == "tr":
            self._row = {}

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop()[0] != tag:
            raise _UnexpectedError
        self.parts.append(f"</{tag}>")
        if tag == "tr" and ("table", "figures") in self.open and len(self.figures) < _MOST_FIGURES:
            name, value = (one_line(self._row.get(cell, ""), most=200) for cell in ("th", "td"))
            self.figures += [(name, value)] if name and value else []

    def handle_startendtag(self, _tag: str, _attributes: list[tuple[str, str | None]]) -> None:
        raise _UnexpectedError

    def handle_data(self, data: str) -> None:
        text = one_line(data, most=_MOST_TEXT)
        if not text:
            self.parts.append(" " if data.strip("\n") else data)
            text = " "
        else:
            text = f"{' ' if data[0] == ' ' else ''}{text}{' ' if data[-1] == ' ' else ''}"
            self.parts.append(html.escape(text, quote=True))
        for tag, _kind in self.open:
            if tag in {"th", "td"}:
                self._row[tag] = self._row.get(tag, "") + text

    def handle_comment(self, _data: str) -> None:
        raise _UnexpectedError

    def handle_decl(self, _declaration: str) -> None:
        raise _UnexpectedError

    def handle_pi(self, _data: str) -> None:
        raise _UnexpectedError

    def unknown_decl(self, _data: str) -> None:
        raise _UnexpectedError

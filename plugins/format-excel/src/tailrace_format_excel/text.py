r"""What text becomes in the XML of a workbook, and which text cannot be written so that everybody reads it back.

XML 1.0 has no control characters but tab, line feed and carriage return, and no U+FFFE and U+FFFF. Office Open XML
(ECMA-376, part 1, 22.9.2.19, ``ST_Xstring``) writes them as ``_xHHHH_``, and a text that looks like such an escape with
its first ``_`` escaped: ``_x005F_x0041_``. What readers make of it was tried:

- Excel, calamine and LibreOffice read the escape of an escape; openpyxl does so in shared strings only, which is why no
  such text is ever written into its cell, and there it drops every ``x005F_``, also where the data has it.
- LibreOffice takes escapes of one to three digits too, which the specification does not have: ``_x5_`` needs an
  escape as ``_x0005_`` does.
- openpyxl does not read the escapes of control characters, calamine does not read those of U+FFFE and U+FFFF.

So what looks like an escape is written, and the others are refused unless asked for. A carriage return is written as
the character reference ``&#13;``, which all read (as it is, XML would make a line feed of it).
"""

import re
from collections.abc import Iterator

import polars as pl

from tailrace_format_excel.limits import MAX_TEXT

TOO_LONG = f"has more than the {MAX_TEXT:,} characters that a cell holds"
UNREADABLE = "has control characters, or '_x005F_', which not every program reads back as they are"

_NOT_XML = r"[\x00-\x08\x0B\x0C\x0E-\x1F\x{FFFE}\x{FFFF}]"
_LOOKS_ESCAPED = r"_x[0-9A-Fa-f]{1,4}_"
_TAKEN_AWAY = "x005F_"
_ESCAPE = re.compile("_(?=x[0-9A-Fa-f]{1,4}_)")
_NOT_XML_CHARACTER = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def escaped(text: pl.Expr) -> pl.Expr:
    """Text as it stands in XML, where :func:`is_odd` does not hold."""
    return text.str.replace_many(["&", "<", ">", "\r"], ["&amp;", "&lt;", "&gt;", "&#13;"])


def is_odd(text: pl.Expr) -> pl.Expr:
    """Whether a text takes escapes other than those of XML, or may be one that :func:`wrong` finds."""
    return text.str.contains(f"{_NOT_XML}|{_LOOKS_ESCAPED}|{_TAKEN_AWAY}") | (text.str.len_bytes() > MAX_TEXT)


def wrong(odd: pl.Series, *, control_characters: bool) -> Iterator[tuple[str, pl.Series]]:
    """Texts that cannot be written: why, and which.

    Args:
        odd: Those that are odd.
        control_characters: Whether control characters are written all the same.
    """
    # Beyond the basic plane a character takes two units of UTF-16, in which Excel counts.
    too_long = odd.str.len_chars() + odd.str.count_matches(r"[\x{10000}-\x{10FFFF}]") > MAX_TEXT
    if too_long.any():
        yield TOO_LONG, odd.filter(too_long)
    if control_characters:
        return
    unreadable = odd.str.contains(_NOT_XML) | odd.str.contains(_TAKEN_AWAY, literal=True)
    if unreadable.any():
        yield UNREADABLE, odd.filter(unreadable)


def in_xml(text: str) -> str:
    """Any text as it stands in XML; half characters, as in a path that is not UTF-8, as their escapes."""
    whole = xstring(text.encode(errors="backslashreplace").decode())
    return whole.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")


def printable(text: str) -> str:
    """A text for places that have no escapes, such as the title of a chart."""
    return _NOT_XML_CHARACTER.sub("\ufffd", text.encode(errors="replace").decode())


def xstring(text: str) -> str:
    """A text with the escapes of ``ST_Xstring``, before it is escaped for XML."""
    text = _ESCAPE.sub("_x005F_", text)
    return _NOT_XML_CHARACTER.sub(lambda match: f"_x{ord(match[0]):04X}_", text)

"""Text of others, made harmless before it is part of a mail: one line that controls nothing and hides nothing."""

import unicodedata

_JOINERS = "\u200c\u200d"
"""Format characters that words of some languages, and emoji, are wrong without."""

_SPACES = {"Cc", "Zl", "Zp", "Zs"}
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def one_line(text: str, *, most: int = 1000) -> str:
    """A text as one line without control, direction and invisible characters.

    Line breaks and other white space become one space. Lone surrogates and noncharacters become U+FFFD: they cannot
    be encoded, or exchanged. ``=?`` becomes ``= ?``: in a header it would begin an encoded word (RFC 2047), behind
    which anything can hide.

    Args:
        text: Any text.
        most: Characters at most; of a longer one the end is cut off, and shown as ``…``.
    """
    # More than is kept, so that what is dropped does not count, and not all of a text of megabytes.
    line = " ".join("".join(_harmless(character) for character in text[: 4 * most + 4]).split())
    line = line.replace("=?", "= ?")
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def _harmless(character: str) -> str:
    category = unicodedata.category(character)
    if category in _SPACES:
        return " "
    if category == "Cs" or _is_no_character(character):
        return _REPLACEMENT
    return "" if category == "Cf" and character not in _JOINERS else character


def _is_no_character(character: str) -> bool:
    """Whether Unicode will never have a character there: U+FFFE, U+FFFF and their like."""
    return ord(character) & 0xFFFE == 0xFFFE or "\ufdd0" <= character <= "\ufdef"  # noqa: PLR2004 - so defined


def is_visible(character: str) -> bool:
    """Whether a character can be seen, and does nothing else: no space, control, format or private one."""
    return unicodedata.category(character)[0] not in "CZ"

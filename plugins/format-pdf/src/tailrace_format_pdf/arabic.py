"""Right-to-left text: the order in which it is drawn, and the forms that Arabic letters take beside each other.

Which form a letter has is told by Unicode itself: its presentation forms say what they are forms of. Fonts with Arabic
have them, so that no shaping engine is needed; text that is taken out of the document reads as it was written.
"""

import functools
import unicodedata
from collections.abc import Callable, Mapping, Sequence

import attrs

_FORMS = (range(0xFB50, 0xFE00), range(0xFE70, 0xFEFD))
_LAM = 0x0644
_TATWEEL = 0x0640
_BRACKETS = (("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"), ("\xab", "\xbb"))
_MIRRORS = {ord(one): ord(other) for pair in _BRACKETS for one, other in (pair, pair[::-1])}
_FROM_THE_RIGHT = frozenset({"R", "AL", "AN"})


@attrs.frozen
class Drawn:
    """A character as it is drawn.

    Args:
        form: The code point whose shape it has.
        characters: What it is, more than one where letters melt together.
    """

    form: int
    characters: tuple[int, ...]


def is_from_the_right(text: str) -> bool:
    """Whether some of a text is written from the right."""
    return not text.isascii() and any(unicodedata.bidirectional(one) in _FROM_THE_RIGHT for one in text)


@functools.cache
def _forms() -> tuple[Mapping[tuple[int, ...], Mapping[str, int]], frozenset[int]]:
    """Forms by what they are forms of and where they stand; letters that join to the next."""
    forms: dict[tuple[int, ...], dict[str, int]] = {}
    for code in (code for block in _FORMS for code in block):
        kind, *parts = unicodedata.decomposition(chr(code)).split() or [""]
        letters = tuple(int(part, 16) for part in parts)
        is_alef = len(letters) > 1 and unicodedata.name(chr(letters[1])).startswith("ARABIC LETTER ALEF")
        is_one = len(letters) == 1 or (letters[:1] == (_LAM,) and letters[2:] == () and is_alef)
        if kind.strip("<>") in {"isolated", "final", "initial", "medial"} and is_one:
            forms.setdefault(letters, {})[kind.strip("<>")] = code
    joining = frozenset(letters[0] for letters, own in forms.items() if len(letters) == 1 and "initial" in own)
    return forms, joining | {_TATWEEL}


def is_arabic(code: int) -> bool:
    """Whether a character is a letter that takes other forms beside others."""
    return (code,) in _forms()[0]


def drawn_order(text: str, order: Sequence[tuple[int, bool]], has: Callable[[int], bool]) -> Sequence[Drawn]:
    """The characters of a line as they are drawn, from the left.

    Args:
        text: The line.
        order: Numbers of its characters, from the left, and whether each stands in text from the right.
        has: Whether the font has a form.
    """
    shapes = _shapes([ord(one) for one in text], has)
    drawn = []
    for number, is_turned in order:
        shape = shapes[number]
        if shape is not None:
            drawn.append(attrs.evolve(shape, form=_MIRRORS.get(shape.form, shape.form)) if is_turned else shape)
    return drawn


def _shapes(codes: Sequence[int], has: Callable[[int], bool]) -> Sequence[Drawn | None]:
    """The form of each character beside its neighbours; None for what melted into the one before."""
    forms, _ = _forms()
    shapes: list[Drawn | None] = [Drawn(code, (code,)) for code in codes]
    # Marks above and below letters do not keep them from joining.
    letters = [number for number, code in enumerate(codes) if unicodedata.category(chr(code)) != "Mn"]
    is_joined, place = False, 0
    while place < len(letters):
        number = letters[place]
        pair = tuple(codes[one] for one in letters[place : place + 2])
        melts = letters[place + 1 : place + 2] == [number + 1] and has(forms.get(pair, {}).get("isolated", -1))
        parts = pair if melts else (codes[number],)
        goes_on = _goes_on(parts[-1], [codes[one] for one in letters[place + len(parts) : place + len(parts) + 1]])
        own = forms.get(parts, {})
        wanted = ("medial" if goes_on else "final") if is_joined else ("initial" if goes_on else "isolated")
        form = own.get(wanted, own.get("isolated", parts[0]))
        shapes[number] = Drawn(form if has(form) else parts[0], parts)
        if melts:
            shapes[number + 1] = None
        is_joined, place = goes_on, place + len(parts)
    return shapes


def _goes_on(letter: int, following: Sequence[int]) -> bool:
    """Whether a letter joins to what comes next."""
    forms, joining = _forms()
    return letter in joining and any(code == _TATWEEL or "final" in forms.get((code,), {}) for code in following)

"""Marks of rows and figures: a symbol and a word, for whom the colour says nothing."""

from collections.abc import Mapping

MARKS: Mapping[str, tuple[str, str]] = {
    "good": ("\N{BLACK CIRCLE}", "good"),
    "warning": ("\N{BLACK DIAMOND}", "warning"),
    "bad": ("\N{BLACK UP-POINTING TRIANGLE}", "bad"),
}


def sign(mark: str | None) -> str:
    """A mark as elements; nothing for none."""
    if mark is None or mark not in MARKS:
        return ""
    symbol, word = MARKS[mark]
    return f'<span class="sign {mark}" aria-hidden="true">{symbol}</span><span class="heard">{word}</span>'

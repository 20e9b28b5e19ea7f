"""JSON as the standard has it: what Python's reader forgives is an error here."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

_TOO_LARGE = "a number is too large"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_BLANKS = re.compile(r"[ \t\r\n]*")


class JsonError(ValueError):
    """Text that is not strict JSON; the message never quotes a value."""


def parse(text: str) -> Any:
    """Parse a JSON document.

    Raises:
        JsonError: Not JSON; a name twice in one object, a number that is not finite, half a
            character, or nesting without end.
    """
    try:
        document = _DECODER.decode(text)
        _refuse_half_characters(document, text)
    except (ValueError, RecursionError) as error:
        reason = _reason(error)
    else:
        return document
    # Raised out here so that the decoder's error, which carries the whole document, is not attached.
    raise JsonError(reason)


def elements(text: str) -> Iterator[tuple[Any, int, int]]:
    """Parse a JSON list element by element, so that they are not all in memory at once.

    Args:
        text: The document.

    Yields:
        Each element, where its text begins, and where it ends.

    Raises:
        JsonError: As for :func:`parse`; or it is no list.
    """
    may_be_halves = bool(_SURROGATE.search(text))
    try:
        begin = _blanks(text, _after(text, 0, "["))
        more, end = not text.startswith("]", begin), begin
        while more:
            element, end = _DECODER.raw_decode(text, begin)
            if may_be_halves:
                _refuse_half_characters(element, text[begin:end])
            yield element, begin, end
            end = _blanks(text, end)
            more, begin = text.startswith(",", end), _blanks(text, end + 1)
        end = _blanks(text, _after(text, end, "]"))
        if end == len(text):
            return
        reason = "something follows the end of the document"
    except (ValueError, RecursionError) as error:
        reason = _reason(error)
    raise JsonError(reason)


def _reason(error: ValueError | RecursionError) -> str:
    """What Python says about JSON, in our own words."""
    if isinstance(error, JsonError):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} in line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeEncodeError):
        return "a text holds half a character (a lone surrogate)"
    # The only other ValueError is Python's own limit on the digits of a whole number.
    return "it is nested too deeply" if isinstance(error, RecursionError) else _TOO_LARGE


def _blanks(text: str, at: int) -> int:
    """Where the blanks that begin here end."""
    found = _BLANKS.match(text, at)
    return found.end() if found else at


def _after(text: str, at: int, mark: str) -> int:
    at = _blanks(text, at)
    if not text.startswith(mark, at):
        raise json.JSONDecodeError(f"Expecting {mark!r}" if mark == "[" else "Expecting ',' delimiter", text, at)
    return at + 1


def _refuse_half_characters(document: object, text: str) -> None:
    if _SURROGATE.search(text):
        json.dumps(document, ensure_ascii=False).encode()


def depth(value: object) -> int:
    """How deeply lists and objects are nested: 0 for a plain value."""
    deepest, level = 0, [value]
    while level := [inner for outer in level for inner in _inside(outer)]:
        deepest += 1
    return deepest + (1 if isinstance(value, dict | list) and not value else 0)


def _inside(value: object) -> Sequence[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        message = "an object has the same name twice"
        raise JsonError(message)
    return made


def _not_a_number(_text: str) -> NoReturn:
    message = "NaN and Infinity are not JSON"
    raise JsonError(message)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JsonError(_TOO_LARGE)
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_not_a_number, parse_float=_finite)

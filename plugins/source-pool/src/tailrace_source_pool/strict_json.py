"""JSON as the standard has it: what Python's reader forgives is an error here."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

_TOO_LARGE = "a number is too large"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class JsonError(ValueError):
    """Text that is not strict JSON; the message never quotes a value."""


def parse(text: str) -> Any:
    """Parse a JSON document.

    Raises:
        JsonError: Not JSON; a name twice in one object, a number that is not finite, half a
            character, or nesting without end.
    """
    try:
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_not_a_number, parse_float=_finite)
        if _SURROGATE.search(text):
            json.dumps(document, ensure_ascii=False).encode()
    except JsonError as error:
        reason = str(error)
    except json.JSONDecodeError as error:
        reason = f"{error.msg} in line {error.lineno}, column {error.colno}"
    except UnicodeEncodeError:
        reason = "a text holds half a character (a lone surrogate)"
    except ValueError:
        # Python's own limit on the digits of a whole number.
        reason = _TOO_LARGE
    except RecursionError:
        reason = "it is nested too deeply"
    else:
        return document
    # Raised out here so that the decoder's error, which carries the whole document, is not attached.
    raise JsonError(reason)


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

"""Values written as text: on a command line, in an environment variable."""

import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tailrace.model.errors import OptionError

_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_PLAIN_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


def value_from_text(text: str, wanted: Any, name: str) -> Any:
    """What a text says, as a value of a JSON-like type near ``wanted``; the strict converter has the last word.

    Args:
        text: ``"true"``, ``"5"``, ``"a,b"``, ``"key=value,…"``.
        wanted: The type that is asked for.
        name: Whose value it is, for error messages.

    Raises:
        OptionError: The text cannot mean such a value.
    """
    try:
        return _reader(wanted)(text, wanted)
    except ValueError:
        raise OptionError(name, f"expected {type_name(wanted)}.") from None


def type_name(wanted: Any) -> str:
    """The type in words for people, such as ``"one of lf, crlf"``."""
    members = get_args(wanted)
    if is_union(wanted):
        return " or ".join("nothing" if member is type(None) else type_name(member) for member in members)
    if get_origin(wanted) is tuple:
        return f"list of {type_name(members[0])}"
    if _is_mapping(wanted):
        return "name=value pairs, separated by commas"
    if choices := _choices(wanted):
        return "one of " + ", ".join(map(str, choices))
    return _PLAIN_NAMES.get(wanted, getattr(wanted, "__name__", str(wanted)))


def is_union(wanted: Any) -> bool:
    """Whether a type is ``A | B``."""
    return get_origin(wanted) in {types.UnionType, typing.Union}


def _is_mapping(wanted: Any) -> bool:
    origin = get_origin(wanted) or wanted
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _choices(wanted: Any) -> tuple[Any, ...]:
    if get_origin(wanted) is Literal:
        return get_args(wanted)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return tuple(member.value for member in wanted)
    return ()


def _reader(wanted: Any) -> Callable[[str, Any], Any]:
    if is_union(wanted):
        return _member
    if get_origin(wanted) is tuple:
        return _list
    if _is_mapping(wanted):
        return _pairs
    if _choices(wanted):
        return _choice
    return {bool: _flag, int: _number, float: _number}.get(wanted, _as_it_is)


def _as_it_is(text: str, _wanted: Any) -> str:
    return text


def _number(text: str, wanted: Any) -> Any:
    return wanted(text)


def _flag(text: str, _wanted: Any) -> bool:
    if text.lower() not in _WORDS:
        raise ValueError
    return _WORDS[text.lower()]


def _choice(text: str, wanted: Any) -> Any:
    for choice in _choices(wanted):
        if str(choice) == text:
            return choice
    raise ValueError


def _list(text: str, wanted: Any) -> list[Any]:
    element = get_args(wanted)[0]
    return [_reader(element)(part.strip(), element) for part in text.split(",") if part.strip()]


def _pairs(text: str, _wanted: Any) -> dict[str, str]:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not separator for _key, separator, _value in pairs):
        raise ValueError
    return {key.strip(): value.strip() for key, _separator, value in pairs}


def _member(text: str, wanted: Any) -> Any:
    members = [member for member in get_args(wanted) if member is not type(None)]
    if text == "" and len(members) < len(get_args(wanted)):
        return None
    for member in members:
        try:
            return _reader(member)(text, member)
        except ValueError:
            continue
    raise ValueError

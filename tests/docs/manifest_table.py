"""Every member of the manifest, as the reference has it."""

import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

import attrs

from .docstrings import items, table


def manifest_table(manifest: type, by_hand: Mapping[str, str]) -> str:
    """A table of the members of a manifest, those of objects and lists in it included.

    Args:
        manifest: Its class.
        by_hand: What they say, by name; what the class says stands in where nothing is written.
    """
    rows = [(f"`{path}`", kind, by_hand.get(f"`{path}`") or told) for path, kind, told in _members(manifest, "")]
    return table(("member", "type", "what it says"), rows)


def _members(cls: Any, prefix: str) -> Iterator[tuple[str, str, str]]:
    hints, told = typing.get_type_hints(cls), items(cls)
    for field in attrs.fields(cls):
        hint, nothing = _without_none(hints[field.name])
        many = typing.get_origin(hint) is tuple
        inner = typing.get_args(hint)[0] if many else hint
        path = f"{prefix}{field.name}{'[]' if many else ''}"
        yield path, _kind(inner) + (" or null" if nothing else ""), told.get(field.name, "")
        if attrs.has(inner):
            yield from _members(inner, f"{path}.")


def _without_none(hint: Any) -> tuple[Any, bool]:
    members = typing.get_args(hint)
    if type(None) in members:
        return next(member for member in members if member is not type(None)), True
    return hint, False


def _kind(hint: Any) -> str:
    origin = typing.get_origin(hint) or hint
    if attrs.has(origin) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "object"
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return " or ".join(f"`{member.value}`" for member in hint)
    return {str: "text", int: "whole number", datetime: "time"}.get(hint, "number or text")

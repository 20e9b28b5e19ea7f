"""Settings of the engine and of sinks, as the reference has them."""

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from tailrace.model.options import describe_options
from tailrace.model.textual import type_name

from .docstrings import items, table

_HEADS = ("setting", "type", "default", "what it does")


def groups(settings: type) -> dict[str, type]:
    """The groups of settings, each a table in the file; the empty name is for those that stand in front of them."""
    hints = typing.get_type_hints(settings)
    return {"": settings, **{name: hint for name, hint in hints.items() if isinstance(hint, type) and attrs.has(hint)}}


def group_table(settings: type, group: str) -> str:
    """A table of the settings of one group."""
    cls = groups(settings)[group]
    inner = groups(settings) if not group else {}
    hints, told = typing.get_type_hints(cls), items(cls)
    rows = []
    for field in attrs.fields(cls):
        if field.name not in inner:
            name = f"{group}.{field.name}".lstrip(".")
            rows.append((f"`{name}`", _type(hints[field.name]), _default(field), told.get(field.name, "")))
    return table(_HEADS, rows)


def undescribed(settings: type) -> list[str]:
    """Settings whose docstring says nothing about them."""
    return [
        f"{group}.{field.name}".lstrip(".")
        for group, cls in groups(settings).items()
        for field in attrs.fields(cls)
        if field.name not in items(cls)
    ]


def sink_table(settings: Any, by_hand: Mapping[str, str]) -> str:
    """A table of the settings of a sink.

    Args:
        settings: Their class.
        by_hand: What they do, by name; what the class says stands in where nothing is written.
    """
    return table(_HEADS, _sink_rows(settings, "", by_hand))


def _sink_rows(settings: Any, prefix: str, by_hand: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    hints, told = typing.get_type_hints(settings), items(settings)
    helps = {option.name: option.help for option in describe_options(settings)}
    for field in attrs.fields(settings):
        members = typing.get_args(hints[field.name])
        if members and attrs.has(members[-1]):
            # Tables in the file, each with a name that the operator gives.
            yield from _sink_rows(members[-1], f"{prefix}{field.name}.NAME.", by_hand)
            continue
        name = f"`{prefix}{field.name}`"
        default = "required" if field.default is attrs.NOTHING else _default(field)
        said = by_hand.get(name) or helps[field.name] or told.get(field.name, "")
        yield name, _type(hints[field.name]), default, said


def _type(hint: Any) -> str:
    return type_name(hint).removesuffix(" or nothing").replace("name=value pairs, separated by commas", "table")


def _default(field: "attrs.Attribute[Any]") -> str:
    default: Any = field.default
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # Factory is a class at run time
        # The home of whoever writes the page is nobody else's.
        return "the user's data folder" if field.type is Path else _shown(default.factory())
    return _shown(default)


def _shown(default: object) -> str:
    if default is None or default in ("", (), [], {}):
        return ""
    if isinstance(default, tuple):
        return ", ".join(f"`{item}`" for item in default)
    # Like TOML, in which they are written.
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, int | float):
        return f"`{default:_}`".replace(".0`", "`")
    return f"`{default}`"

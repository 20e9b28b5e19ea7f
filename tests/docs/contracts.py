"""Hooks, the contracts of plugins and their call records, as the reference has them."""

import inspect
from collections.abc import Container, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs

import tailrace

from .docstrings import annotation, as_markdown, described, items, members_docstrings, sections, signature, table


def hook_reference(specifications: Mapping[str, object]) -> str:
    """Every hook with its exact arguments, what it is for, and what it is given and returns."""
    parts = []
    for name, function in sorted(specifications.items()):
        if not (name.startswith("tailrace_") and inspect.isfunction(function)):
            continue
        parts += [f"### `{name}`", _python(f"{name}{signature(function)}"), described(function)]
        parts += _list(items(function))
        parts += _others(function)
    return "\n\n".join(parts)


def contract_reference(module: ModuleType, names: Container[str] = tailrace.__all__) -> str:
    """Contracts and records of a module, in its order: those that are public, or of these names."""
    parts = []
    for name, thing in _classes(module, names):
        parts += [f"### `{name}`", described(thing)]
        if attrs.has(thing):
            parts.append(_fields(thing))
        if issubclass(thing, Enum):
            rows = [(f"`{member.name}`", f"`{member.value!r}`", told) for member, told in members_docstrings(thing)]
            parts.append(table(("member", "value", "what it is"), rows))
        for member, function in _members(thing):
            if isinstance(function, property):
                parts += [f"**`{member}: {annotation(inspect.signature(function.fget).return_annotation)}`**"]  # type: ignore[arg-type]
            else:
                parts += [_python(f"{member}{signature(function)}")]
            parts += [described(function), *_list(items(function)), *_others(function)]
    return "\n\n".join(part for part in parts if part)


def undescribed(module: ModuleType, names: Container[str] = tailrace.__all__) -> list[str]:
    """The attributes of those records whose docstring says nothing about them."""
    return [
        f"{name}.{field.name}"
        for name, thing in _classes(module, names)
        if attrs.has(thing)
        for field in _public(thing)
        if field.name not in items(thing)
    ]


def _classes(module: ModuleType, names: Container[str]) -> Iterator[tuple[str, type]]:
    for name, thing in vars(module).items():
        if inspect.isclass(thing) and thing.__module__ == module.__name__ and name in names:
            yield name, thing


def _public(thing: type) -> "list[attrs.Attribute[Any]]":
    return [field for field in attrs.fields(thing) if not field.name.startswith("_")]


def _members(thing: type) -> Iterator[tuple[str, object]]:
    for name, member in vars(thing).items():
        shown = not name.startswith("_") or (name == "__call__" and not attrs.has(thing))
        if shown and (inspect.isfunction(member) or isinstance(member, property)):
            yield name, member


def _fields(thing: type) -> str:
    told = items(thing)
    rows = [
        (f"`{field.name}`", f"`{annotation(field.type)}`", _default(field), told.get(field.name, ""))
        for field in _public(thing)
    ]
    return table(("attribute", "type", "default", "what it is"), rows)


def _default(field: "attrs.Attribute[object]") -> str:
    default: Any = field.default
    if default is attrs.NOTHING:
        return "required"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # Factory is a class at run time
        name = getattr(default.factory, "__name__", "")
        return f"`{name}()`" if name.isidentifier() else "made anew"
    if isinstance(default, Path):
        return f"`{default}`"
    return f"`{default.__name__}`" if inspect.isroutine(default) else f"`{default!r}`"


def _python(text: str) -> str:
    return f"```py\n{text}\n```"


def _list(told: Mapping[str, str]) -> list[str]:
    return ["\n".join(f"- `{name}`: {text}" for name, text in told.items())] if told else []


def _others(function: object) -> list[str]:
    parts = []
    if returns := sections(function).get("Returns"):
        parts.append(f"Returns: {as_markdown(inspect.cleandoc(returns))}")
    if raises := items(function, "Raises"):
        parts.append("Raises " + " ".join(f"`{name}`: {text}" for name, text in raises.items()))
    return parts

"""The public API as the text of a stub file: what a release promises, small enough to be read in a review.

It is rendered from the imported package, not from its source, so that the arguments of attrs classes are in it as they
can be given. Only what is public by name is there; annotations name classes without their modules, since where a public
class lives is nobody's business.
"""

import enum
import functools
import importlib
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import attrs

MODULES = (
    "tailrace",
    "tailrace.plugins.hookspecs",
    "tailrace_sdk.conformance",
    "tailrace_sdk.datasets",
    "tailrace_sdk.fakes",
    "tailrace_sdk.servers",
)
"""What is promised: names of the package, the hooks, and what authors of plugins test with."""

_WIDEST = 90
"""Characters of a signature on one line; beyond that each parameter has its own, so that a change is easy to see."""
_BUILT_IN_BASES = (Exception, enum.StrEnum)


def surface_of(module: str) -> str:
    """The stub of one module."""
    loaded = importlib.import_module(module)
    lines = [f'"""Public names of {module}."""']
    for name in sorted(public_names(module)):
        lines += ["", *_rendered(name, getattr(loaded, name))]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def public_names(module: str) -> list[str]:
    """The names that a module promises: its ``__all__``, or what it defines without an underscore."""
    loaded = importlib.import_module(module)
    if hasattr(loaded, "__all__"):
        return [name for name in loaded.__all__ if name != "__version__"]
    if module.endswith("hookspecs"):
        return [name for name in vars(loaded) if name.startswith("tailrace_")]
    return [
        name
        for name, value in vars(loaded).items()
        if name[0] != "_" and isinstance(value, type | FunctionType) and value.__module__.startswith(module)
    ]


def _rendered(name: str, thing: Any) -> Iterator[str]:
    if isinstance(thing, type):
        yield from _class(name, thing)
    elif inspect.isroutine(thing):
        yield f"def {name}{_signature(thing)}: ..."
    else:
        yield f"{name}: {_plain(type(thing).__name__)}"


def _class(name: str, cls: type) -> Iterator[str]:
    bases = ", ".join(_bases(cls))
    yield f"class {name}({bases}):" if bases else f"class {name}:"
    for member in _members(cls) or ["..."]:
        yield from (f"    {line}" for line in member.splitlines())


def _bases(cls: type) -> Iterator[str]:
    if getattr(cls, "_is_protocol", False):
        yield "Protocol"
        return
    for base in cls.__mro__[1:]:
        # What else a class is made of is nobody's business.
        ours = base.__module__.startswith("tailrace") and base.__name__ in _everything_public()
        if ours or base in _BUILT_IN_BASES:
            yield base.__name__


@functools.cache
def _everything_public() -> frozenset[str]:
    return frozenset(name for module in MODULES for name in public_names(module))


def _members(cls: type) -> list[str]:
    if issubclass(cls, enum.Enum):
        return [f"{member.name} = {member.value!r}" for member in cls]
    lines = [f"{name}: {annotation}" for name, annotation in sorted(_attributes(cls).items())]
    if not getattr(cls, "_is_protocol", False) and not issubclass(cls, BaseException):
        lines.append(f"def __init__{_signature(cls.__init__)}: ...")
    for name, value in sorted(inspect.getmembers_static(cls)):
        if name[0] == "_" and not (name == "__call__" and getattr(cls, "_is_protocol", False)):
            continue
        lines += _member(name, value)
    return lines


def _member(name: str, value: Any) -> list[str]:
    if isinstance(value, property) or type(value).__name__ in {"cached_property", "once"}:
        getter = getattr(value, "fget", None) or getattr(value, "func", None)
        return ["@property", f"def {name}{_signature(getter)}: ..."]
    if isinstance(value, classmethod | staticmethod):
        return [f"@{type(value).__name__}", f"def {name}{_signature(value.__func__)}: ..."]
    return [f"def {name}{_signature(value)}: ..."] if inspect.isfunction(value) else []


def _attributes(cls: type) -> Mapping[str, str]:
    if attrs.has(cls):
        return {field.name: _annotation(field.type) for field in attrs.fields(cls) if field.name[0] != "_"}
    own: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        if ancestor.__module__.startswith("tailrace"):
            own |= {name: _annotation(of) for name, of in inspect.get_annotations(ancestor).items() if name[0] != "_"}
    return own


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters: list[str] = []
    star = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parameters.append("*")
        star = star or parameter.kind in {parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL}
        parameters.append(_parameter(parameter))
    returned = (
        "" if signature.return_annotation is signature.empty else f" -> {_annotation(signature.return_annotation)}"
    )
    line = f"({', '.join(parameters)}){returned}"
    if len(line) <= _WIDEST:
        return line
    listed = "".join(f"    {parameter},\n" for parameter in parameters)
    return f"(\n{listed}){returned}"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "*" * (parameter.kind is parameter.VAR_POSITIONAL) + "**" * (parameter.kind is parameter.VAR_KEYWORD)
    text = stars + parameter.name
    if parameter.annotation is not parameter.empty:
        text += f": {_annotation(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        text += f" = {_default(parameter.default)}"
    return text


def _default(value: object) -> str:
    simple = value is None or isinstance(value, bool | int | float | str)
    return repr(value) if simple and not isinstance(value, enum.Enum) else "..."


def _annotation(annotation: object) -> str:
    if isinstance(annotation, typing.ForwardRef):
        return _plain(annotation.__forward_arg__)
    return _plain(annotation if isinstance(annotation, str) else str(inspect.formatannotation(annotation)))


def _plain(text: str) -> str:
    """An annotation that names classes without their modules, valid as Python."""
    text = re.sub(r"ForwardRef\('([^']*)'\)", r"\1", text)
    text = re.sub(r"\b(?:[a-z_]\w*\.)+(\w+)", r"\1", text)
    return re.sub(r"<[^<>]*>", "object", text).replace("~", "")

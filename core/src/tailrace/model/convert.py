"""Strict conversion between JSON-like values and the frozen classes.

The default converter of cattrs turns 5 into ``'5'``, 1.9 into 1 and ignores unknown keys, and its errors quote values.
This one does none of it: wrong types and unknown keys are errors with the path (``$.sinks[0].target``), and messages
name types, never values, because a value may be a secret.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import attrs
from cattrs import AttributeValidationNote, Converter, IterableValidationNote
from cattrs.cols import is_mapping, mapping_structure_factory
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from tailrace.model.errors import RequestError, TailraceError
from tailrace.model.textual import is_union, type_name

T = TypeVar("T")


class StructureError(RequestError):
    """A value that does not have the shape it must have.

    Args:
        problems: One ``"message @ $.path"`` for each problem; all of them, not only the first.
        what: What was read, for the headline.
    """

    def __init__(self, problems: list[str], *, what: str) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{what} is not valid:\n" + "\n".join(f"  - {problem}" for problem in problems))


class _WrongType(Exception):  # noqa: N818 - internal signal, always turned into StructureError
    """A value of another type than asked for; the text names both types and no value."""


def structure(value: object, cls: type[T], *, what: str | None = None) -> T:
    """Turn a JSON-like value into an instance of ``cls``.

    Args:
        value: Dictionaries, lists, texts, numbers, booleans and None.
        cls: An attrs class, or any type it may hold.
        what: What is being read, for the headline of the error; the class's name by default.

    Raises:
        StructureError: With every problem and its path.
    """
    try:
        return _CONVERTER.structure(value, cls)
    except (ClassValidationError, IterableValidationError, _WrongType, ValueError, TypeError) as error:
        raise StructureError(_problems(error, "$"), what=what or type_name(cls)) from None


def unstructure(value: object) -> Any:
    """Turn an instance into JSON-like values; times become ISO 8601 text in UTC with ``Z``."""
    return _CONVERTER.unstructure(value)


_WITH_ATTRIBUTE = 2
"""Arguments of a ValueError that says which attribute it is about."""


def _problems(error: BaseException, path: str) -> list[str]:
    if isinstance(error, IterableValidationError | ClassValidationError):
        found: list[str] = []
        for inner in error.exceptions:
            step = ""
            for note in getattr(inner, "__notes__", ()):
                if isinstance(note, AttributeValidationNote):
                    step = f".{note.name}"
                elif isinstance(note, IterableValidationNote):
                    step = f"[{note.index!r}]"
            found += _problems(inner, path + step)
        return found
    if isinstance(error, ForbiddenExtraKeysError):
        known = ", ".join(sorted(field.name for field in attrs.fields(error.cl)))
        return [f"unknown key {key!r}, there is {known} @ {path}" for key in sorted(error.extra_fields)]
    if isinstance(error, KeyError):
        return [f"required key is missing @ {path}"]
    if isinstance(error, _WrongType | TailraceError):
        return [f"{error} @ {path}"]
    if type(error) is ValueError and len(error.args) == _WITH_ATTRIBUTE and isinstance(error.args[1], attrs.Attribute):
        # As validators of plugins are asked to raise it: written for whoever reads it, without the value.
        return [f"{error.args[0]} @ {path}"]
    # Texts of foreign errors may quote the value; ours (validators of the model) are written not to.
    return [f"the value does not fit ({type(error).__name__}) @ {path}"]


def _name(value: object) -> str:
    return {"NoneType": "null", "dict": "object", "str": "text"}.get(type(value).__name__, type(value).__name__)


def _exactly(wanted: type, label: str) -> Callable[[object, type], object]:
    def hook(value: object, cls: type) -> object:
        # cattrs asks this hook for enumerations derived from the type, too.
        if issubclass(cls, Enum):
            return _enum(value, cls)
        if type(value) is not wanted:
            message = f"expected {label}, got {_name(value)}"
            raise _WrongType(message)
        return value

    return hook


def _float(value: object, _type: object) -> float:
    if type(value) not in {int, float}:
        raise _WrongType(f"expected a number, got {_name(value)}")
    try:
        number = float(value)  # type: ignore[arg-type]  # checked just above
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _WrongType("expected a finite number")
    return number


def _path(value: object, _type: object) -> Path:
    if not isinstance(value, str | Path):
        raise _WrongType(f"expected a path as text, got {_name(value)}")
    return Path(value)


def _datetime(value: object, _type: object) -> datetime:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _WrongType(f"expected a time as ISO 8601 text with its offset, got {_name(value)}")


def _enum(value: object, cls: type[Enum]) -> Enum:
    for member in cls:
        if value is member or (type(value) is type(member.value) and value == member.value):
            return member
    message = "expected one of " + ", ".join(repr(member.value) for member in cls)
    raise _WrongType(message)


def _literal(value: object, cls: type) -> object:
    for choice in get_args(cls):
        if type(value) is type(choice) and value == choice:
            return value
    message = "expected one of " + ", ".join(map(repr, get_args(cls)))
    raise _WrongType(message)


def _union(value: object, cls: type) -> object:
    reasons: list[str] = []
    if value is None and type(None) in get_args(cls):
        return None
    for member in get_args(cls):
        if member is type(None):
            continue
        try:
            return _CONVERTER.structure(value, member)
        except _WrongType as error:
            reasons.append(str(error))
    message = " or ".join(dict.fromkeys(reasons))
    raise _WrongType(message)


def _list(value: object, cls: type) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise _WrongType(f"expected a list, got {_name(value)}")
    element = get_args(cls)[0]
    errors: list[Exception] = []
    items: list[Any] = []
    for index, item in enumerate(value):
        try:
            items.append(_CONVERTER.structure(item, element))
        except Exception as error:  # noqa: BLE001 - collected whole, to list every problem
            error.__notes__ = [
                *getattr(error, "__notes__", []),
                IterableValidationNote("in a list", index, element),
            ]
            errors.append(error)
    if errors:
        message = "list"
        raise IterableValidationError(message, errors, cls)
    return items if get_origin(cls) is list else tuple(items)


def _is_enum(cls: Any) -> bool:
    return isinstance(cls, type) and issubclass(cls, Enum)


def _is_union_of_scalars(cls: Any) -> bool:
    # cattrs reads "T or None" itself.
    return is_union(cls) and not (len(get_args(cls)) == 2 and type(None) in get_args(cls))  # noqa: PLR2004 - T and None


def _is_literal(cls: Any) -> bool:
    return bool(get_origin(cls) == Literal)


def _is_list(cls: Any) -> bool:
    return get_origin(cls) is list or (get_origin(cls) is tuple and get_args(cls)[1:] == (Ellipsis,))


def _object_first(make: Callable[[Any], Callable[[Any, Any], Any]]) -> Callable[[Any], Callable[[Any, Any], Any]]:
    """Let the hooks that ``make`` makes take nothing but objects; by themselves they fail on others in many ways."""

    def factory(cls: Any) -> Callable[[Any, Any], Any]:
        inner = make(cls)

        def hook(value: object, wanted: Any) -> Any:
            if not isinstance(value, Mapping):
                message = f"expected an object, got {_name(value)}"
                raise _WrongType(message)
            return inner(value, wanted)

        return hook

    return factory


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _build() -> Converter:
    converter = Converter(forbid_extra_keys=True, detailed_validation=True)
    for wanted, label in ((str, "text"), (int, "a whole number"), (bool, "true or false")):
        converter.register_structure_hook(wanted, _exactly(wanted, label))
    converter.register_structure_hook(float, _float)
    converter.register_structure_hook(datetime, _datetime)
    converter.register_structure_hook(Path, _path)
    converter.register_structure_hook_factory(attrs.has, _object_first(converter.gen_structure_attrs_fromdict))
    # Not converter.gen_structure_mapping: that registers what it makes, past the check, for the next use of the type.
    converter.register_structure_hook_factory(
        is_mapping, _object_first(lambda cls: mapping_structure_factory(cls, converter))
    )
    converter.register_structure_hook_func(_is_enum, _enum)
    converter.register_structure_hook_func(_is_literal, _literal)
    converter.register_structure_hook_func(_is_list, _list)
    converter.register_structure_hook_func(_is_union_of_scalars, _union)
    converter.register_unstructure_hook(datetime, _iso)
    return converter


_CONVERTER = _build()

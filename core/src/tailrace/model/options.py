"""Options of plugins: one attrs class gives validation, ``--option`` names, documentation and redaction.

::

    @attrs.frozen
    class CsvOptions:
        delimiter: str = option(",", help="Character between two fields.")
        bom: bool = option(default=False, help="Begin with a byte order mark.")
"""

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.errors import OptionError, UnknownNameError
from tailrace.model.textual import type_name, value_from_text

if TYPE_CHECKING:
    from attrs import AttrsInstance

T = TypeVar("T", bound="AttrsInstance")


def option(default: Any = attrs.NOTHING, *, help: str, secret: bool = False, **field: Any) -> Any:  # noqa: A002
    """Declare one option in an attrs class.

    Args:
        default: Value when the option is not given; without one it is required.
        help: One sentence for ``tailrace plugins show`` and the docs.
        secret: Whether its value must not be shown or written into a manifest.
        field: Further arguments of :func:`attrs.field`.
    """
    metadata = {"help": help, "secret": secret, **field.pop("metadata", {})}
    return attrs.field(default=default, metadata=metadata, repr=not secret, **field)


@attrs.frozen
class OptionDescription:
    """One option as ``tailrace plugins show`` prints it."""

    name: str
    type: str
    default: Any
    required: bool
    help: str


def describe_options(cls: "type[AttrsInstance]") -> tuple[OptionDescription, ...]:
    """List the options that an options class declares."""
    hints = typing.get_type_hints(cls)
    described = []
    for field in attrs.fields(cls):
        required = field.default is attrs.NOTHING
        default = field.default
        if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # Factory is a class at run time
            default = None if default.takes_self else default.factory()
        shown = None if required or field.metadata.get("secret") else unstructure(default)
        described.append(
            OptionDescription(field.name, type_name(hints[field.name]), shown, required, field.metadata.get("help", ""))
        )
    return tuple(described)


def build_options(cls: type[T], given: Mapping[str, Any], *, owner: str) -> T:
    """Make an instance of an options class from names and values.

    Args:
        cls: The options class.
        given: Values by name. A text is converted to the option's type (``"true"``, ``"5"``, ``"a,b"``); any other
            value must have that type already.
        owner: Whose options they are, for error messages (``"format csv"``).

    Raises:
        UnknownNameError: An option that the class does not declare.
        OptionError: A value that does not fit, or a required option that is missing.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in attrs.fields(cls)}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise UnknownNameError("option", name, known, where=owner)
        wanted = hints[name]
        raw = value_from_text(value, wanted, name) if isinstance(value, str) else value
        try:
            values[name] = structure(raw, wanted)
        except StructureError as error:
            raise OptionError(name, error.problems[0].removesuffix(" @ $")) from None
    missing = [name for name, field in known.items() if field.default is attrs.NOTHING and name not in values]
    if missing:
        raise OptionError(missing[0], f"{owner} needs it.", hint=known[missing[0]].metadata.get("help", ""))
    try:
        return cls(**values)
    except (ValueError, TypeError) as error:
        # attrs' own validators put (message, attribute, …) into args; ours only the message.
        culprit = next((part.name for part in error.args if isinstance(part, attrs.Attribute)), "")
        # Either may quote the value.
        secret = any(known[name].metadata.get("secret") for name in ([culprit] if culprit in known else values))
        said = "the value does not fit." if secret or not error.args else str(error.args[0])
        raise OptionError(culprit or owner, said) from None


def public_options(options: "AttrsInstance") -> dict[str, Any]:
    """The options as JSON-like values, secrets shown as ``"***"``: what a manifest may hold."""
    return {
        field.name: "***" if field.metadata.get("secret") else _plain(getattr(options, field.name))
        for field in attrs.fields(type(options))
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else unstructure(value)

"""The two forms of a request that is kept: all of it, to be sealed; and without anything secret, to be shown."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.errors import RequestError, TailraceError
from tailrace.model.notify import Notify
from tailrace.model.request import ExportRequest
from tailrace.reading.userinfo import redacted
from tailrace.store.jobs import NEEDS

if TYPE_CHECKING:
    from tailrace.pipeline.job import Job

_HIDDEN = "***"
_TELLING = re.compile(
    r"""(?ix) ( [a-z0-9_.-]* (?: pass | pwd | secret | token | key | credential | signature ) [a-z0-9_.-]* \s*=\s* )
    (?: '[^']*' | "[^"]*" | [^\s&;,'"]+ )"""
)
"""A value that its name calls a secret."""
_HARMLESS = frozenset({"table"})
"""Parameters of addresses that are shown; what others hold only their plugins know."""


def whole_form(request: ExportRequest) -> Any:
    """All of a request, as JSON-like values.

    Raises:
        RequestError: An option has a value that JSON cannot hold.
    """
    try:
        return json.loads(json.dumps(unstructure(request), allow_nan=False, default=_as_text))
    except (TypeError, ValueError, RecursionError):
        message = "The request cannot be saved: an option is neither text, number, true or false, list nor object."
    raise RequestError(message, hint="Give the value as a text, as on a command line.")


def from_whole_form(values: object, what: str) -> ExportRequest:
    """The request that :func:`whole_form` wrote down.

    Args:
        values: JSON-like values.
        what: What they belong to, for errors, such as ``"The template 'nightly'"``.

    Raises:
        RequestError: They are no request, or hold something that this version does not know.
    """
    try:
        return structure(values, ExportRequest, what=what)
    except StructureError as error:
        message = error.message
    raise RequestError(message, hint="A newer Tailrace may have saved it: update this one, or save it again.")


def shown_form(prepared: "Job", shown: Callable[[Notify], Notify]) -> dict[str, Any]:
    """A request as everybody may see it, as JSON-like values.

    User names and passwords are removed from places, targets and filters, and so is what their names call a secret; of
    options that are secret, only the names are left. Where keys lie is left out. Of those who are told, the name is
    left that the sink gives to their address.

    Args:
        prepared: The request, made ready: by then it is settled which plugin an option belongs to.
        shown: A wish to be told as it is shown.

    Raises:
        RequestError: Somebody is to be told who cannot be.
        TailraceError: A sink that is to tell somebody, or its settings, cannot be used.
    """
    request = prepared.request
    form: dict[str, Any] = whole_form(request)
    built = [prepared.source_options, prepared.format_options, *(sink.options for sink in prepared.destinations)]
    fields = [field for options in built for field in attrs.fields(type(options))]
    # Where two plugins have an option of one name, both are hidden if one is secret.
    secret = {field.name for field in fields if field.metadata.get("secret")}
    form["location"] = _shown_place(request.location)
    form["where"] = [redacted(text) for text in request.where]
    form["options"] = _shown_options(form["options"], secret)
    for number, sink in enumerate(form["sinks"]):
        sink["target"] = None if sink["target"] is None else _whom(prepared, number, sink["target"])
        sink["options"] = _shown_options(sink["options"], secret)
    if request.notify is not None:
        form["notify"] = unstructure([shown(wish) for wish in request.notify])
    del form["openers"]
    if prepared.needs is not None:
        form[NEEDS] = prepared.needs
    return form


def _as_text(value: object) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError


def _shown_options(options: dict[str, Any], secret: set[str]) -> dict[str, Any]:
    return {
        name: _HIDDEN if name.rpartition(".")[2] in secret else _shown_value(value) for name, value in options.items()
    }


def _shown_value(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        return [_shown_value(item) for item in value]
    if isinstance(value, dict):
        return {key: _shown_value(item) for key, item in value.items()}
    return value


def _shown_place(text: str) -> str:
    address, mark, query = _TELLING.sub(rf"\1{_HIDDEN}", redacted(text)).partition("?")
    if not mark or "://" not in address:
        return address + mark + query
    return f"{address}?{'&'.join(map(_shown_parameter, query.split('&')))}"


def _shown_parameter(text: str) -> str:
    name, equals, _value = text.partition("=")
    return text if not equals or name in _HARMLESS else f"{name}={_HIDDEN}"


def _whom(prepared: "Job", number: int, target: str) -> str:
    """A target as it is shown: by the names of those whom it means, where its sink tells recipients apart."""
    from tailrace.pipeline.deliver import recipients_of

    try:
        named = recipients_of(prepared, number)
    except TailraceError:
        # It may be anything, such as a URL with a slip in it.
        return _HIDDEN
    return _shown_target(target) if named == ("",) else ", ".join(named)


def _shown_target(text: str) -> str:
    # The path of a webhook is its password.
    return re.sub(r"(?i)^(https?://[^/?#]*[/?#]).+", rf"\1{_HIDDEN}", _shown_place(text))

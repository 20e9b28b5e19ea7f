"""``tailrace templates``: saved requests."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

from cyclopts import Group, Parameter

from tailrace.cli.request import (
    NOT_GIVEN,
    NOTHING_SAID,
    SELECT,
    Removable,
    RequestOptions,
    changed_request,
    new_request,
)
from tailrace.cli.session import COMMON, Common, Shared
from tailrace.cli.wishes import NOBODY, words_of
from tailrace.model.errors import RequestError

if TYPE_CHECKING:
    from tailrace.model.work import ExportTemplate

_SAVE = Group.create_ordered("How to keep it")

_NO_ANSWER = cast("bool", None)
_LABELS = {
    "source": "source",
    "location": "from",
    "columns": "columns",
    "where": "where",
    "since": "since",
    "until": "until",
    "sort": "sort",
    "limit": "limit",
    "credentials": "credentials",
    "format": "format",
    "time_zone": "tz",
    "compress": "compress",
    "compress_level": "compress-level",
}
"""What is shown of a request, in this order, and what it is called on the command line."""


def save(
    name: str,
    source: str = NOT_GIVEN,
    /,
    *,
    request: RequestOptions = NOTHING_SAID,
    public: Annotated[bool, Parameter(group=_SAVE, negative=())] = False,
    description: Annotated[str, Parameter(group=_SAVE)] = "",
    replace: Annotated[bool, Parameter(group=_SAVE, negative=())] = False,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Save what an export needs, to be used again and again: tailrace export --template NAME.

    Relative paths count from the folder in which it is used.

    Args:
        name: What to call it: letters, digits, dots, hyphens and underscores.
        source: Name of the source: pool, analytics …
        public: Let everybody who uses this store see and use it, with the passwords that it holds.
        description: What it is for, in one line.
        replace: Take the place of your template of that name.
    """
    asked = new_request(source, request, session, command="tailrace templates save")
    template = session.engine.templates.save(
        name, asked, user=session.user, public=public, description=description, replace=replace
    )
    if common.json:
        session.terminal.document({"template": _document(template)})
        return 0
    session.terminal.line(f"Saved the template {template.name}, {_for_whom(template)}.", "bold")
    session.terminal.line(f"Use it: tailrace export --template {template.name}")
    return 0


def list_templates(*, common: Common = COMMON, session: Shared) -> int:
    """List your templates and the public ones; for admins, all."""
    found = session.engine.templates.list(session.user)
    terminal = session.terminal
    if common.json:
        terminal.document({"templates": [_document(template) for template in found]})
        return 0
    if not found:
        terminal.text("There is no template. Save one: tailrace templates save NAME SOURCE --from … --format …")
        return 0
    rows = [
        (
            template.name,
            template.owner,
            _visibility(template),
            f"{template.request.get('source')} as {template.request.get('format')}",
            template.description,
        )
        for template in found
    ]
    terminal.table(("name", "owner", "for", "exports", "description"), rows)
    return 0


def show(name: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Show a template: what it exports, as what, where to; never a password.

    Args:
        name: Its name; OWNER/NAME for somebody else's.
    """
    template = session.engine.templates.show(name, session.user)
    terminal = session.terminal
    if common.json:
        terminal.document({"template": _document(template)})
        return 0
    terminal.line(f"{template.owner}/{template.name}", "bold")
    if template.description:
        terminal.text(template.description)
    terminal.text(f"Saved on {template.created:%Y-%m-%d %H:%M} UTC, {_for_whom(template)}.")
    if template.changed != template.created:
        terminal.text(f"Changed on {template.changed:%Y-%m-%d %H:%M} UTC.")
    terminal.line()
    terminal.table((), list(_settings(template.request)), indent="  ")
    return 0


def edit(
    name: str,
    source: str = NOT_GIVEN,
    /,
    *,
    request: RequestOptions = NOTHING_SAID,
    without: Annotated[tuple[Removable, ...], Parameter(group=SELECT, negative=())] = (),
    public: Annotated[bool, Parameter(group=_SAVE, negative="--private")] = _NO_ANSWER,
    description: Annotated[str, Parameter(group=_SAVE)] = NOT_GIVEN,
    rename: Annotated[str, Parameter(group=_SAVE)] = NOT_GIVEN,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Change a template; what is not given stays.

    Args:
        name: Its name; OWNER/NAME for somebody else's, which admins may change.
        source: Name of the source.
        without: What of it to take away; as often as needed.
        public: Let everybody who uses this store see and use it, with the passwords that it holds; or only you.
        description: What it is for, in one line.
        rename: What to call it from now on.
    """
    changes_request = bool(without or request.changes(source, session))
    if not changes_request and public is None and description is None and rename is None:
        raise RequestError("There is nothing to change.", hint="See: tailrace templates edit --help")
    template = session.engine.templates.edit(
        name,
        session.user,
        request=(lambda saved: changed_request(saved, source, request, without, session)) if changes_request else None,
        public=public,
        description=description,
        new_name=rename,
    )
    if common.json:
        session.terminal.document({"template": _document(template)})
    else:
        session.terminal.line(f"Changed the template {template.owner}/{template.name}, {_for_whom(template)}.", "bold")
    return 0


def delete(name: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Delete a template. Exports made with it stay.

    Args:
        name: Its name; OWNER/NAME for somebody else's, which admins may delete.
    """
    session.engine.templates.delete(name, session.user)
    if common.json:
        session.terminal.document({"deleted": name})
    else:
        session.terminal.line(f"Deleted the template {name}.", "bold")
    return 0


def _document(template: "ExportTemplate") -> dict[str, Any]:
    from tailrace.model.convert import unstructure

    document: dict[str, Any] = unstructure(template)
    return document


def _visibility(template: "ExportTemplate") -> str:
    return "everybody" if template.public else "owner"


def _for_whom(template: "ExportTemplate") -> str:
    return "for everybody" if template.public else "for its owner only"


def _settings(request: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What a request says, but what it says by saying nothing."""
    for name, label in _LABELS.items():
        value = request.get(name)
        if value is None or value == []:
            continue
        yield label, "\n".join(map(str, value)) if name == "where" else _text(value)
    for sink in request.get("sinks", ()):
        yield "to", sink["name"] if sink["target"] is None else f"{sink['name']}:{sink['target']}"
        yield from (("option", f"{sink['name']}.{key}={_text(value)}") for key, value in sink["options"].items())
    for key, value in request.get("options", {}).items():
        yield "option", f"{key}={_text(value)}"
    yield from (("notify", text) for text in _told(request.get("notify")))


def _told(wishes: Any) -> Iterator[str]:
    """Who is told, where a request says it."""
    if wishes is not None:
        from tailrace.model.convert import structure
        from tailrace.model.notify import Notify

        yield from [words_of(structure(wish, Notify)) for wish in wishes] or [NOBODY]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, dict):
        return ",".join(f"{key}={_text(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)

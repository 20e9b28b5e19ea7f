"""Backups of a pool: which of the files that jobs made is the newest that a template stands for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tailrace.model.errors import SourceError
from tailrace.model.work import ExportTemplate
from tailrace.store import artifacts, templates
from tailrace.store.database import Store

_SAME = ("source", "location", "columns", "where", "since", "until", "limit", "credentials")
"""What a request has to have in common with the template for its files to be backups like the template's."""
_LOOKED_AT = 1000
"""Files that are looked at, the newest first."""


def newest_backup(store: Store, place: str, template: str, creator: str, folder: Path) -> Path:
    """The newest file on this machine that a user's exports of the same pool, in the same way, made by a template.

    What was given besides the template may have made something else of it, such as a part of the pool: that is none.

    Args:
        store: Where jobs are.
        place: Which home's machine this is.
        template: Id of the template.
        creator: The user: nobody else's exports are looked at.
        folder: What relative locations count from.

    Raises:
        SourceError: There is none.
    """
    with store.reading() as connection:
        found = templates.get(connection, template)
        made = artifacts.newest_by_templates(connection, place, creator=creator, source="pool", limit=_LOOKED_AT)
        newest = None if found is None else _first(made, found, folder)
    called = "that was removed" if found is None else repr(found.name)
    if newest is None:
        message = f"There is no backup of {creator} by the template {called} on this machine."
        raise SourceError(message, hint="Make one: tailrace export --template NAME; or let a schedule make them.")
    if not newest.exists():
        # An older one would be there perhaps; but that the newest is gone is what a drill is to find.
        message = f"The newest backup by the template {called}, {newest.name}, is not where it was put."
        raise SourceError(message, hint="Look at what happened there, and make a new one.")
    return newest


def _first(made: list[artifacts.MadeBy], template: ExportTemplate, folder: Path) -> Path | None:
    meant = _essence(template.request, folder)
    return next((one.file.path for one in made if _essence(one.request, one.folder) == meant), None)


def _essence(request: Mapping[str, Any], folder: Path) -> list[Any]:
    values: dict[str, Any] = {name: request.get(name) for name in _SAME}
    location = str(values["location"])
    # As two folders may call different pools the same.
    values["location"] = location if "://" in location else str(folder / location)
    return [values[name] for name in _SAME]

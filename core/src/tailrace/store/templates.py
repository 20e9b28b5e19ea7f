"""Templates in the store: entered, changed, found by their names, removed.

All functions work inside of the caller's transaction; those that change something need one for writing.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import sqlalchemy as sa

from tailrace.model.errors import AlreadyExistsError, RequestError
from tailrace.model.work import ExportTemplate
from tailrace.store.tables import templates

_SHOWN = [column for column in templates.c if column.name != "sealed"]


def add(connection: sa.Connection, template: ExportTemplate, sealed: bytes) -> None:
    """Enter a template.

    Args:
        connection: For writing.
        template: The template.
        sealed: All of its request, sealed.

    Raises:
        AlreadyExistsError: Its owner has one of that name.
    """
    with _unique(template):
        connection.execute(sa.insert(templates).values(_values(template) | {"sealed": sealed}))


def change(connection: sa.Connection, template: ExportTemplate, sealed: bytes | None = None) -> None:
    """Change a template, which is found by its id.

    Args:
        connection: For writing.
        template: What it shall be.
        sealed: All of its request, sealed; None where the request stays.

    Raises:
        AlreadyExistsError: Its owner has another one of that name.
    """
    values = _values(template) | ({} if sealed is None else {"sealed": sealed})
    with _unique(template):
        connection.execute(sa.update(templates).where(templates.c.id == template.id).values(values))


def get(connection: sa.Connection, template: str) -> ExportTemplate | None:
    """The template of that id; None where there is none."""
    return next(_found(connection, templates.c.id == template), None)


def of_owner(connection: sa.Connection, owner: str, name: str) -> ExportTemplate | None:
    """The template that a user has under a name; None where there is none."""
    return next(_found(connection, templates.c.owner == owner, templates.c.name == name), None)


def public_ones(connection: sa.Connection, name: str) -> list[ExportTemplate]:
    """The public templates of a name, in the order of their owners."""
    return list(_found(connection, templates.c.name == name, templates.c.public))


def listing(connection: sa.Connection, *, visible_to: str | None) -> list[ExportTemplate]:
    """Templates in the order of their names.

    Args:
        connection: Any.
        visible_to: The user whose own and the public ones are listed; None for all there are.
    """
    seen = sa.true() if visible_to is None else sa.or_(templates.c.owner == visible_to, templates.c.public)
    return list(_found(connection, seen))


def sealed_request(connection: sa.Connection, template: str) -> bytes | None:
    """The request of a template, sealed; None where there is no such template."""
    return connection.execute(sa.select(templates.c.sealed).where(templates.c.id == template)).scalar()


def remove(connection: sa.Connection, template: ExportTemplate) -> bool:
    """Remove a template; False where it is not there.

    Raises:
        RequestError: A schedule needs it.
    """
    try:
        return connection.execute(sa.delete(templates).where(templates.c.id == template.id)).rowcount == 1
    except sa.exc.IntegrityError:
        message = f"The template {template.name!r} is used by a schedule."
        raise RequestError(message, hint="Remove the schedule, or let it use another template, first.") from None


def taken(template: ExportTemplate) -> AlreadyExistsError:
    """The error for a template whose name its owner has given already."""
    message = f"{template.owner} has a template {template.name!r} already."
    return AlreadyExistsError(message, hint="Choose another name, or say that it shall be replaced (--replace).")


def _found(connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> Iterator[ExportTemplate]:
    asked = sa.select(*_SHOWN).where(*conditions).order_by(templates.c.name, templates.c.owner)
    for row in connection.execute(asked).mappings():
        yield ExportTemplate(**row)


def _values(template: ExportTemplate) -> dict[str, Any]:
    values: Mapping[str, Any] = attrs.asdict(template, recurse=False)
    return dict(values)


@contextmanager
def _unique(template: ExportTemplate) -> Iterator[None]:
    # Asking first would not do: another process may enter the name in between.
    try:
        yield
    except sa.exc.IntegrityError:
        raise taken(template) from None

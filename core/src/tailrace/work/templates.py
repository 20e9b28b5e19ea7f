"""Export templates: saved requests, of one user or for everybody, to be used again and again."""

import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import sqlalchemy as sa

from tailrace.model.audit import AuditEntry, Outcome
from tailrace.model.errors import (
    NotAllowedError,
    RefusedError,
    RequestError,
    TailraceError,
    TransientError,
    UnknownNameError,
)
from tailrace.model.job import User
from tailrace.model.notify import Notify
from tailrace.model.request import ExportRequest
from tailrace.model.work import ExportTemplate
from tailrace.pipeline import expressions
from tailrace.reading.userinfo import redacted
from tailrace.store import audit, schedules, templates, users
from tailrace.store.database import Store
from tailrace.vault.requests import RequestSealer
from tailrace.work.access import Access, Operation
from tailrace.work.names import check_name, is_plain, read_name
from tailrace.work.request_forms import from_whole_form, shown_form, whole_form

if TYPE_CHECKING:
    from tailrace.pipeline.job import Job

_KIND = "template"
_LONGEST_DESCRIPTION = 500
_MOST_OFFERED = 30
"""Names that an error lists."""


@attrs.frozen
class Templates:
    """The templates of one store.

    Every method takes the user who asks, and raises :class:`~tailrace.model.errors.NotAllowedError` where the table in
    :mod:`tailrace.work.access` does not let that user do it: everybody may use and see public templates, and only their
    owners and admins change them. Each thing that is done is in the audit trail, and so is each that is refused.

    A template is called by its name: the user's own of that name, or else the one public of that name. ``owner/name``
    says whose.

    Args:
        store: Where they are.
        access: Who may do what.
        sealer: Seals their requests, since a location may hold a password.
        prepare: Makes a request ready for a user without touching data, and lets sinks check their targets; it raises
            what is wrong with it.
        shown: A wish to be told as it is shown; raises where nobody can be told like that.
    """

    store: Store
    access: Access
    sealer: RequestSealer = attrs.field(repr=False)
    prepare: "Callable[[ExportRequest, User], Job]" = attrs.field(repr=False)
    shown: "Callable[[Notify], Notify]" = attrs.field(repr=False)

    def save(
        self,
        name: str,
        request: ExportRequest,
        *,
        user: User,
        public: bool = False,
        description: str = "",
        replace: bool = False,
    ) -> ExportTemplate:
        """Save a request as a template of the user's own.

        Args:
            name: 1 to 100 letters, digits, ``.``, ``_`` and ``-``; the first one is neither ``.`` nor ``-``.
            request: The request.
            user: Who saves it, and owns it from then on.
            public: Whether everybody may use it.
            description: What it is for, in one line of at most 500 characters.
            replace: Whether it takes the place of the user's template of that name.

        Raises:
            AlreadyExistsError: The user has one of that name, and it was not to be replaced.
            NotAllowedError: It would deliver to where no template may.
            RequestError: Something in it cannot be.
        """
        check_name(_KIND, name)
        _check_description(description)
        thing = f"{user.id}/{name}"
        self.access.require(Operation.TEMPLATE_SAVE, user, owner=user.id, thing=thing)
        prepared = self.judged(request, user, Operation.TEMPLATE_SAVE, thing)
        shown, whole = shown_form(prepared, self.shown), whole_form(request)
        with self.store.writing() as connection:
            now = self.store.now(connection)
            before = templates.of_owner(connection, user.id, name)
            if before is not None and not replace:
                raise templates.taken(before)
            template = ExportTemplate(
                id=str(uuid.uuid4()) if before is None else before.id,
                name=name,
                owner=user.id,
                public=public,
                description=description,
                request=shown,
                created=now if before is None else before.created,
                changed=now,
            )
            sealed = self.sealer.seal(_KIND, template.id, whole)
            (templates.add if before is None else templates.change)(connection, template, sealed)
            users.note(connection, user, now=now)
            done = {"public": public, "replaced": before is not None, "request": shown}
            self._record(connection, user, Operation.TEMPLATE_SAVE, template, done)
        return template

    def list(self, user: User) -> tuple[ExportTemplate, ...]:
        """List the user's own templates and the public ones; for admins all: the user's first, then by name."""
        operation = Operation.TEMPLATE_LIST_ALL if user.is_admin else Operation.TEMPLATE_LIST
        self.access.require(operation, user, owner=user.id)
        with self.store.writing() as connection:
            found = templates.listing(connection, visible_to=None if user.is_admin else user.id)
            entry = _entry(user, operation)
            audit.append(connection, entry, now=self.store.now(connection))
        return tuple(sorted(found, key=lambda template: (template.owner != user.id, template.name, template.owner)))

    def show(self, name: str, user: User) -> ExportTemplate:
        """Look at a template.

        Args:
            name: Its name, or ``owner/name``.
            user: Who asks.

        Raises:
            UnknownNameError: There is none of that name.
            RequestError: Several users have a public one of that name.
        """
        found = self._allowed(Operation.TEMPLATE_SHOW, name, user)
        with self.store.writing() as connection:
            current = _current(connection, found)
            self._record(connection, user, Operation.TEMPLATE_SHOW, current)
        return current

    def request(self, name: str, user: User) -> ExportRequest:
        """The request of a template, to be carried out; raises as :meth:`show` does.

        Raises:
            TamperedError: It was changed in the store, or sealed with another key.
        """
        return self.opened(name, user)[1]

    def opened(self, name: str, user: User) -> tuple[ExportTemplate, ExportRequest]:
        """A template and its request, to be carried out; raises as :meth:`request` does."""
        found = self._allowed(Operation.TEMPLATE_USE, name, user)
        with self.store.writing() as connection:
            current = _current(connection, found)
            request = self._opened(connection, current)
            self._record(connection, user, Operation.TEMPLATE_USE, current)
        return current, request

    def edit(
        self,
        name: str,
        user: User,
        *,
        request: "ExportRequest | Callable[[ExportRequest], ExportRequest] | None" = None,
        public: bool | None = None,
        description: str | None = None,
        new_name: str | None = None,
    ) -> ExportTemplate:
        """Change a template; what is None stays. Raises as :meth:`show` and :meth:`save` do.

        Args:
            name: Its name, or ``owner/name``.
            user: Who asks.
            request: The new request, or what makes it out of the one that is saved.
            public: Whether everybody may use it.
            description: What it is for.
            new_name: What it shall be called from now on.
        """
        if new_name is not None:
            check_name(_KIND, new_name)
        if description is not None:
            _check_description(description)
        found = self._allowed(Operation.TEMPLATE_EDIT, name, user)
        given = {"name": new_name, "public": public, "description": description}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        sealed = None
        if request is not None:
            wanted = request(self._request_of(found)) if callable(request) else request
            prepared = self.judged(wanted, user, Operation.TEMPLATE_EDIT, _label(found))
            changes["request"] = shown_form(prepared, self.shown)
            sealed = self.sealer.seal(_KIND, found.id, whole_form(wanted))
        with self.store.writing() as connection:
            now = self.store.now(connection)
            before = _current(connection, found)
            if before.changed != found.changed:
                # What was made of its request, or judged, is of yesterday by now.
                raise _changed(found)
            template = attrs.evolve(before, **changes, changed=now)
            templates.change(connection, template, sealed)
            self._record(connection, user, Operation.TEMPLATE_EDIT, before, changes)
        return template

    def delete(self, name: str, user: User) -> None:
        """Delete a template; raises as :meth:`show` does.

        Raises:
            RequestError: A schedule needs it.
        """
        found = self._allowed(Operation.TEMPLATE_DELETE, name, user)
        with self.store.writing() as connection:
            current = _current(connection, found)
            users_of_it = schedules.listing(connection, template=current.id)
            if users_of_it:
                theirs = ", ".join(one.label for one in users_of_it[:_MOST_OFFERED])
                message = f"The template {current.name!r} is used by a schedule: {theirs}."
                raise RequestError(message, hint="Remove the schedule, or let it use another template, first.")
            templates.remove(connection, current)
            self._record(connection, user, Operation.TEMPLATE_DELETE, current)

    def _allowed(self, operation: Operation, name: str, user: User) -> ExportTemplate:
        """The template that is meant, if this user may do that with it."""
        with self.store.reading() as connection:
            found = _find(connection, name, user)
        # Outside of any transaction: a refusal is recorded in one of its own.
        self.access.require(operation, user, owner=found.owner, public=found.public, thing=_label(found))
        return found

    def judged(self, request: ExportRequest, user: User, operation: Operation, thing: str) -> "Job":
        """A request that is kept for later, seen to be one that can be carried out; what is wrong with it is audited.

        Args:
            request: The request.
            user: Who keeps it.
            operation: What they do.
            thing: To what.

        Raises:
            TailraceError: It cannot be carried out.
        """
        try:
            prepared = self.prepare(request, user)
            _check_destinations(prepared)
            for wish in request.notify or ():
                self.shown(wish)
            for text in request.where:
                # Whether its columns exist only the data tells; whether it can be read, it tells itself.
                expressions.columns_of(text)
        except TailraceError as error:
            outcome: Outcome = "refused" if isinstance(error, RefusedError) else "failed"
            facts = {"source": request.source, "format": request.format, "error": redacted(error.message)}
            entry = _entry(user, operation, thing=thing, outcome=outcome, **facts)
            with self.store.writing() as connection:
                audit.append(connection, entry, now=self.store.now(connection))
            raise
        return prepared

    def _request_of(self, template: ExportTemplate) -> ExportRequest:
        with self.store.reading() as connection:
            return self._opened(connection, template)

    def _opened(self, connection: sa.Connection, template: ExportTemplate) -> ExportRequest:
        sealed = templates.sealed_request(connection, template.id)
        if sealed is None:
            raise _changed(template)
        values = self.sealer.open(_KIND, template.id, sealed)
        return from_whole_form(values, f"The template {template.name!r}")

    def _record(
        self,
        connection: sa.Connection,
        user: User,
        operation: Operation,
        template: ExportTemplate,
        parameters: dict[str, Any] | None = None,
    ) -> None:
        entry = _entry(
            user,
            operation,
            thing=_label(template),
            source=str(template.request.get("source", "")),
            format=str(template.request.get("format", "")),
            parameters=parameters or {},
        )
        audit.append(connection, entry, now=self.store.now(connection))


def _entry(user: User, operation: Operation, *, outcome: Outcome = "ok", **facts: Any) -> AuditEntry:
    return AuditEntry(
        user=user.id, operation=operation.value, outcome=outcome, address=user.address, agent=user.agent, **facts
    )


def _label(template: ExportTemplate) -> str:
    return f"{template.owner}/{template.name}"


def _find(connection: sa.Connection, name: str, user: User) -> ExportTemplate:
    meant, found = read_name(name, user.id), None
    if meant is not None:
        found = templates.of_owner(connection, *meant)
        if found is None and "/" not in name:
            found = _only(templates.public_ones(connection, name))
    if found is None:
        seen = templates.listing(connection, visible_to=None if user.is_admin else user.id)
        known = [template.name if template.owner == user.id else _label(template) for template in seen]
        hint = "" if known else "There is none yet. Save one: tailrace templates save NAME SOURCE --from … --format …"
        raise UnknownNameError("template", name, known[:_MOST_OFFERED], hint=hint)
    return found


def _only(public: "list[ExportTemplate]") -> ExportTemplate | None:
    if len(public) > 1:
        message = f"Several users have a public template {public[0].name!r}."
        raise RequestError(message, hint=f"Say whose: {' or '.join(map(_label, public))}.")
    return public[0] if public else None


def _current(connection: sa.Connection, found: ExportTemplate) -> ExportTemplate:
    """The template as it is by now, as long as what was decided about it still holds."""
    current = templates.get(connection, found.id)
    if current is None or current.public != found.public:
        raise _changed(found)
    return current


def _changed(template: ExportTemplate) -> TransientError:
    message = f"The template {template.name!r} was changed by somebody this very moment."
    return TransientError(message, hint="Look at it, and try again.")


def _check_description(description: str) -> None:
    if len(description) > _LONGEST_DESCRIPTION or not is_plain(description):
        message = f"The description of a template is one line of at most {_LONGEST_DESCRIPTION} characters."
        raise RequestError(message, hint="Shorten it, and leave out line ends and control characters.")


def _check_destinations(prepared: "Job") -> None:
    """Refuse destinations that depend on the working folder of whoever uses the template later, or are no names.

    Raises:
        NotAllowedError: There is one.
    """
    for destination in prepared.destinations:
        options = attrs.asdict(destination.options, recurse=False)
        folders = {name: str(value) for name, value in options.items() if isinstance(value, Path)}
        for what, text in {"target": destination.target or "", **folders}.items():
            if ".." in re.split(r"[/\\]", text):
                message = f"The {what} of the sink {destination.plugin.name} has '..' in it."
                hint = (
                    "A template is used in other folders than this one: write the whole path, or one that leads down."
                )
                raise NotAllowedError(message, hint=hint)
            if not is_plain(text):
                message = f"The {what} of the sink {destination.plugin.name} has control characters in it."
                raise NotAllowedError(message, hint="Write it without them.")

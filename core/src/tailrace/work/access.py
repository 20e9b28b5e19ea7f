"""Who may do what: one table of operations and roles, and one place that decides by it.

The rule behind the table: whoever created a job, a template or a schedule, and admins, may do everything with it, and
nobody else anything; a public template may be seen and used by everybody, and changed by its owner and admins only.

Whether somebody is an admin is what the :class:`~tailrace.model.job.User` of *this* call says. It is never remembered:
who was one yesterday is not one today.
"""

import logging
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

import attrs

from tailrace.model.audit import AuditEntry, one_line
from tailrace.model.errors import NotAllowedError, TailraceError
from tailrace.model.job import User
from tailrace.store import audit
from tailrace.store.database import Store

log = logging.getLogger(__name__)


class Operation(StrEnum):
    """Everything that somebody can do: the name that it has in the audit trail, and what it is, in words."""

    words: str

    def __new__(cls, name: str, words: str) -> Self:
        """Make a member."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.words = words
        return member

    EXPORT = "export", "export here and now"
    JOB_SUBMIT = "job.submit", "have a worker export in the background"
    JOB_LIST_OWN = "job.list", "list one's own jobs"
    JOB_LIST_ALL = "job.list-all", "list the jobs of everybody"
    JOB_SHOW = "job.show", "see a job: what was asked, how far it is, how it ended"
    JOB_CANCEL = "job.cancel", "stop a job"
    JOB_RETRY = "job.retry", "have a failed or cancelled job tried again"
    JOB_RESEND = "job.resend", "have the files of a job delivered again"
    JOB_REMOVE = "job.remove", "remove a job, and its files"
    JOB_PIN = "job.pin", "keep a job's files whatever the rules of retention say"
    JOB_UNPIN = "job.unpin", "leave a job's files to the rules of retention again"
    FILE_DOWNLOAD = "file.download", "get a file of a job"
    LINK_MINT = "link.mint", "make a link to download a file of a job"
    TEMPLATE_SAVE = "template.save", "save a template of one's own"
    TEMPLATE_LIST = "template.list", "list one's own templates and the public ones"
    TEMPLATE_LIST_ALL = "template.list-all", "list the templates of everybody"
    TEMPLATE_SHOW = "template.show", "see a template"
    TEMPLATE_USE = "template.use", "export with a template"
    TEMPLATE_EDIT = "template.edit", "change a template, or who may use it"
    TEMPLATE_DELETE = "template.delete", "delete a template"
    SCHEDULE_SAVE = "schedule.save", "make a schedule of one's own"
    SCHEDULE_LIST = "schedule.list", "list one's own schedules"
    SCHEDULE_LIST_ALL = "schedule.list-all", "list the schedules of everybody"
    SCHEDULE_SHOW = "schedule.show", "see a schedule: when it is due, and what became of it"
    SCHEDULE_EDIT = "schedule.edit", "change a schedule"
    SCHEDULE_PAUSE = "schedule.pause", "pause a schedule"
    SCHEDULE_RESUME = "schedule.resume", "let a schedule run again"
    SCHEDULE_RUN = "schedule.run", "have a schedule run now"
    SCHEDULE_TEST = "schedule.test", "try what a schedule makes"
    SCHEDULE_REMOVE = "schedule.remove", "remove a schedule"
    NOTIFICATION_LIST = "notification.list", "see what one was told"
    NOTIFICATION_READ = "notification.read", "mark what one was told as read"
    NOTIFICATION_PREFERENCES = "notification.preferences", "see how one wishes to be told"
    NOTIFICATION_PREFER = "notification.prefer", "say how one wishes to be told"
    AUDIT_LIST_OWN = "audit.list", "list one's own entries of the audit trail"
    AUDIT_LIST_ALL = "audit.list-all", "list the entries of everybody"
    AUDIT_VERIFY = "audit.verify", "check that the audit trail is complete and unchanged"
    AUDIT_EXPORT = "audit.export", "export the audit trail"
    RETENTION_SHOW = "retention.show", "see which files retention would remove"
    RETENTION_APPLY = "retention.apply", "remove the files that the rules of retention give up"
    RECIPIENT_LIST = "recipient.list", "see which recipients want nothing any more"
    RECIPIENT_ALLOW = "recipient.allow", "let a recipient that wanted nothing any more have deliveries again"
    WORKER_LIST = "worker.list", "see which workers are alive, and how much waits for them"
    WORKER_RUN = "worker.run", "run a worker"
    STORE_UPGRADE = "store.upgrade", "bring the store's tables up to date"


class Role(StrEnum):
    """What somebody is to a thing."""

    CREATOR = "creator"
    """Created it, or owns it."""
    OTHER = "other"
    """Somebody else; everybody who is no admin, where there is no thing that belongs to someone."""
    OTHER_OF_PUBLIC = "other, public"
    """Somebody else, and its owner made it public."""
    ADMIN = "admin"
    """An admin, whoever's it is."""
    NOBODY = "nobody"
    """Somebody who does not say who they are."""


_ADMINS: Final = frozenset({Role.ADMIN})
_CREATOR: Final = frozenset({Role.CREATOR, Role.ADMIN})
_PUBLIC: Final = frozenset({Role.CREATOR, Role.OTHER_OF_PUBLIC, Role.ADMIN})
_EVERYBODY: Final = frozenset({Role.CREATOR, Role.OTHER, Role.OTHER_OF_PUBLIC, Role.ADMIN})

ALLOWED: Final[Mapping[Operation, frozenset[Role]]] = MappingProxyType(
    {
        Operation.EXPORT: _EVERYBODY,
        Operation.JOB_SUBMIT: _EVERYBODY,
        Operation.JOB_LIST_OWN: _EVERYBODY,
        Operation.JOB_LIST_ALL: _ADMINS,
        Operation.JOB_SHOW: _CREATOR,
        Operation.JOB_CANCEL: _CREATOR,
        Operation.JOB_RETRY: _CREATOR,
        Operation.JOB_RESEND: _CREATOR,
        Operation.JOB_REMOVE: _CREATOR,
        Operation.JOB_PIN: _CREATOR,
        Operation.JOB_UNPIN: _CREATOR,
        Operation.FILE_DOWNLOAD: _CREATOR,
        Operation.LINK_MINT: _CREATOR,
        Operation.TEMPLATE_SAVE: _EVERYBODY,
        Operation.TEMPLATE_LIST: _EVERYBODY,
        Operation.TEMPLATE_LIST_ALL: _ADMINS,
        Operation.TEMPLATE_SHOW: _PUBLIC,
        Operation.TEMPLATE_USE: _PUBLIC,
        Operation.TEMPLATE_EDIT: _CREATOR,
        Operation.TEMPLATE_DELETE: _CREATOR,
        Operation.SCHEDULE_SAVE: _EVERYBODY,
        Operation.SCHEDULE_LIST: _EVERYBODY,
        Operation.SCHEDULE_LIST_ALL: _ADMINS,
        Operation.SCHEDULE_SHOW: _CREATOR,
        Operation.SCHEDULE_EDIT: _CREATOR,
        Operation.SCHEDULE_PAUSE: _CREATOR,
        Operation.SCHEDULE_RESUME: _CREATOR,
        Operation.SCHEDULE_RUN: _CREATOR,
        Operation.SCHEDULE_TEST: _CREATOR,
        Operation.SCHEDULE_REMOVE: _CREATOR,
        Operation.NOTIFICATION_LIST: _EVERYBODY,
        Operation.NOTIFICATION_READ: _EVERYBODY,
        Operation.NOTIFICATION_PREFERENCES: _EVERYBODY,
        Operation.NOTIFICATION_PREFER: _EVERYBODY,
        Operation.AUDIT_LIST_OWN: _EVERYBODY,
        Operation.AUDIT_LIST_ALL: _ADMINS,
        Operation.AUDIT_VERIFY: _ADMINS,
        Operation.AUDIT_EXPORT: _ADMINS,
        Operation.RETENTION_SHOW: _ADMINS,
        Operation.RETENTION_APPLY: _ADMINS,
        Operation.RECIPIENT_LIST: _ADMINS,
        Operation.RECIPIENT_ALLOW: _ADMINS,
        Operation.WORKER_LIST: _ADMINS,
        # A worker does only what others asked for, and brings the store up to date when it starts. Whoever can reach
        # the store and its key, as it must, is past anything that could be refused here.
        Operation.WORKER_RUN: _EVERYBODY,
        Operation.STORE_UPGRADE: _EVERYBODY,
    }
)
"""Which roles may do an operation."""

_WHO: Final = {
    _ADMINS: "Only admins may.",
    _CREATOR: "Only who created it, and admins, may.",
    _PUBLIC: "Only its owner and admins may, and everybody where it is public.",
    _EVERYBODY: "Everybody may who says who they are.",
}


@attrs.frozen
class Decision:
    """Whether somebody may do something, and who may, in a sentence."""

    allowed: bool
    reason: str


def role_of(user: User | None, *, owner: str | None = None, public: bool = False) -> Role:
    """What a user is to a thing.

    Args:
        user: Who asks; None, or one without an id, is nobody.
        owner: Who created the thing; None where nothing belongs to someone, and where there is no such thing.
        public: Whether its owner made it public.
    """
    if user is None or not user.id:
        return Role.NOBODY
    if user.is_admin:
        return Role.ADMIN
    if owner == user.id:
        return Role.CREATOR
    return Role.OTHER_OF_PUBLIC if public else Role.OTHER


def decide(operation: Operation, user: User | None, *, owner: str | None = None, public: bool = False) -> Decision:
    """Decide whether a user may do something.

    Args:
        operation: What.
        user: Who.
        owner: Who created what it is done to; None where there is nothing that belongs to someone.
        public: Whether that is a public template.
    """
    roles = ALLOWED[operation]
    return Decision(role_of(user, owner=owner, public=public) in roles, _WHO[roles])


@attrs.frozen
class Access:
    """Lets users do what they may, and writes down what they were refused.

    Args:
        store: Where that is written down.
    """

    store: Store

    def require(
        self,
        operation: Operation,
        user: User | None,
        *,
        owner: str | None = None,
        public: bool = False,
        thing: str = "",
        job: str | None = None,
    ) -> None:
        """Return if a user may do something.

        To be called outside of the caller's transactions: a refusal is written down in one of its own, which stays
        whatever becomes of the caller's, and which SQLite does not begin before that has ended.

        Args:
            operation: What.
            user: Who asks.
            owner: Who created what it is done to.
            public: Whether that is a public template.
            thing: What it is done to, in words, such as ``"template nightly"``; a job needs none.
            job: The job that it is done to.

        Raises:
            NotAllowedError: The user may not; it says who may.
        """
        decision = decide(operation, user, owner=owner, public=public)
        if decision.allowed:
            return
        who = User("") if user is None else user
        entry = AuditEntry(
            user=who.id,
            operation=operation.value,
            outcome="refused",
            job=job,
            thing=thing,
            error=decision.reason,
            address=who.address,
            agent=who.agent,
        )
        self._write_down(entry)
        about = thing or (f"job {job}" if job else "")
        name = one_line(who.id) or "Somebody who does not say who they are"
        message = f"{name} may not {operation.words}{f' ({one_line(about)})' if about else ''}."
        raise NotAllowedError(message, hint=decision.reason)

    def _write_down(self, entry: AuditEntry) -> None:
        try:
            with self.store.writing() as connection:
                audit.append(connection, entry, now=self.store.now(connection))
        except TailraceError as error:
            # It stays refused; that must not depend on whether it can be written down.
            said: Any = (entry.operation, one_line(entry.user), error.message)
            log.error("%s was refused to %r, and that could not be written down: %s", *said)  # noqa: TRY400 - its message says it

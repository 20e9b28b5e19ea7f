"""How users wish to be told what becomes of their exports."""

from collections.abc import Callable, Sequence

import attrs

from tailrace.model.audit import AuditEntry
from tailrace.model.convert import unstructure
from tailrace.model.errors import RequestError
from tailrace.model.job import User
from tailrace.model.notify import Notify, NotifyOn
from tailrace.store import audit, users
from tailrace.store.database import Store
from tailrace.vault.requests import RequestSealer
from tailrace.work.access import Access, Operation
from tailrace.work.wishes import DEFAULT, PREFERENCES, Preferred


@attrs.frozen
class Preferences:
    """What users prefer where a request says nothing.

    Args:
        store: Where that is.
        access: Who may do what.
        sealer: Seals addresses.
        shown: A wish as it is shown; raises where nobody can be told like that.
    """

    store: Store
    access: Access
    sealer: RequestSealer = attrs.field(repr=False)
    shown: Callable[[Notify], Notify] = attrs.field(repr=False)

    def show(self, user: User) -> tuple[Notify, ...]:
        """How a user wishes to be told: in the application, where they never said anything.

        The targets are those that may be shown: an address, the host of a URL.
        """
        self.access.require(Operation.NOTIFICATION_PREFERENCES, user, owner=user.id)
        with self.store.reading() as connection:
            stored = users.preferences(connection, user.id)
        return DEFAULT if stored is None else Preferred.read(stored).wishes

    def set(self, user: User, wishes: Sequence[Notify] | None) -> tuple[Notify, ...]:
        """Say how a user wishes to be told from now on.

        Args:
            user: Whose wishes they are.
            wishes: All of them; none at all for nothing, None for what was there before they ever said anything.

        Returns:
            What :meth:`show` gives from now on.

        Raises:
            RequestError: Nobody can be told like that; nothing is changed.
            TailraceError: A sink, or its settings, cannot be used.
        """
        self.access.require(Operation.NOTIFICATION_PREFER, user, owner=user.id)
        if wishes is not None:
            wishes = _checked(wishes)
        told = DEFAULT if wishes is None else tuple(self.shown(wish) for wish in wishes)
        stored = None
        if wishes is not None:
            sealed = self.sealer.seal(PREFERENCES, user.id, [wish.target for wish in wishes])
            stored = Preferred(told, sealed).stored()
        with self.store.writing() as connection:
            now = self.store.now(connection)
            users.note(connection, user, now=now)
            users.prefer(connection, user.id, stored)
            entry = AuditEntry(
                user=user.id,
                operation=Operation.NOTIFICATION_PREFER.value,
                outcome="ok",
                parameters={"notify": None if wishes is None else unstructure(told)},
                address=user.address,
                agent=user.agent,
            )
            audit.append(connection, entry, now=now)
        return told


def _checked(wishes: Sequence[Notify]) -> tuple[Notify, ...]:
    """The wishes, each once; what is none is refused before it is stored."""
    for wish in wishes:
        if not isinstance(wish, Notify) or not isinstance(wish.on, tuple) or not wish.on:
            message = "A wish to be told is a Notify, about one event at least."
            raise RequestError(message, hint="For example: Notify('in-app', on=(NotifyOn.FAILED,))")
        if not all(isinstance(event, NotifyOn) for event in wish.on):
            raise RequestError("Somebody can be told about events of NotifyOn only.", hint="See: tailrace.NotifyOn")
    return tuple(dict.fromkeys(wishes))

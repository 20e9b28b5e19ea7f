"""Whose wishes to be told count, and the form in which preferences are stored.

Preferences are stored in two parts. What is wished is there to be read, with whom a target means by a name that holds
no secret: whoever ends a job decides by it, and needs no key for that. The targets themselves are sealed, as an address
may be a secret, and are opened by whoever sends.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Self

import attrs

from tailrace.model.convert import StructureError, structure, unstructure
from tailrace.model.notify import IN_APP, Notify, NotifyOn
from tailrace.vault.canonical import canonical_json

DEFAULT: Final = (Notify(IN_APP),)
"""What somebody wishes who never said anything: to be told of everything, in the application."""
PREFERENCES: Final = "preferences"
"""The kind of thing that the targets of preferences are sealed for, by the id of the user."""


@attrs.frozen
class _Stored:
    wishes: tuple[Notify, ...]
    sealed: str


@attrs.frozen
class Preferred:
    """What a user prefers, as it is stored.

    Args:
        wishes: The wishes, their targets as they are shown.
        sealed: Their targets, in the same order.
    """

    wishes: tuple[Notify, ...]
    sealed: bytes = attrs.field(repr=False)

    def stored(self) -> bytes:
        """It as bytes: a JSON object of the wishes, and of what is sealed as Base64."""
        sealed = base64.b64encode(self.sealed).decode()
        return canonical_json({"wishes": unstructure(self.wishes), "sealed": sealed})

    @classmethod
    def read(cls, stored: bytes) -> Self:
        """What :meth:`stored` made.

        Raises:
            StructureError: It is damaged, or a newer program wrote it.
        """
        what = "What a user prefers"
        try:
            values = structure(json.loads(stored), _Stored, what=what)
            return cls(values.wishes, base64.b64decode(values.sealed))
        except ValueError:
            # No JSON, or no Base64.
            problem = "it is damaged"
        raise StructureError([problem], what=what)


@attrs.frozen
class Wishes:
    """The wishes that count for a job.

    Args:
        wishes: The wishes, their targets as they are shown.
        kind: The kind of thing that their targets are sealed with: ``"job"`` or :data:`PREFERENCES`.
        sealed: What they are sealed in.
    """

    wishes: tuple[Notify, ...]
    kind: str
    sealed: bytes = attrs.field(repr=False)

    def about(self, event: NotifyOn) -> list[tuple[int, Notify]]:
        """Those that something is told by message about, each with its number."""
        return [(number, one) for number, one in enumerate(self.wishes) if one.channel != IN_APP and event in one.on]

    def in_app(self, event: NotifyOn | None) -> bool:
        """Whether something is told in the application; what has no name of its own is, by whoever wants any of it."""
        return any(one.channel == IN_APP and (event is None or event in one.on) for one in self.wishes)


UNSAID: Final = Wishes(DEFAULT, PREFERENCES, b"")
"""Those of somebody who never said anything."""


def wishes_for(request: Mapping[str, Any], sealed: bytes, preferred: bytes | None, *, waited_for: bool) -> Wishes:
    """The wishes that count: those of the request, else those of its user.

    Args:
        request: The request of the job, without anything secret.
        sealed: All of it, sealed.
        preferred: What its user prefers, as it is stored; None where they never said anything.
        waited_for: Whether whoever asked waited for it, and knows how it ended: only the request's own wishes count.

    Raises:
        StructureError: A newer program wrote them.
    """
    # Jobs of before there were wishes have none.
    asked = request.get("notify")
    if asked is not None or waited_for:
        return Wishes(_read(asked or ()), "job", sealed)
    if preferred is None:
        return UNSAID
    found = Preferred.read(preferred)
    return Wishes(found.wishes, PREFERENCES, found.sealed)


def target_of(kind: str, opened: Any, number: int) -> str:
    """The target of a wish, out of what its targets are sealed in, opened.

    Args:
        kind: What that is: see :attr:`Wishes.kind`.
        opened: JSON-like values.
        number: Which of the wishes.
    """
    # A job's targets are sealed with the rest of its request; others are alone.
    found = opened["notify"][number]["target"] if kind == "job" else opened[number]
    # Some channels need none: then the settings of the sink say all.
    return str(found or "")


def _read(wishes: Sequence[Any]) -> tuple[Notify, ...]:
    return tuple(structure(one, Notify, what="A stored wish to be told") for one in wishes)

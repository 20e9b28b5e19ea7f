"""The other side of a sink, as the standard tests see it."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tailrace_sdk.servers.faults import Fault


@attrs.frozen
class Arrival:
    """Something that arrived.

    Args:
        name: Name of the file; empty where none came along.
        content: The file; None where only word of it came.
        manifest: The manifest beside it, as it lies there; None where none came.
        recipients: Who got it, by the names that the sink gives them; empty where that cannot be told.
        key: What tells a repetition from something new: equal for two arrivals of one delivery, if the sink lets the
            other side know. Where a file takes the place of its earlier self, its name will do.
        text: What came beside the file for people or programs to read, decoded: a mail, a notice.
    """

    name: str = ""
    content: bytes | None = attrs.field(default=None, repr=False)
    manifest: bytes | None = attrs.field(default=None, repr=False)
    recipients: tuple[str, ...] = ()
    key: str = ""
    text: str = attrs.field(default="", repr=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of the file, hexadecimal; empty where there is none."""
        return "" if self.content is None else hashlib.sha256(self.content).hexdigest()


class Receiver(ABC):
    """Where a sink delivers.

    ``target`` and :meth:`arrived` are needed; the rest is for what the sink can do beside.
    """

    target: str | None = None
    """What a user would write behind ``--to NAME:``; one recipient."""
    crowd: str | None = None
    """The same for two recipients or more, where the sink knows that; None where there is no such thing."""
    settings: Mapping[str, Any] = {}
    """``[sinks.NAME]`` as the settings file would have it: JSON-like values."""
    secrets: Mapping[str, str] = {}
    """What is behind the references in the settings, ``env:NAME``. None of these texts may ever be shown."""
    hidden: Sequence[str] = ()
    """Further texts that must not be shown, such as the path of a webhook's URL."""
    faults: frozenset[Fault] = frozenset()
    """What :meth:`be` can make wrong with it; tests that need another fault do not apply."""

    @property
    def contacts(self) -> int:
        """How often somebody got in touch, be it for nothing; stays 0 where that is not known."""
        return 0

    @abstractmethod
    def arrived(self) -> Sequence[Arrival]:
        """What is here and looks whole, in any order. What nobody would take for a finished file does not count."""

    def be(self, fault: Fault, *, retry_after: float | None = None) -> None:
        """From now on, something is wrong.

        Args:
            fault: What; one of :attr:`faults`.
            retry_after: Seconds that it asks to wait while it is busy, if it can say so.
        """
        raise NotImplementedError

    def recover(self) -> None:  # noqa: B027 - one that is never unwell has nothing to do
        """All is well again. Whoever is kept waiting is let go, without success."""

    def wait_until_stalled(self, seconds: float) -> bool:
        """Wait until somebody is kept waiting by :attr:`Fault.SLOW`; False where nobody came in time."""
        raise NotImplementedError

    def refuse(self, recipient: str) -> None:
        """From now on, refuse this one of :attr:`crowd`, for ever; needed where there is a crowd."""
        raise NotImplementedError

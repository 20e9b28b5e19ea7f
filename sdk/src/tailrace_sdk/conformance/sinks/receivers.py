"""Receivers that are ready for use: a folder, a mail server, a webhook server."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from tailrace_sdk.conformance.sinks.receiver import Arrival, Receiver
from tailrace_sdk.servers.faults import Fault
from tailrace_sdk.servers.mails import Mail
from tailrace_sdk.servers.smtp import SmtpServer
from tailrace_sdk.servers.webhook import WebhookRequest, WebhookServer

_MANIFEST = ".manifest.json"
_OF_SERVERS = frozenset(Fault)


class FolderReceiver(Receiver):
    """A folder, with the folders in it. What is hidden, or ends in ``.part``, is not there yet.

    It can be :attr:`Fault.LYING`: what is put there meanwhile is gone when it recovers, as if somebody had cleared it.

    Args:
        folder: The folder; it need not exist.
        target: What a user writes to mean it; its path by default.
        settings: The sink's settings.
        secrets: See :attr:`Receiver.secrets`.
    """

    faults = frozenset({Fault.LYING})

    def __init__(
        self,
        folder: Path,
        *,
        target: str | None = None,
        settings: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.target = str(folder) if target is None else target
        self.settings = settings or {}
        self.secrets = secrets or {}
        self._kept: Mapping[Path, tuple[int, int]] | None = None

    def arrived(self) -> Sequence[Arrival]:
        """The files, each with the manifest ``NAME.manifest.json`` beside it."""
        return [self._arrival(path) for path in self._shown() if not path.name.endswith(_MANIFEST)]

    def be(self, fault: Fault, *, retry_after: float | None = None) -> None:
        """From now on, what is put here is forgotten: the one thing that can be wrong with a folder."""
        self._kept = {path: _which(path) for path in self._shown()}

    def recover(self) -> None:
        """All is well again; what was put here meanwhile, files and manifests, is gone."""
        if self._kept is None:
            return
        kept, self._kept = self._kept, None
        for path in self._shown():
            if kept.get(path) != _which(path):
                path.unlink()

    def _shown(self) -> list[Path]:
        """The files, and their manifests, without what is not there yet."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.is_file() and not path.is_symlink()]
        return [path for path in files if self._shows(path)]

    def _shows(self, path: Path) -> bool:
        hidden = any(part.startswith(".") for part in path.relative_to(self.folder).parts)
        return not hidden and not path.name.endswith(".part")

    def _arrival(self, path: Path) -> Arrival:
        manifest = path.with_name(path.name + _MANIFEST)
        described = manifest.read_bytes() if manifest.is_file() else None
        return Arrival(path.name, path.read_bytes(), described, key=str(path.relative_to(self.folder)))


class MailReceiver(Receiver):
    """A mail server.

    Args:
        server: The server.
        target: What a user writes to mean one address.
        crowd: What a user writes to mean several; None where the sink knows no such thing.
        settings: The sink's settings, which lead it to the server.
        secrets: See :attr:`Receiver.secrets`.
    """

    faults = _OF_SERVERS

    def __init__(
        self,
        server: SmtpServer,
        *,
        target: str = "ann@example.com",
        crowd: str | None = "ann@example.com,bob@example.com,eve@example.com",
        settings: Mapping[str, Any],
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.server = server
        self.target = target
        self.crowd = crowd
        self.settings = settings
        self.secrets = secrets or {}

    @property
    def contacts(self) -> int:
        """How many connections there were."""
        return self.server.contacts

    def arrived(self) -> Sequence[Arrival]:
        """The mails; one with several attachments is as many arrivals."""
        return [arrival for mail in list(self.server.mails) for arrival in _of_mail(mail)]

    def be(self, fault: Fault, *, retry_after: float | None = None) -> None:
        """From now on, something is wrong; a mail server cannot say how long to wait."""
        self.server.be(fault)

    def recover(self) -> None:
        """All is well again."""
        self.server.recover()

    def wait_until_stalled(self, seconds: float) -> bool:
        """Wait until somebody is kept waiting."""
        return self.server.wait_until_stalled(seconds)

    def refuse(self, recipient: str) -> None:
        """From now on, refuse this address."""
        self.server.refuse(recipient)


class WebhookReceiver(Receiver):
    """A webhook server. A file is the body of a ``PUT``, or the part of a form that has a file name.

    Args:
        server: The server.
        target: What a user writes to mean it; the URL of :attr:`path` by default.
        settings: The sink's settings.
        secrets: See :attr:`Receiver.secrets`.
        key: Header that tells repetitions from what is new.
    """

    faults = _OF_SERVERS
    path = "/hooks/canary-of-a-path?key=canary-of-a-query"
    """Where it is told to deliver: such a path is a webhook's password, and never shown."""
    hidden = ("canary-of-a-path", "canary-of-a-query")

    def __init__(
        self,
        server: WebhookServer,
        *,
        target: str | None = None,
        settings: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        key: str = "webhook-id",
    ) -> None:
        self.server = server
        self.target = server.url(self.path) if target is None else target
        self.settings = settings or {}
        self.secrets = secrets or {}
        self._key = key

    @property
    def contacts(self) -> int:
        """How many connections there were."""
        return self.server.contacts

    def arrived(self) -> Sequence[Arrival]:
        """The requests."""
        return [_of_request(request, self._key) for request in list(self.server.requests)]

    def be(self, fault: Fault, *, retry_after: float | None = None) -> None:
        """From now on, something is wrong."""
        self.server.be(fault, retry_after=retry_after)

    def recover(self) -> None:
        """All is well again."""
        self.server.recover()

    def wait_until_stalled(self, seconds: float) -> bool:
        """Wait until somebody is kept waiting."""
        return self.server.wait_until_stalled(seconds)


def _which(path: Path) -> tuple[int, int]:
    """What tells a file from another one that took its place."""
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _of_mail(mail: Mail) -> list[Arrival]:
    attached = mail.attachments
    files = {name: content for name, content in attached.items() if not name.endswith(_MANIFEST)}
    found = [Arrival(name, content, attached.get(name + _MANIFEST)) for name, content in files.items()] or [Arrival()]
    return [attrs.evolve(one, recipients=mail.recipients, key=mail.message_id, text=mail.text) for one in found]


def _of_request(request: WebhookRequest, key: str) -> Arrival:
    told = request.headers.get(key, "")
    files = [(name, content) for name, content in request.parts.values() if name]
    if files:
        words = b"\n".join(content for name, content in request.parts.values() if not name)
        return Arrival(*files[0], key=told, text=words.decode(errors="replace"))
    headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
    if request.method == "PUT":
        return Arrival("", request.body, key=told, text=headers)
    return Arrival(key=told, text=f"{headers}\n\n{request.body.decode(errors='replace')}")

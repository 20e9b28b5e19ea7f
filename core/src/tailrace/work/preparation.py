"""Making requests ready: by which plugins, with which keys, for whom. All that can fail before a job exists."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from tailrace.model.errors import ConfigurationError, NotAllowedError, RequestError
from tailrace.model.job import User
from tailrace.model.request import CredentialMode, ExportRequest
from tailrace.plugins.registry import Registry
from tailrace.settings import Settings

if TYPE_CHECKING:
    from tailrace.pipeline.job import Host, Job
    from tailrace.vault.keyring import Keyring
    from tailrace.vault.keys import SigningKey
    from tailrace.vault.sealing import Vault

_TYPED = "password"
_INNER = frozenset({"audit", "drill"})
"""Sources that the engine has itself."""
_FILE_REFERENCES = ("password:file:", "file:")


def link_to(address: str, job: str) -> str:
    """Where a job's files can be fetched by whoever may; empty where there is no address.

    Args:
        address: The setting ``delivery.link``.
        job: The job.
    """
    return f"{address.rstrip('/')}/api/v1/exports/{job}" if address else ""


@attrs.frozen
class Preparation:
    """Makes requests ready.

    Args:
        settings: The engine's.
        registry: The plugins.
        keyring: Finds keys by reference; asked for when one is needed.
        reference: Makes ids for secrets.
        inner_registry: The plugins, and among them the sources that the engine has itself, which nobody can ask for by
            their names: the audit trail, and drills.
        host: What the application gave.
    """

    settings: Settings
    registry: Registry
    keyring: "Callable[[], Keyring]" = attrs.field(repr=False)
    reference: Callable[..., str] = attrs.field(repr=False)
    inner_registry: Callable[[], Registry] = attrs.field(repr=False)
    host: "Host" = attrs.field(repr=False)

    def ready(
        self,
        request: ExportRequest,
        user: User,
        *,
        export_id: str | None = None,
        folder: Path | None = None,
        registry: Registry | None = None,
    ) -> "Job":
        """A request that can be carried out.

        Args:
            request: The request.
            user: Who asks.
            export_id: Id of the export; a new one by default.
            folder: What relative paths count from; the working folder by default.
            registry: Other plugins than the engine's.

        Raises:
            RequestError: Something in it cannot be.
            NotAllowedError: A rule forbids it.
            ConfigurationError: A key is missing.
            PluginError: A plugin cannot be used.
        """
        self._check_mode(request.credentials)
        export_id = export_id or str(uuid.uuid4())
        keys = {"vault": self._vault(request, export_id), "signing_key": self.signing_key()}
        return self._job(request, user, export_id, folder or Path(), registry or self.registry, keys)

    def delivering(self, request: ExportRequest, user: User, export_id: str, folder: Path, began: datetime) -> "Job":
        """A request whose files are made, ready to be delivered; no key is looked up or asked for.

        Args:
            request: The request.
            user: Who asked.
            export_id: Id of the export.
            folder: What relative paths count from.
            began: When the export began that made the files: names and folders are those of then.

        Raises:
            RequestError: Something in it cannot be.
            PluginError: A plugin cannot be used.
        """
        registry = self.inner_registry() if request.source in _INNER else self.registry
        return self._job(request, user, export_id, folder, registry, {"now": began})

    def judged(self, request: ExportRequest, user: User) -> "Job":
        """A request that is kept for later, its targets checked; no key is looked up or asked for.

        Raises:
            RequestError: Something in it cannot be.
            NotAllowedError: A rule forbids it.
            PluginError: A plugin cannot be used.
        """
        self._check_mode(request.credentials)
        prepared = self._job(request, user, str(uuid.uuid4()), Path(), self.registry, {})
        prepared.check_targets()
        return prepared

    def for_background(self, request: ExportRequest, folder: Path) -> ExportRequest:
        """The same request, fit for another process with another working folder.

        Args:
            request: What was asked.
            folder: The working folder of whoever asked.

        Raises:
            RequestError: It needs somebody to type a password.
        """
        if self.asks_for_password(request):
            message = "A password that somebody types cannot be asked for in the background."
            hint = "Wait for it (--wait), or write password:file:PATH or password:env:NAME."
            raise RequestError(message, hint=hint)
        # Also those of the settings: whoever carries it out may have others.
        openers = tuple(_anchored(reference, folder) for reference in self._openers(request))
        return attrs.evolve(request, openers=openers or request.openers)

    def asks_for_password(self, request: ExportRequest) -> bool:
        """Whether somebody has to type a password for it."""
        return _TYPED in self._openers(request)

    def signing_key(self) -> "SigningKey | None":
        """The key that manifests are signed with, where one is set."""
        reference = self.settings.vault.signing_key
        return self.keyring().signing_key(reference) if reference else None

    def _job(
        self,
        request: ExportRequest,
        user: User,
        export_id: str,
        folder: Path,
        registry: Registry,
        keys: dict[str, Any],
    ) -> "Job":
        from tailrace.pipeline.job import Job, known_sinks

        known_sinks(self.registry, self.settings.sinks)
        return Job.prepare(
            request,
            registry=registry,
            export_id=export_id,
            user=user,
            folder=folder,
            reference=self.reference,
            sinks=self.settings.sinks,
            secret=lambda reference: self.keyring().secret(reference),
            link=link_to(self.settings.delivery.link, export_id),
            brand=self.settings.brand,
            host=self.host,
            **{"now": self.host.clock().astimezone(UTC), **keys},
        )

    def _check_mode(self, mode: CredentialMode) -> None:
        allowed = self.settings.credentials.allowed
        if allowed and mode not in allowed:
            message = f"Credential mode {mode.value!r} is not allowed here."
            raise NotAllowedError(message, hint=f"The setting credentials.allowed permits: {', '.join(allowed)}.")

    def _openers(self, request: ExportRequest) -> tuple[str, ...]:
        """References to the keys that a request seals to."""
        if request.credentials is not CredentialMode.FULL:
            return ()
        return request.openers or self.settings.vault.openers

    def _vault(self, request: ExportRequest, export_id: str) -> "Vault | None":
        if request.credentials is not CredentialMode.FULL:
            return None
        from tailrace.vault.sealing import Vault
        from tailrace.vault.values import DataKey

        references = self._openers(request)
        if not references:
            message = "Credential mode 'full' seals user names and passwords, and there is no key to seal them to."
            hint = "Make one with tailrace keys new master master.key, and name it: --opener file:master.key"
            raise ConfigurationError(message, hint=hint)
        openers = tuple(self.keyring().opener(reference) for reference in references)
        return Vault(DataKey.generate(export_id), openers)


def _anchored(reference: str, folder: Path) -> str:
    """A reference to a key file, as seen from anywhere."""
    prefix = next((prefix for prefix in _FILE_REFERENCES if reference.startswith(prefix)), "")
    path = Path(reference.removeprefix(prefix))
    if prefix or (folder / path).is_file():
        return f"{prefix or 'file:'}{(folder / path).absolute()}"
    return reference

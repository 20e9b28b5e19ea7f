"""What an engine is made of: each part made when it is first needed, and once."""

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailrace.engine.once import once
from tailrace.hosting.observers import Observer, Observers
from tailrace.hosting.pools import HostPools
from tailrace.hosting.sources import HostSources
from tailrace.model.context import Context
from tailrace.model.errors import ConfigurationError, PluginContractError
from tailrace.model.job import User
from tailrace.model.request import ExportRequest
from tailrace.model.work import RetryPolicy
from tailrace.plugins.pools import HOST_PREFIX
from tailrace.plugins.registry import Registry
from tailrace.references import reference_ids
from tailrace.settings import Settings, load_settings

if TYPE_CHECKING:
    from tailrace.known_signers import TrustPolicy
    from tailrace.pipeline.job import Host
    from tailrace.plugins.kinds import SourceCall
    from tailrace.plugins.pools import PoolKeeper
    from tailrace.plugins.sinks import HttpClient
    from tailrace.restore.drill import DrillResult
    from tailrace.store.database import Store
    from tailrace.vault.header import KeyHolder
    from tailrace.vault.keyring import Keyring
    from tailrace.vault.requests import RequestSealer
    from tailrace.work.access import Access
    from tailrace.work.carrier import Carrier
    from tailrace.work.desk import Desk
    from tailrace.work.firing import Firing
    from tailrace.work.jobs import Jobs
    from tailrace.work.links import Links
    from tailrace.work.messages import Post
    from tailrace.work.messengers import Messengers
    from tailrace.work.preferences import Preferences
    from tailrace.work.preparation import Preparation
    from tailrace.work.retention import Retention
    from tailrace.work.schedules import Schedules
    from tailrace.work.templates import Templates
    from tailrace.work.trail import AuditTrail


class EngineParts(ABC):
    """What an engine is made of; the arguments are those of :class:`~tailrace.engine.engine.Engine`."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        plugins: Sequence[Any] = (),
        discover: bool = True,
        user: Callable[[], User | None] | None = None,
        observers: Iterable[Observer] = (),
        clock: Callable[[], datetime] | None = None,
        keyring: "Keyring | None" = None,
        http_client: "HttpClient | None" = None,
    ) -> None:
        self.settings = load_settings() if settings is None else settings
        self.registry = Registry(self.settings.plugins, explicit=plugins, discover=discover)
        self._given_plugins, self._discover = tuple(plugins), discover
        self._given_clock = clock
        self._clock = clock or (lambda: datetime.now(UTC))
        self._given_keyring = keyring
        self._asker = user
        self._http_client = http_client
        self._observers = Observers(self.registry, observers)
        self._host_sources = HostSources(self.registry)
        self._host_pools = HostPools()
        self._process: int | None = None

    def _check_process(self) -> None:
        """Refuse to compute in a child of the process that did: neither threads nor polars survive a fork.

        Raises:
            ConfigurationError: It is one.
        """
        if self._process is None:
            self._process = os.getpid()
        elif self._process != os.getpid():
            message = "This engine was used before its process was forked; neither its threads nor polars survive that."
            raise ConfigurationError(message, hint="Make an engine in each process, after the fork.")

    @property
    def _is_plain(self) -> bool:
        """Whether another process can have the same: what a host hands over as objects cannot be had there."""
        given = (self._given_plugins, self._given_clock, self._given_keyring, self._http_client)
        hosted = len(self._observers) + len(self._host_sources) + len(self._host_pools)
        return self._discover and not any(given) and not hosted

    @abstractmethod
    def drill(
        self, backup: Path, location: str, *, keys: Sequence[str] = (), context: Context | None = None
    ) -> "DrillResult":
        """Try whether a backup of a pool can be restored; a source of the engine's own asks for it."""

    @once
    def keyring(self) -> "Keyring":
        """Finds keys by reference."""
        from tailrace.vault.keyring import Keyring

        return self._given_keyring or Keyring()

    @once
    def _reference(self) -> Callable[..., str]:
        return reference_ids(self.settings.home)

    @property
    def retry_policy(self) -> RetryPolicy:
        """How often exports are tried that fail for now, as the settings say."""
        limits = self.settings.jobs
        return RetryPolicy(limits.attempts, limits.first_delay, limits.longest_delay, limits.jitter)

    @once
    def store(self) -> "Store":
        """Where jobs, templates and the audit trail are."""
        from tailrace.store.database import Store

        if self.settings.store.url:
            return Store(self.settings.store.url, clock=self._given_clock)
        return Store.in_home(self.settings.home, clock=self._given_clock)

    @once
    def access(self) -> "Access":
        """Who may do what."""
        from tailrace.work.access import Access

        return Access(self.store)

    @once
    def jobs(self) -> "Jobs":
        """The jobs of the store."""
        from tailrace.work.jobs import Jobs

        return Jobs(self.store, self.access, self.retention, self._place, self.settings.jobs.most_losses)

    @once
    def audit(self) -> "AuditTrail":
        """The audit trail."""
        from tailrace.work.trail import AuditTrail

        return AuditTrail(self.store, self.access)

    @once
    def retention(self) -> "Retention":
        """Which files are kept, and how the others are removed."""
        from tailrace.work.retention import Retention

        return Retention(self.store, self.access, self.settings.retention, self._place)

    @once
    def templates(self) -> "Templates":
        """Saved requests."""
        from tailrace.work.templates import Templates

        return Templates(self.store, self.access, self.desk.sealer, self._preparation.judged, self._messengers.shown)

    @once
    def schedules(self) -> "Schedules":
        """What runs by the clock."""
        from tailrace.work.schedules import Schedules

        return Schedules(
            self.store,
            self.access,
            self.desk.sealer,
            self.templates,
            self._firing,
            self._preparation.for_background,
            self._messengers.shown,
        )

    @once
    def _firing(self) -> "Firing":
        from tailrace.work.firing import Firing

        return Firing(
            self.store,
            lambda: self.desk.sealer,
            self._preparation.for_background,
            self.settings.schedules,
            self.retry_policy,
            self.settings.jobs.timeout or None,
        )

    @once
    def preferences(self) -> "Preferences":
        """How users wish to be told what becomes of their exports."""
        from tailrace.work.preferences import Preferences

        return Preferences(self.store, self.access, self.desk.sealer, self._messengers.shown)

    @once
    def links(self) -> "Links":
        """Links by which files can be downloaded."""
        from tailrace.vault.link_tokens import LinkTokens
        from tailrace.work.links import Links

        delivery = self.settings.delivery
        return Links(
            self.store,
            self.access,
            self.jobs,
            LinkTokens(self.desk.sealer.key),
            self.settings.admins,
            delivery.link,
            delivery.link_lifetime,
        )

    @once
    def _messengers(self) -> "Messengers":
        from tailrace.work.messengers import Messengers

        return Messengers(
            self.registry,
            self.settings.sinks,
            lambda: self.keyring,
            self.settings.delivery.link,
            self._http_client,
        )

    @once
    def post(self) -> "Post":
        """Sends what users are told by mail or webhook; workers do it all the time."""
        from tailrace.work.carrier import redelivery
        from tailrace.work.messages import Post

        return Post(
            self.store,
            self._messengers,
            lambda: self.desk.sealer,
            redelivery(self.settings.delivery),
            self.settings.notifications.admins,
        )

    @once
    def desk(self) -> "Desk":
        """Where requests are handed in."""
        from tailrace.work.desk import Desk

        desk = Desk(self.store, self._sealer, self._messengers.shown)
        desk.check_key()
        return desk

    @once
    def _sealer(self) -> "RequestSealer":
        from tailrace.local_keys import local_key
        from tailrace.vault.requests import RequestSealer

        named = self.settings.store.key
        path = Path(named).expanduser() if named else self.settings.home / "store.key"
        lost = "jobs that wait, and templates, cannot be opened any more"
        return RequestSealer(local_key(path, what="a store's key", lost=lost))

    @once
    def _place(self) -> str:
        """Id of the home, as which the store knows where files are."""
        from tailrace.local_keys import local_key

        lost = "files that were made before are no longer removed by the rules of retention"
        return local_key(self.settings.home / "place", what="the id of this home", lost=lost)[:16].hex()

    @once
    def _preparation(self) -> "Preparation":
        from tailrace.work.preparation import Preparation

        return Preparation(
            self.settings, self.registry, lambda: self.keyring, self._reference, self._with_inner_sources, self._host
        )

    def _with_inner_sources(self) -> Registry:
        """The plugins, and among them the sources that are the engine's own."""
        from tailrace.restore.importing import absolute_location
        from tailrace.work.audit_source import NAME as AUDIT
        from tailrace.work.audit_source import AuditSource
        from tailrace.work.backups import newest_backup
        from tailrace.work.drill_source import NAME as DRILL
        from tailrace.work.drill_source import DrillSource

        def newest(call: "SourceCall") -> Path:
            folder = call.folder.absolute()
            return newest_backup(self.store, self._place, call.options.template, call.options.creator, folder)

        def tried(backup: Path, call: "SourceCall") -> "DrillResult":
            return self.drill(backup, absolute_location(call.location, call.folder.absolute()), context=call.context)

        # Not among the plugins of this engine: whoever may export anything may not therefore export these.
        inner = [(AUDIT, AuditSource(self.store)), (DRILL, DrillSource(newest, tried))]
        given = [*self._given_plugins, *self._host_sources.plugins(), *inner]
        return Registry(self.settings.plugins, explicit=given, discover=self._discover)

    @once
    def _carrier(self) -> "Carrier":
        from tailrace.work.carrier import Carrier

        return Carrier(
            self.settings,
            self.store,
            self.desk,
            self._preparation,
            self._observers.tell,
            lambda: self._is_plain,
            self._place,
            self.retention,
            self._firing.request_of,
        )

    @once
    def keeper(self) -> "PoolKeeper":
        """The source that reads and writes pool files.

        Raises:
            PluginError: The source ``pool`` is not there, or cannot do that.
        """
        from tailrace.plugins.pools import PoolKeeper

        source = self.registry.source("pool")
        if not isinstance(source.object, PoolKeeper):
            message = f"The source pool of {source.distribution} reads pools, and cannot write them."
            raise PluginContractError(source.name, message, hint="Update its distribution.")
        return source.object

    @once
    def _keeper(self) -> "PoolKeeper":
        """The same, which knows the pools of the application as well."""
        from tailrace.hosting.pools import WithHostPools

        return WithHostPools(lambda: self.keeper, self._host_pools)

    @once
    def _host(self) -> "Host":
        """What of the application jobs may need."""
        from tailrace.pipeline.job import Host

        return Host(self._clock, self._http_client, self._host_pools, self._needs)

    def _needs(self, request: ExportRequest) -> str | None:
        """What a request cannot do without that only some applications have; None for nothing."""
        if request.source in self._host_sources.names():
            return f"source {request.source}"
        # A dashboard names the pools that it is about in its options.
        places = (request.location, *(value for value in request.options.values() if isinstance(value, str)))
        named = next((place for place in places if place.startswith(HOST_PREFIX)), None)
        return None if named is None else f"pool {named.removeprefix(HOST_PREFIX)}"

    def _offers(self) -> tuple[str, ...]:
        """What of that the application gave to this engine."""
        sources, pools = self._host_sources.names(), self._host_pools
        return (*(f"source {name}" for name in sources), *(f"pool {name}" for name in pools))

    @once
    def _trust(self) -> "TrustPolicy":
        from tailrace.known_signers import TrustPolicy

        pinned = tuple(self.keyring.signer(reference) for reference in self.settings.vault.trusted)
        return TrustPolicy(self.settings.home, pinned, self._clock)

    def _holders(self, references: Sequence[str]) -> "list[KeyHolder]":
        return [self.keyring.holder(reference) for reference in references or self.settings.vault.keys]

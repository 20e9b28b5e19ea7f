"""The plugins of one engine: found by metadata, imported on first use, each kept apart from the others' failures."""

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast

import attrs

from tailrace.model.errors import (
    NotAllowedError,
    PluginConflictError,
    PluginError,
    PluginLoadError,
    TailraceError,
    UnknownNameError,
)
from tailrace.plugins.catalogue import first_party_distribution
from tailrace.plugins.discovery import GROUPS, UNKNOWN, Candidate, discover
from tailrace.plugins.selection import PluginSelection, normalized

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pluggy

    from tailrace.model.metric import Metric
    from tailrace.plugins.kinds import ExportEvent, Format, Source, TableReader
    from tailrace.plugins.loading import Hooks
    from tailrace.plugins.sinks import Sink

T = TypeVar("T")
Status = Literal["available", "loaded", "failed", "denied", "conflict", "shadowed"]
Key = tuple[str, str]

_log = logging.getLogger(__name__)


@attrs.frozen
class PluginEntry:
    """A plugin as ``tailrace plugins list`` shows it; making it imports nothing.

    Args:
        name: Public name.
        kind: ``"source"``, ``"format"``, ``"sink"`` or ``"hook"``.
        distribution: Distribution that it comes from.
        version: Version of that distribution.
        target: Module or object that implements it.
        status: ``available`` (not imported yet), ``loaded``, ``failed``, ``denied`` (by the settings), ``conflict``
            (another distribution offers the same name) or ``shadowed`` (the other one was picked).
        reason: Why the plugin cannot be used; empty when it can.
    """

    name: str
    kind: str
    distribution: str
    version: str
    target: str
    status: Status
    reason: str = ""


@attrs.frozen
class LoadedPlugin(Generic[T]):
    """A plugin that is ready for use, and where it comes from.

    Args:
        name: Public name.
        kind: ``"source"``, ``"format"``, ``"sink"`` or ``"hook"``.
        object: What its hook handed over.
        distribution: Distribution that it comes from.
        version: Version of that distribution.
        outdated: What it uses that is going to be taken away, a sentence each.
    """

    name: str
    kind: str
    object: T
    distribution: str
    version: str
    outdated: tuple[str, ...] = ()


@attrs.frozen
class PluginFailure:
    """Why a plugin cannot be used, kept for everyone who asks for it later.

    Args:
        kind: Its kind.
        name: Its public name.
        distribution: Distribution that it comes from.
        version: Version of that distribution.
        reason: What happened, as a clause.
        remedy: What to do about it, in a sentence.
        error: The class of error that asking for it raises.
        cause: What was raised inside the plugin, if anything was.
    """

    kind: str
    name: str
    distribution: str
    version: str
    reason: str
    remedy: str
    error: type[PluginError]
    cause: BaseException | None = attrs.field(repr=False)

    def to_error(self) -> PluginError:
        """An error to raise, new each time, with the cause attached."""
        error = self.error(
            self.name,
            f"The {self.kind} {self.name!r} of {self.distribution}=={self.version} cannot be used: {self.reason}.",
            hint=self.remedy,
        )
        error.__cause__ = self.cause
        return error


class Registry:
    """The plugins that one engine can use. Registries share nothing, and several live in one process.

    Safe to use from several threads; each plugin is imported once.

    Args:
        selection: Allow and deny lists, and preferences. They do not apply to ``explicit``.
        explicit: Plugins that the host hands over, as ``(name, module or object)``; what they are follows from the
            hooks they implement. They win over discovered plugins of the same kind and name.
        discover: Whether to use the plugins of installed distributions.

    Raises:
        PluginLoadError: An explicit plugin that implements no hook at all.
    """

    def __init__(
        self,
        selection: PluginSelection | None = None,
        *,
        explicit: Iterable[tuple[str, object]] = (),
        discover: bool = True,
    ) -> None:
        self._selection = selection or PluginSelection()
        self._discover = discover
        self._lock = threading.RLock()
        self._manager: pluggy.PluginManager | None = None
        self._loaded: dict[Key, LoadedPlugin[Any]] = {}
        self._failures: dict[Key, PluginFailure] = {}
        self._hooks: tuple[LoadedPlugin[Any], ...] | None = None
        self._metrics: Mapping[str, Sequence[Metric]] | None = None
        self._found: dict[Key, list[Candidate]] | None = None
        self._explicit = dict(_explicit(explicit))

    def add(self, name: str, plugin: object) -> None:
        """Add a plugin that the host hands over later than the others; as those, it wins over installed ones.

        One that was handed over before under that name is forgotten: whoever uses it already goes on.

        Raises:
            PluginLoadError: It implements no hook at all.
        """
        given = dict(_explicit([(name, plugin)]))
        with self._lock:
            for key in given:
                self._forget(key)
            self._explicit.update(given)

    def take_away(self, kind: str, name: str) -> None:
        """Forget a plugin that was added; what uses it already goes on."""
        with self._lock:
            self._forget((kind, name))

    def _forget(self, key: Key) -> None:
        plugin = self._explicit.pop(key, None)
        self._loaded.pop(key, None)
        self._failures.pop(key, None)
        if self._manager is not None and plugin is not None and self._manager.is_registered(plugin):
            self._manager.unregister(plugin)

    def offers(self, kind: str, name: str) -> bool:
        """Whether there is a plugin of that kind and name, whatever its status."""
        with self._lock:
            return (kind, name) in self._explicit or (kind, name) in self._candidates()

    def source(self, name: str) -> "LoadedPlugin[Source]":
        """The source of that name, imported if it was not yet.

        Raises:
            UnknownNameError: There is none; the hint says what there is, or what to install.
            NotAllowedError: The settings deny it.
            PluginConflictError: Several distributions offer it.
            PluginLoadError: It could not be imported or registered.
            PluginContractError: What it hands over is not a source.
        """
        return cast("LoadedPlugin[Source]", self._get("source", name))

    def format(self, name: str) -> "LoadedPlugin[Format]":
        """The format of that name; raises as :meth:`source` does."""
        return cast("LoadedPlugin[Format]", self._get("format", name))

    def sink(self, name: str) -> "LoadedPlugin[Sink]":
        """The sink of that name; raises as :meth:`source` does."""
        return cast("LoadedPlugin[Sink]", self._get("sink", name))

    def table_reader(self, head: bytes) -> "LoadedPlugin[TableReader] | None":
        """The first format, by name, that reads files which begin so; None where there is none.

        Formats are imported for this. One that cannot be used, or raises when it is asked, is left out, and logged.

        Args:
            head: The beginning of the file, up to 64 KiB.
        """
        from tailrace.plugins.kinds import TableReader

        for name in dict.fromkeys(row.name for row in self.entries() if row.kind == "format"):
            try:
                plugin = self.format(name)
            except NotAllowedError:
                continue
            except TailraceError as error:
                _log.warning("The format %r is not asked whether it reads a file. %s", name, error.message)
                continue
            try:
                recognised = isinstance(plugin.object, TableReader) and bool(plugin.object.recognises(head))
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - not even SystemExit in a format may end the import
                _log.warning("The format %r raised %s when asked for a file.", name, type(error).__name__)
                _log.debug("Traceback of the format %r", name, exc_info=True)
                continue
            if recognised:
                return cast("LoadedPlugin[TableReader]", plugin)
        return None

    def load(self, kind: str, name: str) -> LoadedPlugin[Any]:
        """The plugin of that kind and name; raises as :meth:`source` does."""
        return self._get(kind, name)

    def entries(self) -> tuple[PluginEntry, ...]:
        """Every plugin there is, by kind and name, with its status; imports nothing."""
        order = list(GROUPS.values())
        with self._lock:
            rows = [self._explicit_entry(*item) for item in self._explicit.items()]
            for key, candidates in self._candidates().items():
                rows += [self._entry(key, candidate, candidates) for candidate in candidates]
        return tuple(sorted(rows, key=lambda row: (order.index(row.kind), row.name, row.status == "shadowed")))

    def failures(self) -> tuple[PluginFailure, ...]:
        """The plugins that were asked for and could not be loaded."""
        with self._lock:
            return tuple(self._failures.values())

    def unmatched(self) -> tuple[str, ...]:
        """Items of the settings' lists and preferences that fit no plugin there is, as ``plugins.deny: 'csvv'``."""
        with self._lock:
            known = [one for candidates in self._candidates().values() for one in candidates]
        lists = [("plugins.allow", self._selection.allow or ()), ("plugins.deny", self._selection.deny)]
        idle = [
            f"{setting}: {item!r}"
            for setting, items in lists
            for item in items
            if not any(PluginSelection(deny=(item,)).refusal(one.kind, one.name, one.distribution) for one in known)
        ]
        offered = {(f"{one.kind}.{one.name}", normalized(one.distribution)) for one in known}
        idle += [
            f"plugins.prefer: {plugin} = {distribution!r}"
            for plugin, distribution in self._selection.prefer.items()
            if (plugin, normalized(distribution)) not in offered
        ]
        return tuple(idle)

    def notify(self, event: "ExportEvent") -> None:
        """Tell every observer what happened, one by one. What one raises is logged and changes nothing."""
        from tailrace.plugins.observing import tell

        for observer in self._all_hooks():
            if observer.object.observe is not None:
                tell(observer.object.observe, event, name=repr(observer.name))

    def metrics(self) -> "Mapping[str, Sequence[Metric]]":
        """The metrics that plugins offer for dashboards, by who offers them: ``"hook costs of acme-costs==1.2"``.

        A plugin that raises, or offers something else, is left out, and logged; :meth:`failures` tells of it.
        """
        from tailrace.plugins.loading import LoadFailure, metrics_of

        with self._lock:
            if self._metrics is None:
                found: dict[str, Sequence[Metric]] = {}
                for plugin in self._all_hooks():
                    try:
                        offered = metrics_of(plugin.object)
                    except LoadFailure as failure:
                        _log.warning("The metrics of the hook %r are left out: %s.", plugin.name, failure.reason)
                        self._failures[plugin.kind, plugin.name] = PluginFailure(
                            plugin.kind,
                            plugin.name,
                            plugin.distribution,
                            plugin.version,
                            failure.reason,
                            _advice(plugin.kind, plugin.name, plugin.distribution),
                            failure.error,
                            failure.__cause__,
                        )
                        continue
                    if offered:
                        found[f"hook {plugin.name} of {plugin.distribution}=={plugin.version}"] = offered
                self._metrics = found
            return self._metrics

    def _all_hooks(self) -> "tuple[LoadedPlugin[Hooks], ...]":
        with self._lock:
            if self._hooks is None:
                self._hooks = tuple(self._load_hooks())
            return self._hooks

    def _load_hooks(self) -> Iterator[LoadedPlugin[Any]]:
        for kind, name in (*self._explicit, *self._candidates()):
            if kind != "hook":
                continue
            try:
                yield self._get(kind, name)
            except NotAllowedError:
                continue
            except TailraceError as error:
                _log.warning("The observer %r is left out. %s %s", name, error.message, error.hint)

    def _candidates(self) -> dict[Key, list[Candidate]]:
        with self._lock:
            if self._found is None:
                self._found = {}
                for candidate in discover() if self._discover else ():
                    key = (candidate.kind, candidate.name)
                    if key not in self._explicit:
                        self._found.setdefault(key, []).append(candidate)
            return self._found

    def _refusal(self, candidate: Candidate) -> str:
        return self._selection.refusal(candidate.kind, candidate.name, candidate.distribution)

    def _rivals(self, candidates: list[Candidate]) -> list[Candidate]:
        """The candidates that are left after the settings had their say: one is right, several are a conflict."""
        permitted = [one for one in candidates if not self._refusal(one)]
        if len(permitted) > 1:
            choice = self._selection.preferred(permitted[0].kind, permitted[0].name)
            preferred = [one for one in permitted if choice and normalized(one.distribution) == normalized(choice)]
            return preferred or permitted
        return permitted

    def _get(self, kind: str, name: str) -> LoadedPlugin[Any]:
        key = (kind, name)
        with self._lock:
            if key in self._failures:
                raise self._failures[key].to_error()
            if key not in self._loaded:
                self._loaded[key] = self._load(key)
            return self._loaded[key]

    def _load(self, key: Key) -> LoadedPlugin[Any]:
        if key in self._explicit:
            plugin = self._explicit[key]
            return self._admit(key, lambda: plugin, *_origin(plugin))
        candidate = self._pick(key)
        return self._admit(key, candidate.entry_point.load, candidate.distribution, candidate.version)

    def _pick(self, key: Key) -> Candidate:
        kind, name = key
        candidates = self._candidates().get(key)
        if not candidates:
            raise self._unknown(kind, name)
        rivals = self._rivals(candidates)
        if not rivals:
            first = candidates[0]
            raise NotAllowedError(
                f"The {kind} {name!r} of {first.distribution}=={first.version} must not be used: "
                f"it is {self._refusal(first)}.",
                hint="Change plugins.allow or plugins.deny in the settings.",
            )
        if len(rivals) > 1:
            raise _conflict(kind, name, rivals)
        return rivals[0]

    def _unknown(self, kind: str, name: str) -> UnknownNameError:
        distribution = first_party_distribution(kind, name)
        known = sorted({row.name for row in self.entries() if row.kind == kind and row.status != "denied"})
        hint = f"It is not installed: pip install {distribution}" if distribution else ""
        return UnknownNameError(kind, name, known, hint=hint)

    def _admit(self, key: Key, load: Callable[[], object], distribution: str, version: str) -> LoadedPlugin[Any]:
        from tailrace.plugins import loading

        kind, name = key
        if self._manager is None:
            self._manager = loading.new_manager()
        try:
            plugin = loading.import_target(load)
            loading.check_contract(plugin)
            found = loading.register(self._manager, plugin, kind=kind, name=name)
            offered = loading.hooks_of(found) if kind == "hook" else loading.obtain(found, kind=kind)
        except loading.LoadFailure as failure:
            advice = _GIVEN if key in self._explicit else _advice(kind, name, failure.upgrade or distribution)
            remedy = f"{failure.remedy} {advice}".strip()
            self._failures[key] = PluginFailure(
                kind, name, distribution, version, failure.reason, remedy, failure.error, failure.__cause__
            )
            raise self._failures[key].to_error() from failure.__cause__
        outdated = tuple(loading.deprecated_arguments(self._manager, found))
        for told in outdated:
            _log.warning("The %s %r of %s==%s: its %s", kind, name, distribution, version, told)
        return LoadedPlugin(name, kind, offered, distribution, version, outdated)

    def _entry(self, key: Key, candidate: Candidate, all_of_that_name: list[Candidate]) -> PluginEntry:
        rivals = self._rivals(all_of_that_name)
        status: Status
        reason = self._refusal(candidate)
        if reason:
            status = "denied"
        elif candidate not in rivals:
            status, reason = "shadowed", f"plugins.prefer picks {rivals[0].distribution}"
        elif len(rivals) > 1:
            others = [f"{one.distribution}=={one.version}" for one in rivals if one is not candidate]
            status, reason = "conflict", f"also offered by {' and '.join(others)}"
        else:
            status, reason = self._state(key)
        return PluginEntry(
            candidate.name,
            candidate.kind,
            candidate.distribution,
            candidate.version,
            candidate.target,
            status,
            reason,
        )

    def _explicit_entry(self, key: Key, plugin: object) -> PluginEntry:
        kind, name = key
        module, version = _origin(plugin)
        status, reason = self._state(key)
        return PluginEntry(name, kind, module, version, module, status, reason)

    def _state(self, key: Key) -> tuple[Status, str]:
        if key in self._failures:
            return "failed", self._failures[key].reason
        return ("loaded" if key in self._loaded else "available"), ""


def _explicit(given: Iterable[tuple[str, object]]) -> Iterator[tuple[Key, object]]:
    for name, plugin in given:
        from tailrace.plugins.loading import HOOKS, implemented_kinds, misspelt_hook

        kinds = implemented_kinds(plugin)
        if not kinds:
            misspelt = misspelt_hook(plugin)
            found = f"cannot be used: {misspelt}" if misspelt else "implements none of Tailrace's hooks"
            raise PluginLoadError(
                name,
                f"The plugin {name!r} that was handed over {found}.",
                hint=f"Mark one of {', '.join(itertools.chain.from_iterable(HOOKS.values()))} with @hookimpl.",
            )
        for kind in kinds:
            yield (kind, name), plugin


def _origin(plugin: object) -> tuple[str, str]:
    """What stands for distribution and version of a plugin that the host handed over."""
    module = getattr(plugin, "__name__", None) or type(plugin).__module__
    return str(module), str(getattr(plugin, "__version__", UNKNOWN))


def _conflict(kind: str, name: str, rivals: list[Candidate]) -> PluginConflictError:
    offers = " and ".join(f"{one.distribution}=={one.version} ({one.target})" for one in rivals)
    return PluginConflictError(
        name,
        f"Several distributions offer the {kind} {name!r}: {offers}.",
        hint=f'Pick one in the settings: [plugins.prefer] "{kind}.{name}" = "{rivals[0].distribution}"; '
        "or uninstall the other.",
    )


_GIVEN = "The application handed it over: mend it there."
"""What there is to do about a plugin that no distribution brought."""


def _advice(kind: str, name: str, distribution: str) -> str:
    return f'Try pip install --upgrade {distribution}; to do without it, put "{kind}.{name}" into plugins.deny.'

"""Turns one plugin's module or object into what it offers, and every way in which that can fail into data.

Nothing that a plugin does here reaches the host: whatever it raises becomes a :class:`LoadFailure`, ``SystemExit``
included. Only Ctrl-C goes through.
"""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import attrs
import pluggy

from tailrace.model.errors import PluginContractError, PluginError, PluginLoadError
from tailrace.model.metric import Metric
from tailrace.plugins import hookspecs
from tailrace.plugins.contract import STATEMENT, is_newer, refusal
from tailrace.plugins.kinds import ExportEvent, Format, Source
from tailrace.plugins.sinks import Sink
from tailrace.reading.userinfo import redacted

_OBSERVER, _METRICS = "tailrace_export_event", "tailrace_metrics"
HOOKS: Mapping[str, tuple[str, ...]] = {
    "source": ("tailrace_source",),
    "format": ("tailrace_format",),
    "sink": ("tailrace_sink",),
    "hook": (_OBSERVER, _METRICS),
}
"""The hooks of each kind of plugin; it must implement one of them."""

_CONTRACTS: Mapping[str, type] = {"source": Source, "format": Format, "sink": Sink}


@attrs.frozen
class Hooks:
    """What a plugin of kind ``hook`` implements; None for what it does not.

    Args:
        observe: Takes what happened to an export.
        metrics: Gives metrics, whatever it takes for such.
    """

    observe: Callable[[ExportEvent], object] | None
    metrics: Callable[[], object] | None


class LoadFailure(Exception):  # noqa: N818 - carried to the registry, which keeps it as data
    """Why a plugin cannot be used.

    Args:
        reason: What happened, as a clause: ``"it raised ValueError when imported"``.
        remedy: What the reader can do about it, as a sentence; empty for the usual advice.
        error: The class of error that asking for the plugin raises.
        upgrade: The distribution whose newer version may help, where it is not the plugin's own.
    """

    def __init__(
        self, reason: str, *, remedy: str = "", error: type[PluginError] = PluginLoadError, upgrade: str = ""
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.error = error
        self.upgrade = upgrade


def new_manager(specifications: ModuleType | type = hookspecs) -> pluggy.PluginManager:
    """A plugin manager that knows Tailrace's hooks and no plugin.

    Args:
        specifications: The module or class that specifies the hooks.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(specifications)
    return manager


def implemented_kinds(plugin: object) -> tuple[str, ...]:
    """The kinds whose hook a module or object implements, without registering it."""
    names = _marked(plugin)
    return tuple(kind for kind, hooks in HOOKS.items() if names & set(hooks))


def misspelt_hook(plugin: object) -> str:
    """What a module or object implements that is no hook, as a clause; empty where there is nothing of that kind."""
    strange = sorted(_marked(plugin) - set(_known_hooks()))
    return _no_hook(strange[0]) if strange else ""


def _marked(plugin: object) -> set[str]:
    """The names of the hooks that a module or object says it implements."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    marked = {attribute: manager.parse_hookimpl_opts(plugin, attribute) for attribute in dir(plugin)}
    return {options.get("specname") or attribute for attribute, options in marked.items() if options is not None}


def import_target(load: Callable[[], object]) -> object:
    """Import a plugin.

    Raises:
        LoadFailure: Whatever the import raised.
    """
    try:
        return load()
    except KeyboardInterrupt:
        raise
    except ModuleNotFoundError as error:
        remedy = f"It needs the module {error.name!r}." if error.name else ""
        raise LoadFailure(f"it cannot be imported: {_said(error)}", remedy=remedy) from error
    except BaseException as error:
        raise LoadFailure(f"it raised {_said(error)} when it was imported") from error


def check_contract(plugin: object) -> None:
    """Refuse a plugin that says it was written for a version of the contract that this engine does not keep.

    Raises:
        LoadFailure: It was, or says something that is no version.
    """
    stated = getattr(plugin, STATEMENT, None)
    reason = refusal(stated)
    if reason:
        raise LoadFailure(reason, error=PluginContractError, upgrade="tailrace-core" if is_newer(stated) else "")


def deprecated_arguments(manager: pluggy.PluginManager, implementations: Mapping[str, pluggy.HookImpl]) -> list[str]:
    """What a plugin's hooks take although it is going to be taken away, a sentence each.

    pluggy itself warns of it when the plugin is registered, by a warning that Python shows to nobody by default.
    """
    told: list[str] = []
    for hook, implementation in implementations.items():
        caller: pluggy.HookCaller = getattr(manager.hook, hook)
        deprecated = (caller.spec.warn_on_impl_args or {}) if caller.spec else {}
        told += [
            f"{hook}() takes {name!r}, which is deprecated: {deprecated[name]}"
            for name in implementation.argnames
            if name in deprecated
        ]
    return told


def register(manager: pluggy.PluginManager, plugin: object, *, kind: str, name: str) -> Mapping[str, pluggy.HookImpl]:
    """Register a plugin and find its implementations of the hooks of its kind; a failure leaves nothing behind.

    A module that offers several plugins is registered once and found again under each of its names.

    Returns:
        By name of the hook; at least one.

    Raises:
        LoadFailure: A hook that does not exist, arguments that do not fit, no implementation or several.
    """
    registered = manager.get_name(plugin) or f"{kind}.{name}"
    try:
        if not manager.is_registered(plugin):
            manager.register(plugin, name=registered)
        manager.check_pending()
        return _implementations(manager, HOOKS[kind], registered)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        misspelt = _unknown_hooks(manager, registered)
        manager.unregister(name=registered)
        if misspelt:
            raise LoadFailure(misspelt) from error
        if isinstance(error, LoadFailure):
            raise
        raise LoadFailure(f"its hooks cannot be registered: {_said(error)}") from error


def hooks_of(implementations: Mapping[str, pluggy.HookImpl]) -> Hooks:
    """What a plugin of kind ``hook`` implements."""
    observer, metrics = implementations.get(_OBSERVER), implementations.get(_METRICS)
    return Hooks(
        None if observer is None else _observer(observer),
        None if metrics is None else metrics.function,
    )


def metrics_of(plugin: Hooks) -> tuple[Metric, ...]:
    """The metrics that a plugin offers; none where it has no such hook.

    Raises:
        LoadFailure: It raised, or returned something else.
    """
    if plugin.metrics is None:
        return ()
    try:
        offered = plugin.metrics()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise LoadFailure(f"its {_METRICS}() raised {_said(error)}") from error
    if inspect.isgenerator(offered) or not isinstance(offered, Sequence) or isinstance(offered, str):
        message = f"its {_METRICS}() returned {_article(type(offered).__name__)} instead of a list of metrics"
        raise LoadFailure(message, error=PluginContractError)
    stranger = next((one for one in offered if not isinstance(one, Metric)), None)
    if stranger is not None:
        message = f"its {_METRICS}() returned {_article(type(stranger).__name__)} among the metrics"
        raise LoadFailure(message, error=PluginContractError)
    return tuple(offered)


def _observer(implementation: pluggy.HookImpl) -> Callable[[ExportEvent], object]:
    """The observer as a function of an event, whichever of the hook's arguments the plugin's own takes."""

    def observe(event: ExportEvent) -> object:
        offered = {"event": event}
        return implementation.function(*(offered[name] for name in implementation.argnames))

    return observe


def obtain(implementations: Mapping[str, pluggy.HookImpl], *, kind: str) -> object:
    """Call the hook that hands over a source, format or sink, and check what comes back.

    Raises:
        LoadFailure: It raised, yielded, or returned something else than its kind's contract asks for.
    """
    ((hook, implementation),) = implementations.items()
    try:
        offered = implementation.function()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise LoadFailure(f"its {hook}() raised {_said(error)}") from error
    problem = _breach(offered, kind)
    if problem:
        raise LoadFailure(f"its {hook}() {problem}", error=PluginContractError)
    return offered


def _implementations(
    manager: pluggy.PluginManager, hooks: Sequence[str], registered: str
) -> Mapping[str, pluggy.HookImpl]:
    found = {hook: _implementation(manager, hook, registered) for hook in hooks}
    implemented = {hook: one for hook, one in found.items() if one is not None}
    if not implemented:
        raise LoadFailure(
            f"it does not implement {' or '.join(f'{hook}()' for hook in hooks)}",
            remedy="Is the decorator @hookimpl missing?",
            error=PluginContractError,
        )
    return implemented


def _implementation(manager: pluggy.PluginManager, hook: str, registered: str) -> pluggy.HookImpl | None:
    caller: pluggy.HookCaller = getattr(manager.hook, hook)
    own = [one for one in caller.get_hookimpls() if one.plugin_name == registered]
    if not own:
        return None
    if len(own) > 1:
        raise LoadFailure(f"it implements {hook}() {len(own)} times", error=PluginContractError)
    found = own[0]
    if found.wrapper or found.hookwrapper:
        raise LoadFailure(f"its {hook}() is a wrapper, but must be a plain function", error=PluginContractError)
    swallowed = set(found.kwargnames) & set(caller.spec.argnames if caller.spec else ())
    if swallowed:
        # pluggy never passes an argument that has a default: the hook would silently see the default for ever.
        raise LoadFailure(
            f"its {hook}() gives the argument {min(swallowed)!r} a default, so that it would never be passed",
            error=PluginContractError,
        )
    return found


def _unknown_hooks(manager: pluggy.PluginManager, registered: str) -> str:
    plugin = manager.get_plugin(registered)
    callers = [] if plugin is None else manager.get_hookcallers(plugin) or []
    unknown = [
        caller.name
        for caller in callers
        if not caller.has_spec()
        and any(one.plugin_name == registered and not one.optionalhook for one in caller.get_hookimpls())
    ]
    return _no_hook(unknown[0]) if unknown else ""


def _known_hooks() -> list[str]:
    return [hook for hook in vars(hookspecs) if hook.startswith(f"{hookspecs.PROJECT}_")]


def _no_hook(name: str) -> str:
    close = difflib.get_close_matches(name, _known_hooks(), n=1, cutoff=0.6)
    guess = f" (did it mean {close[0]!r}?)" if close else ""
    return f"it implements a hook that does not exist: {name!r}{guess}"


def _breach(offered: object, kind: str) -> str:
    """What is wrong with an object that a plugin handed over, as the rest of a sentence; empty when it is right."""
    contract = _CONTRACTS[kind]
    if inspect.isgenerator(offered) or inspect.iscoroutine(offered):
        offered.close()
        return "yields or awaits instead of returning"
    if isinstance(offered, type):
        return f"returned the class {offered.__name__} instead of an instance of it"
    if not isinstance(offered, contract):
        missing = sorted(name for name in _members(contract) if not hasattr(offered, name))
        return f"returned {_article(type(offered).__name__)}, which has no {', '.join(missing)}"
    if not isinstance(offered.summary, str):  # type: ignore[attr-defined]  # the contract asks for it, checked above
        return "returned an object whose summary is not a text"
    options_type = offered.options_type  # type: ignore[attr-defined]  # the same
    if not (isinstance(options_type, type) and attrs.has(options_type)):
        return "returned an object whose options_type is not an attrs class"
    return ""


def _members(contract: type) -> set[str]:
    return {
        name
        for name, value in vars(contract).items()
        if name[0] != "_" and (inspect.isfunction(value) or isinstance(value, property))
    }


def _article(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _said(error: BaseException) -> str:
    text = redacted(str(error).strip())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

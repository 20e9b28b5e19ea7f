"""``tailrace plugins``: what there is, what its options are, and what is wrong with it."""

import json
from typing import TYPE_CHECKING, Any

from tailrace.cli.layout import Styled
from tailrace.cli.session import COMMON, Common, Shared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tailrace.plugins.doctor import Finding
    from tailrace.plugins.loading import Hooks
    from tailrace.plugins.registry import PluginEntry, Registry

_STYLES = {
    "available": "",
    "loaded": "",
    "shadowed": "dim",
    "denied": "dim",
    "conflict": "red",
    "failed": "red",
    "ok": "green",
    "warning": "yellow",
    "problem": "bold red",
}


def list_plugins(*, common: Common = COMMON, session: Shared) -> int:
    """List the plugins, without importing any of them."""
    entries = session.registry.entries()
    terminal = session.terminal
    if common.json:
        terminal.document({"plugins": [_described(entry) for entry in entries]})
        return 0
    if not entries:
        terminal.text("No plugin is installed. Start with: pip install tailrace")
        return 0
    rows = [
        (entry.kind, entry.name, Styled(entry.status, _STYLES[entry.status]), f"{entry.distribution} {entry.version}")
        for entry in entries
    ]
    terminal.table(("kind", "name", "status", "distribution"), rows)
    troubled = [entry for entry in entries if entry.reason]
    if troubled:
        terminal.line()
    for entry in troubled:
        terminal.text(f"{entry.kind} {entry.name} of {entry.distribution}: {entry.reason}.")
    return 0


def show(name: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Show a plugin: where it comes from, and its options.

    Args:
        name: Its name, such as csv, or kind and name: format.csv.
    """
    found = [_shown(session.registry, kind, plain) for kind, plain in _matches(session.registry, name)]
    terminal = session.terminal
    if common.json:
        terminal.document({"plugins": found})
        return 0
    for number, plugin in enumerate(found):
        if number:
            terminal.line()
        terminal.line(f"{plugin['kind']} {plugin['name']}", "bold")
        terminal.text(plugin["summary"])
        terminal.text(f"From {plugin['distribution']} {plugin['version']}.")
        _show_options(session, plugin)
    return 0


def doctor(*, common: Common = COMMON, session: Shared) -> int:
    """Import every plugin and look at what surrounds them; say what is wrong and how to mend it."""
    from tailrace.plugins.doctor import examine

    findings = [*examine(session.registry), *_settings_of_sinks(session)]
    healthy = all(finding.verdict != "problem" for finding in findings)
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        terminal.document({"ok": healthy, "findings": unstructure(findings)})
        return 0 if healthy else 1
    rows = [
        (
            Styled(finding.verdict, _STYLES[finding.verdict]),
            finding.subject,
            f"{finding.message}\n{finding.remedy}".strip(),
        )
        for finding in findings
    ]
    terminal.table(("verdict", "subject", "what was found"), rows)
    problems = sum(finding.verdict == "problem" for finding in findings)
    terminal.line()
    terminal.line("Nothing is wrong." if healthy else f"{problems} to mend.", "green" if healthy else "bold red")
    return 0 if healthy else 1


def _settings_of_sinks(session: Shared) -> "Iterator[Finding]":
    """What is wrong with the settings of sinks, which nobody reads before something is delivered."""
    from tailrace.model.errors import TailraceError
    from tailrace.pipeline.job import known_sinks, sink_settings
    from tailrace.plugins.doctor import Finding

    given = session.settings.sinks
    try:
        known_sinks(session.registry, given)
    except TailraceError as error:
        yield Finding("settings", "problem", error.message, error.hint)
    names = {entry.name for entry in session.registry.entries() if entry.kind == "sink" and not entry.reason}
    for name in sorted(names & set(given)):
        try:
            sink_settings(session.registry.sink(name), given)
        except TailraceError as error:
            yield Finding(f"sinks.{name}", "problem", error.message, error.hint)


def _described(entry: "PluginEntry") -> dict[str, str]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "status": entry.status,
        "distribution": entry.distribution,
        "version": entry.version,
        "target": entry.target,
        "reason": entry.reason,
    }


def _matches(registry: "Registry", name: str) -> list[tuple[str, str]]:
    from tailrace.model.errors import UnknownNameError
    from tailrace.plugins.catalogue import first_party_distribution

    entries = registry.entries()
    matches = [(entry.kind, entry.name) for entry in entries if name in {entry.name, f"{entry.kind}.{entry.name}"}]
    if matches:
        return list(dict.fromkeys(matches))
    kinds = ("source", "format", "sink")
    offers = (first_party_distribution(kind, name.removeprefix(f"{kind}.")) for kind in kinds)
    distribution = next(filter(None, offers), None)
    hint = f"It is not installed: pip install {distribution}" if distribution else ""
    raise UnknownNameError("plugin", name, sorted({entry.name for entry in entries}), hint=hint)


def _shown(registry: "Registry", kind: str, name: str) -> dict[str, Any]:
    from tailrace.model.convert import unstructure
    from tailrace.model.options import describe_options

    plugin = registry.load(kind, name)
    hooks = kind == "hook"
    return {
        "kind": kind,
        "name": name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "summary": _told(plugin.object) if hooks else plugin.object.summary,
        "options": [] if hooks else unstructure(describe_options(plugin.object.options_type)),
    }


def _told(hooks: "Hooks") -> str:
    """What a plugin of kind ``hook`` does, as a sentence."""
    does = [*(["observes exports"] if hooks.observe else []), *(["offers metrics"] if hooks.metrics else [])]
    return f"{' and '.join(does).capitalize()}."


def _show_options(session: Shared, plugin: dict[str, Any]) -> None:
    terminal = session.terminal
    if not plugin["options"]:
        terminal.text("It has no options.")
        return
    rows = [
        (
            option["name"],
            option["type"],
            Styled("required", "yellow") if option["required"] else _default(option["default"]),
            option["help"],
        )
        for option in plugin["options"]
    ]
    terminal.line()
    terminal.table(("option", "type", "default", "what it does"), rows, indent="  ")
    terminal.line()
    example = plugin["options"][0]["name"]
    terminal.text(f"Set with --option {example}=… or --option {plugin['name']}.{example}=…")


def _default(value: Any) -> str:
    return "" if value is None or value in ([], {}) else json.dumps(value, ensure_ascii=False)

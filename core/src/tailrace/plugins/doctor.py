"""Imports every plugin and looks at the surroundings, and says what is wrong and how to mend it."""

import contextlib
import io
import platform
import sqlite3
from typing import Literal

import attrs
import pluggy

from tailrace import __version__
from tailrace.model.errors import TailraceError
from tailrace.model.options import describe_options
from tailrace.plugins.contract import CONTRACT
from tailrace.plugins.registry import PluginEntry, Registry

OLDEST_PLUGGY = (1, 7)

_WAL_FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""First releases of SQLite without the bug that can corrupt a database in WAL mode, by line of releases."""
_WAL_BEGAN = (3, 7, 0)


@attrs.frozen
class Finding:
    """What the doctor says about one thing.

    Args:
        subject: What was looked at: ``"format.csv"``, ``"SQLite"``, ``"settings"``.
        verdict: ``problem`` means that something does not work.
        message: What was found.
        remedy: How to mend it; empty when nothing is to be done.
    """

    subject: str
    verdict: Literal["ok", "warning", "problem"]
    message: str
    remedy: str = ""


def examine(registry: Registry) -> tuple[Finding, ...]:
    """Look at the surroundings and import every plugin that may be used.

    While a plugin is imported, ``sys.stdout`` of the process is exchanged, to notice plugins that print.
    """
    return (
        Finding(
            "Tailrace",
            "ok",
            f"{__version__} on Python {platform.python_version()}, contract of plugins {CONTRACT}",
        ),
        check_pluggy(pluggy.__version__),
        check_sqlite(sqlite3.sqlite_version_info),
        *(_setting(item) for item in registry.unmatched()),
        *(_plugin(registry, entry) for entry in registry.entries()),
    )


def check_pluggy(version: str) -> Finding:
    """Whether this pluggy keeps no plugin that failed validation."""
    numbers = tuple(int(part) for part in version.split(".")[:2])
    if numbers < OLDEST_PLUGGY:
        return Finding(
            "pluggy",
            "problem",
            f"{version} keeps plugins that failed validation",
            "pip install --upgrade pluggy",
        )
    return Finding("pluggy", "ok", version)


def check_sqlite(version: tuple[int, ...]) -> Finding:
    """Whether this SQLite has the bug that can corrupt a WAL database when two connections write at once."""
    text = ".".join(map(str, version))
    line = next((fixed for fixed in _WAL_FIXED if fixed[:2] == version[:2]), max(_WAL_FIXED))
    if _WAL_BEGAN <= version < line:
        return Finding(
            "SQLite",
            "warning",
            f"{text} can corrupt a database in WAL mode when two programs write to it at once; exports only read",
            f"Use a Python with SQLite {'.'.join(map(str, max(_WAL_FIXED)))} or newer where other programs write.",
        )
    return Finding("SQLite", "ok", text)


def _setting(item: str) -> Finding:
    return Finding("settings", "warning", f"{item} fits no installed plugin", "Check the spelling.")


def _plugin(registry: Registry, entry: PluginEntry) -> Finding:
    subject = f"{entry.kind}.{entry.name}"
    origin = f"{entry.distribution}=={entry.version}"
    if entry.status in {"denied", "shadowed"}:
        return Finding(subject, "ok", f"{origin}, not used: {entry.reason}")
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            loaded = registry.load(entry.kind, entry.name)
            if entry.kind != "hook":
                describe_options(loaded.object.options_type)
    except TailraceError as error:
        return Finding(subject, "problem", f"{origin}: {_reason(registry, entry)}", error.hint)
    except Exception as error:  # noqa: BLE001 - whatever the plugin's options class does is a finding
        return Finding(
            subject,
            "problem",
            f"the options of {origin} cannot be described: {type(error).__name__}: {error}",
            f"Try pip install --upgrade {entry.distribution}.",
        )
    if printed.getvalue():
        return Finding(
            subject,
            "warning",
            f"{origin} prints when it is imported",
            "Tell its author: what a plugin prints can spoil the output of the host.",
        )
    if loaded.outdated:
        return Finding(
            subject,
            "warning",
            f"{origin}: its {' Its '.join(loaded.outdated)}",
            f"It works for now. Try pip install --upgrade {entry.distribution}, or tell its author.",
        )
    return Finding(subject, "ok", origin)


def _reason(registry: Registry, entry: PluginEntry) -> str:
    failed = {(failure.kind, failure.name): failure.reason for failure in registry.failures()}
    return entry.reason or failed[entry.kind, entry.name]

"""The generated parts of the reference are what the code says; ``WRITE_DOCS=1`` writes them anew.

Whatever is added to the code and belongs into one of them (a hook, a command, an option, a setting, an error, a public
name, the attribute of a call) makes the test of that part fail until it is told there.
"""

import importlib
import inspect
import os
import re
import typing
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from types import ModuleType
from typing import Annotated, Any

import attrs
import pytest
from cyclopts import App, Parameter
from tailrace_sdk import pytest_plugin
from tailrace_sdk.conformance import FormatConformance, SinkConformance, SourceConformance

import tailrace
from tailrace import TailraceError, option
from tailrace.cli import app as command_line
from tailrace.cli import export, verification
from tailrace.cli.session import COMMON, Common
from tailrace.model import columns, context, dataset, job
from tailrace.model.manifest import Manifest
from tailrace.model.options import describe_options
from tailrace.plugins import hookspecs, kinds, pools, sinks
from tailrace.plugins.registry import Registry
from tailrace.settings import Settings
from tailrace.vault import header

from . import contracts, kit, settings_tables
from .commands import command_reference, commands, common_options
from .docstrings import cell, constant_docstring, first_sentence, signature, table
from .error_table import error_classes, error_table
from .manifest_table import manifest_table
from .pages import REFERENCE, kept_cells, part, write_part

APP = command_line.app
PLUGINS = (
    "source.pool",
    "source.analytics",
    "source.health",
    "source.dashboard",
    "format.csv",
    "format.json",
    "format.excel",
    "format.pdf",
    "format.html",
    "sink.disk",
    "sink.email",
    "sink.webhook",
)
CONTRACTS: dict[str, tuple[ModuleType, Container[str]]] = {
    "sources and formats": (kinds, tailrace.__all__),
    "sinks": (sinks, tailrace.__all__),
    "pools": (pools, tailrace.__all__),
    "data": (dataset, tailrace.__all__),
    "columns": (columns, tailrace.__all__),
    "context": (context, tailrace.__all__),
    "receipts": (job, ("Receipt", "Fit")),
}
KIT = {"formats": FormatConformance, "sinks": SinkConformance, "sources": SourceConformance}
EXIT_CODES = {
    command_line.DONE,
    command_line.FAILED,
    command_line.WRONG_USAGE,
    verification.REFUSED,
    export.PARTLY_DELIVERED,
}


def options_of(plugin: str, options_type: Any = None) -> str:
    kind, _, name = plugin.partition(".")
    loaded = getattr(Registry(), kind)(name).object
    lines = [loaded.summary.rstrip(".") + ".", "", "| option | type | default | what it does |", "|---|---|---|---|"]
    for described in describe_options(options_type or loaded.options_type):
        shown = f"`{described.default}`" if described.default not in (None, "") else ""
        default = "required" if described.required else shown
        lines.append(f"| `{described.name}` | {cell(described.type)} | {cell(default)} | {cell(described.help)} |")
    return "\n".join(lines)


def sink_settings(name: str, page: str) -> str:
    sink = Registry().sink(name).object
    assert isinstance(sink, sinks.Configurable)
    return settings_tables.sink_table(sink.settings_type, by_hand(page, f"settings of {name}"))


def by_hand(page: str, name: str) -> Mapping[str, str]:
    return kept_cells(part(page, name))


def public_names(names: Iterable[str] = tailrace.__all__) -> str:
    rows = [(f"`{name}`", what_is(name)) for name in sorted(set(names) - {"__version__"}, key=str.lower)]
    return table(("name", "what it is"), rows)


def what_is(name: str) -> str:
    thing = getattr(tailrace, name)
    if name == "hookimpl":
        return "Marks the implementation of a hook."
    if inspect.isclass(thing) or inspect.isroutine(thing):
        return first_sentence(thing)
    home = tailrace._MODULE_OF[name]  # noqa: SLF001 - a constant does not know where it is from
    return constant_docstring(importlib.import_module(home), name)


def hooks() -> str:
    lines = []
    for name, function in sorted(vars(hookspecs).items()):
        if name.startswith("tailrace_"):
            lines += [f"- `{name}{signature(function)}`: {first_sentence(function)}"]
    return "\n".join(lines)


def errors(classes: Iterable[type[TailraceError]] = ()) -> str:
    return error_table([*error_classes(), *classes], by_hand("errors.md", "errors"))


def exit_codes(codes: Iterable[int] = EXIT_CODES) -> str:
    told = by_hand("errors.md", "exit codes")
    return table(("exit code", "means"), [(f"`{code}`", told.get(f"`{code}`", "")) for code in sorted(codes)])


def manifest(cls: type = Manifest) -> str:
    return manifest_table(cls, by_hand("manifest.md", "members"))


GENERATED: list[tuple[str, str, Callable[[], str]]] = [
    *(("plugins.md", plugin, partial(options_of, plugin)) for plugin in PLUGINS),
    ("python.md", "public names", public_names),
    ("python.md", "hooks", hooks),
    ("hooks.md", "hooks", partial(contracts.hook_reference, vars(hookspecs))),
    *(("hooks.md", name, partial(contracts.contract_reference, *what)) for name, what in CONTRACTS.items()),
    ("commands.md", "common options", common_options),
    ("commands.md", "commands", partial(command_reference, APP)),
    *(
        ("settings.md", group or "engine", partial(settings_tables.group_table, Settings, group))
        for group in settings_tables.groups(Settings)
    ),
    ("email.md", "settings of email", partial(sink_settings, "email", "email.md")),
    ("webhooks.md", "settings of webhook", partial(sink_settings, "webhook", "webhooks.md")),
    ("errors.md", "exit codes", exit_codes),
    ("errors.md", "errors", errors),
    ("manifest.md", "members", manifest),
    *(("conformance.md", f"capabilities of {name}", partial(kit.capabilities, cls)) for name, cls in KIT.items()),
    *(("conformance.md", f"standard tests of {name}", partial(kit.tests, cls)) for name, cls in KIT.items()),
    ("conformance.md", "fixtures", partial(kit.fixtures, pytest_plugin)),
]


@pytest.mark.parametrize(("page", "name", "generate"), GENERATED, ids=[f"{page}-{name}" for page, name, _ in GENERATED])
def test_a_generated_part_is_what_the_code_says(page: str, name: str, generate: Callable[[], str]) -> None:
    expected = generate()
    if os.environ.get("WRITE_DOCS"):
        write_part(page, name, expected)
    else:
        assert part(page, name) == expected, "run: WRITE_DOCS=1 pytest --no-cov tests/docs/test_reference.py"


@pytest.mark.parametrize(
    "generate", [case[2] for case in GENERATED], ids=[f"{case[0]}-{case[1]}" for case in GENERATED]
)
def test_nothing_in_a_generated_table_is_left_unsaid(generate: Callable[[], str]) -> None:
    """The last cell of a row says what it is: from the code, or written by hand into the page, where it stays."""
    assert [first for first, told in kept_cells(generate()).items() if not told] == []


# What nobody has written anything about, added to the code for the length of a test.


def tailrace_made_up(call: int) -> str:
    """Return something."""
    return str(call)


@attrs.frozen
class MadeUpOptions:
    made_up: str = option("", help="Nothing at all.")


class MadeUpError(TailraceError):
    """It is made up."""


def app_with(command: Callable[..., None], name: str) -> App:
    made_up = App(name="tailrace")
    for known in APP:
        if known != name and not known.startswith("-"):
            made_up.command(APP[known], name=known)
    made_up.command(command, name=name)
    return made_up


def nothing(*, common: Common = COMMON) -> None:
    """Do nothing."""


def worker(*, made_up: Annotated[str, Parameter()] = "", common: Common = COMMON) -> None:
    """Do nothing.

    Args:
        made_up: Nothing at all.
    """


MADE_UP: dict[str, tuple[str, str, Callable[[], str]]] = {
    "hook": (
        "hooks.md",
        "hooks",
        lambda: contracts.hook_reference({**vars(hookspecs), "tailrace_made_up": tailrace_made_up}),
    ),
    "command": ("commands.md", "commands", lambda: command_reference(app_with(nothing, "made-up"))),
    "command option": ("commands.md", "commands", lambda: command_reference(app_with(worker, "worker"))),
    "setting": (
        "settings.md",
        "engine",
        lambda: settings_tables.group_table(
            attrs.make_class("Settings", {"made_up": attrs.field(default="", type=str)}, bases=(Settings,)), ""
        ),
    ),
    "plugin option": ("plugins.md", "format.csv", lambda: options_of("format.csv", MadeUpOptions)),
    "error": ("errors.md", "errors", lambda: errors([MadeUpError])),
    "exit code": ("errors.md", "exit codes", lambda: exit_codes({*EXIT_CODES, 5})),
    "public name": ("python.md", "public names", lambda: public_names([*tailrace.__all__, "made_up"])),
    "member of the manifest": (
        "manifest.md",
        "members",
        lambda: manifest(
            attrs.make_class("Manifest", {"made_up": attrs.field(type=str)}, bases=(Manifest,), kw_only=True)
        ),
    ),
}


@pytest.mark.parametrize("what", MADE_UP)
def test_a_new_thing_that_is_not_told_is_found_out(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tailrace, "made_up", tailrace_made_up, raising=False)
    page, name, generate = MADE_UP[what]
    there, now = part(page, name).splitlines(), generate().splitlines()
    added = [line for line in now if line not in there]
    assert any(re.search("made.?up|^. `5`", line, re.IGNORECASE) for line in added), f"{what} would not be missed"


def test_a_new_attribute_of_a_call_is_found_out() -> None:
    made_up = attrs.make_class(
        "DeliverCall", {"made_up": attrs.field(default="", type=str)}, bases=(sinks.DeliverCall,), frozen=True
    )
    made_up.__doc__, made_up.__module__ = sinks.DeliverCall.__doc__, sinks.__name__
    module = ModuleType(sinks.__name__)
    vars(module).update({**vars(sinks), "DeliverCall": made_up})
    assert contracts.contract_reference(module) != part("hooks.md", "sinks")
    assert contracts.undescribed(module) == ["DeliverCall.made_up"]


def test_every_public_name_is_told_what_it_is() -> None:
    assert [name for name in set(tailrace.__all__) - {"__version__"} if not what_is(name)] == []


@pytest.mark.parametrize(("module", "names"), CONTRACTS.values(), ids=CONTRACTS)
def test_every_attribute_of_a_call_is_told(module: ModuleType, names: Container[str]) -> None:
    assert contracts.undescribed(module, names) == []


def test_every_setting_is_told() -> None:
    assert settings_tables.undescribed(Settings) == []


def test_every_plugin_of_ours_has_its_table() -> None:
    registry = Registry()
    found = {f"{entry.kind}.{entry.name}" for entry in registry.entries() if entry.distribution.startswith("tailrace-")}
    assert found >= set(PLUGINS)
    assert {name for name in found if name.partition(".")[0] != "hook"} == set(PLUGINS)


def test_every_sink_with_settings_has_their_table() -> None:
    told = {name.removeprefix("settings of ") for _page, name, _ in GENERATED if name.startswith("settings of ")}
    names = [plugin.partition(".")[2] for plugin in PLUGINS if plugin.startswith("sink.")]
    assert told == {name for name in names if isinstance(Registry().sink(name).object, sinks.Configurable)}


def test_errors_end_with_codes_that_there_are() -> None:
    assert {cls.exit_code for cls in error_classes()} <= EXIT_CODES


def test_the_prose_about_the_command_line_names_every_command() -> None:
    page = (REFERENCE / "command-line.md").read_text()
    headings = [set(re.findall(r"[\w-]+", line)) for line in page.splitlines() if line.startswith("#")]
    words = [set(name.split()) for name, _ in commands(APP)]
    assert len(words) > 40
    # Those of one group share a heading: `tailrace keys new|show|add`.
    assert [name for name in words if not any(name <= heading for heading in headings)] == []


def test_the_pool_file_tells_every_member_of_its_header() -> None:
    page = (REFERENCE / "pool-file.md").read_text()
    classes = [header.MasterOpener, header.RecipientOpener, header.PasswordOpener, header.Header]
    names = {field.name for cls in classes for field in attrs.fields(cls)}
    assert len(names) > 10
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
    kinds_of_openers = [typing.get_args(typing.get_type_hints(cls)["type"])[0] for cls in classes[:3]]
    assert [kind for kind in kinds_of_openers if f"`{kind}`" not in page] == []

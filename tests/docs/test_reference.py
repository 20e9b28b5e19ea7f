"""The generated parts of the reference are what the code says; ``WRITE_DOCS=1`` writes them anew."""

import inspect
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import pytest

import tailrace
from tailrace.model.options import describe_options
from tailrace.plugins import hookspecs
from tailrace.plugins.registry import Registry
from tailrace.settings import Settings

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"
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


def first_sentence(thing: object) -> str:
    text = inspect.getdoc(thing) or ""
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", " ".join(text.partition("\n\n")[0].split())).replace("``", "`")


def cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def options_of(plugin: str) -> str:
    kind, _, name = plugin.partition(".")
    loaded = getattr(Registry(), kind)(name).object
    lines = [loaded.summary.rstrip(".") + ".", "", "| option | type | default | what it does |", "|---|---|---|---|"]
    for option in describe_options(loaded.options_type):
        default = "required" if option.required else f"`{option.default}`" if option.default not in (None, "") else ""
        lines.append(f"| `{option.name}` | {cell(option.type)} | {cell(default)} | {cell(option.help)} |")
    return "\n".join(lines)


def public_names() -> str:
    lines = ["| name | what it is |", "|---|---|"]
    for name in sorted(set(tailrace.__all__) - {"__version__"}, key=str.lower):
        thing = getattr(tailrace, name)
        told = "Marks the implementation of a hook." if name == "hookimpl" else first_sentence(thing)
        lines.append(f"| `{name}` | {cell(told)} |")
    return "\n".join(lines)


def hooks() -> str:
    lines = []
    for name, function in sorted(vars(hookspecs).items()):
        if name.startswith("tailrace_"):
            lines += [f"**`{name}{inspect.signature(function)}`**", "", first_sentence(function), ""]
    return "\n".join(lines).strip()


GENERATED: list[tuple[str, str, Callable[[], str]]] = [
    *(("plugins.md", plugin, partial(options_of, plugin)) for plugin in PLUGINS),
    ("python.md", "public names", public_names),
    ("python.md", "hooks", hooks),
]


@pytest.mark.parametrize(("page", "part", "generate"), GENERATED, ids=[f"{page}-{part}" for page, part, _ in GENERATED])
def test_a_generated_part_is_what_the_code_says(page: str, part: str, generate: Callable[[], str]) -> None:
    path = REFERENCE / page
    text = path.read_text()
    pattern = re.compile(rf"(<!-- generated: {re.escape(part)} -->\n).*?(\n<!-- end -->)", re.DOTALL)
    found = pattern.search(text)
    assert found is not None, f"{page} has no part {part!r}"
    expected = found[1] + "\n" + generate() + "\n" + found[2]
    if os.environ.get("WRITE_DOCS"):
        path.write_text(text.replace(found[0], expected))
    else:
        assert found[0] == expected, "run: WRITE_DOCS=1 pytest tests/docs/test_reference.py"


def test_every_setting_is_documented() -> None:
    page = (REFERENCE / "settings.md").read_text()
    groups = {
        field.name: field.type
        for field in attrs.fields(Settings)
        if isinstance(field.type, type) and attrs.has(field.type)
    }
    assert len(groups) > 3
    names = [field.name for field in attrs.fields(Settings) if field.name not in groups]
    names += [f"{group}.{field.name}" for group, cls in groups.items() for field in attrs.fields(cls)]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_every_command_is_documented() -> None:
    from tailrace.cli.app import app

    page = (REFERENCE / "command-line.md").read_text()
    commands = [name for name in app if not name.startswith("-")]
    assert [name for name in commands if f"tailrace {name}" not in page] == []
    # Those of one group share a heading: `tailrace keys new|show|add`.
    headings = [set(re.findall(r"[\w-]+", line)) for line in page.splitlines() if line.startswith("#")]
    below = [(name, inner) for name in commands for inner in app[name] if not inner.startswith("-")]
    assert len(below) > 20
    assert [pair for pair in below if not any({"tailrace", *pair} <= heading for heading in headings)] == []

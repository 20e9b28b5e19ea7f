"""The command line as the reference has it: what its help pages say, from the same source."""

import typing
from collections.abc import Iterable, Iterator

from cyclopts import App
from cyclopts.argument import Argument

from tailrace.cli.session import COMMON, Common
from tailrace.model.textual import type_name

from .docstrings import cell, described, table

_SHARED = "Common options"


def commands(app: App, words: tuple[str, ...] = ("tailrace",)) -> Iterator[tuple[str, App]]:
    """Every command of an app, with the words that call it."""
    for name in app:
        # Help is no command, and neither is the version, but both are options of the program itself.
        if name.startswith("-"):
            continue
        below = app[name]
        if below.default_command is None:
            yield from commands(below, (*words, name))
        else:
            yield " ".join((*words, name)), below


def command_reference(app: App) -> str:
    """A heading, a usage line and a table for each command."""
    parts: list[str] = []
    group = ""
    for words, command in commands(app):
        _program, *inner = words.split()
        if inner[0] != group:
            group = inner[0]
            parts.append(f"## `tailrace {group}`")
            if len(inner) > 1:
                parts.append(cell(app[group].help))
        if len(inner) > 1:
            parts.append(f"### `{words}`")
        parts += [_help(command), f"```text\n{_usage(words, command)}\n```"]
        if rows := [_row(argument) for argument in _arguments(command)]:
            parts.append(table(("argument or option", "value", "what it is"), rows))
    return "\n\n".join(parts)


def common_options() -> str:
    """What every command takes."""
    app = App()

    @app.default
    def nothing(*, common: Common = COMMON) -> None: ...

    return table(("option", "value", "what it is"), [_row(argument) for argument in _arguments(app, shared=True)])


def _help(command: App) -> str:
    return described(command.default_command)


def _usage(words: str, command: App) -> str:
    said = [words]
    options = False
    for argument in _arguments(command):
        if argument.field_info.is_positional:
            several = "…" if typing.get_origin(argument.hint) is tuple else ""
            name = f"{argument.name.upper()}{several}"
            said.append(name if argument.required else f"[{name}]")
        elif argument.required:
            said.append(f"{argument.name} {argument.name.lstrip('-').upper()}")
        else:
            options = True
    return " ".join([*said, "[OPTIONS]"] if options else said)


def _arguments(command: App, *, shared: bool = False) -> Iterable[Argument]:
    """The arguments and options that are shown, in the order of the help page."""
    shown = [
        argument
        for argument in command.assemble_argument_collection(parse_docstring=True)
        if argument.parse and argument.show and argument.names[0] != "*"
    ]
    return [
        argument
        for argument in shown
        if any(group.name == _SHARED for group in argument.parameter.group or ()) is shared  # type: ignore[union-attr]
    ]


def _row(argument: Argument) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in argument.names)
    told = " ".join(str(argument.parameter.help or "").split())
    default = argument.field_info.default
    # Where not giving an option means something of its own, its help says so in words.
    if argument.required:
        told = f"{told} **Needed.**"
    elif isinstance(default, (int, float, str)) and not isinstance(default, bool) and default != "":
        told = f"{told} By default `{default}`."
    return names, _value(argument), told.strip()


def _value(argument: Argument) -> str:
    hint = argument.hint
    members = [member for member in typing.get_args(hint) if member is not type(None)]
    if type(None) in typing.get_args(hint):
        hint = members[0]
    if hint is bool:
        return ""
    if typing.get_origin(hint) is tuple:
        return f"{type_name(members[0])}; may be repeated"
    return type_name(hint)

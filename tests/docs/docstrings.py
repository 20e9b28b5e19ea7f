"""What docstrings and annotations say, as Markdown."""

import ast
import inspect
import itertools
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from types import ModuleType

_SECTION = re.compile(r"^(Args|Returns|Raises|Yields):$", re.MULTILINE)
_ITEM = re.compile(r"^    (\*{0,2}\w+): ")
# Where names of the standard library and ours come from is of no interest to who reads a signature.
_HOME = re.compile(r"\b(?:tailrace|collections|typing|pathlib|datetime|contextlib|builtins)(?:\.\w+)*\.(?=\w)")


def as_markdown(text: str) -> str:
    """Roles and literals of docstrings as code; lines of a paragraph joined."""
    plain = re.sub(r":\w+:`~?(?:tailrace(?:\.[a-z_]\w*)*\.)?([^`]+)`", r"`\1`", text).replace("``", "`")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in plain.split("\n\n"))


def described(thing: object) -> str:
    """What a docstring says in front of its sections."""
    return as_markdown(_SECTION.split(inspect.getdoc(thing) or "")[0].strip())


def first_sentence(thing: object) -> str:
    """The first paragraph of a docstring, which is one sentence in this house."""
    return described(thing).partition("\n\n")[0]


def sections(thing: object) -> Mapping[str, str]:
    """The sections of a docstring by name: ``Args``, ``Returns``, ``Raises``."""
    _head, *rest = _SECTION.split(inspect.getdoc(thing) or "")
    return dict(zip(rest[::2], rest[1::2], strict=True))


def items(thing: object, section: str = "Args") -> dict[str, str]:
    """The items of a section by name: the arguments of a function, the fields of a class, the errors raised."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in sections(thing).get(section, "").splitlines():
        if match := _ITEM.match(line):
            name = match[1]
            found[name] = [line[match.end() :]]
        elif name:
            found[name].append(line)
    return {name: as_markdown("\n".join(lines).strip()) for name, lines in found.items()}


def annotation(wanted: object) -> str:
    """A type as it is written, without where its names come from."""
    text = wanted if isinstance(wanted, str) else inspect.formatannotation(wanted)
    return _HOME.sub("", text).replace("'", "").replace('"', "").replace("polars.", "pl.")


def signature(function: object) -> str:
    """A signature as it is written, without ``self`` and where names come from."""
    text = str(inspect.signature(function))  # type: ignore[arg-type]  # functions only
    return annotation(re.sub(r"\(self(?:, )?", "(", text))


def constant_docstring(module: ModuleType, name: str) -> str:
    """The text below ``NAME = …`` in a module, by which constants and aliases are documented."""
    return _below(ast.parse(Path(str(module.__file__)).read_text()).body).get(name, "")


def members_docstrings(enumeration: type[Enum]) -> list[tuple[Enum, str]]:
    """The members of an enumeration, each with the text below it."""
    (definition,) = ast.parse(inspect.getsource(enumeration)).body
    assert isinstance(definition, ast.ClassDef)
    told = _below(definition.body)
    return [(member, told.get(member.name, "")) for member in enumeration]


def _below(body: list[ast.stmt]) -> dict[str, str]:
    """The texts right below assignments, by the name that is assigned to."""
    found: dict[str, str] = {}
    for statement, following in itertools.pairwise(body):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        match following:
            case ast.Expr(value=ast.Constant(value=str(text))):
                found |= {target.id: as_markdown(text) for target in targets if isinstance(target, ast.Name)}
    return found


def cell(text: object) -> str:
    """A text as the cell of a table."""
    return str(text).replace("|", "\\|").replace("\n\n", "<br>").replace("\n", " ")


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A table."""
    columns = list(heads)
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    return "\n".join(lines + ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows])

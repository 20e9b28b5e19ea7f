"""``tailrace plugins new``: begins a plugin of one's own."""

import importlib.util
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import ConfigurationError, RequestError

if TYPE_CHECKING:
    from tailrace.plugins.registry import Registry

_SCAFFOLD = "tailrace_sdk.scaffold"
_BEGIN = {"format": "write and count_rows", "sink": "staging and deliver", "source": "open"}
"""The methods that an author of each kind rewrites."""


def new(
    kind: Literal["format", "sink", "source"],
    name: str,
    /,
    *,
    folder: Annotated[Path | None, Parameter(name="--dir")] = None,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Begin a plugin: make a project that works, with its tests.

    Args:
        kind: What it is to be.
        name: What users will call it by, such as parquet.
        folder: The folder to make; by default tailrace-KIND-NAME, here.
    """
    scaffold = _scaffold()
    named = scaffold.PluginName(kind, name)
    _refuse_taken(session.registry, kind, name)
    place = Path(named.distribution) if folder is None else folder
    project = scaffold.new_project(named)
    scaffold.make_project(project, place)
    if common.json:
        document = {
            "kind": kind,
            "name": name,
            "distribution": named.distribution,
            "package": named.package,
            "folder": str(place),
            "files": list(project.files),
        }
        session.terminal.document(document)
    else:
        _tell(session, kind, place, project)
    return 0


def _scaffold() -> Any:
    """The part of the SDK that makes projects; nothing of the core needs it."""
    try:
        return importlib.import_module(_SCAFFOLD)
    except ModuleNotFoundError as error:
        if error.name not in {_SCAFFOLD, _SCAFFOLD.partition(".")[0]}:
            raise
        message = "Plugins are written with the SDK, which is not installed."
        raise ConfigurationError(message, hint="pip install tailrace-sdk") from None


def _refuse_taken(registry: "Registry", kind: str, name: str) -> None:
    """Refuse a name by which users have a plugin already, or could have one of ours.

    Raises:
        RequestError: It is taken.
    """
    from tailrace.plugins.catalogue import first_party_distribution
    from tailrace.plugins.selection import normalized

    same = [row for row in registry.entries() if row.kind == kind and normalized(row.name) == normalized(name)]
    owner = same[0].distribution if same else first_party_distribution(kind, name)
    if owner is not None:
        message = f"There is a {kind} {name!r} already, of {owner}: two of one name cannot be used."
        raise RequestError(message, hint="Choose another name.")


def _tell(session: Session, kind: str, place: Path, project: Any) -> None:
    terminal = session.terminal
    named = project.name
    terminal.line(f"Made {place}: a {kind} that works, and its tests.", "green")
    terminal.line()
    terminal.table((), list(project.about.items()), indent="  ")
    terminal.line()
    terminal.text("Try it:")
    installer = "python -m pip" if importlib.util.find_spec("pip") else "uv pip"
    for command in (f"cd {shlex.quote(str(place))}", f"{installer} install --editable .", "python -m pytest"):
        terminal.line(f"  {command}", "bold")
    terminal.line()
    terminal.text(
        f"Then make it yours: {_BEGIN[kind]} in src/{named.package}/__init__.py. "
        f"The tests say what a {kind} has to be; tailrace plugins show {named.public} shows what users see."
    )

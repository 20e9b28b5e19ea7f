"""``tailrace convert``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from tailrace.cli.quantities import counted
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared

if TYPE_CHECKING:
    from tailrace.model.context import Context
    from tailrace.restore.convert import Conversion

_READ = Group.create_ordered("What to read")
_WRITE = Group.create_ordered("How to write it")

_TEMPLATE = "template"

Texts = tuple[str, ...]


def convert(
    file: Path,
    out: Path,
    /,
    *,
    from_dialect: Annotated[str | None, Parameter(group=_READ)] = None,
    scheme: Annotated[str | None, Parameter(group=_READ)] = None,
    key: Annotated[Texts, Parameter(group=_READ, negative=())] = (),
    resolve: Annotated[str | None, Parameter(group=_READ)] = None,
    dialect: Annotated[str | None, Parameter(group=_WRITE)] = None,
    template: Annotated[str | None, Parameter(group=_WRITE)] = None,
    strict: Annotated[bool, Parameter(group=_WRITE, negative=())] = False,
    overwrite: Annotated[bool, Parameter(group=_WRITE, negative=())] = False,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Convert a pool file to another dialect, and say what it cannot hold.

    Args:
        file: A proxy list of any dialect, a file of ProxyWhirl, or an export of ours.
        out: The file to write, with credentials in clear.
        from_dialect: What the file is, where its content does not tell: colon, userinfo, url …
        scheme: Protocol of lines that name none: socks5.
        key: What opens a sealed file: file:PATH, env:NAME, keyring:NAME; as often as needed.
        resolve: What knows the secrets behind references: env, or file:PATH.
        dialect: What to write: hostport, colon, userinfo, colon-userfirst, url, json, csv, clash, proxychains or
            template; if not given, what the name of the file says, or url.
        template: The line of dialect template: {scheme}://{username:url}:{password:url}@{host}:{port}
        strict: Write nothing rather than lose something.
        overwrite: Replace a file of that name.
    """

    def work(context: "Context") -> "Conversion":
        from tailrace.restore.convert import convert_file

        call = session.engine.read_pool_call(
            file,
            dialect=from_dialect,
            scheme=scheme,
            template=template if from_dialect == _TEMPLATE else None,
            context=context,
        )
        read = session.engine.open_pool_file(call, keys=key, resolver=resolve)
        return convert_file(
            session.engine.keeper,
            read,
            out,
            path=file,
            dialect=dialect or (_TEMPLATE if template is not None and from_dialect != _TEMPLATE else None),
            template=template,
            strict=strict,
            overwrite=overwrite,
            context=context,
        )

    # A password is asked for now, before work begins and progress is shown.
    if "password" in key:
        session.engine.keyring.holder("password")
    made = run(session, work)
    if common.json:
        session.terminal.document(_document(made))
    else:
        _tell(session, made)
    return 0


def _document(made: "Conversion") -> dict[str, Any]:
    from tailrace.model.convert import unstructure

    document: dict[str, Any] = unstructure(made)
    return document | {"path": str(made.path)}


def _tell(session: Session, made: "Conversion") -> None:
    from tailrace.restore.convert import in_words

    terminal = session.terminal
    some = "" if made.written == made.read else f"{made.written:,} of "
    proxies = counted(made.read, "proxy", "proxies")
    terminal.line(f"Converted {some}{proxies} from {made.from_dialect} to {made.to_dialect}.", "bold")
    terminal.line(f"  {made.path}")
    if made.losses:
        terminal.text(f"Not carried over: {in_words(made.losses, read=made.read)}.")
        rows = [(loss.field, f"{loss.count:,}", loss.reason) for loss in made.losses]
        terminal.table((), rows, right={1}, indent="  ")
    for note in made.notes:
        terminal.text(f"Note: {note}")

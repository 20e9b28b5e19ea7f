"""``tailrace dashboards``: ready ones to start from, checking one's own, and looking at it."""

import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tailrace.cli.quantities import counted
from tailrace.cli.request import NOT_GIVEN, Texts, options_of
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import SourceError, TransientError, UnknownNameError
from tailrace.model.request import ExportRequest, SinkRequest

if TYPE_CHECKING:
    from tailrace.plugins.kinds import Example

SOURCE = "dashboard"

Option = Annotated[Texts, Parameter(negative=())]
Where = Annotated[Texts, Parameter(negative=(), allow_leading_hyphen=True)]


def list_dashboards(*, common: Common = COMMON, session: Shared) -> int:
    """List the dashboards that come with Tailrace."""
    examples = _examples(session)
    terminal = session.terminal
    if common.json:
        terminal.document({"dashboards": [{"name": one.name, "title": one.title} for one in examples]})
        return 0
    terminal.table(("name", "title"), [(one.name, one.title) for one in examples])
    terminal.line()
    terminal.text("Look at one: tailrace dashboards preview NAME --option health=… --option analytics=…")
    terminal.text("Make your own from one: tailrace dashboards show NAME > mine.toml")
    return 0


def show(name: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Print a dashboard that comes with Tailrace, to start your own from.

    Args:
        name: Its name: operations, cost, executive.
    """
    examples = {one.name: one for one in _examples(session)}
    if name not in examples:
        raise UnknownNameError("ready dashboard", name, examples)
    if common.json:
        found = examples[name]
        session.terminal.document({"name": found.name, "title": found.title, "text": found.text})
        return 0
    for line in examples[name].text.splitlines():
        session.terminal.line(line)
    return 0


def check(file: str, /, *, option: Option = (), common: Common = COMMON, session: Shared) -> int:
    """Say whether a dashboard can be made, and if not, all that is wrong with it.

    Args:
        file: The TOML file, or the name of a ready dashboard.
        option: name=value for the source: health=…, pool=…, analytics=…; as often as needed.
    """
    request = ExportRequest(SOURCE, file, "json", options=options_of(option, ()))
    terminal = session.terminal
    try:
        expected = run(
            session,
            lambda context: session.engine.estimate(request, user=session.user, context=context, exact=False),
        )
    except (SourceError, TransientError) as error:
        if error.origin == f"source {SOURCE}":
            raise
        # What can be told without the data was checked before it was opened.
        return _tell(session, file, tables=None, notes=(), problem=f"{error.message} {error.hint}".strip())
    names = [table.table for table in expected.tables]
    if common.json:
        return _tell(session, file, tables=names, notes=expected.notes, problem="")
    terminal.line(f"{file} is right: {counted(len(names), 'panel')}, and the data has what they need.", "green")
    for note in expected.notes:
        terminal.text(note)
    return 0


def preview(
    file: str,
    /,
    *,
    option: Option = (),
    where: Where = (),
    since: str = NOT_GIVEN,
    until: str = NOT_GIVEN,
    tz: str = NOT_GIVEN,
    to: Path | None = None,
    open_: Annotated[bool, Parameter(name="--open")] = True,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Make a dashboard as a page, and open it in the browser.

    Args:
        file: The TOML file, or the name of a ready dashboard.
        option: name=value for source and format: health=…, pool=…, analytics=…; as often as needed.
        where: Keep only rows for which this holds; several must all hold.
        since: From this time on, whatever the dashboard says.
        until: Before this time.
        tz: Time zone of days, hours and everything shown.
        to: Folder to make it in; a temporary one if not given.
        open_: Whether to open it; --no-open only says where it is.
    """
    folder = Path(tempfile.mkdtemp(prefix="tailrace-")) if to is None else to
    request = ExportRequest(
        SOURCE,
        file,
        "html",
        sinks=(SinkRequest("disk", str(folder)),),
        options=options_of(option, ()),
        where=where,
        since=since,
        until=until,
        time_zone=tz,
        compress=False,
    )
    result = run(session, lambda context: session.engine.export(request, user=session.user, context=context))
    path = result.artifacts[0].path
    assert path is not None  # noqa: S101 - the sink disk always says where the file is
    terminal = session.terminal
    shown = open_ and webbrowser.open(path.absolute().as_uri())
    if common.json:
        terminal.document({"path": str(path), "opened": shown, "notes": list(result.notes)})
        return 0
    terminal.line(str(path))
    for note in result.notes:
        terminal.message(note)
    if open_ and not shown:
        terminal.message("There is no browser to open it in.")
    return 0


def _examples(session: Session) -> "Sequence[Example]":
    from tailrace.plugins.kinds import WithExamples

    source = session.registry.source(SOURCE).object
    return source.examples() if isinstance(source, WithExamples) else ()


def _tell(session: Session, file: str, *, tables: Sequence[str] | None, notes: Sequence[str], problem: str) -> int:
    terminal = session.terminal
    if session.common.json:
        document: dict[str, Any] = {"file": file, "ok": True, "panels": tables, "notes": list(notes), "data": problem}
        terminal.document(document)
        return 0
    terminal.line(f"{file} is right in itself.", "green")
    terminal.text(f"Whether the data has what it needs is not known: {problem}")
    return 0

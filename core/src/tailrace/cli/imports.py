"""``tailrace import`` and ``tailrace undo``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from tailrace.cli.layout import Styled
from tailrace.cli.quantities import counted
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import RequestError
from tailrace.restore.request import ImportRequest, OnDuplicate

if TYPE_CHECKING:
    from tailrace.plugins.pools import Loss
    from tailrace.restore.document import Change, ImportPlan, PlannedProxy
    from tailrace.restore.importing import ImportResult
    from tailrace.restore.plan import Counts
    from tailrace.restore.records import ImportRecord

_READ = Group.create_ordered("What to import")
_WRITE = Group.create_ordered("How to import it")
_REVIEW = Group.create_ordered("How to review it")

_SHOWN = 10
"""Changes, and clashes, that the summary shows; the plan has all of them."""
_FIELDS_SHOWN = 4
_WORDS = {
    "add": "added",
    "update": "changed",
    "unchanged": "there already, nothing to write",
    "skip": "left as they are",
    "merged": "merged into another one of the file",
    "rename": "added beside another",
    "clash": "that the pool cannot hold",
}
_STATES = {
    "applied": Styled("applied", "green"),
    "undone": Styled("undone", "dim"),
    "prepared": Styled("interrupted", "yellow"),
    "unreadable": Styled("unreadable", "red"),
}

Texts = tuple[str, ...]


def import_(
    file: Path,
    /,
    *,
    into: Annotated[str, Parameter(group=_READ)],
    from_dialect: Annotated[str | None, Parameter(group=_READ)] = None,
    scheme: Annotated[str | None, Parameter(group=_READ)] = None,
    template: Annotated[str | None, Parameter(group=_READ)] = None,
    key: Annotated[Texts, Parameter(group=_READ, negative=())] = (),
    resolve: Annotated[str | None, Parameter(group=_READ)] = None,
    on_duplicate: Annotated[OnDuplicate, Parameter(group=_WRITE, show_default=True)] = OnDuplicate.SKIP,
    dialect: Annotated[str | None, Parameter(group=_WRITE)] = None,
    leave_out_clashes: Annotated[bool, Parameter(group=_WRITE, negative=())] = False,
    clear_credentials: Annotated[bool, Parameter(group=_WRITE, negative=())] = False,
    plan: Annotated[Path | None, Parameter(group=_REVIEW)] = None,
    apply: Annotated[Path | None, Parameter(group=_REVIEW)] = None,
    dry_run: Annotated[bool, Parameter(group=_REVIEW, negative=())] = False,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Import a pool file into a pool: all of it or nothing.

    Args:
        file: An export of ours, a file of ProxyWhirl, or a proxy list of any dialect.
        into: The pool: a URI such as proxywhirl:///path/to.db, or a path.
        from_dialect: What the file is, where its content does not tell: colon, userinfo, url …
        scheme: Protocol of lines that name none: socks5.
        template: The line of dialect template.
        key: What opens a sealed file: file:PATH, env:NAME, keyring:NAME; as often as needed.
        resolve: What knows the secrets behind references: env, or file:PATH.
        on_duplicate: What becomes of a proxy that the pool, or the file before, has already.
        dialect: What the pool is, or a new one shall be, where neither content nor name tell: colon, clash …
        leave_out_clashes: Leave out what the pool cannot hold, instead of refusing the import.
        clear_credentials: Store credentials in clear where the pool would encrypt them and has no key.
        plan: Change nothing; write down here what would happen.
        apply: Import only if exactly what this plan says would happen.
        dry_run: Change nothing; only say what would happen.
    """
    if sum((plan is not None, apply is not None, dry_run)) > 1:
        raise RequestError(
            "--plan, --apply and --dry-run exclude each other.", hint="Plan first, review the plan, then apply it."
        )
    request = ImportRequest(
        path=file,
        into=into,
        on_duplicate=on_duplicate,
        dialect=from_dialect,
        scheme=scheme,
        template=template,
        keys=key,
        resolver=resolve,
        into_dialect=dialect,
        clear=clear_credentials,
        leave_out_clashes=leave_out_clashes,
    )
    # A password is asked for now, before work begins and progress is shown.
    if "password" in key:
        session.engine.keyring.holder("password")
    terminal = session.terminal
    if plan is not None or dry_run:
        made = _planned(session, request, plan)
        if common.json:
            terminal.document(_document(made))
        else:
            _tell_plan(session, request, made, plan)
        return 0
    result = _applied(session, request, apply)
    if common.json:
        terminal.document(_document(result))
    else:
        _tell_result(session, request, result)
    return 0


def undo(
    import_id: str | None = None,
    /,
    *,
    list_: Annotated[bool, Parameter(name="--list", negative=())] = False,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Take an import back: what it added is removed, what it changed is as it was.

    Args:
        import_id: The import, by the id that tailrace import tells.
        list_: List the imports instead.
    """
    if list_ == (import_id is not None):
        raise RequestError("tailrace undo needs the id of an import, or --list.", hint="See: tailrace undo --help")
    if import_id is None:
        return _list(session)
    wanted = import_id
    result = run(session, lambda context: session.engine.undo(wanted, user=session.user, context=context))
    terminal = session.terminal
    if common.json:
        terminal.document(_document(result))
    elif result.outcome == "already":
        terminal.line(f"Import {wanted} was undone on {result.undone:%Y-%m-%d at %H:%M:%S} UTC already.")
    elif result.outcome == "nothing":
        terminal.line(f"There is nothing to undo: the pool is as it was before import {wanted}.")
    else:
        terminal.line(f"Undid import {wanted}.", "bold")
        terminal.text(f"{_proxies(result.removed)} removed, {_proxies(result.restored)} as before.", indent="  ")
    return 0


def _planned(session: Session, request: ImportRequest, path: Path | None) -> "ImportPlan":
    from tailrace.restore.document import write_plan

    made = run(session, lambda context: session.engine.plan_import(request, context=context))
    if path is not None:
        write_plan(made, path)
    return made


def _applied(session: Session, request: ImportRequest, path: Path | None) -> "ImportResult":
    from tailrace.restore.document import read_plan

    plan = None if path is None else read_plan(path)
    return run(
        session, lambda context: session.engine.apply_import(request, plan=plan, user=session.user, context=context)
    )


def _document(value: Any) -> Any:
    from tailrace.model.convert import unstructure

    return unstructure(value)


def _tell_plan(session: Session, request: ImportRequest, made: "ImportPlan", path: Path | None) -> None:
    terminal = session.terminal
    terminal.line(f"Importing {request.path} would change {_proxies(made.counts.written)} of the pool.", "bold")
    _tell_counts(session, made.counts)
    _tell_changes(session, made)
    _tell_clashes(session, made)
    _tell_losses(session, made.losses)
    _tell_notes(session, made.notes)
    terminal.line()
    if path is not None:
        terminal.text("Nothing was changed. The plan is in:")
        terminal.line(f"  {path}")
    else:
        terminal.text("Nothing was changed.")
    if made.counts.clash and not made.leave_out_clashes:
        terminal.text(
            "As it is, the import would be refused: leave these out (--leave-out-clashes), or take another pool. "
            "Of several with one URL, --on-duplicate rename keeps the login in the URL."
        )


def _tell_result(session: Session, request: ImportRequest, result: "ImportResult") -> None:
    terminal = session.terminal
    terminal.line(_headline(request, result), "bold")
    _tell_counts(session, result.counts)
    _tell_losses(session, result.losses)
    _tell_notes(session, result.notes)
    if result.import_id:
        terminal.line()
        terminal.line(f"To take it back: tailrace undo {result.import_id}")


def _list(session: Session) -> int:
    imports = session.engine.imports()
    terminal = session.terminal
    if session.common.json:
        terminal.document({"imports": _document(imports)})
        return 0
    if not imports:
        terminal.text("Nothing was imported yet.")
        return 0
    rows = [
        (made.import_id, _STATES[made.state], f"{made.added:,}", f"{made.updated:,}", _target(made)) for made in imports
    ]
    terminal.table(("import", "state", "added", "changed", "into"), rows, right={2, 3})
    return 0


def _target(made: "ImportRecord") -> str:
    return made.location or (f"({made.kind})" if made.kind else "")


def _headline(request: ImportRequest, result: "ImportResult") -> str:
    if result.import_id is None:
        return f"Nothing of {request.path} had to be imported."
    return f"Imported {request.path}: {_proxies(result.counts.written)} of the pool changed."


def _tell_counts(session: Session, counts: "Counts") -> None:
    rows = [(f"{count:,}", word) for action, word in _WORDS.items() if (count := getattr(counts, action))]
    session.terminal.table((), rows or [("0", "proxies in the file")], right={0}, indent="  ")
    repeated = [
        f"{counted(count, 'proxy', 'proxies')} of the file {verb} {where}"
        for count, where in (
            (counts.duplicates_with_pool, "in the pool already"),
            (counts.duplicates_in_file, "in the file more than once"),
        )
        for verb in ("is" if count == 1 else "are",)
        if count
    ]
    if repeated:
        session.terminal.text(f"{' and '.join(repeated)}.", indent="  ")


def _tell_changes(session: Session, plan: "ImportPlan") -> None:
    changed = (proxy for proxy in plan.proxies if proxy.changes)
    rows = [(proxy.place, proxy.address, _changes(proxy.changes)) for proxy in islice(changed, _SHOWN)]
    _tell_some(session, "What changes:", rows, plan.counts.update)


def _tell_clashes(session: Session, plan: "ImportPlan") -> None:
    clashing: Iterator[PlannedProxy] = (proxy for proxy in plan.proxies if proxy.action == "clash")
    rows = [(proxy.place, proxy.address, proxy.reason or "") for proxy in islice(clashing, _SHOWN)]
    _tell_some(session, "What the pool cannot hold:", rows, plan.counts.clash)


def _tell_some(session: Session, heading: str, rows: Sequence[Sequence[str]], count: int) -> None:
    if not rows:
        return
    terminal = session.terminal
    terminal.line()
    terminal.line(heading, "bold")
    terminal.table((), rows, indent="  ")
    if count > len(rows):
        terminal.line(f"  … and {count - len(rows):,} more; --plan and --json have all")


def _changes(changes: "Mapping[str, Change]") -> str:
    shown = [
        f"{column} changes" if isinstance(change, str) else f"{column} {' → '.join(map(_value, change))}"
        for column, change in islice(changes.items(), _FIELDS_SHOWN)
    ]
    more = len(changes) - len(shown)
    return "\n".join([*shown, *([f"… and {counted(more, 'more column')}"] if more else [])])


def _value(value: Any) -> str:
    return "(none)" if value is None else str(value)


def _tell_losses(session: Session, losses: "Iterable[Loss]") -> None:
    rows = [(loss.field, f"{loss.count:,}", loss.reason) for loss in losses]
    if rows:
        session.terminal.line()
        session.terminal.line("What the pool cannot keep:", "bold")
        session.terminal.table((), rows, right={1}, indent="  ")


def _tell_notes(session: Session, notes: Iterable[str]) -> None:
    for number, note in enumerate(notes):
        if not number:
            session.terminal.line()
        session.terminal.text(f"Note: {note}")


def _proxies(count: int) -> str:
    return counted(count, "proxy", "proxies")

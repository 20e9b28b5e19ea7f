"""``tailrace audit``: who did what, whether that is all of it, and all of it as a file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

from cyclopts import Parameter
from cyclopts.validators import Number

from tailrace.cli.layout import GAP, NARROWEST, Styled, visible
from tailrace.cli.quantities import counted, size
from tailrace.cli.request import NOT_GIVEN, RequestOptions, Texts, new_request
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.audit import AuditFilter, AuditRecord

if TYPE_CHECKING:
    from tailrace.model.audit import ChainReport
    from tailrace.work.trail import ManifestCheck, TrailReport

REFUSED = 3

_STYLES = {"ok": "", "refused": "yellow", "failed": "red"}
_VERDICTS = {
    "known": Styled("ok", "green"),
    "none": Styled("unchecked", "yellow"),
    "unknown": Styled("wrong", "bold red"),
    "unreadable": Styled("wrong", "bold red"),
}
_WIDEST_USER = 12
_SHOWN = 10
_SHORT_ID = 8


def list_entries(
    *,
    user: str = NOT_GIVEN,
    operation: str = NOT_GIVEN,
    outcome: Literal["ok", "refused", "failed"] | None = None,
    job: str = NOT_GIVEN,
    since: str = NOT_GIVEN,
    until: str = NOT_GIVEN,
    before: int | None = None,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=10_000), show_default=True)] = 50,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """List entries of the audit trail, the newest first; your own, or everybody's if you are an admin.

    Args:
        user: Only those of this user.
        operation: Only this operation: export, job.cancel, template.use …
        outcome: Only those that ended like this.
        job: Only those about this job, by its whole id.
        since: From this time on: 2026-08-15, 2026-08-15T12:00Z, or 7d before now.
        until: Before this time.
        before: Only those with a number below this one, to turn pages.
        limit: How many at most.
    """
    who = session.user
    asked = AuditFilter(
        user=user or (None if who.is_admin else who.id),
        operation=operation,
        outcome=outcome,
        job=job,
        since=_moment(since),
        until=_moment(until),
        before=before,
    )
    entries = session.engine.audit.list(who, asked, limit=limit)
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        terminal.document({"entries": unstructure(entries)})
        return 0
    if not entries:
        terminal.text("There is no such entry.")
        return 0
    _tell_entries(session, entries)
    if len(entries) == limit:
        terminal.message(f"There may be more: --before {entries[-1].number}")
    return 0


def verify(*files: Path, common: Common = COMMON, session: Shared) -> int:
    """Check that the audit trail is complete and unchanged, and that exports fit to it.

    Without files it is checked in itself; that its end was not cut off, and that not all of it was written anew, only
    files that were made meanwhile can tell.

    Args:
        files: Exports, their manifests, or folders to look through.
    """
    who, audit = session.user, session.engine.audit
    report = run(session, lambda context: audit.verify(who, manifests=files, context=context))
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        terminal.document({**unstructure(report), "ok": report.ok})
    else:
        _tell_chain(session, report.chain)
        _tell_manifests(session, report.manifests)
        terminal.line(_verdict(report), "green" if report.ok else "bold red")
    return 0 if report.ok else REFUSED


def export(
    *,
    format_: Annotated[str, Parameter(name="--format")],
    to: Annotated[Texts, Parameter(negative=())] = (),
    since: str = NOT_GIVEN,
    until: str = NOT_GIVEN,
    compress: bool = True,
    option: Annotated[Texts, Parameter(negative=())] = (),
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Export the audit trail as a file, proven to be complete like every export.

    Args:
        format_: Name of the format: csv, json …
        to: Where to deliver: a folder, or SINK:TARGET; as often as needed.
        since: From this time on: 2026-08-15, 2026-08-15T12:00Z, or 7d before now.
        until: Before this time.
        compress: Gzip the file (the default), or leave it as it is.
        option: name=value for format or sink.
    """
    from tailrace.cli.export import as_document, exit_code, tell_result

    options = RequestOptions(
        from_="store", format_=format_, to=to, since=since, until=until, compress=compress, option=option
    )
    request = new_request("audit", options, session, command="tailrace audit export")
    who, engine = session.user, session.engine
    result = run(session, lambda context: engine.export_audit(request, user=who, context=context))
    if common.json:
        session.terminal.document(as_document(result, None))
    else:
        tell_result(session, request.source, result)
    return exit_code(result)


def _moment(text: str | None) -> datetime | None:
    from tailrace.pipeline.moments import moment_of

    return None if text is None else moment_of(text, now=datetime.now(UTC), local=ZoneInfo("UTC"))


def _tell_entries(session: Session, entries: Sequence[AuditRecord]) -> None:
    """One line for each, whatever is in it."""
    terminal = session.terminal
    rows = [
        (f"{entry.number}", f"{entry.moment:%Y-%m-%d %H:%M:%S}", _cut(entry.user, _WIDEST_USER), entry.operation)
        for entry in entries
    ]
    headings = ("entry", "when (UTC)", "user", "operation")
    widths = [max(len(heading), *(len(row[at]) for row in rows)) for at, heading in enumerate(headings)]
    room = max(terminal.width - sum(widths) - len(GAP) * len(widths), NARROWEST)
    lines = [
        (*row, Styled(_cut(_about(entry), room), _STYLES[entry.outcome]))
        for row, entry in zip(rows, entries, strict=True)
    ]
    terminal.table((*headings, "what"), lines, right={0})


def _about(entry: AuditRecord) -> str:
    """What else there is to say, the most important first."""
    said = [] if entry.outcome == "ok" else [f"{entry.outcome}: {entry.error.removesuffix('.')}".removesuffix(": ")]
    if entry.operation == "delivery":
        # Whom it is about is what tells such entries apart.
        said.insert(0, entry.thing)
    if entry.source:
        said.append(f"{entry.source} → {entry.format}" if entry.format else entry.source)
    if entry.rows is not None:
        said.append(counted(entry.rows, "row"))
    if entry.size is not None:
        said.append(size(entry.size))
    said += [text for text in (entry.thing, entry.file) if text and text not in said]
    if entry.job:
        said.append(f"job {entry.job[:_SHORT_ID]}")
    return ", ".join(said)


def _cut(text: str, most: int) -> str:
    whole = visible(" ".join(text.split("\n")))
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def _tell_chain(session: Session, chain: "ChainReport") -> None:
    terminal = session.terminal
    terminal.line(f"The audit trail has {counted(chain.entries, 'entry', 'entries')}.", "bold")
    rows = [
        *(
            ("missing", f"entry {first}" if first == last else f"entries {first} to {last}")
            for first, last in chain.gaps
        ),
        *(("changed", f"entry {number} is not what it was when it was written") for number in chain.changed),
        *(("replaced", f"entry {number} does not go on from the one before") for number in chain.unlinked),
    ]
    terminal.table((), [(Styled(word, "bold red"), text) for word, text in rows[:_SHOWN]], indent="  ")
    if chain.faults > _SHOWN:
        terminal.line(f"  … and {chain.faults - _SHOWN:,} more; --json has the first hundred of each kind")
    terminal.line(f"  newest {chain.newest}")


def _tell_manifests(session: Session, manifests: "Sequence[ManifestCheck]") -> None:
    """Those that fit are counted; the others are told one by one."""
    terminal = session.terminal
    for check in manifests:
        if check.verdict == "known":
            continue
        terminal.line(str(check.path))
        terminal.table((), [(_VERDICTS[check.verdict], check.detail)], indent="  ")


def _verdict(report: "TrailReport") -> str:
    wrong = sum(not check.ok for check in report.manifests)
    if report.chain.first is not None:
        return f"The audit trail was changed: it does not hold from entry {report.chain.first} on."
    if wrong:
        return (
            f"The audit trail is not the one that these were made with: {wrong} of {len(report.manifests)} do not fit."
        )
    fitting = sum(check.verdict == "known" for check in report.manifests)
    beside = f"; {counted(fitting, 'file fits', 'files fit')} to it" if fitting else ""
    return f"Verified: entry for entry as it was written{beside}."

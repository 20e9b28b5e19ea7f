"""``tailrace export``."""

import math
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter
from cyclopts.validators import Number

from tailrace.cli.deliveries import remind_of_worker
from tailrace.cli.layout import Styled
from tailrace.cli.quantities import counted, size, span
from tailrace.cli.request import (
    NOT_GIVEN,
    NOTHING_SAID,
    SELECT,
    Removable,
    RequestOptions,
    changed_request,
    new_request,
)
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import RequestError
from tailrace.model.request import ExportRequest

if TYPE_CHECKING:
    from tailrace.model.job import Artifact, Estimate, JobResult, Learnt
    from tailrace.model.work import ExportJob

PARTLY_DELIVERED = 4

_RUN = Group.create_ordered("How to run")
_TYPED = "password"
_MARKS = {True: Styled("✓", "green"), False: Styled("✗", "red"), None: Styled("?", "yellow")}
_JUDGED_FROM = 10
"""Estimates from which "9 of 10" of them can be spoken of."""


def export(
    source: str = NOT_GIVEN,
    /,
    *,
    request: RequestOptions = NOTHING_SAID,
    template: Annotated[str, Parameter(group=SELECT)] = NOT_GIVEN,
    without: Annotated[tuple[Removable, ...], Parameter(group=SELECT, negative=())] = (),
    estimate: Annotated[bool | None, Parameter(group=_RUN)] = None,
    background: Annotated[bool, Parameter(group=_RUN, negative=())] = False,
    wait: Annotated[bool, Parameter(group=_RUN, negative=())] = False,
    timeout: Annotated[float | None, Parameter(group=_RUN, validator=Number(gt=0))] = None,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Export a source as a file.

    Args:
        source: Name of the source: pool, analytics … Needed like --from and --format, unless a template says them.
        template: Start from a saved template, NAME or OWNER/NAME; what is given besides takes the place of what it
            says.
        without: What of the template to leave out; as often as needed.
        estimate: Only say how large it will be, and what it fits: Excel, mails, webhooks, the disk; --no-estimate
            exports without a word about it.
        background: Have a worker do it, whatever its size. What is expected to be large (the setting
            jobs.background_from) goes to a worker anyway.
        wait: Do it here and now, whatever its size.
        timeout: Seconds after which to give up.
    """
    if background and wait:
        raise RequestError("--background and --wait exclude each other.", hint="See: tailrace export --help")
    asked = _asked(source, request, template, without, session)
    terminal = session.terminal
    if background:
        # Said before anybody is asked for a password that could not be used.
        session.engine.for_background(asked)
    for reference in asked.openers:
        # A password is asked for now, before anything else is shown.
        session.engine.keyring.opener(reference)
    expected = None
    if estimate is not False and (estimate or not terminal.quiet):
        only = bool(estimate)
        expected = run(
            session,
            lambda context: session.engine.estimate(
                asked, user=session.user, context=context, exact=only, template=template, fits=only
            ),
            timeout=timeout,
        )
        if only:
            _tell_estimate(session, expected, template)
            return 0
        terminal.message(f"Estimated: {_expectation(expected)}.")
    if background or not (wait or _is_quick(asked, expected, session)):
        job = session.engine.submit(asked, user=session.user, estimate=expected, template=template, timeout=timeout)
        tell_job(session, job)
        return 0
    result = run(
        session,
        lambda context: session.engine.export(
            asked,
            user=session.user,
            context=context,
            estimate=expected,
            template=template,
            retry=session.engine.retry_policy,
        ),
        timeout=timeout,
    )
    if common.json:
        terminal.document(as_document(result, expected))
    else:
        tell_result(session, asked.source, result)
    if not result.complete:
        _tell_how_it_goes_on(session, result)
    return exit_code(result)


def _tell_how_it_goes_on(session: Session, result: "JobResult") -> None:
    receipts = [receipt for artifact in result.artifacts for receipt in artifact.receipts]
    session.terminal.message(f"See: tailrace jobs deliveries {result.export_id}")
    if any(receipt.transient for receipt in receipts if not receipt.delivered):
        remind_of_worker(session)


def _asked(
    source: str, options: RequestOptions, template: str, without: tuple[Removable, ...], session: Session
) -> ExportRequest:
    if template is None:
        if without:
            message = "--without leaves out what a template says, and there is no --template."
            raise RequestError(message, hint="See: tailrace export --help")
        return new_request(
            source, options, session, command="tailrace export", instead=", or start from a template: --template NAME"
        )
    saved = session.engine.templates.request(template, session.user)
    return changed_request(saved, source, options, without, session)


def _is_quick(request: ExportRequest, expected: "Estimate | None", session: Session) -> bool:
    """Whether an export is to be done here, as far as is known."""
    if expected is None or expected.bytes < session.settings.jobs.background_from:
        return True
    # In the background nobody could be asked for a password.
    return session.engine.asks_for_password(request)


def tell_job(session: Session, job: "ExportJob") -> None:
    """Print which job was handed in, and how to follow it."""
    terminal = session.terminal
    if session.common.json:
        from tailrace.model.convert import unstructure

        terminal.document({"job": unstructure(job)})
    else:
        terminal.line(f"Submitted as job {job.id}.", "bold")
        terminal.line(f"Follow it: tailrace jobs watch {job.id}")
    remind_of_worker(session)


def exit_code(result: "JobResult") -> int:
    """What the command returns for this result."""
    return 0 if result.complete else PARTLY_DELIVERED


def _expectation(expected: "Estimate") -> str:
    about = "" if all(table.exact_rows for table in expected.tables) else "about "
    return f"{about}{counted(expected.rows, 'row')}, {size(expected.bytes)}"


def as_document(result: "JobResult", expected: "Estimate | None") -> dict[str, Any]:
    """The result as the JSON document of the command."""
    from tailrace.model.convert import unstructure

    document: dict[str, Any] = unstructure(result) | {"complete": result.complete}
    for values, artifact in zip(document["artifacts"], result.artifacts, strict=True):
        values["path"] = str(artifact.path) if artifact.path else None
    return document | ({"estimate": _estimate_document(expected)} if expected else {})


def _estimate_document(expected: "Estimate") -> dict[str, Any]:
    from tailrace.model.convert import unstructure

    return {"rows": expected.rows, "bytes": expected.bytes, **unstructure(expected)}


def _tell_estimate(session: Session, expected: "Estimate", template: str | None) -> None:
    terminal = session.terminal
    if session.common.json:
        terminal.document({"estimate": _estimate_document(expected)})
        return
    rows = [
        (
            table.table,
            f"{'' if table.exact_rows else '≈ '}{table.rows:,}",
            size(table.plain_bytes),
            size(table.bytes),
        )
        for table in expected.tables
    ]
    terminal.table(("table", "rows", "uncompressed", "as a file"), rows, right={1, 2, 3})
    for note in expected.notes:
        terminal.text(note)
    terminal.line()
    terminal.table((), [(_MARKS[fit.fits], fit.channel, fit.text) for fit in expected.fits])
    if expected.learnt is not None:
        terminal.line()
        runs = f"{expected.learnt.runs} earlier runs of template {template}"
        terminal.text(f"Learnt from {runs}: {lesson(expected.learnt)}.")


def lesson(learnt: "Learnt") -> str:
    """What was learnt, in words: by which factor estimates are corrected, and how far off they are even so."""
    # Rounded up, so that it stays true; but what is 4 % is not to become 4.1 % by the last of its binary digits.
    percent = math.ceil(learnt.error * 1000 - 1e-9) / 10
    judged = "9 of 10" if learnt.runs > _JUDGED_FROM else "all of them"
    return f"\N{MULTIPLICATION SIGN}{learnt.factor:.3g}, within ±{percent:g} % of what came out ({judged})"


def tell_result(session: Session, what: str, result: "JobResult") -> None:
    """Print the result for people.

    Args:
        session: The command that asks.
        what: What was exported: the name of the source, for one.
        result: How it went.
    """
    terminal = session.terminal
    files = counted(len(result.artifacts), "file")
    seconds = (result.finished - result.started).total_seconds()
    delivered = "" if result.complete else ", but not delivered everywhere"
    terminal.line(f"Exported {what} as {files} in {span(seconds)}{delivered}.", "bold")
    for artifact in result.artifacts:
        terminal.line()
        _tell_artifact(session, artifact)
    if result.notes:
        terminal.line()
    for note in result.notes:
        terminal.text(f"Note: {note}")


def _tell_artifact(session: Session, artifact: "Artifact") -> None:
    terminal, manifest = session.terminal, artifact.manifest
    for receipt in artifact.receipts:
        if not receipt.delivered:
            again = " It is tried again." if receipt.transient else ""
            whom = f"{receipt.sink}:{receipt.recipient}" if receipt.recipient else receipt.sink
            terminal.text(f"not delivered by {whom}: {receipt.error}{again}", indent="  ")
            continue
        terminal.line(f"  {receipt.path or receipt.place or receipt.sink}")
        if receipt.note:
            terminal.text(receipt.note, indent="    ")
    rows = sum(table.rows.written for table in manifest.tables)
    packed = f" ({size(manifest.file.plain_size)} uncompressed)" if manifest.file.compression else ""
    terminal.line(f"    {counted(rows, 'row')}, all proven to be in the file · {size(manifest.file.size)}{packed}")

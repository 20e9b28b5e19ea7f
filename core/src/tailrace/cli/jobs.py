"""``tailrace jobs``."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from tailrace.cli.deliveries import how_far, words_of
from tailrace.cli.layout import Styled
from tailrace.cli.quantities import counted, size, span
from tailrace.cli.running import run
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.errors import InterruptedExportError
from tailrace.model.states import JobState

if TYPE_CHECKING:
    from tailrace.model.context import Context
    from tailrace.model.work import ExportJob

_FAILED, _PARTLY_DELIVERED = 1, 4
_SHORT = 8
_BESIDE, _BESIDE_ALL = 58, 70
"""Characters that the other columns of a list take, mostly."""
_STYLES = {
    JobState.COMPLETED: "green",
    JobState.PARTLY_DELIVERED: "yellow",
    JobState.FAILED: "red",
    JobState.CANCELLED: "yellow",
    JobState.PROCESSING: "bold",
}


def list_jobs(
    *,
    state: Annotated[tuple[JobState, ...], Parameter(negative=())] = (),
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    limit: Annotated[int, Parameter(validator=Number(gte=1, lte=1000))] = 20,
    before: str | None = None,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """List jobs, the newest first.

    Args:
        state: Only those that are pending, processing, completed, partly-delivered, failed, cancelled or expired.
        all_: Those of all users, not only your own.
        limit: How many.
        before: Only those behind this one.
    """
    page = session.engine.jobs.list(session.user, everybody=all_, states=state, before=before, limit=limit)
    terminal = session.terminal
    if common.json:
        terminal.document({"jobs": [_document(job) for job in page.jobs], "next": page.next})
        return 0
    if not page.jobs:
        terminal.text("There are no such jobs." if state or before else "There are no jobs yet.")
        return 0
    standing = session.engine.jobs.standing(page.jobs)
    rows = [
        (
            job.id[:_SHORT],
            _state(job),
            f"{job.source} → {job.format}",
            *((job.creator,) if all_ else ()),
            f"{job.created:%Y-%m-%d %H:%M}",
            _cut(
                how_far(job, standing.get(job.id)) or _how_far(job), terminal.width - (_BESIDE_ALL if all_ else _BESIDE)
            ),
        )
        for job in page.jobs
    ]
    headings = ("job", "state", "export", *(("user",) if all_ else ()), "asked (UTC)", "how far")
    terminal.table(headings, rows)
    if page.next:
        terminal.line()
        terminal.line(f"More: --before {page.next[:_SHORT]}")
    return 0


def show(job: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Show a job: what was asked, how it went, what it made.

    Args:
        job: Its id, or the beginning of it.
    """
    jobs, user = session.engine.jobs, session.user
    found = jobs.show(job, user)
    files, attempts = jobs.files(found.id, user), jobs.attempts(found.id, user)
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        document = {"job": _document(found), "files": unstructure(files), "attempts": unstructure(attempts)}
        terminal.document(document)
        return 0
    terminal.line(f"Job {found.id}", "bold")
    terminal.table((), [(name, text) for name, text in _facts(found) if text], indent="  ")
    standing = jobs.standing([found]).get(found.id)
    if standing is not None and standing.delivered < standing.total:
        terminal.line()
        terminal.line(f"  {words_of(standing)}")
        terminal.line(f"  See: tailrace jobs deliveries {found.id[:_SHORT]}")
    for file in files:
        terminal.line()
        terminal.line(f"  {file.path}")
        gone = f" · removed {file.removed:%Y-%m-%d %H:%M}" if file.removed else ""
        terminal.line(f"    {counted(file.rows, 'row')} · {size(file.size)}{gone}")
    for note in found.notes:
        terminal.text(f"Note: {note}")
    _tell_error(session, found)
    if len(attempts) > 1:
        terminal.line()
        rows = [
            (str(attempt.fence), f"{attempt.started:%Y-%m-%d %H:%M:%S}", attempt.outcome or "runs", attempt.worker[:8])
            for attempt in attempts
        ]
        terminal.table(("attempt", "began (UTC)", "ended", "worker"), rows, indent="  ")
    return 0


def watch(
    job: str,
    /,
    *,
    timeout: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Follow a job until its end; the exit code says how it ended.

    Args:
        job: Its id, or the beginning of it.
        timeout: Seconds after which to stop watching; the job goes on.
    """

    def follow(context: "Context") -> "ExportJob":
        for found in session.engine.jobs.wait(job, session.user, context=context):
            last = found
            _report(context, found)
        return last

    try:
        last = run(session, follow, timeout=timeout)
    except InterruptedExportError as error:
        # It is the watching that was stopped.
        hint = f"The job goes on: tailrace jobs watch {job}"
        raise type(error)("The job was not watched to its end.", hint=hint) from None
    if common.json:
        session.terminal.document({"job": _document(last)})
    else:
        session.terminal.line(f"Job {last.id} is {last.state.value}.", "bold")
        for file in session.engine.jobs.files(last.id, session.user):
            session.terminal.line(f"  {file.path}")
        _tell_error(session, last)
    return _exit_code(last)


def cancel(job: str, /, *, common: Common = COMMON, session: Shared) -> int:  # noqa: ARG001 - read from the session
    """Cancel a job: at once where it waits, within a second where it runs.

    Args:
        job: Its id, or the beginning of it.
    """
    found = session.engine.jobs.cancel(job, session.user)
    words = "was cancelled" if found.state is JobState.CANCELLED else "is being stopped"
    if found.state.has_files:
        words = "is not delivered any further; its files are kept"
    return _tell_one(session, found, f"Job {found.id} {words}.")


def retry(job: str, /, *, common: Common = COMMON, session: Shared) -> int:  # noqa: ARG001 - read from the session
    """Let a job that failed or was cancelled be tried again.

    Args:
        job: Its id, or the beginning of it.
    """
    found = session.engine.jobs.retry(job, session.user)
    return _tell_one(session, found, f"Job {found.id} waits for a worker again.")


def remove(job: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Remove a job and its files; the audit trail keeps what it says about it.

    Args:
        job: Its id, or the beginning of it.
    """
    found = session.engine.jobs.show(job, session.user)
    problems = session.engine.jobs.remove(found.id, session.user)
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        terminal.document({"job": found.id, "removed": not problems, "problems": unstructure(problems)})
    elif problems:
        terminal.line(f"Job {found.id} stays, because of its files:", "bold")
        for file in problems:
            terminal.line(f"  {file.path}")
            terminal.text(file.problem, indent="    ")
    else:
        terminal.line(f"Removed job {found.id}.")
    return _FAILED if problems else 0


def pin(job: str, /, *, common: Common = COMMON, session: Shared) -> int:  # noqa: ARG001 - read from the session
    """Keep the files of a job, whatever the rules of retention say.

    Args:
        job: Its id, or the beginning of it.
    """
    found = session.engine.jobs.pin(job, session.user)
    return _tell_one(session, found, f"The files of job {found.id} are kept.")


def unpin(job: str, /, *, common: Common = COMMON, session: Shared) -> int:  # noqa: ARG001 - read from the session
    """Leave the files of a job to the rules of retention again.

    Args:
        job: Its id, or the beginning of it.
    """
    found = session.engine.jobs.pin(job, session.user, pinned=False)
    return _tell_one(session, found, f"The files of job {found.id} are left to the rules again.")


def download(
    job: str,
    /,
    *,
    to: Path | None = None,
    number: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Copy a file that a job made; nothing is overwritten.

    Args:
        job: Its id, or the beginning of it.
        to: A folder, or the name of the copy; the working folder if not given.
        number: Which of its files.
    """
    from tailrace.files.storage import storage_errors

    with session.engine.jobs.download(job, session.user, number=number) as (file, stream):
        target = to or Path()
        if target.is_dir():
            target /= file.path.name
        with storage_errors(target), target.open("xb") as copy:
            target.chmod(0o600)
            shutil.copyfileobj(stream, copy, 1 << 20)
    if common.json:
        session.terminal.document({"file": str(target), "size": file.size, "sha256": file.sha256})
    else:
        session.terminal.line(f"Copied {size(file.size)} to:")
        session.terminal.line(f"  {target}")
    return 0


def _tell_one(session: Session, job: "ExportJob", words: str) -> int:
    if session.common.json:
        session.terminal.document({"job": _document(job)})
    else:
        session.terminal.line(words)
    return 0


def _document(job: "ExportJob") -> Any:
    from tailrace.model.convert import unstructure

    return unstructure(job)


def _state(job: "ExportJob") -> Styled:
    words = "delivering" if job.state is JobState.PENDING and job.made is not None else job.state.value
    if job.quarantined:
        words = "put aside"
    elif job.cancel_requested and not job.state.is_final:
        words = "stopping"
    elif job.lease_until is not None and job.state is JobState.PROCESSING and job.lease_until < datetime.now(UTC):
        words = "not heard of"
    return Styled(words, _STYLES.get(job.state, ""))


def _how_far(job: "ExportJob") -> str:
    if job.state is JobState.PROCESSING:
        return f"{job.progress} % {job.phase}".rstrip()
    if job.state is JobState.PENDING and job.request.get("needs"):
        return f"needs {job.request['needs']}"
    if job.state is JobState.PENDING and job.tries:
        return f"try {job.tries + 1} of {job.attempts} at {job.due:%H:%M:%S}"
    if job.state is JobState.FAILED and job.error is not None:
        return job.error.message
    return ""


def _cut(text: str, width: int) -> str:
    """The first line of a text, cut to a width: a list has one line for each job."""
    line, least = text.partition("\n")[0], 20
    return line if len(line) <= max(width, least) else f"{line[: max(width, least) - 1]}…"


def _facts(job: "ExportJob") -> Iterator[tuple[str, "str | Styled"]]:
    request = job.request
    yield "state", _state(job)
    yield "export", f"{job.source} → {job.format}"
    yield "from", str(request.get("location", ""))
    yield "to", ", ".join(f"{sink['name']}:{sink['target'] or ''}".rstrip(":") for sink in request.get("sinks", ()))
    yield "in", str(job.folder)
    yield "template", job.template or ""
    yield "schedule", job.schedule or ""
    yield "by", job.creator + (" (carries it out itself)" if job.inline else "")
    yield "asked", _moment(job.created)
    yield "began", _moment(job.started)
    took = "" if job.started is None or job.finished is None else _took(job.started, job.finished)
    yield "ended", _moment(job.finished) + took
    yield "due", _moment(job.due) if job.state is JobState.PENDING and job.due > job.created else ""
    if job.state is JobState.PROCESSING:
        of = f" of {job.total_rows:,}" if job.total_rows else ""
        yield "progress", f"{job.progress} % · {job.phase or 'beginning'} · {job.rows:,}{of} rows · {size(job.bytes)}"
        yield "worker", f"{job.worker}, until {_moment(job.lease_until)}"
    yield "tries", f"{counted(job.tries, 'try', 'tries')} failed, of at most {job.attempts}" if job.tries else ""
    yield "pinned", "its files are kept" if job.pinned else ""


def _took(began: datetime, ended: datetime) -> str:
    return f" (after {span((ended - began).total_seconds())})"


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _tell_error(session: Session, job: "ExportJob") -> None:
    error, terminal = job.error, session.terminal
    if error is None or job.state is JobState.COMPLETED:
        return
    terminal.line()
    before = "" if job.state is JobState.FAILED else "Before: "
    terminal.text(f"{before}{error.kind}: {error.message}", indent="  ")
    for label, text in (("plugin", error.plugin), ("cause", error.cause), ("hint", error.hint)):
        if text:
            terminal.text(f"{label}: {text}", indent="  ")


def _report(context: "Context", job: "ExportJob") -> None:
    """Show how far it is with the progress bar that exports of this process have."""
    from tailrace.model.context import Progress

    if context.on_progress is not None:
        began = job.started or job.created
        seconds = (datetime.now(UTC) - began).total_seconds()
        phase = job.phase or ("waiting" if job.state is JobState.PENDING else "reading")
        context.on_progress(Progress(phase, job.rows, job.bytes, job.total_rows, seconds))


def _exit_code(job: "ExportJob") -> int:
    return {JobState.COMPLETED: 0, JobState.PARTLY_DELIVERED: _PARTLY_DELIVERED}.get(job.state, _FAILED)

"""``tailrace jobs deliveries``, ``resend``, ``unwanted`` and ``allow``: who has what."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from tailrace.cli.quantities import counted
from tailrace.cli.session import COMMON, Common, Session, Shared
from tailrace.model.delivery import Delivery, DeliveryState, Standing

if TYPE_CHECKING:
    from tailrace.model.work import ExportJob

_STYLES = {DeliveryState.DELIVERED: "green", DeliveryState.FAILED: "red", DeliveryState.WAITING: "yellow"}


def deliveries(job: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Show who is to have the files of a job, and whether they have them.

    Args:
        job: Its id, or the beginning of it.
    """
    jobs, user = session.engine.jobs, session.user
    found = jobs.show(job, user)
    rows = jobs.deliveries(found.id, user)
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        named = [{**unstructure(row), "delivery": row.name} for row in rows]
        terminal.document({"job": unstructure(found), "deliveries": named})
        return 0
    if not rows:
        terminal.text(f"Job {found.id} is {found.state.value}, and has made nothing that could be delivered.")
        return 0
    terminal.line(f"Job {found.id}", "bold")
    terminal.line(f"  {words_of(Standing.of((row.state, row.due) for row in rows))}")
    many = len({row.file for row in rows}) > 1
    for row in rows:
        terminal.line()
        file = f"file {row.file + 1} → " if many else ""
        terminal.line(f"  {file}{row.addressee}")
        terminal.line(f"    {_standing(row)}", _STYLES[row.state])
        for text in filter(None, (row.place, row.note, row.error)):
            terminal.text(text, indent="    ")
    return 0


def resend(
    job: str,
    /,
    *,
    failed: Annotated[bool, Parameter(negative=())] = False,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Deliver the files of a job again, without making them anew; a worker does it.

    Args:
        job: Its id, or the beginning of it.
        failed: Only what was given up; those who have it are left in peace.
    """
    engine = session.engine
    found = engine.jobs.resend(job, session.user, failed_only=failed)
    rows = [row for row in engine.jobs.deliveries(found.id, session.user) if row.state is DeliveryState.WAITING]
    if common.json:
        from tailrace.model.convert import unstructure

        session.terminal.document({"job": unstructure(found), "deliveries": unstructure(rows)})
    else:
        session.terminal.line(f"Job {found.id}: {counted(len(rows), 'delivery', 'deliveries')} will be made.")
        session.terminal.line(f"Follow it: tailrace jobs watch {found.id}")
    remind_of_worker(session)
    return 0


def unwanted(*, common: Common = COMMON, session: Shared) -> int:
    """List recipients to whom nothing is sent any more, because they said so (410 Gone)."""
    found = session.engine.jobs.unwanted(session.user)
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        listed = [{"recipient": name, "since": since, "said": why} for name, (since, why) in found.items()]
        terminal.document({"unwanted": unstructure(listed)})
        return 0
    if not found:
        terminal.text("Everybody takes what is sent.")
    for name, (since, why) in found.items():
        terminal.line(f"{name}  since {since:%Y-%m-%d %H:%M} UTC")
        terminal.text(why, indent="  ")
    return 0


def allow(recipient: str, /, *, common: Common = COMMON, session: Shared) -> int:
    """Let a recipient that wanted nothing any more have deliveries again.

    Args:
        recipient: As jobs unwanted names it.
    """
    session.engine.jobs.allow(recipient, session.user)
    if common.json:
        session.terminal.document({"allowed": recipient})
    else:
        session.terminal.text(f"{recipient} gets deliveries again. What was given up: tailrace jobs resend ID --failed")
    return 0


def remind_of_worker(session: Session) -> None:
    """Say so where no worker runs."""
    if not session.engine.jobs.workers_alive():
        session.terminal.message("No worker is running to carry it out. Start one: tailrace worker")


def words_of(standing: Standing) -> str:
    """How deliveries stand, in words."""
    words = f"{standing.delivered} of {standing.total} delivered"
    if standing.waiting and standing.next_due is not None:
        words += f", next at {standing.next_due:%H:%M:%S} UTC"
    return f"{words}, {standing.failed} given up" if standing.failed else words


def how_far(job: "ExportJob", standing: Standing | None) -> str:
    """How far a job is whose files are made, in a few words; empty where there is nothing to tell."""
    if standing is None or standing.delivered == standing.total or job.made is None:
        return ""
    next_at = f", next {standing.next_due:%H:%M:%S}" if standing.waiting and standing.next_due else ""
    return f"{standing.delivered} of {standing.total}{next_at}"


def _standing(row: Delivery) -> str:
    moment = f"{row.changed:%Y-%m-%d %H:%M:%S} UTC"
    failed = f" after {counted(row.tries, 'failed try', 'failed tries')}" if row.tries else ""
    if row.state is DeliveryState.WAITING:
        return f"waiting{failed}" + (f", next at {row.due:%Y-%m-%d %H:%M:%S} UTC" if row.due else "")
    return f"{'given up' if row.state is DeliveryState.FAILED else 'delivered'}{failed}, {moment}"

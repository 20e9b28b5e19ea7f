"""``tailrace notifications``: what one was told, and how one wishes to be told."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from tailrace.cli.quantities import counted
from tailrace.cli.session import COMMON, Common, Shared
from tailrace.cli.wishes import wishes_of, words_of
from tailrace.model.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tailrace.model.notify import Notify

_STYLES = {"completed": "green", "failed": "red", "partly delivered": "yellow"}


def list_notifications(
    *,
    unread: Annotated[bool, Parameter(negative=())] = False,
    limit: Annotated[int, Parameter(validator=Number(gte=1))] = 20,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """List what you were told, the newest first.

    Args:
        unread: Only what you have not marked as read.
        limit: How many at most; 20 if not given.
    """
    found = session.engine.jobs.notifications(session.user, unread=unread, limit=limit)
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        terminal.document({"notifications": unstructure(found)})
        return 0
    if not found:
        terminal.text("There is nothing new." if unread else "You were not told anything yet.")
    for one in found:
        new = "" if one.read else "  new"
        terminal.line(f"{one.number}  {one.created:%Y-%m-%d %H:%M} UTC  {one.event}{new}", _STYLES.get(one.event, ""))
        terminal.text(one.text, indent="  ")
        if one.job is not None:
            terminal.line(f"  job {one.job}")
    return 0


def read(
    *numbers: int,
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Mark what you were told as read.

    Args:
        numbers: Which, as the list has them.
        all_: All of it.
    """
    if all_ == bool(numbers):
        message = "tailrace notifications read needs numbers, or --all; not both."
        raise RequestError(message, hint="See: tailrace notifications list --unread")
    new = session.engine.jobs.mark_read(session.user, None if all_ else numbers)
    if common.json:
        session.terminal.document({"read": new})
    else:
        session.terminal.line(f"Marked {counted(new, 'notification')} as read.")
    return 0


def prefer(
    *,
    notify: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    on: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    none: Annotated[bool, Parameter(negative=())] = False,
    default: Annotated[bool, Parameter(negative=())] = False,
    common: Common = COMMON,
    session: Shared,
) -> int:
    """Say how you wish to be told what becomes of your exports in the background; without options, show it.

    What is said for one export, --notify there, takes the place of it.

    Args:
        notify: CHANNEL or CHANNEL:TARGET, such as in-app or email:ann@example.com; as often as needed.
        on: About what: completed, failed, partly-delivered, separated by commas; all of it if not given.
        none: You wish to be told nothing.
        default: As if you had never said anything: all of it, in-app.
    """
    if sum((bool(notify or on), none, default)) > 1:
        message = "--notify, --none and --default exclude each other."
        raise RequestError(message, hint="See: tailrace notifications prefer --help")
    preferences, user = session.engine.preferences, session.user
    wishes: Sequence[Notify] | None = () if none else wishes_of(notify, on, flag="--on")
    shown = preferences.show(user) if wishes is None and not default else preferences.set(user, wishes)
    terminal = session.terminal
    if common.json:
        from tailrace.model.convert import unstructure

        terminal.document({"notify": unstructure(shown)})
        return 0
    terminal.line("You are told what becomes of your exports:" if shown else "You are told nothing.", "bold")
    for wish in shown:
        terminal.line(f"  {words_of(wish)}")
    return 0

"""The command ``tailrace``: finds the command that the words ask for, runs it, and says by a number how it ended.

Exit codes: 0 done · 1 failed · 2 wrong usage or configuration · 3 refused · 4 partly delivered.

Each command is imported when it is called: ``tailrace --version`` pays for no other.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence

from cyclopts import App, CycloptsError, MissingArgumentError, Parameter, UnusedCliTokensError

from tailrace.cli.session import COMMON, Session
from tailrace.cli.terminal import Terminal, from_streams
from tailrace.model.errors import TailraceError

DONE, FAILED, WRONG_USAGE = 0, 1, 2

app = App(
    name="tailrace",
    help="Export proxy pools and their request logs, provably complete, and restore them.",
    version_flags=(),
    default_parameter=Parameter(show_default=False),
)
app.command("tailrace.cli.export:export", name="export", help="Export a source as a file.")
app.command("tailrace.cli.imports:import_", name="import", help="Restore a pool from a file.")
app.command("tailrace.cli.imports:undo", name="undo", help="Take an import back.")
app.command("tailrace.cli.convert:convert", name="convert", help="Turn a proxy list into another dialect.")
app.command("tailrace.cli.verification:verify", name="verify", help="Check an export against its manifest.")
app.command("tailrace.cli.inspection:inspect", name="inspect", help="Say what is in an export.")
app.command("tailrace.cli.demo:demo", name="demo", help="Try everything on made-up data in a fresh folder.")
app.command("tailrace.cli.completion:completion", name="completion", help="Print the completion script of a shell.")
app.command("tailrace.cli.version:version", name="--version", help="Show the version.")
plugins = App(name="plugins", help="Sources, formats and sinks: what there is, and what is wrong with it.")
plugins.command("tailrace.cli.plugins:list_plugins", name="list", help="List the plugins.")
plugins.command("tailrace.cli.plugins:show", name="show", help="Show a plugin and its options.")
plugins.command("tailrace.cli.plugins:doctor", name="doctor", help="Import every plugin, and say what is wrong.")
plugins.command("tailrace.cli.new_plugin:new", name="new", help="Begin a plugin of your own.")
app.command(plugins)
keys = App(name="keys", help="Keys that seal and open credentials, and sign manifests.")
keys.command("tailrace.cli.keys:new", name="new", help="Make a key.")
keys.command("tailrace.cli.keys:show", name="show", help="Say what a key is, or which keys open an export.")
keys.command("tailrace.cli.keys:add", name="add", help="Let another key open an export that exists.")
keys.command("tailrace.cli.keys:remove", name="remove", help="Let a key no longer open an export.")
keys.command("tailrace.cli.keys:rotate", name="rotate", help="Seal the credentials of an export under a new data key.")
app.command(keys)
app.command("tailrace.cli.worker:worker", name="worker", help="Carry out exports that were submitted.")
jobs = App(name="jobs", help="Exports, of the past and in the background.")
jobs.command("tailrace.cli.jobs:list_jobs", name="list", help="List jobs.")
jobs.command("tailrace.cli.jobs:show", name="show", help="Show a job.")
jobs.command("tailrace.cli.jobs:watch", name="watch", help="Follow a job until its end.")
jobs.command("tailrace.cli.jobs:cancel", name="cancel", help="Cancel a job.")
jobs.command("tailrace.cli.jobs:retry", name="retry", help="Let a job be tried again.")
jobs.command("tailrace.cli.jobs:remove", name="rm", help="Remove a job and its files.")
jobs.command("tailrace.cli.jobs:pin", name="pin", help="Keep the files of a job.")
jobs.command("tailrace.cli.jobs:unpin", name="unpin", help="Leave the files of a job to the rules again.")
jobs.command("tailrace.cli.jobs:download", name="download", help="Copy a file that a job made.")
jobs.command("tailrace.cli.deliveries:deliveries", name="deliveries", help="Show who has the files of a job.")
jobs.command("tailrace.cli.deliveries:resend", name="resend", help="Deliver the files of a job again.")
jobs.command("tailrace.cli.deliveries:unwanted", name="unwanted", help="List recipients that want nothing any more.")
jobs.command("tailrace.cli.deliveries:allow", name="allow", help="Let such a recipient have deliveries again.")
app.command(jobs)
notifications = App(name="notifications", help="What you were told, and how you wish to be told.")
notifications.command("tailrace.cli.notifications:list_notifications", name="list", help="List what you were told.")
notifications.command("tailrace.cli.notifications:read", name="read", help="Mark what you were told as read.")
notifications.command("tailrace.cli.notifications:prefer", name="prefer", help="Say how you wish to be told.")
app.command(notifications)
templates = App(name="templates", help="Saved requests, to export with again and again.")
templates.command("tailrace.cli.templates:save", name="save", help="Save a request as a template.")
templates.command("tailrace.cli.templates:list_templates", name="list", help="List templates.")
templates.command("tailrace.cli.templates:show", name="show", help="Show a template.")
templates.command("tailrace.cli.templates:edit", name="edit", help="Change a template.")
templates.command("tailrace.cli.templates:delete", name="delete", help="Delete a template.")
app.command(templates)
schedules = App(name="schedules", help="Exports by the clock, and what became of each.")
schedules.command("tailrace.cli.schedules:add", name="add", help="Make a schedule.")
schedules.command("tailrace.cli.slots:list_schedules", name="list", help="List schedules.")
schedules.command("tailrace.cli.slots:show", name="show", help="Show a schedule.")
schedules.command("tailrace.cli.slots:next_slots", name="next", help="Say when a schedule is due next.")
schedules.command("tailrace.cli.schedules:pause", name="pause", help="Let a schedule run no more for now.")
schedules.command("tailrace.cli.schedules:resume", name="resume", help="Let a schedule run again.")
schedules.command("tailrace.cli.schedules:run_now", name="run-now", help="Have a schedule run now.")
schedules.command("tailrace.cli.schedules:try_out", name="test", help="Try what a schedule makes, for yourself only.")
schedules.command("tailrace.cli.schedules:edit", name="edit", help="Change a schedule.")
schedules.command("tailrace.cli.schedules:remove", name="rm", help="Remove a schedule and its history.")
schedules.command("tailrace.cli.slots:history", name="history", help="Say what became of the slots of a schedule.")
app.command(schedules)
dashboards = App(name="dashboards", help="Reports that you describe yourself, and ready ones.")
dashboards.command("tailrace.cli.dashboards:list_dashboards", name="list", help="List ready dashboards.")
dashboards.command("tailrace.cli.dashboards:show", name="show", help="Print a ready dashboard, to start from.")
dashboards.command("tailrace.cli.dashboards:check", name="check", help="Say whether a dashboard can be made.")
dashboards.command("tailrace.cli.dashboards:preview", name="preview", help="Make a dashboard, and look at it.")
app.command(dashboards)
retention = App(name="retention", help="Which files of finished exports are kept, and removing the rest.")
retention.command("tailrace.cli.retention:apply", name="apply", help="Remove files that no rule keeps.")
retention.command("tailrace.cli.retention:show", name="show", help="Show the rules in force.")
app.command(retention)
audit = App(name="audit", help="Who did what, and whether that is all of it.")
audit.command("tailrace.cli.audit:list_entries", name="list", help="List entries.")
audit.command("tailrace.cli.audit:verify", name="verify", help="Check that it is complete and unchanged.")
audit.command("tailrace.cli.audit:export", name="export", help="Export it as a file.")
app.command(audit)
store = App(name="store", help="Where jobs, templates and the audit trail are kept.")
store.command("tailrace.cli.store:show", name="show", help="Say where it is, and what waits in it.")
store.command("tailrace.cli.store:upgrade", name="upgrade", help="Make its tables, or bring them up to date.")
app.command(store)


class UsageError(TailraceError):
    """Words on the command line that make no sense."""

    exit_code = WRONG_USAGE


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        words: The words behind ``tailrace``; those of the process by default.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if words is None else words)
    # Needed before the words are understood: also an error in them is told as it was asked for.
    terminal = from_streams(json="--json" in given, quiet=False, debug="--debug" in given)
    try:
        return _run(given, terminal)
    except TailraceError as error:
        terminal.failure(error)
        return error.exit_code
    except KeyboardInterrupt:
        terminal.message("Stopped.")
        return FAILED
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the last resort: one line, the traceback on request
        terminal.failure(error)
        return FAILED


def _run(words: list[str], terminal: Terminal) -> int:
    try:
        command, bound, injected = app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise _usage(error) from error
    if "session" not in injected:
        # A help page: cyclopts prints it by itself. rich wants to end the process when the reader has gone (`| head`).
        with contextlib.suppress(SystemExit):
            command(*bound.args, **bound.kwargs)
        terminal.flush()
        return DONE
    common = bound.arguments.get("common", COMMON)
    terminal.quiet = common.quiet
    session = Session(terminal, common)
    # What a plugin prints must not end up in the middle of a result.
    with contextlib.redirect_stdout(terminal.err), _warnings(terminal):
        code: int = command(*bound.args, **bound.kwargs, session=session)
    return code


def _usage(error: CycloptsError) -> UsageError:
    command = " ".join(("tailrace", *(error.command_chain or ())))
    message = str(error).strip()
    if isinstance(error, MissingArgumentError) and error.argument is not None and error.keyword is None:
        message = f"{command} needs {error.argument.name}."
    elif isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        message = f"{command} does not know what to do with {error.unused_tokens[0]!r}."
    return UsageError(message, hint=f"See: {command} --help")


@contextlib.contextmanager
def _warnings(terminal: Terminal) -> Iterator[None]:
    """Show what the library logs as a warning; with ``--debug`` everything."""
    import logging

    class ToTerminal(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            terminal.message(f"{record.levelname.lower()}: {self.format(record)}")

    logger = logging.getLogger("tailrace")
    least = logging.DEBUG if terminal.debug else logging.WARNING
    # Also of the handler: a command may have part of the library say more, and show it in its own way.
    handler, level, propagate = ToTerminal(least), logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(least)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate

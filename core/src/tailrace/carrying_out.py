"""The side of :mod:`tailrace.work.apart` that runs in a process of its own: carries out one attempt, and reports.

Lines of JSON in both directions. Towards here: first the import path, then the order, then, maybe, ``"cancel"``; the
end of the pipe means that the worker is gone, and so is this process at once: nobody renews its lease any more. From
here: ``{"progress": …}`` again and again, and ``{"outcome": …}`` once.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Any

import attrs

from tailrace.model.context import Context
from tailrace.model.convert import structure, unstructure
from tailrace.work.outcome import Outcome
from tailrace.work.runner import Order

_GONE = 1
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Do what the second line says; the first was read by whoever called this."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1) as output, Path(os.devnull).open("wb") as nowhere:
        # What plugins print must not get in between the lines.
        os.dup2(nowhere.fileno(), 1)
        _end_with_the_worker()
        order = structure(json.loads(sys.stdin.readline()), Order, what="The order")
        lock = threading.Lock()

        def say(what: str, value: Any) -> None:
            with lock:
                output.write(json.dumps({what: value}) + "\n")

        context = Context(on_progress=lambda progress: say("progress", attrs.asdict(progress)))
        threading.Thread(target=_listen, args=(sys.stdin, context), daemon=True).start()
        if order.memory is not None and not Path("/proc/self/statm").exists():
            from tailrace import _apart

            # Elsewhere the worker watches, and can say why it ended this process. A limit of the system's own would
            # count what is reserved and never used, and abort it without a word.
            _apart.watch_memory(order.memory)
        say("outcome", unstructure(carry_out(order, context)))
    # Threads of polars, or of a plugin, may not want to end.
    sys.stderr.flush()
    os._exit(0)


def carry_out(order: Order, context: Context) -> Outcome:
    """Carry out an attempt, in any process that has the plugins and reaches the store.

    Args:
        order: The attempt.
        context: Progress and cancellation.
    """
    from tailrace.engine import Engine
    from tailrace.settings import Settings

    try:
        engine = Engine(structure(order.settings, Settings, what="The settings"))
        return engine.carry_out(order, context)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the other side is to know
        return Outcome.of(error)


def _end_with_the_worker() -> None:
    """Have the system end this process with its worker: a plugin may keep every thread from hearing of it."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _listen(source: IO[str], context: Context) -> None:
    for line in source:
        if json.loads(line) == "cancel":
            context.cancel()
    os._exit(_GONE)

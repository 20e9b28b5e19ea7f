"""What standard tests have done in a process of its own. Nothing heavy is imported here, or it could not be told of."""

import importlib
import os
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any


def import_and_tell(module: str) -> Mapping[str, Any]:
    """Import a module, and say what that imported beside, and what it changed.

    To be called in a fresh process, by :func:`tailrace_sdk.conformance.apart.done_apart`.
    """

    def state() -> dict[str, object]:
        return {
            "the working folder": os.getcwd(),  # noqa: PTH109 - compared as a text
            "the environment": dict(os.environ),
            "threads": threading.active_count(),
            "signal handlers": [str(signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)],
            "the hook for exceptions": str(sys.excepthook),
        }

    before, loaded = state(), set(sys.modules)
    importlib.import_module(module)
    after = state()
    return {
        "imported": sorted({name.partition(".")[0] for name in set(sys.modules) - loaded}),
        "changed": [what for what, value in before.items() if after[what] != value],
    }

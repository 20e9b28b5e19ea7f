"""Telling observers what happens to exports, whatever they do with it."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tailrace.plugins.kinds import ExportEvent

_log = logging.getLogger(__name__)


def tell(observe: "Callable[[ExportEvent], object]", event: "ExportEvent", *, name: str) -> None:
    """Tell one observer. What it raises is logged and changes nothing.

    Args:
        observe: Takes the event.
        event: What happened.
        name: What the observer is called in the log.
    """
    try:
        observe(event)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - not even SystemExit in an observer may end the export
        # Progress comes every second: who fails there has failed at the start, too, and need not be told each time.
        level = logging.DEBUG if event.name == "progress" else logging.WARNING
        _log.log(level, "The observer %s raised %s; the export goes on.", name, type(error).__name__)
        _log.debug("Traceback of the observer %s", name, exc_info=True)

"""What plugins raise, told apart from what Tailrace raises."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tailrace.files.storage import storage_error
from tailrace.model.errors import PluginContractError, SourceError, TailraceError
from tailrace.reading.userinfo import redacted

_LONGEST_FOREIGN_TEXT = 300
REPORT_IT = "Report it to the plugin's author; --debug shows where."


@contextmanager
def foreign_errors(kind: str, name: str, *, during_reading: str | None = None, private: bool = False) -> Iterator[None]:
    """Keep what a plugin raises apart from our own errors, and the host alive through ``sys.exit``.

    Args:
        kind: Kind of the plugin.
        name: Its name.
        during_reading: The source that is read meanwhile; what polars raises is then about its data.
        private: Whether what is raised may quote secrets: its text is left out. Whoever lets such an error go takes off
            what it was made of, too: :func:`undisclosed`.
    """
    try:
        with _told_apart(kind, name, during_reading, private=private):
            yield
    except TailraceError as error:
        error.origin = error.origin or f"{kind} {name}"
        raise


def undisclosed(error: BaseException) -> None:
    """Take off an error what it was made of: the errors of others, which may quote secrets."""
    error.__cause__ = error.__context__ = None


@contextmanager
def _told_apart(kind: str, name: str, during_reading: str | None, *, private: bool) -> Iterator[None]:
    try:
        yield
    except TailraceError:
        raise
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        source = name if kind == "source" else during_reading
        if isinstance(error, OSError) and kind == "sink":
            raise storage_error(error, Path(str(error.filename or name))) from error
        if isinstance(error, OSError) and source is not None:
            place = redacted(str(error.filename or "")) or "its data"
            message = f"Source {source} cannot be read: {place}: {error.strerror or type(error).__name__}."
            raise SourceError(message, hint="Nothing was published. Check the data at this place.") from error
        text = "" if private else redacted(re.sub(r"\s+", " ", _text(error)))[:_LONGEST_FOREIGN_TEXT]
        if during_reading is not None and type(error).__module__.startswith("polars"):
            message = f"Source {during_reading} cannot be read to its end: {text or type(error).__name__}"
            raise SourceError(message, hint="Nothing was published. Check the data at this place.") from error
        message = f"The {kind} {name} failed with {type(error).__name__}{': ' if text else '.'}{text}"
        raise PluginContractError(name, message, hint=REPORT_IT) from error


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error whose own text fails must not hide that there was one
        return ""

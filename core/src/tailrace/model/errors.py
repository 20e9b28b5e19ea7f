"""Every error Tailrace raises on purpose, grouped by what the caller can do about it.

::

    TailraceError
    ├── RequestError            fix the request
    │   ├── UnknownNameError      a column, plugin, option … that does not exist
    │   ├── ExpressionError       a filter that cannot be read
    │   └── OptionError           an option value that does not fit
    ├── ConfigurationError      fix the configuration
    ├── PluginError             fix (or replace) the plugin
    │   ├── PluginLoadError       it could not be imported or registered
    │   ├── PluginConflictError   two distributions offer the same name
    │   └── PluginContractError   it broke its contract while in use
    ├── TransientError          retry later
    ├── RefusedError            the engine declined, on purpose
    │   ├── NotAllowedError       a rule forbids it
    │   ├── IntegrityError        a file is not what its manifest says
    │   │   └── TamperedError       what is sealed was changed, moved or damaged
    │   ├── LeakError             a secret is in the file
    │   ├── WrongKeyError         the password or key is not the one
    │   ├── UnknownKeyError       none of the keys at hand is one that opens it
    │   └── NewerVersionError     a newer Tailrace made it
    └── PermanentError          give up: trying again changes nothing
        ├── SourceError           the data cannot be read
        │   └── BadRowError         one row cannot be read
        ├── StorageError          the file cannot be written
        │   ├── NoSpaceError        the disk or quota is full
        │   └── AlreadyExistsError  the name is taken
        ├── IncompleteError       rows were lost on the way
        ├── UndeliveredError      the file is made, and nobody could be given it
        └── InterruptedExportError
            ├── CancelledError      somebody asked to stop
            ├── DeadlineError       the time was up
            └── LeaseLostError      somebody else has the job by now

Facts are attributes, not only text. ``hint`` is what to do next, in one sentence.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar

_SHOWN = 70
"""Characters of a filter that are shown before and behind the place of a mistake."""


class TailraceError(Exception):
    """Base of all errors that Tailrace raises on purpose.

    Args:
        message: What happened, in one sentence, without secrets.
        hint: What the reader can do about it, in one sentence; may be empty.
    """

    exit_code: ClassVar[int] = 1
    """What the command line returns for this kind of error."""
    origin: str = ""
    """The plugin that raised it, such as ``"source pool"``; empty where none did."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class RequestError(TailraceError):
    """The request cannot be carried out as it is written."""

    exit_code = 2


class UnknownNameError(RequestError):
    """A name that does not exist, with the names that do.

    Args:
        kind: What the name is a name of, such as ``"column"``.
        name: The name that was asked for.
        known: The names that exist.
        where: Where it was looked for, such as ``"table proxies"``; may be empty.
        hint: What to do, where that is known better than by the names that exist.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "", hint: str = "") -> None:
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        close = difflib.get_close_matches(name, self.known, n=1, cutoff=0.6)
        self.suggestion = close[0] if close else None
        place = f" in {where}" if where else ""
        listing = ", ".join(self.known) or "none at all"
        guess = f"Did you mean {self.suggestion!r}? " if self.suggestion else ""
        super().__init__(f"There is no {kind} {name!r}{place}.", hint=hint or f"{guess}There is: {listing}.")


class ExpressionError(RequestError):
    """A filter expression that cannot be read.

    Args:
        message: What is wrong.
        expression: The whole text.
        position: Zero-based offset of the character where reading stopped.
    """

    def __init__(self, message: str, *, expression: str, position: int, hint: str = "") -> None:
        # One line of the expression, and not all of a long one: enough to see the place, with the caret below it.
        start = max(expression.rfind("\n", 0, position) + 1, position - _SHOWN)
        line = expression[start : position + _SHOWN].partition("\n")[0]
        margin = "".join(character if character == "\t" else " " for character in line[: position - start])
        super().__init__(f"{message}\n    {line}\n    {margin}^", hint=hint)
        self.expression = expression
        self.position = position


class OptionError(RequestError):
    """An option whose value does not fit its type or range.

    Args:
        option: Name of the option.
        message: What is wrong with it.
    """

    def __init__(self, option: str, message: str, *, hint: str = "") -> None:
        super().__init__(f"Option {option!r}: {message}", hint=hint)
        self.option = option


class ConfigurationError(TailraceError):
    """A settings file or environment variable that cannot be used."""

    exit_code = 2


class PluginError(TailraceError):
    """A plugin that cannot be used.

    Args:
        plugin: Name of the plugin.
        message: What happened.
    """

    def __init__(self, plugin: str, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.plugin = plugin


class PluginLoadError(PluginError):
    """The plugin could not be imported or registered; siblings are not affected."""


class PluginConflictError(PluginError):
    """Two distributions offer a plugin of the same kind and name."""

    exit_code = 2


class PluginContractError(PluginError):
    """The plugin broke its contract while in use: wrong type returned, unexpected exception."""


class TransientError(TailraceError):
    """It failed for now; the same request may succeed later (locked database, server away)."""


class RefusedError(TailraceError):
    """The engine declined on purpose; nothing was changed."""

    exit_code = 3


class NotAllowedError(RefusedError):
    """A rule forbids it: credential policy, path outside of the root, access."""


class IntegrityError(RefusedError):
    """A file is not what its manifest says it is."""


class TamperedError(IntegrityError):
    """Something that is sealed or signed was changed, moved, cut or damaged."""


class LeakError(RefusedError):
    """A secret was found in a file that must not hold any; nothing was published.

    Args:
        message: Where it was found, never what.
        tables: The tables in the file.
        offset: Where the secret begins, in bytes; None in the manifest.
        line: In which line, from 1; None in the manifest.
        form: How it is written: ``"raw"``, ``"Base64"`` …
    """

    def __init__(
        self,
        message: str,
        *,
        tables: Iterable[str],
        offset: int | None,
        line: int | None,
        form: str,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.tables = tuple(tables)
        self.offset = offset
        self.line = line
        self.form = form


class WrongKeyError(RefusedError):
    """A password, or a key, that is not the one that something was sealed with."""


class UnknownKeyError(RefusedError):
    """None of the keys at hand is among those that open a file.

    Args:
        message: What happened.
        needed: Ids of the keys that would open it.
        given: Ids of the keys that were tried.
    """

    def __init__(self, message: str, *, needed: Iterable[str], given: Iterable[str], hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.needed = tuple(needed)
        self.given = tuple(given)


class NewerVersionError(RefusedError):
    """A file of a newer version than this Tailrace can read.

    Args:
        message: What happened.
        version: The version that is needed.
    """

    def __init__(self, message: str, *, version: int) -> None:
        super().__init__(message, hint="Update Tailrace: pip install --upgrade tailrace")
        self.version = version


class PermanentError(TailraceError):
    """It failed, and trying the same again changes nothing."""


class SourceError(PermanentError):
    """The data cannot be read: missing, damaged, or of another shape."""


class BadRowError(SourceError):
    """One row cannot be read.

    Args:
        message: What is wrong, without the value where it could be a secret.
        row: One-based position of the row, where known.
        column: Name of the column, where known.
    """

    def __init__(self, message: str, *, row: int | None = None, column: str | None = None) -> None:
        super().__init__(
            message,
            hint="Mend the row, or leave such rows out and have them listed: --option on_bad_rows=report",
        )
        self.row = row
        self.column = column


class StorageError(PermanentError):
    """The file cannot be written where it was asked for."""


class NoSpaceError(StorageError):
    """The disk, or the quota on it, is full."""


class AlreadyExistsError(StorageError):
    """The name is taken, and overwriting was not asked for."""


class IncompleteError(PermanentError):
    """Rows read, written and re-read differ: the file was thrown away."""


class UndeliveredError(PermanentError):
    """The file is made and kept, and nobody could be given it.

    Args:
        message: What happened.
        export_id: The export, whose file can be sent again.
    """

    exit_code = 4

    def __init__(self, message: str, *, export_id: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.export_id = export_id


class InterruptedExportError(PermanentError):
    """The export was stopped before its end; nothing was published."""


class CancelledError(InterruptedExportError):
    """Somebody asked the export to stop."""


class DeadlineError(InterruptedExportError):
    """The time allowed for the export was up."""


class LeaseLostError(InterruptedExportError):
    """The job was taken from this process, because it had not been heard of for too long; another one has it by now."""

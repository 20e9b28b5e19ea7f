"""Where a command writes: results on standard output, everything else on standard error."""

import contextlib
import json
import os
import re
import shutil
import sys
import traceback
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import attrs

from tailrace.cli import layout
from tailrace.cli.layout import Styled
from tailrace.model.errors import StorageError, TailraceError
from tailrace.reading.userinfo import redacted

_SECRET_KEY = re.compile(r"(?i)TAILRACE-SECRET-[A-Z]+-[A-Z2-7]*")
"""A key of :mod:`tailrace.vault.keys`, typed in the wrong place."""
WIDEST = 100
"""Characters per line at most: longer lines are hard to read."""


@attrs.define
class Terminal:
    """The two streams of a command, and how they are to be written to.

    Args:
        out: For results.
        err: For messages and progress.
        json: Whether results are one JSON document.
        quiet: Whether messages and progress are left out; errors never are.
        debug: Whether errors show their traceback.
        environ: Environment variables: ``NO_COLOR``, ``TERM``.
    """

    out: TextIO
    err: TextIO
    json: bool = False
    quiet: bool = False
    debug: bool = False
    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    above: Any = attrs.field(default=None, init=False)
    """Prints a line above a progress bar while there is one: a callable that takes the line."""
    _broken: bool = attrs.field(default=False, init=False)

    @property
    def columns(self) -> int:
        """Characters that fit on a line."""
        return shutil.get_terminal_size((80, 24)).columns

    @property
    def width(self) -> int:
        """Characters per line of text."""
        return min(self.columns, WIDEST)

    def colours(self, stream: TextIO) -> bool:
        """Whether a stream shows colours."""
        return stream.isatty() and not self.environ.get("NO_COLOR") and self.environ.get("TERM") != "dumb"

    def document(self, value: Any) -> None:
        """Write the result as one JSON document."""
        self._write(json.dumps(value, indent=2, allow_nan=False) + "\n")

    def line(self, text: str = "", style: str = "") -> None:
        """Write one line of a result as it is; paths are never wrapped, so that they can be copied."""
        self._write(self._paint(self.out)(layout.visible(text), style) + "\n")

    def text(self, text: str, *, indent: str = "") -> None:
        """Write a paragraph of a result."""
        for line in layout.paragraph(text, self.width, indent=indent):
            self._write(line + "\n")

    def table(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[str | Styled]],
        *,
        right: Collection[int] = (),
        indent: str = "",
    ) -> None:
        """Write a table of a result."""
        lines = layout.table(headings, rows, width=self.width, paint=self._paint(self.out), right=right, indent=indent)
        for line in lines:
            self._write(line + "\n")

    def message(self, text: str) -> None:
        """Tell people something on the way."""
        if self.quiet:
            return
        for line in layout.paragraph(text, self.width):
            self._tell(line)

    def failure(self, error: BaseException) -> None:
        """Tell what went wrong: as a message, or as the JSON document where one was asked for."""
        facts = {name: _harmless(value) for name, value in _facts(error).items()}
        if self.debug:
            self._tell(layout.visible(redacted("".join(traceback.format_exception(error)).rstrip())))
        if self.json and not self._broken:
            with contextlib.suppress(StorageError):
                self.document({"error": facts})
                return
        self._labelled("error", "bold red", facts["message"])
        if facts["hint"]:
            self._labelled("hint", "cyan", facts["hint"])

    def flush(self) -> None:
        """Write out what is buffered, so that a reader who has gone is noticed here."""
        self._write("")

    def _labelled(self, label: str, style: str, text: str) -> None:
        indent = " " * len("error: ")
        lines = layout.paragraph(text, self.width, indent=indent) or [""]
        head = self._paint(self.err)(f"{label}:", style) + " " * (len(indent) - len(label) - 1)
        self._tell(head + lines[0].removeprefix(indent))
        for line in lines[1:]:
            self._tell(line)

    def _paint(self, stream: TextIO) -> layout.Painter:
        return layout.ansi if self.colours(stream) else layout.plain

    def _tell(self, line: str) -> None:
        # Nobody may be there to read it any more, and a log may be on a full disk: no reason to stop the work.
        with contextlib.suppress(OSError):
            if self.above is not None:
                self.above(line)
                return
            self.err.write(line + "\n")
            self.err.flush()

    def _write(self, text: str) -> None:
        if self._broken:
            return
        try:
            self.out.write(text)
            self.out.flush()
        except BrokenPipeError:
            # The reader has seen enough (`| head`). What the command did stands; only its words are cut.
            self._broken = True
            _discard(self.out)
        except OSError as error:
            self._broken = True
            _discard(self.out)
            message = f"The result cannot be written to standard output: {error.strerror or type(error).__name__}."
            raise StorageError(message, hint="What the command did stands; only its words are lost.") from None


def _discard(stream: TextIO) -> None:
    """Let what is still buffered go nowhere, or Python would complain about it at exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _facts(error: BaseException) -> dict[str, Any]:
    if isinstance(error, TailraceError):
        attributes = {
            name: value for name, value in vars(error).items() if not name.startswith("_") and _is_json(value)
        }
        return {"type": type(error).__name__, **attributes, "message": error.message, "hint": error.hint}
    return {
        "type": type(error).__name__,
        # The text of a foreign error may quote anything, a password too: place and type must do.
        "message": f"Something unexpected happened: {type(error).__name__}{_place(error)}.",
        "hint": "Add --debug to see the traceback, and please report it.",
    }


def _harmless(value: Any) -> Any:
    """The value without any credentials in addresses: whatever people typed may come back in an error."""
    if isinstance(value, str):
        return _SECRET_KEY.sub("[secret key]", redacted(value))
    return [_harmless(item) for item in value] if isinstance(value, list | tuple) else value


def _is_json(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_json(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    folder, _, name = frames[-1].filename.rpartition("/")
    return f" in {folder.rpartition('/')[2]}/{name}, line {frames[-1].lineno}"


def from_streams(*, json: bool, quiet: bool, debug: bool) -> Terminal:
    """The terminal of this process: ``sys.stdout`` and ``sys.stderr`` as they are now."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            # Closed by whoever started the process (`>&-`). The next file opened would get its number otherwise.
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - as long as the process
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character must not end the command.
            stream.reconfigure(errors="backslashreplace")
    return Terminal(sys.stdout, sys.stderr, json=json, quiet=quiet, debug=debug)

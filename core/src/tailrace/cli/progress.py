"""How far an export is: a bar on a terminal, a line every few seconds elsewhere."""

import contextlib
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

import attrs

from tailrace.cli.quantities import counted, size, span
from tailrace.cli.terminal import Terminal
from tailrace.model.context import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

FIRST_LINE = 2.0
"""Seconds before the first line, where there is no bar: most exports are done by then."""
BETWEEN_LINES = 5.0


@attrs.define
class Pace:
    """How long a phase will still take, judged by the time that it has taken."""

    _phase: str = ""
    _began: float = 0.0
    _rows: int = 0

    def left(self, progress: Progress) -> float | None:
        """Seconds left in this phase; None while nobody can tell."""
        if progress.phase != self._phase:
            self._phase, self._began, self._rows = progress.phase, progress.seconds, progress.rows
        done = progress.rows - self._rows
        if not progress.total_rows or done <= 0:
            return None
        return max(progress.total_rows - progress.rows, 0) * (progress.seconds - self._began) / done


class Display(Protocol):
    """Shows progress; ``report`` may be called from any thread, the others by the main thread."""

    def report(self, progress: Progress) -> None:
        """Take note of how far the export is."""
        ...

    def refresh(self) -> None:
        """Show what was reported last."""
        ...

    def close(self) -> None:
        """Take the display away."""
        ...


@attrs.define
class Silence:
    """Shows nothing."""

    def report(self, progress: Progress) -> None:
        """Take no note."""

    def refresh(self) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Leave nothing behind."""


@attrs.define
class Lines:
    """A line now and then, for logs and pipes."""

    terminal: Terminal
    clock: Callable[[], float] = time.monotonic
    _pace: Pace = attrs.field(factory=Pace, init=False)
    _latest: Progress | None = attrs.field(default=None, init=False)
    _due: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._due = self.clock() + FIRST_LINE

    def report(self, progress: Progress) -> None:
        """Take note of how far the export is."""
        self._latest = progress

    def refresh(self) -> None:
        """Write a line, if the last one is long enough ago."""
        progress, now = self._latest, self.clock()
        if progress is None:
            return
        left = self._pace.left(progress)
        if now < self._due:
            return
        self._due = now + BETWEEN_LINES
        of_all = f" of {progress.total_rows:,}" if progress.total_rows else ""
        words = [f"{progress.phase}: {progress.rows:,}{of_all} rows", size(progress.bytes)]
        if left is not None:
            words.append(f"about {span(left)} left")
        self.terminal.message(", ".join(words))

    def close(self) -> None:
        """Leave the lines where they are."""


@attrs.define
class Bar:
    """A bar with rows, bytes and the time left, which disappears when the export is done."""

    terminal: Terminal
    _pace: Pace = attrs.field(factory=Pace, init=False)
    _latest: Progress | None = attrs.field(default=None, init=False)
    _rich: "RichProgress" = attrs.field(init=False)
    _task: "TaskID" = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Rich

        # The echo of Ctrl-C needs room behind the bar: it would wrap, and the bar could not be taken away any more.
        width = self.terminal.columns - len("^C ")
        err = self.terminal.err
        console = Console(
            file=err, width=width, no_color=not self.terminal.colours(err), highlight=False, markup=False, emoji=False
        )
        self._rich = Rich(
            TextColumn("{task.description:<10}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[share]:>5}", markup=False),
            TextColumn("{task.fields[rows]:>16}", markup=False),
            TextColumn("{task.fields[bytes]:>8}", markup=False),
            TextColumn("{task.fields[left]:>12}", markup=False),
            console=console,
            transient=True,
            auto_refresh=False,
            expand=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._rich.add_task("reading", total=None, share="", rows="", bytes="", left="")
        self._rich.start()
        self.terminal.above = partial(console.print, soft_wrap=True)

    def report(self, progress: Progress) -> None:
        """Take note of how far the export is."""
        self._latest = progress

    def refresh(self) -> None:
        """Draw the bar as it is now."""
        progress = self._latest
        if progress is not None:
            left = self._pace.left(progress)
            total = progress.total_rows or None
            share = f"{min(progress.rows / total, 1):.0%}" if total else ""
            self._rich.update(
                self._task,
                description=progress.phase,
                # Counted rows may pass the estimate a little: the bar stays full then.
                completed=min(progress.rows, total) if total else progress.rows,
                total=total,
                share=share,
                rows=counted(progress.rows, "row"),
                bytes=size(progress.bytes),
                left="" if left is None else f"{span(left)} left",
            )
        # The terminal may be gone by now: no reason to stop the work.
        with contextlib.suppress(OSError):
            self._rich.refresh()

    def close(self) -> None:
        """Take the bar away."""
        self.terminal.above = None
        with contextlib.suppress(OSError):
            self._rich.stop()


def display_for(terminal: Terminal) -> Display:
    """The display that suits a terminal."""
    if terminal.quiet:
        return Silence()
    return Bar(terminal) if terminal.err.isatty() else Lines(terminal)

import errno
import io
import re

import pytest

from tailrace.cli.progress import Bar, Lines, Pace, Silence, display_for
from tailrace.cli.terminal import Terminal
from tailrace.model.context import Progress


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def at(seconds: float, rows: int, *, phase: str = "writing", total: int | None = 1000, size: int = 0) -> Progress:
    return Progress(phase, rows, size, total, seconds)


def test_the_time_left_is_judged_by_the_phase_alone() -> None:
    pace = Pace()
    assert pace.left(at(5.0, 0)) is None
    assert pace.left(at(7.0, 500)) == pytest.approx(2.0)
    assert pace.left(at(8.0, 750)) == pytest.approx(1.0)
    assert pace.left(at(9.0, 2000)) == 0
    assert pace.left(at(10.0, 0, phase="proving")) is None
    assert pace.left(at(11.0, 100, phase="proving")) == pytest.approx(9.0)
    assert pace.left(at(12.0, 200, phase="proving", total=None)) is None


def test_lines_come_now_and_then() -> None:
    clock, err = Clock(), io.StringIO()
    lines = Lines(Terminal(io.StringIO(), err, environ={}), clock)
    lines.refresh()
    for _ in range(40):
        clock.now += 0.5
        done = clock.now - 100
        lines.report(at(done, round(done * 20_000), total=1_000_000, size=round(done * 1e6)))
        lines.refresh()
    lines.close()
    assert err.getvalue().splitlines() == [
        "writing: 40,000 of 1,000,000 rows, 2.00 MB, about 48 s left",
        "writing: 140,000 of 1,000,000 rows, 7.00 MB, about 43 s left",
        "writing: 240,000 of 1,000,000 rows, 12.0 MB, about 38 s left",
        "writing: 340,000 of 1,000,000 rows, 17.0 MB, about 33 s left",
    ]


def test_lines_do_without_a_total() -> None:
    clock, err = Clock(), io.StringIO()
    lines = Lines(Terminal(io.StringIO(), err, environ={}), clock)
    clock.now += 10
    lines.report(at(10, 5, total=None, phase="reading"))
    lines.refresh()
    assert err.getvalue() == "reading: 5 rows, 0 bytes\n"


def drawn(progress: Progress | None, **environ: str) -> str:
    err = Screen()
    terminal = Terminal(io.StringIO(), err, environ={"TERM": "xterm", **environ})
    bar = Bar(terminal)
    assert terminal.above is not None
    if progress is not None:
        bar.report(at(0, 0))
        bar.refresh()
        err.truncate(0)
        bar.report(progress)
    bar.refresh()
    text = err.getvalue()
    bar.close()
    assert terminal.above is None
    return text


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "").replace("\x00", "")


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_the_bar_shows_phase_share_rows_bytes_and_time_left_in_eighty_columns() -> None:
    line = plain(drawn(at(10, 1_234_567, total=2_000_000, size=45_123_456)))
    assert re.fullmatch(r"writing    [━╸╺ ]+   62%   1,234,567 rows  45.1 MB   6.2 s left", line.strip("\n")), line
    # Three are left for the echo of Ctrl-C.
    assert len(line.strip("\n")) == 77


def test_the_bar_stays_full_when_more_comes_than_was_estimated() -> None:
    assert " 100% " in plain(drawn(at(10, 1100)))


def test_the_bar_shows_what_it_knows_without_a_total() -> None:
    line = plain(drawn(at(10, 7, total=None)))
    assert "7 rows" in line
    assert "%" not in line
    assert "left" not in line


def test_the_bar_begins_before_there_is_anything_to_show() -> None:
    assert "reading" in plain(drawn(None))


def test_no_color_is_honoured() -> None:
    coloured = r"\x1b\[[0-9;]*[39][0-9]m"
    assert re.search(coloured, drawn(at(10, 500)))
    assert not re.search(coloured, drawn(at(10, 500), NO_COLOR="1"))


def test_each_terminal_gets_the_display_that_suits_it() -> None:
    out = io.StringIO()
    assert isinstance(display_for(Terminal(out, io.StringIO(), environ={})), Lines)
    quiet = display_for(Terminal(out, Screen(), quiet=True, environ={}))
    assert isinstance(quiet, Silence)
    quiet.report(at(1, 1))
    quiet.refresh()
    quiet.close()
    bar = display_for(Terminal(out, Screen(), environ={}))
    assert isinstance(bar, Bar)
    bar.close()


class Unplugged(Screen):
    """A terminal that hangs up after its first lines."""

    gone = False

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError(errno.EIO, "Input/output error")
        return super().write(text)


def test_a_terminal_that_hangs_up_stops_nothing() -> None:
    screen = Unplugged()
    bar = Bar(Terminal(io.StringIO(), screen, environ={}))
    bar.report(at(1, 1))
    screen.gone = True
    bar.refresh()
    bar.terminal.message("still there?")
    bar.close()

"""Numbers, tables and paragraphs as the command line shows them."""

import errno
import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tailrace.cli.layout import Styled, ansi, paragraph, plain, table
from tailrace.cli.quantities import counted, deviation, size, span
from tailrace.cli.terminal import Terminal
from tailrace.model.errors import BadRowError, ExpressionError, PluginLoadError, StorageError, UnknownNameError


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_996, "10.0 kB"),
        (45_123_456, "45.1 MB"),
        (99_960_000, "100 MB"),
        (999_600_000, "1.00 GB"),
        (2_000_000_000_000, "2.00 TB"),
        (5_000_000_000_000_000, "5000 TB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "less than 0.1 s"),
        (0.4, "0.4 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_counts() -> None:
    assert [counted(1, "row"), counted(0, "row"), counted(1234, "row"), counted(2, "proxy", "proxies")] == [
        "1 row",
        "0 rows",
        "1,234 rows",
        "2 proxies",
    ]


@pytest.mark.parametrize(
    ("expected", "actual", "text"),
    [(10, 10, "exact"), (0, 0, "exact"), (102, 100, "+2.0 %"), (97, 100, "-3.0 %"), (5, 0, "none came")],
)
def test_deviations(expected: int, actual: int, text: str) -> None:
    assert deviation(expected, actual) == text


def test_a_table_sets_numbers_flush_right_and_ends_no_line_in_spaces() -> None:
    lines = table(("file", "rows"), [("a.csv", "1"), ("b.csv", "1,000"), ("c", "")], width=80, paint=plain, right={1})
    assert lines == ["file    rows", "a.csv      1", "b.csv  1,000", "c"]


def test_a_wide_table_wraps_its_widest_column_and_keeps_hyphenated_words() -> None:
    rows = [("csv", "Comma separated values of tailrace-format-csv, one row per line.")]
    lines = table(("name", "what"), rows, width=30, paint=plain, indent="  ")
    assert lines == [
        "  name  what",
        "  csv   Comma separated values",
        "        of",
        "        tailrace-format-csv,",
        "        one row per line.",
    ]
    assert max(map(len, lines)) <= 30


def test_a_table_fits_however_narrow_the_terminal_is() -> None:
    rows = [("x" * 50, "y" * 50, "z" * 50)]
    assert max(map(len, table(("a", "b", "c"), rows, width=30, paint=plain))) <= 30
    assert max(map(len, table(("a", "b", "c"), rows, width=1, paint=plain))) == 3 * 6 + 2 * 2


def test_cells_may_have_lines_of_their_own() -> None:
    assert table((), [("a", "one\ntwo"), ("b", "")], width=80, paint=plain) == ["a  one", "   two", "b"]
    assert table((), [], width=80, paint=plain) == []


def test_styles_do_not_disturb_the_columns() -> None:
    lines = table(("k", "v"), [(Styled("ok", "bold green"), "fine")], width=80, paint=ansi)
    assert lines == ["\x1b[1mk\x1b[0m   \x1b[1mv\x1b[0m", "\x1b[1;32mok\x1b[0m  fine"]


def test_a_paragraph_wraps_words_and_keeps_indented_lines_and_long_words() -> None:
    text = "one two three four\n    caret ^ here and further\n\n" + "x" * 12
    assert paragraph(text, 10, indent="> ") == [
        "> one two",
        "> three",
        "> four",
        ">     caret ^ here and further",
        "",
        "> " + "x" * 12,
    ]


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(
    *, tty: bool = False, json: bool = False, quiet: bool = False, environ: Mapping[str, str] | None = None
) -> tuple[Terminal, io.StringIO, io.StringIO]:
    out, err = (Screen(), Screen()) if tty else (io.StringIO(), io.StringIO())
    return Terminal(out, err, json=json, quiet=quiet, environ=environ or {}), out, err


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def test_colours_are_for_terminals_that_want_them() -> None:
    for environ, coloured in (
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": ""}, True),
    ):
        shown, out, _err = terminal(tty=True, environ=environ)
        shown.line("done", "green")
        assert out.getvalue() == ("\x1b[32mdone\x1b[0m\n" if coloured else "done\n")
    shown, out, _err = terminal()
    shown.line("done", "green")
    assert out.getvalue() == "done\n"


def test_an_error_is_told_with_its_hint_in_eighty_columns() -> None:
    shown, out, err = terminal()
    shown.failure(
        UnknownNameError("column", "colour", [f"column_{number}" for number in range(12)], where="table proxies")
    )
    assert out.getvalue() == ""
    assert err.getvalue().splitlines() == [
        "error: There is no column 'colour' in table proxies.",
        "hint:  There is: column_0, column_1, column_2, column_3, column_4, column_5,",
        "       column_6, column_7, column_8, column_9, column_10, column_11.",
    ]


def test_the_caret_of_an_expression_stays_under_its_character() -> None:
    shown, _out, err = terminal()
    shown.failure(ExpressionError("A value is missing here.", expression="a = ", position=4))
    assert err.getvalue() == "error: A value is missing here.\n           a = \n               ^\n"


def test_an_error_as_json_has_its_facts() -> None:
    shown, out, err = terminal(json=True)
    shown.failure(BadRowError("The time cannot be read.", row=7, column="timestamp"))
    assert json.loads(out.getvalue()) == {
        "error": {
            "type": "BadRowError",
            "message": "The time cannot be read.",
            "hint": "Mend the row, or leave such rows out and have them listed: --option on_bad_rows=report",
            "row": 7,
            "column": "timestamp",
        }
    }
    assert err.getvalue() == ""


def test_facts_that_are_not_json_are_left_out() -> None:
    shown, out, _err = terminal(json=True)
    error = PluginLoadError("csv", "It cannot be used.")
    error.weird = object()  # type: ignore[attr-defined]  # what a later kind of error may carry
    error.known = ("a", 1)  # type: ignore[attr-defined]  # the same
    shown.failure(error)
    assert json.loads(out.getvalue())["error"] == {
        "type": "PluginLoadError",
        "plugin": "csv",
        "known": ["a", 1],
        "message": "It cannot be used.",
        "hint": "",
    }


def fail() -> None:
    message = "password=hunter2"
    raise ValueError(message)


def test_an_unexpected_error_is_told_by_type_and_place_but_not_by_its_text() -> None:
    shown, _out, err = terminal()
    try:
        fail()
    except ValueError as error:
        shown.failure(error)
    first, *rest = " ".join(err.getvalue().split()).split(" hint: ")
    assert first.startswith("error: Something unexpected happened: ValueError in core/test_cli_text.py, line ")
    assert rest == ["Add --debug to see the traceback, and please report it."]
    assert "hunter2" not in err.getvalue()


def test_debug_shows_the_traceback() -> None:
    shown, _out, err = terminal()
    shown.debug = True
    try:
        fail()
    except ValueError as error:
        shown.failure(error)
    assert "Traceback (most recent call last):" in err.getvalue()
    assert "raise ValueError(message)" in err.getvalue()


def test_an_error_that_was_never_raised_has_no_place() -> None:
    shown, _out, err = terminal()
    shown.failure(ValueError("x"))
    assert err.getvalue().startswith("error: Something unexpected happened: ValueError.\n")


def test_messages_are_left_out_where_quiet_is_asked_for_and_go_above_a_bar() -> None:
    shown, out, err = terminal(quiet=True)
    shown.message("a")
    assert (out.getvalue(), err.getvalue()) == ("", "")
    shown.quiet = False
    above: list[str] = []
    shown.above = above.append
    shown.message("b")
    assert (above, err.getvalue()) == (["b"], "")


class Gone(io.StringIO):
    """A reader that has gone, like `head` after its last line."""

    def write(self, text: str) -> int:
        raise BrokenPipeError

    def fileno(self) -> int:
        raise OSError


def test_a_reader_who_has_gone_is_no_error() -> None:
    shown = Terminal(Gone(), Gone())
    shown.line("one")
    shown.line("two")
    shown.message("three")
    shown.document({})


class Full(io.StringIO):
    """A file on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fileno(self) -> int:
        raise OSError


def test_a_result_that_cannot_be_written_is_an_error_told_elsewhere() -> None:
    err = io.StringIO()
    shown = Terminal(Full(), err, json=True)
    with pytest.raises(StorageError) as caught:
        shown.document({})
    assert caught.value.message == "The result cannot be written to standard output: No space left on device."
    shown.failure(caught.value)
    assert err.getvalue().startswith("error: The result cannot be written to standard output:")
    again = io.StringIO()
    Terminal(Full(), again, json=True).failure(ValueError("x"))
    assert again.getvalue().startswith("error: Something unexpected happened: ValueError.")


def test_messages_that_cannot_be_written_stop_nothing() -> None:
    shown = Terminal(io.StringIO(), Full())
    shown.message("one")
    shown.failure(ValueError("x"))


def test_control_characters_are_shown_and_not_obeyed() -> None:
    shown, out, err = terminal()
    evil = "a\x1b[2Jb\x07\r\x9b\u202ec"
    seen = r"a\x1b[2Jb\x07\r\x9b\u202ec"
    shown.line(evil)
    shown.text(evil)
    shown.table((), [(evil, "x")])
    shown.message(evil)
    assert out.getvalue() == f"{seen}\n{seen}\n{seen}  x\n"
    assert err.getvalue() == f"{seen}\n"


def test_results_are_never_wider_than_a_hundred_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    shown, out, _err = terminal()
    shown.text("word " * 100)
    assert max(map(len, out.getvalue().splitlines())) <= 100
    path = str(Path("/very") / ("long" * 60))
    shown.line(path)
    assert path in out.getvalue()

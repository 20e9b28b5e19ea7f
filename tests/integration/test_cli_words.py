"""What the command line says about words that make no sense, and about everything that goes wrong."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailrace import __version__
from tailrace.cli import main

Cli = Callable[..., Any]


def test_the_version(cli: Cli) -> None:
    answer = cli("--version")
    assert (answer.code, answer.out, answer.err) == (0, f"tailrace {__version__}\n", "")
    assert cli("--version", "--json").document == {"version": __version__}


def test_no_words_show_the_commands(cli: Cli) -> None:
    answer = cli()
    assert answer.code == 0
    for command in ("export", "verify", "inspect", "plugins", "demo", "completion"):
        assert f"│ {command} " in answer.out
    assert max(map(len, answer.out.splitlines())) <= 80


def test_the_words_of_the_process_are_taken_when_none_are_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tailrace", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"tailrace {__version__}\n"


@pytest.mark.parametrize("command", ["export", "verify", "inspect", "plugins", "plugins show", "demo", "completion"])
def test_every_command_has_a_help_page_in_eighty_columns(command: str, cli: Cli) -> None:
    answer = cli(*command.split(), "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: tailrace {command}")
    assert max(map(len, answer.out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            "exprot",
            'Unknown command "exprot". Did you mean "export"? Available commands: export, import, undo, convert, ',
            "See: tailrace --help",
        ),
        ("plugins lst", 'Unknown command "lst". Did you mean "list"?', "See: tailrace plugins --help"),
        ("export pool", "tailrace export needs --from.", "See: tailrace export --help"),
        ("export pool --from x", "tailrace export needs --format.", "See: tailrace export --help"),
        ("verify", "tailrace verify needs FILE.", "See: tailrace verify --help"),
        (
            "verify a b",
            "One file is verified at a time, and b is a second one.",
            "Increments are checked together: tailrace verify --chain PLACE...",
        ),
        ("verify a --jsno", "Unknown option: --jsno. Did you mean --json?", "See: tailrace verify --help"),
        (
            "export pool --from x --format csv --credentials none",
            'Invalid value "none" for --credentials. Choose from: "full", "sanitized", "reference".',
            "See: tailrace export --help",
        ),
        (
            "export pool --from x --format csv --compress-level 10",
            'Invalid value "10" for --compress-level. Choose from: 1, 2, 3, 4, 5, 6, 7, 8, 9, "fast".',
            "See: tailrace export --help",
        ),
        (
            "export pool --from x --format csv --limit -1",
            'Invalid value "-1" for --limit. Must be >= 0.',
            "See: tailrace export --help",
        ),
        (
            "export pool --from x --format csv --option delimiter",
            "Option '--option': expected name=value.",
            "For example: --option name=value",
        ),
        (
            "export pool --from x --format csv --map =x",
            "Option '--map': expected canonical=column.",
            "For example: --map canonical=column",
        ),
        ("export poool --from x --format csv", "There is no source 'poool'.", "Did you mean 'pool'? "),
        ("export lines --from x --format cvs", "There is no format 'cvs'.", "Did you mean 'csv'? "),
        ("plugins show cvs", "There is no plugin 'cvs'.", "Did you mean 'csv'? "),
        ("plugins show zzzzzz", "There is no plugin 'zzzzzz'.", "There is: "),
    ],
)
def test_wrong_words_are_two_and_say_what_would_be_right(words: str, message: str, hint: str, cli: Cli) -> None:
    answer = cli(*words.split())
    assert answer.code == 2
    assert answer.out == ""
    said, _, hinted = " ".join(answer.err.split()).removeprefix("error: ").partition(" hint: ")
    assert said.startswith(message)
    assert hinted.startswith(hint)
    assert max(map(len, answer.err.splitlines())) <= 80
    error = cli(*words.split(), "--json").document["error"]
    assert error["message"].startswith(message)
    assert error["hint"].startswith(hint)


def test_a_password_that_was_typed_in_the_wrong_place_does_not_come_back(cli: Cli) -> None:
    location = "postgresql://me:hunter2@db.example.com/log"
    for words in (
        ("export", "analytics", location, "--format", "csv"),
        ("export", "analytics", "--from", "x", location, "--format", "csv"),
        ("export", location, "--from", "x", "--format", "csv"),
        ("export", "lines", "--from", location, "--format", "csv", "--debug"),
        ("export", "lines", "--from", "x", "--format", "csv", "--option", location),
        (location,),
    ):
        for answer in (cli(*words), cli(*words, "--json")):
            assert answer.code in {1, 2}
            assert "hunter2" not in answer.out + answer.err, words


def test_what_fails_is_one(cli: Cli) -> None:
    answer = cli("export", "lines", "--from", "missing.txt", "--format", "csv")
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err == "error: There is no file missing.txt.\nhint:  Name one that is there.\n"


def test_json_is_one_document_also_for_errors_and_standard_error_stays_empty(cli: Cli) -> None:
    answer = cli("export", "lines", "--from", "missing.txt", "--format", "csv", "--json")
    assert answer.document["error"]["type"] == "SourceError"
    assert answer.err == ""
    assert cli("nonsense", "--json").document["error"]["type"] == "UsageError"


def test_debug_shows_where_an_error_came_from(cli: Cli) -> None:
    answer = cli("export", "lines", "--from", "missing.txt", "--format", "csv", "--debug")
    assert "Traceback (most recent call last):" in answer.err
    assert answer.err.endswith("error: There is no file missing.txt.\nhint:  Name one that is there.\n")


def test_the_settings_file_is_the_one_that_is_named(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "other.toml").write_text('[plugins]\nallow = ["format.csv"]\n')
    rows = cli("plugins", "list", "--config", "other.toml", "--json").document["plugins"]
    assert {row["name"] for row in rows if row["status"] != "denied"} == {"csv"}
    answer = cli("plugins", "list", "--config", "missing.toml")
    assert answer.code == 2
    assert answer.err == "error: The settings file missing.toml does not exist.\n"


def test_a_broken_settings_file_is_two(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "tailrace.toml").write_text("usr = 'me'\n")
    answer = cli("plugins", "list")
    assert answer.code == 2
    assert "The settings file tailrace.toml is not valid:" in answer.err
    assert "- unknown key 'usr', there is admins, brand, credentials, delivery, home," in answer.err


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(shell_name: str, cli: Cli) -> None:
    answer = cli("completion", shell_name)
    assert answer.code == 0
    for word in ("tailrace", "export", "plugins", "doctor", "--credentials", "sanitized"):
        assert word in answer.out


def test_bash_takes_the_completion_script(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "completion.bash").write_text(cli("completion", "bash").out)
    subprocess.run(["bash", "-n", "completion.bash"], check=True)


def test_the_module_is_the_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["tailrace", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("tailrace", run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"tailrace {__version__}\n"


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        ("x: 'NoSuchType' = 1", 1, "error: Something unexpected happened: NameError in "),
        ("pass\nraise KeyboardInterrupt", 1, "Stopped.\n"),
    ],
)
def test_the_unexpected_is_one_line_and_no_traceback(
    option: str, code: int, said: str, cli: Cli, distribute: Any, importable: Any, toys: Path
) -> None:
    source = (toys / "toy_slow.py").read_text().replace("    pass\n", f"    {option}\n", 1)
    importable(
        distribute(
            "odd", plugins={"format": {"odd": "odd_format"}}, modules={"odd_format": source}, folder=toys.parent / "odd"
        )
    )
    answer = cli("plugins", "show", "odd")
    assert answer.code == code
    assert answer.out == ""
    assert answer.err.startswith(said)
    assert "Traceback" not in answer.err


def test_warnings_of_the_library_are_shown(
    cli: Cli, distribute: Any, importable: Any, toys: Path, lines_file: Path
) -> None:
    code = "from tailrace import hookimpl\n@hookimpl\ndef tailrace_export_event(event): raise ValueError"
    importable(
        distribute(
            "grumpy",
            plugins={"hook": {"grumpy": "grumpy_hook"}},
            modules={"grumpy_hook": code},
            folder=toys.parent / "grumpy",
        )
    )
    answer = cli("export", "lines", "--from", lines_file, "--format", "csv", "--to", "out", "--no-estimate")
    assert answer.code == 0
    assert answer.err == "warning: The observer 'grumpy' raised ValueError; the export goes on.\n" * 2


# --- in processes of their own ------------------------------------------------------------------------------------


def test_a_reader_who_has_gone_is_no_error() -> None:
    for words in ("plugins show csv", "export --help", "completion bash"):
        command = f"{sys.executable} -m tailrace {words} 2>errors | head -c 1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        assert done.stdout[1:] == "0\n"
        assert Path("errors").read_text() == ""


def test_a_reader_who_was_never_there_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    for words in (["--version"], ["plugins", "list"], ["--help"]):
        done = subprocess.run(
            [sys.executable, "-m", "tailrace", *words], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    os.close(writing)


def test_what_a_plugin_prints_does_not_spoil_the_result(
    distribute: Any, shell: Cli, lines_file: Path, toys: Path
) -> None:
    code = (toys / "toy_lines.py").read_text().replace("@attrs.frozen", "print('HELLO')\n@attrs.frozen")
    code = code.replace("        yield Dataset", "        print('READING')\n        yield Dataset")
    folder = distribute(
        "chatty",
        plugins={"source": {"chatty": "chatty_lines"}},
        modules={"chatty_lines": code},
        folder=toys.parent / "chatty",
    )
    done = shell("export", "chatty", "--from", lines_file, "--format", "csv", "--to", "out", "--json", path=[folder])
    assert done.returncode == 0
    assert json.loads(done.stdout)["complete"] is True
    assert "HELLO" in done.stderr
    assert "READING" in done.stderr


def test_streams_that_are_closed_or_full(lines_file: Path, toys: Path) -> None:
    environ = os.environ | {"PYTHONPATH": str(toys)}

    def run(redirection: str, *more: str) -> "subprocess.CompletedProcess[str]":
        words = f"export lines --from {lines_file} --format csv --to out {' '.join(more)} {redirection}"
        command = f"exec {sys.executable} -m tailrace {words}"
        return subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, check=False)

    for redirection in (">&-", "2>&-", ">&- 2>&-", "2>/dev/full"):
        done = run(redirection)
        assert (done.returncode, "rror" in done.stdout + done.stderr) == (0, False), (redirection, done)
    assert len(list(Path("out").glob("*.gz"))) == 4
    for more in ((), ("--json",)):
        done = run(">/dev/full", *more)
        assert done.returncode == 1
        told = " ".join(done.stderr.split())
        assert "error: The result cannot be written to standard output: No space left on device." in told
        assert "Traceback" not in told

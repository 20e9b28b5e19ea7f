"""Templates on the command line, and exports that go to a worker."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., Any]

SECRET = "S3cret-canary"


@pytest.fixture
def saved(cli: Cli, lines_file: Path) -> None:
    """A template ``words``: lines.txt as CSV into the folder out."""
    answer = cli(
        "templates", "save", "words", "lines", "--from", lines_file, "--format", "csv", "--to", "out",
        "--option", "delimiter=;", "--no-compress", "--where", "line != 'two'", "--description", "No two",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "Saved the template words, for its owner only.",
        "Use it: tailrace export --template words",
    ]


def exported(answer: Any) -> str:
    assert answer.code == 0, answer.out
    path = Path(answer.document["artifacts"][0]["path"])
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode()


@pytest.mark.usefixtures("saved")
def test_a_template_is_exported_with(cli: Cli, elsewhere: Path) -> None:
    answer = cli("export", "--template", "words")
    assert answer.code == 0
    assert answer.out.startswith("Exported lines as 1 file in ")
    (file,) = (elsewhere / "out").glob("*.csv")
    assert file.read_text() == "line\none\nthree\n"


@pytest.mark.usefixtures("saved")
def test_what_is_given_takes_the_place_of_what_the_template_says(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "other.txt").write_text("two\nfour\nfive\n")
    words = ("export", "--template", "words", "--json")
    assert exported(cli(*words)) == "line\none\nthree\n"
    assert exported(cli(*words, "--from", "other.txt")) == "line\nfour\nfive\n"
    assert exported(cli(*words, "--where", "line != 'one'")) == "line\ntwo\nthree\n"
    assert exported(cli(*words, "--without", "where")) == "line\none\ntwo\nthree\n"
    assert exported(cli(*words, "--limit", "1", "--columns", "word=line")) == "word\none\n"
    twice = (*words, "--columns", "a=line,line")
    assert exported(cli(*twice, "--option", "shout=true")) == "a;line\nONE;ONE\nTWO;TWO\nTHREE;THREE\n"
    assert exported(cli(*twice, "--option", "csv.delimiter=|")) == "a|line\none|one\nthree|three\n"
    assert exported(cli(*words, "lines", "--compress", "--to", "packed")) == "line\none\nthree\n"
    assert len(list((elsewhere / "packed").glob("*.csv.gz"))) == 1
    document = json.loads(exported(cli(*words, "--format", "json")))
    assert [row["line"] for row in document["lines"]] == ["one", "three"]
    # None of it changed the template.
    assert exported(cli(*words)) == "line\none\nthree\n"


@pytest.mark.usefixtures("saved")
def test_the_job_says_which_template_it_was_made_from(cli: Cli) -> None:
    document = cli("export", "--template", "words", "--background", "--json").document
    assert document["job"]["template"] == "words"


@pytest.mark.usefixtures("saved")
def test_templates_are_listed_and_shown(cli: Cli, lines_file: Path) -> None:
    heading, row = cli("templates", "list").out.splitlines()
    assert heading.split() == ["name", "owner", "for", "exports", "description"]
    assert row.split() == ["words", "tester", "owner", "lines", "as", "csv", "No", "two"]
    told = cli("templates", "show", "words").out
    assert max(map(len, told.splitlines())) <= 80 or str(lines_file) in told
    shown = [line.split(maxsplit=1) for line in told.splitlines() if line.startswith("  ")]
    assert ["source", "lines"] in shown
    assert ["where", "line != 'two'"] in shown
    assert ["to", "disk:out"] in shown
    assert ["option", "delimiter=;"] in shown
    assert ["compress", "no"] in shown
    listed = cli("templates", "list", "--json").document["templates"]
    assert listed == [cli("templates", "show", "tester/words", "--json").document["template"]]
    assert listed[0]["request"]["location"] == str(lines_file)


def test_no_template_is_said(cli: Cli) -> None:
    answer = cli("templates", "list")
    assert answer.out.startswith("There is no template. Save one: tailrace templates save")
    assert cli("templates", "list", "--json").document == {"templates": []}
    answer = cli("export", "--template", "nightly")
    assert answer.code == 2
    assert "There is no template 'nightly'." in answer.err


@pytest.mark.usefixtures("saved")
def test_a_template_is_edited_and_deleted(cli: Cli) -> None:
    answer = cli("templates", "edit", "words", "--where", "line == 'one'", "--public", "--rename", "ones")
    assert (answer.code, answer.out) == (0, "Changed the template tester/ones, for everybody.\n")
    assert exported(cli("export", "--template", "ones", "--json")) == "line\none\n"
    answer = cli("templates", "edit", "ones", "--without", "where", "--private", "--description", "", "--json")
    template = answer.document["template"]
    assert (template["public"], template["description"], template["request"]["where"]) == (False, "", [])
    assert exported(cli("export", "--template", "ones", "--json")) == "line\none\ntwo\nthree\n"
    assert cli("templates", "delete", "ones").out == "Deleted the template ones.\n"
    assert cli("templates", "delete", "ones").code == 2
    assert cli("templates", "list", "--json").document == {"templates": []}


@pytest.mark.usefixtures("saved")
def test_a_name_is_taken_until_it_is_to_be_replaced(cli: Cli, lines_file: Path) -> None:
    words = ("templates", "save", "words", "lines", "--from", lines_file, "--format", "json", "--json")
    answer = cli(*words)
    assert answer.code == 1
    assert answer.document["error"]["message"] == "tester has a template 'words' already."
    assert cli(*words, "--replace").document["template"]["request"]["format"] == "json"


@pytest.mark.usefixtures("saved")
def test_others_use_what_is_public_and_change_nothing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAILRACE_USER", "bob")
    answer = cli("export", "--template", "tester/words")
    assert answer.code == 3
    assert cli("export", "--template", "words").code == 2
    monkeypatch.setenv("TAILRACE_USER", "tester")
    assert cli("templates", "edit", "words", "--public").code == 0
    monkeypatch.setenv("TAILRACE_USER", "bob")
    assert exported(cli("export", "--template", "words", "--json")) == "line\none\nthree\n"
    assert cli("templates", "edit", "words", "--limit", "1").code == 3
    assert cli("templates", "delete", "words").code == 3
    monkeypatch.setenv("TAILRACE_ADMINS", "bob")
    assert cli("templates", "delete", "tester/words").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("export", "tailrace export needs SOURCE."),
        ("export lines", "tailrace export needs --from."),
        ("export lines --from x", "tailrace export needs --format."),
        ("export lines --from x --format csv --without where", "--without leaves out what a template says, and there"),
        ("export --template x --without wher", 'Invalid value "wher" for --without.'),
        ("export lines --from x --format csv --background --wait", "--background and --wait exclude each other."),
        ("export lines --from x --format csv --limit none", "Invalid value for --limit: unable to convert"),
        ("templates save", "tailrace templates save needs NAME."),
        ("templates save x", "tailrace templates save needs SOURCE."),
        ("templates save x lines", "tailrace templates save needs --from."),
        ("templates save x lines --from y", "tailrace templates save needs --format."),
        ("templates save x lines --from y --format cvs", "There is no format 'cvs'."),
        ("templates save .x lines --from y --format csv", "The name of a template is 1 to 100 letters, digits, dots,"),
        ("templates edit x", "There is nothing to change."),
        ("templates edit x --public", "There is no template 'x'."),
        ("templates show x", "There is no template 'x'."),
    ],
)
def test_wrong_words_are_two_and_say_what_would_be_right(words: str, message: str, cli: Cli) -> None:
    answer = cli(*words.split())
    assert answer.code == 2
    assert answer.out == ""
    said = " ".join(answer.err.split()).removeprefix("error: ")
    assert said.startswith(message)
    assert "hint:" in answer.err
    assert max(map(len, answer.err.splitlines())) <= 80


def test_a_filter_that_cannot_be_read_is_not_saved(cli: Cli) -> None:
    answer = cli("templates", "save", "x", "lines", "--from", "y", "--format", "csv", "--where", "line == 'one")
    assert answer.code == 2
    assert answer.err.startswith("error: This text is not closed:")


@pytest.mark.parametrize("command", ["export", "templates save", "templates edit", "templates list", "templates show"])
def test_help_pages_fit_eighty_columns(command: str, cli: Cli) -> None:
    answer = cli(*command.split(), "--help")
    assert answer.code == 0
    assert max(map(len, answer.out.splitlines())) <= 80
    if command not in {"templates list", "templates show"}:
        for option in ("--from", "--where", "--format", "--to", "--no-compress", "--credentials"):
            assert option in answer.out


@pytest.mark.parametrize(
    "option",
    [
        "--to=../x",
        "--to=disk:a/../b",
        "--option=pattern=../x",
        "--option=pattern=/abs",
        "--option=pattern={user.__class__}",
        "--option=filename=../x",
        "--option=root=../x",
    ],
)
def test_patterns_are_checked_when_saved(option: str, cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    answer = cli("templates", "save", "x", "lines", "--from", lines_file, "--format", "csv", option)
    assert answer.code in {2, 3}
    assert "hint:" in answer.err
    assert list(elsewhere.iterdir()) == [lines_file]
    assert cli("templates", "list", "--json").document == {"templates": []}


def test_secrets_of_a_template_are_shown_nowhere(cli: Cli, tmp_path: Path) -> None:
    location = f"postgresql://u:{SECRET}@db.example.com/log?password={SECRET}"
    said = [
        cli("templates", "save", "x", "analytics", "--from", location, "--format", "csv", "--to", "out", *more)
        for more in ((), ("--replace", "--json"))
    ]
    said += [cli("templates", "edit", "x", "--limit", "1", *more) for more in ((), ("--json",))]
    said += [cli("templates", action, *more) for action in ("list",) for more in ((), ("--json",))]
    said += [cli("templates", "show", "x", *more) for more in ((), ("--json",))]
    assert {answer.code for answer in said} == {0}
    assert SECRET not in "".join(answer.out + answer.err for answer in said)
    assert "db.example.com" in said[-1].out
    for file in (tmp_path / "home").rglob("*"):
        assert file.is_dir() or SECRET.encode() not in file.read_bytes(), file


def test_a_password_is_not_asked_for_when_a_template_is_saved(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_words: object, **_more: object) -> str:
        raise AssertionError

    monkeypatch.setattr("tailrace.cli.passwords.ask", ask)
    words = ("--from", "proxies.txt", "--format", "json", "--credentials", "full", "--opener", "password")
    assert cli("templates", "save", "backup", "pool", *words).code == 0


def test_what_is_submitted_is_said_and_how_to_follow_it(cli: Cli, lines_file: Path, elsewhere: Path) -> None:
    words = ("export", "lines", "--from", lines_file, "--format", "csv", "--to", "out", "--background")
    answer = cli(*words)
    assert answer.code == 0
    submitted, follow = answer.out.splitlines()
    job = submitted.removeprefix("Submitted as job ").removesuffix(".")
    assert follow == f"Follow it: tailrace jobs watch {job}"
    assert "No worker is running to carry it out. Start one: tailrace worker" in " ".join(answer.err.split())
    assert not (elsewhere / "out").exists()
    document = cli(*words, "--json").document
    assert set(document) == {"job"}
    assert (document["job"]["state"], document["job"]["creator"]) == ("pending", "tester")
    assert document["job"]["template"] is None


def test_size_decides_where_nobody_says(cli: Cli, lines_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("export", "lines", "--from", lines_file, "--format", "csv", "--to", "out", "--json")
    assert "artifacts" in cli(*words).document
    monkeypatch.setenv("TAILRACE_JOBS_BACKGROUND_FROM", "10")
    assert "job" in cli(*words).document
    assert "artifacts" in cli(*words, "--wait").document
    assert "estimate" in cli(*words, "--estimate").document
    # Nothing is known of its size.
    assert "artifacts" in cli(*words, "--no-estimate").document
    assert "artifacts" in cli(*words, "--quiet").document
    assert "job" in cli(*words, "--no-estimate", "--background").document


def test_what_needs_a_password_waits_for_it_here(cli: Cli, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def ask(*words: object, **_more: object) -> str:
        asked.append(words)
        return "correct horse battery staple"

    monkeypatch.setattr("tailrace.cli.passwords.ask", ask)
    monkeypatch.setenv("TAILRACE_JOBS_BACKGROUND_FROM", "10")
    (elsewhere / "proxies.txt").write_text("http://ada:S3cret-word@192.0.2.1:8080\n")
    words = ("export", "pool", "--from", "proxies.txt", "--format", "json", "--credentials", "full", "--json")
    assert "artifacts" in cli(*words, "--opener", "password").document
    assert asked
    asked.clear()
    answer = cli(*words, "--opener", "password", "--background")
    assert answer.code == 2
    assert asked == []
    assert "cannot be asked for in the background" in answer.document["error"]["message"]

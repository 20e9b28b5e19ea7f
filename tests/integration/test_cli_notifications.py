"""``tailrace notifications``, and ``--notify`` of exports and templates."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOVES = """
import json
from pathlib import Path
import attrs
from tailrace import Receipt, RequestError, hookimpl

@attrs.frozen
class Options:
    pass

class Doves:
    summary = "Carries messages to a file."
    options_type = Options

    def staging(self, call):
        return None

    def deliver(self, call):
        raise NotImplementedError

    def addressee(self, target, settings):
        if not target:
            raise RequestError("A dove has to know where to fly.", hint="Name somebody: dove:ann")
        return target.partition("?")[0]

    def send(self, call):
        with Path(PLACE).open("a") as file:
            said = [call.target, call.message.event, call.message.subject, call.message.text]
            file.write(json.dumps(said) + "\\\\n")
        return Receipt("dove", delivered=True)

@hookimpl
def tailrace_sink():
    return Doves()
"""


@pytest.fixture
def heard(distribute: Any, importable: Any, tmp_path: Path) -> Callable[[], list[list[str]]]:
    """What doves brought: target, event, subject and text."""
    place = tmp_path / "heard.jsonl"
    code = DOVES.replace("PLACE", repr(str(place))).replace("\\\\n", "\\n")
    importable(
        distribute(
            "tailrace-doves",
            plugins={"sink": {"dove": "toy_doves"}},
            modules={"toy_doves": code},
            folder=tmp_path / "doves",
        )
    )
    return lambda: [json.loads(line) for line in place.read_text().splitlines()] if place.exists() else []


Export = Callable[..., Any]


@pytest.fixture
def export(cli: Any, lines_file: Path) -> Export:
    """Exports three lines."""

    def call(*words: object) -> Any:
        options = ("--option", "overwrite=true", "--option", "filename=x.csv", "--quiet")
        return cli("export", "lines", "--from", lines_file, "--format", "csv", "--to", "out", *options, *words)

    return call


def work(cli: Any) -> None:
    assert cli("worker", "--until-idle").code == 0


def test_what_one_was_told_is_listed_and_marked_as_read(cli: Any, export: Export) -> None:
    assert cli("notifications", "list").out == "You were not told anything yet.\n"
    for _ in range(2):
        assert export("--background").code == 0
    work(cli)
    listed = cli("notifications", "list")
    assert listed.code == 0
    first, text, job, *_rest = listed.out.splitlines()
    assert first.startswith("2  20")
    assert first.endswith(" UTC  completed  new")
    assert text == "  Your export of lines as csv is ready: 3 rows."
    assert job.startswith("  job ")
    assert max(map(len, listed.out.splitlines())) <= 80
    assert cli("notifications", "read", 1).out == "Marked 1 notification as read.\n"
    assert cli("notifications", "list", "--unread").out.splitlines() == listed.out.splitlines()[:3]
    assert len(cli("notifications", "list", "--limit", 1).out.splitlines()) == 3
    document = cli("notifications", "list", "--json").document
    assert [(one["number"], one["event"], one["read"] is None) for one in document["notifications"]] == [
        (2, "completed", True),
        (1, "completed", False),
    ]
    assert cli("notifications", "read", "--all", "--json").document == {"read": 1}
    assert cli("notifications", "list", "--unread").out == "There is nothing new.\n"
    assert "new" not in cli("notifications", "list").out


@pytest.mark.parametrize("words", [(), ("1", "--all")], ids=["neither", "both"])
def test_what_is_marked_has_to_be_said(cli: Any, words: tuple[str, ...]) -> None:
    answer = cli("notifications", "read", *words)
    assert answer.code == 2
    assert "needs numbers, or --all; not both" in answer.err


def test_how_one_wishes_to_be_told_is_said_and_shown(cli: Any, export: Export, heard: Any) -> None:
    default = "You are told what becomes of your exports:\n  in-app\n"
    assert cli("notifications", "prefer").out == default
    said = cli("notifications", "prefer", "--notify", "dove:ann?door=4711", "--notify", "in-app", "--on", "failed")
    assert said.out == "You are told what becomes of your exports:\n  dove:ann (failed)\n  in-app (failed)\n"
    assert cli("notifications", "prefer").out == said.out
    export("--background")
    work(cli)
    assert heard() == []
    assert cli("notifications", "prefer", "--notify", "dove:ann?door=4711", "--json").document == {
        "notify": [
            {"channel": "dove", "target": "ann", "on": ["completed", "failed", "partly delivered"]},
        ]
    }
    export("--background")
    work(cli)
    ((target, event, subject, text),) = heard()
    assert (target, event) == ("ann?door=4711", "completed")
    assert subject == "Tailrace: your export of lines as csv is ready"
    assert text.startswith("Your export of lines as csv is ready: 3 rows.\nGet it: tailrace jobs download ")
    assert cli("notifications", "prefer", "--none").out == "You are told nothing.\n"
    assert cli("notifications", "prefer").out == "You are told nothing.\n"
    assert cli("notifications", "prefer", "--default").out == default


def test_an_export_says_who_is_told(cli: Any, export: Export, heard: Any) -> None:
    assert export("--notify", "dove:ann", "--notify", "in-app", "--notify-on", "completed,partly-delivered").code == 0
    assert [(target, event) for target, event, *_ in heard()] == [("ann", "completed")]
    assert len(cli("notifications", "list", "--json").document["notifications"]) == 1
    shown = cli("jobs", "list", "--json").document["jobs"][0]
    assert shown["request"]["notify"] == [
        {"channel": "dove", "target": "ann", "on": ["completed", "partly delivered"]},
        {"channel": "in-app", "target": None, "on": ["completed", "partly delivered"]},
    ]
    export("--background", "--notify", "nobody")
    work(cli)
    assert len(cli("notifications", "list", "--json").document["notifications"]) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--notify", "dove"), "A dove has to know where to fly."),
        (("--notify", "crow:ann"), "crow"),
        (("--notify", "disk:ann"), "The sink disk delivers files, and carries no messages."),
        (("--notify", "nobody", "--notify", "in-app"), "tells nobody, and something else is said besides"),
        (("--notify-on", "failed"), "--notify-on says about what, and nobody is to be told."),
        (("--notify", "in-app", "--notify-on", "sunday"), "there is no 'sunday'"),
    ],
    ids=["no target", "no sink", "no messenger", "contradiction", "nobody", "no event"],
)
@pytest.mark.usefixtures("heard")
def test_who_cannot_be_told_is_said(cli: Any, export: Export, words: tuple[str, ...], said: str) -> None:
    answer = export(*words)
    assert answer.code != 0
    assert said in " ".join(answer.err.split())
    assert cli("jobs", "list", "--json").document["jobs"] == []
    if "--notify-on" not in words:
        assert cli("notifications", "prefer", *words).code != 0


def test_preferences_that_exclude_each_other_are_refused(cli: Any) -> None:
    for words in (("--none", "--default"), ("--none", "--notify", "in-app"), ("--default", "--on", "failed")):
        answer = cli("notifications", "prefer", *words)
        assert answer.code == 2
        assert "exclude each other" in answer.err


def test_a_template_says_who_is_told(cli: Any, lines_file: Path, heard: Any) -> None:
    words = ("--from", lines_file, "--format", "csv", "--to", "out", "--option", "overwrite=true")
    saved = cli("templates", "save", "nightly", "lines", *words, "--notify", "dove:ann?door=4711")
    assert saved.code == 0
    shown = cli("templates", "show", "nightly")
    assert "notify" in shown.out
    assert "dove:ann\n" in shown.out
    assert "4711" not in shown.out
    assert cli("export", "--template", "nightly", "--quiet").code == 0
    assert [target for target, *_ in heard()] == ["ann?door=4711"]
    assert cli("export", "--template", "nightly", "--quiet", "--notify", "dove:bea").code == 0
    assert [target for target, *_ in heard()] == ["ann?door=4711", "bea"]
    assert cli("templates", "edit", "nightly", "--notify", "nobody").code == 0
    assert "nobody" in cli("templates", "show", "nightly").out
    assert cli("templates", "edit", "nightly", "--without", "notify").code == 0
    assert "notify" not in cli("templates", "show", "nightly").out
    assert cli("export", "--template", "nightly", "--quiet").code == 0
    assert len(heard()) == 2

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FIRST_PARTY = [
    ("source", "analytics"),
    ("source", "dashboard"),
    ("source", "health"),
    ("source", "pool"),
    ("format", "csv"),
    ("format", "excel"),
    ("format", "html"),
    ("format", "json"),
    ("format", "pdf"),
    ("sink", "disk"),
    ("sink", "email"),
    ("sink", "webhook"),
]
Cli = Callable[..., Any]


def test_the_list_names_kind_name_status_and_distribution(cli: Cli) -> None:
    answer = cli("plugins", "list")
    assert answer.code == 0
    heading, *rows = answer.out.splitlines()
    assert heading.split() == ["kind", "name", "status", "distribution"]
    assert ["format", "csv", "available", "tailrace-format-csv", "0.1.0"] in [row.split() for row in rows]
    assert ["sink", "nowhere", "available", "tailrace-toys", "0.1"] in [row.split() for row in rows]
    assert max(map(len, answer.out.splitlines())) <= 80


def test_the_list_as_json(cli: Cli) -> None:
    rows = cli("plugins", "list", "--json").document["plugins"]
    assert [(row["kind"], row["name"]) for row in rows if row["distribution"] != "tailrace-toys"] == FIRST_PARTY
    assert next(row for row in rows if row["name"] == "lines") == {
        "name": "lines",
        "kind": "source",
        "status": "available",
        "distribution": "tailrace-toys",
        "version": "0.1",
        "target": "toy_lines",
        "reason": "",
    }


def test_the_list_says_why_a_plugin_is_not_used(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "tailrace.toml").write_text('[plugins]\ndeny = ["sink.nowhere"]\n')
    answer = cli("plugins", "list")
    assert answer.code == 0
    assert answer.out.splitlines()[-1] == "sink nowhere of tailrace-toys: denied by 'sink.nowhere' in plugins.deny."


def test_a_list_of_nothing_says_how_to_begin(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    assert cli("plugins", "list").out == "No plugin is installed. Start with: pip install tailrace\n"


def test_show_describes_options_by_their_class(cli: Cli) -> None:
    answer = cli("plugins", "show", "lines")
    assert answer.code == 0
    assert answer.out.splitlines() == [
        "source lines",
        "The lines of a text file.",
        "From tailrace-toys 0.1.",
        "",
        "  option  type           default  what it does",
        "  shout   true or false  false    Read everything as capitals.",
        "",
        "Set with --option shout=… or --option lines.shout=…",
    ]
    (plugin,) = cli("plugins", "show", "source.lines", "--json").document["plugins"]
    assert plugin["options"] == [
        {
            "name": "shout",
            "type": "true or false",
            "default": False,
            "required": False,
            "help": "Read everything as capitals.",
        }
    ]


def test_a_plugin_without_options_and_an_observer(cli: Cli, distribute: Any, importable: Any, tmp_path: Path) -> None:
    assert cli("plugins", "show", "nowhere").out.splitlines()[-1] == "It has no options."
    code = "from tailrace import hookimpl\n@hookimpl\ndef tailrace_export_event(event): ..."
    importable(
        distribute(
            "watch",
            plugins={"hook": {"watch": "shown_watch"}},
            modules={"shown_watch": code},
            folder=tmp_path / "watch",
        )
    )
    assert cli("plugins", "show", "watch").out.splitlines() == [
        "hook watch",
        "Observes exports.",
        "From watch 1.0.",
        "It has no options.",
    ]


def test_required_options_and_namesakes_are_shown(cli: Cli, distribute: Any, importable: Any, toys: Path) -> None:
    code = (toys / "toy_lines.py").read_text().replace("default=False, help", "help")
    format_code = (toys / "toy_slow.py").read_text()
    importable(
        distribute(
            "namesakes",
            plugins={"source": {"same": "same_source"}, "format": {"same": "same_format"}},
            modules={"same_source": code, "same_format": format_code},
            folder=toys.parent / "namesakes",
        )
    )
    out = cli("plugins", "show", "same").out
    assert out.startswith("source same\n")
    assert "\n\nformat same\n" in out
    assert "  shout   true or false  required  Read everything as capitals." in out.splitlines()


@pytest.mark.parametrize(("kind", "name"), FIRST_PARTY)
def test_every_first_party_plugin_can_be_shown(kind: str, name: str, cli: Cli) -> None:
    answer = cli("plugins", "show", f"{kind}.{name}")
    assert answer.code == 0
    assert answer.out.startswith(f"{kind} {name}\n")
    assert max(map(len, answer.out.splitlines())) <= 80
    assert all(option["help"] for option in cli("plugins", "show", name, "--json").document["plugins"][0]["options"])


def test_the_doctor_finds_nothing_wrong_with_the_first_party_plugins(cli: Cli) -> None:
    answer = cli("plugins", "doctor")
    assert answer.code == 0, answer.out
    assert answer.out.splitlines()[-1] == "Nothing is wrong."
    assert max(map(len, answer.out.splitlines())) <= 80


def test_the_doctor_says_what_is_wrong_and_how_to_mend_it(
    cli: Cli, distribute: Any, importable: Any, tmp_path: Path
) -> None:
    importable(
        distribute(
            "ill",
            plugins={"format": {"ill": "ill_format"}},
            modules={"ill_format": "import not_there"},
            folder=tmp_path / "ill",
        )
    )
    answer = cli("plugins", "doctor")
    assert answer.code == 1
    assert answer.out.splitlines()[-1] == "1 to mend."
    assert "No module named 'not_there'" in " ".join(answer.out.split())
    document = cli("plugins", "doctor", "--json")
    assert document.code == 1
    assert document.document["ok"] is False
    (found,) = [one for one in document.document["findings"] if one["subject"] == "format.ill"]
    assert found == {
        "subject": "format.ill",
        "verdict": "problem",
        "message": "ill==1.0: it cannot be imported: ModuleNotFoundError: No module named 'not_there'",
        "remedy": (
            "It needs the module 'not_there'. Try pip install --upgrade ill; "
            'to do without it, put "format.ill" into plugins.deny.'
        ),
    }


def test_the_doctor_reads_the_settings_of_sinks_before_something_is_delivered(cli: Cli, elsewhere: Path) -> None:
    (elsewhere / "tailrace.toml").write_text("[sinks.email]\nprt = 1\n[sinks.webhok]\nsecrets = []\n")
    answer = cli("plugins", "doctor", "--json")
    assert answer.code == 1
    said = {finding["subject"]: finding for finding in answer.document["findings"] if finding["verdict"] == "problem"}
    assert "unknown key 'prt'" in said["sinks.email"]["message"]
    assert said["settings"]["remedy"] == "Did you mean [sinks.webhook]?"

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tailrace.plugins.doctor import Finding, check_pluggy, check_sqlite, examine
from tailrace.plugins.registry import Registry
from tailrace.plugins.selection import PluginSelection

FORMAT = """
import attrs
from tailrace import hookimpl
PRINT
@attrs.frozen
class Options:
    OPTION

class Words:
    summary = "One word per line."
    options_type = Options
    def layout(self, options): ...
    def write(self, call): ...
    def count_rows(self, call): ...

@hookimpl
def tailrace_format():
    return Words()
"""

Offer = Callable[..., None]


@pytest.fixture
def offer(distribute: Any, importable: Any) -> Offer:
    def make(name: str, code: str, *, distribution: str = "", folder: Path | None = None) -> None:
        module = f"{(distribution or name).replace('-', '_')}_doctored"
        importable(
            distribute(distribution or name, plugins={"format": {name: module}}, modules={module: code}, folder=folder)
        )

    return make


def finding(registry: Registry, subject: str) -> Finding:
    (found,) = [one for one in examine(registry) if one.subject == subject]
    return found


def code(*, printing: str = "", option: str = "pass") -> str:
    return FORMAT.replace("PRINT", printing).replace("OPTION", option)


def test_a_healthy_plugin_is_fine(offer: Offer) -> None:
    offer("fine", code())
    assert finding(Registry(), "format.fine") == Finding("format.fine", "ok", "fine==1.0")


def test_a_plugin_that_prints_when_imported_is_noticed_and_not_heard(
    offer: Offer, capsys: pytest.CaptureFixture[str]
) -> None:
    offer("chatty", code(printing="print('hello')"))
    found = finding(Registry(), "format.chatty")
    assert (found.verdict, found.message) == ("warning", "chatty==1.0 prints when it is imported")
    assert capsys.readouterr().out == ""


def test_a_plugin_that_cannot_be_imported_is_a_problem_with_a_remedy(offer: Offer) -> None:
    offer("broken", "raise ValueError('no')")
    assert finding(Registry(), "format.broken") == Finding(
        "format.broken",
        "problem",
        "broken==1.0: it raised ValueError: no when it was imported",
        'Try pip install --upgrade broken; to do without it, put "format.broken" into plugins.deny.',
    )


def test_options_that_cannot_be_described_are_a_problem(offer: Offer) -> None:
    offer("vague", code(option="x: 'NoSuchType' = 1"))
    found = finding(Registry(), "format.vague")
    assert found.verdict == "problem"
    assert found.message == (
        "the options of vague==1.0 cannot be described: NameError: name 'NoSuchType' is not defined"
    )
    assert found.remedy == "Try pip install --upgrade vague."


def test_a_conflict_is_a_problem_for_both_and_a_denied_plugin_is_left_alone(offer: Offer, tmp_path: Path) -> None:
    offer("rival", code(), distribution="rival-one", folder=tmp_path / "one")
    offer("rival", code(), distribution="rival-two", folder=tmp_path / "two")
    findings = [one for one in examine(Registry()) if one.subject == "format.rival"]
    assert [(one.verdict, one.message) for one in findings] == [
        ("problem", "rival-one==1.0: also offered by rival-two==1.0"),
        ("problem", "rival-two==1.0: also offered by rival-one==1.0"),
    ]
    denied = Registry(PluginSelection(deny=("rival-one",)))
    assert [(one.verdict, one.message) for one in examine(denied) if one.subject == "format.rival"] == [
        ("ok", "rival-one==1.0, not used: denied by 'rival-one' in plugins.deny"),
        ("ok", "rival-two==1.0"),
    ]


def test_an_observer_has_no_options_to_describe(distribute: Any, importable: Any) -> None:
    source = "from tailrace import hookimpl\n@hookimpl\ndef tailrace_export_event(event): ..."
    importable(distribute("watch", plugins={"hook": {"watch": "watch_doctored"}}, modules={"watch_doctored": source}))
    assert finding(Registry(), "hook.watch").verdict == "ok"


def test_settings_that_fit_nothing_are_pointed_out() -> None:
    found = finding(Registry(PluginSelection(deny=("csvv",)), discover=False), "settings")
    assert (found.verdict, found.message) == ("warning", "plugins.deny: 'csvv' fits no installed plugin")


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        ((3, 6, 23), "ok"),
        ((3, 7, 0), "warning"),
        ((3, 40, 1), "warning"),
        ((3, 44, 5), "warning"),
        ((3, 44, 6), "ok"),
        ((3, 45, 0), "warning"),
        ((3, 50, 6), "warning"),
        ((3, 50, 7), "ok"),
        ((3, 51, 2), "warning"),
        ((3, 51, 3), "ok"),
        ((3, 52, 0), "ok"),
    ],
)
def test_releases_of_sqlite_that_can_corrupt_a_wal_database_are_known(version: tuple[int, ...], verdict: str) -> None:
    assert check_sqlite(version).verdict == verdict


@pytest.mark.parametrize(("version", "verdict"), [("1.6.0", "problem"), ("1.7.0", "ok"), ("1.10", "ok"), ("2.0", "ok")])
def test_an_old_pluggy_is_a_problem(version: str, verdict: str) -> None:
    found = check_pluggy(version)
    assert found.verdict == verdict
    assert bool(found.remedy) == (verdict == "problem")

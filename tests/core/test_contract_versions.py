"""Plugins say which version of the contract they were written for, and hear of what is going to be taken away."""

import logging
import warnings
from types import SimpleNamespace
from typing import Any

import pluggy
import pytest
from tailrace_sdk.fakes import LinesFormat

import tailrace
from tailrace import PluginContractError, PluginLoadError, hookimpl
from tailrace.plugins import loading
from tailrace.plugins.contract import CONTRACT, refusal
from tailrace.plugins.doctor import examine
from tailrace.plugins.hookspecs import PROJECT
from tailrace.plugins.registry import Registry


@pytest.mark.parametrize("stated", [None, "1.0", "1.7", "2.0", "2.3"])
def test_plugins_of_this_major_version_and_the_one_before_are_taken(stated: str | None) -> None:
    assert refusal(stated, offered="2.3", oldest_major=1) == ""


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        ("0.9", "it was written for the contract 0.9 of plugins, and this Tailrace takes 1.0 to 2.3"),
        ("2.4", "it was written for the contract 2.4 of plugins, and this Tailrace has 2.3"),
        ("3.0", "it was written for the contract 3.0 of plugins, and this Tailrace has 2.3"),
        ("2", "its tailrace_contract is not a version such as '2.3'"),
        ("2.3.1", "its tailrace_contract is not a version such as '2.3'"),
        (2.3, "its tailrace_contract is not a version such as '2.3'"),
        ("", "its tailrace_contract is not a version such as '2.3'"),
    ],
)
def test_others_are_refused_with_the_reason(stated: object, reason: str) -> None:
    assert refusal(stated, offered="2.3", oldest_major=1) == reason


def plugin(**more: Any) -> SimpleNamespace:
    lines = LinesFormat()
    return SimpleNamespace(tailrace_format=hookimpl(lambda: lines), **more)


def test_the_version_is_public_and_its_own_plugins_are_taken() -> None:
    assert tailrace.CONTRACT == CONTRACT
    registry = Registry(explicit=[("lines", plugin(tailrace_contract=CONTRACT))], discover=False)
    assert registry.format("lines").outdated == ()


def test_a_plugin_for_a_later_contract_says_so_when_it_is_asked_for(distribute: Any, importable: Any) -> None:
    module = "from types import SimpleNamespace\ntailrace_contract = '9.0'\n"
    importable(distribute("later-lines", plugins={"format": {"lines": "later_lines"}}, modules={"later_lines": module}))
    registry = Registry()
    with pytest.raises(PluginContractError) as refused:
        registry.format("lines")
    assert f"it was written for the contract 9.0 of plugins, and this Tailrace has {CONTRACT}" in refused.value.message
    assert "pip install --upgrade tailrace-core" in refused.value.hint
    (finding,) = [one for one in examine(registry) if one.subject == "format.lines"]
    assert (finding.verdict, "contract 9.0" in finding.message) == ("problem", True)


def test_what_an_application_hands_over_is_mended_there() -> None:
    registry = Registry(explicit=[("lines", plugin(tailrace_contract="0.1"))], discover=False)
    with pytest.raises(PluginContractError) as refused:
        registry.format("lines")
    assert refused.value.hint == "The application handed it over: mend it there."


def test_a_misspelt_hook_is_told_though_it_is_the_only_one() -> None:
    with pytest.raises(PluginLoadError) as refused:
        Registry(explicit=[("lines", SimpleNamespace(tailrace_fromat=hookimpl(lambda: None)))], discover=False)
    assert "a hook that does not exist: 'tailrace_fromat' (did it mean 'tailrace_format'?)" in refused.value.message


class OldSpecifications:
    """Hooks of a made-up version, one of whose arguments is going to be taken away."""

    @staticmethod
    @pluggy.HookspecMarker(PROJECT)
    def tailrace_format() -> Any:
        """Nothing changed here."""

    @staticmethod
    @pluggy.HookspecMarker(PROJECT)
    def tailrace_source() -> Any:
        """Nothing changed here."""

    @staticmethod
    @pluggy.HookspecMarker(PROJECT)
    def tailrace_sink() -> Any:
        """Nothing changed here."""

    @staticmethod
    @pluggy.HookspecMarker(PROJECT)
    def tailrace_metrics() -> Any:
        """Nothing changed here."""

    @staticmethod
    @pluggy.HookspecMarker(PROJECT)(
        warn_on_impl_args={"moment": DeprecationWarning("it is an attribute of event; gone in contract 2.0")}
    )
    def tailrace_export_event(event: Any, moment: Any) -> None:
        """Told the moment beside the event."""


def test_an_argument_that_is_going_to_be_taken_away_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    make = loading.new_manager
    monkeypatch.setattr(loading, "new_manager", lambda: make(OldSpecifications))

    @hookimpl
    def tailrace_export_event(event: Any, moment: Any) -> None:
        """Take both."""

    old = SimpleNamespace(tailrace_export_event=tailrace_export_event)
    new = SimpleNamespace(tailrace_export_event=hookimpl(lambda event: {event}))
    registry = Registry(explicit=[("old", old), ("new", new)], discover=False)
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.WARNING, "tailrace"):
        warnings.simplefilter("always")
        loaded = registry.load("hook", "old")
        assert registry.load("hook", "new").outdated == ()
    told = (
        "tailrace_export_event() takes 'moment', which is deprecated: it is an attribute of event; gone in contract 2.0"
    )
    assert loaded.outdated == (told,)
    assert told in caplog.text
    assert [warning.category for warning in warned] == [DeprecationWarning]
    verdicts = {finding.subject: (finding.verdict, finding.message) for finding in examine(registry)}
    assert verdicts["hook.new"][0] == "ok"
    assert verdicts["hook.old"][0] == "warning"
    assert told in verdicts["hook.old"][1]

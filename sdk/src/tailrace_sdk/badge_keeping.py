"""What pytest is to gather for the badge: the conformance classes it comes across, and how their tests end.

A class counts as soon as pytest sees it in a test module. So a class that is not collected, whose tests are deselected,
or which a mark skips as a whole, is told in the badge rather than forgotten.

The kit itself is not imported here before there is a class that uses it.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tailrace_sdk.conformance.badge import Result, Suite

_PROPERTY = "tailrace_conformance"
"""Name of the pytest property by which a standard test is told from others; its value is the class and the test."""
_BY_THE_KIT = "tailrace_not_applicable"
"""Name of the property that says that it is the kit that left a test out."""
_COLLECTED = "tailrace_collected"
"""Under which name a process of pytest-xdist hands over the standard tests it collected."""
_SUITES = "tailrace_suites"
"""Under which name a process of pytest-xdist hands over the classes it came across."""


class BadgeKeeper:
    """Gathers what the badge says, from all processes of a run, and prints its lines at the end."""

    def __init__(self) -> None:
        self._suites: dict[str, Suite] = {}
        self._results: list[Result] = []
        self._collected: dict[str, list[str]] = {}  # class and standard test of each item, by its node id
        self._ended: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, obj: object) -> None:
        """Take note of a conformance class, before pytest decides whether it is one to collect."""
        if suite := _suite_of(obj):
            self._suites[suite.where] = suite

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Take note of a standard test, so that it is known whatever becomes of it."""
        suite = _suite_of(getattr(item, "cls", None))
        name = getattr(item, "originalname", "")
        if suite is not None and name in suite.asked_for:
            self._collected[item.nodeid] = [suite.where, name]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Mark the standard tests that are going to run, once nobody adds marks to them any more."""
        for item in session.items:
            if item.nodeid in self._collected:
                item.user_properties.append((_PROPERTY, [*self._collected[item.nodeid], _marked_reasons(item)]))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse what took the place of a standard test after its class was made, whatever its fixtures are."""
        if item.nodeid in self._collected:
            from tailrace_sdk.conformance.standard import refuse_silent_override

            refuse_silent_override(item.cls, self._collected[item.nodeid][1])  # type: ignore[attr-defined]  # functions have it

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: "pytest.CallInfo[None]") -> None:
        """Note where it is the kit that leaves a test out."""
        if item.nodeid in self._collected and call.excinfo is not None:
            from tailrace_sdk.conformance.standard import NotApplicable

            if isinstance(call.excinfo.value, NotApplicable):
                item.user_properties.append((_BY_THE_KIT, True))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep how a standard test ended; a phase beside the test itself only where it fails or skips it."""
        about: Any = dict(report.user_properties).get(_PROPERTY)
        outcome: str = report.outcome
        if about is not None:
            self._ended.add(report.nodeid)
        if about is None or outcome == "rerun" or (report.when != "call" and report.passed):
            return
        from tailrace_sdk.conformance.badge import Result, outcome_of

        where, test, marked = about
        by_the_kit = dict(report.user_properties).get(_BY_THE_KIT, False)
        reason = str(report.longrepr[2]).partition(": ")[2] if isinstance(report.longrepr, tuple) else ""
        expected = hasattr(report, "wasxfail")
        said = outcome_of(outcome, expected_failure=expected, reason=reason, marked=reason in marked or not by_the_kit)
        self._results.append(Result(where, test, said))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over what this process came across, where it is one of several."""
        output: Any = getattr(session.config, "workeroutput", None)
        if output is not None:
            import attrs

            output[_SUITES] = [attrs.asdict(suite) for suite in self._suites.values()]
            output[_COLLECTED] = self._collected

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a process of pytest-xdist came across."""
        told: list[Mapping[str, Any]] = (getattr(node, "workeroutput", None) or {}).get(_SUITES, [])
        self._collected |= (getattr(node, "workeroutput", None) or {}).get(_COLLECTED, {})
        for one in told:
            from tailrace_sdk.conformance.badge import Suite

            suite = Suite(**one)
            self._suites[suite.where] = suite

    # In quotes: pytest made this name public after the oldest version that will do.
    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter", config: pytest.Config) -> None:
        """Print a line for each plugin."""
        if not self._suites or config.option.collectonly:
            return
        from tailrace_sdk.conformance.badge import Result, badge_lines

        # Some of the cases of a test are not the test.
        ran = {(result.where, result.test) for result in self._results}
        left = [about for node, about in self._collected.items() if node not in self._ended]
        self._results += [Result(where, test, "not run") for where, test in left if (where, test) in ran]
        terminalreporter.section("Tailrace conformance")
        for line in badge_lines(self._suites.values(), self._results):
            terminalreporter.line(line)


def _suite_of(found: object) -> "Suite | None":
    if not isinstance(found, type) or "tailrace_sdk.conformance.standard" not in sys.modules:
        return None
    from tailrace_sdk.conformance.badge import suite_of

    return suite_of(found)


def _marked_reasons(item: pytest.Item) -> list[str]:
    """The reasons of all marks that may skip a test, so that none passes for the kit's own."""
    marks = [*item.iter_markers("skip"), *item.iter_markers("skipif")]
    said = [mark.kwargs.get("reason") or (mark.args[0] if mark.name == "skip" and mark.args else "") for mark in marks]
    return [str(reason) for reason in said]

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
_SUITES = "tailrace_suites"
"""Under which name a process of pytest-xdist hands over the classes it came across."""


class BadgeKeeper:
    """Gathers what the badge says, from all processes of a run, and prints its lines at the end."""

    def __init__(self) -> None:
        self._suites: dict[str, Suite] = {}
        self._results: list[Result] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makeitem(self, obj: object) -> None:
        """Take note of a conformance class, before pytest decides whether it is one to collect."""
        if suite := _suite_of(obj):
            self._suites[suite.where] = suite

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Mark a standard test, so that it is known whatever becomes of it."""
        suite = _suite_of(getattr(item, "cls", None))
        name = getattr(item, "originalname", "")
        if suite is not None and name in suite.asked_for:
            item.user_properties.append((_PROPERTY, [suite.where, name, _marked_reasons(item)]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep how a standard test ended; a phase beside the test itself only where it fails or skips it."""
        about: Any = dict(report.user_properties).get(_PROPERTY)
        outcome: str = report.outcome
        if about is None or outcome == "rerun" or (report.when != "call" and report.passed):
            return
        from tailrace_sdk.conformance.badge import Result, outcome_of

        where, test, marked = about
        reason = str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        expected = hasattr(report, "wasxfail")
        said = outcome_of(outcome, expected_failure=expected, reason=reason, marked=reason in marked)
        self._results.append(Result(where, test, said))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over what this process came across, where it is one of several."""
        output: Any = getattr(session.config, "workeroutput", None)
        if output is not None:
            import attrs

            output[_SUITES] = [attrs.asdict(suite) for suite in self._suites.values()]

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a process of pytest-xdist came across."""
        told: list[Mapping[str, Any]] = (getattr(node, "workeroutput", None) or {}).get(_SUITES, [])
        for one in told:
            from tailrace_sdk.conformance.badge import Suite

            suite = Suite(**one)
            self._suites[suite.where] = suite

    # In quotes: pytest made this name public after the oldest version that will do.
    def pytest_terminal_summary(self, terminalreporter: "pytest.TerminalReporter", config: pytest.Config) -> None:
        """Print a line for each plugin."""
        if not self._suites or config.option.collectonly:
            return
        from tailrace_sdk.conformance.badge import badge_lines

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

"""The pytest plugin of the kit: fixtures for tests of plugins and hosts, and the badge line of the standard tests.

It is there as soon as ``tailrace-sdk`` is installed beside pytest. Nothing heavy is imported before a test asks for it.
"""

import inspect
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tailrace_sdk.conformance.badge import Result


class BadgeKeeper:
    """Gathers how standard tests ended, from all processes of a run, and prints the badge lines at its end."""

    def __init__(self) -> None:
        self._results: list[Result] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep how a standard test ended."""
        about: Any = dict(report.user_properties).get("tailrace_conformance")
        if about is None or not (report.when == "call" or (report.when == "setup" and not report.passed)):
            return
        from tailrace_sdk.conformance.badge import Result, outcome_of

        reason = str(report.longrepr[2]).removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""
        outcome = outcome_of(report.outcome, expected_failure=hasattr(report, "wasxfail"), reason=reason)
        self._results.append(Result(outcome=outcome, **about))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print a line for each plugin."""
        if not self._results:
            return
        from tailrace_sdk.conformance.badge import badge_lines

        terminalreporter.section("Tailrace conformance")
        for line in badge_lines(self._results):
            terminalreporter.line(line)


def pytest_configure(config: pytest.Config) -> None:
    """Begin to gather, where reports come together: not in the workers of pytest-xdist."""
    config.addinivalue_line("markers", "tailrace_heavy: a standard test of the largest tables, which takes its time")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(BadgeKeeper(), "tailrace-badge")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a standard test asks for, where it fails."""
    report = yield
    function = getattr(item, "function", None)
    if report.failed and hasattr(function, "__tailrace_standard__"):
        report.sections.append(("What this standard test asks for", inspect.getdoc(function) or ""))
    return report

"""The pytest plugin of the kit: fixtures for tests of plugins and hosts, and the badge line of the standard tests.

It is there as soon as ``tailrace-sdk`` is installed beside pytest. Nothing heavy is imported before a test asks for it.
"""

import inspect
from collections.abc import Generator

import pytest

from tailrace_sdk.badge_keeping import BadgeKeeper
from tailrace_sdk.fixtures import clock as clock
from tailrace_sdk.fixtures import dataset_factory as dataset_factory
from tailrace_sdk.fixtures import engine as engine
from tailrace_sdk.fixtures import faulty_filesystem as faulty_filesystem
from tailrace_sdk.fixtures import memory_source as memory_source
from tailrace_sdk.servers.fixtures import smtp_server as smtp_server
from tailrace_sdk.servers.fixtures import webhook_server as webhook_server


def pytest_configure(config: pytest.Config) -> None:
    """Begin to gather what the badge says."""
    config.addinivalue_line("markers", "tailrace_heavy: a standard test of the largest tables, which takes its time")
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

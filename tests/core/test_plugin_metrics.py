"""Plugins of kind ``hook`` that offer metrics, observe exports, or both."""

from typing import Any

import polars as pl
import pytest

from tailrace import ExportEvent, Metric, PluginContractError, PluginLoadError, hookimpl
from tailrace.plugins.registry import Registry

COUNT = Metric("many", "Many", "analytics", "requests", pl.len())


class Both:
    """Offers a metric and observes."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.asked = 0

    @hookimpl
    def tailrace_metrics(self) -> list[Metric]:
        """Offer one."""
        self.asked += 1
        return [COUNT]

    @hookimpl
    def tailrace_export_event(self, event: ExportEvent) -> None:
        """Take note."""
        self.seen.append(event.name)


class Offering:
    """Offers whatever it is told to."""

    def __init__(self, offered: Any) -> None:
        self.offered = offered

    @hookimpl
    def tailrace_metrics(self) -> Any:
        """Offer it."""
        return self.offered


class Neither:
    """Implements a hook of another kind."""

    @hookimpl
    def tailrace_sink(self) -> Any:
        """Offer nothing."""


def event() -> ExportEvent:
    from datetime import UTC, datetime

    return ExportEvent("started", "x", "pool", "csv", "kim", datetime(2026, 8, 15, tzinfo=UTC))


def test_a_plugin_may_implement_any_of_the_hooks_of_its_kind() -> None:
    both, quiet = Both(), Offering([])
    registry = Registry(explicit=[("both", both), ("quiet", quiet)], discover=False)
    registry.notify(event())
    assert both.seen == ["started"]
    assert registry.metrics() == {f"hook both of {__name__}==unknown": (COUNT,)}
    assert registry.metrics() is registry.metrics()
    assert both.asked == 1
    assert registry.failures() == ()


def test_a_plugin_that_implements_none_is_told_which_there_are() -> None:
    with pytest.raises(PluginLoadError) as caught:
        Registry(explicit=[("nothing", object())], discover=False)
    assert caught.value.hint.endswith("tailrace_export_event, tailrace_metrics with @hookimpl.")


def test_an_entry_point_of_hooks_that_implements_none_of_them(distribute: Any, importable: Any) -> None:
    code = "from tailrace import hookimpl\n@hookimpl\ndef tailrace_sink(): ..."
    importable(distribute("odd", plugins={"hook": {"odd": "odd_hook"}}, modules={"odd_hook": code}))
    with pytest.raises(PluginContractError, match=r"implement tailrace_export_event\(\) or tailrace_metrics\(\)"):
        Registry().load("hook", "odd")


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        (None, "returned a NoneType instead of a list of metrics"),
        ("many", "returned a str instead of a list of metrics"),
        ((metric for metric in [COUNT]), "returned a generator instead of a list of metrics"),
        ([COUNT, "many"], "returned a str among the metrics"),
    ],
)
def test_what_is_no_list_of_metrics_is_left_out(offered: Any, reason: str) -> None:
    registry = Registry(explicit=[("odd", Offering(offered)), ("good", Offering([COUNT]))], discover=False)
    assert list(registry.metrics().values()) == [(COUNT,)]
    assert [failure.reason for failure in registry.failures()] == [f"its tailrace_metrics() {reason}"]


@pytest.mark.parametrize("name", ["", "Slow", "slow-requests", "5xx"])
def test_the_name_of_a_metric_is_plain(name: str) -> None:
    with pytest.raises(ValueError, match="The name of a metric is small letters"):
        Metric(name, "Slow", "analytics", "requests", pl.len())


def test_the_columns_of_a_metric_are_read_from_its_expression() -> None:
    metric = Metric("share", "Share", "s", "t", pl.col("a").filter(pl.col("b")).sum() / pl.len(), time="at")
    assert metric.columns == {"a", "b", "at"}
    assert COUNT.columns == set()

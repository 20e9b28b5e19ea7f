"""The source `dashboard`: what its files may say, and that what they show is what the data says."""

import csv
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import polars as pl
import pytest
from tailrace_source_dashboard.catalogue import built_in
from tailrace_source_dashboard.problems import DashboardError
from tailrace_source_dashboard.ready import ready_dashboards
from tailrace_source_dashboard.spans import steps_of, usual_step

from tailrace import (
    Chart,
    Context,
    CredentialMode,
    Dataset,
    ExportRequest,
    Figure,
    Metric,
    NotAllowedError,
    Panel,
    Prose,
    RequestError,
    SourceError,
    TableView,
    User,
    hookimpl,
)
from tailrace.cli import demo_data
from tailrace.pipeline.job import Job
from tailrace.plugins.registry import Registry

DATA = Path(__file__).resolve().parents[1] / "data"
LOG, DATABASE = DATA / "request-log-sample.csv", DATA / "proxywhirl-sample.db"
COLUMNS_OF_LOG = (
    "bytes_transferred, cost, endpoint, error_code, http_method, http_status, proxy_source, response_time_ms, success, "
    "timestamp"
)
NO_TEXT = (
    "there is no kind of panel 'text'; there is bar, donut, figure, heatmap, histogram, line, pie, stacked, table."
)
NOW = datetime(2026, 8, 23, 12, tzinfo=UTC)
REGISTRY = Registry()


@contextmanager
def opened(
    dashboard: Path | str, *, options: Mapping[str, Any] | None = None, registry: Registry = REGISTRY, **changes: Any
) -> Iterator[Dataset]:
    request = attrs.evolve(ExportRequest("dashboard", str(dashboard), "json", options=options or {}), **changes)
    job = Job.prepare(
        request, registry=registry, export_id="x", user=User("kim"), now=NOW, reference=lambda *_parts: "ref"
    )
    with job.open(Context()) as dataset:
        yield dataset


HEAD = f"""
title = "Test"
[data]
analytics = "{LOG}"
health = "{DATABASE}"
pool = "{DATABASE}"
[[pages]]
heading = "One"
"""


def panel(**keys: Any) -> str:
    def value(one: Any) -> str:
        return str(one).lower() if isinstance(one, bool) else repr(list(one)) if isinstance(one, tuple) else repr(one)

    return "[[pages.panels]]\n" + "".join(f"{key} = {value(one)}\n" for key, one in keys.items())


@attrs.frozen
class Made:
    """What a dashboard came to."""

    dataset: Dataset
    tables: Mapping[str, pl.DataFrame]

    @property
    def panels(self) -> list[Panel]:
        assert self.dataset.report is not None
        return [one for section in self.dataset.report.sections for one in section.panels]


def made(tmp_path: Path, *panels: str, head: str = HEAD, **changes: Any) -> Made:
    path = tmp_path / "board.toml"
    path.write_text(head + "\n".join(panels))
    with opened(path, **changes) as dataset:
        return Made(dataset, {table.name: table.frame.collect() for table in dataset.tables})


def chart(one: Panel) -> Chart:
    assert isinstance(one.content, Chart)
    return one.content


def figure(one: Panel) -> Figure:
    assert isinstance(one.content, Figure)
    return one.content


def problems(tmp_path: Path, *panels: str, head: str = HEAD, **changes: Any) -> list[str]:
    with pytest.raises(DashboardError) as caught:
        made(tmp_path, *panels, head=head, **changes)
    assert all(problem in caught.value.message for problem in caught.value.problems)
    return list(caught.value.problems)


# -- numbers, against plain Python


def number(text: str) -> float | None:
    return float(text) if text else None


def requests() -> list[dict[str, Any]]:
    with LOG.open(newline="") as file:
        return [
            {
                "at": datetime.fromisoformat(row["timestamp"]),
                "source": row["proxy_source"],
                "ok": {"true": True, "false": False}.get(row["success"]),
                "ms": number(row["response_time_ms"]),
                "status": number(row["http_status"]),
                "bytes": number(row["bytes_transferred"]),
                "error": row["error_code"] or None,
                "cost": number(row["cost"]),
            }
            for row in csv.DictReader(file)
        ]


def sqlite_rows(query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"{DATABASE.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def percentile(values: list[float], share: float) -> float:
    values = sorted(values)
    place = (len(values) - 1) * share
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)


def of_requests(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    ok = [row for row in rows if row["ok"] is True]
    bad = [row for row in rows if row["ok"] is False]
    times = [row["ms"] for row in rows if row["ms"] is not None]
    costs = [row["cost"] for row in rows if row["cost"] is not None]
    lost = [row["cost"] for row in bad if row["cost"] is not None]
    sizes = [row["bytes"] for row in rows if row["bytes"] is not None]
    refused = [row for row in rows if row["status"] in {401, 403, 407, 429}]
    return {
        "requests": len(rows),
        "requests_succeeded": len(ok),
        "requests_failed": len(bad),
        "success_rate": 100 * len(ok) / (len(ok) + len(bad)),
        "failure_rate": 100 * len(bad) / (len(ok) + len(bad)),
        "response_time_mean": sum(times) / len(times),
        "response_time_p50": percentile(times, 0.5),
        "response_time_p95": percentile(times, 0.95),
        "response_time_p99": percentile(times, 0.99),
        "server_errors": len([row for row in rows if (row["status"] or 0) >= 500]),
        "requests_refused": len(refused),
        "refusal_rate": 100 * len(refused) / len(rows),
        "cost": sum(costs),
        "cost_per_request": sum(costs) / len(costs),
        "cost_per_success": sum(costs) / len(ok),
        "cost_of_failures": sum(lost),
        "wasted_share": 100 * sum(lost) / sum(costs),
        "cost_per_gigabyte": sum(costs) * 1e9 / sum(sizes),
        "bytes": sum(sizes),
        "bytes_per_request": sum(sizes) / len(sizes),
    }


def of_checks() -> dict[str, float | None]:
    rows = sqlite_rows("SELECT proxy_url, is_valid, response_time_ms FROM validation_results")
    ok = [row for row in rows if row[1]]
    times = [row[2] for row in rows if row[2] is not None]
    seen, working = {row[0] for row in rows}, {row[0] for row in ok}
    return {
        "checks": len(rows),
        "checks_passed": len(ok),
        "checks_failed": len(rows) - len(ok),
        "availability": 100 * len(ok) / len(rows),
        "check_failure_rate": 100 * (len(rows) - len(ok)) / len(rows),
        "check_time_mean": sum(times) / len(times),
        "check_time_p50": percentile(times, 0.5),
        "check_time_p95": percentile(times, 0.95),
        "check_time_p99": percentile(times, 0.99),
        "proxies_checked": len(seen),
        "proxies_working": len(working),
        "proxies_dead": len(seen - working),
        "proxies_dead_share": 100 * len(seen - working) / len(seen),
    }


def of_proxies() -> dict[str, float | None]:
    rows = sqlite_rows(
        "SELECT health_status, avg_response_time_ms, success_rate_7d, is_residential, country_code, "
        "username IS NOT NULL OR password IS NOT NULL OR instr(url, '@') > 0 "
        "FROM proxy_identities JOIN proxy_statuses ON url = proxy_url"
    )
    healthy = [row for row in rows if row[0] == "healthy"]
    times = [row[1] for row in rows if row[1] is not None]
    rates = [row[2] for row in rows if row[2] is not None]
    return {
        "proxies": len(rows),
        "proxies_healthy": len(healthy),
        "proxies_healthy_share": 100 * len(healthy) / len(rows),
        "proxies_failing": len([row for row in rows if row[0] in {"unhealthy", "dead"}]),
        "proxies_with_login": sum(row[5] for row in rows),
        "proxies_residential_share": 100 * sum(row[3] for row in rows) / len(rows),
        "countries": len({row[4] for row in rows} - {None, ""}),
        "pool_response_time_p50": percentile(times, 0.5),
        "pool_success_rate": 100 * sum(rates) / len(rates),
        "proxies_discovered": len(rows),
    }


def test_every_metric_is_what_plain_python_says(tmp_path: Path) -> None:
    board = made(tmp_path, *(panel(kind="figure", name=one.name, metric=one.name) for one in built_in()))
    found = {name: table[name].item() for name, table in board.tables.items()}
    expected = {**of_requests(requests()), **of_checks(), **of_proxies()}
    assert found == pytest.approx(expected, rel=1e-9)
    assert [figure(one).value for one in board.panels] == list(found.values())
    units = {one.name: figure(panel).unit for one, panel in zip(built_in(), board.panels, strict=True)}
    assert (units["success_rate"], units["check_time_p95"], units["cost"], units["proxies"]) == ("%", "ms", "", "")


def test_groups_are_what_plain_python_says(tmp_path: Path) -> None:
    names = ("requests", "success_rate", "response_time_p95", "cost_per_success")
    board = made(tmp_path, panel(kind="table", name="t", metrics=names, by="proxy_source"))
    rows = requests()
    expected = {
        source: of_requests([row for row in rows if row["source"] == source]) for source in ("api", "user", "fetched")
    }
    found = {row["proxy_source"]: [row[name] for name in names] for row in board.tables["t"].to_dicts()}
    assert set(found) == set(expected)
    for source, values in found.items():
        assert values == pytest.approx([expected[source][name] for name in names], rel=1e-9)
    assert list(board.tables["t"]["requests"]) == sorted(board.tables["t"]["requests"], reverse=True)
    (one,) = board.panels
    assert isinstance(one.content, TableView)
    assert one.content.columns[2:] == (
        ("success_rate", "Success rate (%)"),
        ("response_time_p95", "Response time (p95) (ms)"),
        ("cost_per_success", "Cost per success"),
    )


# -- ranges, filters, comparisons


def test_ranges_filters_and_the_range_before(tmp_path: Path) -> None:
    head = HEAD.replace('title = "Test"', 'title = "Test"\nfilters = ["proxy_source = \'api\'"]')
    one = panel(kind="figure", name="f", metric="requests", filter="http_method = 'GET'")
    board = made(tmp_path, one, head=head, since="2026-08-18", until="2026-08-20", where=("success",))
    with LOG.open(newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["proxy_source"] == "api" and row["http_method"] == "GET" and row["success"] == "true"
        ]
    now = [row for row in rows if "2026-08-18" <= row["timestamp"] < "2026-08-20"]
    before = [row for row in rows if "2026-08-16" <= row["timestamp"] < "2026-08-18"]
    assert (len(now), len(before)) == (7, 3)
    assert board.tables["f"].to_dicts() == [{"requests": len(now), "requests_before": len(before), "rows": len(now)}]
    (shown,) = board.panels
    assert (
        figure(shown).detail
        == f"up {(len(now) - len(before)) / len(before) * 100:.1f}\N{NO-BREAK SPACE}% from {len(before)} before"
    )
    assert shown.basis is not None
    assert shown.basis.rows == len(now)
    assert shown.basis.since == datetime(2026, 8, 18, tzinfo=UTC)
    assert shown.basis.until == datetime(2026, 8, 20, tzinfo=UTC)
    assert shown.basis.filters == ("success", "proxy_source = 'api'", "http_method = 'GET'")
    assert board.dataset.restricted


def test_nothing_is_compared_where_the_data_begins_too_late(tmp_path: Path) -> None:
    one = panel(kind="figure", name="f", metric="requests")
    board = made(tmp_path, one, since="2026-08-16", until="2026-08-20")
    assert figure(board.panels[0]).detail == ""
    assert board.tables["f"].columns == ["requests", "rows"]


def test_the_last_days_end_with_the_day_of_the_newest_row(tmp_path: Path) -> None:
    head = HEAD.replace("[data]", "[range]\nlast = '2d'\n[data]")
    one = panel(kind="figure", name="f", metric="requests")
    basis = made(tmp_path, one, head=head, time_zone="Europe/Berlin").panels[0].basis
    assert basis is not None
    # The newest row is of 21 August, 23:18 UTC: in Berlin that is the 22nd.
    assert basis.since == datetime(2026, 8, 20, 22, tzinfo=UTC)
    assert basis.until == datetime(2026, 8, 22, 22, tzinfo=UTC)
    asked = made(tmp_path, one, head=head, since="2026-08-16", until="2026-08-17").panels[0].basis
    assert asked is not None
    assert asked.since == datetime(2026, 8, 16, tzinfo=UTC)


def test_a_pool_is_as_it_is_now_whatever_the_range(tmp_path: Path) -> None:
    panels = [panel(kind="figure", metric=name) for name in ("proxies", "proxies_discovered")]
    board = made(tmp_path, *panels, since="2020-01-01", until="2020-01-02")
    assert [figure(one).value for one in board.panels] == [30, 0]
    assert [one.basis.note if one.basis else None for one in board.panels] == ["as it is now", ""]


# -- series in time


GAPPY = """timestamp,success,proxy_source,cost
2026-08-15T00:10:00Z,true,a,1
2026-08-15T00:20:00Z,false,a,1
2026-08-15T01:10:00Z,true,b,1
2026-08-15T04:10:00Z,true,a,
"""


def gappy(tmp_path: Path, *panels: str, **changes: Any) -> Made:
    (tmp_path / "gappy.csv").write_text(GAPPY)
    head = "title = 'Gaps'\n[data]\nanalytics = 'gappy.csv'\n[[pages]]\nheading = 'One'\n"
    return made(tmp_path, *panels, head=head, **changes)


def test_what_nobody_measured_is_a_gap_and_a_count_of_none_is_zero(tmp_path: Path) -> None:
    board = gappy(
        tmp_path,
        panel(kind="line", metric="success_rate", by="time", every="hour"),
        panel(kind="stacked", metric="requests", by="time", every="hour", split="proxy_source"),
        panel(kind="line", metric="requests_failed", by="time", every="hour"),
        panel(kind="line", metric="cost", by="time", every="hour", name="cost"),
        since="2026-08-15",
        until="2026-08-15T06:00Z",
    )
    rate, stacked, failed, cost = (chart(one) for one in board.panels)
    assert rate.series[0].x == tuple(datetime(2026, 8, 15, hour, tzinfo=UTC) for hour in range(6))
    assert rate.series[0].y == (50.0, 100.0, None, None, 100.0, None)
    assert {one.label: one.y for one in stacked.series} == {
        "a": (2, 0, None, None, 1, None),
        "b": (0, 1, None, None, 0, None),
    }
    assert failed.series[0].y == (1, 0, None, None, 0, None)
    # Of the last request nobody knows what it cost.
    assert cost.series[0].y == (2, 1, None, None, None, None)
    assert (rate.x_step, rate.y_range, rate.unit) == (3600.0, (0.0, 100.0), "%")
    basis = board.panels[0].basis
    assert basis is not None
    assert basis.note == "no data in 3 of 6 steps"
    assert board.tables["cost"]["time"].dtype == pl.Datetime("us", "UTC")
    assert board.dataset.tables[0].time_column == "time"


def test_days_are_of_the_zone_also_when_clocks_change(tmp_path: Path) -> None:
    (tmp_path / "gappy.csv").write_text("timestamp,success\n2026-10-24T22:30:00Z,true\n2026-10-25T22:30:00Z,false\n")
    head = "title = 'Gaps'\n[data]\nanalytics = 'gappy.csv'\n[[pages]]\nheading = 'One'\n"
    one = panel(kind="line", metric="requests", by="time", every="day")
    board = made(tmp_path, one, head=head, time_zone="Europe/Berlin", since="2026-10-25", until="2026-10-27")
    # The 25th has 25 hours.
    assert chart(board.panels[0]).series[0].x == (
        datetime(2026, 10, 24, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    )
    assert chart(board.panels[0]).series[0].y == (2, None)


def test_the_usual_step_follows_the_rhythm_of_the_data() -> None:
    def hours(every: int) -> list[datetime]:
        week = (datetime(2026, 8, 15, tzinfo=UTC), datetime(2026, 8, 22, tzinfo=UTC))
        found = pl.datetime_range(*week, f"{every}h", closed="left", time_unit="us", eager=True)
        return list(found.to_list())

    assert usual_step("line", hours(1), "UTC") == "1h"
    assert usual_step("bar", hours(1), "UTC") == "6h"
    assert usual_step("line", hours(3), "UTC") == "3h"
    assert usual_step("line", hours(24), "UTC") == "1d"
    assert usual_step("line", [], "UTC") == "1d"


def test_every_step_of_a_range_is_there_once() -> None:
    from tailrace_source_dashboard.spans import Span

    first, last = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 21, tzinfo=UTC)
    steps = steps_of(Span(), first, last, "3h", "Europe/Berlin").dt.strftime("%H").to_list()
    # At two o'clock it becomes three.
    assert steps == ["00", "03", "06", "09", "12", "15", "18", "21"]


# -- top N


def test_ranges_of_millennia_end_nothing_but_what_nobody_could_draw(tmp_path: Path) -> None:
    whole = {"since": "0001-01-02", "until": "9999-12-31"}
    board = made(tmp_path, panel(kind="figure", metric="requests"), **whole)
    assert figure(board.panels[0]).value == len(requests())
    assert figure(board.panels[0]).detail == ""
    with pytest.raises(RequestError, match=r"87,6..,... steps of 1h: at most 100,000") as caught:
        made(tmp_path, panel(kind="line", metric="requests", by="time", every="hour"), **whole)
    assert "--since" in caught.value.hint


def test_the_long_tail_is_put_together_and_adds_up(tmp_path: Path) -> None:
    board = made(
        tmp_path,
        panel(kind="donut", metric="requests", by="endpoint", top=3),
        panel(kind="table", name="t", metric="requests", by="endpoint", top=3),
        panel(kind="bar", metric="success_rate", by="endpoint", top=3, rank="requests"),
    )
    shares = chart(board.panels[0]).series[0]
    assert shares.x[3:] == ("others (237)",)
    assert sum(one for one in shares.y if one is not None) == 240
    assert board.tables["t"].height == 3
    # Shares of success do not add up: there are no others.
    assert len(chart(board.panels[2]).series[0].x) == 3
    notes = [one.basis.note for one in board.panels if one.basis]
    assert notes == ["3 of 240, the others together", "3 of 240", "3 of 240"]


def test_what_has_few_rows_is_no_worst(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "timestamp,success,proxy_source\n"
        + "".join(f"2026-08-15T00:{n:02}:00Z,{str(n % 2 == 0).lower()},big\n" for n in range(10))
        + "2026-08-15T01:00:00Z,false,small\n2026-08-15T02:00:00Z,true,\n"
    )
    head = "title = 'Few'\n[data]\nanalytics = 'log.csv'\n[[pages]]\nheading = 'One'\n"
    board = made(
        tmp_path,
        panel(kind="table", name="all", metric="success_rate", by="proxy_source", order="least", warning=90, bad=60),
        panel(kind="table", name="many", metric="success_rate", by="proxy_source", order="least", at_least=5),
        head=head,
    )
    assert board.tables["all"].rows() == [("small", 0.0, "bad"), ("big", 50.0, "bad"), ("unknown", 100.0, None)]
    assert board.tables["many"].rows() == [("big", 50.0)]
    assert board.panels[1].basis is not None
    assert board.panels[1].basis.note == "1 of 3; 2 have fewer than 5 rows"


# -- other kinds


def test_a_histogram_has_equal_bins_and_tells_the_tail(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(
        "timestamp,success,response_time_ms\n"
        + "".join(f"2026-08-15T00:00:00Z,true,{ms}\n" for ms in ["", *range(198), 10_000])
    )
    head = "title = 'Tail'\n[data]\nanalytics = 'log.csv'\n[[pages]]\nheading = 'One'\n"
    (one,) = made(tmp_path, panel(kind="histogram", table="requests", of="response_time_ms", bins=10), head=head).panels
    assert chart(one).series[0].x == (0, 20, 40, 60, 80, 100, 120, 140, 160, 180)
    assert chart(one).series[0].y == (20, 20, 20, 20, 20, 20, 20, 20, 20, 18)
    assert chart(one).x_step == 20
    assert chart(one).x_label == "response time (ms)"
    assert one.basis is not None
    assert one.basis.rows == 200
    assert one.basis.note == "1 above 200 ms, up to 10,000; 1 row without a value"


def test_a_heat_map_is_complete(tmp_path: Path) -> None:
    (one,) = gappy(tmp_path, panel(kind="heatmap", metric="success_rate", by="hour_of_day", split="weekday")).panels
    drawn = chart(one)
    assert [series.label for series in drawn.series] == ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    saturday = drawn.series[5]
    assert saturday.x == tuple(f"{hour:02}" for hour in range(24))
    assert saturday.y[:5] == (50.0, 100.0, None, None, 100.0)
    assert all(value is None for value in drawn.series[0].y)
    counted = panel(kind="heatmap", metric="requests_failed", by="hour_of_day", split="weekday")
    (one,) = gappy(tmp_path, counted).panels
    assert chart(one).series[5].y[:5] == (1, 0, None, None, 0)
    assert all(value is None for value in chart(one).series[0].y)


def test_rows_themselves_newest_first(tmp_path: Path) -> None:
    one = panel(
        kind="table", name="t", table="requests", columns=("timestamp", "error_code"), filter="not success", top=2
    )
    board = made(tmp_path, one)
    failed = [row for row in requests() if row["ok"] is False]
    newest = sorted(failed, key=lambda row: row["at"], reverse=True)[:2]
    assert board.tables["t"].rows() == [(row["at"], row["error"]) for row in newest]
    assert board.panels[0].basis is not None
    assert board.panels[0].basis.note == f"the first 2 of {len(failed)}"


def test_titles_say_what_is_to_be_seen(tmp_path: Path) -> None:
    board = gappy(
        tmp_path,
        panel(
            kind="line",
            metric="success_rate",
            by="time",
            every="hour",
            title="{value}, worst on {lowest}: {lowest_value}",
        ),
        panel(kind="bar", metric="requests", by="proxy_source", title="Most by {highest} ({highest_value}) {{sic}}"),
        panel(kind="bar", metric="requests", by="proxy_source"),
        panel(
            kind="stacked", metric="requests", by="proxy_source", split="success", title="{highest}: {highest_value}"
        ),
    )
    space = "\N{NO-BREAK SPACE}"
    assert [one.title for one in board.panels] == [
        f"75.0{space}%, worst on 15 August, 00:00: 50.0{space}%",
        "Most by a (3) {sic}",
        "Requests by proxy source",
        # All of a, and not only what succeeded.
        "a: 3",
    ]
    # The names of tables are the same on other days.
    assert list(board.tables)[:3] == ["success_rate_by_time", "requests_by_proxy_source", "requests_by_proxy_source_2"]
    assert board.panels[1].description == "Bars: Most by a (3) {sic}. Requests: 1 (b) to 3 (a)."


def test_where_nothing_happened_it_is_said(tmp_path: Path) -> None:
    board = made(
        tmp_path,
        panel(kind="bar", metric="requests", by="proxy_source"),
        panel(kind="figure", metric="success_rate"),
        panel(kind="histogram", table="requests", of="cost"),
        panel(kind="line", metric="requests", by="time"),
        panel(kind="table", metric="requests", by="endpoint"),
        since="2020-01-01",
        until="2020-01-02",
    )
    contents = [one.content for one in board.panels]
    nothing = Prose(["There are no rows in this range."])
    assert contents == [nothing, Figure(None, "%"), nothing, nothing, nothing]


def test_costs_have_the_unit_of_the_dashboard(tmp_path: Path) -> None:
    board = made(tmp_path, panel(kind="figure", metric="cost"), options={"currency": "EUR"})
    assert figure(board.panels[0]).unit == "EUR"
    assert [column.unit for column in board.dataset.tables[0].columns] == ["EUR", ""]


# -- what is wrong


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"kind": "figur", "metric": "cost"}, ".kind: there is no kind of panel 'figur'; did you mean 'figure'?"),
        ({"kind": "figure", "metric": "costs"}, ".metric: there is no metric 'costs'; did you mean 'cost'?"),
        ({"kind": "figure"}, ": a panel of kind figure needs a metric."),
        ({"kind": "figure", "metrik": "cost"}, ": there is no key 'metrik'; did you mean 'metric'?"),
        ({"kind": "figure", "metric": 5}, ".metric: expected text, got int."),
        ({"kind": "figure", "metric": "cost", "by": "time"}, ".by: a panel of kind figure has no by."),
        ({"kind": "figure", "metrics": ("cost", "bytes")}, ": a panel of kind figure shows one metric, not 2."),
        (
            {"kind": "figure", "metric": "requests", "bad": 5},
            ": warning and bad need a metric of which more is better, or worse.",
        ),
        ({"kind": "line", "metric": "cost"}, ": a panel of kind line needs by."),
        (
            {"kind": "line", "metric": "cost", "by": "endpoint"},
            ".by: a line needs an order: by time, hour_of_day or weekday; use a bar.",
        ),
        (
            {"kind": "line", "metric": "proxies", "by": "time"},
            ".by: pool.proxies is how things are now, and has no time.",
        ),
        (
            {"kind": "line", "metrics": ("cost", "success_rate"), "by": "time"},
            ": one axis has one unit, and these have several: cost in currency, success_rate in %.",
        ),
        (
            {"kind": "line", "metrics": ("requests", "checks"), "by": "time"},
            (
                ": the metrics of a panel are of one table, and these are not: requests of analytics.requests, "
                "checks of health.checks."
            ),
        ),
        (
            {"kind": "line", "metric": "cost", "by": "time", "every": "dya"},
            ".every: there is no step 'dya'; did you mean 'day'?",
        ),
        (
            {"kind": "bar", "metric": "cost", "by": "endpoint", "every": "day"},
            ".every: steps are of a series in time: by = 'time'.",
        ),
        (
            {"kind": "bar", "metric": "cost", "by": "endpiont"},
            ".by: there is no column 'endpiont'; did you mean 'endpoint'?",
        ),
        ({"kind": "bar", "metric": "cost", "by": "cost"}, ".by: cost is Float64, which makes no groups."),
        ({"kind": "bar", "metric": "cost", "by": "endpoint", "top": 0}, ".top: this is 1 to 10,000, not 0."),
        (
            {"kind": "bar", "metric": "cost", "by": "endpoint", "order": "up"},
            ".order: there is no order 'up'; there is least, most.",
        ),
        (
            {"kind": "bar", "metric": "cost", "by": "endpoint", "rank": "checks"},
            ".rank: checks is not of the table of the panel, analytics.requests.",
        ),
        (
            {"kind": "bar", "metric": "success_rate", "by": "endpoint", "others": True},
            ": a sum of others needs a metric whose parts add up, and success_rate is none.",
        ),
        (
            {"kind": "pie", "metric": "success_rate", "by": "endpoint"},
            ": a panel of kind pie needs a metric whose parts add up, and success_rate is none.",
        ),
        (
            {"kind": "stacked", "metric": "cost", "by": "time"},
            ": a panel of kind stacked needs a split, or several metrics.",
        ),
        (
            {"kind": "heatmap", "metric": "cost", "by": "weekday", "split": "weekday"},
            ".split: it is split by what it is by already: weekday.",
        ),
        (
            {"kind": "histogram", "table": "requests", "of": "endpoint"},
            ".of: a histogram is of numbers, and endpoint is String.",
        ),
        (
            {"kind": "histogram", "table": "request", "of": "cost"},
            ".table: there is no table 'request'; did you mean 'requests'?",
        ),
        ({"kind": "table", "table": "requests"}, ": a table of rows needs columns."),
        (
            {"kind": "table", "table": "requests", "columns": ("cost", "endpoint", "cost")},
            ".columns[2]: 'cost' is named already.",
        ),
        (
            {"kind": "table", "metrics": ("cost", "cost"), "by": "endpoint"},
            ".metrics[1]: 'cost' is named already.",
        ),
        (
            {"kind": "figure", "metric": "cost", "filter": "http_status =>"},
            ".filter: expected a column or a value here, at character 14 of: http_status =>",
        ),
        (
            {"kind": "figure", "metric": "cost", "filter": "statsu = 5"},
            f".filter: there is no column 'statsu'; there is {COLUMNS_OF_LOG}.",
        ),
        (
            {"kind": "figure", "metric": "cost", "title": "{vlaue}"},
            ".title: there is no placeholder 'vlaue'; did you mean 'value'?",
        ),
        ({"kind": "figure", "metric": "cost", "title": "{"}, ".title: a brace by itself is written twice: {{ or }}."),
        (
            {"kind": "figure", "metric": "cost", "name": "Über"},
            ".name: a name is small letters, digits and underscores.",
        ),
        ({"kind": "figure", "metric": "cost", "width": 13}, ": it is 13 wide and None high; there are 12 columns."),
        (
            {"kind": "figure", "metric": "cost", "column": 1},
            ": it has a column without a row, or a row without a column.",
        ),
    ],
    ids=lambda value: re.sub(r"\W+", "-", value)[:40] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, keys: dict[str, Any], expected: str) -> None:
    found = problems(tmp_path, panel(kind="figure", metric="requests"), panel(**keys))
    assert [one.removeprefix("$.pages[0].panels[1]") for one in found if expected in one] == [expected]


def test_everything_is_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    head = HEAD.replace('title = "Test"', "titel = 'x'\n[range]\nlast = '7 days'").replace("pool =", "pol =")
    panels = [panel(kind="figure", metric="requests", column=0, row=0)] * 2
    panels += [panel(kind="line", metric="cots", by="time"), *[panel(kind="text")] * 9]
    found = problems(tmp_path, *panels, head=head)
    assert found[:5] == [
        "$: there is no key 'titel'; did you mean 'title'?",
        "$.data.pol: there is no source of metrics 'pol'; did you mean 'pool'?",
        "$.pages[0]: the panels panels[0] and panels[1] overlap.",
        "$.pages[0].panels[2].metric: there is no metric 'cots'; did you mean 'cost'?",
        f"$.pages[0].panels[3].kind: {NO_TEXT}",
    ]

    places = [one.partition(": ")[0] for one in found[5:]]
    panels_left = [f"$.pages[0].panels[{number}].kind" for number in range(4, 12)]
    assert places == [*panels_left, "$.range.last", "$.title"]


def test_what_is_no_dashboard_at_all(tmp_path: Path) -> None:
    assert problems(tmp_path, head="title = ") == ["$: this is no TOML: Invalid value (at end of document)."]
    assert problems(tmp_path, head="title = 'x'") == ["$.pages: a dashboard has at least one page: [[pages]]."]
    assert problems(tmp_path, head="title = 'x'\npages = [5]") == ["$.pages[0]: a page is a table: [[pages]]."]
    with (
        pytest.raises(SourceError, match=r"There is no dashboard .*nowhere\.toml: No such file"),
        opened("nowhere.toml"),
    ):
        pass
    with pytest.raises(SourceError) as caught, opened("operation"):
        pass
    assert caught.value.hint == "Name a TOML file. There is no ready dashboard 'operation'; did you mean 'operations'?"


def test_a_panel_without_data_is_an_error_unless_it_may_be_left_out(tmp_path: Path) -> None:
    head = f"title = 'x'\n[data]\nanalytics = '{LOG}'\n[[pages]]\nheading = 'One'\n"
    panels = [panel(kind="figure", metric="cost"), panel(kind="figure", metric="checks")]
    assert problems(tmp_path, *panels, head=head) == [
        "$.pages[0].panels[1]: nothing says where the source health reads: [data] health = '…', or --option health=…"
    ]
    head = f"optional = true\n{head}"
    board = made(tmp_path, *panels, panel(kind="figure", metric="cost", filter="nothing"), head=head)
    assert len(board.panels) == 1
    assert [note for note in board.dataset.notes if "eft out" in note] == [
        "Without health: 1 panel is left out. Give it: --option health=…",
        f"Left out: cost_2: there is no column 'nothing'; there is {COLUMNS_OF_LOG}.",
    ]
    with pytest.raises(SourceError, match="it is told of no data"):
        made(tmp_path, panels[1], head=head)


def test_filters_of_the_dashboard_have_to_fit_a_table(tmp_path: Path) -> None:
    head = HEAD.replace('title = "Test"', 'title = "Test"\nfilters = ["protocoll = \'http\'"]')
    (found,) = problems(tmp_path, panel(kind="figure", metric="proxies"), head=head)
    assert found == "$.filters[0]: there is no column 'protocoll'; did you mean 'protocol'?"


def test_credentials_stay_where_they_are(tmp_path: Path) -> None:
    rows = panel(kind="table", name="t", table="proxies", columns=("url", "username", "password"), top=50)
    board = made(tmp_path, rows)
    assert board.tables["t"].height == 30
    assert board.tables["t"]["password"].null_count() == 30
    assert not board.tables["t"]["url"].str.contains("@").any()
    assert board.dataset.secrets is not None
    with pytest.raises(NotAllowedError), opened(tmp_path / "board.toml", credentials=CredentialMode.FULL):
        pass


# -- metrics of plugins


class Costs:
    """A plugin as somebody else would write it."""

    def __init__(self, *metrics: Any, fails: bool = False) -> None:
        self.metrics, self.fails = metrics, fails

    @hookimpl
    def tailrace_metrics(self) -> Any:
        """Offer them."""
        if self.fails:
            raise ZeroDivisionError("no metrics today")
        return list(self.metrics)


def slow(name: str = "slow_requests") -> Metric:
    expression = (pl.col("response_time_ms") > 5_000).sum()
    return Metric(
        name, "Slow requests", "analytics", "requests", expression, time="timestamp", additive=True, better="lower"
    )


def test_plugins_offer_metrics_and_one_that_fails_breaks_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registry = Registry(explicit=[("bad", Costs(fails=True)), ("worse", Costs("cost")), ("good", Costs(slow()))])
    board = made(tmp_path, panel(kind="figure", metric="slow_requests"), registry=registry)
    assert figure(board.panels[0]).value == len([row for row in requests() if (row["ms"] or 0) > 5_000])
    assert [(one.name, one.reason) for one in registry.failures()] == [
        ("bad", "its tailrace_metrics() raised ZeroDivisionError: no metrics today"),
        ("worse", "its tailrace_metrics() returned a str among the metrics"),
    ]
    assert [record.message.partition(" are ")[0] for record in caplog.records] == [
        "The metrics of the hook 'bad'",
        "The metrics of the hook 'worse'",
    ]


def test_a_metric_may_be_of_what_the_source_health_finds_out(tmp_path: Path) -> None:
    worst = Metric("worst", "Lowest uptime", "health", "proxies", pl.col("uptime_percent").min(), "%")
    panels = [panel(kind="figure", metric=name) for name in ("worst", "checks")]
    board = made(tmp_path, *panels, registry=Registry(explicit=[("worst", Costs(worst))]))
    ((lowest,),) = sqlite_rows(
        "SELECT min(share) FROM (SELECT avg(is_valid) * 100 AS share FROM validation_results GROUP BY proxy_url)"
    )
    ((checks,),) = sqlite_rows("SELECT count(*) FROM validation_results")
    assert [figure(one).value for one in board.panels] == [pytest.approx(lowest, abs=1e-3), checks]


def test_two_metrics_of_one_name_are_an_error_that_names_both(tmp_path: Path) -> None:
    registry = Registry(explicit=[("a", Costs(slow())), ("b", Costs(slow(), slow("cost")))])
    found = problems(
        tmp_path,
        panel(kind="figure", metric="slow_requests"),
        panel(kind="figure", metric="cost"),
        panel(kind="figure", metric="requests"),
        registry=registry,
    )
    offered = [one.partition(": ")[2].replace(f"{__name__}==unknown", "X") for one in found]
    deny = "; deny one of them (plugins.deny)."
    assert offered == [
        "the metric 'slow_requests' is offered by hook a of X and by hook b of X" + deny,
        "the metric 'cost' is offered by the source dashboard itself and by hook b of X" + deny,
    ]


# -- the page of the reference


def test_the_reference_lists_the_metrics() -> None:
    page = DATA.parents[1] / "docs" / "reference" / "dashboards.md"
    lines = ["| metric | of | unit | what it is |", "|---|---|---|---|"]
    lines += [f"| `{one.name}` | {one.source}.{one.table} | {one.unit} | {one.description} |" for one in built_in()]
    head, _mark, rest = page.read_text().partition("<!-- generated: metrics -->\n")
    old, end, tail = rest.partition("<!-- end -->")
    expected = "\n" + "\n".join(lines) + "\n\n"
    if os.environ.get("WRITE_DOCS"):
        page.write_text(f"{head}<!-- generated: metrics -->\n{expected}{end}{tail}")
    else:
        assert old == expected, "run: WRITE_DOCS=1 pytest tests/plugins/test_source_dashboard.py"


# -- the ready ones


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("demo") / "proxywhirl.db"
    demo_data.write_database(path, demo_data.make_pool(), demo_data.make_log())
    return path


@pytest.mark.parametrize("example", ready_dashboards(), ids=lambda example: example.name)
def test_the_ready_dashboards_over_the_data_of_the_demo(demo: Path, example: Any) -> None:
    options = {"pool": str(demo), "health": str(demo), "analytics": f"sqlite://{demo}?table=request_logs"}
    with opened(example.name, options=options) as dataset:
        report = dataset.report
        assert report is not None
        panels = [one for section in report.sections for one in section.panels]
        written = example.text.count("[[pages.panels]]")
        assert len(panels) == len(dataset.tables) == written
        assert not [note for note in dataset.notes if "eft out" in note]
        assert all(one.basis is not None and one.basis.rows is not None for one in panels)
        # Nothing is empty but proxies that are new: they are all older than the week.
        assert [one.title for one in panels if isinstance(one.content, Prose)] == (
            ["0 new proxies"] if example.name == "operations" else []
        )
        assert not [one.title for one in panels if "\N{EN DASH}" in one.title]
        text = "\n".join(str(table.frame.collect().rows()) for table in dataset.tables)
        assert not [secret for secret in demo_data.make_pool().secrets if secret in text]


def test_the_ready_dashboards_of_a_part_of_the_data(demo: Path) -> None:
    with opened("cost", options={"analytics": f"sqlite://{demo}?table=request_logs"}) as dataset:
        assert len(dataset.tables) == 15
    with opened("executive", options={"health": str(demo)}) as dataset:
        assert [table.name for table in dataset.tables] == ["availability_of_proxies", "availability_by_time"]
    with pytest.raises(SourceError, match="told of no data"), opened("cost"):
        pass

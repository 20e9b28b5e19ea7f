"""The metrics that dashboards show: those that come with the source, and those of plugins."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

import attrs
import polars as pl

from tailrace import Metric
from tailrace_source_dashboard.problems import unknown

BUILT_IN = "the source dashboard itself"
CURRENCY = "currency"
"""Unit of metrics that the dashboard gives the unit for."""
PERCENT = "%"


@attrs.frozen
class TableName:
    """A table that panels can show rows of.

    Args:
        source: Its source.
        table: Its name there.
        time: Column by which ranges apply to it, if they do.
    """

    source: str
    table: str
    time: str | None


TABLES: Mapping[str, TableName] = {
    "requests": TableName("analytics", "requests", "timestamp"),
    "checks": TableName("health", "checks", "timestamp"),
    "proxies": TableName("pool", "proxies", None),
}


@attrs.frozen
class Catalogue:
    """Metrics by name.

    Args:
        offers: For each name, who offers a metric of it, and the metric.
    """

    offers: Mapping[str, Sequence[tuple[str, Metric]]]

    @classmethod
    def of(cls, others: Mapping[str, Sequence[Metric]]) -> "Catalogue":
        """The metrics that there are.

        Args:
            others: Those of plugins, by who offers them.
        """
        offers: dict[str, list[tuple[str, Metric]]] = {}
        for owner, metrics in {BUILT_IN: built_in(), **others}.items():
            for metric in metrics:
                offers.setdefault(metric.name, []).append((owner, metric))
        return cls(offers)

    def find(self, name: str) -> Metric | str:
        """The metric of that name, or why there is none."""
        rivals = self.offers.get(name, ())
        if not rivals:
            return unknown("metric", name, self.offers)
        if len(rivals) > 1:
            owners = " and by ".join(owner for owner, _metric in rivals)
            return f"the metric {name!r} is offered by {owners}; deny one of them (plugins.deny)."
        return rivals[0][1]

    @property
    def sources(self) -> frozenset[str]:
        """Names of the sources whose tables there are metrics of."""
        return frozenset(metric.source for rivals in self.offers.values() for _owner, metric in rivals)


@cache
def built_in() -> tuple[Metric, ...]:
    """The metrics that come with the source."""
    return (*_of_requests(), *_of_checks(), *_of_proxies())


def _percent(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part * 100 / whole)


def _per(total: pl.Expr, count: pl.Expr) -> pl.Expr:
    """So much each; nothing where there is none, rather than infinitely much."""
    return pl.when(count > 0).then(total / count)


def _total(values: pl.Expr) -> pl.Expr:
    """The sum; nothing where no value is known, which is not the same as a sum of zero."""
    return pl.when(values.count() > 0).then(values.sum())


def _share(flag: str) -> pl.Expr:
    return _percent(pl.col(flag).sum(), pl.col(flag).count())


def _times(prefix: str, title: str, column: str) -> Iterator[tuple[str, str, pl.Expr, str]]:
    yield f"{prefix}_mean", f"Mean {title}", pl.col(column).mean(), f"Mean {title}."
    for percent in (50, 95, 99):
        middle = percent == 50  # noqa: PLR2004 - half of a hundred
        told = "Half" if middle else f"{percent} %"
        name = f"Median {title}" if middle else f"{title.capitalize()} (p{percent})"
        value = pl.col(column).quantile(percent / 100, "linear")
        yield f"{prefix}_p{percent}", name, value, f"{told} of them took at most this long."


def _of_requests() -> Iterator[Metric]:
    def metric(
        name: str, title: str, expression: pl.Expr, unit: str = "", description: str = "", **more: object
    ) -> Metric:
        return Metric(name, title, "analytics", "requests", expression, unit, description, "timestamp", **more)  # type: ignore[arg-type]  # flags

    success, cost, size, status = (pl.col(name) for name in ("success", "cost", "bytes_transferred", "http_status"))
    yield metric("requests", "Requests", pl.len(), "", "Requests made.", additive=True)
    yield metric("requests_succeeded", "Successful requests", success.sum(), "", "Requests that succeeded.",
                 additive=True, better="higher")  # fmt: skip
    yield metric("requests_failed", "Failed requests", (~success).sum(), "", "Requests that failed.",
                 additive=True, better="lower")  # fmt: skip
    yield metric("success_rate", "Success rate", _share("success"), PERCENT,
                 "Share of requests that succeeded, of those whose outcome is known.", better="higher")  # fmt: skip
    yield metric("failure_rate", "Failure rate", _percent((~success).sum(), success.count()), PERCENT,
                 "Share of requests that failed, of those whose outcome is known.", better="lower")  # fmt: skip
    for name, title, value, told in _times("response_time", "response time", "response_time_ms"):
        yield metric(name, title, value, "ms", told, better="lower")
    broken = status >= 500  # noqa: PLR2004 - 5xx
    yield metric("server_errors", "Server errors", broken.sum(), "",
                 "Requests that were answered with a status of 500 or more.",
                 additive=True, better="lower")  # fmt: skip
    refused = status.is_in([401, 403, 407, 429])
    yield metric("requests_refused", "Refused requests", refused.sum(), "",
                 "Requests answered with 401, 403, 407 or 429: blocked, throttled, or not let in.",
                 additive=True, better="lower")  # fmt: skip
    yield metric("refusal_rate", "Refusal rate", _percent(refused.sum(), pl.len()), PERCENT,
                 "Share of requests answered with 401, 403, 407 or 429.", better="lower")  # fmt: skip
    yield metric("cost", "Cost", _total(cost), CURRENCY, "What the requests cost.", additive=True, better="lower")
    yield metric("cost_per_request", "Cost per request", cost.mean(), CURRENCY,
                 "Mean cost of a request, of those whose cost is known.", better="lower")  # fmt: skip
    yield metric("cost_per_success", "Cost per success", _per(_total(cost), success.sum()), CURRENCY,
                 "What a successful request costs, those that fail included.", better="lower")  # fmt: skip
    yield metric("cost_of_failures", "Cost of failures", _total(cost.filter(~success)), CURRENCY,
                 "What the requests cost that failed.", additive=True, better="lower")  # fmt: skip
    yield metric("wasted_share", "Spent on failures", _percent(cost.filter(~success).sum(), cost.sum()), PERCENT,
                 "Share of the cost that went into requests that failed.", better="lower")  # fmt: skip
    yield metric("cost_per_gigabyte", "Cost per GB", _per(_total(cost) * 1e9, size.sum()), CURRENCY,
                 "Cost for each 1,000,000,000 bytes transferred.", better="lower")  # fmt: skip
    yield metric("bytes", "Bytes transferred", _total(size), "B", "Bytes transferred.", additive=True)
    yield metric("bytes_per_request", "Bytes per request", size.mean(), "B", "Mean size of what was transferred.")


def _of_checks() -> Iterator[Metric]:
    def metric(
        name: str, title: str, expression: pl.Expr, unit: str = "", description: str = "", **more: object
    ) -> Metric:
        return Metric(name, title, "health", "checks", expression, unit, description, "timestamp", **more)  # type: ignore[arg-type]  # flags

    success, proxy = pl.col("success"), pl.col("proxy")
    yield metric("checks", "Health checks", pl.len(), "", "Health checks made.", additive=True)
    yield metric("checks_passed", "Checks passed", success.sum(), "", "Health checks that the proxy passed.",
                 additive=True, better="higher")  # fmt: skip
    yield metric("checks_failed", "Checks failed", (~success).sum(), "", "Health checks that the proxy failed.",
                 additive=True, better="lower")  # fmt: skip
    yield metric("availability", "Availability", _share("success"), PERCENT,
                 "Share of health checks that were passed.", better="higher")  # fmt: skip
    yield metric("check_failure_rate", "Check failure rate", _percent((~success).sum(), success.count()), PERCENT,
                 "Share of health checks that were failed.", better="lower")  # fmt: skip
    for name, title, value, told in _times("check_time", "check time", "response_time_ms"):
        yield metric(name, title, value, "ms", told, better="lower")
    yield metric("proxies_checked", "Proxies checked", proxy.n_unique(), "", "Different proxies that were checked.")
    yield metric("proxies_working", "Working proxies", proxy.filter(success).n_unique(), "",
                 "Different proxies that passed a check at least once.", better="higher")  # fmt: skip
    yield metric("proxies_dead", "Dead proxies", proxy.n_unique() - proxy.filter(success).n_unique(), "",
                 "Different proxies that were checked and passed no check.", better="lower")  # fmt: skip
    yield metric("proxies_dead_share", "Dead proxies",
                 _percent(proxy.n_unique() - proxy.filter(success).n_unique(), proxy.n_unique()), PERCENT,
                 "Share of the proxies checked that passed no check.", better="lower")  # fmt: skip


def _of_proxies() -> Iterator[Metric]:
    def metric(
        name: str, title: str, expression: pl.Expr, unit: str = "", description: str = "", **more: object
    ) -> Metric:
        return Metric(name, title, "pool", "proxies", expression, unit, description, **more)  # type: ignore[arg-type]  # flags and a name

    status = pl.col("health_status")
    failing = status.is_in(["unhealthy", "dead"])
    yield metric("proxies", "Proxies", pl.len(), "", "Proxies in the pool, as it is now.", additive=True)
    yield metric("proxies_healthy", "Healthy proxies", (status == "healthy").sum(), "",
                 "Proxies of the pool that are healthy now.", additive=True, better="higher")  # fmt: skip
    yield metric("proxies_healthy_share", "Healthy proxies", _percent((status == "healthy").sum(), pl.len()), PERCENT,
                 "Share of the pool that is healthy now.", better="higher")  # fmt: skip
    yield metric("proxies_failing", "Failing proxies", failing.sum(), "",
                 "Proxies of the pool that are unhealthy or dead now.", additive=True, better="lower")  # fmt: skip
    yield metric("proxies_with_login", "Proxies with a login", pl.col("has_credentials").sum(), "",
                 "Proxies for which the pool holds a user name or password.", additive=True)  # fmt: skip
    yield metric("proxies_residential_share", "Residential proxies", _share("is_residential"), PERCENT,
                 "Share of the pool whose address is of a household, of those where that is known.")  # fmt: skip
    yield metric("countries", "Countries", pl.col("country_code").filter(pl.col("country_code") != "").n_unique(), "",
                 "Different countries that the pool has proxies in.", better="higher")  # fmt: skip
    yield metric("pool_response_time_p50", "Median response time of proxies",
                 pl.col("avg_response_time_ms").quantile(0.5, "linear"), "ms",
                 "Half of the proxies of the pool are at most this slow on average.", better="lower")  # fmt: skip
    yield metric("pool_success_rate", "Mean success rate of proxies", pl.col("success_rate_7d").mean() * 100, PERCENT,
                 "Mean, over the proxies of the pool, of their success in seven days.", better="higher")  # fmt: skip
    yield metric("proxies_discovered", "New proxies", pl.len(), "",
                 "Proxies by when the pool first had them.", additive=True, time="discovered_at")  # fmt: skip

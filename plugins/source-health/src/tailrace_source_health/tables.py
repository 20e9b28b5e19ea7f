"""The tables of the source: which there are, and what their columns mean."""

from collections.abc import Mapping, Sequence

import polars as pl

from tailrace import Column, Meaning, Table
from tailrace_source_health.analysis import Analysis
from tailrace_source_health.columns import AT, COUNTRY, COUNTRY_CODE, ERROR, MS, OK, PROTOCOL, PROXY
from tailrace_source_health.ordering import NUMBER
from tailrace_source_health.reading import URL, Checks

CHECKS = "checks"
_OF_A_PROXY = (
    Column(URL, Meaning.URL, description="Address of the proxy, without user name and password."),
    Column(PROTOCOL, Meaning.CATEGORY, description="Its protocol."),
    Column(COUNTRY_CODE, Meaning.CATEGORY, description="Country that it is in, ISO 3166."),
    Column(COUNTRY, Meaning.CATEGORY, description="Name of the country, or the code where that is all that is known."),
    Column("status", Meaning.CATEGORY, description="healthy, degraded, failing, dead or unknown."),
    Column("checks", Meaning.MEASURE, description="Checks in the range."),
    Column("failures", Meaning.MEASURE, description="Those that failed."),
    Column("uptime_percent", Meaning.MEASURE, "%", "Share of the checks that succeeded."),
    Column("mean_response_time_ms", Meaning.MEASURE, "ms", "Mean response time of successful checks."),
    Column("median_response_time_ms", Meaning.MEASURE, "ms", "Median of these response times."),
    Column("p95_response_time_ms", Meaning.MEASURE, "ms", "Their 95th percentile."),
    Column(
        "longest_outage",
        Meaning.MEASURE,
        description="From the first failed check in a row to the next success, in whole seconds.",
    ),
    Column("longest_outage_from", Meaning.TIMESTAMP, description="When the longest outage began."),
    Column("longest_outage_until", Meaning.TIMESTAMP, description="When it ended, or the last check that failed."),
    Column("last_seen", Meaning.TIMESTAMP, description="Last check that succeeded."),
    Column("last_checked", Meaning.TIMESTAMP, description="Last check."),
    Column("trend_points", Meaning.MEASURE, "points", "Uptime of the second half of the range less that of the first."),
    Column("trend", Meaning.CATEGORY, description="improving, steady, worsening or unknown."),
    Column("reasons", Meaning.TEXT, description="Why the proxy is a problem; empty where it is none."),
    Column("mark", Meaning.CATEGORY, description="How documents mark the row: good, warning or bad."),
)
_PROBLEM = (
    URL,
    PROTOCOL,
    COUNTRY,
    "status",
    "reasons",
    "uptime_percent",
    "checks",
    "failures",
    "longest_outage",
    "last_seen",
    "trend_points",
    "mark",
)
_COLUMNS: Mapping[str, Sequence[Column]] = {
    "proxies": _OF_A_PROXY,
    "problems": [column for name in _PROBLEM for column in _OF_A_PROXY if column.name == name],
    "availability": (
        Column("begins", Meaning.TIMESTAMP, description="Beginning of the hours or days that the row is about."),
        Column("checks", Meaning.MEASURE, description="Checks in them."),
        Column("failures", Meaning.MEASURE, description="Those that failed."),
        Column("availability_percent", Meaning.MEASURE, "%", "Share that succeeded; empty where nothing was checked."),
        Column("mean_response_time_ms", Meaning.MEASURE, "ms", "Mean response time of successful checks."),
    ),
    "response_times": (
        Column("lower_ms", Meaning.MEASURE, "ms", "Lower end of the bin, inclusive."),
        Column("upper_ms", Meaning.MEASURE, "ms", "Upper end, exclusive; empty for whatever is above."),
        Column("checks", Meaning.MEASURE, description="Successful checks whose response time lies in it."),
        Column("share_percent", Meaning.MEASURE, "%", "Share of all response times."),
    ),
    "failures": (
        Column("by", Meaning.CATEGORY, description="What is told apart: error, hour, weekday_hour, country, protocol."),
        Column("value", Meaning.CATEGORY, description="Which one; empty where it is not known."),
        Column("checks", Meaning.MEASURE, description="Checks of it; empty for errors."),
        Column("failures", Meaning.MEASURE, description="Those that failed."),
        Column("failure_percent", Meaning.MEASURE, "%", "Share of these checks that failed."),
        Column("share_percent", Meaning.MEASURE, "%", "Share of all failures."),
    ),
    "coverage": (
        Column("kind", Meaning.CATEGORY, description="run, or gap where runs are missing."),
        Column("begins", Meaning.TIMESTAMP, description="First minute."),
        Column("ends", Meaning.TIMESTAMP, description="Last minute of a run; of a gap, when the next run began."),
        Column("checks", Meaning.MEASURE, description="Checks of the run."),
        Column("missed_runs", Meaning.MEASURE, description="Runs that are missing."),
    ),
    CHECKS: (
        Column(PROXY, Meaning.URL, description="Address of the proxy, without user name and password."),
        Column(PROTOCOL, Meaning.CATEGORY, description="Its protocol."),
        Column(COUNTRY_CODE, Meaning.CATEGORY, description="Country that it is in, ISO 3166."),
        Column(COUNTRY, Meaning.CATEGORY, description="Its name, or the code where that is all that is known."),
        Column(AT, Meaning.TIMESTAMP, description="When the check was made."),
        Column(OK, Meaning.FLAG, description="Whether it succeeded."),
        Column(MS, Meaning.MEASURE, "ms", "Response time, of a check that succeeded."),
        Column(ERROR, Meaning.CATEGORY, description="What went wrong, if anything did."),
    ),
}
_TIMES = {"availability": "begins", "coverage": "begins", CHECKS: AT}


def tables_of(analysis: Analysis) -> list[Table]:
    """The tables that say what was found."""
    frames = {
        "proxies": analysis.proxies,
        "problems": analysis.problems,
        "availability": analysis.availability,
        "response_times": analysis.responses,
        "failures": analysis.failures,
        "coverage": _coverage(analysis),
    }
    return [_table(name, frame.lazy()) for name, frame in frames.items()]


def _table(name: str, frame: pl.LazyFrame) -> Table:
    # There is no other way to count what is computed than to count the outcome, which would prove nothing.
    columns = _COLUMNS[name]
    return Table(
        name,
        frame.select(column.name for column in columns),
        columns,
        time_column=_TIMES.get(name),
    )


def _coverage(analysis: Analysis) -> pl.DataFrame:
    runs = analysis.coverage.runs.select(
        pl.lit("run").alias("kind"),
        "begins",
        "ends",
        pl.col("checks").cast(pl.Int64),
        pl.lit(None, pl.Int64).alias("missed_runs"),
    )
    gaps = analysis.coverage.gaps.select(
        pl.lit("gap").alias("kind"), "begins", "ends", pl.lit(None, pl.Int64).alias("checks"), "missed_runs"
    )
    return pl.concat([runs, gaps]).sort("begins", "ends", "kind", descending=[False, False, True])


def checks_table(checks: Checks) -> Table:
    """The table of the checks themselves."""
    known = checks.proxies.select(pl.col(URL).alias(PROXY), PROTOCOL, COUNTRY_CODE, COUNTRY).with_row_index(NUMBER)
    frame = checks.frame.lazy().with_columns(checks.clean(pl.col(ERROR)))
    joined = frame.join(known.lazy(), on=NUMBER, how="left", maintain_order="left")
    return _table(CHECKS, joined)

"""The charts of the report, with titles that say what is to be seen in them; words where there is nothing to draw."""

from collections.abc import Sequence
from datetime import timedelta

import attrs
import polars as pl

from tailrace import Basis, Chart, Figure, Panel, Prose, ReportTable, Series, TableView
from tailrace_source_health.analysis import Analysis
from tailrace_source_health.failures import DAYS
from tailrace_source_health.words import counted, duration, every, milliseconds, percent, when

_CHANGE = 5.0
"""Percentage points from which a difference is worth a title."""
_LEVEL = 2.0
_ERRORS_SHOWN = 8
_COUNTRIES_SHOWN = 12
_SHARES = (0.0, 100.0)


@attrs.frozen
class Telling:
    """What panels are made of.

    Args:
        analysis: What is told.
        basis: What it is about.
        zone: IANA time zone of moments in words.
    """

    analysis: Analysis
    basis: Basis
    zone: str

    def panel(
        self, title: str, content: Chart | ReportTable | TableView | Prose, *, width: int = 12, note: str = ""
    ) -> Panel:
        """A panel with its basis."""
        return Panel(title, content, width, basis=attrs.evolve(self.basis, note=note))

    def chart(self, title: str, chart: Chart, description: str, *, width: int = 12, note: str = "") -> Panel:
        """A panel with a chart, and what it shows in words."""
        return attrs.evolve(self.panel(title, chart, width=width, note=note), description=description)

    def figure(self, title: str, figure: Figure) -> Panel:
        """A panel with a key figure."""
        return Panel(title, figure, 2, basis=self.basis)

    def words(self, title: str, text: str, *, width: int = 12) -> Panel:
        """A panel that says why nothing is drawn."""
        return self.panel(title, Prose([text]), width=width)

    @property
    def length(self) -> timedelta:
        """From the first to the last check."""
        first, last = self.analysis.first, self.analysis.last
        return timedelta(0) if first is None or last is None else last - first


def availability(told: Telling) -> list[Panel]:
    """Availability over time."""
    rows, step = told.analysis.availability, timedelta(seconds=told.analysis.step)
    whole = told.analysis.whole.availability or 0.0
    seen = rows.filter(pl.col("availability_percent").is_not_null())
    if seen.height < 2:  # noqa: PLR2004 - a line has two ends
        text = f"All checks were made within {duration(step.total_seconds())}: there is no course of time to draw."
        return [told.words(f"Availability was {percent(whole)}", text)]
    title = _course(told, seen, step)
    low, high = _ends(seen, "availability_percent")
    gaps = rows.height - seen.height
    description = (
        f"Line of the share of checks that succeeded, per {every(told.analysis.step)}, "
        f"from {percent(low[1])} ({_when(told, low[0], step)}) to {percent(high[1])} ({_when(told, high[0], step)})."
    )
    return [
        told.chart(
            title,
            Chart(
                "line",
                [Series("Availability", rows["begins"].to_list(), rows["availability_percent"].to_list())],
                y_label="Checks that succeeded, %",
                unit="%",
                y_range=_SHARES,
                x_step=float(told.analysis.step),
            ),
            description,
            note=f"{gaps} of {rows.height} times without checks are left open." if gaps else "",
        )
    ]


def _course(told: Telling, seen: pl.DataFrame, step: timedelta) -> str:
    before, after = told.analysis.before.availability, told.analysis.after.availability
    if before is not None and after is not None and abs(after - before) >= _CHANGE:
        verb = "rose" if after > before else "fell"
        return f"Availability {verb} from {percent(before)} in the first half to {percent(after)} in the second"
    low, high = _ends(seen, "availability_percent")
    if high[1] - low[1] < _LEVEL:
        return f"Availability stayed at {percent(told.analysis.whole.availability or 0.0)}"
    return (
        f"Availability was lowest {_when(told, low[0], step)} ({percent(low[1])}) "
        f"and highest {_when(told, high[0], step)} ({percent(high[1])})"
    )


def _ends(rows: pl.DataFrame, column: str) -> tuple[tuple[object, float], tuple[object, float]]:
    """Moment and value of the least and the greatest value, the first of each."""
    low = rows.sort(column, "begins").row(0, named=True)
    high = rows.sort(-pl.col(column), "begins").row(0, named=True)
    return (low["begins"], low[column]), (high["begins"], high[column])


def _when(told: Telling, moment: object, step: timedelta) -> str:
    return "on " + when(moment, told.zone, step=step, length=told.length)  # type: ignore[arg-type]  # a column of moments


def responses(told: Telling) -> list[Panel]:
    """How response times are distributed, and those of each protocol."""
    times, successes = told.analysis.whole.times, told.analysis.whole.successes
    if times.median is None or times.p95 is None or times.greatest is None:
        if not successes:
            return [told.words("There are no response times", "No check succeeded.")]
        return [told.words("There are no response times", f"None of {counted(successes, 'successful check')} has one.")]
    if times.count == 1:
        return [told.words(f"The only response time is {milliseconds(times.median)}", "One value has no distribution.")]
    rows = told.analysis.responses
    beyond = rows.filter(pl.col("upper_ms").is_null())
    drawn = rows.filter(pl.col("upper_ms").is_not_null())
    note = ""
    if beyond.height:
        ends = f"{milliseconds(beyond['lower_ms'][0])} up to {milliseconds(times.greatest)}"
        note = f"{counted(int(beyond['checks'][0]), 'response time')} from {ends} not drawn."
    course = _course_of_times(told)
    found = [
        told.chart(
            f"Half of the response times are below {milliseconds(times.median)}, 95 % below {milliseconds(times.p95)}",
            Chart(
                "histogram",
                [Series("Successful checks", drawn["lower_ms"].to_list(), drawn["checks"].to_list())],
                x_label="Response time, ms",
                y_label="Successful checks",
                x_step=told.analysis.bin_width,
            ),
            f"Histogram of {times.count:,} response times in bins of {milliseconds(told.analysis.bin_width)}; "
            f"median {milliseconds(times.median)}, 95th percentile {milliseconds(times.p95)}, "
            f"greatest {milliseconds(times.greatest)}.",
            width=6 if course else 12,
            note=note,
        )
    ]
    if course:
        found.append(course)
    protocols = told.analysis.protocols
    if protocols.height > 1:
        table = [
            (name or "not known", proxies, checks, 100 * (checks - failures) / checks, median, p95)
            for name, proxies, checks, failures, median, p95 in protocols.rows()
        ]
        fast = protocols.filter(pl.col("median").is_not_null()).sort("median")
        title = "Only one protocol has response times"
        if fast.height > 1:
            name, median = fast["protocol"][0] or "an unknown protocol", milliseconds(fast["median"][0])
            title = f"The fastest protocol is {name}: {median} at the median"
        found.append(
            told.panel(
                title,
                ReportTable(
                    ("Protocol", "Proxies", "Checks", "Availability", "Median", "95th percentile"),
                    table,
                    units=("", "", "", "%", "ms", "ms"),
                ),
            )
        )
    return found


def _course_of_times(told: Telling) -> Panel | None:
    """The mean response time over time, where there is more than one."""
    rows, step = told.analysis.availability, timedelta(seconds=told.analysis.step)
    timed = rows.filter(pl.col("mean_response_time_ms").is_not_null())
    if timed.height < 2:  # noqa: PLR2004 - a line has two ends
        return None
    low, high = _ends(timed, "mean_response_time_ms")
    ends = " and ".join(f"{milliseconds(value)} ({_when(told, at, step)})" for at, value in (low, high))
    return told.chart(
        f"Mean response times were between {ends}",
        Chart(
            "line",
            [Series("Mean response time", rows["begins"].to_list(), rows["mean_response_time_ms"].to_list())],
            y_label="Mean response time, ms",
            unit="ms",
            x_step=float(told.analysis.step),
        ),
        f"Line of the mean response time of successful checks, per {every(told.analysis.step)}, between {ends}.",
        width=6,
    )


def failures(told: Telling) -> list[Panel]:
    """Failures by kind of error, hour, weekday and country."""
    whole = told.analysis.whole
    failed = whole.checks - whole.successes
    if not failed:
        return [told.words("No check failed", f"All {counted(whole.checks, 'check')} succeeded.")]
    parts = {str(by): rows for (by,), rows in told.analysis.failures.group_by("by", maintain_order=True)}
    found = [_errors(told, parts["error"], failed), _hours(told, parts["hour"])]
    cells = _cells(told, parts["weekday_hour"])
    countries = _countries(told, parts["country"])
    return [*found, attrs.evolve(cells, width=6), attrs.evolve(countries, width=6)] if cells else [*found, countries]


def _errors(told: Telling, rows: pl.DataFrame, failed: int) -> Panel:
    names = rows["value"].fill_null("no error given").to_list()
    counts = [int(count) for count in rows["failures"]]
    if len(names) == 1:
        said = "No error is given for any of them." if rows["value"][0] is None else f"All of them are: {names[0]}."
        return told.words(f"{counted(failed, 'check')} failed in one way", said, width=6)
    if len(names) > _ERRORS_SHOWN:
        rest = sum(counts[_ERRORS_SHOWN - 1 :])
        names, counts = [*names[: _ERRORS_SHOWN - 1], "others"], [*counts[: _ERRORS_SHOWN - 1], rest]
    return told.chart(
        f"{percent(100 * counts[0] / failed)} of failures are: {names[0]}",
        Chart("donut", [Series("Failures", names, [float(count) for count in counts])]),
        "Shares of failures by kind of error: " + _told(names, [100 * count / failed for count in counts]),
        width=6,
    )


def _hours(told: Telling, rows: pl.DataFrame) -> Panel:
    names, shares = rows["value"].to_list(), rows["failure_percent"].to_list()
    if len(names) == 1:
        text = f"All checks were made in the hour from {names[0]}:00."
        return told.words(f"{percent(shares[0])} of checks failed", text, width=6)
    return told.chart(
        _extremes("Checks", [f"at {name}:00" for name in names], shares, "at any hour"),
        Chart(
            "bar",
            [Series("Checks that failed", names, shares)],
            x_label=f"Hour of day ({told.zone})",
            y_label="Checks that failed, %",
            unit="%",
            y_range=_SHARES,
        ),
        "Bars of the share of checks that failed by hour of day: " + _told(names, shares),
        width=6,
    )


def _cells(told: Telling, rows: pl.DataFrame) -> Panel | None:
    parts = rows.with_columns(pl.col("value").str.split(" ").list.to_struct(fields=["day", "hour"])).unnest("value")
    days = [day for day in DAYS if day in set(parts["day"])]
    hours = sorted(set(parts["hour"]))
    if len(days) < 2 or len(hours) < 2:  # noqa: PLR2004 - a map has two directions
        return None
    known = {(day, hour): share for day, hour, share in parts.select("day", "hour", "failure_percent").rows()}
    worst = max(known, key=lambda cell: (known[cell], cell))
    series = [Series(day, hours, [known.get((day, hour)) for hour in hours]) for day in days]
    return told.chart(
        f"Most checks fail on {worst[0]} at {worst[1]}:00: {percent(known[worst])}",
        Chart(
            "heatmap",
            series,
            x_label=f"Hour of day ({told.zone})",
            y_label="Checks that failed, %",
            unit="%",
            y_range=_SHARES,
        ),
        "Map of the share of checks that failed by weekday and hour of day; the highest is on "
        f"{worst[0]} at {worst[1]}:00 with {percent(known[worst])}.",
    )


def _countries(told: Telling, rows: pl.DataFrame) -> Panel:
    known = rows.filter(pl.col("value").is_not_null())
    if not known.height:
        return told.words("Failures by country are not known", "The country of no proxy is known.")
    shown = known.sort(-pl.col("checks"), "value").head(_COUNTRIES_SHOWN)
    shown = shown.sort(-pl.col("failure_percent"), "value")
    names, shares = shown["value"].to_list(), shown["failure_percent"].to_list()
    if len(names) == 1:
        return told.words(
            f"{percent(shares[0])} of checks of proxies in {names[0]} failed", "No other country is known."
        )
    note = "" if known.height == shown.height else f"The {shown.height} of {known.height} countries with most checks."
    unknown = rows.height - known.height
    if unknown:
        count = int(rows.filter(pl.col("value").is_null())["checks"].sum())
        note = f"{note} Without {counted(count, 'check')} of proxies whose country is not known.".strip()
    return told.chart(
        _extremes("Checks", [f"in {name}" for name in names], shares, "in any country"),
        Chart(
            "bar",
            [Series("Checks that failed", names, shares)],
            x_label="Country",
            y_label="Checks that failed, %",
            unit="%",
            y_range=_SHARES,
            horizontal=True,
        ),
        "Bars of the share of checks that failed by country: " + _told(names, shares),
        note=note,
    )


def _extremes(what: str, places: Sequence[str], shares: Sequence[float], anywhere: str) -> str:
    low, high = min(shares), max(shares)
    if high - low < _LEVEL:
        return f"{what} fail about as often {anywhere}: {percent(low)} to {percent(high)}"
    most, least = places[list(shares).index(high)], places[list(shares).index(low)]
    return f"{what} fail most {most} ({percent(high)}) and least {least} ({percent(low)})"


def _told(names: Sequence[str], shares: Sequence[float]) -> str:
    return "; ".join(f"{name} {percent(share)}" for name, share in zip(names, shares, strict=True)) + "."

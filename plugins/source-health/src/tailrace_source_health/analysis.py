"""The whole analysis of the checks that were asked for."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import attrs
import polars as pl

from tailrace import Context, TimeRange
from tailrace_source_health.availability import over_time
from tailrace_source_health.columns import AT, MS, OK, PROTOCOL
from tailrace_source_health.failures import failures, kinds_of_errors
from tailrace_source_health.ordering import NUMBER
from tailrace_source_health.proxies import AFTER, BEFORE, measured
from tailrace_source_health.reading import URL, Checks
from tailrace_source_health.responses import Percentiles, Times, by_protocol, distribution
from tailrace_source_health.runs import MINUTE, Coverage, by_minute, coverage, minutes_of, usual_interval
from tailrace_source_health.verdicts import STATUSES, judged

_PROBLEMS = STATUSES[:3]


@attrs.frozen
class Half:
    """One half of the range, or all of it.

    Args:
        checks: Checks in it.
        successes: Those that succeeded.
        proxies: Proxies that were checked in it.
        times: Response times in it.
    """

    checks: int
    successes: int
    proxies: int
    times: Percentiles

    @property
    def availability(self) -> float | None:
        """Percentage of checks that succeeded; None where there are none."""
        return 100 * self.successes / self.checks if self.checks else None


@attrs.frozen
class Analysis:
    """What the checks say.

    Args:
        first: When the first check was made; None where there is none.
        last: When the last one was made.
        middle: Where the second half begins.
        whole: All of the range.
        before: Its first half.
        after: Its second half.
        proxies: A row for each proxy, by address.
        problems: The rows of those that are a problem, worst first, as many as were asked for.
        availability: Availability over time.
        step: Seconds from one of its rows to the next.
        responses: Distribution of response times.
        bin_width: Width of its bins in milliseconds.
        protocols: ``protocol``, ``proxies``, ``checks``, ``failures``, ``median``, ``p95``.
        failures: Failures by what can be told apart.
        coverage: Runs and gaps.
        later_than_now: Checks whose time is later than the export.
    """

    first: datetime | None
    last: datetime | None
    middle: datetime | None
    whole: Half
    before: Half
    after: Half
    proxies: pl.DataFrame = attrs.field(repr=False)
    problems: pl.DataFrame = attrs.field(repr=False)
    availability: pl.DataFrame = attrs.field(repr=False)
    step: int
    responses: pl.DataFrame = attrs.field(repr=False)
    bin_width: float
    protocols: pl.DataFrame = attrs.field(repr=False)
    failures: pl.DataFrame = attrs.field(repr=False)
    coverage: Coverage = attrs.field(repr=False)
    later_than_now: int

    def of_status(self, *statuses: str) -> int:
        """How many proxies have one of these statuses."""
        return int(self.proxies["status"].is_in(statuses).sum())

    @property
    def count_of_problems(self) -> int:
        """How many proxies are a problem, in the table or not."""
        return self.of_status(*_PROBLEMS)


def analyse(
    checks: Checks, window: TimeRange | None, zone: str, now: datetime, context: Context, *, most_problems: int
) -> Analysis:
    """Analyse checks.

    Args:
        checks: Those that were asked for.
        window: The range that was asked for, if any.
        zone: IANA time zone of hours and days.
        now: When the export began.
        context: Checked between the steps.
        most_problems: Most rows of problem proxies.
    """
    frame = checks.frame
    first, last = _moment(frame[AT].min()), _moment(frame[AT].max())
    middle = None if first is None or last is None else first + (last - first) / 2
    split = middle or now
    protocols = checks.proxies[PROTOCOL].unique(maintain_order=True)
    codes = pl.int_range(len(protocols), dtype=pl.UInt32, eager=True)
    of_proxies = checks.proxies[PROTOCOL].replace_strict(protocols, codes, return_dtype=pl.UInt32)
    minutes = minutes_of(frame)
    succeeded = frame.select(NUMBER, AT, MS, minutes.alias(MINUTE), OK).filter(OK)
    succeeded = succeeded.with_columns(succeeded[NUMBER].set_sorted())
    # None of them needs what another one finds, and each leaves a processor idle at times.
    with ThreadPoolExecutor(2, thread_name_prefix="tailrace-health") as pool:
        measuring = pool.submit(measured, frame, succeeded, checks.proxies, split)
        counting = pool.submit(by_minute, minutes, succeeded)
        timing = pool.submit(Times.of, succeeded, of_proxies, split)
        interval = usual_interval(frame, minutes)
        kinds = kinds_of_errors(checks)
        rows, per_minute, times = measuring.result(), counting.result(), timing.result()
    context.check()
    since = None if window is None or window.since is None else _minute(window.since)
    until = None if window is None else _minute(window.until)
    covered = coverage(per_minute, interval, since, until)
    availability, step = over_time(per_minute, covered, zone)
    whole = _half(rows, "", times.values)
    before = _half(rows, f"{BEFORE}_", times.half(second=False))
    after = _half(rows, f"{AFTER}_", times.half(second=True))
    responses, width = distribution(times.values, whole.times)
    length = last - first if first is not None and last is not None else timedelta(0)
    rows = judged(rows, whole.times.median, length).sort(URL, NUMBER)
    worst = pl.col("status").replace_strict(
        dict(zip(STATUSES, range(len(STATUSES)), strict=True)), return_dtype=pl.Int8
    )
    problems = (
        rows.filter(pl.col("status").is_in(_PROBLEMS))
        .sort(worst, "uptime_percent", -pl.col("failures"), URL, NUMBER)
        .head(most_problems)
    )
    context.check()
    per_protocol = (
        rows.group_by(PROTOCOL)
        .agg(pl.len().alias("proxies"), pl.col("checks", "failures").sum())
        .join(by_protocol(times, protocols), on=PROTOCOL, how="left", nulls_equal=True)
        .sort("proxies", PROTOCOL, descending=[True, False], nulls_last=True)
    )
    late = int((frame[AT] > now).sum()) if last is not None and last > now else 0
    return Analysis(
        first=first,
        last=last,
        middle=middle,
        whole=whole,
        before=before,
        after=after,
        proxies=rows,
        problems=problems,
        availability=availability,
        step=step,
        responses=responses,
        bin_width=width,
        protocols=per_protocol,
        failures=failures(kinds, per_minute, rows, zone),
        coverage=covered,
        later_than_now=late,
    )


def _half(rows: pl.DataFrame, prefix: str, times: pl.Series) -> Half:
    checks = rows[f"{prefix}checks"]
    return Half(
        int(checks.sum()), int(rows[f"{prefix}successes"].sum()), int((checks > 0).sum()), Percentiles.of(times)
    )


def _moment(value: object) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _minute(moment: datetime) -> int:
    return int(moment.timestamp() // 60)

"""The report: what the analysis says, for people."""

from collections.abc import Sequence
from datetime import timedelta

import attrs

from tailrace import Basis, Figure, Panel, Prose, Report, ReportTable, Section, SourceCall, TableView, redacted
from tailrace_source_health import panels
from tailrace_source_health.analysis import Analysis, Half
from tailrace_source_health.columns import COUNTRY
from tailrace_source_health.panels import Telling
from tailrace_source_health.reading import Checks
from tailrace_source_health.words import counted, every, listed, milliseconds, minute, percent

_GAPS_SHOWN = 50
_PROBLEMS_SHOWN, _PROXIES_SHOWN = 200, 500
_GOOD, _FAIR = 90, 50
_PROBLEMS = ("dead", "failing", "degraded")
_PROXY_COLUMNS = (
    ("url", "Proxy"),
    ("country", "Country"),
    ("status", "Status"),
    ("uptime_percent", "Uptime"),
    ("checks", "Checks"),
    ("failures", "Failures"),
    ("median_response_time_ms", "Median"),
    ("p95_response_time_ms", "95th percentile"),
    ("longest_outage", "Longest outage"),
    ("last_seen", "Last seen"),
    ("trend_points", "Change"),
    ("trend", "Trend"),
)
_PROBLEM_COLUMNS = (
    ("url", "Proxy"),
    ("country", "Country"),
    ("status", "Status"),
    ("reasons", "Why"),
    ("uptime_percent", "Uptime"),
    ("longest_outage", "Longest outage"),
    ("last_seen", "Last seen"),
)


def health_report(checks: Checks, analysis: Analysis, call: SourceCall, place: str) -> Report:
    """Make the report.

    Args:
        checks: What was analysed.
        analysis: What it says.
        call: What was asked for.
        place: Where the checks are from.
    """
    filters = [redacted(text) for text in call.where]
    basis = _basis(analysis, call, filters)
    told = Telling(analysis, basis, call.time_zone)
    runs = _runs(analysis, call)
    covers = _covers(checks, analysis, call, filters, runs)
    if not analysis.whole.checks:
        sections = [Section("Summary", [told.words("There are no checks", "Nothing can be said of the proxies.")])]
    else:
        sections = [
            Section("Summary", _summary(told)),
            Section("Availability over time", panels.availability(told)),
            Section("Response times", panels.responses(told)),
            Section("Failures", panels.failures(told)),
            Section("Problem proxies", [_problems(told)], new_page=True),
            Section("Every proxy", [_every_proxy(told)], new_page=True),
            Section("Coverage", _coverage(told, runs)),
        ]
    subtitle = f"{counted(analysis.whole.proxies, 'proxy', 'proxies')} in {redacted(place)}"
    return Report("Proxy health", subtitle, covers, sections, basis)


def _basis(analysis: Analysis, call: SourceCall, filters: list[str]) -> Basis:
    window = call.window
    since = analysis.first if window is None or window.since is None else window.since
    last = None if analysis.last is None else analysis.last + timedelta(microseconds=1)
    return Basis(analysis.whole.checks, since, last if window is None else window.until, filters)


def _covers(checks: Checks, analysis: Analysis, call: SourceCall, filters: list[str], runs: Sequence[str]) -> list[str]:
    said = [_extent(analysis, call.time_zone)]
    if filters:
        said.append(f"Only checks are in it that fit: {listed(filters)}.")
    if analysis.whole.checks:
        said += runs
    left = checks.left_out
    if left.incomplete:
        said.append(f"{counted(left.incomplete, 'check')} without a proxy, a time or an outcome: left out.")
    if left.unreadable:
        said.append(f"{counted(left.unreadable, 'row')} that cannot be read: left out.")
    if left.repeated:
        said.append(f"{counted(left.repeated, 'check')} stored more than once: each counts once.")
    if left.odd_times:
        said.append(f"{counted(left.odd_times, 'response time')} negative or no number: the checks count without it.")
    if analysis.later_than_now:
        said.append(f"{counted(analysis.later_than_now, 'check')} dated later than this export: a clock was wrong.")
    nowhere = analysis.proxies[COUNTRY].null_count()
    if nowhere:
        said.append(f"The country of {counted(nowhere, 'proxy', 'proxies')} is not known.")
    return said


def _extent(analysis: Analysis, zone: str) -> str:
    if analysis.first is None or analysis.last is None:
        return "There are no checks in this range."
    what = f"{counted(analysis.whole.checks, 'check')} of {counted(analysis.whole.proxies, 'proxy', 'proxies')}"
    return f"{what}, made from {minute(analysis.first, zone)} to {minute(analysis.last, zone)} ({zone})."


def _runs(analysis: Analysis, call: SourceCall) -> list[str]:
    covered = analysis.coverage
    if covered.interval is None:
        return ["No proxy was checked twice: how often runs are made is not known."]
    often = f"about every {every(60 * covered.interval)}"
    if not covered.missed:
        return [f"All {covered.expected:,} runs that were expected, {often}, are in it."]
    gaps = f"there {'is' if covered.gaps.height == 1 else 'are'} {counted(covered.gaps.height, 'gap')}"
    said = [f"{covered.seen:,} of {covered.expected:,} runs that were expected, {often}, are in it; {gaps}."]
    # Whoever says only when the range begins may not think of the time between the last check and now.
    if call.window is not None and call.window.until == call.moment and analysis.last is not None:
        _begins, ends, missed = covered.gaps.row(-1)
        if ends > analysis.last:
            when = minute(analysis.last, call.time_zone)
            due = f"{missed:,} of them {'was' if missed == 1 else 'were'} due after the last check ({when})"
            said.append(f"{due}: the range lasts until now; --until ends it where the data does.")
    return said


def _summary(told: Telling) -> list[Panel]:
    analysis = told.analysis
    whole, before = analysis.whole, analysis.before
    problems = analysis.count_of_problems
    statuses = [f"{analysis.of_status(name):,} {name}" for name in _PROBLEMS if analysis.of_status(name)]
    share = whole.availability
    return [
        told.figure("Proxies", Figure(whole.proxies, detail=_was(before, f"{before.proxies:,}"))),
        told.figure("Checks", Figure(whole.checks, detail=_was(before, f"{before.checks:,}"))),
        told.figure(
            "Availability",
            Figure(
                share,
                "%",
                _was(before, None if before.availability is None else percent(before.availability)),
                None if share is None else "good" if share >= _GOOD else "warning" if share >= _FAIR else "bad",
            ),
        ),
        told.figure("Median response time", _time(whole.times.median, before, before.times.median)),
        told.figure("95th percentile", _time(whole.times.p95, before, before.times.p95)),
        told.figure(
            "Problem proxies", Figure(problems, detail=", ".join(statuses), mark="bad" if problems else "good")
        ),
    ]


def _time(value: float | None, before: Half, earlier: float | None) -> Figure:
    return Figure(value, "ms", _was(before, None if earlier is None else milliseconds(earlier)))


def _was(before: Half, text: str | None) -> str:
    return f"{text} in the first half" if before.checks and text is not None else ""


def _problems(told: Telling) -> Panel:
    problems, listed = told.analysis.count_of_problems, told.analysis.problems.height
    whole = told.analysis.whole.proxies
    if not problems:
        return told.words("No proxy is a problem", "All proxies with enough checks to tell are healthy.")
    title = f"{problems:,} of {counted(whole, 'proxy', 'proxies')} {'are' if problems > 1 else 'is'} a problem"
    title += ", worst first" if listed == problems else f"; the {listed:,} worst are listed"
    return told.panel(title, TableView("problems", _PROBLEM_COLUMNS, _PROBLEMS_SHOWN, "mark"))


def _every_proxy(told: Telling) -> Panel:
    whole = told.analysis.whole.proxies
    title = f"All {counted(whole, 'proxy', 'proxies')}, by address" if whole > 1 else "The only proxy"
    return told.panel(title, TableView("proxies", _PROXY_COLUMNS, _PROXIES_SHOWN, "mark"))


def _coverage(told: Telling, said: Sequence[str]) -> list[Panel]:
    covered = told.analysis.coverage
    runs = covered.runs
    sizes = [] if not runs.height else [int(size) for size in (runs["checks"].min(), runs["checks"].max()) if size]  # type: ignore[arg-type]  # they are counts
    if len(sizes) > 1:
        all_in = f"A run has from {sizes[0]:,} to {counted(sizes[1], 'check')}; all are in the table coverage."
        said = [*said, all_in]
    found = [told.panel("How complete the checks are", Prose(said))]
    gaps = covered.gaps
    if gaps.height:
        rows = [(begins, ends, missed) for begins, ends, missed in gaps.head(_GAPS_SHOWN).rows()]
        title = f"{counted(covered.missed, 'run')} {'is' if covered.missed == 1 else 'are'} missing"
        if gaps.height > _GAPS_SHOWN:
            title += f"; the first {_GAPS_SHOWN} of {gaps.height:,} gaps"
        found.append(told.panel(title, ReportTable(("From", "Until", "Missing runs"), rows)))
    return [attrs.evolve(panel, basis=told.basis) for panel in found]

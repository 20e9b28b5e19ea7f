"""The source ``health``."""

from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from tailrace import CredentialMode, Dataset, NotAllowedError, RemovedLogins, SourceCall
from tailrace_source_health.analysis import analyse
from tailrace_source_health.opening import open_stored
from tailrace_source_health.options import HealthOptions
from tailrace_source_health.reading import read_checks
from tailrace_source_health.report import health_report
from tailrace_source_health.tables import CHECKS, checks_table, tables_of

_PUBLIC = ("http", "https", "socks4", "socks5")
"""Protocols, which a report names whatever somebody's password is."""


class HealthSource:
    """The health of proxies: uptime, response times, outages, trends and gaps, analysed from their checks."""

    summary: str = "The health of proxies, analysed from their checks: ProxyWhirl's database, Parquet or CSV"
    options_type: type = HealthOptions

    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        """Read the checks in one snapshot and analyse them, unless nobody needs but the checks.

        Range and filters apply to the checks before they are analysed.

        Raises:
            SourceError: There is nothing to read, or it cannot be read.
            TransientError: A database is locked or away for now.
            RequestError: The location, an option or a filter does not fit.
            NotAllowedError: Credentials are asked for in full.
        """
        if call.credentials is CredentialMode.FULL:
            message = "A health report is not restored from, so its credentials are not exported in full."
            raise NotAllowedError(
                message, hint="Use --credentials sanitized (without them); in full they are in exports of the pool."
            )
        removed = RemovedLogins(_PUBLIC)
        with open_stored(call) as stored:
            call.context.check()
            checks = read_checks(stored, call, removed)
        found = Dataset(
            [checks_table(checks)],
            version=f"health-{stored.kind}",
            notes=[*stored.notes, *checks.notes],
            restricted=True,
            secrets=removed.secrets,
        )
        if call.tables is None or not set(call.tables) <= {CHECKS}:
            analysis = analyse(
                checks,
                call.window,
                call.time_zone,
                call.moment,
                call.context,
                most_problems=call.options.problems,
            )
            report = health_report(checks, analysis, call, stored.place)
            with_checks = call.options.checks or CHECKS in (call.tables or ())
            tables = [*tables_of(analysis), *(found.tables if with_checks else ())]
            found = attrs.evolve(found, tables=tables, report=report, notes=[*found.notes, *report.covers])
        yield found

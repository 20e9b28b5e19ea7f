"""The report that a document of an export draws."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tailrace.model.dataset import Dataset, Table
from tailrace.model.report import Basis, Report
from tailrace.plugins.kinds import OutgoingTable
from tailrace.reading.userinfo import redacted
from tailrace.reports.standard import as_written, report_of

if TYPE_CHECKING:
    from tailrace.pipeline.job import Job


def report_for(job: "Job", dataset: Dataset, tables: Sequence[Table], outgoing: Sequence[OutgoingTable]) -> Report:
    """The report of the source, as its tables are written; where it made none, one that shows each table.

    Args:
        job: What was asked.
        dataset: What the source offered.
        tables: The tables of this file.
        outgoing: The same, as they are written.
    """
    window = job.selection.window
    basis = Basis(
        since=None if window is None else window.since,
        until=None if window is None else window.until,
        filters=[redacted(text) for text in job.request.where],
    )
    if dataset.report is not None:
        return as_written(dataset.report, {table.name: job.selection.written_as(table) for table in tables})
    title = f"{job.source.name.capitalize()} export"
    return report_of(title, redacted(job.request.location), outgoing, basis)

"""The source ``analytics``."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tailrace import BadRows, Dataset, Partition, SourceCall
from tailrace_source_analytics.credentials import check_mode
from tailrace_source_analytics.interpret import interpret
from tailrace_source_analytics.location import read_location
from tailrace_source_analytics.opening import open_log
from tailrace_source_analytics.options import AnalyticsOptions
from tailrace_source_analytics.parts import partitions_of
from tailrace_source_analytics.rejects import Rejects
from tailrace_source_analytics.removed import Removed


class AnalyticsSource:
    """Request logs: one table ``requests`` out of a database, data files or Squid's log."""

    summary: str = "Request logs from SQLite, PostgreSQL, Parquet, CSV, NDJSON and Squid"
    options_type: type = AnalyticsOptions

    @contextmanager
    def open(self, call: SourceCall) -> Iterator[Dataset]:
        """Open one consistent snapshot.

        Databases are read in one transaction. Of files, which there are and how long they are is fixed here: what a
        growing log gets later belongs to the next export, and a last line that is not finished yet is a row that cannot
        be read.

        Raises:
            SourceError: There is nothing to read, or it cannot be read.
            TransientError: A database is locked or away for now.
            RequestError: The location, an option or a partition does not fit.
            NotAllowedError: Credentials are asked for in full.
        """
        check_mode(call.credentials)
        options: AnalyticsOptions = call.options
        rejects = Rejects(BadRows() if options.on_bad_rows == "report" else None)
        removed = Removed()
        place = read_location(call.location, options, call.folder)
        with open_log(place, options, rejects, call.context) as log:
            table, notes = interpret(log, call, rejects, removed)
            if log.is_empty():
                notes.append(f"{log.place} has no rows")
            yield Dataset(
                (table,),
                version=f"analytics-{log.kind}",
                notes=tuple(dict.fromkeys(notes)),
                secrets=removed.secrets,
            )

    def partitions(self, call: SourceCall, most: int) -> Sequence[Partition]:
        """How a log splits into parts: files by ranges of rows; databases do not.

        Files that nobody writes to are the same for all who open them, and a database shows one state to one
        transaction only. Text is cut between the blocks that it is read in, so that a part is read just as it is
        within the whole, down to the records that cannot be read. A text of one block is one part.

        Raises:
            SourceError: There is nothing to read, or it cannot be read.
            TransientError: A database is locked or away for now.
            RequestError: The location or an option does not fit.
        """
        options: AnalyticsOptions = call.options
        place = read_location(call.location, options, call.folder)
        with open_log(place, options, Rejects(BadRows()), call.context) as log:
            return partitions_of(log, most)

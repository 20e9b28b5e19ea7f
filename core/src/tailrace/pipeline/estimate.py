"""What an export will take: rows and bytes, from the row count and a sample written for real."""

from io import BytesIO
from typing import TYPE_CHECKING

import attrs

from tailrace.model.context import Context
from tailrace.model.dataset import Dataset, Table
from tailrace.model.job import Estimate, TableEstimate
from tailrace.pipeline.described import report_for
from tailrace.pipeline.encode import Buffer, Encoded, Encoder
from tailrace.pipeline.foreign import foreign_errors, undisclosed
from tailrace.pipeline.job import Job
from tailrace.plugins.kinds import OutgoingTable, WriteCall

if TYPE_CHECKING:
    import polars as pl

SAMPLE_ROWS = 20_000
"""Rows written to learn how many bytes a row takes; tables that are no larger are measured, not estimated."""


def estimate(job: Job, *, context: Context, exact: bool = True) -> Estimate:
    """Estimate an export without writing a file.

    Args:
        job: The prepared export.
        context: Cancellation and deadline.
        exact: Count the rows that filters keep, which may read the filtered columns once. Otherwise their share is
            projected from the sample.

    Raises:
        TailraceError: The same problems that the export would meet before its first row.
    """
    with job.open(context) as dataset:
        job = job.reading(dataset)
        notes = job.selection.check(dataset.tables)
        private = dataset.private
        tables = tuple(_table(job, table, context, exact=exact, private=private) for table in dataset.tables)
    return Estimate(tables, notes)


def _table(job: Job, table: Table, context: Context, *, exact: bool, private: bool) -> TableEstimate:
    try:
        with foreign_errors("source", job.source.name, during_reading=job.source.name, private=private):
            rows, measured, counted = _rows(job, table, context, exact=exact)
        context.check()
        with foreign_errors("format", job.format.name, during_reading=job.source.name, private=private):
            empty = _encode(job, table, measured.head(0), context)
            full = _encode(job, table, measured, context)
    except BaseException as error:
        if private:
            undisclosed(error)
        raise
    share = rows / measured.height if measured.height else 0
    return TableEstimate(
        table=table.name,
        rows=rows,
        plain_bytes=empty.plain_size + round((full.plain_size - empty.plain_size) * share),
        bytes=empty.size + round((full.size - empty.size) * share),
        exact_rows=counted,
        columns=len(job.selection.apply(table)[1]),
    )


def _rows(job: Job, table: Table, context: Context, *, exact: bool) -> "tuple[int, pl.DataFrame, bool]":
    """How many rows will come out, some of them (or rows like them) to measure, and whether they were counted."""
    import polars as pl

    everything = _count(table)
    if everything <= SAMPLE_ROWS:
        kept = job.selection.apply(table)[0].collect()
        return kept.height, kept, True
    sample = table.sample(SAMPLE_ROWS) if table.sample else table.frame.head(SAMPLE_ROWS).collect()
    context.check()
    unordered = attrs.evolve(job.selection, sort=(), limit=None)
    kept = unordered.apply(table, sample.lazy())[0].collect()
    counted = exact or not unordered.narrows(table)
    if not unordered.narrows(table):
        rows = everything
    elif exact:
        rows = int(unordered.apply(table)[0].select(pl.len()).collect(engine="streaming").item())
    else:
        rows = round(everything * kept.height / sample.height) if sample.height else 0
    if job.selection.limit is not None:
        rows = min(rows, job.selection.limit)
    if rows and not kept.height:
        # What is too rare for the sample is probably about as long as the rest.
        kept = attrs.evolve(unordered, where=(), window=None).apply(table, sample.lazy())[0].collect()
    return rows, kept, counted


def _count(table: Table) -> int:
    if table.count_rows is not None:
        return table.count_rows()
    import polars as pl

    return int(table.frame.select(pl.len()).collect(engine="streaming").item())


def _encode(job: Job, table: Table, rows: "pl.DataFrame", context: Context) -> Encoded:
    columns = job.selection.apply(table)[1]
    target = BytesIO()
    quiet = context.quiet()

    def put(content: Buffer) -> None:
        target.write(content)

    with Encoder(put, level=job.level, context=quiet) as encoder:
        outgoing = OutgoingTable(
            table.name, rows.lazy(), columns, job.selection.zone.key, job.selection.time_column(table)
        )
        job.format.object.write(
            WriteCall(
                (outgoing,),
                encoder,
                job.format_options,
                job.embedded((table,)),
                lambda _note: None,
                quiet,
                moment=job.now,
                report=report_for(job, Dataset((table,)), (table,), (outgoing,)),
                brand=job.brand,
                user=job.user.id,
                time_zone=job.selection.zone.key,
            )
        )
        return encoder.finish()

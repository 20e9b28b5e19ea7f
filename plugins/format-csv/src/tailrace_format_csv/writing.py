"""Writing a table as CSV."""

from typing import IO, cast

import polars as pl

from tailrace import OutgoingTable, RequestError, WriteCall, guarded_names
from tailrace_format_csv.cells import cells, is_text
from tailrace_format_csv.guard import NOTE
from tailrace_format_csv.options import CsvOptions
from tailrace_format_csv.refusals import inspected, refuse_beyond_iso, refuse_null_text

_BYTE_ORDER_MARK = "\ufeff"


def write_table(call: WriteCall) -> None:
    """Write the one table of a call.

    Raises:
        RequestError: A column or a value that CSV cannot hold without loss.
    """
    (table,) = call.tables
    options: CsvOptions = call.options
    schema = table.frame.collect_schema()
    _check_names(table, schema, options)
    if call.seal is not None and not options.header:
        raise RequestError(
            "Sealed credentials are bound to columns by name, and a CSV without header has none.",
            hint="Leave the header in, or write a JSON document: --format json",
        )
    guard = options.profile == "excel"
    frame = table.frame
    dated = [name for name, dtype in schema.items() if dtype.is_temporal()]
    if dated:
        frame = inspected(frame, refuse_beyond_iso(table.name, dated))
    frame = frame.select(cells(table.name, schema, guard=guard))
    # An empty line is no row to many readers: a lone null needs something to hold on to.
    alone = len(schema) == 1
    texts = [name for name, dtype in frame.collect_schema().items() if is_text(dtype)]
    if texts and (options.nulls or alone):
        frame = inspected(frame, refuse_null_text(table.name, texts, options.nulls))
    if guard:
        call.note(NOTE)
        frame = frame.rename(dict(zip(schema, guarded_names(list(schema)), strict=True)))
    for name, dtype in schema.items():
        if isinstance(dtype, pl.Binary):
            call.note(f"{table.name}.{name}: binary, written as Base64.")
    frame.sink_csv(
        cast("IO[bytes]", call.output),
        include_bom=bool(options.bom),
        include_header=options.header,
        separator=options.delimiter,
        line_terminator=options.line_end,
        null_value=options.nulls or ('""' if alone else None),
        engine="streaming",
    )


def _check_names(table: OutgoingTable, schema: pl.Schema, options: CsvOptions) -> None:
    if not schema:
        message = f"Table {table.name} has no columns: there is nothing to write."
        raise RequestError(message, hint="Ask for at least one column.")
    if options.header and not options.bom and next(iter(schema)).startswith(_BYTE_ORDER_MARK):
        message = (
            f"The first column of table {table.name} begins with a byte order mark, which readers would take away."
        )
        raise RequestError(message, hint="Rename it (--columns new=old), or write a mark of its own: --option bom=true")

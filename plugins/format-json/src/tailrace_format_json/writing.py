"""Writing tables as JSON: documents and NDJSON."""

from typing import IO, cast

import attrs
import polars as pl

from tailrace import ByteWriter, OutgoingTable, RequestError, WriteCall
from tailrace_format_json.document import (
    DOCUMENT_END,
    MANIFEST_KEY,
    SEAL_KEY,
    TABLE_END,
    SeparatedRows,
    manifest_lines,
    seal_line,
    table_start,
)
from tailrace_format_json.inspection import Inspection
from tailrace_format_json.nesting import leaf_types
from tailrace_format_json.options import JsonOptions
from tailrace_format_json.values import changed_columns


def write_tables(call: WriteCall) -> None:
    """Write the tables of a call.

    Raises:
        RequestError: A table, column or value that JSON cannot hold.
    """
    prepared = [_Prepared.of(table, call.options) for table in call.tables]
    for table in prepared:
        for note in table.notes:
            call.note(note)
    if call.options.layout == "lines":
        (table,) = prepared
        table.write(call.output)
    else:
        call.output.write(manifest_lines(call.embedded))
        for table in prepared:
            call.output.write(table_start(table.name))
            rows = SeparatedRows(call.output)
            table.write(rows)
            rows.finish()
            call.output.write(TABLE_END)
        if call.seal is not None:
            call.output.write(seal_line(call.seal()))
        call.output.write(DOCUMENT_END)
    for table in prepared:
        for note in table.inspection.notes():
            call.note(note)


@attrs.frozen
class _Prepared:
    """A table that is ready to be written."""

    name: str
    frame: pl.LazyFrame
    inspection: Inspection
    notes: list[str]

    @classmethod
    def of(cls, table: OutgoingTable, options: JsonOptions) -> "_Prepared":
        if options.layout == "document" and table.name in {MANIFEST_KEY, SEAL_KEY}:
            raise RequestError(
                f"A table cannot be named {table.name!r} in a JSON document: that is where its {table.name} is.",
                hint="Write a file per table: --option layout=lines",
            )
        schema = table.frame.collect_schema()
        changed = changed_columns(table.name, schema, options)
        inspection = Inspection(table.name, schema, options)
        notes = [
            f"{table.name}.{name}: binary, written as Base64."
            for name, dtype in schema.items()
            if any(isinstance(kind, pl.Binary) for kind in leaf_types(dtype))
        ]
        return cls(table.name, inspection.of(table.frame).with_columns(changed), inspection, notes)

    def write(self, output: ByteWriter) -> None:
        # polars asks for IO[bytes] and uses write and flush.
        self.frame.sink_ndjson(cast("IO[bytes]", output), engine="streaming")

"""The format ``json``: documents and NDJSON."""

from collections.abc import Mapping
from typing import IO, Any, cast

import attrs
import polars as pl

from tailrace import ByteWriter, FileLayout, OutgoingTable, RequestError, RereadCall, WriteCall
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
from tailrace_format_json.embedded import ChangeManifest, SealBytes, with_manifest
from tailrace_format_json.inspection import Inspection
from tailrace_format_json.nesting import leaf_types
from tailrace_format_json.options import JsonOptions
from tailrace_format_json.reread import count_document, count_lines
from tailrace_format_json.values import changed_columns


class JsonFormat:
    """Writes all tables as one JSON document, or one table as NDJSON."""

    summary = "JSON: one document with its manifest, or NDJSON; ISO 8601 times, no NaN."
    options_type: type = JsonOptions

    def layout(self, options: Any) -> FileLayout:
        """One file for all tables, or with layout ``lines`` one for each."""
        if options.layout == "lines":
            return FileLayout(extension="ndjson", media_type="application/x-ndjson")
        return FileLayout(extension="json", media_type="application/json", many_tables=True)

    def write(self, call: WriteCall) -> None:
        """Write the tables of the call.

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

    def with_manifest(self, content: bytes, change: ChangeManifest, seal: SealBytes) -> bytes:
        """The same document with another manifest inside, and sealed anew.

        Args:
            content: A document, as :meth:`write` wrote it.
            change: Gives the new manifest for the old one.
            seal: Gives the seal for the bytes before it.

        Raises:
            IntegrityError: The document is not built as it was written.
        """
        return with_manifest(content, change, seal)

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        """Count the rows of each table in a finished file.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        if call.options.layout == "lines":
            (table,) = call.tables
            columns = call.columns[table] if call.thorough else None
            return {table: count_lines(call.blocks, columns=columns)}
        return count_document(call.blocks, call.tables, columns=call.columns if call.thorough else None)


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

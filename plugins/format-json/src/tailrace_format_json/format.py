"""The format ``json``: documents and NDJSON.

What does it is imported when it is asked for: whoever only looks at the plugin needs no polars.
"""

from collections.abc import Mapping
from typing import Any

from tailrace import FileLayout, RereadCall, WriteCall
from tailrace_format_json.embedded import ChangeManifest, SealBytes, with_manifest
from tailrace_format_json.options import JsonOptions
from tailrace_format_json.reread import count_document, count_lines


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
        from tailrace_format_json.writing import write_tables

        write_tables(call)

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

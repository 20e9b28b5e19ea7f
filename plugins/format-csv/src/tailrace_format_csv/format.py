"""The format ``csv``: one table in one file.

What does it is imported when it is asked for: whoever only looks at the plugin needs no polars.
"""

from collections.abc import Mapping
from typing import Any

from tailrace import FileLayout, RereadCall, WriteCall
from tailrace_format_csv.options import CsvOptions


class CsvFormat:
    """Writes one table as CSV."""

    summary = "CSV: UTF-8, RFC 4180 quoting, ISO 8601 times; a profile for machines and one for spreadsheets."
    options_type: type = CsvOptions

    def layout(self, options: Any) -> FileLayout:
        """One file per table."""
        return FileLayout(extension="csv", media_type="text/csv")

    def write(self, call: WriteCall) -> None:
        """Write the one table of the call.

        Raises:
            RequestError: A column or a value that CSV cannot hold without loss.
        """
        from tailrace_format_csv.writing import write_table

        write_table(call)

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        """Count the rows of a finished file.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        from tailrace_format_csv.reread import count_records, parse_records

        (table,) = call.tables
        if call.thorough:
            return {table: parse_records(call.blocks, call.options, columns=call.columns[table])}
        return {table: count_records(call.blocks, call.options)}

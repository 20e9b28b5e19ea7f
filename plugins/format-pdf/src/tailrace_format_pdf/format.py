"""The format ``pdf``: a report as a document, with its data inside."""

from collections.abc import Iterator, Mapping
from typing import Any

from tailrace import FileLayout, RereadCall, SearchCall, WriteCall
from tailrace_format_pdf.options import PdfOptions


class PdfFormat:
    """Draws the report as a document."""

    summary = "PDF documents: vector charts, fast tables, searchable text; all data attached."
    options_type: type = PdfOptions

    def layout(self, options: Any) -> FileLayout:
        """One document for all tables; it is compressed by nature."""
        return FileLayout(
            extension="pdf", media_type="application/pdf", compressible=False, many_tables=True, dated=options.stamped
        )

    def write(self, call: WriteCall) -> None:
        """Write the document of the call.

        Raises:
            RequestError: A column that a document cannot show.
            ConfigurationError: A font or the logo of the brand is missing.
        """
        from tailrace_format_pdf.document import write_document

        write_document(call)

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        """Count the rows of each table in a finished file: those of the data attached.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        from tailrace_format_pdf.reading import count_rows

        return count_rows(call)

    def searchable(self, call: SearchCall) -> Iterator[bytes]:
        """What can be read in a finished file: texts of its pages, its files unpacked, and what it says about itself.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        from tailrace_format_pdf.reading import searchable

        return searchable(call.blocks)

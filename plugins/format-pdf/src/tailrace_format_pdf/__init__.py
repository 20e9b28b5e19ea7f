"""PDF for Tailrace: reports as documents with vector charts, tables of any length, and all data attached.

How it is made: :mod:`~tailrace_format_pdf.document` lays a report out by :mod:`~tailrace_format_pdf.sections` and
:mod:`~tailrace_format_pdf.panels`; long tables become content streams in :mod:`~tailrace_format_pdf.rows`; fpdf2 makes
the file around the pages, of which only :mod:`~tailrace_format_pdf.inside` knows more than is public.
"""

from tailrace import Format, hookimpl
from tailrace_format_pdf.format import PdfFormat as PdfFormat
from tailrace_format_pdf.options import PdfOptions as PdfOptions


@hookimpl
def tailrace_format() -> Format:
    """Offer the format ``pdf``."""
    return PdfFormat()

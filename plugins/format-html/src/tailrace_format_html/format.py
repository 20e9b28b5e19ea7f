"""The format ``html``: a report as one page, with its data inside."""

from collections.abc import Iterator, Mapping
from typing import Any

from tailrace import FileLayout, RereadCall, SearchCall, WriteCall
from tailrace_format_html.options import HtmlOptions


class HtmlFormat:
    """Draws the report as one page that needs nothing beside it."""

    summary = "One self-contained page: charts, sortable tables, light and dark, printable; all data inside."
    options_type: type = HtmlOptions

    def layout(self, options: Any) -> FileLayout:
        """One page for all tables; its data is compressed inside, and a browser shows it as it is."""
        return FileLayout(
            extension="html", media_type="text/html", compressible=False, many_tables=True, dated=options.stamped
        )

    def write(self, call: WriteCall) -> None:
        """Write the page of the call.

        Raises:
            RequestError: A column that a page cannot show.
            ConfigurationError: A font or the logo of the brand is missing.
        """
        from tailrace_format_html.page import write_page

        write_page(call)

    def count_rows(self, call: RereadCall) -> Mapping[str, int]:
        """Count the rows of each table in a finished file: those of the data inside.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        from tailrace_format_html.reading import count_rows

        return count_rows(call)

    def searchable(self, call: SearchCall) -> Iterator[bytes]:
        """What can be read in a finished file: its texts without the ways of HTML to write them, and the data.

        Raises:
            IntegrityError: The bytes are not what this format writes.
        """
        from tailrace_format_html.reading import searchable

        return searchable(call.blocks)

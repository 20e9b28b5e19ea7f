"""Excel for Tailrace: workbooks at native speed, in which no value is changed and no text becomes a formula.

What a cell is, by type of its column:

=========================  =====================================================================================
null                       an empty cell
text, categories           a text
numbers                    a number; one of more than 15 digits, ``NaN`` and infinities are text
true or false              a boolean
date, time, duration       what Excel has for it, with the zone in the header; what is beyond Excel is ISO 8601 text
binary                     Base64 (RFC 4648)
list, array, struct, …     refused, with the name of the column
=========================  =====================================================================================

The format is Office Open XML (ECMA-376, SpreadsheetML transitional) in a ZIP archive. How it is made: from
:mod:`~tailrace_format_excel.whole` through :mod:`~tailrace_format_excel.rows` into
:mod:`~tailrace_format_excel.archive`, with :mod:`~tailrace_format_excel.shell` around it.
"""

from tailrace import Format, hookimpl
from tailrace_format_excel.format import ExcelFormat as ExcelFormat
from tailrace_format_excel.options import ExcelOptions as ExcelOptions


@hookimpl
def tailrace_format() -> Format:
    """Offer the format ``excel``."""
    return ExcelFormat()

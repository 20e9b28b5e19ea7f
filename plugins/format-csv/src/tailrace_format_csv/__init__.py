"""CSV for Tailrace: for machines, and safely for spreadsheets.

UTF-8, quoted by RFC 4180, one header line, times in ISO 8601. What a field holds, by type of its column:

=========================  =====================================================================================
null                       nothing, or the text of option ``nulls``
text, categories           the text; an empty one is written ``""``
whole numbers, decimals    all digits
floating point             the shortest text that reads back as the same number; ``NaN``, ``inf``, ``-inf``
true or false              ``true``, ``false``
date, time, duration       see :mod:`tailrace.pipeline.timestamps`: ``2026-08-15T06:00:00.000000Z``
binary                     Base64 (RFC 4648)
list, array, struct, …     refused, with the name of the column
=========================  =====================================================================================

A table of a single column would have empty lines for its nulls, which many readers skip. There, null is written ``""``,
and an empty text is refused, unless option ``nulls`` gives null a text of its own.

Profile ``excel`` neutralises formulas so that the exact text can be had back; see :mod:`tailrace_format_csv.guard`.
"""

from tailrace import Format, hookimpl
from tailrace_format_csv.format import CsvFormat as CsvFormat
from tailrace_format_csv.options import CsvOptions as CsvOptions


@hookimpl
def tailrace_format() -> Format:
    """Offer the format ``csv``."""
    return CsvFormat()

r"""JSON for Tailrace: one document with its manifest, or a line per row.

Layout ``document`` is one JSON document for all tables, with one row per line, so that two exports can be compared
with any tool that compares lines::

    {
    "manifest": {
      "schema_version": 1
    },
    "proxies": [
    {"host":"192.0.2.1","port":8080},
    {"host":"192.0.2.2","port":3128}
    ]
    }

Layout ``lines`` is NDJSON, a file per table: one object per line. What a value is, by type of its column:

=========================  =====================================================================================
null                       ``null``
text, categories           string
whole numbers              number with all digits, or with ``big_integers=text`` a string where the type has 64
                           bits or more: JavaScript, and all that reads numbers as it does, loses digits over 2^53
floating point             the shortest number that reads back as the same; ``NaN`` and infinities do not exist in
                           JSON: ``null``, counted and told in the manifest, or with ``nonfinite=refuse`` an error
decimal                    string, with all digits: ``"1.10"``
true or false              ``true``, ``false``
date, time, duration       string, see :mod:`tailrace.pipeline.timestamps`: ``"2026-08-15T06:00:00.000000Z"``
binary                     string, Base64 (RFC 4648)
list, array                array of such values
struct                     object of such values
anything else              refused, with the name of the column
=========================  =====================================================================================
"""

from tailrace import Format, hookimpl
from tailrace_format_json.format import JsonFormat as JsonFormat
from tailrace_format_json.options import JsonOptions as JsonOptions


@hookimpl
def tailrace_format() -> Format:
    """Offer the format ``json``."""
    return JsonFormat()

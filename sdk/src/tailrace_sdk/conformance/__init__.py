"""The conformance kit: standard tests by which authors of plugins know that theirs are right.

Subclass the class of your plugin's kind, say what it is and what it can, and run pytest::

    from tailrace_sdk.conformance import FormatConformance


    class TestParquet(FormatConformance):
        target = "tailrace_format_parquet"
        name = "parquet"

See :mod:`tailrace_sdk.conformance.standard` for the rules.
"""

from tailrace_sdk.conformance.formats import FormatConformance as FormatConformance
from tailrace_sdk.conformance.sinks import SinkConformance as SinkConformance
from tailrace_sdk.conformance.sources import SourceConformance as SourceConformance

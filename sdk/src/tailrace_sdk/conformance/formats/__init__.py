"""The conformance kit for formats: :class:`FormatConformance`, made of standard tests by subject."""

from tailrace_sdk.conformance.formats.contents import ContentTests
from tailrace_sdk.conformance.formats.contract import ContractTests
from tailrace_sdk.conformance.formats.damage import DamageTests
from tailrace_sdk.conformance.formats.faults import FaultTests
from tailrace_sdk.conformance.formats.kinds_of_values import ValueTests
from tailrace_sdk.conformance.formats.manners import MannersTests
from tailrace_sdk.conformance.formats.scale import ScaleTests
from tailrace_sdk.conformance.formats.secrecy import SecrecyTests


class FormatConformance(
    ContractTests, ContentTests, ValueTests, DamageTests, MannersTests, FaultTests, SecrecyTests, ScaleTests
):
    """Standard tests of a format; subclass it, and say what the format can.

    ::

        class TestParquet(FormatConformance):
            target = "tailrace_format_parquet"
            name = "parquet"
            streams = True

            def read_back(self, engine, path):
                return {"rows": polars.read_parquet(path)}

    See :class:`~tailrace_sdk.conformance.formats.base.FormatTests` for the attributes.
    """

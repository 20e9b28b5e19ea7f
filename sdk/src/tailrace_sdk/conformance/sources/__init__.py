r"""The conformance class of sources.

::

    from tailrace_sdk.conformance import SourceConformance
    from tailrace_sdk.conformance.sources import Placed


    class TestWords(SourceConformance):
        target = "tailrace_source_words"
        name = "words"
        reads_files = counts = True

        def place(self, folder, numbers):
            words = [f"word {number}" for number in numbers]
            (folder / "words.txt").write_text("".join(f"{word}\n" for word in words))
            return Placed("words.txt", {"words": pl.DataFrame({"word": words}, schema={"word": pl.String})})

What else it has to be told depends on what the source can: see
:class:`~tailrace_sdk.conformance.sources.case.SourceCase`.
"""

from tailrace_sdk.conformance.sources.case import SourceCase
from tailrace_sdk.conformance.sources.content import ContentTests
from tailrace_sdk.conformance.sources.contract import ContractTests
from tailrace_sdk.conformance.sources.counting import CountTests
from tailrace_sdk.conformance.sources.faults import FaultTests
from tailrace_sdk.conformance.sources.parts import PartTests
from tailrace_sdk.conformance.sources.placed import Placed
from tailrace_sdk.conformance.sources.ranges import RangeTests
from tailrace_sdk.conformance.sources.scale import ScaleTests
from tailrace_sdk.conformance.sources.secrets import SecretTests
from tailrace_sdk.conformance.sources.sharing import SharingTests

__all__ = ["Placed", "SourceCase", "SourceConformance"]


class SourceConformance(
    ContractTests, ContentTests, CountTests, RangeTests, SecretTests, FaultTests, SharingTests, PartTests, ScaleTests
):
    """Standard tests of a source; subclass it, say what the source can, and make data for it."""

"""Standard tests of sources: what is offered is described as it is."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest

from tailrace import PartitionedSource, WithExamples
from tailrace_sdk.conformance.sources.case import SOME, SourceCase
from tailrace_sdk.conformance.sources.opening import Opener, digest
from tailrace_sdk.conformance.standard import standard


class ContractTests(SourceCase):
    """What a source says about itself and its tables."""

    @standard()
    def test_it_can_what_it_says_and_no_more(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """The capabilities that the class claims are those that the source shows: no more, and no less.

        Set those of the class as the source has them; or, where one is missing, give the source what shows it:
        ``partitions``, ``examples``, ``Table.count_rows``, ``Table.sample``, ``Table.time_column``,
        ``Dataset.restricted``, ``Dataset.secrets``, ``Dataset.report``.
        """
        folder = make("data")
        # Data that is small may have no places to cut at.
        placed = self.place(folder, range(self.partitioned_rows) if self.partitioned else SOME)
        called: list[str] = []
        call = opener.call(placed, folder)
        assert call.open_source is not None
        call = attrs.evolve(call, open_source=partial(_noted, called, call.open_source))
        with opener.source.open(call) as dataset:
            tables = dataset.tables
            seen = {
                "partitioned": isinstance(opener.source, PartitionedSource) and bool(opener.tokens(call, 2)),
                "examples": isinstance(opener.source, WithExamples),
                "time_ranges": any(table.time_column for table in tables),
                "restricts": dataset.restricted,
                "counts": any(table.count_rows for table in tables),
                "samples": any(table.sample for table in tables),
                "has_secrets": dataset.secrets is not None,
                "reports": dataset.report is not None,
                "composed": bool(called),
            }
        assert seen == {name: getattr(self, name) for name in seen}

    @standard()
    def test_columns_are_described_as_they_are_in_the_frame(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Each column of a table has one ``Column``, under its name and in its order; no two tables have one name.

        Make ``Table.columns`` out of what the frame has, so that they cannot differ. ``time_column`` names one of them.
        """
        folder = make("data")
        with opener.opened(self.place(folder, SOME), folder) as dataset:
            assert dataset.tables or dataset.report
            names = [table.name for table in dataset.tables]
            assert len(set(names)) == len(names), f"tables of one name: {names}"
            for table in dataset.tables:
                columns = table.frame.collect_schema().names()
                assert [column.name for column in table.columns] == columns, f"of table {table.name}"
                assert table.frame.collect().columns == columns, f"what is read of table {table.name}"
                assert table.time_column is None or table.time_column in columns

    @standard()
    def test_frames_have_the_types_that_they_promise(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """What is collected has the types that the lazy frame says before it is read.

        Formats lay out their files by ``collect_schema()``. Give a lazy frame that reads itself its true ``schema``.
        """
        folder = make("data")
        with opener.opened(self.place(folder, SOME), folder) as dataset:
            for table in dataset.tables:
                assert table.frame.collect().schema == table.frame.collect_schema(), f"table {table.name}"

    @standard()
    def test_timestamps_are_utc(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Every column of moments is a ``Datetime`` with time zone UTC, and one that time ranges apply to is such.

        Convert with ``dt.replace_time_zone("UTC")`` what is UTC and does not say so, and with
        ``dt.convert_time_zone("UTC")`` what is in another zone.
        """
        import polars as pl

        folder = make("data")
        with opener.opened(self.place(folder, SOME), folder) as dataset:
            for table in dataset.tables:
                schema = table.frame.collect_schema()
                zones = {name: dtype.time_zone for name, dtype in schema.items() if isinstance(dtype, pl.Datetime)}
                assert zones == dict.fromkeys(zones, "UTC"), f"of table {table.name}"
                assert table.time_column is None or table.time_column in zones, f"of table {table.name}"

    @standard()
    def test_a_table_alone_is_what_it_is_beside_the_others(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """``call.tables`` is a hint that only some tables are needed: those are the same as without it.

        Others, and the report, may be left out to spare work.
        """
        folder = make("data")
        placed = self.place(folder, SOME)
        whole = digest(opener.read(placed, folder))
        for name, expected in whole.items():
            with opener.opened(placed, folder, tables={name}) as dataset:
                alone = {table.name: table.frame.collect() for table in dataset.tables if table.name == name}
            assert digest(alone) == {name: expected}

    @standard()
    def test_it_prints_nothing(
        self, opener: Opener, make: Callable[[str], Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Opening and reading print nothing: standard output belongs to the command line.

        Tell people by ``Dataset.notes``, and authors by ``logging``.
        """
        folder = make("data")
        capfd.readouterr()
        opener.read(self.place(folder, SOME), folder)
        assert capfd.readouterr() == ("", "")

    @standard(needs="examples")
    def test_its_examples_are_named_and_have_a_text(self, opener: Opener) -> None:
        """Each example has a name of its own, a title and a text to start from.

        ``tailrace`` lists them by these.
        """
        source = opener.source
        assert isinstance(source, WithExamples)
        examples = source.examples()
        assert examples
        assert len({example.name for example in examples}) == len(examples)
        assert all(example.name and example.title and example.text for example in examples)


def _noted(called: list[str], open_source: Callable[..., Any], name: str, *arguments: Any, **more: Any) -> Any:
    called.append(name)
    return open_source(name, *arguments, **more)

"""Standard tests of sources: counts, samples, and rows that cannot be read."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tailrace import Dataset, Table
from tailrace_sdk.conformance.sources.case import SOME, SourceCase
from tailrace_sdk.conformance.sources.content import assert_as_placed
from tailrace_sdk.conformance.sources.opening import Opener, text_of
from tailrace_sdk.conformance.standard import standard

if TYPE_CHECKING:
    import polars as pl


class CountTests(SourceCase):
    """What a source says about its number of rows, and some of them."""

    @standard(needs="counts")
    def test_counts_agree_with_the_rows_and_do_not_come_from_them(
        self, opener: Opener, make: Callable[[str], Path]
    ) -> None:
        """``count_rows`` gives the number of rows of the table, found out in another way than by reading them.

        It is what an export is proved against: counted by the frame that was handed over, it proves nothing. Use what
        the place offers (``SELECT count(*)``, the metadata of a Parquet file, counting line ends), or leave it None.
        """
        folder = make("data")
        with opener.opened(self.place(folder, SOME), folder) as dataset:
            for table in dataset.tables:
                if table.count_rows is None:
                    continue
                frame = table.frame.collect()
                held = [what for what in _reached(table.count_rows) if _same_columns(what, frame)]
                assert not held, f"count_rows of {table.name} counts a frame that is handed over"
                assert table.count_rows() == frame.height + table.bad_rows.count, f"table {table.name}"

    @standard(needs="leaves_out_bad_rows")
    def test_rows_that_cannot_be_read_are_counted(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Rows left out because they cannot be read are counted in ``Table.bad_rows``; the others come out as they are.

        An independent count counts them, too, so that rows read and rows left out come to it: otherwise nobody would
        see a row that was lost in another way.
        """
        folder = make("data")
        placed = self.place_bad_rows(folder, SOME, 7)
        with opener.opened(placed, folder) as dataset:
            frames = {table.name: table.frame.collect() for table in dataset.tables}
            assert sum(table.bad_rows.count for table in dataset.tables) == 7
            for table in dataset.tables:
                if table.count_rows is not None:
                    assert table.count_rows() == frames[table.name].height + table.bad_rows.count
        assert_as_placed(frames, placed)

    @standard(needs="samples")
    def test_samples_are_rows_of_the_table(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """``sample(n)`` gives at most ``n`` rows of the table, with its columns and types; some, where there are any.

        Estimates measure them. Rows may come from anywhere in the table, but each must be one of its rows.
        """
        folder = make("data")
        with opener.opened(self.place(folder, SOME), folder) as dataset:
            for table in dataset.tables:
                if table.sample is None:
                    continue
                frame = table.frame.collect()
                for most in (1, 7, len(SOME) * 2):
                    sample = table.sample(most)
                    assert sample.schema == frame.schema, f"table {table.name}"
                    assert min(1, frame.height) <= sample.height <= most, f"table {table.name}, {most} rows asked for"
                    assert set(_lines(sample)) <= set(_lines(frame)), f"rows that table {table.name} does not have"


def _lines(frame: "pl.DataFrame") -> list[str]:
    return text_of(frame).splitlines()


def _reached(found: object, depth: int = 3) -> Iterator[object]:
    """What a callable holds on to: what its closure, the arguments of a partial, or its object are."""
    yield found
    if depth == 0 or isinstance(found, Dataset | Table | type):
        return
    inner: list[object] = [cell.cell_contents for cell in getattr(found, "__closure__", None) or () if _filled(cell)]
    if isinstance(found, partial):
        inner += [found.func, *found.args, *found.keywords.values()]
    inner += [*(getattr(found, "__defaults__", None) or ()), getattr(found, "__self__", None)]
    for one in inner:
        yield from _reached(one, depth - 1)


def _filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _same_columns(what: object, frame: "pl.DataFrame") -> bool:
    """Whether it is a frame like one that was handed over, or the table that has it."""
    import polars as pl

    if isinstance(what, Table):
        return what.frame.collect_schema().names() == frame.columns
    if isinstance(what, pl.LazyFrame):
        return what.collect_schema().names() == frame.columns
    return isinstance(what, pl.DataFrame) and what.columns == frame.columns

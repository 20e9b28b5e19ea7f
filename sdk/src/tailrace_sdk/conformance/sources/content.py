"""Standard tests of sources: what comes out is what is in, and the same each time."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tailrace_sdk.conformance.apart import done_apart
from tailrace_sdk.conformance.sources.case import SOME, SourceCase
from tailrace_sdk.conformance.sources.opening import Opener, digest
from tailrace_sdk.conformance.sources.placed import HOSTILE, Placed
from tailrace_sdk.conformance.standard import standard

if TYPE_CHECKING:
    import polars as pl


class ContentTests(SourceCase):
    """What comes out of a source."""

    @standard()
    def test_every_row_comes_out_as_it_is_and_in_order(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Each table has exactly the rows that are in the data, with the values that they have there, in their order.

        ``place`` says what has to come out. Mind the last row, a last line without its end, and values that look like
        another type.
        """
        folder = make("data")
        placed = self.place(folder, SOME)
        assert_as_placed(opener.read(placed, folder), placed)

    @standard()
    def test_data_without_rows_is_read_as_tables_without_rows(
        self, opener: Opener, make: Callable[[str], Path]
    ) -> None:
        """Data that is whole and has no rows gives its tables, with their columns and without rows; it is no error.

        An export of nothing is an answer. Take columns and types from what is declared (a header, a schema), and not
        from the first row.
        """
        folder, full = make("empty"), make("full")
        placed = self.place(folder, ())
        empty = opener.read(placed, folder)
        assert_as_placed(empty, placed)
        rows = opener.read(self.place(full, SOME), full)
        for name, frame in empty.items():
            assert name in rows, f"table {name} is there without rows only"
            assert frame.columns == rows[name].columns, f"columns of {name}"

    @standard()
    def test_the_same_data_gives_the_same_each_time(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Read again, and from another opening, the data gives the same tables: rows, order, columns, types, notes.

        Nothing may depend on the clock, on chance, or on the order in which threads or folders come. Give an order to
        what has none: ``maintain_order=True`` in polars, ``sorted()`` around listings of folders, ``ORDER BY`` in SQL.
        """
        folder = make("data")
        placed = self.place(folder, SOME)
        with opener.opened(placed, folder) as dataset:
            first, again = ({table.name: table.frame.collect() for table in dataset.tables} for _ in range(2))
            notes = dataset.notes
        with opener.opened(placed, folder) as dataset:
            anew = {table.name: table.frame.collect() for table in dataset.tables}
            assert dataset.notes == notes
        assert digest(again) == digest(first), "collected twice"
        assert digest(anew) == digest(first), "opened twice"

    @standard()
    def test_the_same_data_gives_the_same_to_another_process(
        self, opener: Opener, make: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A process with another time zone, language, seed for hashes and working folder reads the same.

        Times without a zone are what the data means by them, never local. Do not go through a ``set`` in the order in
        which it comes.
        """
        folder = make("data")
        placed = self.place(folder, SOME)
        here = digest(opener.read(placed, folder))
        elsewhere = {"TZ": "Pacific/Chatham", "LC_ALL": "C", "LANG": "C", "PYTHONHASHSEED": "42", "PYTHONUTF8": "0"}
        for name, value in elsewhere.items():
            monkeypatch.setenv(name, value)
        asked = (self.named(), {"location": placed.location, "options": dict(placed.options)}, str(folder))
        ended = done_apart("tailrace_sdk.conformance.sources.probes:read_and_digest", *asked, folder=tmp_path)
        assert ended.said == here, ended.stderr

    @standard(needs="texts")
    def test_hostile_texts_come_out_as_they_are(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Texts with quotes, line breaks, separators, of any length and language, and such as look like something else.

        Nothing is trimmed, cut, unescaped or taken for a number, a formula or null. Read texts as texts
        (``infer_schema=False``), with a parser rather than by splitting.
        """
        import polars as pl

        folder = make("data")
        texts = [*HOSTILE, *([None] if self.nulls else [])]
        placed = self.place_texts(folder, texts)
        frames = [frame for frame in placed.tables.values() if isinstance(frame, pl.DataFrame)]
        columns = [frame[name] for frame in frames for name in frame.columns if frame.schema[name] == pl.String]
        expected = {value for column in columns for value in column}
        assert len(expected & set(texts)) >= len(texts) // 2, "place_texts leaves out more than half of them"
        assert_as_placed(opener.read(placed, folder), placed)

    @standard(needs="time_ranges")
    def test_moments_are_those_of_the_data(self, opener: Opener, make: Callable[[str], Path]) -> None:
        """Every moment in a column that ranges apply to is within the time that the data is about, to the microsecond.

        Mind units (seconds or milliseconds since 1970), fractions of seconds, and zones.
        """
        folder = make("data")
        first, last = self.moment(SOME[0]), self.moment(SOME[-1])
        with opener.opened(self.place(folder, SOME), folder) as dataset:
            timed = [(table, table.time_column) for table in dataset.tables if table.time_column]
            for table, column in timed:
                times: list[Any] = table.frame.collect()[column].drop_nulls().to_list()
                assert times, f"table {table.name} has no moments"
                # A table of hours or days begins before the first row.
                assert min(times) > first - timedelta(days=1), f"table {table.name}"
                assert max(times) <= last, f"table {table.name}"


def assert_as_placed(read: "dict[str, pl.DataFrame]", placed: Placed) -> None:
    """See that what was read is what ``place`` says."""
    import polars as pl
    from polars.testing import assert_frame_equal

    assert list(read) == list(placed.tables), "names of the tables"
    for name, expected in placed.tables.items():
        if isinstance(expected, pl.DataFrame):
            missing = set(expected.columns) - set(read[name].columns)
            assert not missing, f"table {name} lacks {sorted(missing)}"
            assert read[name].height == expected.height, f"rows of table {name}"
            assert_frame_equal(read[name].select(expected.columns), expected, check_exact=True)
        elif expected is not None:
            assert read[name].height == expected, f"rows of table {name}"
